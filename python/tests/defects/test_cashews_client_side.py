"""What goes wrong with the client-side caching of cashews (T1, T8), over a store that processes share."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
import time

import pytest

import afresh
from afresh.cache import UNLIMITED

WORKER = """
    import sys, afresh
    cache = afresh.SyncCache()
    cache.setup("store", client_side=sys.argv[1] == "near")
    for line in sys.stdin:
        print(repr(eval(line)), flush=True)
    """


class Other:
    """A cache over the same store in another process, told what to do line by line."""

    def __init__(self, apart, near: bool) -> None:
        script = apart.write("other.py", WORKER)
        self.child = apart.start(str(script), "near" if near else "far", stdin=-1)

    def __call__(self, text: str) -> object:
        self.child.stdin.write(text + "\n")
        self.child.stdin.flush()
        return eval(self.child.stdout.readline())


@pytest.fixture
def cache(store):
    cache = afresh.SyncCache()
    cache.setup(store, client_side=True)
    return cache


@pytest.fixture(params=["near", "far"])
def other(apart, request):
    """Another process, with a tier of its own or without one."""
    return Other(apart, request.param == "near")


@pytest.mark.parametrize("form", ["{}", "[{}]", "'{}'"])
def test_t01_what_another_process_sets_is_seen_at_the_next_look(cache, other, form):
    """With redis-py 8 an invalidation never arrives, and the old value has no end."""
    for round in range(50):
        text = form.format(round)
        assert other(f"cache.set('k', {text})") is True
        assert cache.get("k") == eval(text) == cache.get("k")
        assert cache.set("k", [round, "ours"]) is True
        assert other("cache.get('k')") == [round, "ours"] == other("cache.get('k')")


def test_t01_every_command_of_another_process_is_seen_at_the_next_look(cache, other):
    """The same for whatever changes a value: deleting, counting, an end, a tag, a pattern, a set."""
    changes = [
        ("cache.delete('k')", None),
        ("cache.delete_match('k*')", None),
        ("cache.delete_tags('t')", None),
        ("cache.clear()", None),
        ("cache.set('k', [2], exist=True)", [2]),
        ("cache.set('k', [3], expire=0)", None),
    ]
    for change, then in changes:
        cache.set("k", [1], tags=["t"])
        assert cache.get("k") == [1] == cache.get("k")
        other(change)
        assert cache.get("k") == then, change
    cache.set("n", 1)
    for count in range(2, 20):
        assert other("cache.incr('n')") == count == cache.get("n")
    other("cache.set_add('s', 'a')")
    assert cache.get("s") == {"a"}
    other("cache.set_add('s', 'b')"), other("cache.incr_bits('b', 3)")
    assert (cache.get("s"), cache.get_bits("b", 3)) == ({"a", "b"}, (1,))
    other("cache.incr_bits('b', 4)"), other("cache.expire('s', 100)")
    assert cache.get_bits("b", 3, 4) == (1, 1) and 90 < cache.get_expire("s") <= 100


def test_t01_clearing_the_whole_store_is_seen(cache, store):
    """Also what does not go through a cache."""
    cache.set("k", [1])
    assert cache.get("k") == [1]
    afresh.Client(store).clear()
    assert cache.get("k", "absent") == "absent"


def test_t08_two_who_write_at_once_agree_afterwards(cache, apart, store):
    """A process swallows its own invalidations for 5 s: of 400 keys that two write at the same moment 10 to 29 % stay stale in
    one of them."""
    script = apart.write(
        "work.py",
        """
        import os, sys, time, afresh
        cache = afresh.SyncCache()
        cache.setup("store", client_side=True)
        for n in range(400): cache.get(f"k{n}")
        print("ready", flush=True)
        while not os.path.exists("go"): time.sleep(0.0005)
        for n in range(400):
            cache.set(f"k{n}", [sys.argv[1], n])
            cache.get(f"k{n}")
        print("done", flush=True)
        sys.stdin.readline()
        print([cache.get(f"k{n}") for n in range(400)], flush=True)
        """,
    )
    children = [apart.start(str(script), name, stdin=-1) for name in "ab"]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    (apart.folder / "go").write_text("")
    for child in children:
        assert child.stdout.readline() == "done\n"
    seen = [eval(child.communicate("\n", timeout=60)[0]) for child in children]
    far = afresh.SyncCache()
    far.setup(store)
    there = [far.get(f"k{n}") for n in range(400)]
    assert seen == [there, there] and len({name for name, _ in there}) >= 1


def test_t08_a_set_that_is_refused_changes_no_copy(cache, other):
    """``set(exist=False)`` that redis refuses still overwrites the local copy."""
    other("cache.set('k', 'old')")
    assert cache.get("k") == "old"
    assert cache.set("k", "new", exist=False) is False
    assert (cache.get("k"), other("cache.get('k')")) == ("old", "old")


def test_t08_an_overwritten_value_has_its_new_end(cache, other):
    """The local copy keeps the old lifetime: ``get_expire`` is 100 in one process and -1 in the other."""
    cache.set("k", [1], expire=100)
    assert 99 < cache.get_expire("k") <= 100
    cache.set("k", [2])
    assert cache.get_expire("k") == other("cache.get_expire('k')") == UNLIMITED
    other("cache.set('k', [3], expire=50)")
    assert 49 < cache.get_expire("k") <= 50


def test_t08_every_command_is_about_the_same_key(cache, other):
    """``get_raw``, sets, bits and slices are not prefixed: ``get_raw`` of a value finds nothing."""
    cache.set("k", ["value"])
    cache.set_raw("r", b"raw")
    cache.set_add("s", "a")
    cache.slice_incr("m", 0, 1, 5)
    cache.incr_bits("b", 2)
    assert b"value" in other("cache.get_raw('k')")
    assert (other("cache.get_raw('r')"), other("cache.get('s')"), other("cache.get('m')")) == (b"raw", {"a"}, [1.0])
    assert (other("cache.get_bits('b', 2)"), sorted(other("list(cache.scan('*'))"))) == ((1,), ["b", "k", "m", "r", "s"])


def test_t08_a_value_ends_in_the_copy_too(cache, other):
    """Misses are kept as "known absent" without an end, values without theirs."""
    assert cache.get("k") is None
    other("cache.set('k', [1], expire=0.1)")
    assert cache.get("k") == [1]
    end = time.monotonic() + 5
    while cache.get("k") is not None:
        assert time.monotonic() < end
        time.sleep(0.005)
    assert other("cache.get('k')") is None
    other("cache.set('k', [2])")
    assert cache.get("k") == [2]


def test_a_tag_is_taken_back_in_every_copy(cache, other):
    """Tag invalidation "ran successfully" while stale entries lived out their time in the copies."""
    for round in range(20):
        cache.set("k", [round], tags=["t", "u"])
        assert cache.get("k") == [round] == cache.get("k")
        other("cache.delete_tags('u')")
        assert cache.get("k") is None


def test_a_killed_writer_leaves_nothing_stale(cache, store, apart):
    """A listener that dies is never started again; here nobody listens."""
    cache.set("k", [0])
    script = apart.write(
        "work.py",
        """
        import os, afresh
        cache = afresh.SyncCache()
        cache.setup("store")
        for n in range(1, 10**9):
            cache.set("k", [n])
            print(n, flush=True)
        """,
    )
    child = apart.start(str(script))
    seen = 0
    for line in child.stdout:
        seen = int(line)
        assert cache.get("k")[0] >= seen
        if seen > 200:
            child.kill()
            break
    child.wait(10)
    far = afresh.SyncCache()
    far.setup(store)
    assert [cache.get("k") == far.get("k") for _ in range(5)] == [True] * 5
    cache.set("k", ["ours"])
    assert cache.get("k") == ["ours"]


def test_what_is_kept_is_not_asked_for_again(cache, store):
    """The point of it: a second look reads nothing from the store."""
    cache.set("k", [1], tags=["t"])
    assert cache.get("k") == [1]
    # Gone behind everybody's back, as no program does it: what is given now was not read now.
    with sqlite3.connect(os.path.join(store, "store-v2.sqlite")) as db:
        assert db.execute("DELETE FROM entry").rowcount > 0
    assert cache.get("k") == [1] == cache.get_many("k")[0]
    far = afresh.SyncCache()
    far.setup(store)
    assert far.get("k", "absent") == "absent"


def test_a_store_that_does_not_count_is_refused():
    """Client-side caching that cannot work is turned on without a word."""

    class Plain:
        def get(self, key):
            return None

        def put(self, key, value):
            pass

        def delete(self, key):
            pass

        def keys(self, prefix=""):
            return []

    with pytest.raises(afresh.UnsupportedError, match="does not tell of its changes"):
        afresh.SyncCache().setup(Plain(), client_side=True)


@pytest.mark.parametrize("near", [True, False])
def test_a_folder_that_was_removed_and_made_again_is_noticed(store, apart, near):
    """Lost connection: whether the copy is still right is decided by a listener that may be dead."""
    cache = afresh.SyncCache()
    cache.setup(store, client_side=near)
    cache.set("k", ["old"])
    assert cache.get("k") == ["old"]
    shutil.rmtree(store)
    later = Other(apart, True)
    later("cache.set('k', ['new'])")
    end = time.monotonic() + 10
    while cache.get("k") != ["new"]:
        assert time.monotonic() < end
        time.sleep(0.01)
    later("cache.set('k', ['newer'])")
    assert cache.get("k") == ["newer"] == cache.get("k")


def test_everybody_has_a_value_of_their_own(cache):
    """A value in the copy is changed by whoever changes what they got."""
    cache.set("k", {"a": [1]})
    for _ in range(3):
        got = cache.get("k")
        assert got == {"a": [1]}
        got["a"].append(2)


def test_what_is_kept_is_bounded(store):
    """Of the copy's size nothing is said but the number of its entries."""
    cache = afresh.SyncCache()
    cache.setup(store, client_side=True, size="100KB")
    for n in range(300):
        cache.set(f"k{n}", os.urandom(1000))
    for _ in range(2):
        assert all(cache.get(f"k{n}") is not None for n in range(300))
    with pytest.raises(afresh.ConfigError):
        afresh.SyncCache().setup("memory:", client_side=True)
    with pytest.raises(afresh.ConfigError):
        afresh.SyncCache().setup(store, size="1MB")


