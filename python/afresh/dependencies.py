"""What a function depends on beside its code and its arguments: files, folders, environment variables.

`File`, `Dir` and `Env` stand for contents: wherever a digest is made of one, it is made of what it stands for at that
moment (`__afresh_key__`), so each call looks again. Nothing here raises for what is on the disk: absent is a state
like any other, and what cannot be read counts by how it looks from outside and is called opaque.

`look` is for `afresh.memo`: each thing in `depends_on` with its digest, what has to be looked at again on later
calls, and the rows that name it in the function's record.
"""

from __future__ import annotations

import os
import sys
import types

from afresh import _afresh
from afresh.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator
    from typing import Any, NoReturn

    from afresh.identity import Identity

    State = tuple[str, bytes]

#: What a state is called by people, where it identifies less than contents do.
_WEAK = {
    "unreadable": "cannot be read: it counts by its size and times",
    "special": "is a pipe or a device: what comes out of it does not count",
}


class Dependency:
    """Something outside the program, by its contents. Never changes; two of the same thing are equal."""

    __slots__ = ("_name", "_place")

    _name: str
    _place: str

    def _set(self, name: str, place: str) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_place", place)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} never changes")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} never changes")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dependency) and type(other) is type(self) and other._key() == self._key()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._key()))

    def __reduce__(self) -> Any:
        return _restore, (type(self), self._name, self._place)

    def _key(self) -> tuple[str, ...]:
        return (self._place,)

    def _state(self) -> State:
        """What it is now, as a word and a digest."""
        raise NotImplementedError

    def _note(self) -> str | None:
        """What is weak about it now."""
        return None

    def _label(self) -> str:
        return self._name

    def _preview(self) -> str:
        """The state for a person."""
        kind, digest = self._state()
        return f"{kind} {digest.hex()[:12]}" if kind == "content" else kind

    def __afresh_key__(self) -> State:
        return self._state()


class File(Dependency):
    """A file, by its content: not by its name, place or times.

    A file that is not there is a state of its own. A relative path is resolved at once, against the working
    directory of that moment: a later ``os.chdir`` does not make it another file. ``open`` takes a ``File`` as it
    takes a path.
    """

    __slots__ = ()

    def __init__(self, path: str | os.PathLike[str]) -> None:
        name = _path(path, "File")
        self._set(name, os.path.abspath(name))

    def __fspath__(self) -> str:
        return self._place

    def _state(self) -> State:
        return _afresh.digest_file(self._place)

    def _note(self) -> str | None:
        kind, _ = self._state()
        weak = "is a folder: what is in it does not count; use afresh.Dir" if kind == "folder" else _WEAK.get(kind)
        return weak and f"{self._name} {weak}"

    def __repr__(self) -> str:
        return f"afresh.File({self._name!r})"


class Dir(Dependency):
    """The files of a folder, by their names within it and their contents.

    ``glob`` selects them: ``*`` and ``?`` match within a name, ``**`` any number of folders. Links are followed.
    Folders without files do not count. A relative path is resolved at once, as that of a ``File``. Each call looks at
    every file of the folder.
    """

    __slots__ = ("_glob",)

    _glob: str

    def __init__(self, path: str | os.PathLike[str], glob: str = "**/*") -> None:
        name = _path(path, "Dir")
        if not isinstance(glob, str) or not glob or glob.startswith("/") or ".." in glob.split("/"):
            raise ConfigError(f"glob is {glob!r}", hint="give a pattern within the folder, such as '**/*.csv'")
        self._set(name, os.path.abspath(name))
        object.__setattr__(self, "_glob", glob)

    def __fspath__(self) -> str:
        return self._place

    def __reduce__(self) -> Any:
        return _restore, (type(self), self._name, self._place, self._glob)

    def _key(self) -> tuple[str, ...]:
        return (self._place, self._glob)

    def _label(self) -> str:
        return self._name if self._glob == "**/*" else f"{self._name}/{self._glob}"

    def _files(self) -> Iterator[tuple[str, State]]:
        pattern = _pattern(self._glob)
        for name in sorted(_names(self._place, "", (), pattern)):
            yield name, _afresh.digest_file(os.path.join(self._place, name))

    def _state(self) -> State:
        if not os.path.isdir(self._place):
            return ("absent", b"")
        parts = []
        for name, (kind, digest) in self._files():
            parts += [os.fsencode(name), kind.encode(), digest]
        return ("content", _afresh.combine("dir", parts))

    def _note(self) -> str | None:
        weak = [(name, kind) for name, (kind, _) in self._files() if kind in _WEAK]
        return f"{os.path.join(self._name, weak[0][0])} {_WEAK[weak[0][1]]}" if weak else None

    def __repr__(self) -> str:
        return f"afresh.Dir({self._name!r}, {self._glob!r})"


