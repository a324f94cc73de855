"""Responses in an ``afresh.Cache``: one entry a URL, or one a URL and what its responses vary by.

Where responses vary, the entry of the URL holds the names of those request headers and a token that is part of the keys
of all variants: with that one entry all of them are gone. A response is kept under the tags as they were before it was
computed, and not at all if its URL was taken back meanwhile.
"""

from __future__ import annotations

from afresh import warn
from afresh.cache.flights import Flight
from afresh.cache.steps import adrive
from afresh.errors import AfreshError
from afresh.web import fields, rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afresh.cache import Cache
    from afresh.cache.steps import Steps
    from afresh.web.fields import Headers
    from afresh.web.rules import Plan, Terms

#: What a key begins with, and the version of what is stored.
PREFIX, FORMAT = "http ", 1
#: Of a longer URL the digest is part of the key.
_LONG = 512


def key(url: str) -> str:
    """The key of a URL."""
    if len(url) > _LONG:
        import hashlib

        # No URL that is asked for has a fragment.
        url = f"{url[:_LONG]}#{hashlib.blake2b(url.encode('utf-8', 'surrogateescape'), digest_size=16).hexdigest()}"
    return PREFIX + url


def url_of(scope: Any) -> str:
    """The URL that a request is for."""
    from urllib.parse import quote

    host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else quote(scope["path"])
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{scope.get('scheme', 'http')}://{host}{path}" + (f"?{query}" if query else "")


def tag_of(body: bytes, headers: Headers) -> str:
    """A strong entity tag: of the bytes, and of what they are encoded and declared as."""
    import hashlib

    digest = hashlib.blake2b(body, digest_size=16)
    for name, value in headers:
        if name.lower() in (b"content-type", b"content-encoding"):
            digest.update(name.lower() + b"\0" + value + b"\0")
    return f'"{digest.hexdigest()}"'


class Response:
    """A stored response, and how old it is."""

    __slots__ = ("age", "body", "failover", "headers", "lifetime", "stale", "status", "tag")

    def __init__(self, record: dict[str, Any], left: float) -> None:
        self.status: int = record["status"]
        self.headers: Headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in record["headers"]]
        self.body: bytes = record["body"]
        self.lifetime, self.stale, self.failover = record["lifetime"], record["stale"], record["failover"]
        self.tag: str = record["tag"]
        self.age: float = max(0.0, record["age"] + record["span"] - left)


class Shelf:
    """The entries of one URL, for one request."""

    def __init__(self, cache: Cache, url: str, headers: Headers) -> None:
        self._core, self._headers = cache.sync, headers
        self.key = key(url)
        # The versions of what was found: only that is replaced, or nothing.
        self._seen: dict[str, int] = {}
        self.route = self._core._routes.of(self.key)
        self.flight = Flight(self.key)

    async def find(self) -> Response | None:
        """What is stored for the request, however old."""
        return await adrive(self._find())  # type: ignore[no-any-return]

    def _find(self) -> Steps:
        entry = yield from self._look(self.key)
        if entry is not None and "vary" in entry[0]:
            entry = yield from self._look(self._variant(entry[0]))
        if entry is None or "status" not in entry[0] or entry[2] is None:
            return None
        if any(fields.has(self._headers, name.encode("latin-1")) for name in entry[0]["without"]):
            return None
        return Response(entry[0], entry[2])

    def _look(self, key: str) -> Steps:
        entry = yield from self._read(key)
        self._seen[key] = 0 if entry is None else entry[1]
        return entry

    def _read(self, key: str) -> Steps:
        if self._core._switches.off("get", key):
            return None
        try:
            entry = yield self.route.ask("read", key)
        except AfreshError as error:
            self._core._degrade(error)
            return None
        finally:
            warn.emit()
        if entry is None or type(entry[0]) is not dict or entry[0].get("format") != FORMAT:
            return None
        return entry

    def _variant(self, marker: dict[str, Any]) -> str:
        import hashlib

        digest = hashlib.blake2b(digest_size=16)
        for name in marker["vary"]:
            values = [value for known, value in self._headers if known.lower() == name.encode("latin-1")]
            digest.update(b"%d\0" % len(values) + b"\0".join(b"%d\0" % len(value) + value for value in values))
        return f"{self.key} {marker['token']} {digest.hexdigest()}"

    async def begin(self, plan: Plan) -> None:
        """Before anything is computed: from here on it is heard of when the URL is taken back, or a tag of the plan."""
        self._core._flights.board(self.flight)
        if not self.route.never_fails:
            await adrive(self._core._begin(self.flight, []))

        async def mark(tags: list[str]) -> None:
            plan.marks += await adrive(self._marks(tags))

        plan.mark = mark

    def _marks(self, tags: list[str]) -> Steps:
        try:
            return (yield self.route.ask("marks", tags))
        except AfreshError as error:
            self._core._degrade(error)
            # What could not be taken back is not to be stored.
            self.flight.revoked = True
            return []

    def end(self) -> None:
        self._core._flights.leave(self.flight)

    async def keep(self, status: int, headers: Headers, body: bytes, tag: str, terms: Terms, plan: Plan) -> None:
        """Stores a response."""
        span = terms.lifetime - terms.age + max(terms.stale, terms.failover)
        record = {
            "format": FORMAT,
            "status": status,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers],
            "body": body,
            "tag": tag,
            "age": terms.age,
            "lifetime": terms.lifetime,
            "stale": terms.stale,
            "failover": terms.failover,
            "span": span,
            # Where the application said nothing, what it gave to a stranger is not what it would give to a friend.
            "without": [] if terms.said else [name for name in rules.PERSONAL if name not in terms.vary],
        }
        await adrive(self._keep(record, span, terms.vary, plan.marks))

    def _keep(self, record: dict[str, Any], span: float, vary: list[str], marks: list[tuple[str, int]]) -> Steps:
        there = yield from self._read(self.key)
        known = {} if there is None or "vary" not in there[0] else there[0]
        if not vary and not known:
            yield from self._publish(self.key, record, span, marks, there)
            return
        names = sorted({*vary, *known.get("vary", ())})
        token = known["token"] if known.get("vary") == names else _token()
        marker = {"format": FORMAT, "vary": names, "token": token}
        lasts = span if there is None or there[2] is None else max(span, there[2])
        yield from self._core._publish(self.flight, self.key, marker, lasts, [], 0 if there is None else there[1])
        variant = self._variant(marker)
        yield from self._publish(variant, record, span, marks, (yield from self._read(variant)))

    def _publish(self, key: str, record: Any, span: float, marks: list[tuple[str, int]], there: Any) -> Steps:
        """Stores the response, unless another was stored since this one began to be computed."""
        version = 0 if there is None else self._seen.get(key, 0)
        yield from self._core._publish(self.flight, key, record, span, marks, version)

    async def alone(self, owner: str, most: float) -> bool:
        """Whether nobody else, in any process, is at making a new response."""
        return await adrive(self._lock(owner, most))  # type: ignore[no-any-return]

    def _lock(self, owner: str, most: float) -> Steps:
        try:
            return (yield self.route.ask("lock", f"{self.key} refresh", owner, most))
        except AfreshError as error:
            self._core._degrade(error)
            return False

    async def done(self, owner: str) -> None:
        """Lets others try."""
        await adrive(self._unlock(owner))

    def _unlock(self, owner: str) -> Steps:
        try:
            yield self.route.ask("unlock", f"{self.key} refresh", owner)
        except AfreshError as error:
            self._core._degrade(error)


def _token() -> str:
    import secrets

    return secrets.token_hex(8)
