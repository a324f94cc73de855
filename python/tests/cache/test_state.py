"""Bits, slices, sets of texts, raw bytes and registered tags: over every store, for threads and for event loops."""

from __future__ import annotations

import threading
import time

import pytest
from doubles import Down

import afresh
from afresh.cache import NOT_EXIST, UNLIMITED, WrongKeyError


def test_bits_are_zero_until_they_are_set(cache):
    assert cache.get_bits("b", 0, 7, 100_000) == (0, 0, 0)
    assert cache.exists("b") is False
    assert cache.incr_bits("b", 0, 9, 9) == (1, 1, 1)
    assert cache.get_bits("b", 0, 1, 9, 10) == (1, 0, 1, 0)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 13, 32])
def test_numbers_of_some_bits_stay_within_what_they_can_hold(cache, size):
    most = 2**size - 1
    assert cache.incr_bits("b", 0, 5, size=size, by=most + 10) == (most, most)
    assert cache.get_bits("b", 0, 1, 4, 5, 6, size=size) == (most, 0, 0, most, 0)
    assert cache.incr_bits("b", 5, 1, size=size, by=-1) == (most - 1, 0)
    assert cache.incr_bits("b", 0, size=size, by=-(2**40)) == (0,)
    assert cache.get_bits("b", 5, size=size) == (most - 1,)


def test_what_bits_cannot_hold_is_refused(cache):
    for index, size in ((8 << 20, 1), (1 << 20, 8), (0, 0), (0, 33)):
        with pytest.raises(OverflowError, match="a field of bits holds"):
            cache.incr_bits("b", index, size=size)
    for negative in (-1, -(2**70)):
        with pytest.raises(OverflowError):
            cache.get_bits("b", negative)
    assert cache.incr_bits("b", (8 << 20) - 1) == (1,)


def test_t09_a_field_of_bits_among_others_is_in_its_own_place(cache):
    cache.set("x", 1)
    cache.set("y", 2)
    cache.incr_bits("bits", 0)
    assert cache.get_many("x", "bits", "y") == (1, b"\x01", 2)


def test_a_slice_counts_what_is_between(cache):
    assert [cache.slice_incr("s", now - 10, now, 3) for now in (100, 101, 102, 103)] == [1, 2, 3, 3]
    assert cache.slice_incr("s", 101.5, 111.5, 3) == 2
    assert cache.get("s") == [102.0, 111.5]


def test_t24_moments_that_are_the_same_are_counted_each(cache):
    assert [cache.slice_incr("s", 5, 5, 3) for _ in range(5)] == [1, 2, 3, 3, 3]


def test_a_slice_lasts_from_its_last_moment_on(cache):
    cache.slice_incr("s", 0, 1, 10, expire=100)
    cache.slice_incr("s", 0, 2, 10, expire="1s")
    assert 98 < cache.get_expire("s") <= 100
    cache.slice_incr("s", 0, 3, 10, expire=200)
    assert 199 < cache.get_expire("s") <= 200
    with pytest.raises(ValueError):
        cache.slice_incr("s", 0, float("nan"), 10)


def test_a_set_has_each_text_once(cache):
    assert cache.set_add("s", "a", "b", "a", "ä") == 3
    assert (cache.set_add("s", "b"), cache.set_add("s")) == (0, 0)
    assert cache.get("s") == {"a", "b", "ä"}
    assert cache.set_remove("s", "b", "x") == 1
    assert sorted(cache.set_pop("s")) == ["a", "ä"]
    assert (cache.set_pop("s"), cache.exists("s"), cache.set_remove("s", "a")) == ((), False, 0)


def test_a_pop_takes_as_many_as_it_says(cache):
    cache.set_add("s", *map(str, range(10)))
    taken = [*cache.set_pop("s", 3), *cache.set_pop("s", 0), *cache.set_pop("s", 100)]
    assert sorted(taken) == sorted(map(str, range(10)))


def test_a_set_may_only_last_longer(cache):
    cache.set_add("s", "a", expire=100)
    cache.set_add("s", "b", expire=1)
    assert 98 < cache.get_expire("s") <= 100
    cache.set_add("s", "c")
    assert 98 < cache.get_expire("s") <= 100
    assert cache.expire("s", None) is True
    cache.set_add("s", "d", expire=5)
    assert cache.get_expire("s") == UNLIMITED
    cache.set_add("none", "a", expire=0)
    assert cache.exists("none") is False


def test_a_set_has_an_end_of_its_size(cache):
    cache.set_add("s", "kept")
    with pytest.raises(OverflowError, match="1048576 bytes at most"):
        cache.set_add("s", "x" * (1 << 20))
    assert cache.get("s") == {"kept"}


