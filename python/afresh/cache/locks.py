"""Locks with an owner and an end.

Only the owner gives a lock back; a lock whose owner is gone ends by itself and never blocks anyone for longer. Those
of this process who wait are woken when it is given back; those of others look again at growing intervals.
"""

from __future__ import annotations

from afresh import warn
from afresh.cache.errors import LockedError
from afresh.cache.steps import Ask, Signal, Wait, adrive, drive
from afresh.errors import AfreshError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from afresh.cache.routes import Route
    from afresh.cache.steps import Steps

# Seconds between two looks at a lock that another process may give back.
_FIRST, _LAST = 0.001, 0.05


class Waiters:
    """Who of this process waits for which lock."""

    def __init__(self) -> None:
        import threading

        self._lock = threading.Lock()
        self._queues: dict[str, list[Signal]] = {}

    def join(self, key: str) -> Signal:
        signal = Signal()
        with self._lock:
            self._queues.setdefault(key, []).append(signal)
        return signal

    def leave(self, key: str, signal: Signal) -> None:
        """Stops waiting; a wake-up that came meanwhile goes to the next."""
        with self._lock:
            queue = self._queues.get(key, [])
            if signal in queue:
                queue.remove(signal)
            if not queue:
                self._queues.pop(key, None)

    def wake(self, key: str) -> None:
        """Wakes who has waited longest."""
        with self._lock:
            queue = self._queues.get(key)
            first = queue.pop(0) if queue else None
            if queue is not None and not queue:
                self._queues.pop(key, None)
        if first is not None:
            first.fire()


def acquire(
    route: Route, waiters: Waiters, key: str, owner: str, expire: float, wait: bool | float, clock: Callable[[], float]
) -> Steps:
    """The steps to a lock; whether it was got. ``wait`` may be the seconds to wait at most."""
    ends = None if wait is True else clock() + float(wait)
    pause = _FIRST
    while True:
        signal = waiters.join(key)
        woken = False
        try:
            if (yield Ask(route.near, route.kv.lock, key, owner, expire)):
                return True
            now = clock()
            if ends is not None and now >= ends:
                return False
            left = yield Ask(route.near, route.kv.locked, key)
            if left is None:
                continue
            timeout = min(pause, max(left, 0.0005), ends - now if ends is not None else pause)
            woken = yield Wait(signal, timeout)
            pause = min(pause * 2, _LAST)
        except BaseException:
            if signal.fired:
                # The wake-up was for us, and we are not going to use it.
                waiters.wake(key)
            raise
        finally:
            if not woken:
                waiters.leave(key, signal)


class Lock:
    """``with cache.lock(...)`` and ``async with cache.lock(...)``."""

    def __init__(self, route: Route, waiters: Waiters, key: str, expire: float, wait: bool | float) -> None:
        self._route, self._waiters, self._key = route, waiters, key
        self._expire, self._wait = expire, wait
        self._owner: str | None = None

    def enter(self) -> Steps:
        import secrets
        import time

        if self._owner is not None:
            raise RuntimeError("this lock object is in use; call `lock` once for each block")
        self._owner = owner = secrets.token_hex(16)
        got = False
        try:
            got = yield from acquire(
                self._route, self._waiters, self._key, owner, self._expire, self._wait, time.monotonic
            )
        finally:
            if not got:
                self._owner = None
        if not got:
            raise LockedError(f"the lock {self._key!r} is held by somebody else")

    def leave(self) -> Steps:
        owner, self._owner = self._owner, None
        try:
            yield Ask(self._route.near, self._route.kv.unlock, self._key, owner)
        except AfreshError as error:
            # What was done within is done; the lock ends by itself.
            warn.store("a lock could not be given back and ends by itself", error)
        finally:
            self._waiters.wake(self._key)

    def __enter__(self) -> None:
        drive(self.enter())

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        drive(self.leave())

    async def __aenter__(self) -> None:
        await adrive(self.enter())

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await adrive(self.leave())
