"""Defects of cashews, one test each and named as in the list of them; what other files test is in README.md."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from base64 import urlsafe_b64encode

import pytest
from doubles import Down

import afresh
from afresh.cache import NOT_NONE, LockedError

pytestmark = pytest.mark.filterwarnings("ignore:.*is made within another function")

SINGLE = {
    "cache": lambda cache: cache.cache(ttl=60, key="k:{a}"),
    "lock": lambda cache: cache.cache(ttl=60, key="k:{a}", lock=True),
    "early": lambda cache: cache.early(ttl=60, key="k:{a}"),
    "soft": lambda cache: cache.soft(ttl=60, key="k:{a}"),
    "hit": lambda cache: cache.hit(ttl=60, cache_hits=9, key="k:{a}"),
    "dynamic": lambda cache: cache.dynamic(ttl=60, key="k:{a}"),
    "failover": lambda cache: cache.failover(ttl=60, key="k:{a}"),
}


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("who", [0, 3])
def test_t02_one_cancelled_client_cancels_nobody_else(cache, name, who):
    """Waiters await the first caller's task unshielded: one that is cancelled cancels all five."""
    runs = []

    @SINGLE[name](cache)
    async def slow(a):
        runs.append(a)
        await asyncio.sleep(0.1)
        return [a]

    async def main():
        calls = [asyncio.create_task(slow(1)) for _ in range(5)]
        await asyncio.sleep(0.03)
        calls[who].cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    given = asyncio.run(main())
    assert isinstance(given.pop(who), asyncio.CancelledError)
    assert given == [[1]] * 4
    assert len(runs) == (2 if who == 0 else 1)


def test_t02_one_impatient_client_costs_the_patient_nothing(cache):
    """A timeout of one client is a CancelledError for the others."""

    @cache.cache(ttl=60, key="k")
    async def slow():
        await asyncio.sleep(0.1)
        return "value"

    async def main():
        return await asyncio.gather(asyncio.wait_for(slow(), 0.03), *(slow() for _ in range(4)), return_exceptions=True)

    impatient, *patient = asyncio.run(main())
    assert isinstance(impatient, asyncio.TimeoutError) and patient == ["value"] * 4


PAIRS = [
    (1, "1"), (True, "true"), (None, ""), ([1, 2], "1:2"), ((1, 2), [1, 2]), ({"a": 1}, ["a", 1]), (b"x", "x"), ([], ""),
    ({}, None), ([[1], 2], [1, [2]]), (1, True), (0.0, False), ("~1", "1"), ("!none", None),
]  # fmt: skip


@pytest.mark.parametrize("key", [None, "k:{a}"], ids=["made", "template"])
@pytest.mark.parametrize(("one", "other"), PAIRS, ids=repr)
def test_t04_two_values_that_look_alike_are_two_calls(cache, key, one, other):
    """Generated keys join ``str()`` forms: the second call gets the first's answer."""

    @cache.sync.cache(ttl=60, key=key)
    def typed(a):
        return repr(a)

    assert (typed(one), typed(other), typed(one)) == (repr(one), repr(other), repr(one))


def test_t04_fields_do_not_run_into_each_other(cache):
    """``f("a", "b")`` and ``f("a:b")``, and a template of two fields, share keys."""

    @cache.sync.cache(ttl=60, key="u:{a}:{b}")
    def pair(a, b):
        return a, b

    @cache.sync.cache(ttl=60)
    def several(*args, **kwargs):
        return args, kwargs

    assert (pair("1:2", "3"), pair("1", "2:3")) == (("1:2", "3"), ("1", "2:3"))
    assert (several("a", "b"), several("a:b")) == ((("a", "b"), {}), (("a:b",), {}))
    assert (several(x="1:y:2"), several(x="1", y="2")) == (((), {"x": "1:y:2"}), ((), {"x": "1", "y": "2"}))


def test_t04_defaults_are_part_of_the_call(cache):
    """``f(a=2)`` with b=10 and ``f(a=2, b=None)`` share a key; one call spelled four ways runs twice."""
    runs = []

    @cache.sync.cache(ttl=60)
    def f(a, b=10):
        runs.append((a, b))
        return a, b

    assert (f(a=2), f(a=2, b=None)) == ((2, 10), (2, None))
    assert f(2) == f(2, 10) == f(a=2, b=10) == f(2, b=10) == (2, 10)
    assert runs == [(2, 10), (2, None)]


