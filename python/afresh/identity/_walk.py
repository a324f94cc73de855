"""The walk from a callable to everything it reaches, and the two functions that start one.

A walk makes one component per function, class or value and expands them from a queue, so that neither cycles nor
long chains of helpers matter. On the way it collects what has to be looked at later: name → object pairs
(`watch`), data that can change in place (`mutable`), and what was identified only weakly (`opaque`). What each
kind of object consists of is written in the modules beside this one.
"""

from __future__ import annotations

import sys
import weakref
from _collections import deque  # type: ignore[import-not-found]  # without the package around it
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    GenericAlias,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    UnionType,
    WrapperDescriptorType,
)

from afresh import _afresh

from . import _classes, _functions, _modules, _origin, _pieces, _value, _wrappers
from ._model import MISSING, Identity, Node, Seen, combine, reachable, root_digest, state
from ._naming import function_name, qualified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._model import Mutable, Watch

_LIMIT = 20_000
_BUILTIN = (
    BuiltinFunctionType,
    MethodDescriptorType,
    WrapperDescriptorType,
    MethodWrapperType,
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
)


class Walker:
    """One walk. Components are handed out at once and filled in later."""

    def __init__(self, depth: int = 0) -> None:
        # How many walks led to this one.
        self.depth = depth
        self.nodes: dict[int, Node] = {}
        self.named: dict[tuple[str, ...], Node] = {}
        self.queue: deque[Callable[[], None]] = deque()
        self.keep: list[object] = []
        self.watch: dict[tuple[int, str], Watch] = {}
        self.sizes: dict[int, dict[str, Any]] = {}
        self.mutable: dict[int, Mutable] = {}
        self.opaque: dict[str, None] = {}
        self.ignored: dict[int, list[str]] = {}
        self.tracks: set[str] = set()
        self.registrations = _value.Registrations()

    # What the caller has to look at later.

    def watching(self, space: Any, key: str, value: Any) -> None:
        """Remembers that this name led to this object: in a namespace, or as an attribute of anything else."""
        self.watch.setdefault((id(space), key), (space, key, value))

    def counting(self, space: Any) -> None:
        """Remembers how many names a namespace has."""
        if type(space) is dict:
            self.sizes[id(space)] = space

    def changing(self, label: str, value: Any, digest: bytes) -> None:
        """Remembers data that can change in place."""
        key = id(_value.inside(value))
        self.mutable.setdefault(key, (label, value, digest))

    def following(self, label: str, probe: _value.Kin | _value.Registrations | _pieces.Shape) -> None:
        """Remembers something that is looked at through a probe."""
        self.keep.append(probe)
        self.changing(label, probe, _afresh.digest_value(probe)[0])

    def seen(self) -> Seen:
        """Everything a caller has to look at later."""
        watch: list[Watch] = []
        absent: list[tuple[dict[str, Any], str]] = []
        attributes: list[Watch] = []
        for space, key, value in self.watch.values():
            if type(space) is not dict:
                attributes.append((space, key, value))
            elif value is MISSING:
                absent.append((space, key))
            else:
                watch.append((space, key, value))
        return Seen(
            tuple(watch),
            tuple(absent),
            tuple(attributes),
            # Counted at the end: to read an instance makes `copyreg` note the names of its slots in the class.
            tuple((space, len(space)) for space in self.sizes.values()),
            tuple(self.mutable.values()),
        )

    def weak(self, note: str) -> None:
        """Remembers something that could be identified only weakly."""
        self.opaque.setdefault(note)

    # Components.

    def run(self, root: object, whole: bool = False) -> Node:
        """Walks everything reachable from `root`."""
        if whole and isinstance(root, ModuleType):
            node = _modules.node(self, root, whole)
        else:
            node = self.node(root, function_name(root))
        while self.queue:
            self.queue.popleft()()
        return node

    def use(self, node: Node, label: str, value: object, name: str | None = None) -> None:
        """Adds the component of a value to those that `node` uses."""
        node.edges.append((label, self.node(value, name or label)))

    def leaf(self, kind: str, name: str, *parts: str) -> Node:
        """A component that consists of its name alone."""
        key = (kind, *(parts or (name,)))
        node = self.named.get(key)
        if node is None:
            node = Node(kind, name, combine(kind, [part.encode("utf-8", "surrogatepass") for part in key[1:]]))
            self.named[key] = node
        return node

    def external(self, module: str, name: str, file: str | None = None) -> Node:
        """Something of a library: by distribution and version, or of the standard library by name."""
        origin = _origin.of_module(module, file or _file_of(module))
        full = f"{module}.{name}" if name else module
        if origin != _origin.THIRD_PARTY:
            return self.leaf("external", full)
        found = _origin.distribution(module, file or _file_of(module))
        if not found.version:
            self.weak(f"{full}: the version of {found.name} is not known")
        return self.leaf("external", full, found.name, found.version, full)

    def register(self, value: object, node: Node, expand: Callable[[], None]) -> Node:
        """Makes `node` the component of `value`, to be filled in by `expand`."""
        self.nodes[id(value)] = node
        self.keep.append(value)
        if len(self.nodes) > _LIMIT:
            self.weak(f"more than {_LIMIT} components: the rest is identified by name only")
            node.local = combine("limit", [node.name.encode("utf-8", "surrogatepass")])
            return node
        self.queue.append(lambda: self._guard(node, expand))
        return node

    def _guard(self, node: Node, expand: Callable[[], None]) -> None:
        try:
            expand()
        except Exception as error:
            # What was found out so far counts.
            own = node.local or node.name.encode("utf-8", "surrogatepass")
            node.local = combine("unknown", [node.kind.encode(), own])
            self.weak(f"{node.name}: cannot be looked into wholly ({type(error).__name__})")

    def node(self, value: Any, label: str) -> Node:
        """The component of any object."""
        cls = type(value)
        if cls in _value.SCALARS:
            node = Node("data", label)
            _value.fill(self, node, label, value)
            return node
        known = self.nodes.get(id(value))
        if known is not None:
            return known
        try:
            return self._new(value, cls, label)
        except Exception as error:
            kind = ".".join(_value.kind_of(cls))
            self.weak(f"{label}: {kind} cannot be looked into ({type(error).__name__})")
            return self.leaf("unknown", kind)

    def _new(self, value: Any, cls: type, label: str) -> Node:
        if cls is FunctionType:
            return _functions.node(self, value)
        # By the type, as a value may lie about its class.
        if issubclass(cls, type):
            return _classes.node(self, value)
        if issubclass(cls, ModuleType):
            return _modules.node(self, value)
        if issubclass(cls, _BUILTIN) or _is_compiled(value, cls):
            return _wrappers.builtin(self, value)
        if cls is MethodType:
            return _wrappers.method(self, value, label)
        if issubclass(cls, (GenericAlias, UnionType)) or _value.kind_of(cls)[0] in ("typing", "typing_extensions"):
            return _wrappers.typing_form(self, value, label)
        if issubclass(cls, MappingProxyType):
            return self._data(_classes.real_dict(value), label)
        wrapped = _wrappers.node(self, value, cls, label)
        if wrapped is not None:
            return wrapped
        if _value.is_not_data(value):
            return self.leaf("handle", ".".join(_value.kind_of(cls)))
        return self._data(value, label)

    def _data(self, value: Any, label: str) -> Node:
        node = Node("data", label)
        self.nodes[id(value)] = node
        self.keep.append(value)
        _value.fill(self, node, label, value)
        return node

    # Names.

    def follow(self, value: Any, attributes: tuple[str, ...], label: str) -> Node:
        """The component that a chain of attributes leads to; every step through a module is watched."""
        # The name of what is found ends where the chain does.
        depth = label.count(".") + 1 - len(attributes)
        for index, attribute in enumerate(attributes):
            if issubclass(type(value), ModuleType):
                found = _modules.attribute(self, value, attribute, attributes[index + 1 :], label)
                if isinstance(found, Node):
                    return found
                value = found[0]
            elif type(value) is FunctionType and attribute in value.__dict__:
                inner = value.__dict__[attribute]
                self.watching(value.__dict__, attribute, inner)
                if attribute == "__wrapped__":
                    break
                value = inner
            else:
                if type(value) is FunctionType and not hasattr(FunctionType, attribute):
                    self.watching(value.__dict__, attribute, MISSING)
                elif issubclass(type(value), type) and attribute == "__subclasses__":
                    made = Node("descendants", label, combine("descendants", []))
                    _classes.descendants(self, made, value)
                    self.use(made, "class", value)
                    return made
                return self.node(value, ".".join(label.split(".")[: depth + index]) or label)
        return self.node(value, label)

    def ignored_in(self, space: dict[str, Any]) -> list[str]:
        """The names by which a module knows afresh: decorators made of them say nothing about the answer."""
        known = self.ignored.get(id(space))
        if known is None:
            known = self.ignored[id(space)] = [name for name, value in list(space.items()) if _is_afresh(value)]
            self.keep.append(space)
        return known

    # What `digest_value` meets inside a value.

    def deep(self, value: object) -> bytes:
        """What tells a function or class apart with all it uses."""
        outer = getattr(state, "mode", None)
        state.mode = None
        try:
            walker = Walker(self.depth + 1)
            return root_digest(reachable(walker.run(value)))
        finally:
            state.mode = outer

    def shallow(self, value: object) -> bytes:
        """What tells a function or class apart without following what it uses."""
        if type(value) is FunctionType:
            return _functions.shallow(self, value)
        if isinstance(value, type):
            return combine("class", [".".join(_value.kind_of(value)).encode("utf-8", "surrogatepass")])
        return combine("other", [function_name(value).encode("utf-8", "surrogatepass")])


