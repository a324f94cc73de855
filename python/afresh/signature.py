"""A function's parameters, as the binder takes them: (name, kind, has default, default, ignored).

Plain functions are read off their code object, which needs no ``inspect``; anything else callable goes through
``inspect.signature``, and what has no signature takes any arguments as they come.
"""

from __future__ import annotations

import types

from afresh.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Spec = tuple[str, int, bool, Any, bool]

class LeftOut:
    """Stands for an argument that was not given."""

    __slots__ = ()


_LEFT_OUT = LeftOut()
_ANYTHING = [("args", 2, False, None), ("kwargs", 4, False, None)]


def parameters(function: Callable[..., Any], ignore: tuple[str, ...] = ()) -> tuple[Spec, ...]:
    """The parameters of ``function``; those named in ``ignore`` are left out of the key."""
    found = (
        _of_code(function)
        if isinstance(function, types.FunctionType) and not hasattr(function, "__wrapped__")
        else _of_signature(function)
    )
    names = [name for name, *_ in found]
    for name in ignore:
        if name not in names:
            raise ConfigError(
                f"ignore names `{name}`, which is not a parameter",
                hint=f"the parameters are {', '.join(names)}",
            )
    return tuple((*parameter, parameter[0] in ignore) for parameter in found)


def _of_code(function: types.FunctionType) -> list[tuple[str, int, bool, Any]]:
    code = function.__code__
    names = code.co_varnames
    defaults = function.__defaults__ or ()
    keyword_defaults = function.__kwdefaults__ or {}
    positional, keyword = code.co_argcount, code.co_kwonlyargcount
    first_default = positional - len(defaults)
    found: list[tuple[str, int, bool, Any]] = []
    for index, name in enumerate(names[:positional]):
        kind = 0 if index < code.co_posonlyargcount else 1
        has = index >= first_default
        found.append((name, kind, has, defaults[index - first_default] if has else None))
    at = positional + keyword
    if code.co_flags & 0x04:
        found.append((names[at], 2, False, None))
        at += 1
    for name in names[positional : positional + keyword]:
        found.append((name, 3, name in keyword_defaults, keyword_defaults.get(name)))
    if code.co_flags & 0x08:
        found.append((names[at], 4, False, None))
    return found


def _of_signature(function: Callable[..., Any]) -> list[tuple[str, int, bool, Any]]:
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return list(_ANYTHING)
    # A wrapper may fill in defaults of its own: what it was not given is told apart from the default within.
    follows = hasattr(function, "__wrapped__") and not hasattr(function, "__signature__")
    found: list[tuple[str, int, bool, Any]] = []
    for parameter in signature.parameters.values():
        has = parameter.default is not parameter.empty
        default = (_LEFT_OUT if follows else parameter.default) if has else None
        found.append((parameter.name, int(parameter.kind), has, default))
    return found
