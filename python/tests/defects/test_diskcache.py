"""Weak points of diskcache, one test each. That a pickle in the folder is executed: see test_joblib.py."""

from __future__ import annotations

import os
import pathlib
import signal
import time

import pytest

import afresh


def test_equal_arguments_are_one_call(store, runs):
    """Keys are pickles: equal tuples can differ, and the order of a dict matters."""
    f = afresh.memo(lambda x, **rest: runs.mark(), store=store)
    part = "ab" * 3
    f((part, part)), f(("ababab", "".join(["aba", "bab"])))
    assert runs.count == 1
    f({"a": 1, "b": 2}), f({"b": 2, "a": 1})
    assert runs.count == 2


def test_a_key_is_as_long_as_its_digest(store):
    """Keys are the arguments themselves: a megabyte of argument is two in the database, a gigabyte an error."""
    f = afresh.memo(lambda data: len(data), store=store)
    for n in range(20):
        assert f(bytes([n]) * (1 << 20)) == 1 << 20
    assert sum(file.stat().st_size for file in pathlib.Path(store).rglob("*") if file.is_file()) < 4 << 20
    cache = afresh.SyncCache()
    cache.setup(store)
    cache.set("k" * 1_000_000, 1)
    assert cache.get("k" * 1_000_000) == 1


def test_code_is_part_of_what_is_remembered(project):
    """``memoize`` ignores the code of the function."""
    project.write("def f(x): return x + 1")
    assert project.call() == ["2", "ran"]
    project.write("def f(x): return x + 2")
    assert project.call() == ["3", "ran"]


@pytest.mark.filterwarnings("ignore:.*is made within another function")
def test_lambdas_and_closures_do_not_answer_for_each_other(cache):
    """The name is module and qualified name, so lambdas and closures collide: wrong values."""

    def make(n):
        return cache.sync.cache(ttl=60)(lambda x: x + n)

    one, other = make(1), make(2)
    assert (one(1), other(1), one(1)) == (2, 3, 2)
    a, b = cache.sync.cache(ttl=60)(lambda x: x * 3), cache.sync.cache(ttl=60)(lambda x: x * 4)
    assert (a(1), b(1), a(1)) == (3, 4, 3)


@pytest.mark.parametrize("how", ["cache.cache(ttl=60, lock=True)", "afresh.memo(store='store')"])
def test_of_eight_processes_one_computes(eight_at_once, how):
    """``memoize`` and ``memoize_stampede``: 8 of 8 processes compute a cold key."""
    assert eight_at_once(how) == 1


def test_a_lock_of_a_killed_owner_ends(store, apart):
    """The lock of a killed owner blocks for ever unless an end was given."""
    script = apart.write(
        "work.py",
        """
        import os, afresh
        cache = afresh.SyncCache()
        cache.setup("store")
        try:
            cache.lock("l", None)
        except afresh.ConfigError:
            cache.lock("l", 0.5).__enter__()
        os.kill(os.getpid(), 9)
        """,
    )
    assert apart.start(str(script)).wait(60) == -signal.SIGKILL
    cache = afresh.SyncCache()
    cache.setup(store)
    with cache.lock("l", 60, wait=10):
        pass


def test_a_full_cache_is_full_and_not_empty():
    """Ten are culled at a time, after each insertion: a cache of 10 MB filled with values of 1 MB ends empty."""
    cache = afresh.SyncCache()
    cache.setup("memory:", size="10MB")
    for n in range(40):
        assert cache.set(f"k{n}", os.urandom(1_000_000))
    assert 7 <= cache.get_keys_count() <= 10


def test_a_value_that_is_too_large_says_so():
    """Values above a share of the size are computed again each time, silently."""
    cache = afresh.SyncCache()
    cache.setup("memory:", size="1MB")
    assert cache.set("k", os.urandom(2_000_000)) is False and not cache.exists("k")


def test_no_write_is_lost_to_a_time_limit(store, at_once):
    """With shards 0.01 % of the writes are lost to timeouts, silently."""
    cache = afresh.SyncCache()
    cache.setup(store)
    at_once(8, lambda t: [cache.set(f"{t}:{n}", n) for n in range(100)])
    assert cache.get_keys_count() == 800


def test_a_database_that_is_in_use_is_waited_for(store, apart):
    """ "Database is locked" is an error of the caller's."""
    cache = afresh.SyncCache()
    cache.setup(store)
    cache.set("k", 1)
    script = apart.write(
        "hold.py",
        """
        import glob, sqlite3, sys, time
        for path in glob.glob("store/*"):
            try:
                db = sqlite3.connect(path, isolation_level=None)
                db.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.DatabaseError:
                continue
        open("held", "w").close()
        time.sleep(1)
        """,
    )
    apart.start(str(script))
    while not (apart.folder / "held").exists():
        time.sleep(0.01)
    assert cache.set("k", 2) is True and cache.get("k") == 2
