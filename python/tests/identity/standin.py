"""A stand-in for `_afresh.digest_value`, for running these tests before the extension has it.

Covers what the corpus refers to and no more: scalars, containers, enum members, plain objects, and anything
pickle can write. It is not the canonical digest and is never shipped.
"""

from __future__ import annotations

import enum
import hashlib
import pickle
import types
from typing import Any

_CODE = (types.FunctionType, type, types.MethodType, types.BuiltinFunctionType)


def digest_value(value: Any) -> tuple[bytes, tuple[str, ...]]:
    notes: list[str] = []
    return _digest(value, notes, []), tuple(notes)


def _join(tag: str, *parts: bytes) -> bytes:
    hasher = hashlib.blake2b(tag.encode() + b"\0", digest_size=32)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "little") + part)
    return hasher.digest()


def _digest(value: Any, notes: list[str], stack: list[int]) -> bytes:
    from afresh.identity import callable_digest

    cls = type(value)
    if cls in (type(None), bool, int, float, complex, str, bytes, type(...)):
        return _join(cls.__name__, ascii(value).encode())
    if isinstance(value, _CODE) or cls.__module__ == "functools":
        return _join("code", callable_digest(value))
    if id(value) in stack:
        return _join("back", str(len(stack) - stack.index(id(value))).encode())
    stack.append(id(value))
    try:
        if hasattr(cls, "__afresh_key__"):
            return _join("key", _digest(value.__afresh_key__(), notes, stack))
        if cls in (list, tuple):
            return _join(cls.__name__, *(_digest(item, notes, stack) for item in value))
        if cls in (set, frozenset):
            return _join(cls.__name__, *sorted(_digest(item, notes, stack) for item in value))
        if isinstance(value, dict):
            pairs = ((_digest(k, notes, stack), _digest(v, notes, stack)) for k, v in value.items())
            kind = b"" if cls.__module__ in ("builtins", "collections") else callable_digest(cls)
            return _join(cls.__name__, kind, *(part for pair in sorted(pairs) for part in pair))
        if isinstance(value, enum.Enum):
            return _join("enum", callable_digest(cls), value.name.encode())
        if cls.__module__ not in ("re", "datetime", "decimal", "pathlib", "builtins") and hasattr(value, "__dict__"):
            state = {**value.__dict__}
            for base in cls.__mro__:
                names = base.__dict__.get("__slots__", ())
                for name in (names,) if isinstance(names, str) else names:
                    if hasattr(value, name):
                        state[name] = getattr(value, name)
            return _join("object", callable_digest(cls), _digest(state, notes, stack))
        try:
            return _join("pickle", cls.__qualname__.encode(), pickle.dumps(value, protocol=4))
        except Exception:
            notes.append(f"{cls.__qualname__} is identified by its type only")
            return _join("opaque", cls.__qualname__.encode())
    finally:
        stack.pop()
