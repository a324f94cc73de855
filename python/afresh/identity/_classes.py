"""Classes: the statement that made them, and what they have become.

The source gives the shell: bases, keywords, decorators, fields with their annotations, everything in the body but
the methods. Methods, properties and attributes are taken from the live class, so that a patched method is seen;
each is watched. Attributes that Python or a library generated from the shell are left out.
"""

from __future__ import annotations

import gc
import sys
from types import FunctionType, GetSetDescriptorType, MappingProxyType, MemberDescriptorType

from . import _bytecode, _fields, _functions, _origin, _texts, _value
from ._model import MISSING, Node, combine
from ._naming import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._walk import Walker

_BOOKKEEPING = frozenset({
    "__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__annotate__",
    "__annotate_func__", "__annotations_cache__", "__firstlineno__", "__static_attributes__",
    "__dataclass_fields__", "__dataclass_params__", "__match_args__", "__abstractmethods__", "_abc_impl",
    "__parameters__", "__orig_bases__", "__type_params__", "__classcell__", "__protocol_attrs__", "_is_protocol",
    "_is_runtime_protocol", "__non_callable_proto_members__", "__attrs_attrs__", "__attrs_own_setattr__",
    "__attrs_props__", "__conditional_annotations__",
    "model_config", "model_fields", "model_computed_fields", "__class_vars__", "__private_attributes__", "_fields",
    "_field_defaults", "_field_types", "__total__", "__required_keys__", "__optional_keys__", "__readonly_keys__",
    "__mutable_keys__", "__extra_items__", "__closed__", "_member_names_", "_member_map_", "_value2member_map_",
    "_member_type_", "_value_repr_", "_unhashable_values_", "_hashable_values_", "_unhashable_values_map_",
    "_use_args_", "_new_member_", "_generate_next_value_", "_sort_order_", "_missing_called_", "__new_member__",
    "__init_subclass_called__", "__slotnames__",
})  # fmt: skip


_CODE = (FunctionType, classmethod, staticmethod, property)


def real_dict(proxy: Any) -> Any:
    """The dict behind a mapping proxy: what a class's attributes are looked up in."""
    referents = gc.get_referents(proxy) if type(proxy) is MappingProxyType else []
    return referents[0] if len(referents) == 1 and isinstance(referents[0], dict) else dict(proxy)


def node(walker: Walker, cls: type) -> Node:
    """The component of a class."""
    module, qualname = _value.kind_of(cls)
    origin = _origin.of_class(cls)
    if origin == _origin.PROJECT and cls.__flags__ & (1 << 9):
        made = Node("class", f"{module_name(module)}.{qualname}")
        return walker.register(cls, made, lambda: expand(walker, made, cls))
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if origin == _origin.PROJECT and isinstance(file, str):
        from ._modules import binary

        return binary(walker, module, qualname, file)
    return walker.external(module, qualname)


def _members(cls: type) -> list[tuple[str, Any]]:
    """The attributes that are somebody's work, by name."""
    names = _value.members(cls)
    is_tuple = "_field_defaults" in cls.__dict__
    members = []
    for name, value in type.__dict__["__dict__"].__get__(cls).items():
        if not isinstance(name, str) or name in _BOOKKEEPING or name.startswith("__pydantic_"):
            continue
        if isinstance(value, (MemberDescriptorType, GetSetDescriptorType)):
            continue
        if isinstance(value, FunctionType) and _is_generated(cls, value, names is not None or is_tuple):
            continue
        if name == "__hash__" and value is None:
            continue
        if names is not None and (name in names or (name.startswith("_") and not isinstance(value, _CODE))):
            continue
        if is_tuple and _value.kind_of(type(value))[0] in ("collections", "_collections"):
            continue
        if is_tuple and isinstance(value, (classmethod, staticmethod)) and _is_library(value.__func__):
            continue
        members.append((name, value))
    members.sort(key=lambda pair: pair[0])
    return members


def _is_generated(cls: type, func: FunctionType, derived: bool) -> bool:
    """Made by `dataclass`, `attrs`, `Enum` or `NamedTuple` from what the shell says."""
    code = func.__code__
    if code.co_filename.startswith("<attrs"):
        return True
    if derived:
        return _is_library(func)
    if "__dataclass_fields__" not in cls.__dict__:
        return False
    if func.__globals__.get("__name__") in ("dataclasses", "reprlib"):
        return True
    # dataclasses builds its methods inside a function of this name; 3.10 does not record it.
    made_in = getattr(code, "co_qualname", None)
    if made_in is None:
        return code.co_filename == "<string>" and func.__name__.startswith("__") and code.co_firstlineno < 4
    return bool(made_in.startswith("__create_fn__"))


def _is_library(func: Any) -> bool:
    if not isinstance(func, FunctionType):
        return True
    home = func.__globals__.get("__name__")
    made = isinstance(home, str) and home.startswith("namedtuple_")
    return made or _origin.of_space(func.__globals__) == _origin.STANDARD


