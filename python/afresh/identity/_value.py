"""Data: its digest, whether it can change, and what is not data at all.

The digest itself is `_afresh.digest_value`, which calls back into `callable_digest` for functions and classes it
meets inside a value. Who is asking decides the answer there: a walk takes note of them and goes on into their
code; a validity check of a live value compares pointers only. Nothing is ever told apart by `repr`, `hash` or `==`.
"""

from __future__ import annotations

import builtins
import enum
from types import FunctionType
from typing import TYPE_CHECKING, Any

from afresh import _afresh

from ._model import MISSING, Node, combine, state

if TYPE_CHECKING:
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
    ("weakref", "ReferenceType"),
    ("builtins", "generator"), ("builtins", "coroutine"), ("builtins", "async_generator"), ("builtins", "frame"),
    ("subprocess", "Popen"), ("sqlite3", "Connection"), ("sqlite3", "Cursor"), ("queue", "Queue"),
    ("queue", "SimpleQueue"), ("_queue", "SimpleQueue"), ("tqdm.std", "tqdm"), ("types", "TracebackType"),
    ("builtins", "traceback"), ("mmap", "mmap"), ("tempfile", "_TemporaryFileWrapper"), ("warnings", "catch_warnings"),
}  # fmt: skip
# Containers whose methods change nothing but themselves: only written, they are no input.
_CONTAINERS = {
    ("builtins", "list"), ("builtins", "dict"), ("builtins", "set"), ("builtins", "bytearray"),
    ("collections", "deque"), ("collections", "Counter"), ("collections", "OrderedDict"),
    ("collections", "defaultdict"), ("array", "array"), ("_queue", "SimpleQueue"), ("queue", "Queue"),
}  # fmt: skip

BUILTINS = builtins.__dict__


def kind_of(cls: type) -> tuple[str, str]:
    """The module and name of a class, without asking the class."""
    try:
        module = type.__dict__["__module__"].__get__(cls)
        return (module if isinstance(module, str) else "?", type.__dict__["__qualname__"].__get__(cls))
    except Exception:
        return ("?", "?")


def is_not_data(value: object) -> bool:
    """Loggers, locks, handles, tasks: used, but not an input."""
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
    return kind_of(cls) in _FROZEN or isinstance(value, enum.Enum) or cls is FunctionType


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
    return value.value if type(value) is Pointers else value


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
    outer = getattr(state, "mode", None)
    state.mode = (walker, met)
    try:
        digest, notes = _afresh.digest_value(value)
        return digest, tuple(notes), met
    finally:
        state.mode = outer


def fill(walker: Walker, node: Node, label: str, value: object) -> None:
    """Makes `node` the component of some data."""
    node.preview = preview(value)
    try:
        digest, notes, met = digest_noting(walker, value)
    except Exception as error:
        node.local = combine("unknown", [".".join(kind_of(type(value))).encode()])
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
