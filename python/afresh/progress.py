"""A progress bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import sys
import time

_WIDTH = 30
_PAUSE = 0.1
#: Work that is done sooner than this shows nothing.
_PATIENCE = 0.5


class Progress:
    """Counts done items on standard error. Use as a context manager."""

    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self.started = time.monotonic()
        self.shown = 0.0
        self.terminal = total > 0 and sys.stderr is not None and sys.stderr.isatty()
        self.drawn = False

    def __enter__(self) -> Progress:
        return self

    def step(self) -> None:
        """One more item is done."""
        self.done += 1
        now = time.monotonic()
        if self.terminal and now - self.started > _PATIENCE and now - self.shown > _PAUSE:
            self.shown = now
            self._draw(now)

    def _draw(self, now: float) -> None:
        filled = _WIDTH * self.done // self.total
        left = (now - self.started) / max(self.done, 1) * (self.total - self.done)
        bar = "#" * filled + "-" * (_WIDTH - filled)
        sys.stderr.write(f"\r{self.label} [{bar}] {self.done}/{self.total}, {left:.0f} s left \x1b[K")
        sys.stderr.flush()
        self.drawn = True

    def __exit__(self, *_: object) -> None:
        if self.drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
