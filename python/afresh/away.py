"""From an event loop into a thread and back.

The loop never stands still meanwhile. Each call has a thread of its own: in a shared pool those who wait could keep out
those whom they wait for. Who stops waiting stops nothing.
"""

from __future__ import annotations

from afresh import _afresh, settings, stores

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any, TypeVar

    from afresh.memo import Memo

    R = TypeVar("R")


def is_distant(memo: Memo) -> bool:
    """Whether the store of a function has to be waited for. What is not open yet and may be far counts as that."""
    store = memo._store
    if isinstance(store, _afresh.Engine):
        return not store.near
    return stores.is_distant(settings.store if store is None else store)


def is_served(memo: Memo) -> bool:
    """Whether the store of a function is open and on a server, so that what it answers can be awaited."""
    store = memo._store
    return isinstance(store, _afresh.Engine) and store.far


async def ask(memo: Memo, question: Callable[..., R], /, *args: Any) -> R:
    """What a question to the store of a function gives; the loop does not wait for a store that is far."""
    return await away(question, *args) if is_distant(memo) else question(*args)


async def away(function: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
    """What the function gives or raises, called in a thread with this context."""
    import contextvars

    context = contextvars.copy_context()
    return await in_thread("afresh away", lambda: context.run(function, *args, **kwargs))


async def in_thread(
    name: str,
    work: Callable[[], R],
    ended: Callable[[Any, BaseException | None], object] | None = None,
    lost: Callable[[], object] | None = None,
) -> R:
    """What `work` gives or raises in a thread of that name.

    `ended` is told of it in the loop, also where nobody waits any more; `lost` is called in the thread where the loop
    was closed meanwhile.
    """
    import asyncio
    import threading

    loop = asyncio.get_running_loop()
    future: asyncio.Future[R] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if ended is not None:
            ended(result, error)
        if future.done():  # cancelled meanwhile
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def body() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - handed to the waiting task
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop is closed
            if lost is not None:
                lost()

    threading.Thread(target=body, name=name, daemon=True).start()
    return await future
