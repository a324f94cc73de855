"""A cache for responses, in front of an ASGI application: RFC 9111 over a store of afresh.

``CacheMiddleware`` goes around the application; ``cached`` is a dependency for FastAPI that says of one endpoint how long
its responses last and what they are about; ``keep`` says the same from within any endpoint; ``invalidate`` takes back what
is stored of a URL. Needs no framework by itself; ``cached`` needs ``afresh[web]``.
"""

from __future__ import annotations

from afresh.web.endpoint import asked, cached, invalidate, keep
from afresh.web.middleware import CacheMiddleware

__all__ = ["CacheMiddleware", "asked", "cached", "invalidate", "keep"]
