"""Source text: read once, parsed once, and trusted only where it is what was loaded.

A file that has not been touched since this process started is what Python loaded. One that was touched, and text
under a made-up name such as `<stdin>`, is compiled again and believed only for code objects that come out the
same; otherwise the bytecode stands in. Files are cached by path, time and size; what was found out about a code
object stays with it, so an edit on disk does not change what runs.
"""

from __future__ import annotations

import os
import sys
import time
import weakref
from types import CodeType

from afresh import _afresh

from . import _bytecode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# (digest, references, dynamic, first_line, last_line, text, parameters, decorators)
Definition = tuple[
    bytes,
    "tuple[_bytecode.Reference, ...]",
    "tuple[tuple[str, int], ...]",
    int,
    int,
    str,
    "tuple[tuple[str, str | None], ...]",
    "tuple[str, ...]",
]


def _process_start() -> float:
    """When this process started, by the clock that files are stamped with."""
    try:
        with open("/proc/self/stat", "rb") as handle:
            ticks = int(handle.read().rpartition(b")")[2].split()[19])
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME)  # type: ignore[attr-defined,unused-ignore]
        tick = 1.0 / os.sysconf("SC_CLK_TCK")
        # Rounded up: nothing of the project is loaded in the first tick of an interpreter's life.
        return time.time() - (uptime - ticks * tick) + tick
    except Exception:
        # Nothing was loaded long before afresh was; files touched in the last minutes are checked.
        return time.time() - 600.0


_STARTED = _process_start()


class Text:
    """A parsed file or cell."""

    __slots__ = ("_compiled", "_digest", "filename", "is_file", "needs_check", "source", "text")

    def __init__(self, filename: str, text: str, is_file: bool, needs_check: bool) -> None:
        self.filename = filename
        self.text = text
        self.is_file = is_file
        self.needs_check = needs_check
        self.source: Any = _afresh.Source(text)
        self._compiled: dict[tuple[str, int], list[CodeType]] | None = None
        self._digest: str | None = None

    def digest(self) -> str:
        """The canonical digest of all of it, in hexadecimal."""
        if self._digest is None:
            try:
                self._digest = self.source.digest().hex()
            except ValueError:
                self._digest = ""
        return self._digest

    def is_certain(self, space: dict[str, Any]) -> bool:
        """Whether what ran in a namespace was made from this text, without a further look."""
        # What has no loader was compiled by somebody, who may have changed the text before.
        return not self.needs_check and (not self.is_file or space.get("__loader__") is not None)

    def confirms(self, code: CodeType, space: dict[str, Any]) -> bool:
        """Whether this text compiles to that code."""
        if self.is_certain(space):
            return True
        if self._compiled is None:
            self._compiled = {}
            try:
                whole = compile(self.text, self.filename, "exec", dont_inherit=True)
            except Exception:
                return False
            stack = [whole]
            while stack:
                one = stack.pop()
                self._compiled.setdefault((one.co_name, one.co_firstlineno), []).append(one)
                stack.extend(const for const in one.co_consts if isinstance(const, CodeType))
        wanted = _bytecode.code_digest(code)
        candidates = self._compiled.get((code.co_name, code.co_firstlineno), ())
        return any(_bytecode.code_digest(one) == wanted for one in candidates)


_files: dict[str, tuple[tuple[int, int, int], Text | None]] = {}
_cells: dict[tuple[str, str], Text | None] = {}
_known: dict[int, tuple[weakref.ref[CodeType], tuple[Definition, Text] | None]] = {}


def decode(data: bytes) -> str:
    """Source bytes as text, by their declared encoding."""
    try:
        if b"coding" not in data[:400]:
            return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        pass
    import io
    import tokenize

    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding).removeprefix("\ufeff")


def _is_doubtful(path: str, modified: float) -> bool:
    """Whether Python may have loaded bytecode of an older text: it compares times by the second and sizes only."""
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    try:
        written = os.stat(os.path.join(folder, "__pycache__", f"{stem}.{sys.implementation.cache_tag}.pyc")).st_mtime
    except OSError:
        return False
    return written < modified + 1.0


