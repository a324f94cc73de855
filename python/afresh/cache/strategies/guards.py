"""Strategies that stand before a function and remember nothing of what it returned: one at a time, and so many at most."""

from __future__ import annotations

from afresh.cache import ttl
from afresh.cache.errors import RateLimitError
from afresh.cache.steps import Call
from afresh.errors import AfreshError, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

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


class RateLimit:
    """So many calls of a key in a period, which begins with the first of them.

    The call that is one too many closes the key for ``ban``. A store that cannot be reached limits nothing.
    """

    def __init__(self, limit: int, period: ttl.Span, ban: ttl.Span, action: Callable[..., Any] | None) -> None:
        seconds = ttl.seconds(period)
        if limit < 1 or seconds is None or seconds <= 0:
            raise ConfigError("a rate limit needs a limit of at least 1 and a period")
        self.limit, self.period, self.action = limit, seconds, action
        self.ban = None if ban is None else ttl.seconds(ban)

    def steps(self, asked: Asked) -> Steps:
        if (yield asked.ask(self._admits, asked)):
            return (yield asked.run())
        if self.action is None:
            raise RateLimitError(f"more than {self.limit} calls in {self.period:g} s", hint=f"the key is {asked.key!r}")
        return (yield Call(self.action, asked.args, asked.kwargs))

    def _admits(self, asked: Asked) -> bool:
        try:
            kv = asked.route.kv
            count = kv.incr(asked.key, 1, self.period)
            if count == self.limit + 1 and self.ban is not None:
                kv.expire(asked.key, self.ban)
            return count <= self.limit
        except AfreshError as error:
            asked.cache._degrade(error)
            return True
