"""`Memo.why`: what would become of a call, told without running anything."""

import threading
import time

import pytest

import afresh
from afresh import why


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Imports a module `etl` anew from the text given."""
    import importlib
    import linecache
    import sys

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(text):
        (tmp_path / "etl.py").write_text(text)
        importlib.invalidate_caches()
        linecache.clearcache()
        sys.modules.pop("etl", None)
        return importlib.import_module("etl")

    yield load
    sys.modules.pop("etl", None)


ETL = """\
import afresh

RATE = 2


def clean(x):
    return x + 1


@afresh.memo(store={store!r})
def run(x, y=0):
    return clean(x) * RATE
"""


def test_a_hit_says_who_and_when(store, runs):
    @afresh.memo(store=store)
    def double(x):
        runs.mark()
        return 2 * x

    assert double.why(2).kind == "miss" and runs.count == 0
    double(2)
    found = double.why(x=2)
    assert found.kind == "hit" and found.commit.function == double.name and runs.count == 1
    assert str(found).startswith("hit: computed ") and f"(commit {found.commit.short_hash})" in str(found)
    assert f"by {found.commit.user}@{found.commit.host} in " in str(found)
    assert repr(found) == str(found) == found.text
    # To ask is not to be answered.
    assert afresh.Client(store).stats().hits == 0


def test_a_miss_says_what_differs(store):
    @afresh.memo(store=store)
    def area(width, height=1):
        return width * height

    assert str(area.why(1)) == "miss: never computed, nor is any other call of the function on record"
    assert area.why(1).commit is None
    area(1)
    area(5, 5)
    found = area.why(2)
    assert str(found).splitlines()[0] == "miss: argument `width` differs: 1 → 2"
    assert "never computed; nearest: commit " + found.commit.short_hash in str(found)
    assert " → 7; argument `height` differs: " in str(area.why(7, 7))


def test_values_that_look_alike_are_told_as_such(store):
    class Odd:
        def __init__(self, inside):
            self.inside = inside

        def __repr__(self):
            return "<odd>"

    @afresh.memo(store=store)
    def look(x):
        return 1

    look([*range(1000), 1])
    first = str(look.why([*range(1000), 2])).splitlines()[0]
    assert first.startswith("miss: argument `x` differs: ")


def test_a_helper_that_changed_is_named_with_its_source(project, store):
    text = ETL.format(store=store)
    project(text).run(1)
    edited = project(text.replace("x + 1", "x + 2"))
    found = edited.run.why(1)
    first, second, *diff = str(found).splitlines()
    assert first == "miss: same arguments; helper `etl.clean` changed (etl.py:6)"
    assert second.startswith("  computed before: commit ")
    assert diff[-2:] == ["-    return x + 1", "+    return x + 2"]
    both = str(edited.run.why(2)).splitlines()[0]
    assert both == "miss: helper `etl.clean` changed (etl.py:6); argument `x` differs: 1 → 2"


def test_data_that_changed_is_named(project, store):
    text = ETL.format(store=store)
    project(text).run(1)
    found = str(project(text.replace("RATE = 2", "RATE = 3")).run.why(1))
    assert "RATE" in found.splitlines()[0] and found.splitlines()[-2:] == ["-2", "+3"]


def test_a_long_diff_is_cut(project, store):
    text = ETL.format(store=store)
    project(text).run(1)
    body = "".join(f"    x += {n}\n" for n in range(200))
    found = str(project(text.replace("    return x + 1\n", body + "    return x\n")).run.why(1))
    assert len(found.splitlines()) == why.MOST_LINES + 3 and found.endswith(" more lines")


def test_another_version_is_told(store):
    def double(x):
        return 2 * x

    afresh.memo(store=store, version="1")(double)(1)
    found = afresh.memo(store=store, version="2")(double).why(1)
    assert str(found).startswith("miss: same arguments; version: '1' → '2'")


def test_what_expired_says_since_when(store):
    @afresh.memo(store=store)
    def now(x):
        return x

    now(1)
    time.sleep(0.02)
    found = now.with_options(ttl=0.01).why(1)
    assert found.kind == "expired" and str(found).startswith("expired ") and " ago: computed " in str(found)


def test_a_call_that_ran_in_vain_says_how(store):
    @afresh.memo(store=store, when=lambda value: value > 0)
    def check(x):
        if x == 3:
            raise ValueError("no\x1b[31m")
        return x

    with pytest.raises(ValueError):
        check(3)
    assert str(check.why(3)).startswith("miss: failed last time: ValueError: no\\x1b[31m (commit ")
    check(-1)
    assert str(check.why(-1)).startswith("miss: the result was not kept: ")
    check(1)
    check.invalidate(1)
    assert str(check.why(1)).startswith("miss: the answer was taken back (commit ")


def test_an_answer_that_is_not_ours_is_told(store):
    def double(x):
        return 2 * x

    afresh.memo(store=store)(double)(1)
    found = afresh.memo(store=store, secret="s")(double).why(1)
    assert found.kind == "unusable" and "not signed with our secret" in str(found)


def test_what_cannot_be_identified_is_named(store, said):
    @afresh.memo(store=store)
    def use(client, n=1):
        return 1

    with said:
        found = use.why(i for i in [1])
        assert found.kind == "uncached" and "argument `client`: generator" in str(found)
        found = use.why(threading.Lock())
        assert found.kind == "miss" and "  opaque: argument `client`: " in str(found)
    with pytest.raises(TypeError, match="not arguments of"):
        use.why(1, 2, 3)


def test_options_that_make_it_run_anyway_are_told(store):
    @afresh.memo(store=store)
    def double(x):
        return 2 * x

    double(1)
    assert str(double.with_options(force=True).why(1)).splitlines()[1].startswith("  force=True: ")


def test_coroutine_functions_are_explained_without_awaiting(store):
    import asyncio

    @afresh.memo(store=store)
    async def half(x):
        return x / 2

    asyncio.run(half(2))
    assert half.why(2).kind == "hit" and half.why(4).kind == "miss"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0000085, "8 µs"), (0.012, "12 ms"), (1.25, "1.2 s"), (41.2, "41 s"), (60, "1 minute"), (7300, "2 hours"),
     (86400 * 800, "800 days")],
)  # fmt: skip
def test_spans_read_well(seconds, text):
    assert why._span(seconds) == text


def test_of_two_lambdas_the_one_that_changed_is_shown(project, store):
    text = f"""\
import afresh

first = lambda x: x + 1
steps = [lambda x: x * 2, lambda x: x * 3]


@afresh.memo(store={store!r})
def run(x):
    return [first(x), *(step(x) for step in steps)]
"""
    project(text).run(1)
    diff = str(project(text.replace("x * 2", "x * 5")).run.why(1)).splitlines()[2:]
    assert any(line.startswith("-") and "x * 2" in line for line in diff), diff
    assert any(line.startswith("+") and "x * 5" in line for line in diff), diff
