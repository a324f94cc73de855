"""What the key-value face raises beside the errors of afresh itself."""

from __future__ import annotations

from afresh.errors import AfreshError, ConfigError

__all__ = ["CircuitBreakerOpen", "ConflictError", "LockedError", "NotConfiguredError", "RateLimitError", "WrongKeyError"]


class NotConfiguredError(ConfigError):
    """No store was set up for a key."""


class WrongKeyError(ConfigError):
    """A key template asks for what the function does not have, or could give two calls one key."""


class LockedError(AfreshError):
    """Somebody else holds the lock."""


class ConflictError(AfreshError):
    """What a transaction read was changed by somebody else before it could commit. Nothing of it was done."""


class RateLimitError(AfreshError):
    """Too many calls."""


class CircuitBreakerOpen(AfreshError):
    """Calls fail too often; this one was not made."""
