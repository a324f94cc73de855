"""The commands of a cache, for threads; ``Cache`` is the same for event loops.

A command that cannot reach its store answers as an empty cache would, with a warning, where that can do no harm:
reading, and storing. Where it would (deleting, counting, locking) it raises.
"""

from __future__ import annotations

from afresh import _afresh, warn
from afresh.cache import routes, ttl
from afresh.cache.around import Around, Nothing, command
from afresh.cache.decorators import Decorators
from afresh.cache.detect import Detect, Detectors
from afresh.cache.flights import Flight, Flights
from afresh.cache.locks import Lock, Waiters
from afresh.cache.state import StateCommands
from afresh.cache.steps import Call, Wait, drive
from afresh.cache.switch import Disabling, Switches
from afresh.cache.tagging import Registered
from afresh.cache.transaction import Transaction, TransactionMode, Transactions
from afresh.errors import AfreshError, CodecError, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from afresh.cache.around import Callbacks, Command, Heard
    from afresh.cache.steps import Doing, Steps
    from afresh.cache.ttl import Span

#: What ``get_expire`` answers for an entry without an end, and for none.
UNLIMITED, NOT_EXIST = -1.0, -2.0

# Names that a page of a scan asks for.
_BATCH = 100


class SyncCache(_afresh.Direct, StateCommands, Decorators):
    """Values under names, with lifetimes, tags and locks, in memory or in any store of afresh.

    >>> cache = SyncCache()
    >>> cache.setup("memory:")
    >>> cache.set("user:7", {"name": "Ada"}, expire="2h5m")
    True
    >>> cache.get("user:7")
    {'name': 'Ada'}
    """

    def __init__(self, name: str = "") -> None:
        if "/" in name or len(name.encode()) > 100:
            raise ConfigError(f"`{name}` cannot be a cache's name", hint="up to 100 bytes, without a slash")
        import threading

        self.name, self._wiring = name, threading.Lock()
        self._routes = routes.Routes(self._seen)
        self._switches = Switches(self._wire)
        self._transactions = Transactions(self)
        self._flights = Flights(self._transactions.scope)
        self._waiters = Waiters()
        self._detectors = Detectors(self._wire)
        self._registered = Registered()
        # Whoever wants to know when `_wire` has run.
        self._wired: Callable[[], None] | None = None
        # The one store in memory, where nothing can come between a command and it.
        self._kv: Any = None
        self._ready = False
        self._fail_exceptions: tuple[type[Exception], ...] = (Exception,)
        self._around = Around(self)

    # Setting up

    def setup(
        self,
        url: Any,
        *,
        prefix: str = "",
        codec: Any = None,
        secret: str | bytes | None = None,
        entries: int | None = None,
        size: int | str | None = None,
        compress: str | None = None,
        client_side: bool = False,
        enable: bool = True,
        middlewares: Sequence[Callable[..., Any]] = (),
        **options: Any,
    ) -> None:
        """Keeps the keys that begin with ``prefix`` in the store at ``url``, an address, a path or a store object.

        ``compress`` is "zstd", "gzip", "zlib", "bz2" or "lzma". With ``client_side`` what is read of a shared store is
        kept in this process too (up to ``size``), and is still never older than what the store has, or a server has told
        of; a store that cannot tell is refused. ``middlewares`` stand
        around the commands on these keys, the last outermost. ``options`` are those of a backend of your own
        (``register_backend``).
        """
        kv, never_fails = routes.connect(
            routes.resolve(url, options),
            name=self.name,
            codec=codec,
            secret=secret,
            entries=entries,
            size=size,
            compress=compress,
            client_side=client_side,
        )
        self._routes.add(routes.Route(prefix, kv, never_fails, tuple(middlewares)))
        if not enable:
            self._switches.turn_off((), prefix)
        self._ready = False
        self._around.tally(0)

    def _wire(self) -> None:
        """To be done when anything has changed about what may come between a command and its store."""
        # One at a time: the last one has seen every change.
        with self._wiring:
            only = self._routes.all[0] if len(self._routes.all) == 1 else None
            plain = only is not None and only.never_fails and not only.prefix and self._switches.untouched
            plain = plain and not self._registered
            self._kv = only.kv if plain and only is not None and self._around.idle else None
            self._aim(self._kv, self._detectors.idle)
            if self._wired is not None:
                self._wired()

    def _seen(self, route: routes.Route) -> routes.Route:
        """A route as commands of this context see it."""
        running = self._transactions.current()
        return route if running is None else running.route(route)

    def is_setup(self) -> bool:
        """Whether any store was set up."""
        return bool(self._routes.all)

    @property
    def is_init(self) -> bool:
        """Whether all stores that were set up are known to have been reached: by ``init``, or by being in memory."""
        return self._ready or all(route.never_fails for route in self._routes.all)

    def init(self, *args: Any, **kwargs: Any) -> None:
        """Says now, rather than at the first use, if a store cannot be reached. With arguments, ``setup`` comes first."""
        if args or kwargs:
            self.setup(*args, **kwargs)
        drive(self._init())

    def _init(self) -> Steps:
        for route in self._routes.all:
            yield route.ask("exists", "")
        self._ready = True

    def close(self) -> None:
        """Lets go of the stores; the next use needs ``setup``."""
        self._routes.all = ()
        self._ready = False
        self._around.tally(0)

    # Reading

    # `get` and `set` are the base's, which comes here where it is not just a look into memory.
    @command
    def _get(self, key: str, default: Any = None) -> Steps:
        return (yield from self._read("get", key, default, "get", key, default))

    @command
    def get_many(self, *keys: str, default: Any = None) -> Doing[tuple[Any, ...]]:
        """The values in the order of the keys."""
        found: dict[str, Any] = {}
        for route, some in self._split(keys):
            some = [key for key in some if not self._switches.off("get_many", key)]
            try:
                found.update(zip(some, (yield route.ask("get_many", some, default))))
            except AfreshError as error:
                self._degrade(error)
        warn.emit()
        return tuple(found.get(key, default) for key in keys)

    @command
    def exists(self, key: str) -> Doing[bool]:
        return bool((yield from self._read("exists", key, False, "exists", key)))

    @command
    def get_expire(self, key: str) -> Doing[float]:
        """Seconds that an entry has left; ``UNLIMITED`` where it has no end, ``NOT_EXIST`` where there is none."""
        return float((yield from self._read("get_expire", key, NOT_EXIST, "left", key)))

    @command
    def get_size(self, key: str) -> Doing[int]:
        """Bytes that an entry takes, roughly."""
        return int((yield from self._read("get_size", key, 0, "size", key)))

    def get_key_tags(self, key: str) -> tuple[str, ...]:
        """The tags that an entry was stored with."""
        return drive(self._get_key_tags(key))  # type: ignore[no-any-return]

    def _get_key_tags(self, key: str) -> Steps:
        return (yield from self._read("get", key, (), "tags", key))

    @command
    def get_keys_count(self) -> Doing[int]:
        """How many entries there are. Looks at each."""
        count = 0
        if not self._switches.off("get_keys_count"):
            for page in self._pages("*", 1000, False):
                count += len((yield from page))
        return count

    @command
    def scan(self, pattern: str, batch_size: int = _BATCH) -> Doing[Iterator[str]]:
        """The keys that match: ``*`` stands for anything, ``\\*`` for a star."""
        pages = () if self._switches.off("scan") else self._pages(pattern, batch_size, False)
        return (key for page in pages for key in drive(page))
        yield

    @command
    def get_match(self, pattern: str, batch_size: int = _BATCH) -> Doing[Iterator[tuple[str, Any]]]:
        """The keys that match, with their values."""
        pages = () if self._switches.off("get_match") else self._pages(pattern, batch_size, True)
        return (entry for page in pages for entry in drive(page))
        yield

    @command
    def ping(self, message: bytes | None = None) -> Doing[bytes]:
        """Raises if a store cannot be reached."""
        for route in self._routes.all:
            yield route.ask("exists", "")
        return b"PONG" if message is None else message

    # Writing

    @command
    def _set(
        self,
        key: str,
        value: Any,
        expire: Span = None,
        exist: bool | None = None,
        tags: Sequence[str] = (),
    ) -> Steps:
        return (yield from self._put("set", key, value, expire, exist, tags))

    @command
    def set_many(self, pairs: Mapping[str, Any], expire: Span = None, tags: Sequence[str] = ()) -> Doing[None]:
        for key, value in pairs.items():
            yield from self._put("set_many", key, value, expire, None, tags)

    @command
    def incr(self, key: str, value: int = 1, expire: Span = None, tags: Sequence[str] = ()) -> Doing[int]:
        """Adds to a number, in one step; the new number. One that begins now lasts for ``expire``."""
        if self._switches.off("incr", key):
            return 0
        tags = self._registered.of(key, tags)
        return int((yield self._routes.of(key).ask("incr", key, value, ttl.seconds(expire), list(tags) or None)))

    @command
    def expire(self, key: str, timeout: Span) -> Doing[bool]:
        """Sets how long an entry lasts from now on; whether there is one."""
        if self._switches.off("expire", key):
            return False
        return bool((yield self._routes.of(key).ask("expire", key, ttl.seconds(timeout))))

    def get_or_set(self, key: str, default: Any, expire: Span = None, tags: Sequence[str] = ()) -> Any:
        """The value; where there is none, ``default`` (a value, or a callable that is called once for all who wait)."""
        return drive(self._get_or_set("threads", key, default, expire, tags))

    # Taking away

    @command
    def delete(self, key: str) -> Doing[bool]:
        """Whether there was one."""
        if self._switches.off("delete", key):
            return False
        return bool((yield from self._delete(key)))

    @command
    def delete_many(self, *keys: str) -> Doing[int]:
        """How many there were."""
        count = 0
        if not self._switches.off("delete_many"):
            for key in keys:
                if not self._switches.off("delete", key):
                    count += yield from self._delete(key)
        return count

    @command
    def delete_match(self, pattern: str) -> Doing[int]:
        """Deletes the keys that match; how many there were."""
        return int((yield from self._delete_match(pattern)))

    @command
    def delete_tags(self, *tags: str) -> Doing[None]:
        """Takes back everything that was stored with one of these tags, and what is being computed with them."""
        if self._switches.off("delete_tags"):
            return
        for route in self._routes.every():
            for tag in tags:
                yield route.ask("bump", tag)

    @command
    def clear(self) -> Doing[None]:
        """Removes all entries of this cache, and nothing else that is in its stores."""
        if self._switches.off("clear"):
            return
        yield from self._revoke_match("*")
        for route in self._routes.every():
            if not route.prefix:
                yield route.ask("clear")
        # A route with a prefix may share its store with others of this cache.
        yield from self._delete_match("*")

    def register_tag(self, tag: str, key_template: str) -> None:
        """What is stored from now on under a key that matches gets the tag, whose fields are filled in from the key:
        ``register_tag("user:{id}", "profile:{id}:*")``."""
        self._registered.add(tag, key_template)
        self._wire()

    # Locks

    @command
    def set_lock(self, key: str, value: str, expire: Span) -> Doing[bool]:
        """Takes a lock for the owner ``value``; whether nobody has it."""
        if self._switches.off("set_lock", key):
            return True
        return bool((yield self._routes.of(key).ask("lock", key, value, _lock_span(expire))))

    @command
    def unlock(self, key: str, value: str) -> Doing[bool]:
        """Gives a lock back, if ``value`` is its owner; whether it was."""
        if self._switches.off("unlock", key):
            return True
        given: bool = yield self._routes.of(key).ask("unlock", key, value)
        if given:
            self._waiters.wake(key)
        return given

    @command
    def is_locked(self, key: str, wait: float | None = None, step: float = 0.1) -> Doing[bool]:
        """Whether somebody has the lock; with ``wait``, whether still so after that many seconds."""
        import time

        route = self._routes.of(key)
        ends = time.monotonic() + (wait or 0)
        while True:
            left = yield route.ask("locked", key)
            now = time.monotonic()
            if left is None or now >= ends:
                return left is not None
            yield Wait(None, min(step, left, ends - now))

    def lock(self, key: str, expire: Span, wait: bool | float = True) -> Lock:
        """A block that one owner at a time is in. ``expire`` is for owners that vanish; who must not wait, or not that
        long, gets ``LockedError``."""
        return Lock(self._routes.of(key), self._waiters, key, _lock_span(expire), wait)

    # On and off

    def disable(self, *commands: str, prefix: str = "") -> None:
        """Turns commands (none named: all) off, for the whole process."""
        self._switches.turn_off(commands, prefix)

    def enable(self, *commands: str, prefix: str = "") -> None:
        """Turns commands on again."""
        self._switches.turn_on(commands, prefix)

    def disabling(self, *commands: str, prefix: str = "") -> Disabling:
        """``with cache.disabling():`` is off for the block, in its context only."""
        return Disabling(self._switches, commands, prefix)

    def is_disable(self, *commands: str, prefix: str = "") -> bool:
        """Whether any of the commands (none named: all of them) is off."""
        if not commands:
            return self._switches.all_off()
        return any(self._switches.off(command, prefix) for command in commands)

    def is_enable(self, *commands: str, prefix: str = "") -> bool:
        return not self.is_disable(*commands, prefix=prefix)

    @property
    def is_full_disable(self) -> bool:
        """Whether everything is off: decorated functions are called as if they were not decorated."""
        return self._switches.all_off()

    # What stands around commands

    def add_middleware(self, middleware: Callable[..., Any]) -> None:
        """Has ``middleware(call, cmd, backend, *args, **kwargs)`` stand around all commands, outside of those that are
        there; it gives what it makes of ``call(*args, **kwargs)``."""
        self._around.add(middleware)

    @property
    def callbacks(self) -> Callbacks:
        """Who is told of commands: ``add_callback(f, name)``, ``remove_callback(name)``."""
        return self._around.callbacks

    def callback(self, callback: Callable[..., Any], cmd: Command | str) -> Heard:
        """``with cache.callback(f, "get"):`` calls ``f(key, result=...)`` after each such command within the block, in
        its context, unless the result is None."""
        return self._around.callbacks.callback(callback, cmd)

    # Transactions

    def transaction(
        self, mode: TransactionMode | str | None = None, timeout: Span = None, *, retries: int = 3
    ) -> Transaction:
        """A block, or a decorator, whose changes are made together at its end, or not at all.

        ``mode`` is a ``TransactionMode`` (LOCKED, if nothing else was set); ``timeout`` says how long to wait for others,
        and how long the locks of a process that vanishes last. A decorated function is called again, ``retries`` times
        at most, when others have changed what it read; a block raises ``ConflictError``.
        """
        transactions = self._transactions
        chosen = transactions.mode if mode is None else TransactionMode(mode)
        return Transaction(self, chosen, transactions.timeout if timeout is None else timeout, retries)

    def set_transaction_mode(self, mode: TransactionMode | str) -> None:
        """What transactions are safe from where they do not say so themselves."""
        self._transactions.mode = TransactionMode(mode)

    def set_transaction_timeout(self, timeout: Span) -> None:
        """How long transactions wait for each other where they do not say so themselves."""
        self._transactions.timeout = _lock_span(timeout)

    def set_default_fail_exceptions(self, *exceptions: type[Exception]) -> None:
        """For which exceptions ``failover`` answers from the cache where it does not say so itself."""
        self._fail_exceptions = exceptions or (Exception,)

    def detect(self) -> Detect:
        """``with cache.detect() as found:`` sees what decorated functions answer from the cache within the block."""
        return self._detectors.begin()

    # What the commands are made of

    def _read(self, command: str, key: str, default: Any, method: str, *args: Any) -> Steps:
        if self._switches.off(command, key):
            return default
        try:
            return (yield self._routes.of(key).ask(method, *args))
        except ConfigError:
            raise
        except AfreshError as error:
            self._degrade(error)
            return default
        finally:
            warn.emit()

    def _core(self) -> SyncCache:
        return self

    def _bare(self, face: str) -> Any:
        """This cache without what stands around its commands."""
        bare = type(self).__new__(type(self))
        bare.__dict__.update(self.__dict__)
        bare._around, bare._kv, bare._wired = Nothing(), None, None  # type: ignore[assignment]
        if face == "threads":
            return bare
        from afresh.cache.cache import Cache

        return Cache._over(bare)

    def _steps(self, face: str, method: Any, *args: Any, **kwargs: Any) -> Steps:
        """A command as steps of something larger."""
        if self._around.idle:
            return (yield from method.raw(self, *args, **kwargs))
        return (yield from self._around.steps(face, method.raw, args, kwargs))

    def _near(self) -> bool:
        return all(route.near for route in self._routes.all)

    def _degrade(self, error: AfreshError) -> None:
        _afresh.count_cache_error(self.name)
        warn.store("the cache cannot be used and does without", error)

    def _put(
        self,
        command: str,
        key: str,
        value: Any,
        expire: Span,
        exist: bool | None,
        tags: Sequence[str],
    ) -> Steps:
        if self._switches.off(command, key):
            return False
        keep = expire == ttl.KEEP
        span = None if keep else ttl.seconds(expire)
        route, tags = self._routes.of(key), self._registered.of(key, tags)
        said = {"keep": keep, "exist": exist, "tags": list(tags) or None, "raw": command == "set_raw"}
        try:
            return (yield route.ask("set", key, value, span, **said))
        except (ConfigError, CodecError):
            raise
        except AfreshError as error:
            self._degrade(error)
            return False

    def _split(self, keys: Sequence[str]) -> Iterator[tuple[routes.Route, list[str]]]:
        """The keys by route, each once."""
        parts: dict[int, tuple[routes.Route, list[str]]] = {}
        for key in dict.fromkeys(keys):
            route = self._routes.of(key)
            parts.setdefault(id(route), (route, []))[1].append(key)
        yield from parts.values()

    def _pages(self, pattern: str, batch: int, values: bool) -> Iterator[Doing[list[Any]]]:
        """Page after page of what matches; each is steps, to be gone through before the next."""
        for route in self._routes.matching(pattern):
            cursors: list[bytes | None] = [None]
            while cursors:
                yield self._page(route, pattern, cursors, batch, values)

    def _page(
        self, route: routes.Route, pattern: str, cursors: list[bytes | None], batch: int, values: bool
    ) -> Steps:
        found, cursor = yield route.ask("page", pattern, cursors.pop(), batch, values)
        if cursor is not None:
            cursors.append(cursor)
        if len(self._routes.all) > 1:
            found = [one for one in found if self._routes.of(one[0] if values else one) is route]
        # Others have their turn.
        yield Wait(None, 0)
        warn.emit()
        return found

    def _delete(self, key: str) -> Steps:
        yield from self._revoke(key)
        return (yield self._routes.of(key).ask("delete", key))

    def _delete_match(self, pattern: str) -> Steps:
        """Deletes, page by page; how many there were."""
        count = 0
        if self._switches.off("delete_match"):
            return count
        yield from self._revoke_match(pattern)
        for page in self._pages(pattern, 1000, False):
            for key in (yield from page):
                count += yield self._routes.of(key).ask("delete", key)
        return count

    def _get_or_set(self, face: str, key: str, default: Any, expire: Span, tags: Sequence[str]) -> Steps:
        span = ttl.seconds(expire)
        route = self._routes.of(key)
        make = Call(default) if callable(default) or hasattr(default, "__await__") else None
        if hasattr(default, "__await__"):
            make = Call(lambda: default)
        if self._switches.off("get_or_set", key):
            return default if make is None else (yield make)

        def look() -> Steps:
            found = yield from self._steps(face, SyncCache._get, key, _ABSENT)
            return None if found is _ABSENT else (found,)

        def compute(flight: Flight) -> Steps:
            found = yield from look()
            if found is not None:
                return found[0]
            marks = yield from self._begin(flight, tags)
            value = default if make is None else (yield make)
            yield from self._store(face, flight, key, value, span, marks, 0)
            return value

        try:
            found = yield from look()
            if found is not None:
                return found[0]
            return (yield from self._flights.fly(f"get_or_set {face}", key, compute, look))
        finally:
            # A coroutine that was not needed.
            if hasattr(default, "__await__") and hasattr(default, "close"):
                default.close()

    def _begin(self, flight: Flight, tags: Sequence[str]) -> Steps:
        """To be done before a value is computed: its tags with their epochs. Also remembers by what a deletion in
        another process, or before a transaction ends, will be known."""
        route = self._routes.of(flight.key)
        told = route.never_fails and self._transactions.current() is None
        fences = [] if told else _fences(flight.key)
        tags = self._registered.of(flight.key, tags)
        if not tags and not fences:
            return None
        try:
            marks = yield route.ask("marks", [*tags, *fences])
        except AfreshError as error:
            self._degrade(error)
            # What cannot be taken back is not to be stored.
            flight.revoked = True
            return None
        flight.fences = marks[len(tags) :]
        return marks[: len(tags)]

    def _store(
        self, face: str, flight: Flight, key: str, value: Any, span: float | None, marks: Any, version: int
    ) -> Steps:
        """Stores what was computed, with what stands around ``set``."""
        if self._around.idle:
            return (yield from self._publish(flight, key, value, span, marks, version))

        def ask(key: str, value: Any, expire: Span, exist: bool | None, tags: Sequence[str]) -> Steps:
            return self._publish(flight, key, value, ttl.seconds(expire), marks, version)

        said = {"expire": span, "tags": tuple(name for name, _ in marks or ())}
        return (yield from self._around.steps(face, SyncCache._set.raw, (key, value), said, ask, locks=False))  # type: ignore[attr-defined]

    def _publish(self, flight: Flight, key: str, value: Any, span: float | None, marks: Any, version: int) -> Steps:
        """Stores what was computed, unless its key was deleted or set meanwhile. A value that cannot be stored is still
        the caller's.

        Whoever deletes counts first and deletes then. So a deletion is either seen here, before or after storing,
        or comes after it and takes away what was stored.
        """
        route = self._routes.of(key)
        if self._switches.off("set", key):
            return False
        try:
            if (yield from self._is_revoked(route, flight)):
                return False
            if not (yield route.ask("set", key, value, span, marks=marks, version=version)):
                return False
            if self._transactions.current() is not None:
                # Looked at when it commits.
                route.kv.fence(key, flight.fences)
            elif (yield from self._is_revoked(route, flight)):
                return not (yield route.ask("delete", key))
            return True
        except CodecError as error:
            warn.once(f"{error}; it is returned and will be computed again")
        except AfreshError as error:
            self._degrade(error)
        return False

    def _is_revoked(self, route: routes.Route, flight: Flight) -> Steps:
        fences = flight.fences
        if flight.revoked or not fences:
            return flight.revoked
        return (yield route.ask("marks", [name for name, _ in fences])) != fences

    def _revoke(self, key: str) -> Steps:
        """What is being computed for a key, here or elsewhere, is not to be stored."""
        self._flights.revoke(key=key)
        self._transactions.revoked(key, False)
        route = self._routes.of(key)
        if not route.never_fails or self._transactions.open:
            yield route.ask("bump", _fences(key)[0])

    def _revoke_match(self, pattern: str) -> Steps:
        """The same for all keys that match."""
        self._flights.revoke(matches=routes.matcher(pattern))
        self._transactions.revoked(pattern, True)
        for route in self._routes.matching(pattern):
            if not route.never_fails or self._transactions.open:
                yield route.ask("bump", _EVERY)


class _Absent:
    pass


_ABSENT: Any = _Absent()


# Epochs, as of tags that nobody can name, that count deletions: of the keys that share a slot, and of patterns.
_SLOTS = 1024
_EVERY = "\0*"


def _fences(key: str) -> list[str]:
    import zlib

    return [f"\0{zlib.crc32(key.encode()) % _SLOTS}", _EVERY]


def _lock_span(expire: Span) -> float:
    span = ttl.seconds(expire)
    if span is None or span <= 0:
        raise ConfigError("a lock needs an end", hint="give how long its owner may take at most, such as 30 or '5m'")
    return span
