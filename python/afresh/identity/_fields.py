"""What a class statement declared, read from the live class: used where its source cannot be had.

Annotations, and what dataclasses, attrs, pydantic and typing made of them. Members that are in the class's own
namespace (methods, defaults) are not repeated here. Nothing of it is evaluated: a forward reference stays a text.
"""

from __future__ import annotations


from ._model import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_DATACLASS = ("init", "repr", "hash", "compare", "kw_only", "metadata", "_field_type")
_ATTRS = (
    "default", "validator", "converter", "repr", "eq", "eq_key", "order", "order_key", "hash", "init", "metadata",
    "type", "kw_only", "on_setattr", "alias",
)  # fmt: skip
_PLAIN = (
    "__match_args__", "_fields", "__total__", "__required_keys__", "__optional_keys__", "__readonly_keys__",
    "__mutable_keys__", "__extra_items__", "__closed__", "__protocol_attrs__", "_is_runtime_protocol",
    "__orig_bases__", "__type_params__", "model_config",
)  # fmt: skip


def declared(cls: type) -> Iterator[tuple[str, Any]]:
    """Names and values that together say what the class statement said."""
    space = type.__dict__["__dict__"].__get__(cls)
    for name, kind in _annotations(cls, space).items():
        yield f"{name}:", kind
    for name in _PLAIN:
        if name in space:
            yield name, _settled(space[name])
    params = space.get("__dataclass_params__")
    if params is not None:
        yield "dataclass", [(name, getattr(params, name, None)) for name in getattr(type(params), "__slots__", ())]
    for name, field in _mapping(space.get("__dataclass_fields__")):
        for part in _DATACLASS:
            value: Any = getattr(field, part, None)
            if part == "_field_type":
                value = str(getattr(value, "name", ""))
            yield f"{name} {part}", dict(value or {}) if part == "metadata" else _unless_missing(value)
    for attribute in space.get("__attrs_attrs__", ()):
        for part in _ATTRS:
            value = getattr(attribute, part, None)
            yield f"{attribute.name} {part}", dict(value or {}) if part == "metadata" else _unless_missing(value)
    for name, field in _mapping(space.get("__pydantic_fields__")):
        yield f"field {name}", field
    decorators = space.get("__pydantic_decorators__")
    for kind in getattr(type(decorators), "__dataclass_fields__", ()):
        for name, one in _mapping(getattr(decorators, kind, None)):
            yield f"{kind} {name}", getattr(one, "info", None)


def _annotations(cls: type, space: Any) -> dict[str, Any]:
    found = space.get("__annotations__", MISSING)
    if found is MISSING:
        try:
            found = cls.__annotations__ if "__annotate_func__" in space or "__annotate__" in space else {}
        except Exception:
            found = {}
    return found if isinstance(found, dict) else {}


def _mapping(value: Any) -> list[tuple[str, Any]]:
    return [(name, one) for name, one in value.items() if isinstance(name, str)] if isinstance(value, dict) else []


def _settled(value: Any) -> Any:
    # Which of its names a class has is the same in every process; in which order a set gives them is not.
    return frozenset(value) if isinstance(value, (set, frozenset)) else value


def _unless_missing(value: Any) -> Any:
    # `dataclasses.MISSING` and attrs' `NOTHING` are told by their types.
    return None if type(value).__name__ in ("_MISSING_TYPE", "_Missing", "_Nothing") else value
