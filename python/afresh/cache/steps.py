"""One implementation for threads and for event loops.

What has to wait is written once, as a generator that yields *effects*: to make a call, to ask a store, to wait. A
driver carries each of them out in its own world, ``drive`` in a thread and ``adrive`` in a coroutine. Nothing here knows
what the steps are for.
"""

from __future__ import annotations

import os

from afresh import _afresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeAlias, TypeVar

    R = TypeVar("R")
    #: Steps to something of a type.
    Doing: TypeAlias = Generator["Call | Ask | Wait | Spawn", Any, R]
    Steps: TypeAlias = Doing[Any]


class Call:
    """The user's own code: a call whose answer may have to be awaited."""

    __slots__ = ("args", "call", "kwargs")

    def __init__(
        self, call: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> None:
        self.call, self.args, self.kwargs = call, args, kwargs or {}


class Ask:
    """A command to a store, a method of ``_afresh.Kv``. One that is not near must not hold up an event loop."""

    __slots__ = ("args", "call", "kwargs", "near")

    def __init__(self, near: bool, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.near, self.call, self.args, self.kwargs = near, call, args, kwargs


class Wait:
    """Until the signal fires, or so many seconds; gives whether it fired. Without a signal, only the time passes."""

    __slots__ = ("signal", "timeout")

    def __init__(self, signal: Signal | Turn | None, timeout: float | None) -> None:
        self.signal, self.timeout = signal, timeout


class Spawn:
    """Other steps, for which nobody waits. They see to their own failures."""

    __slots__ = ("steps",)

    def __init__(self, steps: Steps) -> None:
        self.steps = steps


class Signal:
    """Fires once, and wakes those who wait for it: threads, and tasks of any event loop."""

    __slots__ = ("_lock", "_wakes", "fired")

    def __init__(self) -> None:
        import threading

        self.fired = False
        self._lock = threading.Lock()
        self._wakes: list[Callable[[], None]] = []

    def fire(self) -> None:
        with self._lock:
            self.fired = True
            wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()

    def tell(self, wake: Callable[[], None]) -> None:
        """Calls ``wake`` when the signal fires, or now."""
        with self._lock:
            if not self.fired:
                self._wakes.append(wake)
                return
        wake()

    def forget(self, wake: Callable[[], None]) -> None:
        with self._lock:
            if wake in self._wakes:
                self._wakes.remove(wake)

    def wait(self, timeout: float | None) -> bool:
        import threading

        event = threading.Event()
        self.tell(event.set)
        event.wait(timeout)
        self.forget(event.set)
        return self.fired

    async def arrives(self, timeout: float | None) -> bool:
        import asyncio

        loop = asyncio.get_running_loop()
        landed = loop.create_future()

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(land)
            except RuntimeError:
                # The loop was closed while its task waited; nobody is left to wake.
                pass

        def land() -> None:
            if not landed.done():
                landed.set_result(None)

        self.tell(wake)
        try:
            await asyncio.wait([landed], timeout=timeout)
        finally:
            self.forget(wake)
            landed.cancel()
        return self.fired


class Turn:
    """A place in a queue of the store's, as a signal that fires when it is time to ask again."""

    __slots__ = ("_queued",)

    def __init__(self, queued: _afresh.Queued) -> None:
        self._queued = queued

    def wait(self, timeout: float | None) -> bool:
        return self._queued.wait(timeout)

    async def arrives(self, timeout: float | None) -> bool:
        import asyncio

        from afresh.later import later

        try:
            await asyncio.wait_for(later(self._queued.land), timeout)
        except asyncio.TimeoutError:
            return False
        return True


class _Stopped(Exception):
    """A ``StopIteration`` of the user's, which cannot pass through steps as it is."""


def drive(steps: Steps) -> Any:
    """Carries out steps in this thread."""
    import time

    send: Callable[[Any], Any] = steps.send
    value: Any = None
    while True:
        try:
            effect = send(value)
        except StopIteration as end:
            return end.value
        except _Stopped as stopped:
            raise stopped.args[0] from None
        try:
            if effect.__class__ is Wait:
                if effect.signal is None:
                    time.sleep(effect.timeout or 0)
                    value = False
                else:
                    value = effect.signal.wait(effect.timeout)
            elif effect.__class__ is Ask:
                value = effect.call(*effect.args, **effect.kwargs)
            elif effect.__class__ is Spawn:
                _spawn(effect.steps)
                value = None
            else:
                value = effect.call(*effect.args, **effect.kwargs)
            send = steps.send
        except StopIteration as error:
            send, value = steps.throw, _Stopped(error)
        except BaseException as error:  # noqa: BLE001 - the steps decide
            send, value = steps.throw, error


async def adrive(steps: Steps) -> Any:
    """Carries out steps in this task: the user's code runs in it, not in another."""
    import asyncio

    send: Callable[[Any], Any] = steps.send
    value: Any = None
    while True:
        try:
            effect = send(value)
        except StopIteration as end:
            return end.value
        try:
            if effect.__class__ is Wait:
                if effect.signal is None:
                    await asyncio.sleep(effect.timeout or 0)
                    value = False
                else:
                    value = await effect.signal.arrives(effect.timeout)
            elif effect.__class__ is Ask:
                value = effect.call(*effect.args, **effect.kwargs) if effect.near else await _apart(effect)
            elif effect.__class__ is Spawn:
                value = None
                task = asyncio.create_task(adrive(effect.steps))
                # A loop keeps no hold of its tasks.
                _running.add(task)
                task.add_done_callback(_running.discard)
            else:
                value = effect.call(*effect.args, **effect.kwargs)
                if hasattr(value, "__await__"):
                    value = await value
            send = steps.send
        except BaseException as error:  # noqa: BLE001 - the steps decide
            send, value = steps.throw, error


async def _apart(ask: Ask) -> Any:
    """What a store says that is not near: without a thread, where it is on a server."""
    from afresh.later import later

    kv = getattr(ask.call, "__self__", None)
    name = ask.call.__name__
    if type(kv) is not _afresh.Kv or not kv.far or name == "commit":
        import asyncio

        return await asyncio.to_thread(ask.call, *ask.args, **ask.kwargs)
    if name == "hold":
        return await later(ask.call, *ask.args, **ask.kwargs)
    return await later(kv.errand, name, ask.args, ask.kwargs or None)


# Work in the background: tasks that somebody must hold, and the threads for what is not a coroutine.
_running: set[Any] = set()
_threads: list[Any] = []
_AT_ONCE = 4


def _spawn(steps: Steps) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    if not _threads:
        _threads.append(ThreadPoolExecutor(_AT_ONCE, "afresh-refresh"))
    _threads[0].submit(copy_context().run, drive, steps)


def _after_fork_in_child() -> None:
    # Threads do not survive a fork.
    _threads.clear()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
