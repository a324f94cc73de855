"""How fresh is fresh: old answers served while one caller makes new ones, for need, for a while, or not at all.

Where a defect of another library is meant, the test says which: its name in `peers` and the number there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

import afresh
from afresh import background


def until(condition, seconds=10.0):
    """Waits for something that happens in the background."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


class Source:
    """What a remembered function asks: says what it is told to, and counts."""

    def __init__(self, value="old"):
        self.value = value
        self.asked = 0
        self.pause = 0.0

    def __call__(self):
        self.asked += 1
        time.sleep(self.pause)
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def ask(source, store):
    """A remembered function of the source, by name, so that the source may change."""

    def make(**options):
        @afresh.memo(store=store, mode="name", name="ask", **options)
        def ask(key="k"):
            return source()

        return ask

    return make


# -- stale while revalidate ----------------------------------------------------------------------


def test_a_stale_answer_is_served_while_it_is_refreshed(ask, source):
    f = ask(ttl=0.15, stale=60)
    assert f() == "old" == f()
    time.sleep(0.2)
    source.value, source.pause = "new", 2
    started = time.perf_counter()
    assert [f() for _ in range(50)] == ["old"] * 50
    assert time.perf_counter() - started < 1.5, "nobody waits for the refresh"
    until(lambda: f.stats().refreshes == 1)
    assert f() == "new" and source.asked == 2
    stats = f.stats()
    assert stats.stale == 50 and stats.misses == 1


def test_past_its_grace_a_stale_answer_is_computed_in_the_foreground(ask, source):
    f = ask(ttl=0.1, stale=0.1)
    f()
    time.sleep(0.25)
    source.value = "new"
    assert f() == "new" and f.stats().refreshes == 0


def test_next_time_whatever_the_age(ask, source):
    """cachier: `next_time=True`."""
    f = ask(ttl=0.05, stale=True)
    f()
    time.sleep(0.1)
    source.value = "new"
    assert f() == "old"
    until(lambda: f() == "new")


def test_in_sync_code_too_a_stale_answer_is_refreshed(ask, source):
    """cachetta 1.1: in sync code a stale value is served until its window ends, and never refreshed."""
    f = ask(ttl=0.1, stale=60)
    f()
    time.sleep(0.15)
    f()
    until(lambda: source.asked == 2)


def test_a_refresh_that_fails_is_logged_and_counted_and_the_old_answer_stays(ask, source, caplog, client):
    """cachier: errors of background recomputation are swallowed."""
    f = ask(ttl=0.1, stale=60)
    f()
    time.sleep(0.15)
    source.value = OSError("down")
    with caplog.at_level(logging.WARNING, "afresh"):
        assert f() == "old"
        until(lambda: f.stats().errors == 1)
        until(lambda: caplog.records)
    assert "could not be refreshed: down" in caplog.text and "Traceback" in caplog.text
    assert [f() for _ in range(20)] == ["old"] * 20
    assert source.asked == 2, "a source that is down is not asked again at once"
    assert client.log(status="failed")[0].error == "OSError: down"


def test_a_refresh_that_fails_does_not_become_the_answer(ask, source):
    f = ask(ttl=0.1, stale=60, negative={OSError: 60})
    f()
    time.sleep(0.15)
    source.value = OSError("down")
    f()
    until(lambda: f.stats().errors == 1)
    assert f() == "old"


def test_a_refreshed_value_that_is_not_worth_keeping_leaves_the_old_one(ask, source, client):
    """cachetta 1.1: the condition gates what is refreshed in the background too."""
    f = ask(ttl=0.1, stale=60, when=lambda found: found != "busy")
    f()
    time.sleep(0.15)
    source.value = "busy"
    assert f() == "old"
    until(lambda: len(client.log()) == 2)
    assert [f() for _ in range(20)] == ["old"] * 20
    time.sleep(0.05)
    assert source.asked == 2, "nor is it asked again at once"


def test_arguments_that_change_meanwhile_are_not_kept_under_their_old_key(store):
    total = {"delay": 0.0}

    @afresh.memo(store=store, mode="name", name="total", ttl=0.1, stale=60)
    def f(numbers):
        time.sleep(total["delay"])
        return sum(numbers)

    numbers = [1, 2]
    assert f(numbers) == 3
    time.sleep(0.15)
    total["delay"] = 0.2
    assert f(numbers) == 3
    numbers.append(100)
    time.sleep(0.5)
    assert f([1, 2]) == 3


