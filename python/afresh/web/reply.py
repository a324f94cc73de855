"""A response of the application on its way to the client, and into the cache where it may be kept.

Messages are passed on as they come. Only what begins a response is held back until its first piece is there: one that
comes in one piece is given an entity tag, or answered by 304. A response is kept once it is complete, before its last piece
is passed on, so that whoever has it finds it. One that breaks off is not kept.
"""

from __future__ import annotations

from afresh.web import fields, rules, stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from afresh.web.fields import Headers
    from afresh.web.stored import Shelf


class Settings:
    """What the middleware was told."""

    __slots__ = ("etags", "hit_header", "max_bytes")

    def __init__(self, hit_header: bytes, max_bytes: int, etags: bool) -> None:
        self.hit_header, self.max_bytes, self.etags = hit_header, max_bytes, etags


class Reply:
    """The ``send`` that the application is given."""

    def __init__(
        self,
        send: Callable[[Any], Awaitable[None]],
        request: rules.Request,
        plan: rules.Plan,
        shelf: Shelf | None,
        settings: Settings,
        decided: Callable[[], None],
        spare: bool = False,
    ) -> None:
        """Without a shelf nothing is kept. ``decided`` is called once it is known that it will not be. With a ``spare``
        response at hand, an error of the server is not passed on."""
        self._send, self._request, self._plan, self._shelf = send, request, plan, shelf
        self._settings, self._decided, self._spare = settings, decided, spare
        self._start: Any = None
        self._status = 0
        self._headers: Headers = []
        self._terms: rules.Terms | None = None
        self._body: list[bytes] = []
        self._size = 0
        #: Whether anything has reached the client.
        self.begun = False
        #: Whether the spare response is to be used.
        self.failed = False
        self._muted = False

    async def __call__(self, message: Any) -> None:
        kind = message["type"]
        if self.failed:
            return
        if kind == "http.response.start":
            await self._starts(message)
        elif kind == "http.response.body":
            await self._piece(message.get("body", b""), message.get("more_body", False))
        else:
            if kind in ("http.response.pathsend", "http.response.zerocopysend", "http.response.trailers"):
                # What goes past here cannot be kept.
                self._give_up()
                await self._flush(None)
            if not self._muted:
                await self._send(message)

    async def _starts(self, message: Any) -> None:
        self._status, self._headers = message["status"], [(bytes(n), bytes(v)) for n, v in message.get("headers", ())]
        if self._spare and self._status in (500, 502, 503, 504):
            self.failed = True
            return
        if self._shelf is not None and self._request.method == "GET":
            self._terms = rules.terms(self._request, self._status, self._headers, self._plan)
        if self._terms is None:
            self._decided()
        self._start = message
        tag = fields.joined(self._headers, b"etag")
        whole = self._terms is not None or self._status == 200
        streams = fields.joined(self._headers, b"content-type").startswith("text/event-stream")
        if tag or not whole or streams or self._request.method != "GET":
            await self._flush(tag or None)

    async def _piece(self, body: bytes, more: bool) -> None:
        if self._terms is not None:
            self._size += len(body)
            self._body.append(bytes(body))
            if self._size > self._settings.max_bytes:
                self._give_up()
        if self._start is not None:
            control = fields.directives(fields.joined(self._headers, b"cache-control"))
            tagged = self._settings.etags and not more and self._status == 200 and "no-store" not in control
            await self._flush(stored.tag_of(body, self._headers) if tagged else None)
        if not more:
            await self._keep()
        if not self._muted:
            await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _flush(self, tag: str | None) -> None:
        """Passes on what begins the response, or a 304 in its place."""
        if self._start is None:
            return
        message, self._start = self._start, None
        headers = self._own(tag)
        self.begun = True
        modified = fields.joined(headers, b"last-modified")
        if self._request.has_current(self._status, tag, modified):
            self._muted = True
            message = {**message, "status": 304, "headers": rules.bare(headers), "trailers": False}
            await self._send(message)
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._send({**message, "headers": headers})

    def _own(self, tag: str | None) -> Headers:
        """The headers of the application, with what it left out."""
        headers = list(self._headers)
        if tag is not None and not fields.has(headers, b"etag"):
            headers.append((b"etag", tag.encode("latin-1")))
        headers = lasting(headers, self._terms, self._plan)
        return marked(headers, self._settings.hit_header, b"miss")

    def _give_up(self) -> None:
        if self._terms is not None:
            self._terms = None
            self._body.clear()
            self._decided()

    async def _keep(self) -> None:
        terms, shelf = self._terms, self._shelf
        if terms is None or shelf is None:
            return
        body = b"".join(self._body)
        length = fields.joined(self._headers, b"content-length")
        if length and length != str(len(body)):
            return
        headers = lasting(rules.kept(self._headers), terms, self._plan)
        if not fields.has(headers, b"content-length") and self._status not in (204, 205):
            headers.append((b"content-length", str(len(body)).encode()))
        tag = fields.joined(headers, b"etag")
        if not tag and self._settings.etags and self._status == 200:
            tag = stored.tag_of(body, self._headers)
            headers.append((b"etag", tag.encode("latin-1")))
        await shelf.keep(self._status, headers, body, tag, terms, self._plan)


def lasting(headers: Headers, terms: rules.Terms | None, plan: rules.Plan) -> Headers:
    """The headers with what the plan says and the application does not: how long, and what it varies by."""
    if terms is None:
        return headers
    if not terms.said and not fields.has(headers, b"cache-control"):
        text = f"max-age={int(terms.lifetime)}"
        text += f", stale-while-revalidate={int(terms.stale)}" if terms.stale else ""
        headers = [*headers, (b"cache-control", text.encode())]
    missing = [name for name in plan.vary if name not in fields.names(fields.joined(headers, b"vary"))]
    return [*headers, (b"vary", ", ".join(missing).encode("latin-1"))] if missing else headers


def marked(headers: Headers, name: bytes, what: bytes) -> Headers:
    """The headers with the one that says where the response is from, unless the application has it."""
    if not name or fields.has(headers, name.lower()):
        return headers
    return [*headers, (name, what)]