def test_t04_objects_that_are_gone_answer_nobody(cache, said):
    """199 of 200 calls with short-lived objects return a dead object's value: the address is the key."""

    class Plain:
        def __init__(self, number):
            self.number = number

        @cache.sync.cache(ttl=60)
        def mine(self):
            return self.number

    @cache.sync.cache(ttl=60)
    def of(thing):
        return thing.number

    with said:
        assert [of(Plain(number)) for number in range(200)] == list(range(200))
        assert [Plain(number).mine() for number in range(200)] == list(range(200))


def test_t04_sets_have_one_key_in_every_process(store, apart):
    """A set's key differs between processes."""
    script = apart.write(
        "work.py",
        """
        import sys, afresh
        cache = afresh.SyncCache()
        cache.setup("store")
        @cache.cache(ttl=60)
        def f(a): print("ran"); return len(a)
        @cache.cache(ttl=60, key="k:{a}")
        def g(a): print("ran"); return len(a)
        f({"a", "b", "c", 1, None}), g({"a", "b", "c", 1, None}), f({1: 2, "x": 3}), g(frozenset("xyz"))
        """,
    )
    for seed, ran in (("1", 4), ("2", 0), ("3", 0)):
        apart.env["PYTHONHASHSEED"] = seed
        assert apart.run(str(script)).stdout.count("ran") == ran


def test_t06_a_tag_finds_the_long_after_the_short(cache):
    """The tag set has the lifetime of the last key added: the long-lived key is no longer found."""
    cache.sync.set("long", 1, expire=1000, tags=["t"])
    cache.sync.set("short", 1, expire=0.05, tags=["t"])
    time.sleep(0.08)
    cache.sync.delete_tags("t")
    assert not cache.sync.exists("long")


def test_t06_a_tag_finds_its_keys_after_any_number_of_others():
    """The tag set is an entry like others: evicted, its keys survive ``delete_tags``."""
    cache = afresh.SyncCache()
    cache.setup("memory:", entries=100)
    cache.set("hot", 1, tags=["t"])
    for number in range(2000):
        cache.set(f"other:{number}", number)
        assert cache.get("hot") == 1
    cache.delete_tags("t")
    assert not cache.exists("hot")


def test_t06_a_tag_finds_what_was_tagged_at_the_same_time(cache, at_once):
    """Unlocked updates of the tag set: 199 of 200 keys survive."""
    at_once(20, lambda n: [cache.sync.set(f"k:{n}:{i}", i, tags=["t"]) for i in range(10)])
    assert cache.sync.get_keys_count() == 200
    cache.sync.delete_tags("t")
    assert list(cache.sync.scan("*")) == []


def test_t07_only_the_owner_releases_a_lock(cache):
    """``unlock`` ignores the owner: A's lock ends, B enters, A leaves, C enters while B is inside."""
    a, b = cache.sync.lock("l", 0.05), cache.sync.lock("l", 60)
    a.__enter__()
    b.__enter__()
    a.__exit__(None, None, None)
    assert cache.sync.is_locked("l")
    with pytest.raises(LockedError), cache.sync.lock("l", 60, wait=False):
        pass
    b.__exit__(None, None, None)
    assert not cache.sync.is_locked("l")


def test_t07_a_lock_is_granted_once_among_processes(store, apart):
    """Looking and setting are two steps: 79 to 123 of 300 locks are granted more than once."""
    script = apart.write(
        "work.py",
        """
        import os, sys, time, afresh
        cache = afresh.SyncCache()
        cache.setup("store")
        while not os.path.exists("go"): time.sleep(0.001)
        print(*[n for n in range(300) if cache.set_lock(f"l:{n}", sys.argv[1], 600)])
        """,
    )
    children = [apart.start(str(script), str(n)) for n in range(4)]
    (apart.folder / "go").write_text("")
    granted = [int(n) for child in children for n in child.communicate(timeout=100)[0].split()]
    assert sorted(granted) == list(range(300))


def test_t07_a_lock_that_has_ended_blocks_nobody(cache):
    """An expired lock blocks until a purge, for ever without one, spinning meanwhile."""
    assert cache.sync.set_lock("l", "gone", 0.05)
    with cache.sync.lock("l", 60, wait=5):
        pass


