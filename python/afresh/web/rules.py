"""What a cache that many share may keep, and to whom it may give what it has kept (RFC 9111).

Decisions only: nothing here reads a store or sends anything. What an application says itself goes before what the
middleware or an endpoint was told.
"""

from __future__ import annotations

from afresh.web import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from afresh.web.fields import Headers

#: Responses that are kept where only a plan says how long; others must say so themselves.
COMMON = frozenset({200, 203, 204, 301, 308})
#: What a request says of who makes it.
PERSONAL = ("authorization", "cookie")
#: Of one connection, or made anew for each response.
_FLEETING = frozenset(
    b"age connection keep-alive proxy-authenticate proxy-authentication-info proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
#: What describes the content that a 304 leaves out.
_CONTENT = frozenset(b"content-length content-type content-encoding content-language content-range".split())


class Plan:
    """How long responses last, and what they are about, where they do not say so themselves: seconds, tags, headers."""

    __slots__ = ("failover", "mark", "marks", "stale", "ttl", "vary")

    def __init__(self, ttl: float | None, stale: float, failover: float, vary: tuple[str, ...]) -> None:
        self.ttl, self.stale, self.failover, self.vary = ttl, stale, failover, vary
        #: Tags with their epochs from before what they are about was read.
        self.marks: list[tuple[str, int]] = []
        #: Adds tags to them; None where nothing will be stored.
        self.mark: Callable[[list[str]], Awaitable[None]] | None = None


class Request:
    """What a request asks of the cache."""

    __slots__ = ("control", "headers", "method")

    def __init__(self, method: str, headers: Headers) -> None:
        self.method, self.headers = method, headers
        self.control = fields.directives(fields.joined(headers, b"cache-control"))
        if not self.control and "no-cache" in fields.names(fields.joined(headers, b"pragma")):
            self.control = {"no-cache": None}

    @property
    def passes(self) -> bool:
        """Whether the cache has nothing to do with it: it is not to be kept, or asks for a part."""
        return "no-store" in self.control or fields.has(self.headers, b"range")

    def takes(self, age: float, lifetime: float, allowed: float = 0) -> bool:
        """Whether a response of that age will do, which may be stale by so many seconds."""
        if "no-cache" in self.control:
            return False
        most = fields.seconds(self.control, "max-age")
        if most is not None and age > most:
            return False
        left = lifetime - age - (fields.seconds(self.control, "min-fresh") or 0)
        return left > 0 or -left < allowed

    @property
    def max_stale(self) -> float:
        """By how much the client lets a response be stale."""
        if "max-stale" not in self.control:
            return 0
        return fields.FOREVER if not self.control["max-stale"] else fields.seconds(self.control, "max-stale") or 0

    def has_current(self, status: int, tag: str | None, modified: str) -> bool:
        """Whether the client has what would be sent: the condition that a 304 answers."""
        if status != 200:
            return False
        if fields.has(self.headers, b"if-none-match"):
            return fields.matches(fields.joined(self.headers, b"if-none-match"), tag)
        since = fields.date(fields.joined(self.headers, b"if-modified-since"))
        changed = fields.date(modified)
        return since is not None and changed is not None and changed <= since


class Terms:
    """How long a response may be kept, and for how long after that it may still be given."""

    __slots__ = ("age", "failover", "lifetime", "said", "stale", "vary")

    def __init__(self, lifetime: float, said: bool, age: float, stale: float, failover: float, vary: list[str]) -> None:
        self.lifetime, self.said, self.age, self.stale, self.failover = lifetime, said, age, stale, failover
        self.vary = vary


def terms(request: Request, status: int, headers: Headers, plan: Plan) -> Terms | None:
    """The terms on which a response is kept, or None."""
    control = fields.directives(fields.joined(headers, b"cache-control"))
    vary = sorted({*fields.names(fields.joined(headers, b"vary")), *plan.vary})
    if status < 200 or status in (206, 304) or "*" in vary or not control.keys().isdisjoint(_REFUSALS):
        return None
    if fields.has(headers, b"set-cookie") or fields.joined(headers, b"content-type").startswith("text/event-stream"):
        return None
    shared = not control.keys().isdisjoint(("public", "s-maxage", "must-revalidate"))
    if fields.has(request.headers, b"authorization") and not shared and "authorization" not in vary:
        return None
    age = float(fields.seconds({"age": fields.joined(headers, b"age") or "0"}, "age") or 0)
    lifetime = _said(control, headers)
    said = lifetime is not None
    if lifetime is None:
        personal = any(fields.has(request.headers, name.encode()) and name not in vary for name in PERSONAL)
        if plan.ttl is None or status not in COMMON or personal:
            return None
        lifetime = plan.ttl
    if lifetime <= age:
        return None
    stale, failover = fields.seconds(control, "stale-while-revalidate"), fields.seconds(control, "stale-if-error")
    strict = not control.keys().isdisjoint(("must-revalidate", "proxy-revalidate", "s-maxage"))
    return Terms(
        lifetime,
        said,
        age,
        0 if strict else plan.stale if stale is None else stale,
        0 if strict else plan.failover if failover is None else failover,
        vary,
    )


#: Directives of a response that keep it out; ``no-cache`` as well, for there is nobody to validate it but the application.
_REFUSALS = ("no-store", "no-cache", "private")


def _said(control: dict[str, str | None], headers: Headers) -> float | None:
    """The lifetime that the response says itself."""
    for name in ("s-maxage", "max-age"):
        found = fields.seconds(control, name)
        if found is not None:
            return float(found)
    if not fields.has(headers, b"expires"):
        return None
    import time

    ends = fields.date(fields.joined(headers, b"expires"))
    begins = fields.date(fields.joined(headers, b"date"))
    return 0.0 if ends is None else ends - (time.time() if begins is None else begins)


def kept(headers: Headers) -> Headers:
    """The headers of a response that go with it whenever it is given."""
    more = {name.encode("latin-1") for name in fields.names(fields.joined(headers, b"connection"))}
    return [one for one in headers if one[0].lower() not in _FLEETING | more]


def bare(headers: Headers) -> Headers:
    """The headers of a 304 for the response with these."""
    return [one for one in headers if one[0].lower() not in _CONTENT and one[0].lower() not in _FLEETING]
