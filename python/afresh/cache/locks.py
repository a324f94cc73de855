"""Locks with an owner and an end.

Only the owner gives a lock back; a lock whose owner is gone ends by itself and never blocks anyone for longer. Those
of this process who wait stand in line, and the first of them asks. It is woken when the lock is given back here; that
others have given it back it is told by a store that tells, and otherwise sees when it looks again, at growing intervals.
"""

from __future__ import annotations

from afresh import warn
from afresh.cache.errors import LockedError
from afresh.cache.steps import Signal, Spawn, Turn, Wait, adrive, drive
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
    """Who of this process waits for which lock: a line for each, in which one stands with a signal."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        import os
        import threading

        self._process, self._lock = os.getpid(), threading.Lock()
        self._lines: dict[str, list[Signal]] = {}

    def join(self, key: str) -> Signal:
        """Gets in line; the signal fires when one is the first."""
        import os

        if self._process != os.getpid():
            # Those who stood in line in the parent are not here.
            self._begin()
        signal = Signal()
        with self._lock:
            line = self._lines.setdefault(key, [])
            line.append(signal)
            first = line[0] is signal
        if first:
            signal.fire()
        return signal

    def again(self, key: str, signal: Signal) -> Signal:
        """Keeps the place, with a signal that has not fired."""
        fresh = Signal()
        with self._lock:
            line = self._lines.get(key, [])
            line[:] = [fresh if one is signal else one for one in line]
        return fresh

    def leave(self, key: str, signal: Signal) -> None:
        """Gets out of line; who is the first now hears of it."""
        with self._lock:
            line = self._lines.get(key, [])
            was_first = bool(line) and line[0] is signal
            if signal in line:
                line.remove(signal)
            if not line:
                self._lines.pop(key, None)
            first = line[0] if was_first and line else None
        if first is not None:
            first.fire()

    def wake(self, key: str) -> None:
        """Has the first in line look."""
        with self._lock:
            line = self._lines.get(key)
            first = line[0] if line else None
        if first is not None:
            first.fire()


def acquire(
    route: Route, waiters: Waiters, key: str, owner: str, expire: float, wait: bool | float, clock: Callable[[], float]
) -> Steps:
    """The steps to a lock; whether it was got. ``wait`` may be the seconds to wait at most."""
    ends = None if wait is True else clock() + float(wait)
    if ends is not None and clock() >= ends:
        return (yield from _take(route, key, owner, expire))
    signal = waiters.join(key)
    try:
        if not (yield Wait(signal, None if ends is None else ends - clock())):
            return False
        pause = _FIRST
        while True:
            # Whoever gives it back after this look is heard.
            signal = waiters.again(key, signal)
            if (yield from _take(route, key, owner, expire)):
                return True
            left = float("inf") if ends is None else ends - clock()
            if left <= 0:
                return False
            queued = route.kv.queue(key)
            if queued is not None:
                yield Wait(Turn(queued), None if ends is None else left)
                continue
            lasts = yield route.ask("locked", key)
            if lasts is not None:
                yield Wait(signal, min(pause, max(lasts, 0.0005), left))
                pause = min(pause * 2, _LAST)
    finally:
        waiters.leave(key, signal)


def _take(route: Route, key: str, owner: str, expire: float) -> Steps:
    try:
        return bool((yield route.ask("lock", key, owner, expire)))
    except GeneratorExit:
        raise
    except BaseException:
        # What was said, and not heard, may have been yes.
        yield Spawn(_give_back(route, key, owner))
        raise


def _give_back(route: Route, key: str, owner: str) -> Steps:
    try:
        yield route.ask("unlock", key, owner)
    except AfreshError:
        # It ends by itself.
        pass


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
            yield self._route.ask("unlock", self._key, owner)
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