def _file_of(module: str) -> str | None:
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    return file if isinstance(file, str) else None


def _is_afresh(value: Any) -> bool:
    # Asked of everything in a namespace, so by type only: what a value says of itself may raise.
    cls = type(value)
    if cls is ModuleType:
        return _top(value.__dict__.get("__name__")) == "afresh"
    if cls is FunctionType or cls is BuiltinFunctionType:
        return _top(value.__module__) == "afresh"
    if issubclass(cls, type):
        return _top(_value.kind_of(value)[0]) == "afresh"
    return _top(_value.kind_of(cls)[0]) == "afresh" and not callable(value)


def _is_compiled(value: Any, cls: type) -> bool:
    """A function of a Cython module: C code as any other, and what it keeps about itself changes as it is used."""
    return cls.__name__ == "cython_function_or_method" and "<locals>" not in str(getattr(value, "__qualname__", "<locals>"))


def _top(name: object) -> str:
    return name.partition(".")[0] if isinstance(name, str) else ""


def identify(func: Any, *, whole: bool = False) -> Identity:
    """The identity of a callable: what it is, and what to look at to know that this still holds.

    Of a module it is the identity of what is in it; `whole`: of its data too, and of what it imports.
    """
    outer = getattr(state, "mode", None)
    state.mode = None
    try:
        walker = Walker()
        try:
            root = walker.run(func, whole)
            return Identity(
                qualified(func),
                reachable(root),
                walker.seen(),
                tuple(walker.opaque),
                frozenset(walker.tracks),
            )
        except Exception as error:
            name = function_name(func)
            note = f"{name}: identified by name only ({type(error).__name__})"
            text = name.encode("utf-8", "surrogatepass")
            return Identity(qualified(func), [Node("unknown", name, combine("name", [text]))], Seen(), (note,))
    finally:
        state.mode = outer


