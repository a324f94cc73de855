"""Transactions: all or nothing, own writes seen, nobody's update lost. Over memory and a store, for both faces.

T3 and T5 are the defects of another library that must be right here.
"""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import afresh
from afresh.cache import UNLIMITED, ConflictError, LockedError, TransactionMode
from afresh.errors import AfreshError, ConfigError

MODES = list(TransactionMode)


@pytest.fixture(params=["memory", "sqlite"])
def cache(request, tmp_path):
    """A cache with both faces; ``other`` is another process's view of the same entries, as far as there is one."""
    cache = afresh.Cache()
    cache.setup("memory:" if request.param == "memory" else str(tmp_path / "kv"))
    return cache


@pytest.fixture(params=MODES, ids=lambda mode: mode.value)
def mode(request):
    return request.param


def elsewhere(call, *args, **kwargs):
    """A call in a context of its own, as of another request."""
    given = []
    thread = threading.Thread(target=lambda: given.append(call(*args, **kwargs)))
    thread.start()
    thread.join(20)
    return given[0]


# All or nothing


def test_nobody_sees_anything_before_the_end(cache, mode):
    store = cache.sync
    store.set("old", 1)
    with cache.transaction(mode):
        store.set_many({"a": 1, "b": [2]})
        store.delete("old")
        store.incr("n", 2)
        assert (store.get_many("a", "b", "old", "n"), sorted(store.scan("*"))) == ((1, [2], None, 2), ["a", "b", "n"])
        assert elsewhere(store.get_many, "a", "b", "old", "n") == (None, None, 1, None)
    assert store.get_many("a", "b", "old", "n") == (1, [2], None, 2)


def test_an_exception_takes_everything_back(cache, mode):
    store = cache.sync
    store.set("k", 1, tags=["t"])
    store.incr("n")
    with pytest.raises(ValueError), cache.transaction(mode):
        store.set("k", 2)
        store.incr("n")
        store.delete_tags("t")
        store.delete_match("*")
        raise ValueError
    assert store.get_many("k", "n") == (1, 1)


def test_both_can_be_said(cache, mode):
    store = cache.sync
    with cache.transaction(mode) as tx:
        store.set("a", 1)
        tx.commit()
        assert elsewhere(store.get, "a") == 1
        store.set("b", 1)
        tx.rollback()
        assert store.get("b") is None
        store.set("c", 1)
    assert sorted(store.scan("*")) == ["a", "c"]


def test_both_can_be_awaited(cache, mode):
    async def main():
        async with cache.transaction(mode) as tx:
            await cache.set("a", 1)
            await tx.commit()
            await cache.set("b", 1)
            await tx.rollback()
            await cache.set("c", 1)
            # What is not awaited is done too.
            tx.rollback()
            await cache.set("d", 1)
        return sorted([key async for key in cache.scan("*")])

    assert asyncio.run(main()) == ["a", "d"]


def test_a_cancelled_transaction_is_none(cache):
    async def main():
        inside = asyncio.Event()

        async def work():
            async with cache.transaction():
                await cache.set("k", 1)
                inside.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await inside.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # Its lock is free at once.
        async with cache.transaction(timeout=5):
            return await cache.get("k")

    assert asyncio.run(main()) is None


def test_t5_there_is_no_most(cache):
    with cache.transaction():
        for i in range(3000):
            cache.sync.set(f"k{i}", i)
    assert cache.sync.get_keys_count() == 3000


# Lifetimes


def test_t5_lifetimes_are_exact(cache, mode):
    store = cache.sync
    store.incr("n", expire=100)
    with cache.transaction(mode):
        began = time.monotonic()
        store.set("short", 1, expire=30.9)
        store.set("long", 1, expire=62.7)
        store.set("ever", 1)
        store.set("over", 1, expire=0.05)
        store.incr("n")
        set_by = time.monotonic()
        time.sleep(0.1)
        assert store.get("over") is None
    for key, lasts in (("short", 30.9), ("long", 62.7)):
        asked = time.monotonic()
        left = store.get_expire(key)
        assert lasts - (time.monotonic() - began) - 0.01 <= left <= lasts - (asked - set_by) + 0.01
    assert store.get_expire("ever") == UNLIMITED
    assert store.exists("over") is False
    assert 99 < store.get_expire("n") <= 100


def test_t5_a_value_and_its_lifetime_are_both_kept(cache, mode):
    store = cache.sync
    store.set("k", "old")
    with cache.transaction(mode):
        store.set("k", "new")
        assert store.expire("k", 50) is True
    assert (store.get("k"), 49 < store.get_expire("k") <= 50) == ("new", True)


