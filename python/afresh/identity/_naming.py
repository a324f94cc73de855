"""Names that do not depend on how a program was started: a file run as `__main__` and the same file imported
have the same name. Only names are made here; they lead to a function's results but say nothing of its content.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def module_name(name: object, space: dict[str, Any] | None = None) -> str:
    """The name of a module, with `__main__` replaced by what it would be called if it were imported."""
    if not isinstance(name, str):
        return "?"
    if name not in ("__main__", "__mp_main__"):
        return name
    if space is None:
        module = sys.modules.get(name)
        space = module.__dict__ if module is not None else {}
    spec = space.get("__spec__")
    known = getattr(spec, "name", None)
    if isinstance(known, str) and known not in ("__main__", "__mp_main__"):
        return known.removesuffix(".__main__")
    file = space.get("__file__")
    if not isinstance(file, str):
        return "__main__"
    return _from_file(file)


_names: dict[str, str] = {}


def _from_file(file: str) -> str:
    file = os.path.abspath(file)
    name = _names.get(file)
    if name is None:
        # Looked up once: a package does not become one while the program runs.
        name = _names.setdefault(file, _dotted(file))
    return name


def _dotted(file: str) -> str:
    folder, base = os.path.split(file)
    parts = [os.path.splitext(base)[0]]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, package = os.path.split(folder)
        if not package:
            break
        parts.append(package)
    if parts[0] == "__main__" and len(parts) > 1:
        parts.pop(0)
    return ".".join(reversed(parts))


def function_name(func: Any) -> str:
    """`module.qualname` of a callable, whatever it is."""
    return ".".join(qualified(func))


def qualified(func: Any) -> tuple[str, str]:
    """The module and the qualified name of a callable, whatever it is."""
    try:
        qualname = getattr(func, "__qualname__", None) or getattr(func, "__name__", None)
        owner = func
        if not isinstance(qualname, str):
            owner = type(func)
            qualname = owner.__qualname__
        module = getattr(owner, "__module__", None)
        space = getattr(owner, "__globals__", None)
        if not isinstance(space, dict) or space.get("__name__") != module:
            space = None
        return module_name(module, space), qualname
    except Exception:
        return "?", type(func).__qualname__