_OWN = combine("own", [])
_PROBES = frozenset(map(id, (_value.Pointers, _value.Kin, _value.Registrations, _pieces.Shape)))
_identities: dict[int, tuple[Any, Identity]] = {}


def _cached(value: Any) -> Identity:
    known = _identities.get(id(value))
    if known is not None and known[0]() is value and known[1].holds():
        return known[1]
    identity = identify(value)
    key = id(value)

    def forget(_: Any, identities: dict[int, Any] = _identities) -> None:
        # Bound here: when the interpreter ends, the module's own names are gone first.
        identities.pop(key, None)

    try:
        _identities[key] = (weakref.ref(value, forget), identity)
    except TypeError:
        pass  # it cannot be referred to weakly
    return identity


def callable_digest(obj: Any, depth_state: object = None) -> bytes:
    """The digest of a function, class or other callable met inside a value.

    `depth_state` is accepted for the caller's convenience and not used: cycles end here.
    """
    if id(obj) in _PROBES:
        return _OWN
    mode = getattr(state, "mode", None)
    if mode is None:
        return _cached(obj).digest
    if mode == "pointers":
        return combine("pointer", [id(obj).to_bytes(8, "little")])
    walker, met, told = mode
    try:
        shallow: bytes = told.get(id(obj)) or walker.shallow(obj)
    except Exception:
        shallow = combine("other", [function_name(obj).encode("utf-8", "surrogatepass")])
    met.append((shallow, obj))
    return shallow
