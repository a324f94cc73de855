"""Caches over every kind of store, for threads and for event loops, to be held against one table of semantics."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools

import pytest
from doubles import Dictionary
from redis_server import started

import afresh


class Awaited:
    """The asynchronous twin, each command awaited in a loop, so that one test serves both."""

    def __init__(self, cache: afresh.Cache) -> None:
        self.cache = cache

    def __getattr__(self, name):
        found = getattr(self.cache, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            async def main():
                given = found(*args, **kwargs)
                if hasattr(given, "__aiter__"):
                    return [one async for one in given]
                return await given if inspect.isawaitable(given) else given

            return asyncio.run(main())

        return call


@functools.cache
def redis() -> str:
    """A server that lasts as long as the tests."""
    return f"{started().url}?timeout=20"


BACKENDS = {
    "memory": lambda path: {"url": "memory:"},
    "memory-json": lambda path: {"url": "memory:", "codec": "json"},
    "sqlite": lambda path: {"url": str(path / "kv")},
    "sqlite-secret": lambda path: {"url": str(path / "kv"), "secret": "s3cret"},
    "python": lambda path: {"url": Dictionary()},
    "redis": lambda path: {"url": redis()},
    "redis-front": lambda path: {"url": redis(), "client_side": True},
}

# On a server that tests share, each has a cache of its own.
_numbers = itertools.count()


def seen(cache):
    """All that a cache holds."""
    entries = sorted(cache.get_match("*"), key=lambda entry: entry[0])
    return [(key, value, cache.get_expire(key) > 0, cache.get_key_tags(key)) for key, value in entries]


@pytest.fixture(params=[f"{backend}-{face}" for backend in BACKENDS for face in ("sync", "async", "transaction")])
def cache(request, tmp_path):
    """A cache: for threads, for event loops, and within a transaction, where every command means the same, and what was
    seen is what is there once it has committed."""
    backend, _, face = request.param.rpartition("-")
    options, name = BACKENDS[backend](tmp_path), f"t{next(_numbers)}"
    if face == "async":
        awaited = afresh.Cache(name)
        awaited.setup(options.pop("url"), **options)
        yield Awaited(awaited)
        return
    cache = afresh.SyncCache(name)
    cache.setup(options.pop("url"), **options)
    if face == "sync":
        yield cache
        return
    with cache.transaction():
        yield cache
        within = seen(cache)
    assert seen(cache) == within
