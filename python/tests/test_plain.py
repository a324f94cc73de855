"""Misses of which nothing special is asked: the Rust side makes them, and nobody can tell."""

import os
import pickle
import threading

import pytest

import afresh

SCALARS = [
    None, True, False, 0, 1, -1, 255, 256, 65535, 65536, -(2**31), 2**31 - 1, 2**31, -(2**31) - 1, 2**80,
    0.0, -0.0, 1.5, float("inf"), float("nan"), 1e-300,
    "", "a", "ab", "ä€\U0001f600", "x" * 255, "x" * 256, "\ud800", "\0",
    b"", b"a", b"\0" * 255, b"x" * 256, 1j, (), (1, "a"), [1, 2], {"a": [1.5, None]}, "x" * 70_000,
]  # fmt: skip


@pytest.mark.parametrize("value", SCALARS, ids=lambda value: repr(value)[:20])
def test_what_is_stored_is_what_pickle_writes(client, value):
    @client.memo
    def give(_):
        return value

    give(0)
    [commit] = client.log(give.name)
    codec, data, buffers = give._engine().output(commit.hash)
    assert (codec, bytes(data), buffers) == ("pickle", pickle.dumps(value, 5), [])
    assert commit.output.size == len(data)


def test_a_run_that_python_makes_is_recorded_alike(client):
    def give(x):
        return {"x": [x, 2.5, "a"]}

    plain = client.memo(give, tags={"kind": "a"}, ttl=60)
    other = client.memo(give, tags={"kind": "a"}, ttl=60, retries=1, name="other")
    assert plain._plainly() is not None and other._plainly() is None
    plain(3), other(3)
    [a], [b] = client.log(plain.name), client.log("other")
    for what in ("arguments", "status", "tags", "ttl", "output", "value_digest"):
        assert getattr(a, what) == getattr(b, what), what
    assert a.tags == {"kind": "a"} and a.ttl == 60 and a.value_digest is not None


def test_a_value_that_is_no_pickle_is_pickled_once_and_returned(client):
    tries = []

    class Sticky:
        def __reduce__(self):
            tries.append(1)
            raise ValueError("not this one")

    @client.memo
    def give():
        return Sticky()

    with pytest.warns(afresh.CacheWarning, match="a Sticky cannot be stored through the codec `pickle`: not this one"):
        assert isinstance(give(), Sticky)
    assert len(tries) == 1
    [commit] = client.log(give.name)
    assert commit.status == "completed" and commit.output is None and "not this one" in commit.unkept


def test_a_call_that_comes_back_to_itself_runs(client):
    runs = []

    @client.memo
    def around(x):
        runs.append(x)
        return around(x) if len(runs) < 3 else x

    assert around(1) == 1
    assert len(runs) == 3


def test_a_value_that_remembers_is_stored_by_an_outer_one(client):
    @client.memo
    def inner(x):
        return x + 1

    @client.memo
    def outer(x):
        return inner(x) * 2

    assert outer(1) == 4
    assert len(client.log(inner.name)) == len(client.log(outer.name)) == 1


def test_an_interrupt_leaves_nothing_and_lets_the_next_one_run(client):
    stop = [True]

    @client.memo
    def work():
        if stop:
            raise KeyboardInterrupt
        return 1

    with pytest.raises(KeyboardInterrupt):
        work()
    assert client.log(work.name) == []
    stop.clear()
    assert work() == 1


def test_a_thread_that_waited_gets_the_answer(client):
    entered, go = threading.Event(), threading.Event()
    runs = []

    @client.memo
    def slow(x):
        runs.append(x)
        entered.set()
        assert go.wait(10)
        return [x]

    found = []
    first = threading.Thread(target=lambda: found.append(slow(7)))
    first.start()
    assert entered.wait(10)
    second = threading.Thread(target=lambda: found.append(slow(7)))
    second.start()
    go.set()
    first.join(10), second.join(10)
    assert found == [[7], [7]] and runs == [7]
    assert found[0] is not found[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_by_the_function_leaves_the_run_to_its_parent(client):
    @client.memo
    def forks():
        child = os.fork()
        return child

    value = forks()
    if value == 0:
        os._exit(0)
    assert os.waitpid(value, 0)[1] == 0
    assert len(client.log(forks.name)) == 1
    assert forks() == value


def test_a_reference_for_an_ignored_parameter_is_loaded_too(client):
    seen = []

    @client.memo(ignore=("note",))
    def work(x, note):
        seen.append(note)
        return x

    assert work(1, client.submit(lambda: [5])) == 1
    assert seen == [[5]]
