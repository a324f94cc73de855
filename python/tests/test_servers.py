"""Stores on servers from Python: nothing blocks a loop or takes a thread a call, an outage costs one wait and one warning,
and a fork leaves parent and child well.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
import warnings

import pytest
from redis_server import Server, started, until

import afresh
from afresh import warn


@pytest.fixture
def server():
    server = started()
    warn.forget()
    yield server
    server.kill()
    warn.forget()


@pytest.fixture
def client(server):
    # Patient, for a machine with other things to do.
    return afresh.Client(f"{server.url}?timeout=20")


def test_a_thousand_calls_are_in_flight_at_once(server, client, runs):
    @client.memo
    async def double(x):
        runs.mark()
        return x * 2

    async def all_of_them():
        calls = [asyncio.create_task(double(i)) for i in range(1000)]
        await asyncio.sleep(0)
        # All of them have asked, and nothing has been answered. One thread may find out who the function is.
        assert not any(call.done() for call in calls)
        assert threading.active_count() <= before + 1, "a thread a call"
        return await asyncio.gather(*calls)

    before = threading.active_count()
    assert asyncio.run(all_of_them()) == [2 * i for i in range(1000)]
    assert runs.count == 1000
    assert asyncio.run(all_of_them()) == [2 * i for i in range(1000)]
    assert runs.count == 1000
    assert server.clients() < 10


def test_one_of_all_tasks_computes(client, runs):
    @client.memo
    async def slow(x):
        runs.mark()
        await asyncio.sleep(0.2)
        return [x]

    async def all_of_them():
        return await asyncio.gather(*(slow(1) for _ in range(200)))

    answers = asyncio.run(all_of_them())
    assert answers == [[1]] * 200 and runs.count == 1
    assert len({id(answer) for answer in answers}) > 100, "everyone has a value of their own"


def test_who_stops_waiting_stops_nobody_else(client, runs):
    @client.memo
    async def slow(x):
        runs.mark()
        await asyncio.sleep(1)
        return x

    async def main():
        first = asyncio.create_task(slow(1))
        await asyncio.sleep(0.1)
        impatient, patient = asyncio.create_task(slow(1)), asyncio.create_task(slow(1))
        await asyncio.sleep(0.05)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert await first == 1 and await patient == 1
        assert runs.count == 1
        # One that computes and is cancelled goes on for those who wait for it.
        first = asyncio.create_task(slow(2))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(slow(2))
        await asyncio.sleep(0.1)
        first.cancel()
        assert await second == 2
        assert runs.count == 2
        # Where nobody waits, the next one runs.
        first = asyncio.create_task(slow(3))
        await asyncio.sleep(0.1)
        first.cancel()
        assert await slow(3) == 3
        assert runs.count == 4

    asyncio.run(main())


def test_who_has_waited_long_enough_computes(client, runs):
    @client.memo(wait=0.1)
    async def slow(x):
        runs.mark()
        await asyncio.sleep(1)
        return x

    async def main():
        return await asyncio.gather(slow(1), slow(1))

    with pytest.warns(afresh.CacheWarning, match="took longer than"):
        assert asyncio.run(main()) == [1, 1]
    assert runs.count == 2


def test_failures_are_recorded_and_options_hold(client, runs):
    @client.memo(negative={ValueError: "1h"})
    async def fails(x):
        runs.mark()
        raise ValueError(x)

    @client.memo
    async def fine(x):
        return {"x": x}

    async def main():
        for _ in range(2):
            with pytest.raises(ValueError):
                await fails(1)
        first = await fine(1)
        again = await fine.refresh(1)
        return first, again

    assert asyncio.run(main()) == ({"x": 1}, {"x": 1})
    assert runs.count == 1
    assert len(client.log(fine.name)) == 2


def test_an_async_generator(client, runs):
    @client.memo
    async def count(n):
        runs.mark()
        for i in range(n):
            yield i
        if n == 3:
            raise ValueError(n)

    async def main(n):
        return [i async for i in count(n)]

    assert [asyncio.run(main(2)) for _ in range(3)] == [[0, 1]] * 3
    assert runs.count == 1
    for _ in range(2):
        with pytest.raises(ValueError):
            asyncio.run(main(3))
    assert runs.count == 3


def test_an_async_client_and_a_cache(server, client):
    def plain(x):
        return x + 1

    async def main():
        async with afresh.AsyncClient(f"{server.url}?timeout=20") as other:
            first = await other.submit(plain, 1)
            threads = threading.active_count()
            refs = await asyncio.gather(*(other.submit(plain, 1) for _ in range(100)))
            assert {ref.hash for ref in refs} == {first.hash}
            assert threading.active_count() <= threads + 1
            assert await other.load(first) == 2
        cache = afresh.Cache()
        cache.setup(f"{server.url}?timeout=20")
        await asyncio.gather(*(cache.set(f"k{i}", {"i": i}) for i in range(500)))
        assert await asyncio.gather(*(cache.get(f"k{i}") for i in range(500))) == [{"i": i} for i in range(500)]
        await asyncio.gather(*(cache.incr("n") for _ in range(500)))
        assert await cache.get("n") == 500
        assert await cache.delete("k1") and not await cache.delete("k1")
        assert await cache.get("k1", "none") == "none"
        assert await cache.set("k2", 1, exist=False) is False
        assert await cache.set_lock("l", "me", 10) and not await cache.set_lock("l", "you", 10)
        assert await cache.unlock("l", "me")
        await cache.set("t", 1, tags=["red"])
        await cache.delete_tags("red")
        assert await cache.get("t") is None

    asyncio.run(main())


def gathered(call):
    """The answer, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = call()
    return answer, [str(one.message) for one in caught if issubclass(one.category, afresh.CacheWarning)]


