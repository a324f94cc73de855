"""What stands around the commands of a cache: middlewares, callbacks, transactions, ``invalidate_further``.

Written once, as steps, for both faces. From the outside in: middlewares that were added (the last outermost), those of
the store (the last outermost), callbacks, the locks of a transaction, the command. Where nothing stands around, commands
do not come here: ``idle`` says so, and whoever comes or goes says so with ``tally``.
"""

from __future__ import annotations

import functools
import threading
import weakref
from contextvars import ContextVar
from enum import Enum

from afresh import warn
from afresh.cache.steps import Call, adrive, drive
from afresh.errors import AfreshError, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from afresh.cache.commands import SyncCache
    from afresh.cache.steps import Doing, Steps

    P = ParamSpec("P")
    R = TypeVar("R")
    S = TypeVar("S")
    Middleware = Callable[..., Any]


class Command(str, Enum):
    """What a middleware is told that it stands around; equal to the command's name."""

    GET = "get"
    GET_MANY = "get_many"
    GET_MATCH = "get_match"
    GET_RAW = "get_raw"
    SET = "set"
    SET_MANY = "set_many"
    SET_RAW = "set_raw"
    DELETE = "delete"
    DELETE_MANY = "delete_many"
    DELETE_MATCH = "delete_match"
    DELETE_TAGS = "delete_tags"
    EXISTS = "exists"
    SCAN = "scan"
    INCR = "incr"
    EXPIRE = "expire"
    GET_EXPIRE = "get_expire"
    GET_SIZE = "get_size"
    GET_KEYS_COUNT = "get_keys_count"
    CLEAR = "clear"
    PING = "ping"
    SET_LOCK = "set_lock"
    UNLOCK = "unlock"
    IS_LOCKED = "is_locked"
    GET_BITS = "get_bits"
    INCR_BITS = "incr_bits"
    SLICE_INCR = "slice_incr"
    SET_ADD = "set_add"
    SET_REMOVE = "set_remove"
    SET_POP = "set_pop"


_NAMES = frozenset(command.value for command in Command)

# What finds nothing within `invalidate_further`.
_FURTHER = frozenset(("get", "get_many", "get_match", "get_raw", "incr"))

# Locks are not part of a transaction, so it takes none for them.
_LOCKS = frozenset(("set_lock", "unlock", "is_locked"))