def test_the_pool_is_bounded_and_its_threads_end(store, monkeypatch):
    monkeypatch.setattr(background, "IDLE", 0.2)
    release, running, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    @afresh.memo(store=store, mode="name", name="slow", ttl=0.01, stale=60)
    def f(x):
        if release.is_set() or x < 0:
            return x
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        if threading.current_thread().name == "afresh refresh":
            release.wait(10)
        with lock:
            running[0] -= 1
        return x

    for n in range(20):
        f(n)
    time.sleep(0.05)
    for n in range(20):
        assert f(n) == n
    until(lambda: running[0] == background.WORKERS)
    assert most[0] <= background.WORKERS
    release.set()
    until(lambda: f.stats().refreshes == 20)
    until(lambda: not any(t.name == "afresh refresh" for t in threading.enumerate()))


def test_a_running_refresh_does_not_keep_the_process_from_exiting(apart):
    started = time.monotonic()
    text = apart("""
        import time, afresh
        @afresh.memo(store="store", mode="name", ttl=0.05, stale=60)
        def f(first=[True]):
            if not FIRST: time.sleep(600)
            return 1
        FIRST = True
        f(); FIRST = False; time.sleep(.1)
        print(f()); time.sleep(.1)
        print("bye")
    """)
    assert text.split() == ["1", "bye"] and time.monotonic() - started < 30


def test_a_forked_child_refreshes_by_itself(apart):
    text = apart("""
        import os, time, afresh
        @afresh.memo(store="store", mode="name", ttl=0.05, stale=60)
        def f():
            return time.time()
        def until_new(old):
            end = time.time() + 10
            while f() == old and time.time() < end: time.sleep(.01)
            return f() != old
        old = f(); time.sleep(.1)
        assert until_new(old)
        old = f(); time.sleep(.1)
        pid = os.fork()
        if pid == 0:
            print("child", until_new(old), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        old = f(); time.sleep(.1)
        print("parent", until_new(old))
    """)
    assert text.split() == ["child", "True", "parent", "True"]


def test_of_four_processes_one_refreshes_and_all_are_served(apart, runs):
    apart.write(
        "job.py",
        f"""
        import os, sys, time, afresh
        @afresh.memo(store="store", mode="name", name="f", ttl=1.0, stale=600)
        def f():
            open({runs.path!r}, "a").write("x")
            if "first" not in sys.argv: time.sleep(1.0)
            return os.getpid()
        if "first" in sys.argv:
            print(f())
        else:
            while not os.path.exists("go"): time.sleep(.002)
            took, seen, end = [], set(), time.time() + 0.7
            while time.time() < end:
                t = time.perf_counter(); seen.add(f()); took.append(time.perf_counter() - t)
                time.sleep(.0005)
            took.sort()
            deadline = time.time() + 20
            while f() in seen and time.time() < deadline: time.sleep(.01)
            print(len(seen), len(took), took[len(took) // 2] * 1e6, took[int(len(took) * .99)] * 1e6, f())
        """,
    )
    first = apart.run("job.py", "first").stdout.strip()
    assert runs.count == 1
    children = [apart.start("job.py") for _ in range(4)]
    time.sleep(1.2)
    # Fresh for a second after the refresh, in which all of them are done.
    apart.write("go", "")
    rows = [child.communicate(timeout=60)[0].split() for child in children]
    print("\nfour processes, stale answer while one refreshes: (calls, median us, p99 us)", [row[1:4] for row in rows])
    assert [row[0] for row in rows] == ["1"] * 4, "while it is refreshed all are given the old answer"
    new = {row[4] for row in rows}
    assert len(new) == 1 and first not in new
    assert runs.count == 2, "exactly one refresh"