def test_t5_conditions_see_what_the_store_has(cache, mode):
    store = cache.sync
    store.set("k", 1)
    with cache.transaction(mode):
        assert store.set("k", 2, exist=True) is True
        assert store.set("k", 3, exist=False) is False
        store.delete("k")
        assert store.set("k", 4, exist=True) is False
        assert store.set("k", 5, exist=False) is True
    assert store.get("k") == 5


# Nothing is lost


def add_one(store):
    found = store.get("n", 0)
    time.sleep(0.01)
    store.set("n", found + 1)


@pytest.mark.parametrize("mode", [TransactionMode.LOCKED, TransactionMode.SERIALIZABLE])
def test_t5_reading_and_then_writing_loses_no_update(cache, mode):
    def work():
        for _ in range(5):
            with cache.transaction(mode):
                add_one(cache.sync)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.sync.get("n") == 25


@pytest.mark.parametrize("mode", [TransactionMode.LOCKED, TransactionMode.SERIALIZABLE])
def test_t5_nor_among_tasks(cache, mode):
    async def work():
        async with cache.transaction(mode):
            found = await cache.get("n", 0)
            await asyncio.sleep(0.01)
            await cache.set("n", found + 1)

    async def main():
        await asyncio.gather(*(work() for _ in range(8)))
        return await cache.get("n")

    assert asyncio.run(main()) == 8


def test_increments_are_added_in_every_mode(cache, mode):
    store = cache.sync
    store.set("n", 10)
    with cache.transaction(mode):
        assert store.incr("n") == 11
        if mode is not TransactionMode.SERIALIZABLE:
            assert elsewhere(store.incr, "n", 5) == 15
            assert store.incr("n") == 17
    assert store.get("n") == (11 if mode is TransactionMode.SERIALIZABLE else 17)


def test_what_was_read_and_is_changed_must_be_as_it_was(cache):
    store = cache.sync
    store.set("n", 1)
    for mode in (TransactionMode.LOCKED, TransactionMode.SERIALIZABLE):
        with pytest.raises(ConflictError), cache.transaction(mode):
            found = store.get("n")
            elsewhere(store.set, "n", 100)
            store.set("n", found + 1)
            store.set("other", 1)
        assert store.get_many("n", "other") == (100, None)
    with cache.transaction("fast"):
        found = store.get("n")
        elsewhere(store.set, "n", 200)
        store.set("n", found + 1)
    assert store.get("n") == 101


def test_what_was_not_there_must_not_be_there(cache):
    store = cache.sync
    with pytest.raises(ConflictError), cache.transaction():
        assert store.get("k") is None
        elsewhere(store.set, "k", "theirs")
        store.set("k", "mine")
    assert store.get("k") == "theirs"


def test_only_serializable_minds_what_was_only_read(cache):
    store = cache.sync
    store.set_many({"a": 1, "b": 1})
    with cache.transaction("locked"):
        store.set("b", store.get("a") + 1)
        elsewhere(store.set, "a", 5)
    assert store.get_many("a", "b") == (5, 2)
    with pytest.raises(ConflictError), cache.transaction("serializable"):
        store.set("b", store.get("a") + 1)
        elsewhere(store.set, "a", 9)
    assert store.get_many("a", "b") == (9, 2)


def test_a_write_that_looked_at_nothing_conflicts_with_nothing(cache):
    store = cache.sync
    with cache.transaction():
        store.set("k", 1)
        store.delete("gone")
        elsewhere(store.set_many, {"k": 2, "gone": 2})
    assert store.get_many("k", "gone") == (1, None)


def test_t5_a_transaction_that_outlives_its_lock_loses_nothing(cache):
    store = cache.sync
    done = []

    def slow():
        try:
            with cache.transaction(timeout=0.1):
                found = store.get("n", 0)
                time.sleep(0.4)
                store.set("n", found + 1)
            done.append("slow")
        except ConflictError:
            done.append("conflict")

    thread = threading.Thread(target=slow)
    thread.start()
    time.sleep(0.2)
    with cache.transaction():
        store.set("n", store.get("n", 0) + 1)
    thread.join()
    assert (done, store.get("n")) == (["conflict"], 1)


