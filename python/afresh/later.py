"""What a store on a server answers, awaited: any number of calls on their way at once, without a thread for each.

``_afresh`` does the work in one thread of its own and settles the futures of a loop, many in one turn.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from afresh import _afresh

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    R = TypeVar("R")


async def later(call: Callable[..., R], /, *args: Any) -> R:
    """What ``call`` gives, which takes ``later``. Whoever stops waiting stops it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[R] = loop.create_future()
    work = _afresh.Later(loop, future)
    call(*args, later=work)
    try:
        return await future
    except asyncio.CancelledError:
        work.cancel()
        raise


async def recorded(call: Callable[..., R]) -> R:
    """As ``later``, and goes on although nobody waits: what was computed is not to be lost."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[R] = loop.create_future()
    call(later=_afresh.Later(loop, future))
    return await future


async def begin(call: _afresh.Call, wait: float | None) -> _afresh.Hit | _afresh.Ticket | None:
    """As ``call.begin(wait)``."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_afresh.Hit | _afresh.Ticket | None] = loop.create_future()
    work = _afresh.Later(loop, future)
    call.begin(later=work)
    timer = None if wait is None else loop.call_later(max(wait, 0.0), work.tire)
    try:
        return await future
    except asyncio.CancelledError:
        work.cancel()
        raise
    finally:
        if timer is not None:
            timer.cancel()
