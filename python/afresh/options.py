"""What a decorator, a client or one call may ask for, checked once and merged in that order."""

from __future__ import annotations

from afresh import _afresh, freshness
from afresh.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import timedelta
    from typing import Any

    from afresh.freshness import Failover

    TTL = float | int | str | timedelta
    Tags = Mapping[str, str | None] | Iterable[str] | str


def seconds(value: TTL | None, what: str) -> float | None:
    """Seconds in a number, a timedelta or a text such as ``"2h5m"``."""
    if value is None:
        return None
    if isinstance(value, str):
        return _afresh.parse_duration(value)
    total = getattr(value, "total_seconds", None)
    number = total() if callable(total) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise ConfigError(
            f"{what} is {type(value).__name__}", hint="give seconds, a timedelta, or a text such as '2h5m'"
        )
    if not 0 <= number < 3.2e11:
        raise ConfigError(f"{what} is {number}", hint="a duration is not negative")
    return float(number)


def size(value: int | str | None, what: str) -> int | None:
    """Bytes in a number or a text such as ``"200MB"``."""
    if value is None:
        return None
    if isinstance(value, str):
        return _afresh.parse_size(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{what} is not a size", hint="give bytes, or a text such as '200MB'")
    return value


def tag_pairs(tags: Tags | None) -> list[tuple[str, str | None]]:
    """Tags as pairs: from a mapping, or from texts ``key`` and ``key=value``."""
    if tags is None:
        return []
    if isinstance(tags, str):
        tags = [tags]
    items = getattr(tags, "items", None)
    if callable(items):
        pairs = []
        for key, value in items():
            if "=" in _text(key):
                raise ConfigError(f"`{key}` is not a tag's key", hint="a key has no `=`")
            pairs.append(_afresh.parse_tag(key if value is None else f"{key}={value}"))
        return pairs
    if not hasattr(tags, "__iter__"):
        raise ConfigError(f"tags are {type(tags).__name__}", hint="give a mapping, or texts such as 'team=a'")
    return [_afresh.parse_tag(_text(text)) for text in tags]


def _text(tag: Any) -> str:
    if not isinstance(tag, str):
        raise ConfigError(f"a tag is {type(tag).__name__}", hint="give texts such as 'team=a', or a mapping")
    return tag


class Options:
    """The options of calls; what is None is left to whoever is asked next."""

    __slots__ = (
        "backoff",
        "cache",
        "early",
        "failover",
        "force",
        "max_age",
        "max_bytes",
        "negative",
        "refresh_after",
        "retries",
        "sliding",
        "soft",
        "stale",
        "strict",
        "tags",
        "timeout",
        "ttl",
        "wait",
        "when",
    )

    def __init__(
        self,
        *,
        cache: bool | None = None,
        force: bool | None = None,
        tags: Tags | None = None,
        retries: int | None = None,
        backoff: TTL | None = None,
        timeout: TTL | None = None,
        ttl: TTL | Callable[..., TTL | None] | None = None,
        sliding: bool | None = None,
        max_age: TTL | None = None,
        stale: TTL | bool | None = None,
        early: TTL | bool | None = None,
        refresh_after: int | None = None,
        soft: TTL | bool | None = None,
        failover: Failover | None = None,
        negative: Mapping[type[Exception], TTL] | None = None,
        wait: TTL | None = None,
        when: Callable[..., bool] | None = None,
        max_bytes: int | str | None = None,
        strict: bool | None = None,
    ) -> None:
        for name, count in (("retries", retries), ("refresh_after", refresh_after)):
            if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
                raise ConfigError(f"{name} is {count!r}", hint="give a whole number, 0 or more")
        if when is not None and not callable(when):
            raise ConfigError("when is not callable", hint="give a function of the result")
        for name, flag in (("cache", cache), ("force", force), ("sliding", sliding), ("strict", strict)):
            if flag is not None and not isinstance(flag, bool):
                raise ConfigError(f"{name} is {flag!r}", hint="give True or False")
        self.cache = cache
        self.force = force
        self.tags = tag_pairs(tags)
        self.retries = retries
        self.backoff = seconds(backoff, "backoff")
        self.timeout = seconds(timeout, "timeout")
        self.ttl = freshness.lifetime(ttl)
        self.sliding = sliding
        self.max_age = seconds(max_age, "max_age")
        self.stale = freshness.span(stale, "stale", always=True)
        self.early = freshness.early(early)
        self.refresh_after = refresh_after
        self.soft = freshness.span(soft, "soft")
        self.failover = freshness.failover(failover)
        self.negative = freshness.negative(negative)
        self.wait = seconds(wait, "wait")
        self.when = when
        self.max_bytes = size(max_bytes, "max_bytes")
        self.strict = strict

    def over(self, below: Options, *, anew: bool = False) -> Options:
        """These options where they say something, else the ones below; tags add up. With ``anew`` a ttl replaces all
        that is said below of how long an answer is good.
        """
        left = freshness.TOGETHER if anew and self.ttl is not None else ()
        merged = Options.__new__(Options)
        for name in self.__slots__:
            mine = getattr(self, name)
            setattr(merged, name, getattr(below, name) if mine is None and name not in left else mine)
        mine = {key for key, _ in self.tags}
        merged.tags = [pair for pair in below.tags if pair[0] not in mine] + self.tags
        return merged
