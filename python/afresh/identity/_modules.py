"""Modules: a step on the way to a name, or, where nothing more is known, everything in them.

A module that an import inside a function names may not have been loaded yet. Then its file is found without
running anything (not even its parent package) and read: names are looked up in its text, through further imports.
What is found that way has the same digest as what would be found after loading, as far as text can tell: functions,
their literal default values, literal constants, libraries.
"""

from __future__ import annotations

import _imp
import os
import sys
from types import FunctionType, ModuleType

from afresh import _afresh

from . import _bytecode, _origin, _texts, _value
from ._model import MISSING, Node, combine
from ._naming import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._walk import Walker

# What every module has, and what Python or a library notes there.
_BOOKKEEPING = frozenset({
    "__name__", "__doc__", "__package__", "__loader__", "__spec__", "__path__", "__file__", "__cached__",
    "__builtins__", "__annotations__", "__annotate__", "__conditional_annotations__", "__warningregistry__",
    })  # fmt: skip
_specs: dict[str, tuple[str | None, list[str] | None] | None] = {}
_loaders: dict[str, Any] = {}
_SEEN_THROUGH = frozenset({"cache", "lru_cache", "functools.cache", "functools.lru_cache", "memo", "afresh.memo"})


def node(walker: Walker, module: ModuleType, whole: bool = False) -> Node:
    """A module used as a value: of the project, its text and the functions and classes in it.

    `whole`: its data and what it imports as well. Data may be what the module remembers for itself, so it takes
    somebody to say that it matters.
    """
    file = getattr(module, "__file__", None)
    name = module.__name__
    if _origin.of_module(name, file) != _origin.PROJECT:
        return walker.external(name, "", file if isinstance(file, str) else None)
    made = Node("module", module_name(name, module.__dict__))
    return walker.register(module, made, lambda: _expand(walker, made, module, whole))


def _expand(walker: Walker, made: Node, module: ModuleType, whole: bool) -> None:
    file = getattr(module, "__file__", None)
    made.local = combine("module", [])
    if isinstance(file, str):
        made.file, made.line = file, 1
    text = _texts.of_path(file) if isinstance(file, str) and file.endswith(".py") else None
    if text is not None and whole:
        definition = text.source.module()
        made.local = combine("module", [definition[0]])
        made.found(text, definition, made.name, [])
    elif text is not None and text.is_certain(module.__dict__):
        # For the record alone: where its names come from.
        made.module, made.origin = made.name, text
    elif whole and isinstance(file, str) and file.endswith(tuple(_imp.extension_suffixes())):
        made.edges.append(("binary", binary(walker, made.name, "", file)))
    space = module.__dict__
    walker.counting(space)
    for name, value in sorted(((n, v) for n, v in space.items() if isinstance(n, str)), key=lambda pair: pair[0]):
        if name not in _BOOKKEEPING:
            walker.watching(space, name, value)
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
        if callable(value):
            # Somebody may put something else in its place.
            walker.watching(space, name, value)
            if is_foreign(value, full):
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
        # Such a hook most often loads a part of its package: that all of it is as it was stands in for the outcome.
        walker.weak(f"{label}: made by {full}.__getattr__, whose code and package are followed but not its outcome")
        walker.use(made, "__getattr__", hook)
        made.edges.append(("package", walker.leaf("package", full, *_texts.below(path or ()))))
    return made


def is_foreign(value: Any, module: str) -> bool:
    """Whether something in a library is not the library's: code of the project, or a wrapper or mock put there."""
    if isinstance(value, FunctionType):
        return _origin.of_space(value.__globals__) == _origin.PROJECT
    if isinstance(value, type):
        return _origin.of_class(value) == _origin.PROJECT
    kind = _value.kind_of(type(value))[0].partition(".")[0]
    return kind not in ("builtins", "_functools", module.partition(".")[0]) and (
        kind in ("functools", "unittest") or _origin.of_class(type(value)) == _origin.PROJECT
    )


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
    _loaders[full] = spec.loader
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
    text = _source(full, file)
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


def _source(full: str, file: str | None) -> _texts.Text | None:
    if file is None or not file.endswith(".py"):
        return None
    text = _texts.of_path(file)
    if text is None and not os.path.exists(file):
        try:
            content = _loaders[full].get_source(full)
        except Exception:
            return None
        return _texts.of_loader(file, content) if content is not None else None
    return text


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
        if value is not None and not self._is_filled(name):
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
        parts = [definition[0]]
        if self._is_filled(name):
            parts.append(self.text.source.module()[0])
        made = Node("assignment", f"{self.full}.{name}", combine("assignment", parts))
        made.found(self.text, definition, self.full, [])
        self.walker.named[key] = made

        def expand() -> None:
            self._references(made, definition[1])
            self._imports(made, name, definition[5])

        return self.walker.register(made, made, expand)

    def _is_filled(self, name: str) -> bool:
        """Whether something in the module puts more into what the name is bound to: a registry."""
        import re

        pattern = rf"\b{re.escape(name)}\s*(\[|\.\s*(append|add|update|setdefault|insert|extend|register)\b)"
        return re.search(pattern, self.text.text) is not None

    def _imports(self, made: Node, name: str, text: str) -> None:
        """Adds what imports among the statements that bind a name lead to, such as those of a `try`."""
        if "import" not in text:
            return
        import ast
        import textwrap

        for step in ast.walk(ast.parse(textwrap.dedent(text))):
            if isinstance(step, ast.ImportFrom):
                for alias in step.names:
                    if name in (alias.asname, alias.name):
                        found = imported(
                            self.walker, self.space, step.level, step.module or "", alias.name, (), alias.name
                        )
                        made.edges.append((alias.name, found))
            elif isinstance(step, ast.Import):
                for alias in step.names:
                    if name in (alias.asname, alias.name.partition(".")[0]):
                        found = imported(self.walker, self.space, 0, alias.name, None, (), alias.name)
                        made.edges.append((alias.name, found))

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