def test_what_is_of_another_kind_is_not_changed(cache):
    cache.set("value", ["a"])
    cache.set_add("set", "a")
    cache.incr_bits("bits", 1)
    for change in (
        lambda: cache.set_add("value", "b"),
        lambda: cache.set_pop("bits"),
        lambda: cache.incr_bits("set", 1),
        lambda: cache.get_bits("value", 1),
        lambda: cache.slice_incr("bits", 0, 1, 5),
        lambda: cache.incr("set"),
    ):
        with pytest.raises(TypeError):
            change()
    assert (cache.get("value"), cache.get("set"), cache.get("bits")) == (["a"], {"a"}, b"\x02")


def test_they_end_and_are_deleted_as_values_are(cache):
    cache.incr_bits("k:b", 1)
    cache.set_add("k:s", "a")
    cache.slice_incr("k:m", 0, 1, 5)
    assert cache.expire("k:b", 0.01) is True
    time.sleep(0.03)
    assert (cache.get_bits("k:b", 1), cache.get_expire("k:b")) == ((0,), NOT_EXIST)
    assert sorted(cache.scan("k:*")) == ["k:m", "k:s"]
    assert cache.delete_match("k:*") == 2
    assert cache.set_pop("k:s") == ()


def test_raw_bytes_are_stored_as_they_are(cache):
    assert cache.set_raw("r", b"\x00\xff", expire=100) is True
    assert (cache.get_raw("r"), cache.get("r")) == (b"\x00\xff", b"\x00\xff")
    assert 99 < cache.get_expire("r") <= 100
    assert cache.set_raw("r", bytearray(b"x"), exist=False) is False
    assert cache.get_raw("absent") is None
    cache.set("n", 7)
    # A counter, or a number that is signed and so went through the codec.
    assert cache.get_raw("n") in (b"7", b"\x80\x05K\x07.")
    cache.set("v", ["text"])
    assert b"text" in cache.get_raw("v")
    for bad in ("text", 7, None):
        with pytest.raises(TypeError):
            cache.set_raw("r", bad)


def test_a_registered_tag_is_on_what_matches(cache):
    cache.register_tag("user:{id}", "profile:{id}:*")
    cache.register_tag("all", "profile:*")
    cache.set("profile:7:full", 1)
    cache.set("profile:8:full", [2], tags=["own"])
    cache.incr("profile:8:count")
    cache.set("other", 3)
    assert sorted(cache.get_key_tags("profile:8:full")) == ["all", "own", "user:8"]
    assert cache.get_key_tags("other") == ()
    cache.delete_tags("user:8")
    assert sorted(cache.scan("*")) == ["other", "profile:7:full"]
    cache.delete_tags("all")
    assert sorted(cache.scan("*")) == ["other"]


def test_a_registered_tag_is_on_what_is_computed(cache):
    cache.register_tag("user:{id}", "p:{id}")
    assert cache.get_or_set("p:7", lambda: [1]) == [1]
    assert cache.get_key_tags("p:7") == ("user:7",)
    if isinstance(cache, afresh.SyncCache):
        cache.cache(ttl=60, key="p:{id}")(lambda id: [id])("ada")
        assert cache.get_key_tags("p:ada") == ("user:ada",)


@pytest.mark.parametrize(("tag", "template"), [("t:{a}", "k:{b}"), ("t", "k:{a.b}"), ("t", "k:{}"), ("t", "k:{a")])
def test_a_tag_that_a_key_cannot_have_is_refused(tag, template):
    with pytest.raises(WrongKeyError):
        afresh.SyncCache().register_tag(tag, template)


def test_everything_of_it_can_be_off(cache):
    cache.set_add("s", "a")
    cache.disable("get_bits", "incr_bits", "slice_incr", "set_add", "set_remove", "set_pop", "get_raw", "set_raw")
    assert (cache.get_bits("b", 1, 2), cache.incr_bits("b", 1)) == ((0, 0), (0,))
    assert (cache.slice_incr("m", 0, 1, 5), cache.set_add("s", "b"), cache.set_pop("s")) == (0, 0, ())
    assert (cache.set_remove("s", "a"), cache.get_raw("s"), cache.set_raw("r", b"")) == (0, None, False)
    cache.enable()
    assert cache.get("s") == {"a"}


@pytest.mark.parametrize("where", ["memory", "sqlite"])
def test_changes_at_the_same_time_are_all_made(where, store):
    cache = afresh.SyncCache()
    cache.setup("memory:" if where == "memory" else store)
    popped: list[str] = []

    def work(n):
        for i in range(20):
            cache.incr_bits("b", n * 20 + i)
            cache.incr_bits("n", 0, size=32)
            cache.set_add("s", f"{n}:{i}")
            cache.slice_incr("m", 0, 5, 1000)
            popped.extend(cache.set_pop("s", 1))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(cache.get_bits("b", *range(120))) == 120
    assert (cache.get_bits("n", 0, size=32), cache.slice_incr("m", 0, 5, 1000)) == ((120,), 121)
    popped.extend(cache.set_pop("s", 1000))
    assert sorted(popped) == sorted(f"{n}:{i}" for n in range(6) for i in range(20))