def test_coroutine_functions_are_refreshed_in_a_task(store):
    calls = []

    @afresh.memo(store=store, mode="name", name="f", ttl=0.1, stale=60)
    async def f():
        calls.append(1)
        if len(calls) == 3:
            raise OSError("down")
        await asyncio.sleep(1 if len(calls) == 2 else 0)
        return len(calls)

    async def main():
        assert await f() == 1
        await asyncio.sleep(0.15)
        started = time.perf_counter()
        assert await asyncio.gather(*(f() for _ in range(20))) == [1] * 20
        assert time.perf_counter() - started < 0.9, "nobody waits for the refresh"
        await asyncio.sleep(1.1)
        assert await f() == 2 and f.stats().refreshes == 1
        await asyncio.sleep(0.15)
        assert await f() == 2
        await asyncio.sleep(0.05)
        assert f.stats().errors == 1 and await f() == 2

    asyncio.run(main())
    assert len(calls) == 3


def test_a_loop_that_ends_lets_go_of_its_refreshes(store):
    slow = [False]

    @afresh.memo(store=store, mode="name", name="f", ttl=0.05, stale=60)
    async def f():
        if slow[0]:
            await asyncio.sleep(600)
        return time.time()

    old = asyncio.run(f())
    time.sleep(0.1)
    slow[0] = True
    assert asyncio.run(f()) == old
    slow[0] = False

    async def renewed():
        while await f() == old:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(renewed(), 10))


# -- early, worn, soft ---------------------------------------------------------------------------


def test_an_answer_is_renewed_before_its_end(ask, source):
    f = ask(ttl=60, early=59.9)
    f()
    time.sleep(0.15)
    source.value = "new"
    assert f() == "old" and f.stats().stale == 0
    until(lambda: f() == "new")


def test_xfetch_renews_what_is_dear_and_close_to_its_end(ask, source):
    source.pause = 0.4
    f = ask(ttl=3, early="xfetch")
    f()
    source.value = "new"
    until(lambda: f() == "old" and source.asked == 2)
    until(lambda: f.stats().refreshes == 1)
    assert f() == "new" and f.stats().misses == 1, "nobody waited for it"


def test_an_answer_is_renewed_after_so_many_uses(ask, source):
    f = ask(refresh_after=3)
    f()
    source.value = "new"
    assert [f() for _ in range(4)] == ["old"] * 4
    until(lambda: f.stats().refreshes == 1)
    assert f() == "new" and source.asked == 2


def test_past_its_soft_ttl_the_old_answer_is_for_need(ask, source, said):
    f = ask(ttl=0.6, soft=0.1)
    f()
    time.sleep(0.15)
    source.value = OSError("down")
    with said:
        assert f() == "old" == f()
    assert len(said) == 1 and "stands in" in said[0]
    assert source.asked == 3 and f.stats().rescues == 2 and f.stats().errors == 2
    time.sleep(0.5)
    with pytest.raises(OSError, match="down"):
        f()
    source.value = "new"
    assert f() == "new"


@pytest.mark.filterwarnings("ignore::afresh.CacheWarning")
def test_failover_for_the_exceptions_it_names(ask, source):
    f = ask(ttl=0.05, failover=(OSError, KeyError))
    f()
    time.sleep(0.1)
    source.value = ConnectionError("a kind of OSError")
    assert f() == "old"
    source.value = ValueError("another")
    with pytest.raises(ValueError):
        f()
    with pytest.raises(ValueError):
        f.with_options(max_age=0.05)()
    source.value = OSError("down")
    with pytest.raises(OSError):
        f.with_options(max_age=0.05)()
    chosen = ask(ttl=0.05, failover=lambda error: "down" in str(error))
    assert chosen() == "old"
    source.value = OSError("up")
    with pytest.raises(OSError):
        chosen()


@pytest.mark.filterwarnings("ignore::afresh.CacheWarning")
def test_failover_of_coroutine_functions_and_of_submitted_calls(store, source):
    @afresh.memo(store=store, mode="name", name="f", ttl=0.05, failover=True)
    async def f():
        return source()

    @afresh.memo(store=store, mode="name", name="g", ttl=0.05, failover=True)
    def g():
        return source()

    async def main():
        assert await f() == "old"
        await asyncio.sleep(0.1)
        source.value = OSError("down")
        assert await f() == "old"

    g()
    asyncio.run(main())
    assert g.submit().load() == "old"


def test_with_nothing_to_fall_back_on_the_failure_is_the_callers(ask, source):
    source.value = OSError("down")
    with pytest.raises(OSError, match="down"):
        ask(ttl=1, failover=OSError)()


