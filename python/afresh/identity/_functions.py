"""Functions: their source (or bytecode), default values, closure, and the names they reach.

Decorators are not read from the source of a function object: the object that a name leads to shows what they made
of it. A name that is only written to (`seen.append(x)`) is no input.
"""

from __future__ import annotations

import builtins
from types import CellType, CodeType, FunctionType

from . import _bytecode, _modules, _origin, _texts, _value, _wrappers
from ._model import MISSING, Node, combine
from ._naming import function_name, module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._walk import Walker

_BUILTINS = builtins.__dict__
# Calls whose outcome hangs on names we cannot see.
_BLIND = frozenset({"globals", "eval", "exec", "import_module", "__import__"})
_MAX_DEFAULTS = 64


def node(walker: Walker, func: FunctionType) -> Node:
    """The component of a function."""
    for part in ("__code__", "__defaults__", "__kwdefaults__"):
        walker.watching(func, part, getattr(func, part))
    origin = _origin.of_space(func.__globals__)
    if origin == _origin.PROJECT:
        made = Node("function", display_name(func))
        return walker.register(func, made, lambda: expand(walker, made, func))
    wrapped = func.__dict__.get("__wrapped__")
    if origin == _origin.AFRESH:
        return walker.leaf("handle", "afresh") if wrapped is None else walker.node(wrapped, function_name(wrapped))
    module = str(func.__globals__.get("__name__") or "?")
    file = func.__globals__.get("__file__")
    library = walker.external(module, func.__code__.co_name, file if isinstance(file, str) else None)
    held = _held(func)
    if not held:
        return library
    made = Node("wrapper", function_name(func), library.local)
    made.edges.append(("library", library))
    return walker.register(func, made, lambda: _expand_held(walker, made, held))


def _held(func: FunctionType) -> list[tuple[str, Any]]:
    """What a library's function keeps in its closure that can matter: code of the project and plain values."""
    held: list[tuple[str, Any]] = []
    for name, cell in zip(func.__code__.co_freevars, func.__closure__ or ()):
        value = _contents(cell)
        kept = isinstance(value, (FunctionType, type)) or type(value) in _value.SCALARS or _holds_code(value)
        if kept or _wrappers.holds_project(value):
            held.append((name, value))
    wrapped = func.__dict__.get("__wrapped__", MISSING)
    if wrapped is not MISSING and all(wrapped is not value for _, value in held):
        held.append(("__wrapped__", wrapped))
    return held


def _holds_code(value: Any) -> bool:
    """A registry, as opposed to what a memoizer has stored."""
    if type(value) is dict:
        return any(isinstance(item, FunctionType) for item in value.values())
    if type(value) in (list, tuple):
        return any(isinstance(item, FunctionType) for item in value) or _value.is_frozen(value)
    return False


def _expand_held(walker: Walker, made: Node, held: list[tuple[str, Any]]) -> None:
    for name, value in held:
        walker.use(made, name, value)


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _code_name(code: CodeType) -> str:
    return getattr(code, "co_qualname", code.co_name)


def display_name(func: FunctionType) -> str:
    """`module.qualname` of the code itself, whatever a wrapper calls itself."""
    space = func.__globals__
    own = func.__code__.co_name
    qualname = func.__qualname__
    if qualname.rpartition(".")[2] != own:
        qualname = _code_name(func.__code__)
    return f"{module_name(space.get('__name__'), space)}.{qualname}"


def own_digest(walker: Walker, func: FunctionType) -> tuple[bytes, Any]:
    """The digest of the function's own code, and its definition where there is source."""
    found = _texts.of_function(func, walker.ignored_in(func.__globals__))
    if found is not None:
        return combine("source", [found[0][0]]), found
    return _bytecode.code_digest(func.__code__), None


