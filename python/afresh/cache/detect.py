"""What was answered from the cache within a block, in its context only. Keeps no values."""

from __future__ import annotations

from collections import namedtuple
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token

#: One answer from the cache: the key, the name of the strategy, the seconds that the entry had left (None: no end).
Detected = namedtuple("Detected", ("key", "strategy", "left"))


class Detect:
    """``with cache.detect() as found:``; then ``found.calls``, and ``found.keys`` for which keys there were any.

    Blocks may be nested; each sees what happens within it, also in tasks that it begins.
    """

    def __init__(self, active: ContextVar[tuple[Detect, ...]]) -> None:
        self._active = active
        self._before: Token[tuple[Detect, ...]] | None = None
        self.calls: list[Detected] = []

    @property
    def keys(self) -> list[str]:
        return list(dict.fromkeys(call.key for call in self.calls))

    def clear(self) -> None:
        self.calls.clear()

    def __enter__(self) -> Detect:
        self._before = self._active.set((*self._active.get(), self))
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            self._active.reset(self._before)


class Detectors:
    """The blocks of one cache that are looking."""

    def __init__(self) -> None:
        self._active: ContextVar[tuple[Detect, ...]] = ContextVar("afresh_detect", default=())
        #: Nobody has ever looked.
        self.idle = True

    def begin(self) -> Detect:
        self.idle = False
        return Detect(self._active)

    def tell(self, key: str, strategy: str, left: float | None) -> None:
        if not self.idle:
            for detect in self._active.get():
                detect.calls.append(Detected(key, strategy, left))
