"""Answers kept in the process, in front of the store: typed exactly, never stale, a value of one's own for everyone."""

import gc
import os
import sys
import time

import pytest

import afresh

OFFSET = 1
TABLE = {"a": 1}


def warm(function, *args, **kwargs):
    """Calls until the answer comes from memory: the first call computes, the second asks the store."""
    return [function(*args, **kwargs) for _ in range(3)][-1]


def test_arguments_are_told_apart_by_type(store):
    @afresh.memo(store=store)
    def kind(x):
        return f"{type(x).__name__} {x!r}"

    values = [1, 1.0, True, 0, 0.0, -0.0, False, None, "1", b"1", 2**70, -(2**70), "", b"", ..., "é", 10**5]
    for _ in range(3):
        for value in values:
            assert kind(value) == f"{type(value).__name__} {value!r}"


def test_subclasses_of_scalars_are_not_their_scalars(store):
    class Loud(str):
        def __repr__(self):
            return "loud"

    class Count(int):
        pass

    @afresh.memo(store=store)
    def kind(x):
        return type(x).__name__

    for _ in range(3):
        assert kind("a") == "str" and kind(Loud("a")) == "Loud"
        assert kind(1) == "int" and kind(Count(1)) == "Count"


def test_ways_of_calling_are_one_entry(store, runs):
    @afresh.memo(store=store, ignore="verbose")
    def area(width, height=2, *, unit="m", verbose=False):
        runs.mark()
        return f"{width * height} {unit}"

    for _ in range(3):
        assert area(3) == area(width=3) == area(3, 2) == area(height=2, width=3) == "6 m"
        assert area(3, unit="m", verbose=True) == "6 m"
        assert area(3, unit="k") == "6 k"
    assert runs.count == 2
    with pytest.raises(TypeError):
        area(3, 2, 1)
    with pytest.raises(TypeError):
        area(3, width=3)
    with pytest.raises(TypeError):
        area(3, depth=1)
    with pytest.raises(TypeError):
        area()


def test_names_that_misbehave_reach_the_function(store):
    class Name(str):
        def __eq__(self, other):
            raise RuntimeError("no")

        __hash__ = str.__hash__

    @afresh.memo(store=store)
    def one(x=1):
        return x

    warm(one)
    with pytest.raises((TypeError, RuntimeError)):
        one(**{Name("y"): 1})
    assert one() == 1


def test_everyone_gets_a_value_of_their_own(store):
    @afresh.memo(store=store)
    def make(x):
        return [x, {"deep": [x]}]

    first = warm(make, 1)
    first[1]["deep"].append("spoilt")
    assert make(1) == [1, {"deep": [1]}]

    @afresh.memo(store=store)
    def nested(x):
        return (x, [x])

    warm(nested, 1)[1].append("spoilt")
    assert nested(1) == (1, [1])


def test_a_change_is_seen_at_the_very_next_call(store):
    def helper(x):
        return x + 1

    space = {"helper": helper, "OFFSET": 1}
    exec("def total(x):\n    return helper(x) + OFFSET\n", space)
    total = afresh.memo(space["total"], store=store)
    assert warm(total, 1) == 3
    space["OFFSET"] = 10
    assert total(1) == 12
    space["OFFSET"] = 1
    assert total(1) == 3
    helper.__code__ = (lambda x: x + 100).__code__
    assert total(1) == 102
    space["len"] = 1
    assert total(1) == 102


def test_a_change_through_a_hot_store_is_seen(store):
    module = sys.modules[__name__]

    @afresh.memo(store=store)
    def total(x):
        return x + OFFSET

    def rebind(value):
        module.OFFSET = value

    try:
        warm(total, 1)
        for value in range(200):
            rebind(value)
            assert total(1) == 1 + value
    finally:
        module.OFFSET = 1


def test_data_that_changes_in_place_is_seen(store):
    @afresh.memo(store=store)
    def total(x):
        return x + TABLE["a"]

    try:
        warm(total, 1)
        TABLE["a"] = 5
        assert total(1) == 6
    finally:
        TABLE["a"] = 1
    assert total(1) == 2


def test_a_lifetime_ends_in_memory_too(store, runs):
    @afresh.memo(store=store, ttl=0.3)
    def now():
        runs.mark()
        return runs.count

    assert warm(now) == 1
    time.sleep(0.35)
    assert now() == 2
    long = afresh.memo(now.__wrapped__, store=store, ttl=2)
    assert warm(long) == 2
    time.sleep(2.1)
    assert long() == 3


OTHER = """
    import afresh, sys
    client = afresh.Client("store")
    what = sys.argv[1]
    if what == "invalidate":
        client.invalidate("team=a")
    elif what == "gc":
        client.gc(older_than="0s", grace="0s")
    elif what == "clear":
        client.clear()
    elif what == "force":
        import work
        work.value.refresh(1)
    """

WORK = """
    import afresh, os, subprocess, sys

    @afresh.memo(store="store", tags="team=a")
    def value(x):
        with open("runs", "a") as file:
            file.write("x")
        return os.path.getsize("runs")

    if __name__ == "__main__":
        for what in ["invalidate", "gc", "clear", "force"]:
            for _ in range(4):
                before = value(1)
            subprocess.run([sys.executable, "other.py", what], check=True)
            print(what, value(1) - before)
    """


def test_what_another_process_takes_back_is_seen_at_the_next_call(apart):
    apart.write("other.py", OTHER)
    apart.write("work.py", WORK)
    done = apart.run("work.py")
    assert done.stdout.split("\n")[:4] == ["invalidate 1", "gc 1", "clear 1", "force 1"], done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on_by_itself(store, runs):
    @afresh.memo(store=store)
    def double(x):
        runs.mark()
        return [2 * x]

    warm(double, 4)
    child = os.fork()
    if child == 0:
        os._exit(0 if double(4) == [8] and double.invalidate(4) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert double(4) == [8] and runs.count == 2


def test_uses_are_counted(client, store):
    @afresh.memo(store=store)
    def one(x):
        return x

    for _ in range(101):
        one(1)
    assert client.stats().hits == 100


def test_memory_is_bounded(tmp_path):
    @afresh.memo(store=f"sqlite:{tmp_path / 'store'}?near=1MB")
    def block(n):
        return bytes(10_000)

    def kept():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    for n in range(50):
        warm(block, n)
    before = kept()
    for n in range(3_000):
        warm(block, n)
    assert kept() - before < 15_000_000, "30 MB went through"


def test_nothing_is_kept_where_nothing_may_be(tmp_path):
    @afresh.memo(store=f"sqlite:{tmp_path / 'store'}?near=0")
    def one(x):
        return object.__new__(object) and str(x) * 100

    values = {id(one(1)) for _ in range(2)} | {id(one(1))}
    held = [one(1), one(1)]
    assert held[0] == held[1] and held[0] is not held[1] and values


def test_a_bad_size_says_what_a_size_is(tmp_path):
    with pytest.raises(afresh.ConfigError, match="size"):
        afresh.Client(f"sqlite:{tmp_path / 'store'}?near=lots")
    with pytest.raises(afresh.ConfigError, match="no option"):
        afresh.Client(f"sqlite:{tmp_path / 'store'}?far=1MB")
