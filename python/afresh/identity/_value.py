"""Data: its digest, whether it can change, and what is not data at all.

The digest itself is `_afresh.digest_value`, which calls back into `callable_digest` for functions and classes it
meets inside a value. Who is asking decides the answer there: a walk takes note of them and goes on into their
code; a validity check of a live value compares pointers only. Nothing is ever told apart by `repr`, `hash` or `==`.
"""

from __future__ import annotations

import builtins
import sys
from types import FunctionType

from afresh import _afresh

from ._model import MISSING, Node, combine, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._walk import Walker

SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented)})
_FROZEN = {
    ("re", "Pattern"), ("datetime", "date"), ("datetime", "datetime"), ("datetime", "time"),
    ("datetime", "timedelta"), ("datetime", "timezone"), ("decimal", "Decimal"), ("fractions", "Fraction"),
    ("uuid", "UUID"), ("pathlib", "PosixPath"), ("pathlib", "WindowsPath"), ("pathlib", "PurePosixPath"),
    ("pathlib", "PureWindowsPath"), ("builtins", "range"), ("builtins", "slice"), ("zoneinfo", "ZoneInfo"),
    ("pathlib._local", "PosixPath"), ("pathlib._local", "PurePosixPath"),
}  # fmt: skip
# By any class in the MRO: things one uses but whose state is no input.
_NOT_DATA = {
    ("logging", "Logger"), ("logging", "LoggerAdapter"), ("logging", "Handler"), ("_thread", "lock"),
    ("_thread", "RLock"), ("threading", "_RLock"), ("threading", "Condition"), ("threading", "Semaphore"),
    ("threading", "Event"), ("threading", "Barrier"), ("threading", "Thread"),
    ("_io", "_IOBase"), ("_socket", "socket"), ("concurrent.futures._base", "Executor"),
    ("concurrent.futures._base", "Future"), ("asyncio.events", "AbstractEventLoop"),
    ("_asyncio", "Future"), ("_asyncio", "Task"), ("asyncio.mixins", "_LoopBoundMixin"),
    ("asyncio.locks", "Lock"), ("asyncio.locks", "Semaphore"), ("asyncio.locks", "Event"),
    ("builtins", "coroutine"), ("builtins", "frame"),
    ("subprocess", "Popen"), ("sqlite3", "Connection"), ("sqlite3", "Cursor"), ("queue", "Queue"),
    ("queue", "SimpleQueue"), ("_queue", "SimpleQueue"), ("tqdm.std", "tqdm"), ("types", "TracebackType"),
    ("builtins", "traceback"), ("mmap", "mmap"), ("tempfile", "_TemporaryFileWrapper"), ("warnings", "catch_warnings"),
}  # fmt: skip
# Handles that lead to nothing but their own contents.
_IN_MEMORY = {("_io", "StringIO"), ("_io", "BytesIO")}
# Containers whose methods change nothing but themselves: only written, they are no input.
_CONTAINERS = {
    ("builtins", "list"), ("builtins", "dict"), ("builtins", "set"), ("builtins", "bytearray"),
    ("collections", "deque"), ("collections", "Counter"), ("collections", "OrderedDict"),
    ("collections", "defaultdict"), ("array", "array"), ("_queue", "SimpleQueue"), ("queue", "Queue"),
}  # fmt: skip

BUILTINS = builtins.__dict__
# Tables of closures in tables of closures are looked into so far; what is deeper goes by its place.
_MAX_DEPTH = 3


def kind_of(cls: type) -> tuple[str, str]:
    """The module and name of a class, without asking the class."""
    try:
        module = type.__dict__["__module__"].__get__(cls)
        return (module if isinstance(module, str) else "?", type.__dict__["__qualname__"].__get__(cls))
    except Exception:
        return ("?", "?")


def is_not_data(value: object) -> bool:
    """Loggers, locks, handles, tasks: used, but not an input."""
    if kind_of(type(value)) in _IN_MEMORY:
        return False
    return any(kind_of(cls) in _NOT_DATA for cls in type(value).__mro__)


def only_itself(value: object) -> bool:
    """Whether changing it in place can have no other effect."""
    return type(value) in SCALARS or kind_of(type(value)) in _CONTAINERS


def is_frozen(value: object, depth: int = 0) -> bool:
    """Whether the value can never change."""
    cls = type(value)
    if cls in SCALARS:
        return True
    if cls is tuple or cls is frozenset:
        if depth > 8:
            return False
        return all(is_frozen(item, depth + 1) for item in value)  # type: ignore[attr-defined]
    return kind_of(cls) in _FROZEN or is_enum(cls) or cls is FunctionType


def is_enum(cls: type) -> bool:
    """Whether it is an enumeration. While nobody has loaded `enum` there are none."""
    enum = sys.modules.get("enum")
    return enum is not None and issubclass(cls, enum.Enum)


