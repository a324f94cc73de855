"""What one execution reads: noted while it runs, by an audit hook and by methods of ``os.environ``.

Both are put in place with the first run that is tracked and stay; outside of such runs they look at one context
variable and go on. Neither ever raises. What native code opens by itself, what child processes and threads read that
do not share the context, and whether a file exists (``os.stat``) is not seen.
"""

from __future__ import annotations

import os
import sys
import threading

from afresh import warn
from afresh.miss import recorder as _recorder
from afresh.readings import ALL, holds, take

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from types import CodeType, FrameType
    from typing import Any

    from afresh.readings import Reading

#: How much one execution may read.
MOST = 4096

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_EVENTS = frozenset({"open", "os.listdir", "os.scandir", "os.rename", "os.mkdir"})
#: Modules through which others ask for files and variables.
_BETWEEN = frozenset({"os", "collections.abc", "_collections_abc", "posixpath"})
_KERNEL = ("/dev/", "/proc/", "/sys/")

_installing = threading.Lock()
_installed = False


class Recorder:
    """What one execution reads. `incomplete` says why not all of it can be known."""

    __slots__ = (
        "_caller", "_code", "_folder", "_made", "_open", "_outer", "_token", "_written", "incomplete", "kinds", "seen"
    )  # fmt: skip

    def __init__(self, kinds: tuple[str, ...], function: Any) -> None:
        self.kinds = kinds
        self.seen: dict[str, Reading] = {}
        self.incomplete: str | None = None
        self._written: set[str] = set()
        self._made: set[str] = set()
        self._code = _code_of(function)
        self._caller: FrameType | None = None
        self._folder = _folder()
        self._open = False

    def __enter__(self) -> Recorder:
        _install()
        self._outer = _recorder.get()
        self._token: Token[Recorder | None] = _recorder.set(self)
        self._caller = sys._getframe(1)
        while self._caller is not None and self._caller.f_code.co_filename.startswith(_PACKAGE):
            self._caller = self._caller.f_back
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._caller = None
        _recorder.reset(self._token)
        if self._outer is not None:
            self._outer.adopt(self.seen, self._folder)
            self._outer._written |= self._written
            self._outer._made |= self._made
            self._outer.incomplete = self._outer.incomplete or self.incomplete

    @property
    def recorded(self) -> list[tuple[str, bytes, str]]:
        """For the commit."""
        return [(name, *reading) for name, reading in sorted(self.seen.items())]

    def adopt(self, seen: dict[str, Reading], folder: str | None = None) -> None:
        """What a call within this one has read, from this working directory or the present one."""
        folder = folder or _folder()
        for name, reading in seen.items():
            kind, _, path = name.partition(":")
            if kind != "env" and folder != self._folder and not os.path.isabs(path):
                name = f"{kind}:{os.path.normpath(os.path.join(folder, path))}"
            self._note(name, reading)

    def disturbed(self) -> str | None:
        """A file or variable that is no longer as it was read, though the function itself did not write it."""
        for name, (digest, _) in self.seen.items():
            kind, _, what = name.partition(":")
            # It may have gone to another folder and stayed there.
            place = name if kind == "env" else f"{kind}:{self._place(what)}"
            if not self._wrote(name) and not holds(place, digest, {}):
                return name
        return None

    def _wrote(self, name: str) -> bool:
        """Whether the function itself has changed it, after it read it."""
        kind, _, what = name.partition(":")
        place = self._place(what)
        if kind == "dir":
            return any(os.path.dirname(path) == place for path in self._written)
        return (name if kind == "env" else place) in self._written

    def _note(self, name: str, reading: Reading | None = None) -> None:
        if name in self.seen or self.incomplete is not None:
            return
        if len(self.seen) >= MOST:
            self.incomplete = f"it reads more than {MOST} things; name their folder in depends_on instead"
            return
        try:
            name.encode()
        except UnicodeError:
            self.incomplete = f"it reads {name!a}, which is not valid text"
            return
        reading = reading or take(name)
        if reading is not None:
            self.seen[name] = reading
        else:
            self.incomplete = f"it reads {name}, which cannot be identified"

    def _place(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._folder, path))

    # What happens while it runs.

    def happened(self, event: str, args: tuple[Any, ...], frame: FrameType) -> None:
        """An event of the interpreter."""
        if not self._open or "files" not in self.kinds:
            return
        path = "." if args[0] is None else args[0]
        if isinstance(path, int):
            return
        name = os.fsdecode(path)
        here = _folder()
        place = os.path.normpath(os.path.join(here, name))
        if event == "os.rename":
            if place in self._written:
                self._written.add(os.path.normpath(os.path.join(here, os.fsdecode(args[1]))))
            return
        if event == "os.mkdir":
            if not os.path.lexists(place):
                self._made.add(place)
            return
        if place.startswith((*_KERNEL, *_libraries())) or place.endswith(".pyc") or self._is_within_made(place):
            return
        if self._is_ours(frame):
            return
        # As the function names it, so that the project may be moved; unless it has gone elsewhere meanwhile.
        if os.path.isabs(name) or here != self._folder:
            name = place
        else:
            name = os.path.normpath(name)
        if event != "open":
            self._note(f"dir:{name}")
            return
        flags = args[2] if isinstance(args[2], int) else 0
        anew = flags & os.O_TRUNC or (flags & os.O_CREAT and flags & os.O_EXCL)
        access = flags & os.O_ACCMODE
        if place not in self._written and access != os.O_WRONLY and not anew:
            self._note(f"file:{name}")
        if access != os.O_RDONLY:
            self._written.add(place)

    def asked(self, key: Any, frame: FrameType) -> None:
        """A variable is read; with None, all of them are."""
        if not self._open or "env" not in self.kinds or ALL in self.seen:
            return
        name = ALL if key is None else f"env:{os.fsdecode(key)}"
        if name not in self.seen and name not in self._written and not self._is_ours(frame):
            self._note(name)

    def told(self, key: Any) -> None:
        """A variable is set by the function itself."""
        if self._open:
            self._written.add(f"env:{os.fsdecode(key)}")


    def _is_within_made(self, place: str) -> bool:
        """Whether it is in a folder that the function has made."""
        return any(place == folder or place.startswith(folder + os.sep) for folder in self._made)

    def _is_ours(self, frame: FrameType | None) -> bool:
        """Whether it is not the function that reads but an import, a look at source, or afresh; or a removal."""
        asks = frame
        while asks is not None and asks.f_globals.get("__name__") in _BETWEEN:
            asks = asks.f_back
        if asks is not None and (
            asks.f_code.co_filename.startswith(_PACKAGE) or asks.f_code.co_name.startswith("_rmtree")
        ):
            return True
        while frame is not None and frame is not self._caller and frame.f_code is not self._code:
            if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
                return True
            if frame.f_globals.get("__name__") in ("linecache", "afresh.identity._walk"):
                return True
            frame = frame.f_back
        return False


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return os.sep


