"""Callables around callables: partials, bound methods, properties, memoizers, builtin functions, and the
callable objects of libraries. Each is what it wraps plus what it was given; memoizers are seen through.
"""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType

from . import _origin, _value
from ._model import MISSING, Node, combine
from ._naming import function_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._walk import Walker

_PARTIAL = {("functools", "partial"), ("functools", "partialmethod")}
_SEEN_THROUGH = {("functools", "_lru_cache_wrapper")}
# Descriptors and what they hold, by the attributes that lead to it.
_HOLDERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("builtins", "property"): ("fget", "fset", "fdel"),
    ("builtins", "staticmethod"): ("__func__",),
    ("builtins", "classmethod"): ("__func__",),
    ("functools", "cached_property"): ("func",),
    ("functools", "singledispatchmethod"): ("dispatcher", "func"),
    ("types", "DynamicClassAttribute"): ("fget", "fset", "fdel"),
    ("enum", "property"): ("fget", "fset", "fdel"),
}


def node(walker: Walker, value: Any, cls: type, label: str) -> Node | None:
    """The component of a wrapper, or None if the value is none."""
    kind = _value.kind_of(cls)
    if kind in _SEEN_THROUGH:
        return walker.node(value.__wrapped__, label)
    if kind in _PARTIAL:
        made = Node("partial", label, combine("partial", [kind[1].encode()]))
        return walker.register(value, made, lambda: _partial(walker, made, value))
    if kind in _HOLDERS:
        made = Node("descriptor", label, combine("descriptor", [kind[1].encode()]))
        return walker.register(value, made, lambda: _holder(walker, made, value, _HOLDERS[kind]))
    origin = _origin.of_class(cls)
    if origin == _origin.AFRESH:
        if kind[0] == "afresh.dependencies":
            # What stands for a file or a variable is data, by what it stands for.
            return None
        memo = getattr(value, "memo", value)
        if getattr(memo, "__wrapped__", None) is None:
            return walker.leaf("handle", "afresh")
        return _remembered(walker, value, memo, label)
    if origin == _origin.PROJECT or not (callable(value) or hasattr(cls, "__get__")):
        return None
    held = _held(value)
    if held is None:
        return None
    library = walker.external(*kind)
    made = Node("wrapper", label, library.local)
    made.edges.append(("library", library))
    return walker.register(value, made, lambda: _library_callable(walker, made, held))


def _remembered(walker: Walker, value: Any, memo: Any, label: str) -> Node:
    """A remembered function is what it wraps, and what was said of that."""
    track, declared = getattr(memo, "_track", ()), getattr(memo, "_depends_on", ())
    version = getattr(memo, "_version", None)
    if version is None and not declared and not track:
        return walker.node(memo.__wrapped__, label)
    walker.tracks.update(track)
    said = [kind.encode() for kind in track]
    if version is not None:
        said.append(b"version " + version.encode("utf-8", "surrogatepass"))
    made = Node("remembered", label, combine("remembered", said))

    def expand() -> None:
        walker.use(made, "func", memo.__wrapped__)
        for index, dependency in enumerate(declared):
            walker.use(made, f"depends_on[{index}]", dependency, f"{label} depends_on[{index}]")

    return walker.register(value, made, expand)


def _partial(walker: Walker, made: Node, value: Any) -> None:
    walker.use(made, "func", value.func)
    for index, argument in enumerate(value.args):
        walker.use(made, f"{index}", argument, f"partial argument {index}")
    keywords = value.keywords or {}
    walker.counting(keywords)
    for name, argument in sorted(keywords.items()):
        walker.watching(keywords, name, argument)
        walker.use(made, f"{name}=", argument, f"partial argument {name}")


def _holder(walker: Walker, made: Node, value: Any, attributes: tuple[str, ...]) -> None:
    for attribute in attributes:
        inner = getattr(value, attribute, None)
        if inner is not None:
            walker.use(made, attribute, inner)


