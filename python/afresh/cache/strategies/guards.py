"""Strategies that stand before a function and remember nothing of what it returned: one at a time, so many at most, none
while it keeps failing.

What they know is in the store, so they hold for all processes; it is changed only if nobody else has changed it
meanwhile. A store that cannot be reached stands in nobody's way.
"""

from __future__ import annotations

from afresh import _afresh
from afresh.cache import ttl
from afresh.cache.errors import CircuitBreakerOpen, RateLimitError
from afresh.cache.steps import Call
from afresh.errors import AfreshError, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from afresh.cache.flights import Flight
    from afresh.cache.steps import Steps
    from afresh.cache.strategies.asked import Asked


class Locked:
    """One call of a key at a time, in all processes that share the store."""

    def __init__(self, expire: ttl.Span, wait: bool | float) -> None:
        self.expire, self.wait = expire, wait

    def steps(self, asked: Asked) -> Steps:
        block = asked.cache.lock(asked.key, self.expire, self.wait)
        yield from block.enter()
        try:
            return (yield asked.run())
        finally:
            yield from block.leave()


class Together:
    """Those of this process who make one call at the same time share one run of it. Nothing is stored."""

    def steps(self, asked: Asked) -> Steps:
        def compute(flight: Flight) -> Steps:
            return (yield asked.run())

        def again() -> Steps:
            return None
            yield

        return (yield from asked.cache._flights.fly(f"together {asked.face}", asked.key, compute, again))


class RateLimit:
    """So many calls of a key in a period, which begins with the first of them.

    The call that is one too many closes the key for ``ban``.
    """

    def __init__(self, limit: int, period: ttl.Span, ban: ttl.Span, action: Callable[..., Any] | None) -> None:
        seconds = ttl.seconds(period)
        if limit < 1 or seconds is None or seconds <= 0:
            raise ConfigError("a rate limit needs a limit of at least 1 and a period")
        self.limit, self.period, self.action = limit, seconds, action
        self.ban = None if ban is None else ttl.seconds(ban)

    def steps(self, asked: Asked) -> Steps:
        if (yield from self._admits(asked)):
            return (yield asked.run())
        if self.action is None:
            raise RateLimitError(f"more than {self.limit} calls in {self.period:g} s", hint=f"the key is {asked.key!r}")
        return (yield Call(self.action, asked.args, asked.kwargs))

    def _admits(self, asked: Asked) -> Steps:
        try:
            route = asked.route
            count = yield route.ask("incr", asked.key, 1, self.period)
            if count == self.limit + 1 and self.ban is not None:
                yield route.ask("expire", asked.key, self.ban)
            return count <= self.limit
        except AfreshError as error:
            asked.cache._degrade(error)
            return True


class SlidingLimit(RateLimit):
    """So many calls of a key in any stretch of time that is as long as the period. Who is refused takes no place."""

    def __init__(self, limit: int, period: ttl.Span, action: Callable[..., Any] | None) -> None:
        super().__init__(limit, period, None, action)

    def _admits(self, asked: Asked) -> Steps:
        def change(state: Any) -> tuple[Any, bool]:
            kept = _afresh.admit(state or [], _now(), self.period, self.limit)
            return kept, kept is not None

        return (yield from _change(asked, asked.key, self.period, change, True))


class Breaker:
    """No calls for ``ttl`` once too many of those of the last period have failed.

    After that, with ``half_open``, one call at a time is a trial for so long: one that succeeds closes the breaker, one
    that fails opens it again.
    """

    def __init__(
        self,
        percent: int,
        period: ttl.Span,
        lasts: ttl.Span,
        half_open: ttl.Span,
        exceptions: type[Exception] | tuple[type[Exception], ...],
        least: int,
    ) -> None:
        self.percent, self.period, self.lasts = percent, ttl.seconds(period) or 0.0, ttl.seconds(lasts) or 0.0
        if not 1 <= percent <= 100 or self.period <= 0 or self.lasts <= 0:
            raise ConfigError("a circuit breaker needs a rate from 1 to 100, a period and a ttl")
        self.half_open = 0.0 if half_open is None else ttl.seconds(half_open) or 0.0
        self.exceptions, self.least = exceptions, least

    def steps(self, asked: Asked) -> Steps:
        import secrets

        trial = secrets.token_hex(16)
        state = yield from self._state(asked, trial)
        if state == "open":
            raise CircuitBreakerOpen("calls fail too often; this one was not made", hint=f"the key is {asked.key!r}")
        failed = True
        try:
            result = yield asked.run()
            failed = False
            return result
        except self.exceptions:
            raise
        except BaseException:
            # No failure of what is called.
            failed = False
            raise
        finally:
            yield from self._after(asked, state, trial, failed)

    def _state(self, asked: Asked, trial: str) -> Steps:
        try:
            route, key = asked.route, asked.key
            if (yield route.ask("exists", f"{key}:open")):
                return "open"
            if not (yield route.ask("exists", f"{key}:halfopen")):
                return "closed"
            return "trial" if (yield route.ask("lock", f"{key}:trial", trial, self.half_open)) else "open"
        except AfreshError as error:
            asked.cache._degrade(error)
            return "closed"

    def _after(self, asked: Asked, state: str, trial: str, failed: bool) -> Steps:
        def count(tallies: Any) -> tuple[Any, bool]:
            return self._count(tallies, failed)

        try:
            route, key = asked.route, asked.key
            if state == "trial":
                yield route.ask("delete", f"{key}:halfopen")
                opens = failed
            else:
                opens = yield from _change(asked, f"{key}:outcomes", self.period, count, False)
            if opens:
                if self.half_open:
                    yield route.ask("set", f"{key}:halfopen", 1, self.lasts + self.half_open)
                yield route.ask("set", f"{key}:open", 1, self.lasts)
            if opens or state == "trial":
                yield route.ask("delete", f"{key}:outcomes")
                yield route.ask("unlock", f"{key}:trial", trial)
        except AfreshError as error:
            asked.cache._degrade(error)

    def _count(self, tallies: Any, failed: bool) -> tuple[Any, bool]:
        return _afresh.count_outcome(
            [tuple(tally) for tally in tallies or []], _now(), failed, self.percent, self.period, self.least
        )


# Others that may come first before a change is given up.
_TRIES = 100


def _change(
    asked: Asked, key: str, lasts: float, change: Callable[[Any], tuple[Any, bool]], otherwise: bool
) -> Steps:
    """Changes what is under a key, unless somebody else does at the same time; then again."""
    try:
        for _ in range(_TRIES):
            found = yield asked.route.ask("read", key)
            state, answer = change(None if found is None else found[0])
            if state is None:
                return answer
            if (yield asked.route.ask("set", key, state, lasts, version=0 if found is None else found[1])):
                return answer
    except AfreshError as error:
        asked.cache._degrade(error)
    return otherwise


def _now() -> int:
    import time

    return time.time_ns() // 1_000_000
