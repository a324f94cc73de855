"""A store that takes its time never holds up an event loop: no coroutine function asks it in the loop's own thread."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import afresh

PAUSE = 0.05


class Far(dict):
    """A store that sleeps, and knows which threads it was asked from."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def pause(self):
        self.asked.append(threading.current_thread())
        time.sleep(PAUSE)

    def get(self, key):
        self.pause()
        return super().get(key)

    def put(self, key, value):
        self.pause()
        self[key] = value

    def delete(self, key):
        self.pause()
        self.pop(key, None)

    def keys(self, prefix=""):
        self.pause()
        return [key for key in list(super().keys()) if key.startswith(prefix)]


@pytest.fixture
def far():
    return Far()


def run(far, body):
    """Runs it in a loop; how often the loop turned meanwhile, beside what it gave."""

    async def main():
        ticks, done = 0, False

        async def tick():
            nonlocal ticks
            while not done:
                await asyncio.sleep(0.001)
                ticks += 1

        far.asked.clear()
        ticking = asyncio.create_task(tick())
        try:
            value = await body()
        finally:
            done = True
            await ticking
        # It slept in other threads, and the loop ticked meanwhile: one that waits does not tick while it does.
        assert threading.current_thread() not in far.asked
        assert ticks > 2 * len(far.asked)
        return value

    return asyncio.run(main())


def test_a_miss_a_hit_and_another_loop(far, runs):
    @afresh.memo(store=far)
    async def double(x):
        runs.mark()
        await asyncio.sleep(0)
        return [2 * x]

    async def body():
        return await double(1), await double(1), await asyncio.gather(*(double(n) for n in (1, 2, 2)))

    assert run(far, body) == ([2], [2], [[2], [4], [4]]) and runs.count == 2
    assert far.asked
    assert run(far, lambda: double(1)) == [2] and runs.count == 2
    assert double.stats().misses == 2


def test_arguments_that_do_not_fit_and_that_have_no_key(far, said):
    @afresh.memo(store=far)
    async def double(x):
        return 2

    async def body():
        with pytest.raises(TypeError, match="double"):
            await double()
        with said:
            assert await double(object) == 2
            assert await double(iter(())) == 2
            with afresh.disabled():
                assert await double(1) == 2

    run(far, body)
    assert not double.cached(1)


def test_failures_what_stands_in_and_what_is_replayed(far, runs):
    @afresh.memo(store=far, ttl=0.05, failover=OSError)
    async def price():
        runs.mark()
        if runs.count > 1:
            raise OSError("down")
        return 10

    @afresh.memo(store=far, negative={KeyError: "1m"})
    async def user(name):
        runs.mark()
        raise KeyError(name)

    async def body():
        first = await price()
        await asyncio.sleep(0.1)
        with pytest.warns(afresh.CacheWarning, match="an earlier answer stands in"):
            second = await price()
        for _ in range(2):
            with pytest.raises(KeyError):
                await user("bob")
        return first, second

    assert run(far, body) == (10, 10) and runs.count == 3
    assert user.stats().replays == 1


def test_an_answer_is_renewed_in_the_loop_that_asked(far, runs):
    @afresh.memo(store=far, ttl=0.05, stale=True)
    async def page():
        runs.mark()
        asyncio.get_running_loop()
        return runs.count

    async def body():
        first = await page()
        await asyncio.sleep(0.1)
        second = await page()
        for _ in range(200):
            await asyncio.sleep(0.02)
            if page.stats().refreshes:
                break
        return first, second, await page()

    assert run(far, body) == (1, 1, 2)


def test_one_runs_and_the_others_wait(far, runs):
    @afresh.memo(store=far)
    async def slow():
        runs.mark()
        await asyncio.sleep(0.1)
        return 1

    async def body():
        return await asyncio.gather(*(slow() for _ in range(20)))

    assert run(far, body) == [1] * 20 and runs.count == 1


def test_the_client_for_loops(far, runs):
    async def double(x):
        runs.mark()
        return 2 * x

    async def add(x, y):
        return x + y

    client = afresh.AsyncClient(far)

    async def body():
        ref = await client.submit(double, 1)
        both = await client.submit(add, ref, 1)
        return await client.load(both), (await client.submit(double, 1)).commit_hash == ref.commit_hash

    assert run(far, body) == (3, True) and runs.count == 1


def test_a_cache_of_values(far):
    cache = afresh.Cache()
    cache.setup(far)

    @cache.cache(ttl=60, key="user:{name}", tags=["users"])
    async def user(name):
        return {"name": name}

    async def body():
        assert await user("ada") == await user("ada") == {"name": "ada"}
        await cache.delete_tags("users")
        assert await cache.get("user:ada") is None
        return await cache.get_or_set("n", 1), await cache.incr("n")

    assert run(far, body) == (1, 2)


def test_async_generators(far, runs):
    @afresh.memo(store=far)
    async def rows(n):
        runs.mark()
        for row in range(n):
            await asyncio.sleep(0)
            yield row

    @afresh.memo(store=far)
    async def broken():
        yield 1
        raise OSError("no")

    async def body():
        with pytest.raises(OSError, match="no"):
            [row async for row in broken()]
        with pytest.raises(TypeError, match="rows"):
            [row async for row in rows()]
        return [[row async for row in rows(3)] for _ in range(2)]

    assert run(far, body) == [[0, 1, 2]] * 2 and runs.count == 1
    assert broken.stats().errors == 1
