"""Remember what functions returned, in any process, until something they depend on changes.

>>> import afresh
>>> @afresh.memo(store="memory:")
... def area(width, height=1):
...     return width * height
>>> area(3), area(width=3, height=1)
(3, 3)
"""

from __future__ import annotations

from afresh import _afresh
from afresh.errors import (
    AfreshError,
    CacheWarning,
    CodecError,
    ConfigError,
    ConflictError,
    CorruptError,
    DeniedError,
    TaskError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from afresh.refs import ResultRef, TaskRef

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afresh._afresh import register_digest
    from afresh._typed import memo
    from afresh.cache import Cache, SyncCache
    from afresh.client import Client
    from afresh.codecs import JsonCodec, PickleCodec, SafePickleCodec
    from afresh.models import Commit, Stats
    from afresh.protocols import Executor, Serializer, Store
    from afresh.why import Explanation
else:
    from afresh.memo import memo

__version__ = _afresh.__version__

__all__ = [
    "AfreshError",
    "Cache",
    "CacheWarning",
    "Client",
    "CodecError",
    "Commit",
    "ConfigError",
    "ConflictError",
    "CorruptError",
    "DeniedError",
    "Executor",
    "Explanation",
    "JsonCodec",
    "PickleCodec",
    "ResultRef",
    "SafePickleCodec",
    "Serializer",
    "Stats",
    "Store",
    "SyncCache",
    "TaskError",
    "TaskRef",
    "TooLargeError",
    "UnavailableError",
    "UnsupportedError",
    "memo",
    "register_digest",
]

# Loaded when first asked for, so that a script that only decorates a function starts quickly.
_LATER = {
    "Cache": "cache",
    "Client": "client",
    "Commit": "models",
    "Executor": "protocols",
    "Explanation": "why",
    "JsonCodec": "codecs",
    "PickleCodec": "codecs",
    "SafePickleCodec": "codecs",
    "Serializer": "protocols",
    "Stats": "models",
    "Store": "protocols",
    "SyncCache": "cache",
    "register_digest": "_afresh",
}


def __getattr__(name: str) -> Any:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module 'afresh' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"afresh.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
