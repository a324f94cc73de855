"""Modules: a step on the way to a name, or, where nothing more is known, everything in them.

A module that an import inside a function names may not have been loaded yet. Then its file is found without
running anything (not even its parent package) and read: names are looked up in its text, through further imports.
What is found that way has the same digest as what would be found after loading, as far as text can tell: functions,
their literal default values, literal constants, libraries.
"""

from __future__ import annotations

import os
import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from afresh import _afresh

from . import _bytecode, _origin, _texts, _value
from ._model import MISSING, Node, combine
from ._naming import module_name

if TYPE_CHECKING:
    from ._walk import Walker

_specs: dict[str, tuple[str | None, list[str] | None] | None] = {}
_SEEN_THROUGH = frozenset({"cache", "lru_cache", "functools.cache", "functools.lru_cache", "memo", "afresh.memo"})


def node(walker: Walker, module: ModuleType) -> Node:
    """A module used as a value: of the project, everything in it."""
    file = getattr(module, "__file__", None)
    name = module.__name__
    if _origin.of_module(name, file) != _origin.PROJECT:
        return walker.external(name, "", file if isinstance(file, str) else None)
    made = Node("module", module_name(name, module.__dict__))
    return walker.register(module, made, lambda: _expand(walker, made, module))


def _expand(walker: Walker, made: Node, module: ModuleType) -> None:
    file = getattr(module, "__file__", None)
    text = _texts.of_path(file) if isinstance(file, str) else None
    if text is not None:
        definition = text.source.module()
        made.local = combine("module", [definition[0]])
        made.found(text, definition, made.name, [])
    else:
        made.local = combine("module", [])
    for name, value in sorted(module.__dict__.items()):
        own = getattr(value, "__module__", None) == module.__name__
        if own and isinstance(value, (FunctionType, type)):
            walker.watching(module.__dict__, name, value)
            walker.use(made, name, value, f"{made.name}.{name}")


def attribute(walker: Walker, module: ModuleType, name: str, rest: tuple[str, ...], label: str) -> Node | tuple[Any]:
    """One step from a module: the value in a tuple, or a component where the way ends."""
    space = module.__dict__
    full = module.__name__
    file = space.get("__file__")
    origin = _origin.of_module(full, file)
    value = space.get(name, MISSING)
    if origin != _origin.PROJECT:
        if isinstance(value, ModuleType):
            return (value,)
        if isinstance(value, (FunctionType, type)) and _is_project(value):
            walker.watching(space, name, value)
            return (value,)
        return walker.external(full, ".".join((name, *rest)), file if isinstance(file, str) else None)
    walker.watching(space, name, value)
    if value is not MISSING:
        return (value,)
    below = f"{full}.{name}"
    loaded = sys.modules.get(below)
    if loaded is not None:
        return (loaded,)
    path = space.get("__path__")
    if path is not None and _find(below) is not None:
        return unloaded(walker, below, rest, label)
    hook = space.get("__getattr__")
    made = Node("missing", label, combine("missing", [name.encode("utf-8", "surrogatepass")]))
    if hook is not None:
        walker.weak(f"{label}: made by {full}.__getattr__, whose code is followed but not its outcome")
        walker.use(made, "__getattr__", hook)
    return made


def _is_project(value: Any) -> bool:
    if isinstance(value, FunctionType):
        return _origin.of_space(value.__globals__) == _origin.PROJECT
    return _origin.of_class(value) == _origin.PROJECT


def binary(walker: Walker, module: str, name: str, file: str) -> Node:
    """Something from a compiled module of the project: by the bytes of its file."""
    try:
        with open(file, "rb") as handle:
            content = handle.read()
    except OSError:
        walker.weak(f"{module}.{name}: {file} cannot be read")
        content = b""
    made = Node("binary", f"{module}.{name}", combine("binary", [name.encode(), content]))
    made.file = file
    return made


