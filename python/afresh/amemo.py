"""Remembered coroutine functions.

A hit is answered in Rust (``_afresh.Awaitable``); here is what a call does otherwise. Invariant: nothing blocks the event
loop. A near store is asked in the loop's own thread, and whoever waits for another's computation waits in a thread, one
for each call that is waited for in a loop. A store on a server is awaited (``later``).
"""

from __future__ import annotations

from afresh import _afresh, miss, settings, warn
from afresh.errors import AfreshError
from afresh.memo import Memo
from afresh.submitting import Telling, commits_in, reference, settled

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

    from afresh.options import Options
    from afresh.refs import ResultRef


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
                settings.explain(self, args, kwargs)
            found = await self._begin(call, problem, options, load)
        except AfreshError as error:
            if options.strict:
                raise
            warn.store(f"{self.name} runs without the store", error)
        else:
            if isinstance(found, miss.Outcome):
                return miss.answered(self, args, kwargs, call, found)
            ticket = found
        finally:
            warn.emit()
        miss.missed(self, call)
        with miss.running(call):
            return await self._run(args, kwargs, call, ticket, options, sources)

    async def _begin(
        self, call: _afresh.Call, problem: str | None, options: Options, load: bool
    ) -> miss.Outcome | _afresh.Ticket:
        far = self._engine().far
        if problem is not None:
            warn.once(f"{self.name} is computed again: {problem}")
            return await _start(call, far)
        if options.force or options.cache is False or miss.is_running(call):
            return await _start(call, far)
        for _ in range(miss.ROUNDS):
            hit, ready = await _held(self, call) if far and self._tracks else miss.held(self, call)
            if hit is not None:
                return miss.taken(self, call, hit, load)
            if far:
                from afresh import later

                begun = await later.begin(ready, options.wait)
            else:
                begun = ready.begin(0)
                if begun is None:
                    begun = await _elsewhere(self, ready, options.wait)
            if begun is None:
                warn.once(f"{self.name}: the running computation took longer than {options.wait} s; computing here too")
                break
            if type(begun) is _afresh.Ticket:
                return begun
            # Of a tracked function somebody has answered meanwhile: whether that holds here is looked at again.
            if not self._tracks:
                return miss.taken(self, call, begun, load)
        return await _start(call, far)

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
        import time

        sources = miss.inputs(args, kwargs) if sources is None else sources
        args, kwargs = miss.load_refs(args, kwargs)
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
            rescued = await self._rescue(call, error, options)
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
        if ticket is None or not ticket.held:
            return miss.Outcome(value)
        took = time.perf_counter() - started
        asked = (args, kwargs)
        if not self._engine().far:
            return miss.keep(self, value, ticket, took, options, sources, watch, asked)
        from afresh import later

        try:
            record, digest = miss.recording(self, value, ticket, took, options, sources, watch, asked)
            return miss.recorded(value, await later.recorded(record), digest)
        except Exception as error:
            return miss.unrecorded(self, value, ticket, options, error)

    async def _rescue(self, call: _afresh.Call | None, error: Exception, options: Options) -> miss.Outcome | None:
        if call is None or not self._engine().far:
            return miss.rescue(self, call, error, options)
        import asyncio

        return await asyncio.to_thread(miss.rescue, self, call, error, options)

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
        if ticket is None or not self._engine().far:
            return miss.failed(self, ticket, error, took, options, sources, watch, replayable)
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
            args, kwargs = settled(args, kwargs)
            call, problem = self._call(args, kwargs)
            outcome = await self._outcome(args, kwargs, call, problem, options, False, sources)
        return reference(self, args, kwargs, options, outcome)

    def _renew(self, args: tuple[Any, ...], kwargs: dict[str, Any], ticket: _afresh.Ticket) -> None:
        """Makes a new answer in a task of the running loop."""
        from afresh import background

        background.task(self._refresh(args, kwargs, ticket), ticket)

    async def _refresh(self, args: tuple[Any, ...], kwargs: dict[str, Any], ticket: _afresh.Ticket) -> None:
        from afresh import background

        miss.alone()
        try:
            # As in a thread: the caller goes on with its arguments meanwhile.
            if background.same(self, args, kwargs, ticket):
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


async def _start(call: _afresh.Call, far: bool) -> _afresh.Ticket:
    """As ``call.start()``."""
    if not far:
        return call.start()
    from afresh.later import later

    return await later(call.start)


async def _held(memo: Memo, call: _afresh.Call) -> tuple[_afresh.Hit | None, _afresh.Call]:
    """As ``miss.held``, in a thread: it looks through the store and through files."""
    import asyncio

    return await asyncio.to_thread(miss.held, memo, call)


#: Who waits in a loop for a call of one function that runs elsewhere: one thread a call, however many tasks.
_waits: dict[tuple[int, int, str], asyncio.Future[_afresh.Hit | None]] = {}


async def _elsewhere(memo: Memo, call: _afresh.Call, wait: float | None) -> Any:
    """What ``call.begin(wait)`` gives, without blocking the loop."""
    import asyncio
    import time

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
        begun = landed.result() or call.begin(0)
        if begun is not None:
            return begun


async def _in_thread(call: _afresh.Call, wait: float | None, key: tuple[int, int, str]) -> Any:
    """Waits in a thread of its own: in a shared pool the waiting could keep out those who are waited for."""
    import asyncio
    import threading

    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    landed = _waits[key] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if _waits.get(key) is landed:
            del _waits[key]
        shared = type(result) is _afresh.Hit and result.ticket is None
        landed.set_result(result if shared else None)
        # Cancelled meanwhile: a ticket is let go of with `result`.
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def body() -> None:
        result, error = None, None
        try:
            result = call.begin(wait)
        except BaseException as raised:  # noqa: BLE001 - handed to the waiting task
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            _waits.pop(key, None)  # the loop is closed

    threading.Thread(target=body, name="afresh wait", daemon=True).start()
    return await future
