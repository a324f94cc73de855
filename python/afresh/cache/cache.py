"""The key-value face for event loops: the commands of ``SyncCache``, to be awaited.

A store that is near answers when it is awaited, without a task or a turn of the loop. One on a server is awaited, any
number of commands at once on one connection; one of the user's own is asked in a thread. So the loop never stands still.
There is no second implementation here.
"""

from __future__ import annotations

import functools

from afresh import _afresh
from afresh.cache.commands import _BATCH, SyncCache
from afresh.cache.decorators import Decorators
from afresh.cache.locks import Lock
from afresh.cache.state import AwaitedStateCommands
from afresh.cache.steps import adrive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from typing import Any

    from afresh.cache.around import Callbacks, Command, Heard
    from afresh.cache.detect import Detect
    from afresh.cache.steps import Steps
    from afresh.cache.switch import Disabling
    from afresh.cache.transaction import Transaction, TransactionMode
    from afresh.cache.ttl import Span

_Ready = _afresh.Ready


class Cache(AwaitedStateCommands, Decorators):
    """Values under names, with lifetimes, tags and locks, in memory or in any store of afresh.

    Commands are awaited; ``cache.sync`` has the same for threads, over the same entries.
    """

    def __init__(self, name: str = "") -> None:
        #: The same cache for threads.
        self.sync = SyncCache(name)
        self.name = name
        self._do: Callable[..., Awaitable[Any]] = _Ready
        self.sync._wired = self._wire

    @classmethod
    def _over(cls, core: SyncCache) -> Cache:
        """This face of a cache that is there."""
        cache = cls.__new__(cls)
        cache.sync, cache.name = core, core.name
        cache._wire()
        return cache

    def _wire(self) -> None:
        self._do = _Ready if self.sync._near() and self.sync._around.idle else self._steps

    def _steps(self, call: Any, *args: Any) -> Awaitable[Any]:
        """A command as what it is made of, with what stands around it; ``call`` may be a partial of one."""
        method, kwargs = (call.func, call.keywords) if isinstance(call, functools.partial) else (call, {})
        # `get` and `set` are the base's.
        raw = getattr(method, "raw", None) or getattr(self.sync, f"_{method.__name__}").raw
        if self.sync._around.idle:
            return adrive(raw(self.sync, *args, **kwargs))
        return adrive(self.sync._around.steps("loops", raw, args, kwargs))

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
        self.sync.setup(
            url,
            prefix=prefix,
            codec=codec,
            secret=secret,
            entries=entries,
            size=size,
            compress=compress,
            client_side=client_side,
            enable=enable,
            middlewares=middlewares,
            **options,
        )

    def is_setup(self) -> bool:
        """Whether any store was set up."""
        return self.sync.is_setup()

    @property
    def is_init(self) -> bool:
        """Whether all stores that were set up are known to have been reached: by ``init``, or by being in memory."""
        return self.sync.is_init

    def init(self, *args: Any, **kwargs: Any) -> Awaitable[None]:
        """Says now, rather than at the first use, if a store cannot be reached. With arguments, ``setup`` comes first."""
        if args or kwargs:
            self.setup(*args, **kwargs)
        return adrive(self.sync._init())

    def close(self) -> Awaitable[None]:
        """Lets go of the stores; the next use needs ``setup``."""
        return _Ready(self.sync.close)

    def get(self, key: str, default: Any = None) -> Awaitable[Any]:
        """The value, or ``default``. Every caller gets a value of their own."""
        return self._do(self.sync.get, key, default)

    def get_many(self, *keys: str, default: Any = None) -> Awaitable[tuple[Any, ...]]:
        """The values in the order of the keys."""
        return self._do(functools.partial(self.sync.get_many, default=default), *keys)

    def exists(self, key: str) -> Awaitable[bool]:
        return self._do(self.sync.exists, key)

    def get_expire(self, key: str) -> Awaitable[float]:
        """Seconds that an entry has left; ``UNLIMITED`` where it has no end, ``NOT_EXIST`` where there is none."""
        return self._do(self.sync.get_expire, key)

    def get_size(self, key: str) -> Awaitable[int]:
        """Bytes that an entry takes, roughly."""
        return self._do(self.sync.get_size, key)

    def get_key_tags(self, key: str) -> Awaitable[tuple[str, ...]]:
        """The tags that an entry was stored with."""
        return adrive(self.sync._get_key_tags(key))

    def get_keys_count(self) -> Awaitable[int]:
        """How many entries there are. Looks at each."""
        return self._steps(self.sync.get_keys_count)

    async def scan(self, pattern: str, batch_size: int = _BATCH) -> AsyncIterator[str]:
        """The keys that match: ``*`` stands for anything, ``\\*`` for a star."""
        async for key in await self._matching(SyncCache.scan, pattern, batch_size, False):
            yield key

    async def get_match(self, pattern: str, batch_size: int = _BATCH) -> AsyncIterator[tuple[str, Any]]:
        """The keys that match, with their values."""
        async for entry in await self._matching(SyncCache.get_match, pattern, batch_size, True):
            yield entry

    def ping(self, message: bytes | None = None) -> Awaitable[bytes]:
        """Raises if a store cannot be reached."""
        return self._do(self.sync.ping, message)

    def set(
        self,
        key: str,
        value: Any,
        expire: Span = None,
        exist: bool | None = None,
        tags: Sequence[str] = (),
    ) -> Awaitable[bool]:
        """Stores a value; whether it is there now.

        ``expire`` is its lifetime from now on (None: no end, 0: not stored, ``"keep"``: what it has). With
        ``exist=True`` only in place of another, with ``exist=False`` only where there is none.
        """
        return self._do(self.sync.set, key, value, expire, exist, tags)

    def set_many(
        self, pairs: Mapping[str, Any], expire: Span = None, tags: Sequence[str] = ()
    ) -> Awaitable[None]:
        return self._do(self.sync.set_many, pairs, expire, tags)

    def incr(
        self, key: str, value: int = 1, expire: Span = None, tags: Sequence[str] = ()
    ) -> Awaitable[int]:
        """Adds to a number, in one step; the new number. One that begins now lasts for ``expire``."""
        return self._do(self.sync.incr, key, value, expire, tags)

    def expire(self, key: str, timeout: Span) -> Awaitable[bool]:
        """Sets how long an entry lasts from now on; whether there is one."""
        return self._do(self.sync.expire, key, timeout)

    async def get_or_set(self, key: str, default: Any, expire: Span = None, tags: Sequence[str] = ()) -> Any:
        """The value; where there is none, ``default``: a value, an awaitable, or a callable or coroutine function that is
        called once for all who wait."""
        return await adrive(self.sync._get_or_set("loops", key, default, expire, tags))

    def delete(self, key: str) -> Awaitable[bool]:
        """Whether there was one."""
        return self._do(self.sync.delete, key)

    def delete_many(self, *keys: str) -> Awaitable[int]:
        """How many there were."""
        return self._do(self.sync.delete_many, *keys)

    def delete_match(self, pattern: str) -> Awaitable[int]:
        """Deletes the keys that match; how many there were."""
        return self._steps(self.sync.delete_match, pattern)

    def delete_tags(self, *tags: str) -> Awaitable[None]:
        """Takes back everything that was stored with one of these tags, and what is being computed with them."""
        return self._do(self.sync.delete_tags, *tags)

    def register_tag(self, tag: str, key_template: str) -> None:
        """What is stored from now on under a key that matches gets the tag, whose fields are filled in from the key:
        ``register_tag("user:{id}", "profile:{id}:*")``."""
        self.sync.register_tag(tag, key_template)

    def clear(self) -> Awaitable[None]:
        """Removes all entries of this cache, and nothing else that is in its stores."""
        return self._steps(self.sync.clear)

    def set_lock(self, key: str, value: str, expire: Span) -> Awaitable[bool]:
        """Takes a lock for the owner ``value``; whether nobody has it."""
        return self._do(self.sync.set_lock, key, value, expire)

    def unlock(self, key: str, value: str) -> Awaitable[bool]:
        """Gives a lock back, if ``value`` is its owner; whether it was."""
        return self._do(self.sync.unlock, key, value)

    def is_locked(self, key: str, wait: float | None = None, step: float = 0.1) -> Awaitable[bool]:
        """Whether somebody has the lock; with ``wait``, whether still so after that many seconds."""
        return self._steps(self.sync.is_locked, key, wait, step)

    def lock(self, key: str, expire: Span, wait: bool | float = True) -> Lock:
        """A block that one owner at a time is in. ``expire`` is for owners that vanish; who must not wait, or not that
        long, gets ``LockedError``."""
        return self.sync.lock(key, expire, wait)

    def disable(self, *commands: str, prefix: str = "") -> None:
        """Turns commands (none named: all) off, for the whole process."""
        self.sync.disable(*commands, prefix=prefix)

    def enable(self, *commands: str, prefix: str = "") -> None:
        """Turns commands on again."""
        self.sync.enable(*commands, prefix=prefix)

    def disabling(self, *commands: str, prefix: str = "") -> Disabling:
        """``with cache.disabling():`` is off for the block, in its context only."""
        return self.sync.disabling(*commands, prefix=prefix)

    def is_disable(self, *commands: str, prefix: str = "") -> bool:
        """Whether any of the commands (none named: all of them) is off."""
        return self.sync.is_disable(*commands, prefix=prefix)

    def is_enable(self, *commands: str, prefix: str = "") -> bool:
        return self.sync.is_enable(*commands, prefix=prefix)

    @property
    def is_full_disable(self) -> bool:
        """Whether everything is off: decorated functions are called as if they were not decorated."""
        return self.sync.is_full_disable

    def add_middleware(self, middleware: Callable[..., Any]) -> None:
        """Has ``middleware(call, cmd, backend, *args, **kwargs)``, a function or a coroutine function, stand around all
        commands, outside of those that are there; it gives what it makes of ``await call(*args, **kwargs)``."""
        self.sync.add_middleware(middleware)

    @property
    def callbacks(self) -> Callbacks:
        """Who is told of commands: ``add_callback(f, name)``, ``remove_callback(name)``."""
        return self.sync.callbacks

    def callback(self, callback: Callable[..., Any], cmd: Command | str) -> Heard:
        """``with cache.callback(f, "get"):`` calls ``f(key, result=...)`` after each such command within the block, in
        its context, unless the result is None."""
        return self.sync.callback(callback, cmd)

    def transaction(
        self, mode: TransactionMode | str | None = None, timeout: Span = None, *, retries: int = 3
    ) -> Transaction:
        """``async with``, or a decorator, whose changes are made together at its end, or not at all.

        ``mode`` is a ``TransactionMode`` (LOCKED, if nothing else was set); ``timeout`` says how long to wait for others,
        and how long the locks of a process that vanishes last. A decorated function is called again, ``retries`` times
        at most, when others have changed what it read; a block raises ``ConflictError``.
        """
        return self.sync.transaction(mode, timeout, retries=retries)

    def set_transaction_mode(self, mode: TransactionMode | str) -> None:
        """What transactions are safe from where they do not say so themselves."""
        self.sync.set_transaction_mode(mode)

    def set_transaction_timeout(self, timeout: Span) -> None:
        """How long transactions wait for each other where they do not say so themselves."""
        self.sync.set_transaction_timeout(timeout)

    def set_default_fail_exceptions(self, *exceptions: type[Exception]) -> None:
        """For which exceptions ``failover`` answers from the cache where it does not say so itself."""
        self.sync.set_default_fail_exceptions(*exceptions)

    def detect(self) -> Detect:
        """``with cache.detect() as found:`` sees what decorated functions answer from the cache within the block."""
        return self.sync.detect()

    def _core(self) -> SyncCache:
        return self.sync

    async def _matching(self, method: Any, pattern: str, batch: int, values: bool) -> AsyncIterator[Any]:
        """What matches, page after page, with what stands around looking for it."""

        async def found(pattern: str, batch_size: int) -> AsyncIterator[Any]:
            if not self.sync.is_disable(method.__name__):
                for page in self.sync._pages(pattern, batch_size, values):
                    for one in await adrive(page):
                        yield one

        def ask(pattern: str, batch_size: int) -> Steps:
            return found(pattern, batch_size)
            yield

        if self.sync._around.idle:
            return found(pattern, batch)
        around = self.sync._around.steps("loops", method.raw, (pattern, batch), {}, ask)
        return await adrive(around)  # type: ignore[no-any-return]
