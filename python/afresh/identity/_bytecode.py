"""The stand-in where there is no source: a code object's digest and the names it reaches.

Positions, file names and the order of frozensets are left out; nested code objects are followed. The digest holds
for one minor version of Python only, which is why source is preferred.
"""

from __future__ import annotations

import sys
from types import CodeType

from afresh import _afresh

from ._model import combine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Reference = tuple[int, str, "str | None", tuple[str, ...], bool]

_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}".encode()
_HAS_DOCSTRING = 0x4000000
# Optimized, with locals of its own.
_FUNCTION = 0x3
# `from __future__ import annotations` shows in the code where it makes a difference.
_ANNOTATIONS = 0x1000000
_MARKS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS")


def _has_docstring(code: CodeType) -> bool:
    if sys.version_info >= (3, 13):
        return bool(code.co_flags & _HAS_DOCSTRING)
    # The first constant of a function by name is its docstring or None; other code has none.
    return code.co_flags & _FUNCTION == _FUNCTION and not code.co_name.startswith("<")


def code_digest(code: CodeType) -> bytes:
    """The digest of what a code object does, without docstrings."""
    consts = list(code.co_consts)
    if consts and isinstance(consts[0], str) and _has_docstring(code):
        consts[0] = None
    numbers = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & ~_ANNOTATIONS)
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    parts = [_VERSION, code.co_code, getattr(code, "co_exceptiontable", b"")]
    parts.append(_text(numbers))
    parts.append(_text(names))
    parts.extend(_const(value) for value in consts)
    return combine("bytecode", parts)


def _text(value: Any) -> bytes:
    # Tuples of names and numbers only, so their text is exact.
    return repr(value).encode("utf-8", "surrogatepass")


def _const(value: object) -> bytes:
    if isinstance(value, CodeType):
        return code_digest(value)
    if type(value) is tuple:
        return combine("tuple", [_const(item) for item in value])
    if type(value) is frozenset:
        return combine("frozenset", sorted(_const(item) for item in value))
    return _afresh.digest_value(value)[0]


def references(code: CodeType) -> tuple[Reference, ...]:
    """The names a code object loads from outside, with the attributes taken of them at once."""
    import dis

    found: dict[Reference, None] = {}
    own = set(code.co_cellvars)
    path: list[str] = []
    origin: tuple[int, str, str | None] = (-1, "", None)
    level = 0

    def close() -> None:
        if path or origin[0] >= 0:
            reference: Reference = (*origin, tuple(path), False)
            found[reference] = None
        path.clear()

    module = ""
    for step in dis.get_instructions(code):
        name, value = step.opname, step.argval
        if name in ("LOAD_ATTR", "LOAD_METHOD") and (path or origin[0] >= 0):
            path.append(str(value))
            continue
        if name in ("PUSH_NULL", "CACHE", "EXTENDED_ARG", "NOP"):
            continue
        close()
        origin = (-1, "", None)
        if name in _MARKS and value not in own:
            path.append(str(value))
        elif name in ("LOAD_CONST", "LOAD_SMALL_INT") and isinstance(value, int):
            level = value
        elif name == "IMPORT_NAME":
            # What is done with a module bound to a local cannot be told: it counts as a whole.
            module = str(value)
            found[(level, module, None, (), False)] = None
        elif name == "IMPORT_FROM":
            found.pop((level, module, None, (), False), None)
            found[(level, module, str(value), (), False)] = None
    close()
    for const in code.co_consts:
        if isinstance(const, CodeType):
            for inner in references(const):
                if not (inner[0] < 0 and inner[3][0] in own):
                    found[inner] = None
    return tuple(sorted(found, key=lambda ref: (ref[0], ref[1], ref[2] or "", ref[3])))
