"""``afresh.AsyncClient``: the client for programs with an event loop.

It is a ``Client``, each method of which is awaited. What a near store can answer is answered at once, in the loop's own
thread; whatever waits, runs a plain function, or looks through the store does so in a thread of its own. Coroutine functions
run in the loop. Who stops waiting stops nobody else.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from afresh import miss, settings, warn
from afresh.amemo import AsyncMemo
from afresh.away import away
from afresh.client import Client, Task
from afresh.errors import AfreshError
from afresh.later import later
from afresh.options import Options
from afresh.refs import ResultRef, collect
from afresh.submitting import reference, submit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from afresh.memo import Memo
    from afresh.options import TTL, Tags

P = ParamSpec("P")
R = TypeVar("R")


def _awaited(method: Callable[Concatenate[Client, P], R]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]]:
    """The method of ``Client``, in a thread."""

    @functools.wraps(method)
    async def call(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await away(method, self._bridge(), *args, **kwargs)

    return call


class _Bridge(Client):
    """A client in a thread beside a loop: coroutine functions run in the loop."""

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self.__dict__.update(client.__dict__)
        self._loop = loop

    def _submit(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], asked: Options) -> ResultRef:
        memo, options = self._asked(function, asked)
        if isinstance(memo, AsyncMemo):
            return asyncio.run_coroutine_threadsafe(memo._submit(args, kwargs, options), self._loop).result()
        return submit(memo, args, kwargs, options)


class AsyncTask:
    """A function bound to a client by ``AsyncClient.task``: awaiting a call gives a reference."""

    def __init__(self, client: AsyncClient, task: Task) -> None:
        self.client = client
        self.memo = task.memo
        functools.update_wrapper(self, task.memo.__wrapped__)

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, ResultRef]:
        return _submit(self.memo, args, kwargs, self.memo._options)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        import types

        return self if instance is None else types.MethodType(self, instance)


async def _submit(memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any], options: Options) -> ResultRef:
    if isinstance(memo, AsyncMemo):
        return await memo._submit(args, kwargs, options)
    found = await _looked_up(memo, args, kwargs, options)
    return await away(submit, memo, args, kwargs, options) if found is None else found


async def _looked_up(
    memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any], options: Options
) -> ResultRef | None:
    """A reference to a fresh answer, where it is found without a thread."""
    forced = options.force or options.cache is False or settings.off()
    if forced or memo._tracks or collect([args, kwargs], ResultRef):
        return None
    try:
        near, far = memo._engine().near, memo._engine().far
        call, problem = memo._call(args, kwargs) if near or far else (None, None)
        if call is None or problem is not None:
            return None
        hit = await later(call.lookup) if far else call.lookup()
    except AfreshError:
        return None  # met again, and told, where it is waited for
    if hit is None or hit.failed or hit.verdict != "fresh":
        return None
    memo._hit(hit)
    settings.note(memo, call, "hit")
    found = miss.Outcome(None, commit_hash=hit.commit, hash=hit.hash, size=hit.size, hit=hit)
    return reference(memo, args, kwargs, options, found)


class AsyncClient:
    """As ``afresh.Client``, with methods to be awaited; functions may be coroutine functions.

    ``memo`` and ``task`` decorate, as there. ``load`` loads a reference without blocking the loop.

    >>> import afresh, asyncio
    >>> async def main():
    ...     async with afresh.AsyncClient("memory:") as client:
    ...         ref = await client.submit(pow, 2, 10)
    ...         return await client.load(ref)
    >>> asyncio.run(main())
    1024
    """

    def __init__(self, store: Any = None, **settings: Any) -> None:
        self.client = Client(store, **settings)

    def _bridge(self) -> Client:
        return _Bridge(self.client, asyncio.get_running_loop())

    async def submit(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        _cache: bool | None = None,
        _tags: Tags | None = None,
        _retries: int | None = None,
        _force: bool | None = None,
        _timeout: TTL | None = None,
        _ttl: TTL | None = None,
        **kwargs: Any,
    ) -> ResultRef:
        """Runs ``function`` with these arguments, or finds the result, and gives a reference to it."""
        asked = Options(cache=_cache, tags=_tags, retries=_retries, force=_force, timeout=_timeout, ttl=_ttl)
        if isinstance(function, AsyncTask):
            function = function.memo
        memo, options = self.client._asked(function, asked)
        return await _submit(memo, args, kwargs, options)

    async def load(self, ref: ResultRef) -> Any:
        """The value of a reference."""
        try:
            return await away(ref.load)
        finally:
            warn.emit()

    def memo(self, function: Any = None, /, **settings: Any) -> Any:
        """``afresh.memo`` on this client's store."""
        return self.client.memo(function, **settings)

    def task(self, function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
        """A decorator, bare or called: awaiting a call of the function submits it."""

        def decorate(function: Callable[..., Any]) -> AsyncTask:
            return AsyncTask(self, self.client.task(function, **settings))  # type: ignore[arg-type]

        return decorate if function is None else decorate(function)

    submit_many = _awaited(Client.submit_many)
    map = _awaited(Client.map)  # type: ignore[arg-type]
    log = _awaited(Client.log)
    show = _awaited(Client.show)
    get = _awaited(Client.get)
    history = _awaited(Client.history)
    diff = _awaited(Client.diff)
    plan = _awaited(Client.plan)
    accept = _awaited(Client.accept)
    unaccept = _awaited(Client.unaccept)
    rm = _awaited(Client.rm)
    invalidate = _awaited(Client.invalidate)
    gc = _awaited(Client.gc)
    clear = _awaited(Client.clear)
    stats = _awaited(Client.stats)
    verify = _awaited(Client.verify)
    export = _awaited(Client.export)
    import_archive = _awaited(Client.import_archive)
    close = _awaited(Client.close)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<afresh.AsyncClient on {self.client.engine.address}>"