# -- failures that are remembered ----------------------------------------------------------------


class Gone(LookupError):
    def __init__(self, key, code=404):
        super().__init__(f"no {key}")
        self.key = key
        self.code = code


def test_a_failure_is_replayed_for_as_long_as_it_says(ask, source):
    f = ask(negative={LookupError: 0.3}, ttl=60)
    source.value = Gone("user", 410)
    for _ in range(3):
        with pytest.raises(Gone, match="^no user$") as raised:
            f()
        assert (raised.value.key, raised.value.code, raised.value.args) == ("user", 410, ("no user",))
    assert source.asked == 1
    stats = f.stats()
    assert (stats.misses, stats.replays, stats.errors) == (1, 2, 1)
    assert not f.cached() and f.peek() is None and "raised again" in str(f.why())
    time.sleep(0.35)
    source.value = "there now"
    assert f() == "there now"


def test_a_replayed_failure_is_marked_in_the_log_and_can_be_taken_back(ask, source, client):
    f = ask(negative={KeyError: "1h"})
    source.value = KeyError("k")
    with pytest.raises(KeyError):
        f()
    (commit,) = client.log(tags="negative")
    assert commit.status == "failed" and commit.ttl == 3600
    with pytest.raises(afresh.TaskError) as raised:
        f.submit()
    assert raised.value.commit_hash == commit.hash
    assert client.verify() == []
    assert client.invalidate(tags="negative") == 1
    source.value = "there"
    assert f() == "there"


def test_other_failures_are_not_replayed(ask, source):
    f = ask(negative={KeyError: 60})
    source.value = OSError("down")
    for _ in range(2):
        with pytest.raises(OSError, match="down"):
            f()
    assert source.asked == 2


@pytest.mark.parametrize("codec", ["json", "safe-pickle", "pickle"])
def test_failures_through_every_codec(store, codec):
    calls = []

    @afresh.memo(store=store, codec=codec, negative={ValueError: 60}, mode="name", name=codec)
    def f(x):
        calls.append(x)
        raise ValueError("bad", x)

    for _ in range(2):
        with pytest.raises(ValueError) as raised:
            f(3)
        assert raised.value.args == ("bad", 3)
    assert calls == [3]


def test_a_failure_is_replayed_to_other_processes_and_coroutines(apart, runs):
    apart.write(
        "job.py",
        f"""
        import asyncio, afresh
        @afresh.memo(store="store", negative={{KeyError: 60}})
        async def f():
            open({runs.path!r}, "a").write("x")
            raise KeyError("k")
        for _ in range(2):
            try: asyncio.run(f())
            except KeyError as error: print(error.args)
        """,
    )
    for _ in range(2):
        assert apart.run("job.py").stdout.split() == ["('k',)"] * 2
    assert runs.count == 1


# -- how long, and for whom ----------------------------------------------------------------------


def test_ttl_as_a_function_of_the_result_and_of_the_arguments(store, runs):
    @afresh.memo(store=store, ttl=lambda found: "1h" if found else 0.1)
    def f(x):
        runs.mark()
        return x

    @afresh.memo(store=store, ttl=lambda found, x, *, brief=False: timedelta(milliseconds=100) if brief else None)
    def g(x, *, brief=False):
        runs.mark()
        return x

    for _ in range(2):
        f(1), f(0), g(1), g(1, brief=True)
    assert runs.count == 4
    time.sleep(0.15)
    f(1), g(1)
    assert runs.count == 4
    f(0), g(1, brief=True)
    assert runs.count == 6
    log = afresh.Client(store).log()
    assert {commit.ttl for commit in log} == {3600.0, 0.1, None}


def test_when_may_look_at_the_arguments(store, runs):
    @afresh.memo(store=store, when=lambda found, x, keep: keep)
    def f(x, keep):
        runs.mark()
        return x

    for _ in range(2):
        f(1, True), f(1, keep=False)
    assert runs.count == 3


def test_max_age_of_one_call(ask, source):
    """cachier: `max_age=` of a call, the strictest of it and the function's own."""
    f = ask(ttl=60, stale=60)
    f()
    time.sleep(0.1)
    source.value = "new"
    assert f.with_options(max_age=60)() == "old"
    assert f.options(max_age=0.05)() == "new" == f()


