"""Defects of cachetta, one test each. Those of joblib and diskcache, which the same page lists, are in files of their own."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import inspect
import ipaddress
import os
import pathlib
import shutil
import sys
import time

import pytest

import afresh


def test_two_functions_on_one_store_share_nothing(store):
    """Two functions on one ``hashed`` cache share entries: the function is not in the key."""
    one, other = afresh.memo(lambda x: ("one", x), store=store), afresh.memo(lambda x: ("other", x), store=store)
    assert (one(1), other(1), one(1)) == (("one", 1), ("other", 1), ("one", 1))


def test_instances_do_not_share_answers(store):
    """The receiver is dropped from the key, so that instances share entries."""

    class A:
        def __init__(self, n):
            self.n = n

        @afresh.memo(store=store)
        def m(self, x):
            return self.n + x

    assert (A(1).m(1), A(2).m(1), A(1).m(1)) == (2, 3, 2)


def test_a_stored_none_is_a_hit(store, runs):
    """A stored None counts as a miss: the function runs every time."""
    f = afresh.memo(lambda: runs.mark(), store=store)
    assert [f(), f(), f()] == [None] * 3 and runs.count == 1


PAIRS = [
    ((1, 2), [1, 2]), (decimal.Decimal("1"), "1"), ({1: "a"}, {"1": "a"}), (b"x", "b'x'"), (float("nan"), "NaN"),
    (datetime.date(2020, 1, 1), "2020-01-01"), (True, 1), (1.0, 1), (None, "null"), (pathlib.PurePosixPath("a"), "a"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=repr)
def test_values_that_print_alike_are_two_arguments(store, one, other):
    """The key is a digest of JSON with ``default=str``: a tuple is a list, a Decimal its text, 1 as a key ``"1"``."""
    f = afresh.memo(lambda x: repr(x), store=store)
    assert (f(one), f(other)) == (repr(one), repr(other))


def test_any_dict_is_an_argument(store):
    """Keys of mixed types, tuples as keys and cycles raise."""
    f = afresh.memo(lambda x: len(x), store=store)
    cyclic = [1]
    cyclic.append(cyclic)
    assert [f(x) for x in ({1: 1, "a": 2}, {(1, 2): 3}, cyclic, {None: 1, b"x": 2, 1.5: 3})] == [2, 1, 2, 3]


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int


Named = collections.namedtuple("Named", "a b")
KINDS = [
    Point(1), Named(1, 2), Colour.RED, collections.Counter("aab"), fractions.Fraction(1, 3), OSError(2, "gone"),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), ipaddress.ip_address("::1"),
]  # fmt: skip


@pytest.mark.parametrize("value", KINDS, ids=lambda value: type(value).__name__)
def test_ordinary_values_are_kept(store, runs, value):
    """Dataclasses, named tuples, enums, counters, exceptions ... are blocked when loaded, and so never a hit."""

    def f():
        runs.mark()
        return value

    f = afresh.memo(f, store=store, mode="name")
    first, second = f(), f()
    assert type(second) is type(value) and repr(first) == repr(second) == repr(value) and runs.count == 1


def test_threads_compute_once(store, runs, at_once):
    """Threads and processes are not deduplicated. (Processes: see README.md.)"""

    def f():
        runs.mark()
        time.sleep(0.1)
        return 1

    assert at_once(8, lambda n: afresh.memo(f, store=store)()) == [1] * 8 and runs.count == 1


def test_a_coroutine_function_stays_one(store):
    """``iscoroutinefunction`` is false for decorated coroutine functions."""

    async def f():
        return 1

    remembered = afresh.memo(f, store=store)
    asked = inspect.iscoroutinefunction if sys.version_info >= (3, 12) else asyncio.iscoroutinefunction
    assert asked(remembered) and asyncio.run(remembered()) == 1


@afresh.memo(store="memory:")
def pickled(x):
    return x + 1


def test_a_decorated_function_can_be_pickled(apart):
    """What is decorated cannot be pickled, so no process pool takes it."""
    apart.write("work.py", 'import afresh\n@afresh.memo(store="memory:")\ndef f(x): return x + 1\n')
    assert apart("import pickle, work; print(pickle.loads(pickle.dumps(work.f)) is work.f, work.f(1))") == "True 2\n"


def test_it_looks_like_a_function_to_who_asks(store):
    """What is wrapped has no way to ask or take back: only the cache object has."""
    remembered = afresh.memo(pickled.__wrapped__, store=store)
    assert callable(remembered) and inspect.signature(remembered) == inspect.signature(pickled.__wrapped__)
    assert remembered.cached(1) is False and remembered(1) == 2 and remembered.cached(1) is True


def test_a_mistaken_duration_is_told_at_once(store):
    """``duration=5`` fails with AttributeError at the first call."""
    for mistaken in ("soon", object(), -1, [5]):
        with pytest.raises(afresh.ConfigError):
            afresh.memo(lambda: 1, store=store, ttl=mistaken)
    assert afresh.memo(lambda: 1, store=store, ttl=5)() == 1


def test_any_path_is_a_path(tmp_path, monkeypatch):
    """A ``PurePath`` is taken for a callable, and ``~`` is a folder of that name."""
    monkeypatch.chdir(tmp_path)
    for path in (pathlib.PurePosixPath(tmp_path / "a"), pathlib.Path(tmp_path / "b")):
        assert afresh.memo(lambda: 1, store=path)() == 1
    assert (tmp_path / "a").is_dir() and (tmp_path / "b").is_dir()


def test_a_folder_that_is_deleted_meanwhile_costs_no_value(store, said):
    """If somebody deletes the folder, the next call raises FileNotFoundError."""
    f = afresh.memo(lambda x: x, store=store)
    f(1)
    shutil.rmtree(store)
    with said:
        assert [f(2), f(1), f(2)] == [2, 1, 2]


def test_taking_back_touches_nothing_that_is_not_ours(client, store, tmp_path):
    """``clear()`` follows links to other folders and deletes any old file, its own or not."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "old").write_text("theirs")
    f = afresh.memo(os.urandom, store=store)
    f(300_000)
    (pathlib.Path(store) / "note.txt").write_text("theirs")
    (pathlib.Path(store) / "link").symlink_to(elsewhere)
    (pathlib.Path(store) / "objects-v1" / "link").symlink_to(elsewhere)
    for file in (elsewhere / "old", pathlib.Path(store) / "note.txt"):
        os.utime(file, (0, 0))
    client.gc(older_than=0)
    client.clear()
    assert (elsewhere / "old").read_text() == (pathlib.Path(store) / "note.txt").read_text() == "theirs"


def test_a_temporary_file_of_a_killed_writer_goes(store, apart):
    """Temporary files of killed writers stay."""
    ask = "import afresh; afresh.memo(abs, store='store')(-1)"
    apart.run("-c", ask)
    old, young = pathlib.Path(store) / "tmp" / "left-1-1", pathlib.Path(store) / "tmp" / "young-1-1"
    for file in (old, young):
        file.write_bytes(b"half of it")
    os.utime(old, (0, 0))
    apart.run("-c", ask)
    assert not old.exists() and young.exists(), "a writer that lives keeps its file"


def test_an_exception_of_the_body_is_the_caller_s(store):
    """An exception raised within ``with read_cache(...)`` after a hit surfaces as RuntimeError."""
    cache = afresh.SyncCache()
    cache.setup(store)
    cache.set("k", None)

    @cache.cache(ttl=60, key="k")
    def f():
        return 1

    with pytest.raises(ZeroDivisionError), cache.detect(), cache.lock("l", 60):
        f() or 1 / 0
    assert not cache.is_locked("l")
