"""Data that has no digest as a whole, because something in it has none: an open file, a generator, a mock.

It is taken apart one level, and each piece is a component of its own, so that only the awkward one counts by its
type. This is done for containers and for instances of the project's classes; what a library made stays whole.
"""

from __future__ import annotations

import weakref

from . import _origin, _value
from ._model import Node, combine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._walk import Walker


class Shape:
    """Which pieces a value has, told apart by address: good for noticing that one was exchanged."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __afresh_key__(self) -> list[tuple[str, int]]:
        return [(label, id(piece)) for label, piece in pieces(self.value) or ()]


def pieces(value: Any) -> list[tuple[str, Any]] | None:
    """What a value consists of, with names for the parts; None for what is not taken apart."""
    cls = type(value)
    if cls in (list, tuple):
        return [(str(place), one) for place, one in enumerate(value)]
    if cls is dict or cls is weakref.WeakValueDictionary:
        found: list[tuple[str, Any]] = []
        for place, (key, one) in enumerate(value.items()):
            if type(key) is str:
                found.append((key, one))
            else:
                found += [(f"key {place}", key), (f"value {place}", one)]
        return found
    if cls is weakref.ReferenceType:
        return [("to", value())]
    if _origin.of_class(cls) != _origin.PROJECT and _value.kind_of(cls) != ("types", "SimpleNamespace"):
        return None
    found = [("class", cls)]
    for base in cls.__mro__:
        names = type.__dict__["__dict__"].__get__(base).get("__slots__", ())
        for name in (names,) if isinstance(names, str) else tuple(names):
            slot = type.__dict__["__dict__"].__get__(base).get(name)
            try:
                found.append((name, type(slot).__get__(slot, value, cls)))
            except Exception:
                continue
    try:
        space = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return found
    return found + sorted(((str(name), one) for name, one in space.items()), key=lambda pair: pair[0])


def expand(walker: Walker, node: Node, label: str, value: object, parts: list[tuple[str, Any]]) -> None:
    """Makes `node` the component of the parts of a value."""
    node.local = combine("pieces", [".".join(_value.kind_of(type(value))).encode("utf-8", "surrogatepass")])
    for name, one in parts:
        walker.use(node, name, one, f"{label}.{name}")
    walker.following(label, Shape(value))