def command(raw: Callable[Concatenate[S, P], Doing[R]]) -> Callable[Concatenate[S, P], R]:
    """Makes the steps of a command, as a method of a cache, the command itself, which others may stand around."""

    @functools.wraps(raw)
    def through(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._around.idle:
            return drive(raw(self, *args, **kwargs))
        return drive(self._around.steps("threads", raw, args, kwargs))

    through.raw = raw  # type: ignore[attr-defined]
    return through  # type: ignore[return-value]


class Around:
    """What stands around the commands of one cache."""

    def __init__(self, core: SyncCache) -> None:
        self._core, self._present = core, 0
        #: Middlewares that were added, the innermost first.
        self.middlewares: tuple[Middleware, ...] = ()
        self.callbacks = Callbacks(self)
        #: Nothing stands around.
        self.idle = True
        _all.add(self)

    def add(self, middleware: Middleware) -> None:
        self.middlewares += (middleware,)
        self.tally(0)

    def tally(self, more: int) -> None:
        """Something is there now, or has gone: a transaction, a callback."""
        with _guard:
            self._present += more
            routed = any(route.middlewares for route in self._core._routes.all)
            self.idle = not (self._present or _present or self.middlewares or routed)
        self._core._wire()

    def steps(
        self,
        face: str,
        raw: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        ask: Callable[..., Steps] | None = None,
        locks: bool = True,
    ) -> Steps:
        """A command with everything around it; ``ask`` is what carries it out, if not the steps of the method. Without
        ``locks`` a transaction locks nothing for it."""
        name = raw.__name__.lstrip("_")
        about, args, kwargs = _arranged(raw, args, kwargs)
        ask = ask or functools.partial(raw, self._core)
        carry = _Carry(self._core, self.callbacks, face, name, about, ask, locks)
        groups = self._groups(about, args, kwargs)
        if len(groups) > 1:
            return (yield from self._split(carry, groups, kwargs))
        return (yield from self._layered(carry, groups[0][0], args, kwargs))

    def _layered(
        self, carry: _Carry, layers: tuple[Middleware, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Steps:
        if not layers:
            return (yield from carry.steps(args, kwargs))
        run: Callable[[Steps], Any] = drive if carry.face == "threads" else adrive

        def innermost(*args: Any, **kwargs: Any) -> Any:
            return run(carry.steps(args, kwargs))

        call: Callable[..., Any] = innermost
        for layer in layers:
            call = _layer(layer, call, carry.command, self._core, carry.face)
        return (yield Call(call, args, kwargs))

    def _groups(
        self, about: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[tuple[tuple[Middleware, ...], list[str]]]:
        """The middlewares of the stores that a command goes to, each with the keys for it."""
        routes = self._core._routes
        if not any(route.middlewares for route in routes.all):
            return [(self.middlewares, [])]
        if about == "pattern":
            from afresh.cache.routes import prefix_of

            keys = [prefix_of(kwargs["pattern"])]
            found = [route for route in routes.all if keys[0].startswith(route.prefix)][:1]
            return [((*(found[0].middlewares if found else ()), *self.middlewares), keys)]
        groups: dict[tuple[Middleware, ...], list[str]] = {}
        for key in _keys(about, args, kwargs):
            groups.setdefault((*routes.of(key).middlewares, *self.middlewares), []).append(key)
        return list(groups.items()) or [(self.middlewares, [])]

    def _split(
        self, carry: _Carry, groups: list[tuple[tuple[Middleware, ...], list[str]]], kwargs: dict[str, Any]
    ) -> Steps:
        """A command on keys of several stores: one command for each set of middlewares, and its answers together."""
        total, order = 0, [key for _, keys in groups for key in keys]
        found: dict[str, Any] = {}
        for layers, keys in groups:
            if "pairs" in kwargs:
                some = {**kwargs, "pairs": {key: kwargs["pairs"][key] for key in keys}}
                yield from self._layered(carry, layers, (), some)
                continue
            answer = yield from self._layered(carry, layers, tuple(keys), kwargs)
            if carry.name == "get_many":
                found.update(zip(keys, answer))
            else:
                total += answer
        if "pairs" in kwargs:
            return None
        return tuple(found[key] for key in order) if carry.name == "get_many" else total


class Nothing:
    """What stands around the commands that a middleware itself is given."""

    idle = True


class _Carry:
    """A command, with all that stands around it but middlewares."""

    def __init__(
        self,
        core: SyncCache,
        callbacks: Callbacks,
        face: str,
        name: str,
        about: str,
        ask: Callable[..., Steps],
        locks: bool,
    ) -> None:
        self._core, self._callbacks, self._about, self._ask = core, callbacks, about, ask
        self.face, self.name = face, name
        self.command: Command | str = Command(name) if name in _NAMES else name
        self._locks = locks and name not in _LOCKS

    def steps(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        core, name = self._core, self.name
        running = core._transactions.current() if self._locks else None
        if running is not None:
            yield from running.lock(_keys(self._about, args, kwargs))
        if _further.get() and name in _FURTHER:
            # As if nothing had been there: for a counter too, which then begins anew.
            yield from _forget(core, self._about, args, kwargs)
        result = yield from self._ask(*args, **kwargs)
        yield from self._callbacks.tell(self, kwargs.get("key"), result, core)
        return result


def _keys(about: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """The keys that a command is about, as it was arranged."""
    if about == "key":
        return [kwargs["key"] if "key" in kwargs else args[0]]
    return list(dict.fromkeys(kwargs["pairs"] if about == "pairs" else args if about == "keys" else ()))


def _arranged(
    raw: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """What a command is about (key, keys, pairs, pattern, tags), and its arguments as middlewares get them: with
    defaults, and by name; by position what there may be any number of, and what comes before it."""
    import inspect

    signature = _signatures.get(raw)
    if signature is None:
        signature = _signatures[raw] = inspect.signature(raw)
    bound = signature.bind(None, *args, **kwargs)
    bound.apply_defaults()
    many = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
    named = dict(list(bound.arguments.items())[1:])
    about = next(iter(named), "")
    return (about, bound.args[1:], bound.kwargs) if many else (about, (), named)


_signatures: dict[Any, Any] = {}


def _layer(
    middleware: Middleware, call: Callable[..., Any], command: Command | str, core: SyncCache, face: str
) -> Callable[..., Any]:
    """A middleware around a call, on one of the faces."""
    if face == "loops":
        return functools.partial(middleware, call, command, core._bare("loops"))
    if not _is_async(middleware):
        return functools.partial(middleware, call, command, core._bare("threads"))

    async def inner(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    def completed(*args: Any, **kwargs: Any) -> Any:
        return _completed(middleware(inner, command, core._bare("loops"), *args, **kwargs))

    return completed


def _is_async(call: Any) -> bool:
    from afresh.cache.decorators import _is_async

    return _is_async(call)


def _completed(coroutine: Any) -> Any:
    """What a coroutine gives that never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise ConfigError(
        "a middleware or callback has to wait for an event loop, and stands around a command for threads",
        hint="use a plain function, or the commands that are awaited",
    )


def _forget(core: SyncCache, about: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
    """Deletes what a command would find."""
    keys = _keys(about, args, kwargs)
    try:
        if about == "pattern":
            for pages in core._pages(kwargs["pattern"], 1000, False):
                keys += (yield from pages)
        for key in keys:
            yield core._routes.of(key).ask("delete", key)
    except AfreshError as error:
        core._degrade(error)


class Callbacks:
    """Who is told of commands that were carried out."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._named: dict[str, Callable[..., Any]] = {}
        self._here: ContextVar[tuple[tuple[str, Callable[..., Any]], ...]] = ContextVar(
            "afresh_callbacks", default=()
        )

    def add_callback(self, callback: Callable[..., Any], name: str) -> None:
        """Calls ``callback(command, key=, result=, backend=)``, a function or a coroutine function, after each command
        on a key."""
        if name not in self._named:
            self._around.tally(1)
        self._named[name] = callback

    def remove_callback(self, name: str) -> None:
        if self._named.pop(name, None) is not None:
            self._around.tally(-1)

    def callback(self, callback: Callable[..., Any], cmd: Command | str) -> Heard:
        """``with cache.callback(f, "get"):`` calls ``f(key, result=...)`` after each such command within the block, in
        its context, unless the result is None."""
        return Heard(self._around, self._here, (str(Command(cmd).value), callback))

    def tell(self, carry: _Carry, key: Any, result: Any, core: SyncCache) -> Steps:
        if type(key) is not str or result is None or not (self._named or self._here.get()):
            return
        calls = [Call(call, (key,), {"result": result}) for wanted, call in self._here.get() if wanted == carry.name]
        for call in list(self._named.values()):
            backend = core._bare("loops" if _is_async(call) else carry.face)
            calls.append(Call(call, (carry.command,), {"key": key, "result": result, "backend": backend}))
        for one in calls:
            try:
                value = yield one
                if hasattr(value, "__await__"):
                    # In a thread nobody has awaited it.
                    _completed(value)
            except Exception as error:  # noqa: BLE001 - the user's own code
                warn.once(f"a callback failed: {error!r}", f"callback {type(error).__name__}")


class Heard:
    """A block with a callback."""

    def __init__(self, around: Around, here: ContextVar[Any], one: tuple[str, Callable[..., Any]]) -> None:
        self._around, self._here, self._one = around, here, one

    def __enter__(self) -> None:
        self._around.tally(1)
        self._before = self._here.set((*self._here.get(), self._one))

    def __exit__(self, *error: object) -> None:
        self._here.reset(self._before)
        self._around.tally(-1)


# What stands around the commands of all caches of the process: how many blocks.
_present = 0
_all: weakref.WeakSet[Around] = weakref.WeakSet()
_guard = threading.Lock()


def everywhere(more: int) -> None:
    """A block that every cache of the process is to know of begins, or ends."""
    global _present
    with _guard:
        _present += more
    for around in list(_all):
        around.tally(0)


_further: ContextVar[bool] = ContextVar("afresh_further", default=False)


class invalidate_further:
    """``with invalidate_further():`` finds nothing within the block, in its context, and deletes what it would have found:
    so everything that is called within is computed anew. Blocks may be nested."""

    def __enter__(self) -> None:
        everywhere(1)
        self._before = _further.set(True)

    def __exit__(self, *error: object) -> None:
        _further.reset(self._before)
        everywhere(-1)