_known_libraries: tuple[str, ...] = ()


def _libraries() -> tuple[str, ...]:
    """Where the interpreter and what is installed for it are: they count by version."""
    global _known_libraries
    if not _known_libraries:
        import sysconfig

        paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        paths |= {path for path in sys.path if path.rstrip(os.sep).endswith(("site-packages", "dist-packages"))}
        found = {os.path.join(form(path), "") for path in paths if path for form in (os.path.abspath, os.path.realpath)}
        _known_libraries = (_PACKAGE, *sorted(found))
    return _known_libraries


def _code_of(function: Any) -> CodeType | None:
    """The code that runs, where partials and the like do not hide it."""
    while not hasattr(function, "__code__") and hasattr(function, "func"):
        function = function.func
    return getattr(function, "__code__", None)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event not in _EVENTS:
        return
    recorder = _recorder.get()
    if recorder is not None:
        _quietly(recorder, recorder.happened, event, args, sys._getframe(1))


def _quietly(recorder: Recorder, note: Any, *args: Any) -> None:
    """Nothing that goes wrong here may come out of what the function did."""
    try:
        note(*args)
    except Exception as error:
        recorder.incomplete = recorder.incomplete or f"what it reads could not be recorded ({type(error).__name__})"


def _install() -> None:
    global _installed
    with _installing:
        if not _installed:
            _libraries()
            sys.addaudithook(_audit)
            _watch_environment(type(os.environ))
            _installed = True


def _watch_environment(cls: Any) -> None:
    """Puts methods in place that tell of reading and setting."""
    if cls.__module__ != "os":
        warn.once("os.environ was replaced by another object: what is read from it cannot be recorded")
        return
    get, put, remove, each = cls.__getitem__, cls.__setitem__, cls.__delitem__, cls.__iter__

    def __getitem__(self: Any, key: Any) -> Any:
        recorder = _recorder.get()
        if recorder is not None:
            _quietly(recorder, recorder.asked, key, sys._getframe(1))
        return get(self, key)

    def __iter__(self: Any) -> Any:
        recorder = _recorder.get()
        if recorder is not None:
            _quietly(recorder, recorder.asked, None, sys._getframe(1))
        return each(self)

    def __setitem__(self: Any, key: Any, value: Any) -> None:
        put(self, key, value)
        recorder = _recorder.get()
        if recorder is not None:
            _quietly(recorder, recorder.told, key)

    def __delitem__(self: Any, key: Any) -> None:
        remove(self, key)
        recorder = _recorder.get()
        if recorder is not None:
            _quietly(recorder, recorder.told, key)

    for method in (__getitem__, __iter__, __setitem__, __delitem__):
        setattr(cls, method.__name__, method)
