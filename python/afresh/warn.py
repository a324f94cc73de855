"""Warnings, each once a process.

The engine and the stores gather what they have to say; here it becomes Python warnings that point at the
user's own line.
"""

from __future__ import annotations

import os
import sys

from afresh import _afresh
from afresh.errors import CacheWarning

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_said: set[str] = set()
_MOST = 10_000


def once(text: str, cause: str = "") -> None:
    """Warns, unless the same (or of the same cause) was said before in this process."""
    cause = cause or text
    if cause in _said or len(_said) >= _MOST:
        return
    _said.add(cause)
    import warnings

    level = 1
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warnings.warn(text, CacheWarning, stacklevel=level)


def store(text: str, error: Exception) -> None:
    """Warns of a store that fails: once, however many calls meet the same cause."""
    hint = getattr(error, "hint", None)
    once(f"{text}: {error}", f"{type(error).__name__} {getattr(error, 'store', None)} {hint}" if hint else "")


def emit() -> None:
    """Shows what the engine and the stores gathered."""
    for text in _afresh.drain_warnings():
        once(text)


def forget() -> None:
    """Lets every warning be said again; for tests."""
    _said.clear()