@pytest.mark.parametrize("value", [-3, -1, 0, -(2**62), 2**80])
def test_t09_a_negative_number_is_an_answer(cache, value):
    """A function that returns -3 runs five times in five calls."""
    runs = []

    @cache.sync.cache(ttl=60, key="k")
    def f():
        runs.append(1)
        return value

    assert [f() for _ in range(5)] == [value] * 5 and len(runs) == 1


def test_t09_an_enum_comes_back_as_what_it_was(cache):
    """An IntEnum is stored as its digits."""
    from http import HTTPStatus

    cache.sync.set("k", HTTPStatus.NOT_FOUND)
    assert cache.sync.get("k") is HTTPStatus.NOT_FOUND


def test_t09_no_set_of_many_processes_is_lost(store, apart):
    """Four processes that write at once: 101 to 164 of 2,000 sets each return False and are not stored."""
    script = apart.write(
        "work.py",
        """
        import sys, afresh
        cache = afresh.SyncCache()
        cache.setup("store")
        print(sum(cache.set(f"{sys.argv[1]}:{n}", n) for n in range(250)))
        """,
    )
    children = [apart.start(str(script), str(n)) for n in range(4)]
    assert [child.communicate(timeout=100)[0].strip() for child in children] == ["250"] * 4
    cache = afresh.SyncCache()
    cache.setup(store)
    assert cache.get_keys_count() == 1000


def test_t09_what_has_expired_can_be_set_again(cache):
    """``set`` without an end on an expired key is True, and nothing is there."""
    cache.sync.set("k", 1, expire=0.02)
    time.sleep(0.04)
    assert cache.sync.set("k", [2]) and cache.sync.get("k") == [2]


STREAMS = [[1, 0, 2, None, 3], [None], [], [0], ["", "a", False]]


@pytest.mark.parametrize("pieces", STREAMS, ids=repr)
def test_t10_a_replay_does_not_stop_at_a_falsy_piece(cache, pieces):
    """Live [1, 0, 2, None, 3], replayed [1]."""
    runs = []

    @cache.sync.iterator(ttl=60, key="k")
    def stream():
        runs.append(1)
        yield from pieces

    assert list(stream()) == list(stream()) == pieces and len(runs) == 1


def test_t10_a_shorter_stream_has_no_tail_of_the_longer(cache):
    """Live [1, 2] after [1, 2, 3] was deleted, replayed [1, 2, 3]."""
    pieces = [1, 2, 3]

    @cache.sync.iterator(ttl=60, key="k")
    def stream():
        yield from pieces

    list(stream())
    pieces.pop()
    cache.sync.delete_match("*k")
    assert list(stream()) == list(stream()) == [1, 2]


def test_t11_a_claim_of_any_token_can_be_a_key(cache):
    """``{token:jwt(client_id)}`` raises at decoration; called, it fails on 40 of 60 ordinary tokens."""

    @cache.sync.cache(ttl=60, key="user:{token:jwt(client_id)}")
    def f(token):
        return token

    def token(claims):
        payload = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return f"h.{payload}.s"

    tokens = [token({"client_id": "c" * n, "more": n}) for n in range(1, 61)]
    assert [f(one) for one in tokens] == tokens
    assert f(token({"client_id": 7})) == token({"client_id": 7})
    for malformed in ("", "a.b.c", "..", "h.é.s", None, 3):
        f(malformed)


@pytest.mark.parametrize("foreign", [b"", b"7", b"sum:12_x", b"\xff\xfe", b"\x1f\x8b\x08", b"\x01"], ids=repr)
def test_t12_a_foreign_value_is_a_miss_and_never_an_exception(store, foreign, said):
    """A tampered value raises out of the decorated function, without calling it, until the ttl ends; one that names an
    easy algorithm is believed."""

    class Bytes:
        def dumps(self, value):
            return value

        def loads(self, data):
            return data

    attacker, victim = afresh.SyncCache(), afresh.SyncCache()
    attacker.setup(store, codec=Bytes())
    victim.setup(store, secret="x" * 32)
    attacker.set("k", foreign)

    @victim.cache(ttl=60, key="k")
    def f():
        return ["computed"]

    with said:
        assert f() == ["computed"]
        assert f() == ["computed"]
    attacker.set("n", 7)
    assert victim.get("n", "absent") == "absent"


