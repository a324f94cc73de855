"""The middleware: what is stored is given, what is not is computed, once for all who ask.

Pure ASGI: streams stay streams, and the application runs in the task and the context of its request. Only GET and HEAD are
ever answered from the cache; any other method that succeeds takes back what is stored of its URL.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from afresh.cache import ttl as spans
from afresh.errors import AfreshError, ConfigError
from afresh.web import fields, rules, stored
from afresh.web.reply import Reply, Settings, marked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from afresh.cache import Cache
    from afresh.cache.ttl import Span

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[Any], Awaitable[None]]

#: Where endpoints find the plan of their request: None where nothing is to be planned.
PLAN = "afresh.web"
#: How long a refresh in the background keeps others from trying, at most.
LONGEST = 60.0
#: How long after a refresh that came to nothing before the next.
PAUSE = 1.0
_CONDITIONS = (b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since", b"if-range")


class CacheMiddleware:
    """Answers GET and HEAD from ``cache``, as RFC 9111 has it.

    What a response says itself (Cache-Control, Expires, Vary, ETag) always holds, and is never changed. ``ttl`` is for
    those that say nothing: None keeps them out, unless ``afresh.web.cached`` or ``keep`` says otherwise. For as
    long as ``stale`` after that a response is still given while a new one is made in the background, and for as long as
    ``failover`` where the application fails. ``vary`` names request headers by which responses differ.

    >>> app.add_middleware(CacheMiddleware, cache=cache, ttl="10s")  # doctest: +SKIP
    """

    def __init__(
        self,
        app: Any,
        *,
        cache: Cache,
        ttl: Span = None,
        stale: Span = 0,
        failover: Span = 0,
        vary: Sequence[str] = (),
        hit_header: str = "x-cache",
        max_bytes: int = 4 << 20,
        etags: bool = True,
    ) -> None:
        if isinstance(vary, str):
            raise ConfigError(f"vary is {vary!r}", hint="give names of request headers, such as ['accept-language']")
        self.app, self.cache = app, cache
        self._defaults = (spans.seconds(ttl), spans.seconds(stale) or 0, spans.seconds(failover) or 0)
        self._vary = tuple(name.lower() for name in vary)
        self._settings = Settings(hit_header.encode("latin-1"), max_bytes, etags)
        # Who computes what just now: in each loop, for each URL.
        self._flights: dict[str, asyncio.Future[None]] = {}
        # A loop holds its tasks only weakly.
        self._refreshes: dict[str, asyncio.Task[None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[PLAN] = None
        if scope["type"] != "http" or self.cache.sync._switches.all_off():
            await self.app(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD"):
            await self._safe(scope, receive, send)
        else:
            await self.app(scope, receive, self._taking_back(scope, send))

    def _taking_back(self, scope: Scope, send: Send) -> Send:
        """As ``send``; what is stored of the URL is gone before the client hears of a success."""

        async def sends(message: Any) -> None:
            unsafe = scope["method"] not in ("OPTIONS", "TRACE")
            if message["type"] == "http.response.start" and unsafe and 200 <= message["status"] < 400:
                try:
                    await self.cache.delete(stored.key(stored.url_of(scope)))
                except AfreshError as error:
                    self.cache.sync._degrade(error)
            await send(message)

        return sends

    async def _safe(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = rules.Request(scope["method"], list(scope["headers"]))
        if request.passes:
            await self._run(scope, receive, send, request, None)
            return
        shelf = stored.Shelf(self.cache, stored.url_of(scope), request.headers)
        found = await shelf.find()
        if found is not None and await self._given(scope, send, request, found):
            return
        if "only-if-cached" in request.control:
            await self._refuse(send)
            return
        if found is None and "no-cache" not in request.control and await self._waited(shelf):
            found = await shelf.find()
            if found is not None and await self._given(scope, send, request, found):
                return
        await self._lead(scope, receive, send, request, shelf, found)

    async def _given(self, scope: Scope, send: Send, request: rules.Request, found: stored.Response) -> bool:
        """Whether the stored response was sent; one that is stale is renewed in the background."""
        if request.takes(found.age, found.lifetime):
            await self._serve(send, request, found, b"hit")
            return True
        if request.takes(found.age, found.lifetime, max(found.stale, request.max_stale)):
            if found.age - found.lifetime < found.stale:
                self._refresh(scope)
            await self._serve(send, request, found, b"stale")
            return True
        return False

    async def _waited(self, shelf: stored.Shelf) -> bool:
        """Waits for whoever computes the URL in this loop, if anybody does; whether it was so."""
        flight = self._flights.get(shelf.key)
        if flight is None or flight.get_loop() is not asyncio.get_running_loop():
            return False
        await asyncio.wait([flight])
        return True

    async def _lead(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        request: rules.Request,
        shelf: stored.Shelf,
        found: stored.Response | None,
    ) -> None:
        """Runs the application; those who ask meanwhile wait, as long as it may be that the response is kept."""
        flight = asyncio.get_running_loop().create_future()
        leads = self._flights.setdefault(shelf.key, flight) is flight

        def decided() -> None:
            if leads and self._flights.get(shelf.key) is flight:
                del self._flights[shelf.key]
            if not flight.done():
                flight.set_result(None)

        spare = found if found is not None and request.takes(found.age, found.lifetime, found.failover) else None
        try:
            await self._run(scope, receive, send, request, shelf, decided, spare)
        finally:
            decided()

    async def _run(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        request: rules.Request,
        shelf: stored.Shelf | None,
        decided: Callable[[], None] = lambda: None,
        spare: stored.Response | None = None,
    ) -> None:
        plan = rules.Plan(*self._defaults, self._vary)
        scope[PLAN] = plan
        reply = Reply(send, request, plan, shelf, self._settings, decided, spare is not None)
        if shelf is not None:
            await shelf.begin(plan)
        try:
            await self.app(scope, receive, reply)
        except Exception:
            if spare is None or reply.begun:
                raise
            import logging

            logging.getLogger("afresh").warning("the application failed; an earlier response stands in", exc_info=True)
            reply.failed = True
        finally:
            if shelf is not None:
                shelf.end()
        if reply.failed and spare is not None:
            await self._serve(send, request, spare, b"stale")

    async def _serve(self, send: Send, request: rules.Request, found: stored.Response, what: bytes) -> None:
        headers, status, body = found.headers, found.status, found.body
        if request.has_current(status, found.tag or None, fields.joined(headers, b"last-modified")):
            status, body, headers = 304, b"", rules.bare(headers)
        elif request.method == "HEAD":
            body = b""
        headers = [*headers, (b"age", str(int(found.age)).encode())]
        headers = marked(headers, self._settings.hit_header, what)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _refuse(self, send: Send) -> None:
        """Nothing that may be used is stored, and nothing is to be computed."""
        headers = marked([(b"content-length", b"0")], self._settings.hit_header, b"miss")
        await send({"type": "http.response.start", "status": 504, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _refresh(self, scope: Scope) -> None:
        """Makes a new response in a task of the loop, unless somebody is at it."""
        key = stored.key(stored.url_of(scope))
        if key in self._refreshes:
            return
        copy = {**scope, "method": "GET"}
        copy["headers"] = [(n, v) for n, v in scope["headers"] if n not in _CONDITIONS and n != b"cache-control"]
        if "state" in scope:
            copy["state"] = dict(scope["state"])
        task = self._refreshes[key] = asyncio.get_running_loop().create_task(self._renewed(copy))
        task.add_done_callback(lambda _: self._refreshes.pop(key, None))

    async def _renewed(self, scope: Scope) -> None:
        import logging
        import secrets

        request = rules.Request("GET", scope["headers"])
        shelf = stored.Shelf(self.cache, stored.url_of(scope), request.headers)
        owner = secrets.token_hex(8)
        if shelf.key in self._flights or not await shelf.alone(owner, LONGEST):
            return
        # Whoever was at it before may just have ended: then that is what is replaced, or nothing is to be done.
        found = await shelf.find()
        if found is not None and found.age < found.lifetime:
            await shelf.done(owner)
            return
        asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Any:
            message = next(asked, None)
            # This client never goes away.
            return message if message is not None else await asyncio.get_running_loop().create_future()

        async def send(_: Any) -> None:
            pass

        try:
            await self._lead(scope, receive, send, request, shelf, None)
        except Exception:
            logging.getLogger("afresh").warning("a response could not be refreshed", exc_info=True)
        try:
            found = await shelf.find()
            if found is None or found.age >= found.lifetime:
                # What fails, or is not to be kept now, is not asked for at each request.
                await asyncio.sleep(PAUSE)
        finally:
            await shelf.done(owner)