def test_a_ttl_for_one_call_replaces_what_goes_with_the_ttl(ask, source):
    f = ask(ttl=60, stale=60, early=1)
    f()
    source.value = "new"
    assert f.options(ttl=0)() == "new"


def test_sliding_lives_by_being_used(ask, source, store):
    f = ask(ttl=0.4, sliding=True)
    f()
    source.value = "new"
    for _ in range(12):
        time.sleep(0.1)
        assert f() == "old"
    assert afresh.Client(store).gc() == 0, "nothing of it is expired for gc"
    time.sleep(0.5)
    assert f() == "new"


def test_stored_none_is_an_answer(store, runs):
    """cachetta 1.1: a stored None counts as a miss; cachier: None is not kept."""

    @afresh.memo(store=store)
    def f():
        runs.mark()

    assert f() is None is f() and runs.count == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"stale": 5}, "stale without ttl"),
        ({"early": 5}, "early without ttl"),
        ({"sliding": True}, "sliding without ttl"),
        ({"soft": 5}, "soft without ttl"),
        ({"ttl": 5, "early": 5}, "early= is a span before"),
        ({"ttl": 5, "soft": 6}, "soft= is shorter"),
        ({"ttl": 5, "soft": 1, "stale": 1}, "contradict"),
        ({"ttl": 5, "sliding": True, "stale": 1}, "sliding does not go"),
        ({"ttl": len, "sliding": True}, "sliding does not go"),
        ({"stale": "5 parsecs", "ttl": 5}, "ms, s, m, h, d, w"),
        ({"early": "soon", "ttl": 5}, "ms, s, m, h, d, w"),
        ({"refresh_after": -1}, "whole number"),
        ({"failover": "OSError"}, "classes of exceptions"),
        ({"failover": (OSError, 3)}, "classes of exceptions"),
        ({"failover": KeyboardInterrupt}, "classes of exceptions"),
        ({"negative": OSError}, "how long they last"),
        ({"negative": {OSError: None}}, "how long they last"),
        ({"negative": {"OSError": 5}}, "how long they last"),
        ({"negative": {OSError: -5}}, "not negative"),
        ({"max_age": -1}, "not negative"),
        ({"sliding": "yes", "ttl": 5}, "True or False"),
        ({"ttl": 5, "stale": 5, "track": "files"}, "track and stale"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_the_decorator(options, says, store):
    """cachetta 1.1: no validation at construction."""
    with pytest.raises(afresh.ConfigError, match=says):
        afresh.memo(store=store, **options)(lambda: 1)


def test_an_answer_of_a_tracked_function_is_never_served_stale(store, runs, tmp_path, monkeypatch):
    """Nor that of a function that calls one; by the defaults of the process neither."""
    monkeypatch.setenv("COLOUR", "red")

    @afresh.memo(store=store, track="env")
    def tracked():
        runs.mark()
        return os.environ["COLOUR"]

    @afresh.memo(store=store, ttl=0.1, stale=True)
    def outer():
        runs.mark()
        return tracked()

    try:
        afresh.configure(ttl=0.1, stale=True)
        assert [outer(), tracked(), outer()] == ["red"] * 3 and runs.count == 2
        time.sleep(0.15)
        monkeypatch.setenv("COLOUR", "blue")
        assert [tracked(), outer()] == ["blue"] * 2
    finally:
        afresh.configure(reset=True)


# -- many at once --------------------------------------------------------------------------------


def test_a_thousand_awaits_on_one_cold_key_run_once(store):
    """cashews T14: hit, dynamic, failover and get_or_set let all of them run. cachier: the async path does not wait for
    a running computation.
    """
    count, pause = [0], 0.25

    @afresh.memo(store=store, mode="name", name="cold", ttl=60, stale=60, failover=True)
    async def f():
        count[0] += 1
        await asyncio.sleep(pause)
        return "value"

    async def main():
        started = time.perf_counter()
        assert await asyncio.gather(*(f() for _ in range(1000))) == ["value"] * 1000
        return time.perf_counter() - started

    took = asyncio.run(main())
    print(f"\n1000 awaits on a cold key of a {pause:g} s function: {took:.3f} s, {took / pause:.2f} times")
    assert count == [1]


def test_64_threads_on_one_cold_key_run_once(store):
    """cachetta 1.1: threads and processes are not deduplicated."""
    count, pause, got = [0], 0.25, []

    @afresh.memo(store=store, mode="name", name="cold")
    def f():
        count[0] += 1
        time.sleep(pause)
        return "value"

    threads = [threading.Thread(target=lambda: got.append(f())) for _ in range(64)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - started
    print(f"\n64 threads on a cold key of a {pause:g} s function: {took:.3f} s, {took / pause:.2f} times")
    assert count == [1] and got == ["value"] * 64


def test_a_thousand_hits_at_once(store):
    """cashews T17: a hit costs a round of the loop, so that it waits for every task that is ready."""

    @afresh.memo(store=store)
    async def f():
        return 1

    async def main():
        await f(), await f()
        turns = 0

        async def other():
            nonlocal turns
            for _ in range(1000):
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        started = time.perf_counter()
        for _ in range(1000):
            await f()
        took = time.perf_counter() - started
        seen = turns
        await task
        return seen, took

    turns, took = asyncio.run(main())
    print(f"\n1000 hits awaited: {took * 1e6:.0f} ns each")
    assert turns == 0, "a hit is answered without giving the loop away"


def test_one_that_is_cancelled_cancels_nobody_else(store):
    """cashews T2: one cancelled client cancels everybody."""

    @afresh.memo(store=store, mode="name", name="f")
    async def f():
        await asyncio.sleep(0.2)
        return 1

    async def main():
        tasks = [asyncio.ensure_future(f()) for _ in range(5)]
        await asyncio.sleep(0.05)
        tasks[3].cancel()
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(main())
    assert isinstance(found[0], asyncio.CancelledError) and isinstance(found[3], asyncio.CancelledError)
    assert [found[1], found[2], found[4]] == [1, 1, 1]


def test_several_loops_in_threads_share_one_run(store, runs):
    """cashews T21: threads with loops of their own break the shared task dictionary."""

    @afresh.memo(store=store)
    async def f():
        runs.mark()
        await asyncio.sleep(0.2)
        return 1

    got = []
    threads = [threading.Thread(target=lambda: got.append(asyncio.run(f()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1] * 8 and runs.count == 1


def test_what_the_function_sets_is_seen_by_its_caller(store):
    """cashews T17: `protected` runs the body in another task, so that context variables are lost."""
    import contextvars

    seen = contextvars.ContextVar("seen", default=None)

    @afresh.memo(store=store)
    async def f():
        seen.set("set inside")
        return asyncio.current_task().get_name()

    async def main():
        # The run is a task of its own, which may outlive the caller's; it goes by the same name in logs.
        assert await f() == asyncio.current_task().get_name()
        return seen.get()

    assert asyncio.run(main()) == "set inside"


# -- clocks --------------------------------------------------------------------------------------

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
def test_a_clock_that_is_set_neither_freezes_nor_empties_the_cache(apart, runs):
    apart.env.update(LD_PRELOAD=str(FAKETIME), FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
    apart.env["FAKETIME_TIMESTAMP_FILE"] = str(apart.folder / "clock")
    apart.write("clock", "+0")
    apart.write(
        "job.py",
        f"""
        import sys, time, afresh
        @afresh.memo(store="store", ttl=3600)
        def f():
            open({runs.path!r}, "a").write("x")
            return time.time()
        def at(offset):
            open("clock", "w").write(offset)
            made, now = f(), time.time()
            # Never past its ttl by this clock, and what was just made is there.
            assert now - made < 3600, (offset, now - made)
            assert f() == made
            print(offset, round(made - REAL))
        REAL = time.time()
        for offset in sys.argv[1:]: at(offset)
        """,
    )
    steps = ["+0", "+2h", "+1h", "-1d", "+30d", "+0", "+31d"]
    rows = [line.split() for line in apart.run("job.py", *steps).stdout.splitlines()]
    print("\nclock set to, answer made at:", rows)
    assert [row[0] for row in rows] == steps
    # +0 and +2h run; back an hour the answer of +2h is from the future and stands; so does it at -1d; +30d runs...
    assert runs.count == 4
    again = apart.run("job.py", "+62d", "+0").stdout
    assert runs.count == 5 and len(again.splitlines()) == 2
