"""The client for event loops: the same store and the same answers, awaited; the loop never waits."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time

import pytest

import afresh
from afresh import AsyncClient, Client, TaskRef


def run(store, body):
    async def main():
        async with AsyncClient(store) as client:
            return await body(client)

    return asyncio.run(main())


def test_it_has_every_method_of_the_client():
    def public(cls):
        return {name for name in dir(cls) if not name.startswith("_")}

    assert public(Client) <= public(AsyncClient)
    for name in public(Client) - {"memo", "task"}:
        method = getattr(AsyncClient, name)
        assert inspect.iscoroutinefunction(method), name
        ours, theirs = inspect.signature(method), inspect.signature(getattr(Client, name))
        assert list(ours.parameters) == list(theirs.parameters), name


def test_functions_and_coroutine_functions_share_a_store_with_the_client(store, runs):
    def double(x):
        runs.mark()
        return x * 2

    async def triple(x):
        runs.mark()
        await asyncio.sleep(0)
        return x * 3

    async def body(client):
        one = await client.submit(double, 4)
        two = await client.submit(triple, one)
        again = await client.submit(triple, one)
        assert again.commit_hash == two.commit_hash
        shown = await client.show(two.commit_hash)
        assert shown.inputs == (one.commit_hash,)
        return await client.load(two), len(await client.log()), (await client.stats()).commits

    assert run(store, body) == (24, 2, 2) and runs.count == 2
    assert Client(store).submit(double, 4).load() == 8 and runs.count == 2


def test_failures_are_task_errors(store):
    def fail():
        raise ValueError("sync")

    async def afail():
        raise ValueError("async")

    async def body(client):
        for function in (fail, afail):
            with pytest.raises(afresh.TaskError, match="ValueError: a?sync") as raised:
                await client.submit(function)
            assert isinstance(raised.value.__cause__, ValueError)
            assert (await client.show(raised.value.commit_hash)).status == "failed"
        with pytest.raises(afresh.ConfigError):
            await client.submit(fail, _retries=-1)

    run(store, body)


def test_graphs_and_maps_of_both_kinds(store):
    def one(x):
        return x + 1

    async def two(x):
        await asyncio.sleep(0.01)
        return x * 10

    async def body(client):
        refs = await client.submit_many({"a": (one, (1,)), "b": (two, (TaskRef("a"),)), "c": (one, (TaskRef("b"),))})
        mapped = await client.map(two, range(5))
        return [refs[k].load() for k in "abc"], [ref.load() for ref in mapped]

    assert run(store, body) == ([2, 20, 21], [0, 10, 20, 30, 40])


def test_decorators(store, runs):
    async def body(client):
        @client.task(tags={"kind": "task"})
        def plain(x):
            """Says what it does."""
            runs.mark()
            return x

        @client.task
        async def coroutine(x):
            runs.mark()
            return x

        @client.memo
        async def remembered(x):
            runs.mark()
            return x

        first = await asyncio.gather(plain(1), coroutine(2))
        again = await asyncio.gather(plain(1), coroutine(2), client.submit(plain, 1))
        assert [ref.load() for ref in first + again] == [1, 2, 1, 2, 1]
        assert await remembered(3) == await remembered(3) == 3
        assert plain.__doc__ == "Says what it does." and len(await client.log(tags="kind=task")) == 1

    run(store, body)
    assert runs.count == 3


def test_a_slow_function_does_not_block_the_loop(store):
    def slow():
        time.sleep(0.3)
        return 1

    async def body(client):
        beats = 0

        async def beat():
            nonlocal beats
            while True:
                await asyncio.sleep(0.005)
                beats += 1

        ticking = asyncio.create_task(beat())
        refs = await asyncio.gather(*(client.submit(slow) for _ in range(5)))
        ticking.cancel()
        assert len({ref.commit_hash for ref in refs}) == 1
        return beats

    assert run(store, body) > 20


def test_a_store_that_is_far_does_not_block_the_loop(runs):
    class Far(dict):
        """A store that takes its time."""

        def get(self, key):
            time.sleep(0.02)
            return super().get(key)

        def put(self, key, value):
            self[key] = value

        def delete(self, key):
            self.pop(key, None)

        def keys(self, prefix=""):
            return [key for key in list(super().keys()) if key.startswith(prefix)]

    def double(x):
        runs.mark()
        return x * 2

    async def body(client):
        beats, longest, last, done = 0, 0.0, time.perf_counter(), False

        async def beat():
            nonlocal beats, longest, last
            while not done:
                await asyncio.sleep(0.001)
                now = time.perf_counter()
                beats, longest, last = beats + 1, max(longest, now - last), now

        ticking = asyncio.create_task(beat())
        for _ in range(2):
            await client.submit(double, 1)
        done = True
        await ticking
        assert beats > 20
        print(f"\nfar store of 20 ms a read: the loop stood still for {longest * 1000:.1f} ms at most")

    run(Far(), body)
    assert runs.count == 1


def test_a_hit_of_a_near_store_is_answered_in_the_loops_thread(store):
    def double(x):
        return x * 2

    async def body(client):
        await client.submit(double, 1)
        started = []
        original = threading.Thread.start
        try:
            threading.Thread.start = lambda self: (started.append(self.name), original(self))[1]
            for _ in range(3):
                assert (await client.submit(double, 1)).size
        finally:
            threading.Thread.start = original
        return started

    # What closes the client is not asked for until after.
    assert run(store, body) == []


def test_who_stops_waiting_stops_nobody_else(store, runs):
    """cashews T2, for plain functions and coroutine functions."""

    def slow():
        runs.mark()
        time.sleep(0.2)
        return 1

    async def aslow():
        runs.mark()
        await asyncio.sleep(0.2)
        return 2

    async def body(client):
        found = []
        for function in (slow, aslow):
            tasks = [asyncio.create_task(client.submit(function)) for _ in range(4)]
            await asyncio.sleep(0.1)
            tasks[0].cancel()
            tasks[2].cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            found.append([done[1].load(), done[3].load()])
        return found

    assert run(store, body) == [[1, 1], [2, 2]]
    # Whoever ran it was cancelled, and the run went on for the others.
    assert runs.count == 2


def test_loops_one_after_the_other_and_side_by_side(store, runs):
    """cashews T21: a second `asyncio.run`, or threads with loops of their own, break the cache."""
    client = AsyncClient(store)

    async def double(x):
        runs.mark()
        await asyncio.sleep(0.1)
        return x * 2

    for _ in range(3):
        assert asyncio.run(client.submit(double, 1)).load() == 2
    got = []
    threads = [threading.Thread(target=lambda: got.append(asyncio.run(client.submit(double, 2)).load())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [4] * 6 and runs.count == 2


def test_sync_functions_are_welcome(store):
    """cashews T22: decorating a plain function fails when it is awaited."""
    import functools

    async def body(client):
        return (await client.submit(functools.partial(pow, 2), 5)).load()

    assert run(store, body) == 32