def _functions_of(members: list[tuple[str, Any]]) -> list[FunctionType]:
    found = []
    for _, value in members:
        inner = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
        seen = 0
        while isinstance(inner, FunctionType) and "__wrapped__" in inner.__dict__ and seen < 20:
            inner, seen = inner.__dict__["__wrapped__"], seen + 1
        if isinstance(inner, FunctionType):
            found.append(inner)
    return found


def _source(
    walker: Walker, cls: type, space: dict[str, Any], methods: list[FunctionType]
) -> tuple[_texts.Definition, _texts.Text] | None:
    """The class statement, if it can be found and is what was executed."""
    qualname = _value.kind_of(cls)[1]
    # A library that makes methods may give them the names of the class.
    own = [func for func in methods if func.__qualname__.startswith(f"{qualname}.") and func.__globals__ is space]
    line = cls.__dict__.get("__firstlineno__")
    file = space.get("__file__")
    if own:
        file = own[0].__code__.co_filename
        line = line or own[0].__code__.co_firstlineno
    if not isinstance(file, str):
        file = "<string>"
    try:
        text = _texts.of_code(file, space)
        if text is None:
            return None
        ignored = walker.ignored_in(space)
        found: _texts.Definition = text.source.class_(qualname, line, False, ignored)
    except Exception:
        return None
    if not text.is_certain(space) and not (own and all(text.confirms(func.__code__, space) for func in own)):
        return None
    return found, text


def expand(walker: Walker, made: Node, cls: type) -> None:
    """Fills in the component of a class of the project."""
    module, qualname = _value.kind_of(cls)
    members = _members(cls)
    methods = _functions_of(members)
    loaded = sys.modules.get(module)
    space: dict[str, Any] = loaded.__dict__ if loaded is not None else {}
    if methods and methods[0].__globals__.get("__name__") == module:
        space = methods[0].__globals__
    found = _source(walker, cls, space, methods)
    references: tuple[_bytecode.Reference, ...] = ()
    if found is not None:
        definition, text = found
        made.local = combine("class-source", [definition[0]])
        made.found(text, definition, module_name(module), walker.ignored_in(space))
        references = definition[1]
    else:
        made.local = combine("class-live", [qualname.encode("utf-8", "surrogatepass")])
        for name, value in _fields.declared(cls):
            walker.use(made, name, value, f"{qualname} {name}")
    _ancestors(walker, made, cls)
    _kin(walker, made, cls, methods)
    for reference in references:
        _functions.resolve(walker, made, space, reference, required=False)
    _defaults(walker, made, cls)
    attributes = real_dict(type.__dict__["__dict__"].__get__(cls))
    walker.counting(attributes)
    walker.watching(cls, "__mro__", cls.__mro__)
    for name, value in members:
        walker.watching(attributes, name, value)
        walker.use(made, name, value, f"{qualname}.{name}")


def _ancestors(walker: Walker, made: Node, cls: type) -> None:
    for index, base in enumerate(cls.__bases__):
        if base is not object:
            walker.use(made, f"base {index}", base)
    # The metaclasses of the standard library follow from the bases, and have changed names.
    if type(cls) is not type and _origin.of_class(type(cls)) != _origin.STANDARD:
        walker.use(made, "metaclass", type(cls))


def _kin(walker: Walker, made: Node, cls: type, methods: list[FunctionType]) -> None:
    """Classes that answer for this one: those registered with an abstract class, and its subclasses if asked for."""
    if type.__dict__["__dict__"].__get__(cls).get("_abc_impl") is not None:
        for other in _value.registered(cls):
            walker.use(made, "registered", other)
        walker.following("registered classes", walker.registrations)
    if any("__subclasses__" in func.__code__.co_names for func in methods):
        descendants(walker, made, cls)


def descendants(walker: Walker, made: Node, cls: type) -> None:
    """The subclasses of a class."""
    kin = _value.Kin(cls)
    for other in kin.classes():
        walker.use(made, "subclass", other)
    walker.following(f"subclasses of {_value.kind_of(cls)[1]}", kin)


def _defaults(walker: Walker, made: Node, cls: type) -> None:
    """Default values that generated code keeps out of sight, and the members of an enumeration."""
    fields = cls.__dict__.get("__dataclass_fields__")
    if isinstance(fields, dict):
        for name, field in fields.items():
            for attribute in ("default", "default_factory"):
                value = getattr(field, attribute, None)
                if value is not None and _value.kind_of(type(value)) != ("dataclasses", "_MISSING_TYPE"):
                    walker.use(made, f"{name} {attribute}", value, f"{cls.__qualname__}.{name} {attribute}")
    defaults = cls.__dict__.get("_field_defaults")
    if isinstance(defaults, dict):
        for name, value in defaults.items():
            walker.use(made, f"{name} default", value, f"{cls.__qualname__}.{name} default")
    members = _value.members(cls)
    if members is not None:
        for name, member in members.items():
            value = getattr(member, "_value_", MISSING)
            if value is not MISSING:
                walker.use(made, f"member {name}", value, f"{cls.__qualname__}.{name}")