def test_t14_of_four_processes_one_computes(apart, runs):
    """Across 4 processes of 25 tasks: four runs."""
    script = apart.write(
        "work.py",
        f"""
        import asyncio, os, time, afresh
        cache = afresh.Cache()
        cache.setup("store")
        @cache.cache(ttl=60, key="k", lock=True)
        async def f():
            open({runs.path!r}, "a").write("x")
            await asyncio.sleep(0.3)
            return [1]
        async def main():
            print(await asyncio.gather(*(f() for _ in range(25))) == [[1]] * 25)
        while not os.path.exists("go"): time.sleep(0.001)
        asyncio.run(main())
        """,
    )
    children = [apart.start(str(script)) for _ in range(4)]
    (apart.folder / "go").write_text("")
    assert [child.communicate(timeout=60)[0].strip() for child in children] == ["True"] * 4
    assert runs.count == 1


def test_t14_a_failure_under_a_lock_is_one_run(cache, at_once):
    """With ``lock=True`` ten callers of a failing function run it ten times, one after another."""
    runs = []

    @cache.sync.cache(ttl=60, key="k", lock=True)
    def failing():
        runs.append(1)
        time.sleep(0.1)
        raise OSError("down")

    given = at_once(10, lambda n: failing())
    assert [type(error) for error in given] == [OSError] * 10 and len(runs) == 1
    assert len({id(error) for error in given}) == 10


def test_t14_get_or_set_computes_once(cache, at_once):
    """100 callers of ``get_or_set``: 100 runs."""
    runs = []

    def make():
        runs.append(1)
        time.sleep(0.05)
        return [1]

    assert at_once(30, lambda n: cache.sync.get_or_set("k", make)) == [[1]] * 30 and len(runs) == 1


def test_t15_a_hit_takes_no_lock(cache):
    """``lock=True`` takes the lock around hits too, and so makes readers wait for each other."""

    @cache.sync.cache(ttl=60, key="k", lock=True)
    def f():
        return 1

    f()
    with cache.sync.lock("k", 60):
        assert f() == 1


def test_t18_a_hit_is_the_caller_s_own(cache):
    """Changing what a decorated function returned changes the cache."""

    @cache.sync.cache(ttl=60, key="k")
    def f():
        return {"a": [1]}

    for _ in range(3):
        got = f()
        assert got == {"a": [1]}
        got["a"].append(2)
        got["b"] = 1


def test_t21_event_loops_follow_one_another_and_run_side_by_side(cache, at_once):
    """The second ``asyncio.run`` raises "Event loop is closed"; loops in threads raise RuntimeError."""
    runs = []

    @cache.cache(ttl=60, key="k:{n}")
    async def f(n):
        runs.append(n)
        await asyncio.sleep(0.05)
        return [n]

    for n in range(3):
        assert asyncio.run(f(n)) == [n]
        asyncio.run(cache.set(f"own:{n}", n))
    assert at_once(4, lambda _: asyncio.run(f(9))) == [[9]] * 4
    assert runs == [0, 1, 2, 9]


def test_t23_a_store_that_hangs_up_costs_no_call(said):
    """Down, the library raises or waits again with each call."""

    cache = afresh.SyncCache()
    cache.setup(Down())

    @cache.cache(ttl=60, key="k")
    def f():
        return "value"

    with said:
        assert [f() for _ in range(50)] == ["value"] * 50
        assert cache.get("k", "absent") == "absent" and cache.set("k", 1) is False
    assert 1 <= len(said) <= 2, "once for each of reading and storing, not once for each call"


def test_t24_a_time_condition_leaves_the_condition_in_force(cache):
    """``time_condition`` silently discards ``condition=NOT_NONE``."""

    @cache.sync.cache(ttl=60, key="k", condition=NOT_NONE, time_condition=0.001)
    def nothing():
        time.sleep(0.01)

    nothing()
    assert not cache.sync.exists("k")


def test_t24_a_condition_may_answer_with_any_truth(cache):
    """A condition that answers 1, or a match object, stores nothing."""

    @cache.sync.cache(ttl=60, key="k", condition=lambda result, args, kwargs, key: "yes")
    def f():
        return 1

    f()
    assert cache.sync.get("k") == 1