def _absolute(space: dict[str, Any], level: int, module: str) -> str | None:
    """The full name of a module named with leading dots."""
    if level == 0:
        return module
    package = space.get("__package__")
    if not isinstance(package, str) or not package:
        name = space.get("__name__")
        if not isinstance(name, str):
            return None
        package = name if "__path__" in space else name.rpartition(".")[0]
    parts = package.split(".")
    if level - 1 >= len(parts) or not package:
        return None
    base = ".".join(parts[: len(parts) - level + 1])
    return f"{base}.{module}" if module else base


def imported(
    walker: Walker,
    space: dict[str, Any],
    level: int,
    module: str,
    name: str | None,
    path: tuple[str, ...],
    label: str,
) -> Node:
    """What an import within a function leads to."""
    full = _absolute(space, level, module)
    if full is None:
        return walker.leaf("missing", f"{'.' * level}{module}")
    attributes = (name, *path) if name is not None else path
    loaded = sys.modules.get(full)
    walker.watching(sys.modules, full, MISSING if loaded is None else loaded)
    if isinstance(loaded, ModuleType):
        return walker.follow(loaded, attributes, label)
    return unloaded(walker, full, attributes, label)


# Modules that have not been loaded.


def _find(full: str) -> tuple[str | None, list[str] | None] | None:
    """The file of a module and the folders of a package, without running its parents."""
    if full in _specs and _specs[full] is not None:
        return _specs[full]
    import importlib.machinery
    import importlib.util

    parent, _, _ = full.rpartition(".")
    spec = None
    try:
        if not parent:
            spec = importlib.util.find_spec(full)
        else:
            loaded = sys.modules.get(parent)
            folders = list(getattr(loaded, "__path__", ())) if loaded is not None else None
            if not folders:
                above = _find(parent)
                folders = above[1] if above is not None else None
            if folders:
                spec = importlib.machinery.PathFinder.find_spec(full, folders)
    except Exception:
        spec = None
    if spec is None:
        return None
    origin = spec.origin if spec.has_location else None
    folders = list(spec.submodule_search_locations) if spec.submodule_search_locations is not None else None
    _specs[full] = (origin, folders)
    return _specs[full]


def unloaded(walker: Walker, full: str, attributes: tuple[str, ...], label: str) -> Node:
    """What attributes of a module that has not been loaded lead to."""
    found = _find(full)
    if found is None:
        return walker.leaf("missing", full)
    file, folders = found
    place = file or (os.path.join(folders[0], "") if folders else None)
    if _origin.of_module(full, place) != _origin.PROJECT:
        return walker.external(full, ".".join(attributes), place)
    text = _texts.of_path(file) if file is not None and file.endswith(".py") else None
    if text is None:
        if attributes and folders:
            return unloaded(walker, f"{full}.{attributes[0]}", attributes[1:], label)
        return binary(walker, full, ".".join(attributes), file) if file else walker.leaf("missing", full)
    if not attributes:
        definition = text.source.module()
        made = Node("module", full, combine("module", [definition[0]]))
        made.found(text, definition, full, [])
        return made
    return _Unloaded(walker, full, text, folders is not None).name(attributes[0], attributes[1:], label)


