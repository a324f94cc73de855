"""Where code comes from: the project, a third-party distribution, the standard library, or afresh itself.

Decided by the location of the file, never by importing anything. The version of a distribution is read from the
name of its `.dist-info` folder; `importlib.metadata` would read every installed package to answer the same.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROJECT, THIRD_PARTY, STANDARD, AFRESH = "project", "third-party", "standard", "afresh"

_STANDARD_FOLDER = os.path.dirname(os.path.realpath(os.__file__)) + os.sep
_STANDARD_LINK = os.path.dirname(os.__file__) + os.sep
_SITE = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_by_file: dict[str, str] = {}
_distributions: dict[str, dict[str, tuple[str, str]]] = {}
_named: dict[tuple[str, str], tuple[str, str] | None] = {}


def of_file(file: str) -> str:
    """The origin of a file."""
    known = _by_file.get(file)
    if known is None:
        known = _by_file[file] = _classify(file)
    return known


def _classify(file: str) -> str:
    if any(site in file for site in _SITE):
        return THIRD_PARTY
    if file.startswith((_STANDARD_LINK, _STANDARD_FOLDER, "<frozen ")):
        return STANDARD
    return PROJECT


def of_module(name: object, file: object = None) -> str:
    """The origin of a module by its name and file; without a file it is builtin, or made on the fly."""
    top = name.partition(".")[0] if isinstance(name, str) else ""
    if top == "afresh":
        return AFRESH
    if isinstance(file, str):
        return of_file(file)
    if name == "__main__":
        return PROJECT
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return STANDARD
    return PROJECT


def of_space(space: dict[str, Any]) -> str:
    """The origin of a function by its globals."""
    return of_module(space.get("__name__"), space.get("__file__"))


def of_class(cls: type) -> str:
    """The origin of a class."""
    name = getattr(cls, "__module__", None)
    module = sys.modules.get(name) if isinstance(name, str) else None
    file = getattr(module, "__file__", None) if module is not None else None
    origin = of_module(name, file)
    if origin == STANDARD and not _is_in(module, cls):
        # `make_dataclass` and `new_class` make classes that say they are of the module `types`.
        return PROJECT
    return origin


def _is_in(module: Any, cls: type) -> bool:
    if not cls.__flags__ & (1 << 9) or module is None:
        return True
    qualname = type.__dict__["__qualname__"].__get__(cls)
    return "." in qualname or qualname in module.__dict__ or module.__name__ != "types"


class Distribution:
    """A distribution; the version is empty where none is known."""

    __slots__ = ("name", "version")

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version


def distribution(module: str, file: str | None) -> Distribution:
    """The distribution that a third-party module belongs to."""
    top = module.partition(".")[0]
    if file is None:
        loaded = sys.modules.get(top)
        file = getattr(loaded, "__file__", None) if loaded is not None else None
        if file is None and loaded is not None:
            paths = list(getattr(loaded, "__path__", ()))
            file = os.path.join(paths[0], "") if paths else None
    if not isinstance(file, str):
        return Distribution(top, "")
    site = _site_folder(file)
    found = _named.get((site, top), ...)
    if found is ...:
        found = _named[site, top] = _find(site, top)
    return Distribution(*found) if found is not None else Distribution(top, "")


def _site_folder(file: str) -> str:
    for site in _SITE:
        head, found, _ = file.rpartition(site)
        if found:
            return head + site
    return os.path.dirname(file)


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _installed(site: str) -> dict[str, tuple[str, str]]:
    """Normalised name → (version, folder of the metadata)."""
    known = _distributions.get(site)
    if known is None:
        known = {}
        try:
            names = sorted(os.listdir(site))
        except OSError:
            names = []
        for entry in names:
            stem, extension = os.path.splitext(entry)
            if extension in (".dist-info", ".egg-info"):
                name, _, version = stem.partition("-")
                known[_normal(name)] = (version.partition("-py")[0], os.path.join(site, entry))
        _distributions[site] = known
    return known


def _find(site: str, top: str) -> tuple[str, str] | None:
    installed = _installed(site)
    direct = installed.get(_normal(top))
    if direct is not None:
        return _normal(top), direct[0]
    for name, (version, folder) in installed.items():
        if top in _top_level(folder):
            return name, version
    return None


def _top_level(folder: str) -> set[str]:
    try:
        with open(os.path.join(folder, "top_level.txt"), encoding="utf-8") as handle:
            return {line.strip() for line in handle}
    except (OSError, ValueError):
        pass
    tops = set()
    try:
        with open(os.path.join(folder, "RECORD"), encoding="utf-8") as handle:
            for line in handle:
                tops.add(line.partition("/")[0].partition(".")[0])
    except (OSError, ValueError):
        pass
    return tops
