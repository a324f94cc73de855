"""Commands on what a name can stand for beside a value: fields of bits, slices of moments, sets of texts, raw bytes.

Each is one entry, changed in one step on every store, of a megabyte at most, and never driven out of memory: forgetting
a bit or a member would be a wrong answer later. They end, are deleted and are found as values are. As decisions rest on
what they hold, a store that cannot be reached is an error here, also when reading.
"""

from __future__ import annotations

from afresh.cache import ttl
from afresh.cache.around import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from afresh.cache.commands import SyncCache
    from afresh.cache.steps import Doing
    from afresh.cache.ttl import Span


class StateCommands:
    """For threads."""

    def _core(self) -> SyncCache:
        raise NotImplementedError

    def get_bits(self, key: str, *indexes: int, size: int = 1) -> tuple[int, ...]:
        """Unsigned numbers of ``size`` bits each, by their places; what was never written is zero."""
        return self._get_bits(key, indexes, size)

    @command
    def _get_bits(self, key: str, indexes: Sequence[int], size: int) -> Doing[tuple[int, ...]]:
        core = self._core()
        if core._switches.off("get_bits", key):
            return (0,) * len(indexes)
        return tuple((yield core._routes.of(key).ask("get_bits", key, indexes, size)))

    def incr_bits(self, key: str, *indexes: int, size: int = 1, by: int = 1) -> tuple[int, ...]:
        """Adds to such numbers, all in one step; the new ones. They stay within what they can hold, and above zero."""
        return self._incr_bits(key, indexes, size, by)

    @command
    def _incr_bits(self, key: str, indexes: Sequence[int], size: int, by: int) -> Doing[tuple[int, ...]]:
        core = self._core()
        if core._switches.off("incr_bits", key):
            return (0,) * len(indexes)
        return tuple((yield core._routes.of(key).ask("incr_bits", key, indexes, size, by)))

    @command
    def slice_incr(self, key: str, start: float, end: float, maxvalue: int, expire: Span = None) -> Doing[int]:
        """Remembers the moment ``end`` if fewer than ``maxvalue`` lie between ``start`` and it; how many do then.

        Moments before ``start`` are forgotten. Two of the same moment are two.
        """
        import math

        core = self._core()
        if not (math.isfinite(start) and math.isfinite(end)):
            raise ValueError("a moment is a finite number")
        if core._switches.off("slice_incr", key):
            return 0
        slide = key, start, end, max(maxvalue, 0), ttl.seconds(expire)
        return int((yield core._routes.of(key).ask("slice_incr", *slide)))

    def set_add(self, key: str, *values: str, expire: Span = None) -> int:
        """Adds texts to a set; how many are new. ``expire`` may only make it last longer."""
        return self._set_add(key, values, expire)

    @command
    def _set_add(self, key: str, values: Sequence[str], expire: Span) -> Doing[int]:
        core = self._core()
        if core._switches.off("set_add", key):
            return 0
        return int((yield core._routes.of(key).ask("set_add", key, values, ttl.seconds(expire))))

    def set_remove(self, key: str, *values: str) -> int:
        """Removes texts from a set; how many were in it."""
        return self._set_remove(key, values)

    @command
    def _set_remove(self, key: str, values: Sequence[str]) -> Doing[int]:
        core = self._core()
        if core._switches.off("set_remove", key):
            return 0
        return int((yield core._routes.of(key).ask("set_remove", key, values)))

    @command
    def set_pop(self, key: str, count: int = 100) -> Doing[tuple[str, ...]]:
        """Takes up to ``count`` texts out of a set. No two callers get the same one."""
        core = self._core()
        if core._switches.off("set_pop", key):
            return ()
        return tuple((yield core._routes.of(key).ask("set_pop", key, max(count, 0))))

    @command
    def get_raw(self, key: str) -> Doing[bytes | None]:
        """The bytes under a key, without the codec: those of ``set_raw``, or what the codec made of a value."""
        raw: bytes | None = yield from self._core()._read("get_raw", key, None, "get_raw", key)
        return raw

    @command
    def set_raw(
        self, key: str, value: bytes, expire: Span = None, exist: bool | None = None, tags: Sequence[str] = ()
    ) -> Doing[bool]:
        """Stores bytes as they are, without the codec; otherwise as ``set``."""
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"raw values are bytes, not {type(value).__name__}")
        return bool((yield from self._core()._put("set_raw", key, bytes(value), expire, exist, tags)))


class AwaitedStateCommands:
    """The same, to be awaited."""

    sync: SyncCache
    _do: Callable[..., Awaitable[Any]]

    def get_bits(self, key: str, *indexes: int, size: int = 1) -> Awaitable[tuple[int, ...]]:
        """Unsigned numbers of ``size`` bits each, by their places; what was never written is zero."""
        return self._do(self.sync._get_bits, key, indexes, size)

    def incr_bits(self, key: str, *indexes: int, size: int = 1, by: int = 1) -> Awaitable[tuple[int, ...]]:
        """Adds to such numbers, all in one step; the new ones. They stay within what they can hold, and above zero."""
        return self._do(self.sync._incr_bits, key, indexes, size, by)

    def slice_incr(self, key: str, start: float, end: float, maxvalue: int, expire: Span = None) -> Awaitable[int]:
        """Remembers the moment ``end`` if fewer than ``maxvalue`` lie between ``start`` and it; how many do then."""
        return self._do(self.sync.slice_incr, key, start, end, maxvalue, expire)

    def set_add(self, key: str, *values: str, expire: Span = None) -> Awaitable[int]:
        """Adds texts to a set; how many are new. ``expire`` may only make it last longer."""
        return self._do(self.sync._set_add, key, values, expire)

    def set_remove(self, key: str, *values: str) -> Awaitable[int]:
        """Removes texts from a set; how many were in it."""
        return self._do(self.sync._set_remove, key, values)

    def set_pop(self, key: str, count: int = 100) -> Awaitable[tuple[str, ...]]:
        """Takes up to ``count`` texts out of a set. No two callers get the same one."""
        return self._do(self.sync.set_pop, key, count)

    def get_raw(self, key: str) -> Awaitable[bytes | None]:
        """The bytes under a key, without the codec: those of ``set_raw``, or what the codec made of a value."""
        return self._do(self.sync.get_raw, key)

    def set_raw(
        self, key: str, value: bytes, expire: Span = None, exist: bool | None = None, tags: Sequence[str] = ()
    ) -> Awaitable[bool]:
        """Stores bytes as they are, without the codec; otherwise as ``set``."""
        return self._do(self.sync.set_raw, key, value, expire, exist, tags)