def test_who_waits_too_long_is_told(cache):
    store = cache.sync
    for mode in (TransactionMode.LOCKED, TransactionMode.SERIALIZABLE):
        with cache.transaction(mode, timeout=30):
            store.set("k", 1)

            def wait(mode=mode):
                try:
                    with cache.transaction(mode, timeout=0.1):
                        store.set("k", 2)
                except LockedError as error:
                    return str(error)

            assert "another transaction has kept" in elsewhere(wait)


def test_waiting_is_for_the_task_and_not_for_the_loop(cache):
    async def main():
        within, ticked = asyncio.Event(), asyncio.Event()

        async def holds():
            async with cache.transaction():
                await cache.set("k", "a")
                within.set()
                # Comes only if the loop turns while the other one waits.
                await ticked.wait()

        async def waits():
            await within.wait()
            async with cache.transaction(timeout=60):
                await cache.set("k", "b")

        async def tick():
            await within.wait()
            for _ in range(5):
                await asyncio.sleep(0.01)
            ticked.set()

        await asyncio.wait_for(asyncio.gather(holds(), waits(), tick()), 30)
        return await cache.get("k")

    assert asyncio.run(main()) == "b"


# The decorator


def test_t3_a_decorated_function_may_be_called_at_the_same_time(cache):
    @cache.transaction()
    async def add():
        found = await cache.get("n", 0)
        await asyncio.sleep(0.005)
        await cache.set("n", found + 1)
        return found

    async def main():
        return sorted(await asyncio.gather(*(add() for _ in range(10))))

    assert asyncio.run(main()) == list(range(10))
    assert cache.sync.get("n") == 10


def test_a_decorated_function_is_called_again_after_a_conflict(cache):
    store, runs = cache.sync, []

    @cache.transaction()
    def add(step):
        runs.append(step)
        found = store.get("n", 0)
        if len(runs) < 3:
            elsewhere(store.incr, "n", 100)
        store.set("n", found + step)
        return found + step

    assert (add(1), len(runs), store.get("n")) == (201, 3, 201)


def test_it_gives_up_in_the_end(cache):
    store, runs = cache.sync, []

    @cache.transaction(retries=2)
    def add():
        runs.append(1)
        found = store.get("n", 0)
        elsewhere(store.incr, "n")
        store.set("n", found + 1)

    with pytest.raises(ConflictError):
        add()
    assert (len(runs), store.get("n")) == (3, 3)


def test_a_decorated_function_may_call_itself(cache):
    store = cache.sync

    @cache.transaction()
    def count(left):
        store.incr("n")
        return count(left - 1) if left else store.get("n")

    assert (count(4), store.get("n")) == (5, 5)


def test_generators_are_refused(cache):
    with pytest.raises(ConfigError, match="generator"):

        @cache.transaction()
        def pieces():
            yield 1


# Within another


def test_an_inner_one_is_part_of_the_outer_one(cache, mode):
    store = cache.sync
    with cache.transaction(mode):
        store.set("a", 1)
        with cache.transaction():
            assert store.get("a") == 1
            store.set("b", 2)
            store.incr("n")
        assert store.get_many("b", "n") == (2, 1)
        assert elsewhere(store.get_many, "a", "b") == (None, None)
    assert store.get_many("a", "b", "n") == (1, 2, 1)


def test_an_inner_one_can_fail_alone(cache, mode):
    store = cache.sync
    store.set("k", 0, tags=["t"])
    with cache.transaction(mode):
        store.set("a", 1, expire=60)
        with pytest.raises(ValueError), cache.transaction():
            store.set("a", 2)
            store.delete_tags("t")
            raise ValueError
        assert (store.get_many("a", "k"), 59 < store.get_expire("a") <= 60) == ((1, 0), True)
        with cache.transaction():
            store.incr("a")
    assert store.get_many("a", "k") == (2, 0)


def test_an_outer_one_that_fails_takes_the_inner_ones_with_it(cache):
    store = cache.sync
    with pytest.raises(ValueError), cache.transaction():
        with cache.transaction():
            store.set("a", 1)
        raise ValueError
    assert store.get("a") is None


# Tags


def test_t5_tags_are_part_of_it(cache, mode):
    store = cache.sync
    store.set("old", 1, tags=["t"])
    with pytest.raises(ValueError), cache.transaction(mode):
        store.set("k", 1, tags=["t"])
        store.delete_tags("t")
        assert store.get("old") is None
        raise ValueError
    assert store.get("old") == 1
    with cache.transaction(mode):
        store.set("gone", 1, tags=["t"])
        store.delete_tags("t")
        store.set("new", 1, tags=["t"])
        assert store.get_many("old", "gone", "new") == (None, None, 1)
        assert elsewhere(store.get, "old") == 1
    assert store.get_many("old", "gone", "new") == (None, None, 1)


