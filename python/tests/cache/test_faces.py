"""Several stores, several caches, and both faces at once."""

from __future__ import annotations

import asyncio
import time

import pytest
from doubles import Dictionary

import afresh
from afresh.cache import escape
from afresh.cache.routes import matcher


@pytest.fixture
def routed(store):
    cache = afresh.SyncCache()
    cache.setup("memory:")
    cache.setup(store, prefix="user:")
    cache.setup("memory:", prefix="user:session:")
    return cache


def test_the_longest_prefix_wins(routed, store):
    routed.set_many({"a": 1, "user:1": 2, "user:session:1": 3})
    alone = afresh.SyncCache()
    alone.setup(store)
    assert list(alone.scan("*")) == ["user:1"]
    assert routed.get_many("user:session:1", "a", "user:1", "x") == (3, 1, 2, None)


def test_a_pattern_reaches_every_store(routed):
    routed.set_many({"a": 1, "user:1": 2, "user:session:1": 3})
    assert sorted(routed.scan("*")) == ["a", "user:1", "user:session:1"]
    assert sorted(routed.scan("user:*")) == ["user:1", "user:session:1"]
    assert sorted(routed.scan("u*1")) == ["user:1", "user:session:1"]
    assert routed.delete_match("*:1") == 2
    assert routed.get_keys_count() == 1


def test_a_tag_reaches_every_store(routed):
    for key in ("a", "user:1", "user:session:1"):
        routed.set(key, 1, tags=["t"])
    routed.delete_tags("t")
    assert routed.get_keys_count() == 0


def test_a_key_that_no_store_is_for_is_an_error():
    cache = afresh.SyncCache()
    cache.setup("memory:", prefix="a:")
    with pytest.raises(afresh.ConfigError, match="no store is set up for the key 'b'"):
        cache.set("b", 1)


def test_clear_leaves_what_is_not_ours(store):
    one, other = afresh.SyncCache("one"), afresh.SyncCache("other")
    one.setup(store)
    other.setup(store)
    client = afresh.Client(store)
    result = client.submit(max, [1, 2])
    one.set("k", 1)
    other.set("k", 2)
    one.clear()
    assert (one.get("k"), other.get("k"), result.load()) == (None, 2, 2)


def test_names_keep_caches_apart(store):
    with pytest.raises(afresh.ConfigError):
        afresh.SyncCache("a/b")
    one, same = afresh.SyncCache("a"), afresh.SyncCache("a")
    one.setup(store)
    same.setup(store)
    one.set("k", [1])
    assert same.get("k") == [1]


def test_both_faces_have_the_same_entries():
    cache = afresh.Cache()
    cache.setup("memory:")
    cache.sync.set("k", 1)
    assert asyncio.run(cache.get("k")) == 1


def test_a_near_store_answers_without_a_turn_of_the_loop():
    cache = afresh.Cache()
    cache.setup("memory:")

    async def main():
        turned = False

        def turn():
            nonlocal turned
            turned = True

        asyncio.get_running_loop().call_soon(turn)
        await cache.set("k", (1, 2))
        return await cache.get("k"), turned

    assert asyncio.run(main()) == ((1, 2), False)


def test_an_awaitable_is_a_coroutine_and_does_nothing_before_it_is_awaited():
    cache = afresh.Cache()
    cache.setup("memory:")

    async def main():
        waiting = cache.set("k", 1)
        before = cache.sync.exists("k")
        await asyncio.create_task(waiting)
        with pytest.raises(RuntimeError):
            await waiting
        cache.set("never", 1).close()
        return before, await asyncio.gather(cache.get("k"), cache.exists("never"), cache.get("x", StopIteration))

    assert asyncio.run(main()) == (False, [1, False, StopIteration])


def test_a_far_store_does_not_hold_up_the_loop():
    class Slow(Dictionary):
        def get(self, key):
            time.sleep(0.2)
            return super().get(key)

    cache = afresh.Cache()
    cache.setup(Slow())

    async def main():
        turns = 0
        waiting = asyncio.create_task(asyncio.wait_for(cache.get("k"), 5))
        while not waiting.done():
            turns += 1
            await asyncio.sleep(0.001)
        return turns

    assert asyncio.run(main()) > 20


def test_t20_disabling_is_for_one_context():
    cache = afresh.Cache()
    cache.setup("memory:")

    async def main():
        await cache.set("k", 1)
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def off():
            with cache.disabling("get"):
                inside.set()
                await go_on.wait()
                return await cache.get("k"), await asyncio.create_task(cache_get())

        async def cache_get():
            return await cache.get("k")

        other = asyncio.create_task(off())
        await inside.wait()
        here = await cache.get("k")
        go_on.set()
        return here, await other, await cache.get("k")

    assert asyncio.run(main()) == (1, (None, None), 1)


def test_t20_off_in_one_task_is_off_in_all():
    cache = afresh.Cache()
    cache.setup("memory:")
    cache.sync.set("k", 1)

    async def turn_off():
        cache.disable()

    async def main():
        await asyncio.create_task(turn_off())
        return await cache.get("k")

    assert asyncio.run(main()) is None


def test_a_cache_can_be_set_up_turned_off():
    cache = afresh.SyncCache()
    cache.setup("memory:", enable=False)
    cache.set("k", 1)
    assert cache.get("k") is None and cache.is_disable()
    cache.enable()
    assert cache.set("k", 1) is True


def test_part_of_the_keys_can_be_turned_off():
    cache = afresh.SyncCache()
    cache.setup("memory:")
    cache.set_many({"a:1": 1, "b:1": 2})
    cache.disable("get", prefix="a:")
    assert (cache.get("a:1"), cache.get("b:1")) == (None, 2)


def test_an_escaped_text_matches_itself_only():
    for text in ("a*b", "a\\*", "\\", "*", "[x]?"):
        cache = afresh.SyncCache()
        cache.setup("memory:")
        cache.set_many({text: 1, text.replace("*", "-").replace("\\", "/"): 2, text + "x": 3})
        assert list(cache.scan(escape(text))) == [text]
        assert matcher(escape(text))(text) and not matcher(escape(text))(text + "x")
