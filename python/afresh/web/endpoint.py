"""What endpoints say to the middleware: how long a response lasts, what it is about, and what is to be taken back."""

from __future__ import annotations

from afresh.cache import ttl as spans
from afresh.errors import ConfigError
from afresh.web import fields, rules, stored
from afresh.web.middleware import PLAN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from afresh.cache import Cache
    from afresh.cache.ttl import Span

_LEFT: Any = object()


async def keep(
    request: Any,
    ttl: Span = _LEFT,
    *,
    stale: Span = _LEFT,
    failover: Span = _LEFT,
    tags: Sequence[str] = (),
    vary: Sequence[str] = (),
) -> None:
    """Says how long the response to a request lasts, unless it says so itself, and what it is about.

    To be awaited before anything is read that the tags are for: what is taken back after that is not stored.
    """
    if isinstance(tags, str) or isinstance(vary, str):
        raise ConfigError("tags and vary are lists of texts")
    scope = getattr(request, "scope", request)
    if PLAN not in scope:
        raise ConfigError(
            "there is no CacheMiddleware around this application",
            hint="app.add_middleware(afresh.web.CacheMiddleware, cache=cache)",
        )
    plan: rules.Plan | None = scope[PLAN]
    if plan is None:
        return
    if ttl is not _LEFT:
        plan.ttl = spans.seconds(ttl)
    if stale is not _LEFT:
        plan.stale = spans.seconds(stale) or 0
    if failover is not _LEFT:
        plan.failover = spans.seconds(failover) or 0
    plan.vary = tuple(dict.fromkeys([*plan.vary, *(name.lower() for name in vary)]))
    if tags and plan.mark is not None:
        await plan.mark(list(tags))


def cached(
    ttl: Span = _LEFT,
    *,
    stale: Span = _LEFT,
    failover: Span = _LEFT,
    tags: Sequence[str] = (),
    vary: Sequence[str] = (),
) -> Callable[[Any], Any]:
    """A dependency that says it of one endpoint: ``Depends(cached("1m", tags=["item:{item_id}"]))``.

    In tags the parameters of the path are filled in. The endpoint may take a ``Request``: the key is the URL.
    """
    from starlette.requests import Request

    for span in (ttl, stale, failover):
        if span is not _LEFT:
            spans.seconds(span)

    async def dependency(request: Any) -> None:
        filled = [tag.format_map(request.path_params) for tag in tags]
        await keep(request, ttl, stale=stale, failover=failover, tags=filled, vary=vary)

    # The class itself: this module need not be able to name it.
    dependency.__annotations__ = {"request": Request, "return": None}
    return dependency


def asked(request: Any) -> dict[str, Any]:
    """The options that the Cache-Control of a request stands for, for a remembered function:
    ``await price.options(**asked(request))(item)``."""
    headers = getattr(request, "scope", request)["headers"]
    control = rules.Request("GET", list(headers)).control
    if "no-store" in control:
        return {"cache": False}
    most = fields.seconds(control, "max-age")
    if "no-cache" in control or most == 0:
        return {"force": True}
    return {} if most is None else {"max_age": most}


async def invalidate(cache: Cache, url: Any) -> bool:
    """Takes back what is stored of a URL, with all its variants: the whole URL, such as ``request.url_for(...)``."""
    return await cache.delete(stored.key(str(url)))
