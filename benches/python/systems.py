"""The systems that are compared, each set up as its documentation does.

``SYSTEMS[name](folder)`` gives a decorator. What a system needs is imported there and nowhere else, so that a row pays
only for what it measures. Options are given only where the default cannot work: where to store, no log on the
terminal, a file for each call (cachetta), a time to live that cashews demands.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

Remember = Callable[[Any], Callable[..., Any]]
OURS = "afresh"


def afresh(folder: str) -> Remember:
    import afresh

    return lambda function: afresh.memo(function, store=folder)


def afresh_mapped(folder: str) -> Remember:
    import afresh

    return lambda function: afresh.memo(function, store=folder, mapped=True)


def lru_cache(_: str) -> Remember:
    return functools.lru_cache


def lru_cache_typed(_: str) -> Remember:
    return functools.lru_cache(typed=True)


def cachetools(_: str) -> Remember:
    import cachetools

    return lambda function: cachetools.cached(cachetools.LRUCache(maxsize=128))(function)


def async_lru(_: str) -> Remember:
    import async_lru

    return async_lru.alru_cache(maxsize=128)


def cashews(_: str) -> Remember:
    return _cashews("mem://")


def cashews_disk(folder: str) -> Remember:
    return _cashews(f"disk://?directory={folder}")


def _cashews(address: str) -> Remember:
    import cashews

    cache = cashews.Cache()
    cache.setup(address)
    return cache(ttl="3h")


def diskcache(folder: str) -> Remember:
    import diskcache

    cache = diskcache.Cache(folder)
    return lambda function: cache.memoize()(function)


def joblib(folder: str) -> Remember:
    import joblib

    memory = joblib.Memory(folder, verbose=0)
    return lambda function: memory.cache(function)


def joblib_mapped(folder: str) -> Remember:
    import joblib

    memory = joblib.Memory(folder, verbose=0, mmap_mode="r")
    return lambda function: memory.cache(function)


def cachier(folder: str) -> Remember:
    import cachier

    return lambda function: cachier.cachier(cache_dir=folder)(function)


def cachetta(folder: str) -> Remember:
    import cachetta

    cache = cachetta.Cachetta(path=folder, hashed=True)
    return lambda function: cache(function)


def cashet(folder: str) -> Remember:
    import cashet

    with warnings.catch_warnings():
        # It advises against its own default, which is what is measured.
        warnings.simplefilter("ignore")
        client = cashet.Client(store_dir=folder)
    return lambda function: lambda *arguments: client.submit(function, *arguments).load()


SYSTEMS: dict[str, Callable[[str], Remember]] = {
    OURS: afresh,
    "afresh mapped": afresh_mapped,
    "lru_cache": lru_cache,
    "lru_cache(typed=True)": lru_cache_typed,
    "cachetools": cachetools,
    "async-lru": async_lru,
    "cashews mem": cashews,
    "cashews disk": cashews_disk,
    "diskcache": diskcache,
    "joblib": joblib,
    "joblib mmap": joblib_mapped,
    "cachier": cachier,
    "cachetta": cachetta,
    "cashet": cashet,
}
#: Those whose functions are coroutine functions.
ASYNCHRONOUS = {"async-lru", "cashews mem", "cashews disk"}
#: Those that keep answers on disk.
DURABLE = ("diskcache", "joblib", "cachetta", "cashews disk", "cachier", "cashet")


def versions() -> dict[str, str]:
    """Of every distribution that takes part."""
    from importlib import metadata

    names = ("afresh", "async-lru", "cachetools", "cachetta", "cachier", "cashet", "cashews", "diskcache", "joblib")
    return {name: metadata.version(name) for name in (*names, "numpy")}