def test_t24_what_cannot_be_stored_is_still_returned(cache, said):
    """An unpicklable result: the call raises, and the result is lost."""

    @cache.sync.cache(ttl=60, key="k")
    def f():
        return threading.Lock()

    with said:
        assert f().locked() is False
    assert any("will be computed again" in text for text in said)


def test_t24_the_number_of_calls_leaves_nothing_behind(cache):
    """Tags with ``upper`` add a regular expression a call: 1,001 after 1,000."""

    @cache.sync.cache(ttl=60, key="k:{a}", tags=["t:{a}"])
    def f(a):
        return a

    f(1)
    before = {name: len(value) for name, value in vars(cache.sync._flights).items() if hasattr(value, "__len__")}
    for _ in range(100):
        f(1)
    assert {name: len(value) for name, value in vars(cache.sync._flights).items() if hasattr(value, "__len__")} == before


@pytest.mark.parametrize("text", ["1h30", "1.5.2h", "h", "1x", "-5", "--"])
def test_ttl_text_that_is_half_understood_is_refused(cache, text):
    """``"1h30"`` is an hour: what trails is dropped silently."""
    with pytest.raises(afresh.ConfigError):
        cache.sync.set("k", 1, expire=text)


def test_a_counter_that_begins_with_five_has_its_end(cache):
    """``incr(k, 5, expire=...)`` never expires: the end is only set when the result is exactly 1."""
    cache.sync.incr("n", 5, expire=60)
    assert 0 < cache.sync.get_expire("n") <= 60


def test_an_address_with_what_is_unknown_is_refused():
    """Unknown parameters of ``mem://`` are silently ignored."""
    for url in ("memory:?sizes=5", "memory:?entries=many", "nothing://x"):
        with pytest.raises(afresh.ConfigError):
            afresh.SyncCache().setup(url)


def test_an_action_that_is_awaited_is_awaited(cache):
    """An asynchronous ``action`` of a rate limit comes back as a coroutine that nobody awaits."""

    async def instead():
        return "later"

    @cache.rate_limit(limit=1, period=60, action=instead, key="k")
    async def f():
        return "now"

    async def main():
        return [await f(), await f()]

    assert asyncio.run(main()) == ["now", "later"]


def test_a_detector_sees_its_own_cache_and_keeps_no_values(store):
    """Detectors see the hits of every cache of the process, and keep their values alive."""
    one, other = afresh.SyncCache("one"), afresh.SyncCache("other")
    for cache in (one, other):
        cache.setup(store)
        cache.set("k", ["value"])

    @other.cache(ttl=60, key="k")
    def f():
        return None

    with one.detect() as ours, other.detect() as theirs:
        assert f() == ["value"]
    assert ours.calls == [] and theirs.keys == ["k"]
    assert not any(isinstance(part, list) for part in theirs.calls[0])


def test_a_soft_ttl_may_be_computed(cache):
    """A callable ``soft_ttl`` crashes after the function has run."""

    @cache.sync.soft(ttl=60, soft_ttl=lambda: 30, key="k")
    def f():
        return [1]

    assert f() == f() == [1]


def test_a_lock_that_cannot_be_taken_is_not_taken_for_granted():
    """Where the backend cannot be reached, ``lock`` enters without a lock."""

    cache = afresh.SyncCache()
    cache.setup(Down())
    with pytest.raises(afresh.AfreshError), cache.lock("l", 60):
        pytest.fail("nobody may believe to be alone")


def test_early_in_front_gives_the_new_answer(cache):
    """With ``background=False`` the caller waits for the refresh, and gets the old value."""
    runs = []

    @cache.sync.early(ttl=60, early_ttl=0.05, key="k", background=False)
    def f():
        runs.append(1)
        return [len(runs)]

    assert f() == f() == [1]
    time.sleep(0.08)
    assert f() == [2]


def test_t06_whatever_stores_takes_tags(cache):
    """Tags of ``set_many`` and ``get_or_set`` are not supported."""
    cache.sync.set_many({"a": 1, "b": [2]}, tags=["t"])
    cache.sync.get_or_set("c", lambda: [3], tags=["t"])
    cache.sync.delete_tags("t")
    assert cache.sync.get_many("a", "b", "c") == (None, None, None)
