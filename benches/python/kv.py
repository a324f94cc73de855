"""What the commands of `afresh.Cache` cost, and how long a cache of a million keys makes its caller wait.

    python benches/python/kv.py            # figures, to standard output

Build the extension optimised first (`make demo` does).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time

import afresh


def cost(call, times: int = 200_000) -> float:
    """Microseconds of a call, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            call()
        best = min(best, time.perf_counter() - began)
    return best / times * 1e6


def show(what: str, figure: str) -> None:
    print(f"{what:<58} {figure}")


def commands(name: str, cache: afresh.SyncCache, times: int) -> None:
    cache.set("text", "value")
    cache.set("list", [1, 2, 3])
    for what, call in {
        "get of a text": lambda: cache.get("text"),
        "get of a list": lambda: cache.get("list"),
        "get of what is absent": lambda: cache.get("absent"),
        "set of a text": lambda: cache.set("text", "value"),
        "set of a text with a lifetime": lambda: cache.set("text", "value", 60),
        "incr": lambda: cache.incr("n"),
    }.items():
        show(f"{name} {what}", f"{cost(call, times):6.2f} µs")


async def awaited(call, times: int = 200_000) -> float:
    """Microseconds of awaiting what a call gives."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            await call()
        best = min(best, time.perf_counter() - began)
    return best / times * 1e6


async def together(call, count: int = 1_000) -> float:
    """Microseconds for each of so many calls that are made at the same time."""
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(count)))
        best = min(best, time.perf_counter() - began)
    return best / count * 1e6


def decorated(cache: afresh.Cache) -> None:
    """Hits of decorated functions, beside the same functions without the cache."""

    class User:
        id = 7

        @cache.sync.cache(ttl=600, key="method:{self.id}:{page}")
        def page(self, page: int) -> str:
            return "text"

    def plain(user: int, page: int = 1) -> str:
        return "text"

    async def later(user: int, page: int = 1) -> str:
        return "text"

    user = User()
    template = cache.sync.cache(ttl=600, key="user:{user}:{page}")(plain)
    arguments = cache.sync.cache(ttl=600)(plain)
    coroutine = cache.cache(ttl=600, key="later:{user}:{page}")(later)
    for what, call in {
        "without the cache": lambda: plain(7),
        "hit, key of a template": lambda: template(7),
        "hit, key of all arguments": lambda: arguments(7),
        "hit, by name": lambda: template(user=7, page=1),
        "hit of a method, key of an attribute": lambda: user.page(3),
    }.items():
        show(f"memory: function, {what}", f"{cost(call):6.2f} µs")
    show("memory: coroutine function, without the cache", f"{asyncio.run(awaited(lambda: later(7))):6.2f} µs")
    show("memory: coroutine function, hit", f"{asyncio.run(awaited(lambda: coroutine(7))):6.2f} µs")
    show("memory: 1,000 coroutines at once, without the cache", f"{asyncio.run(together(lambda: later(7))):6.2f} µs each")
    show("memory: 1,000 hits at once", f"{asyncio.run(together(lambda: coroutine(7))):6.2f} µs each")


def million(count: int = 1_000_000) -> None:
    """Each single command timed; one and a half times as many keys as there is room for, half of them short-lived.

    The worst is in time of this thread, so that what else the machine does is not counted.
    """
    cache = afresh.SyncCache()
    cache.setup("memory:", entries=count, size="2GB")
    # What the interpreter's own collector takes is not the cache's.
    import gc

    gc.disable()
    names = [f"user:{i}" for i in range(count + count // 2)]
    clock = time.perf_counter
    for what, step in {
        "set": lambda name: cache.set(name, name, 1 if name[-1] in "02468" else 600),
        "set again": lambda name: cache.set(name, name, 600),
        "get": lambda name: cache.get(name),
        "delete": lambda name: cache.delete(name),
    }.items():
        worst, over, began, own = 0.0, 0, clock(), time.thread_time
        for name in names:
            before = own()
            step(name)
            took = own() - before
            worst, over = max(worst, took), over + (took > 0.005)
        total = clock() - began
        show(
            f"memory: {what} × {len(names):,}, room for {count:,}",
            f"{total / len(names) * 1e6:6.2f} µs each, worst {worst * 1e3:.2f} ms, {over} over 5 ms",
        )
    gc.enable()
    for name in names[:count]:
        cache.set(name, 1)
    used, before = time.process_time(), clock()
    time.sleep(3)
    show("memory: idle with a million keys", f"{(time.process_time() - used) / (clock() - before):.4%} CPU")


def main() -> None:
    memory = afresh.Cache()
    memory.setup("memory:")
    commands("memory:", memory.sync, 200_000)
    show("memory: await get of a text", f"{asyncio.run(awaited(lambda: memory.get('text'))):6.2f} µs")
    decorated(memory)
    with tempfile.TemporaryDirectory() as folder:
        stored = afresh.SyncCache()
        stored.setup(os.path.join(folder, "store"))
        commands("sqlite:", stored, 5_000)
    million()


if __name__ == "__main__":
    main()
