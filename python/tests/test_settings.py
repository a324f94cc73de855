"""What holds for a process or a block: defaults, on and off, what was hit, and why something was missed."""

from __future__ import annotations

import asyncio
import threading

import pytest

import afresh


@pytest.fixture(autouse=True)
def _as_before():
    yield
    afresh.enable()
    afresh.configure(reset=True)


@pytest.fixture
def f(store, runs):
    @afresh.memo(store=store, mode="name", name="f")
    def f(x=1):
        runs.mark()
        return x * 2

    return f


@pytest.fixture
def g(store, runs):
    @afresh.memo(store=store, mode="name", name="g")
    async def g(x=1):
        runs.mark()
        return x * 3

    return g


# -- defaults ------------------------------------------------------------------------------------


def test_defaults_act_on_what_is_decorated_already_and_decorators_beat_them(f, store, runs):
    """cachier: of the global parameters only some act on existing decorators at once."""
    lasting = f.with_options(ttl=60)
    f()
    afresh.configure(ttl=0)
    f(), f()
    assert runs.count == 3
    assert lasting() == 2 and runs.count == 3
    afresh.configure(reset=True)
    # The last answer was made to last no time at all, and says so itself.
    f(), f()
    assert runs.count == 4


def test_defaults_add_up_and_are_checked(f, client):
    afresh.configure(tags={"team": "a"})
    afresh.configure(retries=2)
    calls = []

    @client.memo
    def shaky():
        calls.append(1)
        if len(calls) < 3:
            raise OSError
        return 1

    assert shaky.with_options(backoff=0)() == 1
    assert client.log()[0].tags == {"team": "a"}
    with pytest.raises(afresh.ConfigError, match="whole number"):
        afresh.configure(retries=-1)
    with pytest.raises(TypeError, match="no option 'retry'"):
        afresh.configure(retry=1)
    with pytest.raises(afresh.ConfigError, match="verbose"):
        afresh.configure(verbose=1)
    with pytest.raises(afresh.ConfigError, match="sqlite:PATH"):
        afresh.configure(store="sqlight:x")


def test_the_store_of_the_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    afresh.configure(store="elsewhere")

    @afresh.memo
    def here():
        return 1

    assert here() == 1
    assert (tmp_path / "elsewhere").is_dir() and not (tmp_path / ".afresh").exists()


def test_generators_take_no_default_that_does_not_suit_them(store):
    afresh.configure(retries=2, ttl=60, stale=60)

    @afresh.memo(store=store)
    def stream():
        yield 1

    assert list(stream()) == [1] == list(stream()) and stream.stats().hits == 1


# -- on and off ----------------------------------------------------------------------------------


def test_off_and_on_for_the_process(f, g, runs, client):
    f(), asyncio.run(g())
    afresh.disable()
    assert [f(), f(), asyncio.run(g())] == [2, 2, 3] and runs.count == 5
    assert not f.cached() and f.peek() is None
    assert f.submit().load() == 2 and runs.count == 6
    seen = []
    thread = threading.Thread(target=lambda: seen.append(f()))
    thread.start()
    thread.join()
    assert seen == [2] and runs.count == 7, "off in every thread"
    with afresh.enabled():
        assert f() == 2 and runs.count == 7
    afresh.enable()
    assert f() == 2 and runs.count == 7
    assert len(client.log()) == 2, "nothing was recorded meanwhile"


def test_off_in_another_task_is_off_everywhere(f, runs):
    """cashews T20: `disable` in a task of its own has no effect on requests."""
    f()

    async def switch():
        afresh.disable()

    async def main():
        await asyncio.create_task(switch())
        return f()

    assert asyncio.run(main()) == 2 and runs.count == 2


def test_off_for_a_block_and_for_nobody_else(f, g, runs):
    f(), asyncio.run(g())
    inside, go_on = threading.Event(), threading.Event()

    def body():
        with afresh.disabled():
            f()
            inside.set()
            go_on.wait(10)

    thread = threading.Thread(target=body)
    thread.start()
    inside.wait(10)
    assert runs.count == 3
    assert f() == 2 and runs.count == 3, "this thread is not in the block"
    go_on.set()
    thread.join()

    async def main():
        with afresh.disabled():
            await g()
            with afresh.enabled():
                await g()
            await g()
        return await g()

    assert asyncio.run(main()) == 3 and runs.count == 5


