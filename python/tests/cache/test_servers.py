"""`afresh.Cache` over stores on servers: one computes among all processes, nothing is older than what a server has told
of, and commands are awaited without a thread each."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import postgres_server
import pytest
from flight_worker import WORKER
from redis_server import Server, started, until

import afresh
from afresh import _afresh, warn


@pytest.fixture
def server():
    server = started()
    warn.forget()
    server.url += "?timeout=10"
    yield server
    server.kill()
    warn.forget()


def cache_on(server: Server, name: str = "", **options) -> afresh.Cache:
    cache = afresh.Cache(name)
    cache.setup(server.url, **options)
    return cache


ASKS = """
    cache.sync.get("warm")
    print("ready", flush=True)
    sys.stdin.readline()
    given = [plain(1)] if face == "threads" else asyncio.run(main())
    assert given == [[1]] * len(given), given
    """


def test_processes_of_both_faces_compute_once(server, apart, runs):
    script = str(apart.write("work.py", WORKER + ASKS))
    faces = ("threads", "loops") * 2
    children = [apart.start(script, server.url, face, runs.path, stdin=-1) for face in faces]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        assert child.wait(60) == 0, child.stderr.read()
    assert runs.count == 1


HOLDER = """
    import sys, time
    import afresh
    cache = afresh.SyncCache()
    cache.setup(sys.argv[1])

    @cache.cache(ttl=600, key="f")
    def f():
        print("in", flush=True)
        sys.stdin.readline()
        return "late"

    print(f(), flush=True)
    time.sleep(60)
    """


def test_the_next_one_computes_when_the_owner_was_killed(server, apart):
    child = apart.start(str(apart.write("work.py", HOLDER)), server.url, stdin=-1)
    assert child.stdout.readline() == "in\n"
    cache = cache_on(server).sync
    assert type(cache._routes.plain("f").kv.hold("f")) is _afresh.Queued
    child.kill()
    child.wait(10)
    assert cache.cache(ttl=600, key="f")(lambda: 7)() == 7


def test_a_late_owner_overwrites_nothing(server, apart):
    """Its lease is over, another has computed: what is there stays."""
    child = apart.start(str(apart.write("work.py", HOLDER)), server.url, stdin=-1)
    assert child.stdout.readline() == "in\n"
    os.kill(child.pid, signal.SIGSTOP)
    cache = cache_on(server).sync
    assert cache.cache(ttl=600, key="f")(lambda: "newer")() == "newer"
    os.kill(child.pid, signal.SIGCONT)
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline() == "late\n"
    assert cache.get("f") == "newer"


def test_a_lease_is_renewed_for_as_long_as_its_owner_computes(server, apart):
    """Longer than a lease that nobody renews."""
    child = apart.start(str(apart.write("work.py", HOLDER)), server.url, stdin=-1)
    assert child.stdout.readline() == "in\n"
    cache = cache_on(server).sync
    queued = cache._routes.plain("f").kv.hold("f")
    assert not queued.wait(8)
    child.stdin.write("\n")
    child.stdin.flush()
    assert queued.wait(30)
    assert cache.cache(ttl=600, key="f")(lambda: "mine")() == "late"


def test_waiting_for_another_takes_no_thread_and_holds_up_nothing(server):
    cache, other = cache_on(server), cache_on(server)
    held = other.sync._routes.plain("f").kv.hold("f")

    async def main():
        before = threading.active_count()

        @cache.cache(ttl=60, key="f")
        async def f():
            return "mine"

        waiting = [asyncio.create_task(f()) for _ in range(50)]
        await asyncio.sleep(0.2)
        assert not any(one.done() for one in waiting) and threading.active_count() <= before
        await other.set("f", "theirs")
        held.release()
        return await asyncio.gather(*waiting)

    assert asyncio.run(main()) == ["theirs"] * 50


def test_whoever_waits_for_a_lock_is_told(server, apart):
    script = """
        import sys
        import afresh
        cache = afresh.SyncCache()
        cache.setup(sys.argv[1])
        with cache.lock("k", expire=60):
            print("in", flush=True)
            sys.stdin.readline()
        print("out", flush=True)
        sys.stdin.readline()
        """
    child = apart.start(str(apart.write("lock.py", script)), server.url, stdin=-1)
    assert child.stdout.readline() == "in\n"
    cache = cache_on(server)

    async def main():
        with pytest.raises(afresh.cache.LockedError):
            async with cache.lock("k", expire=60, wait=0.2):
                pass
        assert await cache.is_locked("k")
        order, inside = [], 0

        async def one(number):
            nonlocal inside
            async with cache.lock("k", expire=60):
                inside += 1
                assert inside == 1
                order.append(number)
                await asyncio.sleep(0.01)
                inside -= 1

        waiting = [asyncio.create_task(one(number)) for number in range(10)]
        await asyncio.sleep(0.3)
        assert not order
        child.stdin.write("\n")
        child.stdin.flush()
        await asyncio.gather(*waiting)
        return order

    assert asyncio.run(main()) == list(range(10))


def test_a_lock_that_was_waited_for_in_vain_is_nobodys(server):
    cache = cache_on(server)

    async def main():
        async with cache.lock("k", expire=60):
            waiting = [asyncio.create_task(cache.lock("k", expire=60).__aenter__()) for _ in range(20)]
            await asyncio.sleep(0.1)
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        async with cache.lock("k", expire=60, wait=10):
            pass

    asyncio.run(main())
    assert not cache.sync.is_locked("k")


def test_transactions_of_two_processes_wait_for_each_other(server, apart):
    script = """
        import asyncio, sys
        import afresh
        cache = afresh.Cache()
        cache.setup(sys.argv[1])

        @cache.transaction("locked", timeout=60, retries=100)
        async def add():
            found = await cache.get("n", 0)
            await asyncio.sleep(0)
            await cache.set("n", found + 1)

        async def main():
            for _ in range(30):
                await add()

        asyncio.run(main())
        """
    children = [apart.start(str(apart.write("add.py", script)), server.url) for _ in range(2)]
    for child in children:
        assert child.wait(120) == 0, child.stderr.read()
    assert cache_on(server).sync.get("n") == 60


def test_a_thousand_commands_are_on_their_way_at_once(server):
    cache = cache_on(server)

    async def main():
        before = threading.active_count()
        await asyncio.gather(*(cache.set(f"k{i}", [i], tags=["t"]) for i in range(1000)))
        getting = [asyncio.create_task(cache.get(f"k{i}")) for i in range(1000)]
        await asyncio.sleep(0)
        assert not any(one.done() for one in getting)
        assert threading.active_count() <= before + 2, "a thread a command"
        assert await asyncio.gather(*getting) == [[i] for i in range(1000)]
        assert await asyncio.gather(*(cache.incr("n") for _ in range(500))) is not None
        assert await cache.get("n") == 500
        assert await cache.get_many("k1", "k2", "none") == ([1], [2], None)
        await cache.delete_tags("t")
        assert await cache.get("k1") is None

    asyncio.run(main())
    assert server.clients() < 10


def test_every_command_is_awaited_without_a_thread(server, monkeypatch):
    cache = cache_on(server)

    async def never(*given):
        raise AssertionError(f"a thread for {given}")

    async def main():
        monkeypatch.setattr(asyncio, "to_thread", never)
        assert await cache.set("k", {"a": 1}, expire=60, exist=False, tags=["t"])
        assert not await cache.set("k", 2, exist=False)
        assert await cache.exists("k") and await cache.get_expire("k") > 50 and await cache.get_size("k") > 0
        assert await cache.get_key_tags("k") == ("t",)
        assert await cache.expire("k", 90) and await cache.get_raw("k")
        await cache.set_many({"a": 1, "b": "two"})
        assert sorted([key async for key in cache.scan("*")]) == ["a", "b", "k"]
        assert [entry async for entry in cache.get_match("b")] == [("b", "two")]
        assert await cache.get_keys_count() == 3
        assert await cache.delete_many("a", "none") == 1 and await cache.delete_match("b*") == 1
        assert await cache.incr("n", 2, tags=["t"]) == 2 and await cache.incr("n", 3) == 5
        assert await cache.set_add("s", "x", "y") == 2 and await cache.set_pop("s", 5) == ("x", "y")
        assert await cache.incr_bits("bits", 1, 2) == (1, 1) and await cache.get_bits("bits", 0, 1) == (0, 1)
        assert await cache.set_lock("l", "me", 60) and await cache.is_locked("l") and await cache.unlock("l", "me")
        async with cache.lock("l", expire=60):
            pass
        assert await cache.get_or_set("made", lambda: 7) == 7
        calls = []

        @cache.cache(ttl=60, key="f:{a}", tags=["t"])
        async def f(a):
            calls.append(a)
            return a

        assert [await f(1), await f(1)] == [1, 1] and calls == [1]
        await cache.delete_tags("t")
        assert await cache.get("k") is None and await f(1) == 1 and calls == [1, 1]
        with pytest.raises(TypeError):
            await cache.incr("made2" if await cache.set("made2", "text") else "")
        assert await cache.ping() == b"PONG"
        await cache.clear()
        assert await cache.get_keys_count() == 0

    asyncio.run(main())


def test_cancelled_commands_leave_nothing_half_done(server):
    cache = cache_on(server)

    async def main():
        for delay in [0, 0.0002, 0.001, 0.003] * 10:
            tasks = [asyncio.create_task(cache.set(f"k{i}", [i] * 100, tags=["t"])) for i in range(20)]
            tasks += [asyncio.create_task(cache.incr("n")) for _ in range(20)]
            await asyncio.sleep(delay)
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(one, (bool, int, asyncio.CancelledError)) for one in done), done
        counted = sum(isinstance(one, int) for one in done[20:])
        assert await cache.get("n", 0) >= counted
        for i in range(20):
            assert await cache.get(f"k{i}") in (None, [i] * 100)
        assert await cache.set("after", 1) and await cache.get("after") == 1

    asyncio.run(main())


@pytest.fixture
def postgres():
    server = postgres_server.started()
    warn.forget()
    yield server
    server.kill()
    warn.forget()


OTHER = """
    import sys
    import afresh
    cache = afresh.SyncCache()
    cache.setup(sys.argv[1])
    for line in sys.stdin:
        exec(line)
        print("done", flush=True)
    """


def other_on(server, apart):
    """Does something in another process."""
    child = apart.start(str(apart.write("other.py", OTHER)), server.url, stdin=-1)

    def do(line: str) -> None:
        child.stdin.write(line + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "done\n"

    return do


@pytest.fixture
def elsewhere(server, apart):
    return other_on(server, apart)


def kept(cache: afresh.SyncCache, server: Server, key: str):
    """What is under a key, once it is kept in the process."""
    while True:
        before = server.looked()
        found = cache.get(key)
        if server.looked() == before:
            return found


def test_what_was_read_is_kept_until_somebody_changes_it(server, elsewhere):
    cache = cache_on(server, client_side=True).sync
    cache.set("k", ["old"], tags=["t"])
    assert kept(cache, server, "k") == ["old"]
    before = server.looked()
    for _ in range(1000):
        assert cache.get("k") == ["old"]
    assert server.looked() == before
    for change, found in [
        ("cache.set('k', ['new'], tags=['t'])", ["new"]),
        ("cache.delete_tags('t')", None),
        ("cache.set('k', 1)", 1),
        ("cache.incr('k')", 2),
        ("cache.expire('k', 0)", None),
        ("cache.set('k', 'x')", "x"),
        ("cache.clear()", None),
    ]:
        elsewhere(change)
        until(lambda: cache.get("k") == found)  # noqa: B023
        assert kept(cache, server, "k") == found if found is not None else cache.get("k") is None
    server.cli("FLUSHALL")
    until(lambda: cache.get("k") is None)


def test_ones_own_change_is_seen_at_once(server):
    near, far = cache_on(server, client_side=True).sync, cache_on(server).sync
    assert near.set("k", 0) and kept(near, server, "k") == 0
    for i in range(300):
        (near, far)[i % 2].set("k", i)
        assert near.get("k") == i
    near.delete("k")
    assert near.get("k") is None

    async def main():
        awaited = cache_on(server, client_side=True)
        for i in range(300):
            await awaited.set("k", i)
            assert await awaited.get("k") == i

    asyncio.run(main())


def test_a_cut_connection_drops_what_was_kept(server, elsewhere):
    cache = cache_on(server, client_side=True).sync
    cache.set("k", "old")
    assert kept(cache, server, "k") == "old"
    for i in range(5):
        server.cli("CLIENT", "KILL", "TYPE", "normal")
        elsewhere(f"""while not cache.set('k', {i}): pass""")
        until(lambda: cache.get("k") == i)  # noqa: B023
        assert kept(cache, server, "k") == i


def test_a_server_that_stood_still_or_restarted_is_not_believed_from_memory(server, elsewhere, said):
    cache = cache_on(server, client_side=True).sync
    cache.set("k", "old")
    assert kept(cache, server, "k") == "old"
    with said:
        os.kill(server.process.pid, signal.SIGSTOP)
        # The connection is asked every second whether it is there, and nothing that is kept counts once it is not.
        until(lambda: cache.get("k") is None)
        os.kill(server.process.pid, signal.SIGCONT)
        elsewhere("while not cache.set('k', 'newer'): pass")
        until(lambda: cache.get("k") == "newer")
        assert kept(cache, server, "k") == "newer"
        server.kill()
        until(lambda: cache.get("k") is None)
        server.start()
        until(lambda: cache.set("k", "after"))
    assert kept(cache, server, "k") == "after"


def test_awaited_hits_come_from_memory(server):
    cache = cache_on(server, client_side=True)
    cache.sync.set("k", [1], tags=["t"])
    assert kept(cache.sync, server, "k") == [1]

    async def main():
        before = server.looked()
        assert await asyncio.gather(*(cache.get("k") for _ in range(1000))) == [[1]] * 1000
        assert server.looked() == before

    asyncio.run(main())


def test_postgresql_tells_too(postgres, apart, said):
    with said:
        cache = cache_on(postgres, client_side=True)
        near = cache.sync
        until(lambda: near.set("k", "a", tags=["t"]))
    elsewhere = other_on(postgres, apart)
    kv = near._routes.plain("k").kv
    for change, found in [
        ("cache.set('k', 'b', tags=['t'])", "b"),
        ("cache.delete_tags('t')", None),
        ("cache.set('k', 1)", 1),
        ("cache.incr('k')", 2),
        ("cache.delete('k')", None),
    ]:
        assert [near.get("k") for _ in range(100)]
        elsewhere(change)
        until(lambda: near.get("k") == found)  # noqa: B023
    for i in range(50):
        near.set("k", i)
        assert near.get("k") == i

    async def main():
        await asyncio.gather(*(cache.set(f"a{i}", [i]) for i in range(200)))
        assert await asyncio.gather(*(cache.get(f"a{i}") for i in range(200))) == [[i] for i in range(200)]
        async with cache.lock("l", expire=60):
            elsewhere("assert cache.is_locked('l')")
            with pytest.raises(afresh.cache.LockedError):
                async with cache.lock("l", expire=60, wait=0.1):
                    pass

    asyncio.run(main())
    held = kv.hold("f")
    waiting = threading.Thread(target=elsewhere, args=("cache.cache(ttl=60, key='f')(lambda: 'theirs')()",))
    waiting.start()
    near.set("f", "mine")
    held.release()
    waiting.join(30)
    assert not waiting.is_alive() and near.get("f") == "mine"


def test_a_server_that_does_not_tell_is_refused(server):
    with pytest.raises(afresh.UnsupportedError, match="does not tell"):
        afresh.SyncCache().setup(f"{server.url}&track=no", client_side=True)
    with pytest.raises(afresh.UnsupportedError, match="does not tell"):
        afresh.SyncCache().setup("mysql://nobody@127.0.0.1:1/none", client_side=True)
    with pytest.raises(afresh.UnsupportedError, match="does not tell"):
        afresh.SyncCache().setup("mongodb://127.0.0.1:1/none", client_side=True)


def test_a_server_that_is_away_costs_no_value(server, said):
    cache = cache_on(server)
    server.kill()

    @cache.cache(ttl=60, key="f")
    async def f():
        return 7

    async def main():
        assert [await f(), await f()] == [7, 7] and await cache.get("k") is None
        assert not await cache.set("k", 1)
        with pytest.raises(afresh.UnavailableError):
            await cache.delete("k")

    with said:
        asyncio.run(main())
    assert any("cannot be" in text for text in said), said