def test_a_tag_that_is_taken_back_meanwhile_takes_what_was_set(cache):
    store = cache.sync
    with cache.transaction("locked"):
        store.set("k", 1, tags=["t"])
        elsewhere(store.delete_tags, "t")
    assert store.get("k") is None


# Decorated functions


def test_what_is_computed_within_is_kept_at_the_end(cache, mode):
    store, runs = cache.sync, []

    @store.cache(ttl=60, key="f:{a}")
    def f(a):
        runs.append(a)
        return [a]

    with cache.transaction(mode):
        assert (f(1), f(1), runs) == ([1], [1], [1])
        assert elsewhere(store.get, "f:1") is None
    assert (f(1), runs) == ([1], [1])
    with pytest.raises(ValueError), cache.transaction(mode):
        f(2)
        raise ValueError
    assert (f(2), runs) == ([2], [1, 2, 2])


def test_what_is_computed_within_is_no_reason_for_a_conflict(cache, mode):
    store = cache.sync

    @store.cache(ttl=60, key="f:{a}")
    def f(a):
        return a

    with cache.transaction(mode):
        f(1)
        elsewhere(store.set, "f:1", "theirs")
        store.set("k", 1)
    assert store.get_many("f:1", "k") == ("theirs", 1)


def test_what_is_deleted_after_it_was_computed_is_not_kept(cache, mode):
    store = cache.sync

    @store.cache(ttl=60, key="f:{a}")
    def f(a):
        return a

    for take_back in (lambda: store.delete("f:1"), lambda: store.delete_match("f:*"), store.clear):
        with cache.transaction(mode):
            f(1)
            elsewhere(take_back)
        assert store.exists("f:1") is False


def test_what_is_computed_meanwhile_does_not_outlive_a_deletion(cache):
    """Begun after the deletion and before it is committed, with what was right until then."""
    store = cache.sync
    inside, go_on = threading.Event(), threading.Event()

    @store.cache(ttl=60, key="f:{a}")
    def f(a):
        inside.set()
        go_on.wait(10)
        return "old"

    with cache.transaction():
        store.delete("f:1")
        thread = threading.Thread(target=f, args=(1,))
        thread.start()
        inside.wait(10)
    go_on.set()
    thread.join()
    assert store.exists("f:1") is False


def test_what_is_not_committed_is_shared_with_nobody(cache):
    """Single flight ends at a transaction: what is computed within may rest on what only that one sees."""

    async def main():
        inside, go_on = asyncio.Event(), asyncio.Event()

        @cache.cache(ttl=60, key="f")
        async def f():
            found = await cache.get("k")
            inside.set()
            await go_on.wait()
            return found

        async def within():
            with pytest.raises(ValueError):
                async with cache.transaction("fast"):
                    await cache.set("k", "never")
                    assert await f() == "never"
                    raise ValueError

        one = asyncio.create_task(within())
        await inside.wait()
        other = asyncio.create_task(f())
        await asyncio.sleep(0.01)
        go_on.set()
        await one
        return await other

    assert asyncio.run(main()) is None


def test_a_rate_is_counted_also_where_nothing_is_kept(cache):
    @cache.sync.rate_limit(2, 60, key="r")
    def f():
        return 1

    for _ in range(2):
        with pytest.raises(ValueError), cache.transaction():
            f()
            raise ValueError
    with pytest.raises(afresh.cache.RateLimitError):
        f()


def test_what_is_refreshed_in_the_background_is_not_part_of_it(cache):
    store, runs = cache.sync, []
    done = threading.Event()

    @store.early(ttl=60, early_ttl=0.01, key="e")
    def f():
        runs.append(1)
        if len(runs) > 1:
            done.set()
        return len(runs)

    f()
    time.sleep(0.05)
    with pytest.raises(ValueError), cache.transaction():
        assert f() == 1
        assert done.wait(10)
        time.sleep(0.05)
        raise ValueError
    ends = time.monotonic() + 5
    while f() != 2:
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert len(runs) == 2


# What it is not about


def test_t5_a_task_that_outlives_it_writes_to_the_store(cache):
    async def main():
        over = asyncio.Event()

        async def late():
            await cache.set("within", 1)
            await over.wait()
            await cache.set("after", 1)

        async with cache.transaction():
            task = asyncio.create_task(late())
            await asyncio.sleep(0.05)
        over.set()
        await task
        return await cache.get_many("within", "after")

    assert asyncio.run(main()) == (1, 1)


