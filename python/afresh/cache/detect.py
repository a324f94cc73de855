"""What was answered from the cache within a block, in its context only. Keeps no values."""

from __future__ import annotations

import threading
from collections import namedtuple
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

#: One answer from the cache: the key, the name of the strategy, the seconds that the entry had left (None: no end).
Detected = namedtuple("Detected", ("key", "strategy", "left"))


class Detect:
    """``with cache.detect() as found:``; then ``found.calls``, and ``found.keys`` for which keys there were any.

    Blocks may be nested; each sees what happens within it, also in tasks that it begins.
    """

    def __init__(self, active: ContextVar[tuple[Detect, ...]], tally: Callable[[int], None]) -> None:
        self._active, self._tally = active, tally
        self._before: Token[tuple[Detect, ...]] | None = None
        self.calls: list[Detected] = []

    @property
    def keys(self) -> list[str]:
        return list(dict.fromkeys(call.key for call in self.calls))

    def clear(self) -> None:
        self.calls.clear()

    def __enter__(self) -> Detect:
        self._tally(1)
        self._before = self._active.set((*self._active.get(), self))
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            self._active.reset(self._before)
            self._tally(-1)


class Above:
    """A block around a computation that asks whether anything within was answered from any cache."""

    def __init__(self) -> None:
        self.hit = False

    def __enter__(self) -> Above:
        from afresh.cache.around import everywhere

        everywhere(1)
        self._before = _above.set((*_above.get(), self))
        return self

    def __exit__(self, *error: object) -> None:
        from afresh.cache.around import everywhere

        _above.reset(self._before)
        everywhere(-1)


_above: ContextVar[tuple[Above, ...]] = ContextVar("afresh_above", default=())
_guard = threading.Lock()


class Detectors:
    """The blocks of one cache that are looking."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._active: ContextVar[tuple[Detect, ...]] = ContextVar("afresh_detect", default=())
        self._changed, self._blocks = changed, 0
        #: Nobody looks, in no context.
        self.idle = True

    def begin(self) -> Detect:
        return Detect(self._active, self._tally)

    def _tally(self, more: int) -> None:
        with _guard:
            self._blocks += more
            self.idle = not self._blocks
        self._changed()

    def tell(self, key: str, strategy: str, left: float | None) -> None:
        for above in _above.get():
            above.hit = True
        if not self.idle:
            for detect in self._active.get():
                detect.calls.append(Detected(key, strategy, left))
