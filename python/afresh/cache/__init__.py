"""The key-value face of afresh: ``Cache`` for event loops, ``SyncCache`` for threads, over one set of entries."""

from afresh.cache.around import Command, invalidate_further
from afresh.cache.cache import Cache
from afresh.cache.coding import register_type
from afresh.cache.commands import NOT_EXIST, UNLIMITED, SyncCache
from afresh.cache.conditions import NOT_NONE, fast_condition, only_exceptions, with_exceptions
from afresh.cache.errors import (
    CircuitBreakerOpen,
    ConflictError,
    LockedError,
    NotConfiguredError,
    RateLimitError,
    WrongKeyError,
)
from afresh.cache.filters import default_formatter
from afresh.cache.filters import register as register_filter
from afresh.cache.keys import key_context, noself
from afresh.cache.routes import escape, register_backend
from afresh.cache.sizes import memory_limit
from afresh.cache.transaction import TransactionMode
from afresh.cache.ttl import KEEP

__all__ = [
    "KEEP",
    "NOT_NONE",
    "NOT_EXIST",
    "UNLIMITED",
    "Cache",
    "CircuitBreakerOpen",
    "Command",
    "ConflictError",
    "LockedError",
    "NotConfiguredError",
    "RateLimitError",
    "SyncCache",
    "TransactionMode",
    "WrongKeyError",
    "default_formatter",
    "escape",
    "fast_condition",
    "invalidate_further",
    "key_context",
    "memory_limit",
    "noself",
    "only_exceptions",
    "register_backend",
    "register_filter",
    "register_type",
    "with_exceptions",
]