def of_path(path: str) -> Text | None:
    """The text of a file on disk, or None where it cannot be read or parsed."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size)
    known = _files.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    text: Text | None = None
    try:
        with open(path, "rb") as handle:
            content = decode(handle.read())
        # A restored file may have an old time of modification, but never an old time of change.
        late = max(status.st_mtime, status.st_ctime) > _STARTED
        text = Text(path, content, True, late or _is_doubtful(path, status.st_mtime))
    except Exception:
        text = None
    _files[path] = (stamp, text)
    return text


def of_loader(filename: str, content: str) -> Text | None:
    """The text that a loader gave for a module, from within an archive for one."""
    return _of_cell(filename, content, False)


def below(folders: Iterable[str]) -> list[str]:
    """What the source files of a package say, as a list of names and digests."""
    said: list[str] = []
    for folder in folders:
        for where, inner, names in os.walk(folder):
            inner.sort()
            for name in sorted(names):
                text = of_path(os.path.join(where, name)) if name.endswith(".py") else None
                if text is not None:
                    said += [os.path.relpath(os.path.join(where, name), folder), text.source.module()[0].hex()]
    return said


def _of_cell(filename: str, content: str, check: bool) -> Text | None:
    key = (filename, content)
    if key not in _cells:
        try:
            _cells[key] = Text(filename, content, False, check)
        except Exception:
            _cells[key] = None
    return _cells[key]


def _command() -> str | None:
    """The text after `-c`."""
    arguments = getattr(sys, "orig_argv", [])
    for index, argument in enumerate(arguments[1:], 1):
        if argument == "-c":
            return arguments[index + 1] if index + 1 < len(arguments) else None
        if not argument.startswith("-"):
            return None
    return None


def of_code(filename: str, space: dict[str, Any]) -> Text | None:
    """The text that code of this file name was made from."""
    home = space.get("__file__")
    if isinstance(home, str) and home.endswith(".pyc"):
        # Where its source is, if anywhere, and whether it is still the same, nobody knows.
        return None
    if not filename.startswith("<"):
        path = filename
        if not os.path.isabs(path):
            file = space.get("__file__")
            if isinstance(file, str) and os.path.basename(file) == os.path.basename(path):
                path = file
        found = of_path(path)
        if found is not None:
            return found
    linecache = sys.modules.get("linecache")
    entry = linecache.cache.get(filename) if linecache is not None else None
    if entry is not None and len(entry) == 4:
        # Cells: IPython compiles a cell in its own way, but gives every one a name of its own.
        check = filename.startswith("<") and not filename.startswith("<ipython-input-")
        return _of_cell(filename, "".join(entry[2]), check)
    if filename == "<string>" and space.get("__name__") == "__main__":
        command = _command()
        return None if command is None else _of_cell(filename, command, True)
    if not filename.startswith("<") and space.get("__loader__") is not None:
        # Inside an archive, for one.
        import linecache as lines

        content = "".join(lines.getlines(filename, space))
        return _of_cell(filename, content, False) if content else None
    return None


def _body_start(code: CodeType) -> tuple[int, int] | None:
    """Where the body of a lambda begins, if the interpreter recorded columns."""
    positions = getattr(code, "co_positions", None)
    if positions is None:
        return None
    found: list[tuple[int, int]] = []
    for line, end_line, column, end_column in positions():
        if line is None or column is None or end_column is None:
            continue
        if (end_line, end_column) > (line, column):
            found.append((line, column))
    return min(found) if found else None


def _locate(code: CodeType, space: dict[str, Any], text: Text, ignored: list[str]) -> Definition | None:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    names = list(code.co_varnames[:count])
    if code.co_name == "<lambda>":
        found = text.source.lambda_(code.co_firstlineno, names, _body_start(code), ignored)
    else:
        found = text.source.function(code.co_name, code.co_firstlineno, False, ignored)
    definition: Definition = found
    written = [name for name, _ in definition[6]]
    mangled = any(name.startswith("__") for name in written)
    if written != names and not mangled:
        return None
    return definition if text.confirms(code, space) else None


def of_function(func: Any, ignored: list[str]) -> tuple[Definition, Text] | None:
    """The source of a function, or None where there is none to be trusted."""
    code = func.__code__
    key = id(code)
    known = _known.get(key)
    if known is not None and known[0]() is code:
        return known[1]
    found: tuple[Definition, Text] | None = None
    try:
        text = of_code(code.co_filename, func.__globals__)
        if text is not None:
            definition = _locate(code, func.__globals__, text, ignored)
            if definition is not None:
                found = (definition, text)
    except Exception:
        found = None

    def forget(_: weakref.ref[CodeType]) -> None:
        _known.pop(key, None)

    _known[key] = (weakref.ref(code, forget), found)
    return found
