"""What only the store in memory promises: bounds, what is never driven out, and giving back what has expired."""

from __future__ import annotations

import asyncio
import time

import pytest

import afresh
from afresh.errors import ConfigError


def made(**options) -> afresh.SyncCache:
    cache = afresh.SyncCache()
    cache.setup("memory:", **options)
    return cache


def test_the_number_of_entries_is_bounded():
    cache = made(entries=100)
    for i in range(2000):
        cache.set(f"k{i}", i)
        assert cache.get_keys_count() <= 100 if i % 100 == 0 else True
    assert 90 <= cache.get_keys_count() <= 100


def test_the_bytes_are_bounded():
    cache = made(size="1MB")
    for i in range(500):
        cache.set(f"k{i}", "x" * 10_000)
    kept = list(cache.scan("*"))
    assert 50 <= len(kept) <= 100
    assert sum(cache.get_size(key) for key in kept) <= 1_000_000


def test_bounds_may_be_said_in_the_address():
    cache = afresh.SyncCache()
    cache.setup("memory:?entries=10&size=1MB")
    for i in range(100):
        cache.set(f"k{i}", i)
    assert cache.get_keys_count() <= 10
    for wrong in ("memory:?entries=x", "memory:?sizes=1", "memory:path"):
        with pytest.raises(ConfigError):
            cache.setup(wrong)
    with pytest.raises(ConfigError):
        cache.setup("x", entries=5)


def test_what_is_used_stays_when_much_is_set_once():
    cache = made(entries=100)
    for i in range(50):
        cache.set(f"hot{i}", i)
    for i in range(5000):
        cache.set(f"cold{i}", i)
        cache.get(f"hot{i % 50}")
    assert sum(cache.exists(f"hot{i}") for i in range(50)) >= 40


def test_a_value_that_is_too_large_is_not_stored_and_leaves_no_old_one():
    cache = made(size="100kB")
    cache.set("k", "small")
    assert cache.set("k", "x" * 200_000) is False
    assert cache.get("k", "absent") == "absent"
    for i in range(1000):
        cache.set(f"k{i}", i)
        assert cache.get(f"k{i}") == i


def test_t6_counters_locks_and_tags_are_never_driven_out():
    cache = made(entries=100)
    cache.incr("counter", 7)
    cache.set("number", 1)
    cache.incr("number")
    cache.set_lock("lock", "me", 1000)
    cache.set("hot", 1, tags=["t"])
    cache.delete_tags("t")
    for i in range(5000):
        cache.set(f"k{i}", i)
    assert (cache.get("counter"), cache.get("number"), cache.is_locked("lock")) == (7, 2, True)
    cache.set("hot", 2, tags=["t"])
    assert cache.get("hot") == 2


def test_t6_a_hot_key_is_taken_back_after_any_number_of_others():
    cache = made(entries=100)
    cache.set("hot", 1, tags=["t"])
    for i in range(5000):
        cache.set(f"k{i}", i)
        assert cache.get("hot") in (1, None)
    cache.delete_tags("t")
    assert cache.get("hot") is None


def test_what_has_expired_is_given_back_by_and_by():
    cache = made(entries=1000)
    for i in range(900):
        cache.set(f"short{i}", "x", 0.01)
    cache.incr("counter", expire=0.01)
    time.sleep(0.02)
    # A hundred writes pass over four hundred rows; nothing that lives is lost meanwhile.
    for i in range(600):
        cache.set(f"k{i}", i)
    assert cache.get_keys_count() == 600


def test_t16_a_sweep_and_a_scan_are_in_small_steps():
    cache = afresh.Cache()
    cache.setup("memory:")
    for i in range(20_000):
        cache.sync.set(f"k{i}", i)

    async def main():
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        found = [key async for key in cache.scan("nothing*")]
        counting.cancel()
        return found, turns

    found, turns = asyncio.run(main())
    assert found == [] and turns >= 4


def test_two_caches_in_memory_have_nothing_in_common():
    one, other = made(), made()
    one.set("k", 1)
    assert other.get("k") is None
