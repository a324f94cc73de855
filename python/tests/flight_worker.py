"""A process of several that ask for one call at once: what it begins with; how it begins is the test's."""

from __future__ import annotations

#: `argv`: the store, which face, a file with a mark for each run.
WORKER = """
    import asyncio, os, sys, time
    import afresh

    cache = afresh.Cache()
    cache.setup(sys.argv[1])
    face, marks = sys.argv[2], sys.argv[3]

    def mark():
        with open(marks, "a") as file:
            file.write("x")

    @cache.sync.cache(ttl=600, key="f:{a}")
    def plain(a):
        mark()
        time.sleep(1)
        return [a]

    @cache.cache(ttl=600, key="f:{a}")
    async def later(a):
        mark()
        await asyncio.sleep(1)
        return [a]

    async def main():
        return await asyncio.gather(*(later(1) for _ in range(25)))
"""
