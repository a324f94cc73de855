"""Single flight between the processes of a host, without anybody asking for it."""

from __future__ import annotations

import asyncio
import time

from flight_worker import WORKER

import afresh
from afresh import _afresh

ASKS = """
    while not os.path.exists(sys.argv[4]):
        time.sleep(0.002)
    given = [plain(1)] if face == "threads" else asyncio.run(main())
    assert given == [[1]] * len(given), given
    """


def test_t14_processes_of_both_faces_compute_once(store, apart, runs, tmp_path):
    script, go = apart.write("work.py", WORKER + ASKS), tmp_path / "go"
    children = [apart.start(str(script), store, face, runs.path, str(go)) for face in ("threads", "loops") * 2]
    time.sleep(1)
    go.touch()
    for child in children:
        assert child.wait(60) == 0, child.stderr.read()
    assert runs.count == 1


def test_a_killed_process_leaves_the_computation_to_the_next(store, apart):
    script = apart.write(
        "work.py",
        """
        import os, sys, time
        import afresh
        cache = afresh.SyncCache()
        cache.setup(sys.argv[1])

        @cache.cache(ttl=600, key="f")
        def f():
            print("in", flush=True)
            time.sleep(60)

        f()
        """,
    )
    child = apart.start(str(script), store)
    assert child.stdout.readline() == "in\n"
    cache = afresh.SyncCache()
    cache.setup(store)
    route = cache._routes.plain("f")
    assert type(route.kv.hold("f")) is _afresh.Queued
    child.kill()
    child.wait(10)
    began = time.monotonic()
    assert cache.cache(ttl=600, key="f")(lambda: 7)() == 7
    assert time.monotonic() - began < 5


def test_who_computes_something_else_already_waits_for_nobody(store):
    """Two processes whose computations need each other's keys, each of which has its own."""
    cache = afresh.Cache()
    cache.setup(store)
    held = cache.sync._routes.plain("k").kv.hold("inner")

    @cache.sync.cache(ttl=60, key="inner")
    def inner():
        return 1

    @cache.sync.cache(ttl=60, key="outer")
    def outer():
        return inner() + 1

    assert outer() == 2
    held.release()


def test_waiting_for_another_process_does_not_hold_up_the_loop(store):
    cache = afresh.Cache()
    cache.setup(store)
    held = cache.sync._routes.plain("k").kv.hold("f")

    @cache.cache(ttl=60, key="f")
    async def f():
        return "mine"

    async def main():
        waiting = asyncio.create_task(f())
        for _ in range(20):
            await asyncio.sleep(0.002)
        assert not waiting.done()
        cache.sync.set("f", "theirs")
        held.release()
        return await waiting

    assert asyncio.run(main()) == "theirs"