class _Unloaded:
    """Names of one module, read from its text."""

    def __init__(self, walker: Walker, full: str, text: _texts.Text, is_package: bool) -> None:
        self.walker = walker
        self.full = full
        self.text = text
        self.space: dict[str, Any] = {
            "__name__": full,
            "__package__": full if is_package else full.rpartition(".")[0],
            "__file__": text.filename,
        }
        self.is_package = is_package

    def name(self, name: str, rest: tuple[str, ...], label: str) -> Node:
        walker = self.walker
        key = ("unloaded", self.full, name)
        known = walker.named.get(key)
        if known is not None:
            return known
        binding = self.text.source.binding(name)
        if binding is None:
            return self._elsewhere(name, rest, label)
        kind, what = binding
        if kind == "import":
            level, module, inner = what
            target = _absolute(self.space, level, module)
            if target is None:
                return walker.leaf("missing", f"{'.' * level}{module}")
            attributes = (inner, *rest) if inner is not None else rest
            loaded = sys.modules.get(target)
            if isinstance(loaded, ModuleType):
                return walker.follow(loaded, attributes, label)
            return unloaded(walker, target, attributes, label)
        if kind == "value":
            return self._value(key, name, what, label)
        made = Node("function" if kind == "function" else "class", f"{self.full}.{name}")
        walker.named[key] = made
        expand = self._function if kind == "function" else self._class
        return walker.register(made, made, lambda: expand(made, name, what))

    def _elsewhere(self, name: str, rest: tuple[str, ...], label: str) -> Node:
        """Not bound in the text: a submodule, or from a star import."""
        if self.is_package and _find(f"{self.full}.{name}") is not None:
            return unloaded(self.walker, f"{self.full}.{name}", rest, label)
        for level, module in self.text.source.star_imports():
            target = _absolute(self.space, level, module)
            found = _find(target) if target is not None else None
            if target is None or found is None or found[0] is None:
                continue
            loaded = sys.modules.get(target)
            if isinstance(loaded, ModuleType):
                if name in loaded.__dict__:
                    return self.walker.follow(loaded, (name, *rest), label)
                continue
            text = _texts.of_path(found[0])
            if text is not None and (name in text.source.names() or text.source.star_imports()):
                return _Unloaded(self.walker, target, text, found[1] is not None).name(name, rest, label)
        return self.walker.leaf("missing", name)

    def _value(self, key: tuple[str, ...], name: str, what: Any, label: str) -> Node:
        definition, value = what
        if value is not None:
            import ast

            try:
                literal = ast.literal_eval(value.strip())
            except Exception:
                pass
            else:
                made = Node("data", label)
                made.preview = _value.preview(literal)
                made.local = _afresh.digest_value(literal)[0]
                self.walker.named[key] = made
                return made
        made = Node("assignment", f"{self.full}.{name}", combine("assignment", [definition[0]]))
        made.found(self.text, definition, self.full, [])
        self.walker.named[key] = made
        return self.walker.register(made, made, lambda: self._references(made, definition[1]))

    def _function(self, made: Node, name: str, line: int) -> None:
        plain = self.text.source.function(name, line)
        defaults = self._literal_defaults(plain)
        if defaults is None or any(one not in _SEEN_THROUGH for one in plain[7]):
            plain = self.text.source.function(name, line, True)
            defaults = []
        made.local = combine("source", [plain[0]])
        made.found(self.text, plain, self.full, [])
        for parameter, value in defaults:
            self.walker.use(made, f"{parameter}=", value, f"default {parameter}")
        self._references(made, plain[1])

    def _literal_defaults(self, definition: _texts.Definition) -> list[tuple[str, Any]] | None:
        import ast

        found = []
        for parameter, text in definition[6]:
            if text is not None:
                try:
                    value = ast.literal_eval(text.strip())
                except Exception:
                    return None
                if not _value.is_frozen(value):
                    return None
                found.append((parameter, value))
        return found

    def _class(self, made: Node, name: str, line: int) -> None:
        definition = self.text.source.class_(name, line, True)
        made.local = combine("class-text", [definition[0]])
        made.found(self.text, definition, self.full, [])
        self._references(made, definition[1])

    def _references(self, made: Node, references: tuple[_bytecode.Reference, ...]) -> None:
        for level, module, name, path, written_only in references:
            if level >= 0:
                label = ".".join((module, *((name,) if name else ()), *path))
                found = imported(self.walker, self.space, level, module, name, path, label)
                made.edges.append((label, found))
                continue
            label = ".".join(path)
            is_builtin = path[0] in _value.BUILTINS and self.text.source.binding(path[0]) is None
            if written_only or is_builtin:
                continue
            found = self.name(path[0], path[1:], label)
            made.edges.append((label, found))