def test_processes_change_one_field_without_losing_a_bit(store, apart):
    script = apart.write(
        "work.py",
        """
        import sys, afresh
        cache = afresh.SyncCache()
        cache.setup("store")
        for n in range(50):
            cache.incr_bits("b", int(sys.argv[1]) * 50 + n)
            cache.incr_bits("n", 0, size=16)
            cache.set_add("s", f"{sys.argv[1]}:{n}")
        """,
    )
    children = [apart.start(str(script), str(n)) for n in range(3)]
    assert [child.communicate(timeout=100)[1] for child in children] == ["", "", ""]
    cache = afresh.SyncCache()
    cache.setup(store)
    assert sum(cache.get_bits("b", *range(150))) == 150
    assert (cache.get_bits("n", 0, size=16), len(cache.set_pop("s", 1000))) == ((150,), 150)


def test_they_are_never_driven_out():
    cache = afresh.SyncCache()
    cache.setup("memory:", entries=50)
    cache.incr_bits("b", 3)
    cache.set_add("s", "a")
    cache.slice_incr("m", 0, 1, 5)
    for n in range(1000):
        cache.set(f"k{n}", n)
    assert (cache.get_bits("b", 3), cache.get("s"), cache.get("m")) == ((1,), {"a"}, [1.0])
    cache.expire("b", 100)
    for n in range(1000):
        cache.set(f"k{n}", n)
    assert cache.get_bits("b", 3) == (1,)


def test_a_store_that_fails_is_told_of():
    cache = afresh.SyncCache()
    cache.setup(Down())
    for ask in (lambda: cache.get_bits("b", 1), lambda: cache.set_add("s", "a"), lambda: cache.slice_incr("m", 0, 1, 5)):
        with pytest.raises(afresh.AfreshError):
            ask()


@pytest.mark.parametrize("options", [{}, {"client_side": True}, {"compress": "zstd"}])
@pytest.mark.parametrize("where", ["memory", "sqlite"])
def test_a_transaction_takes_them_back_or_makes_them_together(where, options, store):
    if where == "memory" and "client_side" in options:
        pytest.skip("there is nothing in front of memory")
    cache = afresh.SyncCache()
    cache.setup("memory:" if where == "memory" else store, **options)
    cache.set_add("s", "a")
    cache.set("v", ["x" * 1000])

    def change():
        cache.set_add("s", "b")
        cache.incr_bits("b", 3)
        cache.slice_incr("m", 0, 1, 5)
        cache.set_raw("r", b"raw")
        cache.set("v", ["y" * 1000])
        return cache.get("s"), cache.get_bits("b", 3), cache.get("m"), cache.get_raw("r"), cache.get("v")

    after = ({"a", "b"}, (1,), [1.0], b"raw", ["y" * 1000])
    with pytest.raises(KeyError), cache.transaction():
        assert change() == after
        raise KeyError
    assert (cache.get("s"), cache.get_bits("b", 3), cache.get("m"), cache.get("r")) == ({"a"}, (0,), None, None)
    assert cache.get("v") == ["x" * 1000]
    with cache.transaction():
        assert change() == after
    assert (cache.get("s"), cache.get_bits("b", 3), cache.get("m"), cache.get_raw("r"), cache.get("v")) == after


def test_what_stands_around_commands_stands_around_these(cache):
    heard = []

    def middleware(call, cmd, backend, *args, **kwargs):
        heard.append((str(cmd.value), args, kwargs.get("key")))
        return call(*args, **kwargs)

    if not isinstance(cache, afresh.SyncCache):
        cache.cache.add_middleware(middleware)
    else:
        cache.add_middleware(middleware)
    assert cache.incr_bits("b", 1, 2, size=2, by=3) == cache.get_bits("b", 1, 2, size=2) == (3, 3)
    assert (cache.set_add("s", "a", "b"), cache.set_remove("s", "a"), cache.set_pop("s")) == (2, 1, ("b",))
    assert (cache.slice_incr("m", 0, 1, 5), cache.set_raw("r", b"x"), cache.get_raw("r")) == (1, True, b"x")
    names = "incr_bits get_bits set_add set_remove set_pop slice_incr set_raw get_raw".split()
    assert [name for name, _, _ in heard] == names
    assert [key for _, _, key in heard] == ["b", "b", "s", "s", "s", "m", "r", "r"]


def test_a_transaction_that_is_taken_back_forgets_no_member_of_a_filter():
    cache = afresh.SyncCache()
    cache.setup("memory:")
    known = cache.bloom(name="n:{n}", capacity=100)(lambda n: True)
    with pytest.raises(KeyError), cache.transaction():
        known.set(1)
        raise KeyError
    assert known(1) is True and known(2) is False