def test_t5_what_is_off_stays_off(cache):
    store = cache.sync
    store.set("k", 1)
    store.disable("get", "set")
    with cache.transaction():
        assert (store.get("k"), store.set("k", 2)) == (None, False)
    store.enable()
    assert store.get("k") == 1


def test_locks_are_taken_and_given_back_at_once(cache):
    store = cache.sync
    with pytest.raises(ValueError), cache.transaction():
        assert store.set_lock("l", "me", 60) is True
        assert elsewhere(store.is_locked, "l") is True
        raise ValueError
    assert store.is_locked("l") is True


def test_it_is_about_one_store():
    cache = afresh.SyncCache()
    cache.setup("memory:")
    cache.setup("memory:", prefix="b:")
    cache.set("b:1", 1)
    with pytest.raises(ConfigError, match="one store"), cache.transaction():
        cache.set("a", 1)
        cache.set("b:1", 2)
    assert cache.get_many("a", "b:1") == (None, 1)
    with cache.transaction():
        cache.set("a", cache.get("b:1"))
    assert cache.get("a") == 1


def test_options_can_be_set_for_the_cache(cache):
    cache.set_transaction_mode("fast")
    cache.set_transaction_timeout("2s")
    with cache.transaction() as tx:
        assert tx.mode is TransactionMode.FAST
    for wrong in ({"mode": "never"}, {"timeout": 0}):
        with pytest.raises((AfreshError, ValueError)):
            cache.transaction(**wrong)


def test_hits_are_as_fast_as_before_once_it_is_over():
    cache = afresh.SyncCache()
    cache.setup("memory:")
    with cache.transaction():
        assert cache._kv is None
    assert cache._kv is not None


class Failing:
    """A store that does not answer any more."""

    def __init__(self) -> None:
        self.held, self.down = {}, False

    def _check(self):
        if self.down:
            raise OSError("gone")

    def get(self, key):
        self._check()
        return self.held.get(key)

    def put(self, key, value):
        self._check()
        self.held[key] = value

    def delete(self, key):
        self._check()
        self.held.pop(key, None)

    def keys(self, prefix=""):
        self._check()
        return [key for key in self.held if key.startswith(prefix)]


def test_t5_a_store_that_is_gone_costs_a_warning_and_no_waiting(said):
    store, cache = Failing(), afresh.SyncCache()
    cache.setup(store)
    cache.set("k", 1)
    store.down = True
    began = time.monotonic()
    with said, cache.transaction():
        assert cache.get("k") is None
        cache.set("k", 2)
    assert time.monotonic() - began < 10
    assert any("does without" in text for text in said)
    with said, pytest.raises(AfreshError), cache.transaction():
        cache.delete("k")


def test_t5_processes_lose_nothing_to_each_other(tmp_path, apart):
    script = """
        import afresh
        cache = afresh.SyncCache()
        cache.setup("kv")
        @cache.transaction({mode!r}, retries=1000)
        def add():
            cache.set("n", cache.get("n", 0) + 1)
            cache.incr("counted")
        for _ in range(40):
            add()
    """
    for mode in ("locked", "serializable"):
        apart.write(f"{mode}.py", script.format(mode=mode))
    children = [apart.start(f"{mode}.py") for mode in ("locked", "serializable", "locked")]
    for child in children:
        assert child.wait(60) == 0, child.stderr.read()
    cache = afresh.SyncCache()
    cache.setup(str(apart.folder / "kv"))
    assert cache.get_many("n", "counted") == (120, 120)


def test_a_store_that_is_far_is_asked_and_committed_to_in_a_thread():
    cache, here = afresh.Cache(), threading.get_ident()
    asked = set()

    class Far(Failing):
        def _check(self):
            asked.add(threading.get_ident())

    cache.setup(Far())

    async def main():
        async with cache.transaction() as tx:
            await asyncio.gather(*(cache.set(f"k{i}", [i]) for i in range(5)))
            await tx.commit()
            assert await cache.get("k1") == [1]
            await cache.delete("k1")
            await cache.incr("n")
        with pytest.raises(ConflictError):
            async with cache.transaction("serializable"):
                await cache.get("n")
                await asyncio.get_running_loop().run_in_executor(None, cache.sync.incr, "n")
                await cache.set("seen", True)
        return await cache.get_many("k0", "k1", "k4", "n", "seen")

    assert asyncio.run(main()) == ([0], None, [4], 2, None)
    assert asked and here not in asked