def test_off_does_not_touch_the_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    afresh.disable()

    @afresh.memo
    def here():
        return 1

    assert here() == 1 and list(tmp_path.iterdir()) == []


def test_functions_that_call_each_other_and_raise_when_off(store):
    @afresh.memo(store=store)
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    @afresh.memo(store=store, failover=True)
    def fail(x):
        raise KeyError(x)

    with afresh.disabled():
        assert fib(10) == 55
        with pytest.raises(KeyError):
            fail(1)
        with pytest.raises(TypeError, match="argument"):
            fib()


# -- detect --------------------------------------------------------------------------------------


def test_detect_tells_hits_from_misses(f, g):
    f()
    with afresh.detect() as calls:
        f(), f(2), asyncio.run(g()), asyncio.run(g())
    assert [(seen.name, seen.kind) for seen in calls] == [("f", "hit"), ("f", "miss"), ("g", "miss"), ("g", "hit")]
    assert (calls.hits, calls.misses, len(calls)) == (2, 2, 4)
    assert calls[0].key == f.key() and "2 hits" in repr(calls)
    f()
    assert len(calls) == 4, "what comes after the block is not told"


def test_detect_nests_and_is_for_its_own_block(f):
    """cashews 1.9: detectors are global to the process."""
    f()
    others = []

    def elsewhere():
        with afresh.detect() as there:
            f()
        others.append(len(there))

    with afresh.detect() as outer:
        f()
        with afresh.detect() as inner:
            f()
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert (len(outer), len(inner), others) == (2, 1, [1])


def test_detect_knows_stale_and_replayed_and_uncached(store):
    @afresh.memo(store=store, mode="name", ttl=0, stale=True)
    def old():
        return 1

    @afresh.memo(store=store, negative={KeyError: 60})
    def fail():
        raise KeyError("k")

    @afresh.memo(store=store)
    def odd(x):
        return 1

    old()
    with afresh.detect() as calls, pytest.warns(afresh.CacheWarning):
        old()
        for _ in range(2):
            with pytest.raises(KeyError):
                fail()
        odd(n for n in [1])
    assert [seen.kind for seen in calls] == ["stale", "miss", "replay", "uncached"]


# -- stats ---------------------------------------------------------------------------------------


def test_stats_count_what_this_process_did(f, runs):
    assert f.stats() == afresh.Usage(0, 0, 0, 0, 0, 0, 0, 0.0)
    for n in (1, 1, 1, 2):
        f(n)
    f.with_options(force=True)(1)
    with afresh.detect():
        f(1)
    stats = f.stats()
    assert (stats.hits, stats.misses, stats.errors) == (3, 3, 0) and stats.saved >= 0
    assert f.with_options(ttl=5).stats() == stats, "the same function with other options"


def test_stats_say_what_was_saved(store):
    import time

    @afresh.memo(store=store)
    def slow():
        time.sleep(0.05)
        return 1

    for _ in range(5):
        slow()
    assert 0.2 <= slow.stats().saved < 2


# -- verbose -------------------------------------------------------------------------------------


def test_verbose_says_why_on_each_miss(f, caplog):
    afresh.configure(verbose=True)
    with caplog.at_level("INFO", "afresh"):
        f(), f(), f(2), f.with_options(force=True)()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert "f: miss: never computed" in lines[0]
    assert "x" in lines[1] and "1 → 2" in lines[1]
    assert "force=True" in lines[2]


def test_verbose_from_the_environment_goes_to_standard_error(apart):
    apart.env["AFRESH_VERBOSE"] = "1"
    apart.write(
        "job.py",
        """
        import afresh
        @afresh.memo(store="store")
        def f(x):
            return x
        f(1); f(1)
        """,
    )
    done = apart.run("job.py")
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("afresh: job.f: miss: never computed")
    assert apart.run("job.py").stderr == ""
