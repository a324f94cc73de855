"""Transactions: commands whose changes are made together at the end of a block, or not at all.

What a transaction sees and means to change is kept by the store's own overlay (`kv/overlay.rs`), which the routes of
the cache lead to within the block: so every command, and every decorated function, works in a transaction as outside
of one. Its commit is one conditional batch. Locks keep the waiting apart from the truth: they spare transactions
the conflict, and an owner who lost its lock is found out by the versions of what it read.

A transaction is about one store. It belongs to the context that it was begun in and to the tasks that begin in it; once
it has ended, what they do goes to the store directly.
"""

from __future__ import annotations

import itertools
from enum import Enum

from afresh.cache import ttl
from afresh.cache.errors import ConflictError, LockedError
from afresh.cache.locks import Lock
from afresh.cache.routes import Route
from afresh.cache.steps import Signal, Wait, adrive, drive
from afresh.errors import AfreshError, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextvars import ContextVar
    from typing import Any, TypeVar

    from afresh.cache.commands import SyncCache
    from afresh.cache.steps import Steps

    F = TypeVar("F", bound=Callable[..., Any])


class TransactionMode(str, Enum):
    """What a transaction is safe from."""

    #: Nothing is locked, nothing checked: who commits last has the last word. Increments are added, never lost.
    FAST = "fast"
    #: Each key that is read or written is locked, and what was read and is changed must not have been changed by others.
    LOCKED = "locked"
    #: One lock for the whole cache, and nothing that was read may have been changed by others.
    SERIALIZABLE = "serializable"


_CHECKS = {
    TransactionMode.FAST: "nothing",
    TransactionMode.LOCKED: "changed",
    TransactionMode.SERIALIZABLE: "everything",
}


_numbers = itertools.count()


class Transactions:
    """Those of one cache."""

    def __init__(self, core: SyncCache) -> None:
        import contextvars
        import threading

        self._core, self._lock = core, threading.Lock()
        self._here: ContextVar[Running | None] = contextvars.ContextVar("afresh_transaction", default=None)
        self.mode = TransactionMode.LOCKED
        self.timeout = 10.0
        #: How many are open, in all contexts.
        self.open = 0

    def current(self) -> Running | None:
        """The one that a command belongs to."""
        if not self.open:
            return None
        running = self._here.get()
        while running is not None and running.ended:
            running = running.parent
        return running

    def leave(self) -> None:
        """For the rest of this context there is none."""
        if self.open:
            self._here.set(None)

    def scope(self) -> str:
        """Tells computations within a transaction from those outside: what they see is not the same."""
        running = self.current()
        return "" if running is None else f" in {running.root_name}"

    def revoked(self, name: str, is_pattern: bool) -> None:
        """A key, or all that match a pattern, is being deleted."""
        running = self.current()
        if running is not None:
            running.revoked(name, is_pattern)

    def begin(self, mode: TransactionMode, timeout: float, face: str) -> Running:
        running = Running(self._core, self.current(), mode, timeout, face)
        with self._lock:
            self.open += 1
        self._core._around.tally(1)
        self._here.set(running)
        return running

    def finish(self, running: Running) -> None:
        running.ended = True
        self._here.set(running.parent)
        with self._lock:
            self.open -= 1
        self._core._around.tally(-1)


class Transaction:
    """``with cache.transaction():``, ``async with cache.transaction():``, or a decorator; of use as often as wanted, also
    at the same time. What is begun within another becomes part of it when it ends well.

    A function that is decorated is called again, ``retries`` times at most, when what it read was changed by others; a
    block raises ``ConflictError``.
    """

    def __init__(self, core: SyncCache, mode: TransactionMode, timeout: ttl.Span, retries: int) -> None:
        seconds = ttl.seconds(timeout)
        if seconds is None or seconds <= 0:
            raise ConfigError("a transaction needs a timeout", hint="its locks last as long if its process vanishes")
        self._of, self._mode, self._timeout, self._retries = core._transactions, mode, seconds, retries

    def __enter__(self) -> Running:
        return self._of.begin(self._mode, self._timeout, "threads")

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        running = self._mine()
        try:
            drive(running.leave(kind is not None))
        finally:
            self._of.finish(running)

    async def __aenter__(self) -> Running:
        return self._of.begin(self._mode, self._timeout, "loops")

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        running = self._mine()
        try:
            await adrive(running.leave(kind is not None))
        finally:
            self._of.finish(running)

    def _mine(self) -> Running:
        running = self._of.current()
        if running is None:
            raise RuntimeError("a transaction is left in another context than it was begun in")
        return running

    def __call__(self, function: F) -> F:
        """The function, each call of it in a transaction."""
        import functools
        import inspect

        from afresh.cache.decorators import _is_async

        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigError("a generator cannot be a transaction", hint="put a block into it")

        if _is_async(inspect.unwrap(function)):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                left = self._tries()
                while True:
                    try:
                        async with self:
                            return await function(*args, **kwargs)
                    except ConflictError:
                        left -= 1
                        if left < 0:
                            raise

            return awaited  # type: ignore[return-value]

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            left = self._tries()
            while True:
                try:
                    with self:
                        return function(*args, **kwargs)
                except ConflictError:
                    left -= 1
                    if left < 0:
                        raise

        return called  # type: ignore[return-value]

    def _tries(self) -> int:
        # Within another it is that one as a whole that has to be done again.
        return self._retries if self._of.current() is None else 0