def test_readers_never_go_back(cache, store):
    """Threads that read while others write see no value that is older than one they have seen."""
    far = afresh.SyncCache()
    far.setup(store)
    far.set("k", 0)
    stop, errors = threading.Event(), []

    def read(one):
        last = 0
        while not stop.is_set():
            now = one.get("k")
            if now < last:
                errors.append((last, now))
            last = now

    threads = [threading.Thread(target=read, args=(one,)) for one in (cache, cache, far)]
    for thread in threads:
        thread.start()
    for n in range(1, 300):
        (cache if n % 2 else far).set("k", n)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert errors == [] and cache.get("k") == far.get("k") == 299


def test_decorated_functions_and_both_faces_use_it(store, apart):
    """Decorators over the copy: what another process takes back while it is computed is not stored, and not kept."""
    cache = afresh.Cache()
    cache.setup(store, client_side=True)
    other = Other(apart, True)
    runs = []

    @cache.cache(ttl=60, key="k", tags=["t"])
    async def f():
        runs.append(1)
        if len(runs) == 3:
            other("cache.delete_tags('t')")
        return [len(runs)]

    async def main():
        seen = [await f(), await f()]
        other("cache.delete('k')")
        seen += [await f(), await f()]
        other("cache.delete_tags('t')")
        return [*seen, await f(), await f()]

    assert asyncio.run(main()) == [[1], [1], [2], [2], [3], [4]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_and_its_parent_see_each_other(cache):
    """A child has the parent's copy, and both go on changing."""
    cache.set("k", ["parent"])
    assert cache.get("k") == ["parent"]
    child = os.fork()
    if child == 0:
        fine = cache.get("k") == ["parent"] and cache.set("k", ["child"]) and cache.get("k") == ["child"]
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache.get("k") == ["child"]