def shallow(walker: Walker, func: FunctionType) -> bytes:
    """What tells a function apart without following what it uses: code, plain defaults and plain closure."""
    if _origin.of_space(func.__globals__) != _origin.PROJECT:
        return combine("library", [function_name(func).encode("utf-8", "surrogatepass")])
    parts = [own_digest(walker, func)[0]]
    values = [*(func.__defaults__ or ()), *(func.__kwdefaults__ or {}).values()]
    values += [_contents(cell) for cell in func.__closure__ or ()]
    for value in values[:_MAX_DEFAULTS]:
        plain = type(value) in _value.SCALARS
        parts.append(_value.digest_noting(walker, value)[0] if plain else b"")
    return combine("shallow", parts)


def expand(walker: Walker, made: Node, func: FunctionType) -> None:
    """Fills in the component of a function of the project."""
    made.local, found = own_digest(walker, func)
    code = func.__code__
    references: tuple[_bytecode.Reference, ...]
    if found is not None:
        definition, text = found
        space = func.__globals__
        made.found(text, definition, module_name(space.get("__name__"), space), walker.ignored_in(space))
        references = definition[1]
        _note_dynamic(walker, made, func, definition)
    else:
        made.kind = "bytecode"
        made.file, made.line = code.co_filename, code.co_firstlineno
        references = _bytecode.references(code)
    _defaults(walker, made, func)
    cells = dict(zip(code.co_freevars, func.__closure__ or ()))
    unseen = set(cells)
    for reference in references:
        if reference[0] < 0 and reference[3][0] in cells:
            unseen.discard(reference[3][0])
            _captured(walker, made, cells[reference[3][0]], reference)
        else:
            resolve(walker, made, func.__globals__, reference, required=True)
    for name in sorted(unseen):
        _captured(walker, made, cells[name], (-1, "", None, (name,), False))


def _note_dynamic(walker: Walker, made: Node, func: FunctionType, definition: _texts.Definition) -> None:
    for what, line in definition[2]:
        if what in _BLIND:
            walker.weak(f"{made.name}: {what} at line {line} looks up names that are not followed")


def _defaults(walker: Walker, made: Node, func: FunctionType) -> None:
    code = func.__code__
    values = func.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    for name, value in zip(names[len(names) - len(values) :], values):
        walker.use(made, f"{name}=", value, f"default {name}")
    for name, value in sorted((func.__kwdefaults__ or {}).items()):
        walker.watching(func.__kwdefaults__, name, value)
        walker.use(made, f"{name}=", value, f"default {name}")


def _captured(walker: Walker, made: Node, cell: CellType, reference: _bytecode.Reference) -> None:
    path, written_only = reference[3], reference[4]
    value = _contents(cell)
    if written_only and (value is MISSING or _value.only_itself(value)):
        return
    walker.watching(cell, "cell_contents", value)
    label = ".".join(path)
    if value is MISSING:
        made.edges.append((label, walker.leaf("missing", label)))
    else:
        made.edges.append((label, walker.follow(value, path[1:], label)))


def resolve(
    walker: Walker,
    made: Node,
    space: dict[str, Any],
    reference: _bytecode.Reference,
    required: bool,
) -> None:
    """Adds what a free name leads to; `required` says whether a name that leads nowhere counts."""
    level, module, name, path, written_only = reference
    if level >= 0:
        label = ".".join((module, *((name,) if name else ()), *path))
        found = _modules.imported(walker, space, level, module, name, path, label)
        made.edges.append((label, found))
        return
    root = path[0]
    label = ".".join(path)
    value = space.get(root, MISSING)
    if value is MISSING:
        builtin = _BUILTINS.get(root, MISSING)
        if builtin is MISSING and not required:
            return
        if written_only and builtin is MISSING:
            return
        walker.watching(space, root, MISSING)
        walker.watching(_BUILTINS, root, builtin)
        if builtin is MISSING:
            made.edges.append((label, walker.leaf("missing", root)))
        elif _modules.is_foreign(builtin, "builtins") or not callable(builtin):
            made.edges.append((label, walker.node(builtin, label)))
        return
    if written_only and _value.only_itself(value):
        return
    walker.watching(space, root, value)
    made.edges.append((label, walker.follow(value, path[1:], label)))
