"""Bloom filters: what was added is always found, what was not is seldom taken for a member."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from doubles import Down

import afresh
from afresh.errors import ConfigError


class Names:
    """A source of truth that counts how often it is asked."""

    def __init__(self, cache, face, **options) -> None:
        self.there, self.asked = set(), []
        if face == "sync":

            @cache.sync.bloom(name="name:{name}", **options)
            def known(name):
                self.asked.append(name)
                return name in self.there

            self.known, self.set = known, known.set
            return

        @cache.bloom(name="name:{name}", **options)
        async def later(name):
            self.asked.append(name)
            return name in self.there

        assert inspect.iscoroutinefunction(later) and inspect.iscoroutinefunction(later.set)
        self.known = lambda name: asyncio.run(later(name))
        self.set = lambda name: asyncio.run(later.set(name))


@pytest.fixture(params=["memory-sync", "memory-async", "sqlite-sync", "sqlite-async"])
def made(request, store):
    where, face = request.param.split("-")
    cache = afresh.Cache()
    cache.setup("memory:" if where == "memory" else store)
    return lambda **options: Names(cache, face, **options)


def test_what_was_never_added_is_answered_without_a_call(made):
    names = made(capacity=1000)
    assert names.known("ada") is False and names.asked == []
    names.there.add("ada")
    assert names.set("ada") is True and names.set("bob") is False
    assert (names.known("ada"), names.known("bob")) == (True, False)
    assert names.asked == ["ada", "bob", "ada"]


def test_unchecked_a_member_is_answered_without_a_call_too(made):
    names = made(capacity=1000, check_false_positive=False)
    names.there.add("ada")
    names.set("ada")
    names.there.clear()
    assert (names.known("ada"), names.known("bob")) == (True, False)
    assert names.asked == ["ada"]


@pytest.mark.parametrize(("capacity", "rate"), [(200, 1), (5000, 1), (5000, 0.1), (20_000, 5)])
def test_there_are_no_false_negatives_and_few_false_positives(capacity, rate):
    cache = afresh.SyncCache()
    cache.setup("memory:")

    @cache.bloom(name="n:{n}", capacity=capacity, false_positives=rate, check_false_positive=False)
    def known(n):
        return True

    for n in range(capacity):
        known.set(n)
    assert all(known(n) for n in range(capacity))
    wrong = sum(known(n) for n in range(capacity, capacity + 20_000)) / 20_000
    # The members are always the same, and so is the share.
    assert wrong < rate / 100 * 1.5


def test_a_filter_is_as_large_as_it_must_be():
    from afresh.cache.strategies.bloom import Filter

    small, large = Filter("n", 100, 1), Filter("n", 1_000_000, 1)
    assert (small.pages, small.hashes) == (1, 7) and 950 < small.bits < 1100
    assert large.pages * large.bits < 1_000_000 * 10.2 and large.bits <= 32_768
    assert small.name != large.name, "filters of two sizes do not share their pages"
    for capacity, rate in ((0, 1), (True, 1), (10, 0), (10, 100), (1.5, 1)):
        with pytest.raises(ConfigError):
            Filter("n", capacity, rate)


def test_pages_are_never_driven_out():
    cache = afresh.SyncCache()
    cache.setup("memory:", entries=20)
    known = cache.bloom(name="n:{n}", capacity=10_000)(lambda n: True)
    for n in range(200):
        known.set(n)
        cache.set(f"other:{n}", n)
    assert all(known(n) for n in range(200))


def test_members_are_told_apart_by_type_and_defaults_are_filled_in():
    cache = afresh.SyncCache()
    cache.setup("memory:")

    @cache.bloom(capacity=100, check_false_positive=False)
    def known(a, b=1):
        return True

    known.set(1)
    assert (known(1), known(a=1, b=1), known("1"), known(True)) == (True, True, False, False)


def test_where_the_store_cannot_be_asked_the_function_is(said):
    cache = afresh.SyncCache()
    cache.setup(Down())
    known = cache.bloom(name="n:{n}", capacity=100)(lambda n: n == 1)
    with said:
        assert (known(1), known(2)) == (True, False)
    assert said
    with pytest.raises(afresh.AfreshError):
        known.set(1)


def test_off_the_function_is_asked_and_what_is_set_is_remembered():
    cache = afresh.SyncCache()
    cache.setup("memory:")
    known = cache.bloom(name="n:{n}", capacity=100, check_false_positive=False)(lambda n: n < 5)
    for commands in ((), ("get_bits",), ("incr_bits",)):
        cache.disable(*commands)
        assert known(1) is True
        known.set(len(commands))
        cache.enable(*commands)
    assert (known(0), known(1), known(2)) == (True, True, False)


def test_processes_fill_one_filter(store, apart):
    script = apart.write(
        "work.py",
        """
        import sys, afresh
        cache = afresh.SyncCache()
        cache.setup("store")
        known = cache.bloom(name="n:{n}", capacity=1000)(lambda n: True)
        for n in range(50):
            known.set(int(sys.argv[1]) * 50 + n)
        """,
    )
    children = [apart.start(str(script), str(n)) for n in range(3)]
    assert [child.communicate(timeout=100)[1] for child in children] == ["", "", ""]
    cache = afresh.SyncCache()
    cache.setup(store)
    known = cache.bloom(name="n:{n}", capacity=1000)(lambda n: True)
    assert all(known(n) for n in range(150)) and not all(known(n) for n in range(150, 1000))


# Two filters


@pytest.fixture(params=["memory", "sqlite"])
def cache(request, store):
    cache = afresh.SyncCache()
    cache.setup("memory:" if request.param == "memory" else store)
    return cache


def test_both_answers_are_remembered(cache):
    asked = []

    @cache.dual_bloom(name="n:{n}", capacity=1000)
    def even(n):
        asked.append(n)
        return n % 2 == 0

    first = [even(n) for n in range(100)]
    assert first == [n % 2 == 0 for n in range(100)]
    assert [even(n) for n in range(100)] == first
    assert len(asked) < 110


def test_what_was_recorded_is_never_answered_wrongly():
    cache = afresh.SyncCache()
    cache.setup("memory:")
    even = cache.dual_bloom(name="n:{n}", capacity=(50, 500), false=(20, 1))(lambda n: n % 2 == 0)
    recorded = {}
    for n in range(600):
        # Far beyond the capacity for yes: what is not known yet may be answered wrongly, what is recorded may not.
        before = even.__wrapped__(n)
        if even(n) == before:
            recorded[n] = before
    known = [n for n in recorded if n < 40]
    assert [even(n) for n in known] == [recorded[n] for n in known]


def test_awaited_answers_are_remembered_too(store):
    cache = afresh.Cache()
    cache.setup(store)
    asked = []

    @cache.dual_bloom(name="n:{n}", capacity=100)
    async def even(n):
        asked.append(n)
        await asyncio.sleep(0.01)
        return n % 2 == 0

    async def main():
        together = await asyncio.gather(*(even(2) for _ in range(20)))
        return together, await even(3), await even(3), await even(2)

    assert asyncio.run(main()) == ([True] * 20, False, False, True)
    assert asked == [2, 3]


def test_without_collisions_fewer_answers_are_remembered(cache):
    asked = []

    @cache.dual_bloom(name="n:{n}", capacity=30, false=10, no_collisions=True)
    def yes(n):
        asked.append(n)
        return True

    for n in range(300):
        yes(n)
    first = len(asked)
    for n in range(300):
        yes(n)
    assert first > 200 and len(asked) > first, "what would have shared a place is computed again"
