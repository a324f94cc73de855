"""Remembered coroutine functions.

A hit is answered in Rust (``_afresh.Awaitable``); here is what a call does otherwise. Invariant: nothing blocks the event
loop. A store on a server is awaited (``later``), and so is whoever computes there, without a thread a call. Beside other
stores whoever waits for another's computation waits in a thread, one for each call that is waited for in a loop; a store of
the user's is asked in threads.

A run that others may wait for is a task of its own (``_led``): whoever began it may go away, and it goes on for them.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

from afresh import _afresh, miss, settings, warn
from afresh.away import ask, away, in_thread, is_distant, is_served
from afresh.errors import AfreshError
from afresh.memo import Memo
from afresh.submitting import Telling, commits_in, reference, settled

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from typing import Any

    from afresh.options import Options
    from afresh.refs import ResultRef

#: In a thread that asks a store for a loop: that loop, for what is to be done in it.
_home: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("afresh_home", default=None)


class AsyncMemo(Memo):
    """A remembered coroutine function. Waiting for another's computation never blocks the event loop."""

    _asynchronous = True
    _submits = False

    def __init__(self, function: Callable[..., Any], **given: Any) -> None:
        super().__init__(function, **given)
        from asyncio import coroutines

        # What inspect.iscoroutinefunction (3.12) and asyncio.iscoroutinefunction look for.
        mark = getattr(coroutines, "_is_coroutine", None)
        if mark is not None:
            self._is_coroutine = mark
        import inspect

        if hasattr(inspect, "_is_coroutine_mark"):
            self._is_coroutine_marker = inspect._is_coroutine_mark

    @property
    def _distant(self) -> bool:
        return is_distant(self)

    async def _far(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call, where the store has to be waited for: what the Rust side does otherwise, in a thread."""
        import asyncio

        if is_served(self):
            # In a thread only what the first calls have to wait for: who the function is.
            await _defined(self, args, kwargs)
            found, value, call, problem = self._look(args, kwargs)
            return value if found else await self._miss(args, kwargs, call, problem)
        token = _home.set(asyncio.get_running_loop())
        try:
            found, value, call, problem = await ask(self, self._look, args, kwargs)
        finally:
            _home.reset(token)
        warn.emit()
        return value if found else await self._miss(args, kwargs, call, problem)

    async def _miss(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], call: _afresh.Call | None, problem: str | None
    ) -> Any:
        """What a call does that the Rust side could not answer."""
        return (await self._outcome(args, kwargs, call, problem, self._options)).value

    async def _outcome(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        call: _afresh.Call | None,
        problem: str | None,
        options: Options,
        load: bool = True,
        sources: list[str] | None = None,
    ) -> miss.Outcome:
        """Answers a call from the store or by running it; as `miss.outcome`, without blocking the loop."""
        if call is None or settings.off():
            if problem is not None:
                warn.once(f"{self.name} runs uncached: {problem}")
            if not settings.off():
                miss.missed(self, None)
            return await self._run(args, kwargs, None, None, options)
        ticket: _afresh.Ticket | None = None
        try:
            if settings.verbose:
                await ask(self, settings.explain, self, args, kwargs)
            found = await self._begin(call, problem, options, load)
        except AfreshError as error:
            if options.strict:
                raise
            miss.troubled(self, f"{self.name} runs without the store", error)
        else:
            if isinstance(found, miss.Outcome):
                return miss.answered(self, args, kwargs, call, found)
            ticket = found
        finally:
            warn.emit()
        miss.missed(self, call)
        with miss.running(call):
            run = self._run(args, kwargs, call, ticket, options, sources)
            return await (run if ticket is None else _led(self, run, ticket))

    async def _begin(
        self, call: _afresh.Call, problem: str | None, options: Options, load: bool
    ) -> miss.Outcome | _afresh.Ticket:
        served = is_served(self)
        if problem is not None:
            warn.once(f"{self.name} is computed again: {problem}")
            return await _start(self, call)
        if options.force or options.cache is False or miss.is_running(call):
            return await _start(self, call)
        for _ in range(miss.ROUNDS):
            hit, ready = await ask(self, miss.held, self, call) if self._tracks or not served else (None, call)
            if hit is not None:
                return await ask(self, miss.taken, self, call, hit, load)
            if served:
                from afresh import later

                begun = await later.begin(ready, options.wait)
            else:
                begun = await ask(self, ready.begin, 0)
                if begun is None:
                    began = time.perf_counter()
                    begun = await _elsewhere(self, ready, options.wait)
                    miss.waited(self, begun, time.perf_counter() - began)
            if begun is None:
                warn.once(f"{self.name}: the running computation took longer than {options.wait} s; computing here too")
                break
            if type(begun) is _afresh.Ticket:
                return begun
            # Of a tracked function somebody has answered meanwhile: whether that holds here is looked at again.
            if not self._tracks:
                if served:
                    return miss.taken(self, call, begun, load)
                return await ask(self, miss.taken, self, call, begun, load)
        return await _start(self, call)

    async def _run(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        call: _afresh.Call | None,
        ticket: _afresh.Ticket | None,
        options: Options,
        sources: list[str] | None = None,
    ) -> miss.Outcome:
        import asyncio

        sources = miss.inputs(args, kwargs) if sources is None else sources
        if not is_served(self) or sources:
            args, kwargs = await ask(self, miss.load_refs, args, kwargs)
        watch = miss.Watch(self)
        started = time.perf_counter()
        left, pause = options.retries or 0, 0.1 if options.backoff is None else options.backoff
        try:
            while True:
                try:
                    coroutine = self.__wrapped__(*args, **kwargs)
                    value = await asyncio.wait_for(coroutine, options.timeout)
                    break
                except Exception:
                    if left == 0:
                        raise
                    left -= 1
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 30.0)
        except Exception as error:
            watch.end()
            took = time.perf_counter() - started
            rescued = await ask(self, miss.rescue, self, call, error, options)
            replayable = rescued is None and call is not None
            await self._failed(ticket, error, took, options, sources, watch, replayable)
            if rescued is None:
                raise
            return rescued
        except BaseException:
            watch.end()
            if ticket is not None:
                ticket.release()
            raise
        watch.end()
        took = time.perf_counter() - started
        self._time("run", took)
        if ticket is None or not ticket.held:
            return miss.Outcome(value)
        asked = (args, kwargs)
        if not is_served(self):
            return await ask(self, miss.keep, self, value, ticket, took, options, sources, watch, asked)
        from afresh import later

        try:
            record, digest = miss.recording(self, value, ticket, took, options, sources, watch, asked)
            return miss.recorded(self, value, await later.recorded(record), digest)
        except Exception as error:
            ticket.release()
            miss.unstored(self, error, options)
            return miss.Outcome(value)

    async def _failed(
        self,
        ticket: _afresh.Ticket | None,
        error: Exception,
        took: float,
        options: Options,
        sources: list[str],
        watch: miss.Watch,
        replayable: bool,
    ) -> None:
        if ticket is None or not is_served(self):
            await ask(self, miss.failed, self, ticket, error, took, options, sources, watch, replayable)
            return
        from afresh import later

        record = miss.failing(self, ticket, error, took, options, sources, watch, replayable)
        if record is not None:
            try:
                miss.told(error, await later.recorded(record))
            except Exception as problem:
                miss.untold(self, ticket, problem)

    async def _submit(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: Options) -> ResultRef:
        """As `submit`, to be awaited."""
        sources = commits_in(args, kwargs)
        with Telling(self):
            args, kwargs = await ask(self, settled, args, kwargs)
            call, problem = await ask(self, self._call, args, kwargs)
            outcome = await self._outcome(args, kwargs, call, problem, options, False, sources)
        return reference(self, args, kwargs, options, outcome)

    def _renew(self, args: tuple[Any, ...], kwargs: dict[str, Any], ticket: _afresh.Ticket) -> None:
        """Makes a new answer in a task of the running loop."""
        from afresh import background

        home = _home.get()
        if home is None:
            background.task(self._refresh(args, kwargs, ticket), ticket)
        else:
            home.call_soon_threadsafe(lambda: background.task(self._refresh(args, kwargs, ticket), ticket))

    async def _refresh(self, args: tuple[Any, ...], kwargs: dict[str, Any], ticket: _afresh.Ticket) -> None:
        from afresh import background

        miss.alone()
        try:
            # As in a thread: the caller goes on with its arguments meanwhile.
            if await ask(self, background.same, self, args, kwargs, ticket):
                await self._run(args, kwargs, None, ticket, self._options)
                self._count("refreshes")
        except Exception as error:
            background.report(self, error)
        finally:
            ticket.release()
            warn.emit()

    def submit(self, *args: Any, **kwargs: Any) -> ResultRef:
        """Coroutine functions are awaited, not submitted."""
        raise TypeError(f"{self.name} is a coroutine function: await the decorated function instead of submitting it")

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """As ``Memo.refresh``, to be awaited."""
        return self.with_options(force=True)(*args, **kwargs)


async def _start(memo: AsyncMemo, call: _afresh.Call) -> _afresh.Ticket:
    """As ``call.start()``."""
    if not is_served(memo):
        return await ask(memo, call.start)
    from afresh.later import later

    return await later(call.start)


#: Functions that a thread finds out about for a loop: all of its calls wait for the one.
_defining: dict[tuple[int, int], asyncio.Future[None]] = {}


async def _defined(memo: AsyncMemo, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Has the function's identity made in a thread, if there is none. What goes wrong is met again, and told, in the
    call."""
    import asyncio

    loop = asyncio.get_running_loop()
    key = (id(loop), id(memo))
    defining = _defining.get(key)
    if defining is None or defining.get_loop() is not loop:
        defining = _defining[key] = loop.create_future()
        try:
            await away(memo._call, args, kwargs)
        except Exception:
            pass
        finally:
            del _defining[key]
            defining.set_result(None)
    else:
        await asyncio.wait([defining])


async def _led(memo: AsyncMemo, run: Coroutine[Any, Any, miss.Outcome], ticket: _afresh.Ticket) -> miss.Outcome:
    """The outcome of a run that goes on for those who wait for it, should whoever began it be cancelled. Where nobody
    waits the run is cancelled too.

    It has the context of its caller, who finds what it set there afterwards.
    """
    import asyncio
    import contextvars

    async def body() -> tuple[miss.Outcome | None, BaseException | None, contextvars.Context]:
        # A failure is handed over as what it is: it is nobody's business where the caller has gone.
        try:
            return await run, None, contextvars.copy_context()
        except Exception as error:
            return None, error, contextvars.copy_context()

    def ended(task: asyncio.Task[Any]) -> None:
        _leading.discard(task)
        # A task that is cancelled before it begins runs nothing of its own.
        run.close()
        ticket.release()

    task = asyncio.get_running_loop().create_task(body())
    caller = asyncio.current_task()
    if caller is not None:
        task.set_name(caller.get_name())
    task.add_done_callback(ended)
    _leading.add(task)
    while True:
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as cancelled:
            if _is_awaited(memo, ticket):
                raise
            # The function may clean up, and may refuse.
            task.cancel(*cancelled.args)
            continue
        outcome, error, context = task.result()
        for variable, value in context.items():
            if variable.get(_UNSET) is not value:
                variable.set(value)
        if outcome is not None:
            return outcome
        assert error is not None  # one of the two
        try:
            raise error
        finally:
            del error  # or the traceback and this frame would hold each other


def _is_awaited(memo: AsyncMemo, ticket: _afresh.Ticket) -> bool:
    """Whether somebody waits for the run: in any thread, or in this loop and on the way to one."""
    import asyncio

    return ticket.awaited or (id(asyncio.get_running_loop()), id(memo), ticket.fingerprint) in _waits


_UNSET: Any = object()
#: The runs that are under way; a loop itself holds its tasks only weakly.
_leading: set[asyncio.Task[Any]] = set()

#: Who waits in a loop for a call of one function that runs elsewhere: one thread a call, however many tasks.
_waits: dict[tuple[int, int, str], asyncio.Future[_afresh.Hit | None]] = {}


async def _elsewhere(memo: AsyncMemo, call: _afresh.Call, wait: float | None) -> Any:
    """What ``call.begin(wait)`` gives, without blocking the loop."""
    import asyncio

    loop = asyncio.get_running_loop()
    key = (id(loop), id(memo), call.fingerprint)
    until = None if wait is None else time.monotonic() + wait
    while True:
        left = None if until is None else max(0.0, until - time.monotonic())
        landed = _waits.get(key)
        if landed is None or landed.get_loop() is not loop:
            return await _in_thread(call, left, key)
        done, _ = await asyncio.wait([landed], timeout=left)
        if not done:
            return None
        # What was found for one that waits is found for all of them: each of them began before.
        begun: Any = landed.result()
        if begun is None:
            begun = await ask(memo, call.begin, 0)
        if begun is not None:
            return begun


async def _in_thread(call: _afresh.Call, wait: float | None, key: tuple[int, int, str]) -> Any:
    """Waits in a thread of its own: in a shared pool the waiting could keep out those who are waited for."""
    import asyncio

    landed = _waits[key] = asyncio.get_running_loop().create_future()

    def ended(result: Any, error: BaseException | None) -> None:
        if _waits.get(key) is landed:
            del _waits[key]
        shared = type(result) is _afresh.Hit and result.ticket is None
        # Cancelled meanwhile: a ticket is let go of with `result`.
        landed.set_result(result if shared else None)

    return await in_thread("afresh wait", lambda: call.begin(wait), ended, lambda: _waits.pop(key, None))
