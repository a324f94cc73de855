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

    from afresh import metrics
    from afresh._afresh import register_digest
    from afresh._typed import memo
    from afresh.aclient import AsyncClient
    from afresh.cache import Cache, SyncCache
    from afresh.client import Client
    from afresh.codecs import JsonCodec, PickleCodec, SafePickleCodec
    from afresh.dependencies import Dir, Env, File
    from afresh.models import Accept, Commit, Planned, Stats, Usage
    from afresh.protocols import Executor, Serializer, Store
    from afresh.settings import configure, detect, disable, disabled, enable, enabled
    from afresh.why import Explanation
else:
    from afresh.memo import memo

__version__ = _afresh.__version__

__all__ = [
    "Accept",
    "AfreshError",
    "AsyncClient",
    "Cache",
    "CacheWarning",
    "Client",
    "CodecError",
    "Commit",
    "ConfigError",
    "ConflictError",
    "CorruptError",
    "DeniedError",
    "Dir",
    "Env",
    "Executor",
    "Explanation",
    "File",
    "JsonCodec",
    "PickleCodec",
    "Planned",
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
    "Usage",
    "configure",
    "detect",
    "disable",
    "disabled",
    "enable",
    "enabled",
    "memo",
    "register_digest",
]

# Loaded when first asked for, so that a script that only decorates a function starts quickly.
_LATER = {
    "Accept": "models",
    "AsyncClient": "aclient",
    "Cache": "cache",
    "Client": "client",
    "Commit": "models",
    "Dir": "dependencies",
    "Env": "dependencies",
    "Executor": "protocols",
    "Explanation": "why",
    "File": "dependencies",
    "JsonCodec": "codecs",
    "PickleCodec": "codecs",
    "Planned": "models",
    "SafePickleCodec": "codecs",
    "Serializer": "protocols",
    "Stats": "models",
    "Store": "protocols",
    "SyncCache": "cache",
    "Usage": "models",
    "configure": "settings",
    "detect": "settings",
    "disable": "settings",
    "disabled": "settings",
    "enable": "settings",
    "enabled": "settings",
    "register_digest": "_afresh",
}


# Modules that are used under their names: `afresh.metrics`.
_MODULES = ("metrics", "web")


def __getattr__(name: str) -> Any:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"afresh.{name}")
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module 'afresh' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"afresh.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_MODULES})
