"""The key-value face of afresh: ``Cache`` for event loops, ``SyncCache`` for threads, over one set of entries."""

from afresh.cache.cache import Cache
from afresh.cache.coding import register_type
from afresh.cache.commands import NOT_EXIST, UNLIMITED, SyncCache
from afresh.cache.conditions import NOT_NONE, only_exceptions, with_exceptions
from afresh.cache.errors import (
    CircuitBreakerOpen,
    LockedError,
    NotConfiguredError,
    RateLimitError,
    WrongKeyError,
)
from afresh.cache.filters import default_formatter
from afresh.cache.filters import register as register_filter
from afresh.cache.keys import key_context
from afresh.cache.routes import escape
from afresh.cache.sizes import memory_limit
from afresh.cache.ttl import KEEP

__all__ = [
    "KEEP",
    "NOT_NONE",
    "NOT_EXIST",
    "UNLIMITED",
    "Cache",
    "CircuitBreakerOpen",
    "LockedError",
    "NotConfiguredError",
    "RateLimitError",
    "SyncCache",
    "WrongKeyError",
    "default_formatter",
    "escape",
    "key_context",
    "memory_limit",
    "only_exceptions",
    "register_filter",
    "register_type",
    "with_exceptions",
]
