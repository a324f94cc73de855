"""Warnings, each once a process.

The engine and the stores gather what they have to say; here it becomes Python warnings that point at the
user's own line.
"""

from __future__ import annotations

import os
import sys

from afresh import _afresh
from afresh.errors import CacheWarning, UnavailableError

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_said: set[str] = set()
_MOST = 10_000


def once(text: str, cause: str = "") -> None:
    """Warns, unless the same (or of the same cause) was said before in this process."""
    cause = cause or text
    if cause in _said or len(_said) >= _MOST:
        return
    _said.add(cause)
    _say(text)


def _say(text: str) -> None:
    import warnings

    level = 1
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warnings.warn(text, CacheWarning, stacklevel=level)


def store(text: str, error: Exception) -> None:
    """Warns of a store that fails: once, however many calls meet the same cause. One on a server that is away has one
    cause until it is back, whatever it fails with.
    """
    hint, where = getattr(error, "hint", None), getattr(error, "store", None)
    if where is not None and "://" in where and isinstance(error, UnavailableError):
        once(f"{text}: {error}", _away(where))
    else:
        once(f"{text}: {error}", f"{type(error).__name__} {where} {hint}" if hint else "")


def _away(where: str) -> str:
    return f"{where} is away"


def emit() -> None:
    """Shows what the engine and the stores gathered."""
    for text, back in _afresh.drain_warnings():
        gathered(text, back)


def gathered(text: str, back: str | None) -> None:
    """Shows one of them. That a store is back is for those who were told that it was away."""
    if back is None:
        once(text)
    elif _away(back) in _said:
        _said.discard(_away(back))
        _say(text)


def forget() -> None:
    """Lets every warning be said again; for tests."""
    _said.clear()
