"""What can go wrong, one class a kind.

The kinds mirror those of the engine one to one. Nothing here is raised in place of a value that a remembered
function could compute: a broken store degrades to computing, with a warning, unless ``strict`` was asked for.
"""

from __future__ import annotations

__all__ = [
    "AfreshError",
    "CacheWarning",
    "CodecError",
    "ConfigError",
    "ConflictError",
    "CorruptError",
    "DeniedError",
    "TaskError",
    "TooLargeError",
    "UnavailableError",
    "UnsupportedError",
]


class AfreshError(Exception):
    """Something went wrong in afresh itself.

    ``hint`` says what to do next, ``store`` is the redacted address and ``op`` the operation; each may be None.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        store: str | None = None,
        op: str | None = None,
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.store = store
        self.op = op

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} (hint: {self.hint})" if self.hint else message


class ConfigError(AfreshError, ValueError):
    """Something was asked for that cannot be: a bad address, option, hash or duration."""

    #: Whether a decorator is to blame, in a way that only a call brings to light: then it comes out of the call.
    mistake = False


class DeniedError(AfreshError):
    """The store refused: permissions, a read-only place, a wrong password or signature."""


class UnavailableError(AfreshError):
    """The store cannot be reached or cannot work now: down, full, busy, removed."""


class ConflictError(AfreshError):
    """Somebody else changed the entry first."""


class TooLargeError(AfreshError):
    """More bytes than the store or a limit takes."""


class CorruptError(AfreshError):
    """Stored bytes are not what was written."""


class CodecError(AfreshError):
    """A value could not be turned into bytes, or bytes into a value."""


class UnsupportedError(AfreshError):
    """The store does not have this ability."""


class TaskError(RuntimeError):
    """A submitted function raised.

    The message ends with the original traceback; ``__cause__`` is the original exception, and
    ``commit_hash`` names the failed commit where it could be recorded.
    """

    def __init__(self, message: str, *, commit_hash: str | None = None) -> None:
        super().__init__(message)
        self.commit_hash = commit_hash


class CacheWarning(UserWarning):
    """The cache could not do its best; the value is right all the same."""
