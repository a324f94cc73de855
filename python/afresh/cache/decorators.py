"""The decorators of a cache: for functions and coroutine functions alike, on methods too.

A decorated function stays what it was: a coroutine function for event loops, any other for threads. Where no key can be
made of a call (a value without a canonical form), the function runs without the cache, with a warning.
"""

from __future__ import annotations

from afresh import _afresh, warn
from afresh.cache import ttl
from afresh.cache.conditions import Raised
from afresh.cache.keys import Keys, Template
from afresh.cache.steps import adrive, drive
from afresh.cache.strategies.asked import Asked, Keep
from afresh.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol, TypeVar

    from afresh.cache.commands import SyncCache
    from afresh.cache.conditions import Condition
    from afresh.cache.steps import Steps
    from afresh.cache.ttl import Span, Ttl

    F = TypeVar("F", bound=Callable[..., Any])

    class Strategy(Protocol):
        """Steps from a call to its answer."""

        def steps(self, asked: Asked, /) -> Steps: ...


_ABSENT = object()


class Decorators:
    """What both faces have beside their commands."""

    def _core(self) -> SyncCache:
        raise NotImplementedError

    def cache(
        self,
        ttl: Ttl,
        *,
        key: str | None = None,
        condition: Condition = None,
        time_condition: Span = None,
        prefix: str = "",
        tags: Sequence[str] = (),
        lock: bool = False,
        protected: bool = True,
        upper: bool = False,
    ) -> Callable[[F], F]:
        """Answers from the cache for ``ttl``. Of those who ask at the same time one computes, in all processes that share
        the store, on one host or through a server on several; with ``lock=True`` also where a lock that ends after
        ``ttl`` is all that the store has.

        ``upper=True`` does not keep what was computed with the help of another answer of a cache, for functions that are
        stacked."""
        from afresh.cache.strategies.remember import Simple

        return self._remember(
            lambda keep: Simple(keep, protected, lock),
            ttl, key, condition, time_condition, prefix, tags, upper,
        )  # fmt: skip

    def early(
        self,
        ttl: Ttl,
        *,
        early_ttl: Ttl = None,
        key: str | None = None,
        condition: Condition = None,
        time_condition: Span = None,
        prefix: str = "early",
        tags: Sequence[str] = (),
        background: bool = True,
        protected: bool = True,
        upper: bool = False,
    ) -> Callable[[F], F]:
        """As ``cache``; from ``early_ttl`` (a third of ``ttl``) on, one call in all processes has the answer computed
        anew in the background, and everyone is still answered at once."""
        from afresh.cache.strategies.remember import Early

        return self._remember(
            lambda keep: Early(keep, early_ttl, protected, background),
            ttl, key, condition, time_condition, prefix, tags, upper,
        )  # fmt: skip

    def soft(
        self,
        ttl: Ttl,
        *,
        soft_ttl: Ttl = None,
        exceptions: type[Exception] | tuple[type[Exception], ...] = Exception,
        key: str | None = None,
        condition: Condition = None,
        time_condition: Span = None,
        prefix: str = "soft",
        tags: Sequence[str] = (),
        protected: bool = True,
        upper: bool = False,
    ) -> Callable[[F], F]:
        """As ``cache`` for ``soft_ttl`` (a third of ``ttl``); then computed anew, and answered from the cache until
        ``ttl`` where that raises one of the exceptions."""
        from afresh.cache.strategies.remember import Soft

        return self._remember(
            lambda keep: Soft(keep, soft_ttl, protected, exceptions),
            ttl, key, condition, time_condition, prefix, tags, upper,
        )  # fmt: skip

    def hit(
        self,
        ttl: Ttl,
        *,
        cache_hits: int,
        update_after: int = 0,
        key: str | None = None,
        condition: Condition = None,
        time_condition: Span = None,
        prefix: str = "hit",
        tags: Sequence[str] = (),
        background: bool = True,
        upper: bool = False,
    ) -> Callable[[F], F]:
        """As ``cache`` for ``cache_hits`` answers; at the one numbered ``update_after`` it is computed anew in the
        background."""
        from afresh.cache.strategies.remember import Hits

        if cache_hits < 1 or not 0 <= update_after <= cache_hits:
            raise ConfigError("`cache_hits` is at least 1, and `update_after` not above it")
        return self._remember(
            lambda keep: Hits(keep, cache_hits, update_after, background),
            ttl, key, condition, time_condition, prefix, tags, upper,
        )  # fmt: skip

    def dynamic(
        self,
        ttl: Ttl = 86_400,
        *,
        key: str | None = None,
        condition: Condition = None,
        time_condition: Span = None,
        prefix: str = "dynamic",
        tags: Sequence[str] = (),
        upper: bool = False,
    ) -> Callable[[F], F]:
        """Three answers from the cache, the first of which has it computed anew in the background."""
        return self.hit(
            ttl,
            cache_hits=3,
            update_after=1,
            key=key,
            condition=condition,
            time_condition=time_condition,
            prefix=prefix,
            tags=tags,
            upper=upper,
        )

    def failover(
        self,
        ttl: Ttl,
        *,
        exceptions: type[Exception] | tuple[type[Exception], ...] | None = None,
        key: str | None = None,
        condition: Condition = None,
        time_condition: Span = None,
        prefix: str = "fail",
        tags: Sequence[str] = (),
    ) -> Callable[[F], F]:
        """Calls each time; where that raises one of the exceptions (those of ``set_default_fail_exceptions``, if none are
        named), the last answer of the last ``ttl``."""
        from afresh.cache.strategies.remember import Failover

        return self._remember(
            lambda keep: Failover(keep, exceptions), ttl, key, condition, time_condition, prefix, tags
        )

    def iterator(
        self,
        ttl: Ttl,
        *,
        key: str | None = None,
        condition: Condition = None,
        prefix: str = "iterator",
        tags: Sequence[str] = (),
    ) -> Callable[[F], F]:
        """For generators, asynchronous or not: what one gave to its end is given again for ``ttl``. A piece that the
        condition refuses keeps the whole from being kept."""

        def build(keys: Keys) -> Keep:
            return Keep(ttl, condition, None, tuple(Template(tag, keys.arguments) for tag in tags))

        return self._iterate(build, key, prefix)

    def locked(
        self, ttl: Span, *, key: str | None = None, wait: bool | float = True, prefix: str = "locked"
    ) -> Callable[[F], F]:
        """One call of a key at a time. ``ttl`` is for callers that vanish; who must not wait gets ``LockedError``."""
        from afresh.cache.commands import _lock_span
        from afresh.cache.strategies.guards import Locked

        _lock_span(ttl)
        return self._decorate(lambda keys: Locked(ttl, wait), key, prefix)

    def thunder_protection(self, *, key: str | None = None, prefix: str = "thunder") -> Callable[[F], F]:
        """Those who make one call at the same time share one run and its result. Nothing is stored."""
        from afresh.cache.strategies.guards import Together

        return self._decorate(lambda keys: Together(), key, prefix)

    def rate_limit(
        self,
        limit: int,
        period: Span,
        *,
        ttl: Span = None,
        action: Callable[..., Any] | None = None,
        key: str | None = None,
        prefix: str = "rate_limit",
    ) -> Callable[[F], F]:
        """``limit`` calls of a key in a ``period``; then none for ``ttl`` (the rest of the period). ``action`` is called
        in place of what is refused, or ``RateLimitError`` raised."""
        from afresh.cache.strategies.guards import RateLimit

        return self._decorate(lambda keys: RateLimit(limit, period, ttl, action), key, prefix)

    def slice_rate_limit(
        self,
        limit: int,
        period: Span,
        *,
        action: Callable[..., Any] | None = None,
        key: str | None = None,
        prefix: str = "srl",
    ) -> Callable[[F], F]:
        """``limit`` calls of a key in any stretch of time as long as ``period``; as ``rate_limit`` otherwise."""
        from afresh.cache.strategies.guards import SlidingLimit

        return self._decorate(lambda keys: SlidingLimit(limit, period, action), key, prefix)

    def circuit_breaker(
        self,
        errors_rate: int,
        period: Span,
        ttl: Span,
        *,
        half_open_ttl: Span = None,
        exceptions: type[Exception] | tuple[type[Exception], ...] = Exception,
        min_calls: int = 1,
        key: str | None = None,
        prefix: str = "circuit_breaker",
    ) -> Callable[[F], F]:
        """``CircuitBreakerOpen`` for ``ttl`` once ``errors_rate`` of a hundred calls of the last ``period`` have failed;
        then, for ``half_open_ttl``, one call at a time until one succeeds. Without a key all calls are counted together."""
        from afresh.cache.strategies.guards import Breaker

        def build(keys: Keys) -> Breaker:
            return Breaker(errors_rate, period, ttl, half_open_ttl, exceptions, min_calls)

        return self._decorate(build, key, prefix, per_call=False)

    def bloom(
        self,
        *,
        capacity: int,
        name: str | None = None,
        false_positives: float = 1,
        check_false_positive: bool = True,
        prefix: str = "bloom",
    ) -> Callable[[F], F]:
        """For functions that say yes or no: no, without a call, for what was never added. ``f.set(...)`` calls the
        function and adds what it says yes to. The filter has room for ``capacity`` of those; of a hundred others
        ``false_positives`` are called for in vain, or answered with yes where that is not to be checked."""
        from afresh.cache.strategies.bloom import Adding, Bloom, Filter

        def decorate(function: F) -> F:
            keys = Keys(function, name, prefix)
            filter = Filter(keys.title, capacity, false_positives)
            decorated: Any = self._decorate(lambda keys: Bloom(filter, check_false_positive), name, prefix)(function)
            decorated.set = self._always(function, keys, Adding(filter))
            return decorated  # type: ignore[no-any-return]

        return decorate

    def dual_bloom(
        self,
        *,
        capacity: int | tuple[int, int],
        name: str | None = None,
        false: float | tuple[float, float] = 1,
        no_collisions: bool = False,
        prefix: str = "dual_bloom",
    ) -> Callable[[F], F]:
        """For functions that say yes or no: remembers both answers in a filter each, and answers where one of them alone
        has seen the call. A call that was never made is answered wrongly ``false`` times of a hundred. ``capacity`` and
        ``false`` may be pairs, for yes and for no. With ``no_collisions`` only answers are remembered whose places are
        all free, so that fewer are wrong and more are computed."""
        from afresh.cache.strategies.bloom import Dual, Filter, pair

        def build(keys: Keys) -> Dual:
            sizes = zip(("yes", "no"), pair(capacity), pair(false))
            yes, no = (Filter(f"{keys.title}:{which}", size, rate) for which, size, rate in sizes)
            return Dual(yes, no, no_collisions)

        return self._decorate(build, name, prefix)

    def invalidate(
        self, key: str, *, args_map: Mapping[str, str] | None = None, defaults: Mapping[str, Any] | None = None
    ) -> Callable[[F], F]:
        """Deletes what ``key`` matches after each call that succeeds. ``args_map`` names fields that are other
        arguments, ``defaults`` gives fields values."""
        from afresh.cache.strategies.invalidate import Invalidate

        return self._decorate(
            lambda keys: Invalidate(key, keys.arguments, args_map or {}, defaults or {}), None, "", needs_key=False
        )

    def _remember(
        self,
        strategy: Callable[[Keep], Strategy],
        lasts: Ttl,
        key: str | None,
        condition: Condition,
        time_condition: Span,
        prefix: str,
        tags: Sequence[str],
        upper: bool = False,
    ) -> Callable[[F], F]:
        ttl.check(lasts)

        def build(keys: Keys) -> Strategy:
            templates = tuple(Template(tag, keys.arguments) for tag in tags)
            return strategy(Keep(lasts, condition, time_condition, templates, upper))

        return self._decorate(build, key, prefix)

    def _asker(
        self, function: Any, keys: Keys, needs_key: bool = True, hits: _afresh.Hits | None = None
    ) -> Callable[..., Asked | None]:
        """From a call to what strategies work on; None where it is to be made without the cache. ``hits`` remember the
        keys."""
        core = self._core()

        def asked(face: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Asked | None:
            if core._switches.all_off():
                return None
            # What is no call of the function is its own TypeError.
            arguments = keys.arguments.bind(args, kwargs)
            try:
                name = keys.of(arguments) if needs_key else ""
                if hits is not None and core._kv is not None:
                    hits.learn(args, kwargs, name)
            except Exception as error:  # noqa: BLE001 - arguments are the user's own classes
                warn.once(f"a call of {keys.name} has no key ({error}) and is made without the cache")
                return None
            return Asked(core, face, name, function, args, kwargs, arguments, needs_key)

        return asked

    def _always(self, function: Any, keys: Keys, strategy: Strategy) -> Callable[..., Any]:
        """The function with a strategy that is not to be turned off, and for which each call needs a key."""
        import inspect

        core = self._core()

        def asked(face: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Asked:
            arguments = keys.arguments.bind(args, kwargs)
            return Asked(core, face, keys.of(arguments), function, args, kwargs, arguments)

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await adrive(strategy.steps(asked("loops", args, kwargs)))

        def called(*args: Any, **kwargs: Any) -> Any:
            return drive(strategy.steps(asked("threads", args, kwargs)))

        return awaited if _is_async(inspect.unwrap(function)) else called

    def _iterate(self, build: Callable[[Keys], Keep], key: str | None, prefix: str) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            import functools
            import inspect

            from afresh.cache.strategies import iterate

            keys = Keys(function, key, prefix)
            keep, asked = build(keys), self._asker(function, keys)
            if not (inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)):
                raise ConfigError("`iterator` is for generators", hint="`cache` is for other functions")

            @functools.wraps(function)
            def replayed(*args: Any, **kwargs: Any) -> Any:
                if inspect.isasyncgenfunction(function):
                    ask = asked("loops", args, kwargs)
                    return function(*args, **kwargs) if ask is None else iterate.awaited(ask, keep, adrive)
                ask = asked("threads", args, kwargs)
                return function(*args, **kwargs) if ask is None else iterate.plain(ask, keep, drive)

            return replayed  # type: ignore[return-value]

        return decorate

    def _decorate(
        self,
        build: Callable[[Keys], Strategy],
        key: str | None,
        prefix: str,
        needs_key: bool = True,
        per_call: bool = True,
    ) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            import functools
            import inspect

            if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
                raise ConfigError("this decorator is not for generators", hint="`iterator` is")
            keys = Keys(function, key, prefix, per_call)
            strategy, core = build(keys), self._core()
            # Answers that need no more than a look into memory.
            hits = _hits(core, function, keys) if getattr(strategy, "plain", False) else None
            asked = self._asker(function, keys, needs_key, hits)

            if _is_async(inspect.unwrap(function)):

                async def awaited(*args: Any, **kwargs: Any) -> Any:
                    ask = asked("loops", args, kwargs)
                    if ask is None:
                        return await function(*args, **kwargs)
                    return await adrive(strategy.steps(ask))

                if hits is None:
                    return functools.wraps(function)(awaited)  # type: ignore[return-value]
                find = hits.find

                @functools.wraps(function)
                async def found(*args: Any, **kwargs: Any) -> Any:
                    answer = find(args, kwargs)
                    return answer if answer is not _ABSENT else await awaited(*args, **kwargs)

                return found  # type: ignore[return-value]

            def called(*args: Any, **kwargs: Any) -> Any:
                ask = asked("threads", args, kwargs)
                return function(*args, **kwargs) if ask is None else drive(strategy.steps(ask))

            if hits is None:
                return functools.wraps(function)(called)  # type: ignore[return-value]
            find = hits.find

            @functools.wraps(function)
            def at_once(*args: Any, **kwargs: Any) -> Any:
                answer = find(args, kwargs)
                return answer if answer is not _ABSENT else called(*args, **kwargs)

            return at_once  # type: ignore[return-value]

        return decorate


def _hits(core: SyncCache, function: Any, keys: Keys) -> _afresh.Hits | None:
    """The answers of a function that are in memory under keys made of plain values, found without Python."""
    if not keys.is_pure:
        return None
    from afresh.signature import parameters

    return _afresh.Hits(core, parameters(function, keys.ignored), keys.fields, Raised, _ABSENT)


def _is_async(function: Any) -> bool:
    """Whether calling it gives something to await: a partial, or an object whose ``__call__`` is a coroutine function."""
    import functools
    import inspect

    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))