class Running:
    """A transaction that is going on: what ``with cache.transaction() as tx:`` gives."""

    def __init__(
        self, core: SyncCache, parent: Running | None, mode: TransactionMode, timeout: float, face: str
    ) -> None:
        self._core, self._face, self._timeout = core, face, timeout
        self.parent, self.ended = parent, False
        self._root: Running = self if parent is None else parent._root
        self._number = next(_numbers)
        #: That of the outermost one, which the others are part of.
        self.mode: TransactionMode = mode if parent is None else parent.mode
        self._routes: dict[int, tuple[Route, Route]] = {}
        # Locks by name, and those that are about to be got; kept by the outermost.
        self._held: dict[str, Lock | None] = {}
        self._coming: dict[str, Signal] = {}
        # What was deleted: keys, and patterns.
        self._revoked: list[tuple[str, bool]] = []

    def commit(self) -> Any:
        """Makes the changes so far, together; the block goes on in a transaction that is new. To be awaited where the
        block is ``async with``."""
        return drive(self._commit()) if self._face == "threads" else adrive(self._commit())

    def rollback(self) -> Any:
        """Forgets the changes so far, at once. May be awaited."""
        from afresh import _afresh

        for _, route in self._routes.values():
            route.kv.rollback()
        self._routes.clear()
        self._revoked.clear()
        return _afresh.Ready(lambda: None) if self._face == "loops" else None

    @property
    def root_name(self) -> int:
        """A number that the outermost one has for itself."""
        return self._root._number

    def route(self, route: Route) -> Route:
        """The route as the transaction sees it."""
        found = self._routes.get(id(route))
        if found is None:
            below = route if self.parent is None else self.parent.route(route)
            mine = Route(route.prefix, below.kv.begin(_CHECKS[self.mode]), route.never_fails, route.middlewares)
            found = self._routes.setdefault(id(route), (route, mine))
        return found[1]

    def revoked(self, name: str, is_pattern: bool) -> None:
        """A deletion, for computations that begin before it is committed."""
        self._revoked.append((name, is_pattern))

    def lock(self, keys: Iterable[str]) -> Steps:
        """Locks what a command is about to read or write, until the transaction ends."""
        root = self._root
        if self.mode is TransactionMode.FAST:
            return
        names = [""] if self.mode is TransactionMode.SERIALIZABLE else sorted(keys)
        for name in names:
            while name not in root._held:
                coming = root._coming.get(name)
                if coming is not None:
                    # Another task of this very transaction is about to get it.
                    yield Wait(coming, None)
                    continue
                coming = root._coming[name] = Signal()
                try:
                    root._held[name] = yield from root._acquire(name)
                finally:
                    del root._coming[name]
                    coming.fire()

    def _acquire(self, name: str) -> Steps:
        core, timeout = self._core, self._timeout
        if not core._routes.all:
            return None
        route = core._routes.plain(name) if name else core._routes.all[-1]
        block = Lock(route, core._waiters, f"\0transaction:{name}", timeout, timeout)
        try:
            yield from block.enter()
            return block
        except LockedError:
            what = f"the key {name!r}" if name else "the cache"
            raise LockedError(
                f"another transaction has kept {what} for longer than {timeout:g} s",
                hint="a longer `timeout`, shorter transactions, or TransactionMode.FAST",
            ) from None
        except AfreshError as error:
            # The versions are what counts.
            core._degrade(error)
            return None

    def leave(self, failed: bool) -> Steps:
        """Ends it: with a commit, or without."""
        try:
            if failed:
                self.rollback()
            else:
                yield from self._commit()
        finally:
            held, self._held = self._held, {}
            for block in held.values():
                if block is not None:
                    yield from block.leave()

    def _commit(self) -> Steps:
        routes = [route for _, route in self._routes.values()]
        revoked, self._revoked, self._routes = self._revoked, [], {}
        changes = {id(route): route.kv.changes() for route in routes}
        own = [route for route in routes if changes[id(route)][0]]
        if len(own) > 1:
            for route in routes:
                route.kv.rollback()
            names = ", ".join(repr(route.prefix) for route in own)
            raise ConfigError(
                f"a transaction changes the keys of one store, not of several (those set up for {names})",
                hint="nothing was changed; make it one transaction for each",
            )
        if self.parent is not None:
            for name, is_pattern in revoked:
                self.parent.revoked(name, is_pattern)
        else:
            self._tell(revoked)
        for route in sorted(routes, key=lambda route: route not in own):
            try:
                done = yield route.ask("commit")
            except AfreshError as error:
                if changes[id(route)][1]:
                    # Nobody may believe that something was deleted or counted.
                    raise
                self._core._degrade(error)
                continue
            if not done and (route in own or not own):
                raise ConflictError(
                    "what this transaction read was changed by somebody else, and nothing of it was done",
                    hint="do it again; a function that is decorated with `transaction()` is called again by itself",
                )
        if self.parent is None:
            # Also what has begun to be computed meanwhile.
            self._tell(revoked)

    def _tell(self, revoked: list[tuple[str, bool]]) -> None:
        from afresh.cache.routes import matcher

        for name, is_pattern in revoked:
            if is_pattern:
                self._core._flights.revoke(matches=matcher(name))
            else:
                self._core._flights.revoke(key=name)
