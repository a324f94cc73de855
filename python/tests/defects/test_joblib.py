"""Weak points of joblib.Memory, one test each."""

from __future__ import annotations

import os
import pathlib
import sqlite3

import pytest

import afresh

BODY = """
    N = 1
    def h(x): return x + N
    def f(x):
        '''What it does.'''
        return h(x)
    """


def test_versions_of_a_function_live_side_by_side(project):
    """One version a function: an edit that is undone computes 50 of 50 answers anew."""
    project.write(BODY)
    assert project.call("[f(x) for x in range(3)][1]") == ["2", "ran"]
    project.write(BODY.replace("h(x)\n", "h(x) * 5\n"))
    assert project.call("[f(x) for x in range(3)][1]") == ["10", "ran"]
    project.write(BODY)
    assert project.call("[f(x) for x in range(3)][1]") == ["2", "kept"]


@pytest.mark.parametrize(
    "edit", [("'''What", "'''What exactly"), ("return h(x)", "# here\n        return h( x )"), ("N = 1", "\n    N = 1")]
)
def test_what_does_not_matter_costs_nothing(project, edit):
    """A change of a comment or docstring wipes everything."""
    project.write(BODY)
    assert project.call() == ["2", "ran"]
    project.write(BODY.replace(*edit))
    assert project.call() == ["2", "kept"]


@pytest.mark.parametrize("edit", [("x + N", "x - N"), ("N = 1", "N = -1")], ids=["helper", "global"])
def test_what_a_function_uses_is_seen(project, edit):
    """Changes of helpers, globals and closures are not seen."""
    project.write(BODY)
    assert project.call() == ["2", "ran"]
    project.write(BODY.replace(*edit))
    assert project.call() == ["0", "ran"]


def test_closures_of_one_factory_are_several_functions(store):
    """Two closures of one factory share results: a wrong value."""

    def make(n):
        return afresh.memo(lambda x: x + n, store=store)

    one, other = make(1), make(2)
    assert (one(1), other(1), one(1), make(1).cached(1)) == (2, 3, 2, True)


def test_lambdas_are_told_apart(store, runs, said):
    """Lambdas thrash, with warnings of collisions."""
    one = afresh.memo(lambda x: (runs.mark(), x + 1)[1], store=store)
    other = afresh.memo(lambda x: (runs.mark(), x + 2)[1], store=store)
    with said:
        for _ in range(3):
            assert (one(1), other(1)) == (2, 3)
    assert runs.count == 2 and said == []


def test_a_file_that_is_moved_keeps_its_answers(apart):
    """A move, or a script that is imported, loses the cache."""
    text = 'import afresh\ndef f(x): return x + 1\n'
    apart.write("one.py", text + 'if __name__ == "__main__":\n    print(afresh.memo(f, store="store")(1))\n')
    assert apart.run("one.py").stdout == "2\n"
    ask = "import afresh, {0} as m; print(afresh.memo(m.f, store='store').cached(1))"
    assert apart.run("-c", ask.format("one")).stdout == "True\n"
    (apart.folder / "one.py").rename(apart.folder / "two.py")
    assert apart.run("-c", ask.format("two")).stdout == "True\n"


def test_eight_processes_run_once(eight_at_once):
    """No single flight: 8 of 8 run."""
    assert eight_at_once("afresh.memo(store='store')") == 1


def test_a_frozenset_is_one_argument_for_every_seed(project):
    """Keys of frozensets depend on PYTHONHASHSEED: six runs for six seeds."""
    project.write("def f(x): return len(x)")
    ran = [project.call("f(frozenset('abcdef'))", PYTHONHASHSEED=str(seed))[1] for seed in range(3)]
    assert ran == ["ran", "kept", "kept"]


def test_a_shared_part_is_as_good_as_an_equal_one(store, runs):
    """``[t, t]`` and two equal tuples are different arguments."""
    f = afresh.memo(lambda x: runs.mark(), store=store)
    t, text = (1, [2]), "".join(["a", "b"])
    f([t, t]), f([(1, [2]), (1, [2])]), f([t, (1, [2])])
    assert runs.count == 1
    f([text, text]), f(["ab", "ab"])
    assert runs.count == 2


def test_strides_of_an_array_do_not_matter(store, runs):
    """The digest of an array depends on its strides."""
    np = pytest.importorskip("numpy")
    f = afresh.memo(lambda a: runs.mark(), store=store)
    a = np.arange(12).reshape(3, 4)
    f(a), f(np.asfortranarray(a)), f(np.repeat(a, 2, axis=0)[::2])
    assert runs.count == 1


def test_a_method_can_be_decorated(store):
    """Methods cannot be decorated."""

    class A:
        @afresh.memo(store=store)
        def m(self, x):
            return x + 1

        @staticmethod
        @afresh.memo(store=store)
        def s(x):
            return x + 2

    assert (A().m(1), A.s(1), A().m(1)) == (2, 3, 2)


def test_a_damaged_record_costs_no_value(store, said):
    """A corrupt metadata file raises ``KeyError('time')`` out of the call."""
    f = afresh.memo(lambda x: x * 2, store=store, ttl=60)
    f(2)
    afresh.Client(store).close()
    for database in pathlib.Path(store).rglob("*"):
        if database.is_file() and database.read_bytes()[:6] == b"SQLite":
            with sqlite3.connect(database) as db:
                for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    for _, column, kind, *_ in db.execute(f'PRAGMA table_info("{table}")').fetchall():
                        if kind == "BLOB":
                            db.execute(f'UPDATE OR IGNORE "{table}" SET "{column}" = zeroblob(length("{column}"))')
    with said:
        assert f(2) == 4


def test_a_tiny_entry_is_no_file_of_its_own(store):
    """12.3 KB, two files and a folder for each tiny entry."""
    f = afresh.memo(lambda n: n, store=store)
    f(-1)

    def files():
        return sum(len(names) for _, _, names in os.walk(store))

    before = files()
    for n in range(200):
        f(n)
    assert files() == before


def test_a_large_argument_leaves_little_behind(store):
    """A megabyte as argument is 3.6 MB of repr on disk, parsed at each hit."""
    f = afresh.memo(lambda data: len(data), store=store)
    data = os.urandom(1 << 20)
    f(data)
    afresh.Client(store).close()
    stored = [file for file in pathlib.Path(store).rglob("*") if file.is_file()]
    assert data[:64] not in b"".join(file.read_bytes() for file in stored)
    assert afresh.Client(store).stats().disk_bytes < 1 << 20


class Evil:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def test_a_planted_pickle_does_not_run(tmp_path, monkeypatch, said):
    """Unrestricted pickle: what is planted in the folder is executed."""
    monkeypatch.chdir(tmp_path)
    store = str(tmp_path / "store")
    planter = afresh.SyncCache()
    planter.setup(store)
    planter.set("k", Evil())
    for options in ({"secret": "s3cret"}, {"codec": "safe-pickle"}, {"codec": "json"}):
        cache = afresh.SyncCache()
        cache.setup(store, **options)
        with said:
            assert cache.get("k", "absent") == "absent"
        assert not os.path.exists("owned"), options


def test_importing_is_quick_and_loads_no_numpy(apart):
    """The import takes 176 ms, as it pulls in numpy."""
    heavy = "numpy asyncio pandas concurrent.futures multiprocessing sqlite3 json pickle hashlib".split()
    assert apart(f"import sys, afresh; print([name for name in {heavy} if name in sys.modules])") == "[]\n"