def _held(value: Any) -> list[tuple[str, Any]] | None:
    """What a library's callable keeps of the project, or None if nothing: then it is ordinary data."""
    try:
        space = object.__getattribute__(value, "__dict__")
    except AttributeError:
        space = {}
    items = sorted((name, inner) for name, inner in space.items() if isinstance(name, str)) if space else []
    for name in ("__wrapped__", "py_func", "func", "pyfunc"):
        if name not in space:
            inner = getattr(type(value), name, MISSING)
            if inner is not MISSING and not isinstance(inner, FunctionType):
                try:
                    items.append((name, getattr(value, name)))
                except Exception:
                    continue
    if not any(isinstance(inner, FunctionType) and _is_project(inner) for _, inner in items):
        return None
    return [(name, inner) for name, inner in items if isinstance(inner, FunctionType) or _is_setting(inner)]


def _is_setting(value: Any) -> bool:
    """Plain values and keyword arguments, as opposed to what a memoizer has stored."""
    if type(value) is dict:
        return bool(value) and all(type(key) is str and _value.is_frozen(one) for key, one in value.items())
    return _value.is_frozen(value)


def holds_project(value: Any) -> bool:
    """Whether a library's callable keeps code of the project."""
    return callable(value) and _origin.of_class(type(value)) != _origin.PROJECT and _held(value) is not None


def _is_project(func: FunctionType) -> bool:
    return _origin.of_space(func.__globals__) == _origin.PROJECT


def _library_callable(walker: Walker, made: Node, held: list[tuple[str, Any]]) -> None:
    for name, inner in held:
        if name not in ("__doc__", "__module__", "__name__", "__qualname__"):
            walker.use(made, name, inner)


def method(walker: Walker, value: Any, label: str) -> Node:
    """A bound method: the function and the instance."""
    made = Node("method", label, combine("method", []))

    def expand() -> None:
        walker.use(made, "func", value.__func__)
        walker.use(made, "self", value.__self__, f"{label} (instance)")

    return walker.register(value, made, expand)


def builtin(walker: Walker, value: Any) -> Node:
    """A function of C code: by its name, and what it is bound to. A compiled module of the project by its bytes."""
    owner = getattr(value, "__self__", None)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "?")
    if owner is not None and not isinstance(owner, (ModuleType, type)):
        made = Node("method", function_name(value), combine("builtin", [str(name).encode()]))
        return walker.register(value, made, lambda: walker.use(made, "self", owner, function_name(value)))
    module = getattr(value, "__module__", None)
    if not isinstance(module, str):
        home = getattr(value, "__objclass__", None) or (owner if isinstance(owner, type) else None)
        module = _value.kind_of(home)[0] if home is not None else "builtins"
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if isinstance(file, str) and _origin.of_module(module, file) == _origin.PROJECT:
        from ._modules import binary

        return binary(walker, module, str(name), file)
    return walker.external(module, str(name))


def typing_form(walker: Walker, value: Any, label: str) -> Node:
    """A type written with brackets, a union, a type variable: by its name and its arguments."""
    kind = ".".join(_value.kind_of(type(value)))
    name = getattr(value, "__name__", None) or getattr(value, "_name", None)
    made = Node("type", label, combine("type", [kind.encode(), str(name or "").encode("utf-8", "surrogatepass")]))

    def expand() -> None:
        origin = getattr(value, "__origin__", None)
        if origin is not None:
            walker.use(made, "origin", origin)
        for index, argument in enumerate(getattr(value, "__args__", ()) or ()):
            walker.use(made, f"{index}", argument, f"{label} argument {index}")
        for attribute in ("__metadata__", "__forward_arg__", "__bound__", "__constraints__", "__supertype__"):
            inner = getattr(value, attribute, None)
            if inner:
                walker.use(made, attribute, inner)

    return walker.register(value, made, expand)