@pytest.mark.parametrize("way", ["killed", "hanging"])
def test_an_outage_costs_one_warning_and_ends(server, way, runs):
    client = afresh.Client(server.url)
    @client.memo
    def plain(x):
        runs.mark()
        return x

    @client.memo
    async def awaited(x):
        return x

    @client.memo(strict=True)
    def strict(x):
        return x

    def everything():
        return [plain(1), asyncio.run(awaited(1)), plain(2), asyncio.run(awaited(2))]

    # On a busy machine the server may be slow enough to be taken for away at first.
    until(lambda: gathered(everything)[1] == [])
    if way == "killed":
        server.kill()
    else:
        server.process.send_signal(signal.SIGSTOP)
    answers, said = gathered(lambda: [everything() for _ in range(3)])
    assert answers == [[1, 1, 2, 2]] * 3
    assert len(said) == 1 and "without the store" in said[0], said
    with pytest.raises(afresh.UnavailableError):
        strict(1)
    if way == "killed":
        server.start()
    else:
        server.process.send_signal(signal.SIGCONT)
    said = []
    until(lambda: said.extend(gathered(everything)[1]) or said != [])
    assert len(said) == 1 and "answers again" in said[0], said
    everything()
    before = runs.count
    assert everything() == [1, 1, 2, 2] and runs.count == before


def test_a_server_that_is_away_at_the_start_keeps_nobody(server):
    server.kill()
    client = afresh.Client(server.url)

    @client.memo
    def plain(x):
        return x

    answer, said = gathered(lambda: plain(1))
    assert answer == 1 and len(said) == 1
    server.start()
    until(lambda: gathered(lambda: plain(1)) and plain.stats().hits > 0)


def test_a_fork_leaves_both_well(server, client):
    @client.memo
    def plain(x):
        return x + 1

    @client.memo
    async def awaited(x):
        return x * 2

    def works(x):
        return plain(x) == x + 1 and plain(x) == x + 1 and asyncio.run(awaited(x)) == x * 2

    assert works(1)
    for _ in range(3):
        child = os.fork()
        if child == 0:
            ok = False
            try:
                ok = works(1) and works(100)
            finally:
                os._exit(0 if ok else 1)
        assert works(2)
        assert os.waitpid(child, 0)[1] == 0
    assert works(3) and plain.stats().misses <= 3
    assert plain.cached(100), "what the child computed is there"


def test_a_fork_while_a_call_runs_leaves_the_lease_to_the_parent(client):
    @client.memo
    def forks(x):
        child = os.fork()
        if child == 0:
            return "child"
        assert os.waitpid(child, 0)[1] == 0
        return "parent"

    if forks(1) == "child":
        os._exit(0)
    assert forks(1) == "parent" and forks.stats().hits == 1


def test_processes_compute_once(client, server, tmp_path):
    script = f"""
import afresh, time
client = afresh.Client("{server.url}?timeout=20")

@client.memo(version="1")
def slow(x):
    with open({str(tmp_path / "runs")!r}, "a") as file:
        file.write("x")
    time.sleep(1)
    return x

print(slow(7))
"""
    import sys

    path = tmp_path / "script.py"
    path.write_text(script)
    env = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(afresh.__file__))}
    children = [subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, env=env) for _ in range(4)]
    assert [child.communicate(timeout=60)[0].strip() for child in children] == [b"7"] * 4
    assert (tmp_path / "runs").read_text() == "x"