class Env(Dependency):
    """An environment variable, by its value; not being set is a state of its own. The value is never recorded."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise ConfigError(f"{name!r} is not the name of an environment variable", hint="such as Env('REGION')")
        self._set(name, name)

    def _state(self) -> State:
        value = os.environ.get(self._place)
        return ("absent", b"") if value is None else ("set", _afresh.combine("env", [os.fsencode(value)]))

    def _label(self) -> str:
        return f"env:{self._name}"

    def __repr__(self) -> str:
        return f"afresh.Env({self._name!r})"


def _restore(cls: type[Dependency], name: str, place: str, *glob: str) -> Dependency:
    """Another process may have another working directory: it is the same file all the same."""
    made = cls.__new__(cls)
    made._set(name, place)
    if glob:
        object.__setattr__(made, "_glob", glob[0])
    return made


def _path(path: Any, what: str) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise ConfigError(f"{what} takes a path, not {type(path).__name__}", hint=f"such as {what}('data')")
    name = os.fspath(path)
    if not isinstance(name, str) or not name or "\0" in name:
        raise ConfigError(f"{name!r} is not a path", hint=f"such as {what}('data')")
    return name


_patterns: dict[str, re.Pattern[str]] = {}


def _pattern(glob: str) -> re.Pattern[str]:
    """A glob as a pattern of relative paths."""
    known = _patterns.get(glob)
    if known is None:
        import re

        text = re.sub(r"\*\*/|\*\*|\*|\?|\[!?[^]/]+\]|[^*?[]+|\[", _translated, glob)
        known = _patterns[glob] = re.compile(text, re.DOTALL)
    return known


def _translated(found: re.Match[str]) -> str:
    """One piece of a glob as a piece of a pattern."""
    import re

    piece = found[0]
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece)
    if known is not None:
        return known
    if piece.startswith("[") and piece.endswith("]"):
        inside = piece[1:-1].replace("\\", r"\\")
        return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
    return re.escape(piece)


def _names(folder: str, prefix: str, above: tuple[tuple[int, int], ...], pattern: re.Pattern[str]) -> Iterator[str]:
    """Relative names of the files below a folder that match. A link that leads back up is not followed again."""
    try:
        here = os.stat(folder)
        entries = list(os.scandir(folder))
    except OSError:
        return
    place = (here.st_dev, here.st_ino)
    if place in above or (any(entry.name == _TAG for entry in entries) and _is_store(folder)):
        return
    for entry in entries:
        name = prefix + entry.name
        try:
            is_folder = entry.is_dir()
        except OSError:
            is_folder = False
        if is_folder:
            yield from _names(entry.path, f"{name}/", (*above, place), pattern)
        elif pattern.fullmatch(name):
            yield name


_TAG = "CACHEDIR.TAG"


def _is_store(folder: str) -> bool:
    """What is remembered is no input of what remembers it."""
    try:
        with open(os.path.join(folder, _TAG), encoding="utf-8") as file:
            return "made by afresh" in file.read(200)
    except (OSError, ValueError):
        return False


class Looked:
    """What `depends_on` comes to."""

    __slots__ = ("digest", "found", "mutable", "notes", "outside", "rows")

    def __init__(self) -> None:
        self.digest = b""
        #: Identities whose own marks have to be looked at on each call.
        self.found: list[Identity] = []
        self.mutable: list[tuple[Any, bytes]] = []
        self.notes: list[str] = []
        #: What others can change while the function runs.
        self.outside: tuple[tuple[Dependency, bytes], ...] = ()
        self.rows: list[dict[str, Any]] = []


def look(declared: tuple[Any, ...]) -> Looked:
    """Each declared thing as it is now."""
    looked = Looked()
    digests = [_one(looked, index, value) for index, value in enumerate(declared)]
    looked.digest = _afresh.combine("depends", digests)
    return looked


def _one(looked: Looked, index: int, value: Any) -> bytes:
    if isinstance(value, (types.FunctionType, types.ModuleType, type, _afresh.Memo)):
        return _code(looked, value)
    digest, notes = _afresh.digest_value(value)
    looked.mutable.append((value, digest))
    row: dict[str, Any] = {"kind": "dependency", "digest": digest.hex(), "uses": []}
    if isinstance(value, Dependency):
        looked.outside += ((value, digest),)
        row["label"] = f"dependency {value._label()}"
        row["preview"] = value._preview()
        weak = value._note()
        if weak is not None:
            looked.notes.append(weak)
    else:
        from afresh.identity import _value

        row["label"] = f"dependency depends_on[{index}]"
        row["preview"] = _value.preview(value)
    looked.notes += [f"depends_on[{index}]: {note}" for note in notes]
    looked.rows.append(row)
    return digest


def _code(looked: Looked, value: Any) -> bytes:
    """Functions, classes and modules are followed like what the function itself names."""
    from afresh import identity

    found = identity.identify(value, whole=True)
    looked.found.append(found)
    looked.notes += found.opaque
    looked.rows += [{**row, "uses": []} for row in found.rows("dependency")]
    return found.digest


#: Types whose say about their own size is taken: what anybody else's attributes do is not known.
_SIZED = ("numpy", "pandas", "polars", "scipy", "torch")


def weight(value: Any, depth: int = 4) -> int:
    """About how many bytes a digest of this reads: exact for arrays, from a sample for long containers, and without
    what is nested more than ``depth`` deep."""
    kind = type(value)
    if kind in (str, bytes, bytearray):
        return len(value)
    if kind.__module__.partition(".")[0] in _SIZED:
        try:
            if hasattr(value, "memory_usage"):
                usage = value.memory_usage(deep=False)
                return int(usage.sum() if hasattr(usage, "sum") else usage)
            return int(value.nbytes)
        except Exception:  # not of the kind that has a size
            return 64
    if depth and kind in (list, tuple, set, frozenset, dict):
        from itertools import islice

        items = value.items() if kind is dict else value
        sample = [weight(item, depth - 1) for item in islice(items, 100)]
        return 8 + (len(value) * sum(sample) // len(sample) if sample else 0)
    return 64