def members(cls: Any) -> Any:
    """The members of an enumeration by name; None for any other class."""
    return cls.__members__ if is_enum(cls) else None


class Pointers:
    """A live value with functions or classes in it, digested with those told apart by address.

    Good for noticing a change within a process, at no more than the cost of the value's own data; useless for
    anything else, and never stored.
    """

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __afresh_key__(self) -> bytes:
        outer = getattr(state, "mode", None)
        state.mode = "pointers"
        try:
            return bytes(_afresh.digest_value(self.value)[0])
        except Exception:
            return b""
        finally:
            state.mode = outer


def inside(value: object) -> object:
    """Some mutable data itself, however it is looked at again."""
    from . import _pieces

    return value.value if type(value) is Pointers or type(value) is _pieces.Shape else value


class Kin:
    """The classes that derive from a class, at any distance."""

    __slots__ = ("cls",)

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def classes(self) -> list[type]:
        """The classes, by name."""
        found: dict[int, type] = {}
        waiting: list[Any] = [self.cls]
        while waiting:
            below: list[Any] = type.__subclasses__(waiting.pop())
            waiting += [one for one in below if id(one) not in found]
            found.update((id(one), one) for one in below)
        return sorted(found.values(), key=kind_of)

    def __afresh_key__(self) -> list[int]:
        return [id(one) for one in self.classes()]


class Registrations:
    """How often a class was registered with an abstract one, anywhere: one look for all of them."""

    def __afresh_key__(self) -> int:
        import abc

        return abc.get_cache_token()  # type: ignore[return-value,unused-ignore]


def registered(cls: type) -> list[type]:
    """The classes that were registered with an abstract class, by name."""
    import abc

    found = [one() for one in abc.__dict__["_get_dump"](cls)[0]]
    return sorted((one for one in found if one is not None), key=kind_of)


def preview(value: object) -> str:
    """The value for a person; never runs code of the project and never takes long."""
    cls = type(value)
    if cls in SCALARS:
        if isinstance(value, (str, bytes)) and len(value) > 80:
            return f"{value[:77]!r}…"
        if isinstance(value, int) and value.bit_length() > 300:
            return f"int of {value.bit_length()} bits"
        return repr(value)
    name = kind_of(cls)[1]
    if cls in (list, tuple, dict, set, frozenset):
        return f"{name} of {len(value)}"  # type: ignore[arg-type]
    return name


def digest_noting(walker: Walker, value: object) -> tuple[bytes, tuple[str, ...], list[tuple[bytes, object]]]:
    """The digest of a value, what is weak about it, and the functions and classes met inside."""
    met: list[tuple[bytes, object]] = []
    told: dict[int, bytes] = {}
    outer = getattr(state, "mode", None)
    state.mode = (walker, met, told)
    try:
        digest, notes = _afresh.digest_value(value)
        alike = _alike(met)
        if alike and walker.depth < _MAX_DEPTH:
            # Closures of one function, classes of one factory: told apart by all that they reach.
            for one in alike:
                told[id(one)] = walker.deep(one)
            met.clear()
            digest, notes = _afresh.digest_value(value)
        return digest, tuple(notes), met
    finally:
        state.mode = outer


def _alike(met: list[tuple[bytes, object]]) -> list[object]:
    """Those met that are told apart by nothing."""
    first: dict[bytes, object] = {}
    found: dict[int, object] = {}
    for digest, one in met:
        other = first.setdefault(digest, one)
        if other is not one:
            found[id(other)], found[id(one)] = other, one
    return list(found.values())


def fill(walker: Walker, node: Node, label: str, value: object) -> None:
    """Makes `node` the component of some data."""
    node.preview = preview(value)
    try:
        digest, notes, met = digest_noting(walker, value)
    except Exception as error:
        from . import _pieces  # it needs this module

        parts = _pieces.pieces(value)
        if parts is not None:
            walker.register(value, node, lambda: _pieces.expand(walker, node, label, value, parts))
            return
        node.local = combine("unknown", [".".join(kind_of(type(value))).encode("utf-8", "surrogatepass")])
        walker.weak(f"{label}: {kind_of(type(value))[1]} cannot be digested ({type(error).__name__})")
        return
    node.local = digest
    if kind_of(type(value))[0] == "afresh.dependencies":
        # A file, a folder, a variable: it says itself what it stands for.
        outside: Any = value
        node.kind, node.name, node.preview = "dependency", outside._label(), outside._preview()
        weak = outside._note()
        notes = (*notes, weak) if weak else notes
    else:
        met.sort(key=lambda pair: pair[0])
        for _, inner in met:
            walker.use(node, "holds", inner)
    for note in notes:
        walker.weak(f"{label}: {note}")
    if is_frozen(value):
        return
    if met:
        pointers = Pointers(value)
        try:
            walker.changing(label, pointers, _afresh.digest_value(pointers)[0])
        except Exception:
            walker.weak(f"{label}: changes to it are not noticed")
    else:
        walker.changing(label, value, digest)
