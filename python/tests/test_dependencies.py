"""What is declared in ``depends_on``: files, folders, variables, modules, code and values, in both directions."""

import asyncio
import os
import pathlib
import pickle
import shutil
import sys
import time

import pytest

import afresh


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    place = tmp_path / "project"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def remember(store, runs, *depends_on, **settings):
    @afresh.memo(store=store, depends_on=depends_on, **settings)
    def price(x=1):
        runs.mark()
        return x

    return price


@pytest.mark.parametrize("how", [{}, {"version": "1"}, {"mode": "name"}])
def test_a_file_counts_by_its_content_in_both_directions(store, runs, folder, how):
    rates = folder / "rates.csv"
    price = remember(store, runs, afresh.File("rates.csv"), **how)

    def after(action):
        before = runs.count
        action()
        assert price() == 1
        return runs.count - before

    assert after(lambda: rates.write_text("one")) == 1
    assert after(lambda: None) == 0
    assert after(lambda: os.utime(rates, (1, 1))) == 0
    assert after(lambda: rates.chmod(0o600)) == 0
    assert after(lambda: rates.write_text("two")) == 1
    assert after(lambda: rates.write_text("one")) == 0
    assert after(rates.unlink) == 1
    assert after(lambda: rates.write_text("two")) == 0
    assert after(rates.unlink) == 0
    # Another file of the same content in its place.
    other = folder / "other"
    other.write_text("one")
    assert after(lambda: os.replace(other, rates)) == 0
    # Through a link.
    (folder / "target").write_text("three")
    rates.unlink()
    assert after(lambda: rates.symlink_to("target")) == 1
    assert after(lambda: (folder / "target").write_text("two")) == 0


def test_a_file_that_is_written_within_one_tick_of_the_clock_is_read_again(store, runs, folder):
    rates = folder / "rates.csv"
    price = remember(store, runs, afresh.File(rates))
    for round in range(40):
        rates.write_text(f"{round:04}")
        os.utime(rates, ns=(10**18, 10**18))
        price()
        assert runs.count == round + 1


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="only Linux counts what a process reads")
def test_a_settled_file_is_read_once(folder):
    rates = folder / "rates.csv"
    rates.write_bytes(os.urandom(8 << 20))
    file = afresh.File(rates)

    def read():
        """How many times the file is read when it is asked for."""

        def total():
            with open("/proc/self/io") as counters:
                return int(counters.readline().partition(":")[2])

        before = total()
        file.__afresh_key__()
        return (total() - before) >> 23

    assert (read(), read()) == (1, 1)
    time.sleep(2.1)
    assert (read(), read(), read()) == (1, 0, 0)
    with rates.open("r+b") as handle:
        handle.write(b"x")
    assert (read(), read()) == (1, 1)


def test_a_later_chdir_does_not_make_it_another_file(store, runs, folder):
    (folder / "rates.csv").write_text("one")
    other = folder / "other"
    other.mkdir()
    (other / "rates.csv").write_text("two")
    price = remember(store, runs, afresh.File("rates.csv"))
    price()
    os.chdir(other)
    price()
    assert runs.count == 1
    (folder / "rates.csv").write_text("two")
    price()
    assert runs.count == 2


def test_a_project_that_is_moved_keeps_its_answers(apart, tmp_path):
    text = """
        import afresh
        @afresh.memo(store=STORE, depends_on=[afresh.File("rates.csv"), afresh.Dir("data")])
        def price():
            print("ran")
            return 1
        price()
    """.replace("STORE", repr(str(tmp_path / "store")))
    for name in ("here", "there"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "rates.csv").write_text("1")
        (tmp_path / name / "data" / "a").write_text("1")
    apart.folder = tmp_path / "here"
    assert apart(text) == "ran\n"
    apart.folder = tmp_path / "there"
    assert apart(text) == ""
    (tmp_path / "there" / "data" / "a").write_text("2")
    assert apart(text) == "ran\n"
    (tmp_path / "there" / "data" / "a").write_text("1")
    assert apart(text) == ""


def test_a_folder_counts_by_names_and_contents(store, runs, folder):
    data = folder / "data"
    price = remember(store, runs, afresh.Dir("data", glob="**/*.csv"))

    def ran(action):
        before = runs.count
        action()
        price()
        return runs.count - before

    assert ran(lambda: None) == 1  # absent
    (data / "deep" / "er").mkdir(parents=True)
    assert ran(lambda: None) == 1  # empty
    assert ran(lambda: (data / "a.csv").write_text("a")) == 1
    assert ran(lambda: (data / "deep" / "er" / "b.csv").write_text("b")) == 1
    assert ran(lambda: (data / "notes.txt").write_text("x")) == 0
    assert ran(lambda: (data / "a.csv").rename(data / "c.csv")) == 1
    assert ran(lambda: (data / "c.csv").rename(data / "a.csv")) == 0
    assert ran(lambda: (data / "a.csv").write_text("aa")) == 1
    assert ran(lambda: (data / "a.csv").write_text("a")) == 0
    assert ran((data / "a.csv").unlink) == 1
    # A link up, and one to a folder elsewhere.
    assert ran(lambda: (data / "up").symlink_to(data)) == 0
    (folder / "else").mkdir()
    (folder / "else" / "d.csv").write_text("d")
    assert ran(lambda: (data / "else").symlink_to(folder / "else")) == 1
    assert ran(lambda: (folder / "else" / "d.csv").write_text("e")) == 1
    assert ran(lambda: shutil.rmtree(data)) == 0


def test_a_store_in_the_folder_is_not_part_of_it(runs, folder):
    price = remember(str(folder / ".afresh"), runs, afresh.Dir("."))
    price()
    price(2)
    price()
    assert runs.count == 2
    (folder / "new").write_text("x")
    price()
    assert runs.count == 3
    afresh.Client(str(folder / ".afresh")).close()


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("*", ["a", ".b"], ["c/d"]),
        ("**", ["a", "c/d"], []),
        ("**/*.csv", ["a.csv", "x/a.csv", "x/y/a.csv"], ["a.csvx", "x.csv/a"]),
        ("x/*.t?t", ["x/a.txt"], ["x/a.tt", "a.txt", "x/y/a.txt"]),
        ("[ab].t[!x]t", ["a.tyt"], ["a.txt", "c.tyt"]),
        ("a+(b).c", ["a+(b).c"], ["aab.c"]),
        ("x/**/y", ["x/y", "x/a/b/y"], ["xy", "x/ay"]),
    ],
)
def test_globs(folder, glob, inside, outside):
    nothing = afresh.Dir(folder, glob).__afresh_key__()
    for name in outside:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    assert afresh.Dir(folder, glob).__afresh_key__() == nothing
    known = {nothing}
    for name in inside:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
        known.add(afresh.Dir(folder, glob).__afresh_key__())
    assert len(known) == len(inside) + 1


def test_a_variable_counts_by_its_value_and_no_file_holds_it(store, runs, monkeypatch, said):
    secret = "hunter2-" + os.urandom(8).hex()
    price = remember(store, runs, afresh.Env("API_KEY"))
    monkeypatch.delenv("API_KEY", raising=False)
    with said:
        price()
        monkeypatch.setenv("API_KEY", secret)
        price()
        price()
        assert runs.count == 2
        why = str(price.why(2))
        monkeypatch.setenv("API_KEY", "")
        price()
        assert runs.count == 3
        monkeypatch.setenv("API_KEY", secret)
        price()
        monkeypatch.delenv("API_KEY")
        price()
        assert runs.count == 3
        monkeypatch.setenv("API_KEY", secret + "-next")
        why = str(price.why())
        assert why.startswith("miss: same arguments; dependency `env:API_KEY` changed")
    client = afresh.Client(store)
    texts = [why, repr(afresh.Env("API_KEY")), *said, *(repr(tuple(commit)) for commit in client.log())]
    texts += [client.engine.function_record(commit.hash) for commit in client.log()]
    client.close()
    stored = b"".join(
        open(os.path.join(place, name), "rb").read() for place, _, names in os.walk(store) for name in names
    )
    assert len(stored) > 10_000 and "dependency env:API_KEY" in "".join(texts)
    assert secret.encode() not in stored and not any(secret in text for text in texts)


def test_why_names_what_changed(store, runs, folder, capfd):
    (folder / "data").mkdir()
    (folder / "data" / "rates.csv").write_text("1")
    rates = [1]

    def helper():
        return 1

    price = remember(store, runs, afresh.File("data/rates.csv"), afresh.Dir("data", "*.txt"), rates, helper)
    price()
    (folder / "data" / "rates.csv").write_text("2")
    first = str(price.why()).splitlines()[0]
    assert first == "miss: same arguments; dependency `data/rates.csv` changed"
    (folder / "data" / "rates.csv").write_text("1")
    assert price.why().kind == "hit"
    (folder / "data" / "a.txt").write_text("1")
    assert "dependency `data/*.txt` changed" in str(price.why())
    (folder / "data" / "a.txt").unlink()
    rates.append(2)
    assert "dependency `depends_on[2]` changed" in str(price.why())
    rates.pop()
    helper.__code__ = (lambda: 2).__code__
    assert "helper`" in str(price.why()) and "miss: same arguments; dependency" in str(price.why())
    price()
    client = afresh.Client(store)
    newest, oldest = client.log()
    assert "helper" in client.diff(oldest.hash, newest.hash)["source_diff"]


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ({"version": "1"}, {"version": "2"}, "version: '1' → '2'"),
        ({"mode": "name"}, {"version": "2"}, "mode: 'name' → 'version'"),
        ({}, {"mode": "name"}, "mode: 'code' → 'name'"),
    ],
)
def test_why_names_version_and_mode(store, runs, before, after, text):
    remember(store, runs, **before)()
    found = str(remember(store, runs, **after).why())
    assert found.startswith(f"miss: same arguments; {text}")


def test_what_cannot_be_read_is_opaque_and_the_call_runs(store, runs, folder, said):
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    os.symlink("/proc/self/mem", "memory")  # there, and reading it fails for everybody
    os.mkdir("folder")
    for name, word in (("pipe", "pipe"), ("loop", "cannot be read"), ("memory", "cannot be"), ("folder", "afresh.Dir")):
        price = remember(store, runs, afresh.File(name))
        before = runs.count
        with said:
            assert price(name) == name
        assert price(name) == name
        assert runs.count == before + 1
        assert sum(name in text and word in text for text in said) == 1, list(said)
        assert any("opaque" in line or "hit" in line for line in str(price.why(name)).splitlines())
        said.clear()


def test_the_warning_is_an_error_where_that_was_asked_for(store, runs, folder):
    import warnings

    os.mkfifo("pipe")
    with warnings.catch_warnings():
        warnings.simplefilter("error", afresh.CacheWarning)
        price = remember(store, runs, afresh.File("pipe"))
        with pytest.raises(afresh.CacheWarning):
            price()


def test_a_file_may_stand_in_the_code_or_be_an_argument(store, runs, folder):
    RATES = afresh.File("rates.csv")
    (folder / "rates.csv").write_text("1")

    @afresh.memo(store=store)
    def total(factor=2):
        runs.mark()
        with open(RATES) as file:
            return factor * int(file.read())

    assert (total(), total()) == (2, 2)
    (folder / "rates.csv").write_text("5")
    assert total() == 10
    (folder / "rates.csv").write_text("1")
    assert total() == 2 and runs.count == 2

    @afresh.memo(store=store)
    def length(file):
        runs.mark()
        return len(open(file).read())

    assert length(RATES) == 1
    (folder / "rates.csv").write_text("123")
    assert length(RATES) == 3
    (folder / "rates.csv").write_text("1")
    assert length(RATES) == 1 and runs.count == 4


MODULE = """\
from other import factor
TABLE = {"a": 1}

def one():
    return 1
"""


def test_a_module_counts_as_a_whole(apart, tmp_path):
    apart.write("other.py", "def factor():\n    return 2\n")
    script = """
        import afresh, rules, sys
        @afresh.memo(store="store", depends_on=[rules])
        def price():
            print("ran")
        price()
        if "mutate" in sys.argv:
            rules.TABLE["a"] = 2
            price()
            del rules.TABLE["a"]
            rules.TABLE["a"] = 1
            price()
            rules.extra = 1
            price()
    """
    apart.write("rules.py", MODULE)
    assert apart(script) == "ran\n"
    assert apart(script) == ""
    apart.write("rules.py", "# a comment\n" + MODULE)
    assert apart(script) == ""
    for changed in (MODULE.replace("return 1", "return 2"), MODULE.replace('"a": 1', '"a": 3'), MODULE + "X = 1\n"):
        apart.write("rules.py", changed)
        assert apart(script) == "ran\n"
    apart.write("rules.py", MODULE)
    assert apart(script) == ""
    apart.write("other.py", "def factor():\n    return 3\n")
    assert apart(script) == "ran\n"
    apart.write("other.py", "def factor():\n    return 2\n")
    assert apart(script, "mutate") == "ran\nran\n"


def test_a_module_of_a_library_counts_by_its_version(store, runs):
    import json

    import pytest as library

    from afresh import identity

    price = remember(store, runs, library, json)
    price()
    price()
    assert runs.count == 1
    assert "pytest" in identity.identify(library, whole=True).record.decode()


def test_a_compiled_module_counts_by_the_bytes_of_its_file(store, runs, folder):
    from importlib.machinery import EXTENSION_SUFFIXES
    from types import ModuleType

    native = ModuleType("native")
    native.__file__ = str(folder / f"native{EXTENSION_SUFFIXES[0]}")

    def ran(content):
        before = runs.count
        pathlib.Path(native.__file__).write_bytes(content)
        # As in a new process, which has loaded what is there.
        remember(store, runs, native)()
        return runs.count - before

    assert [ran(b"one"), ran(b"one"), ran(b"two"), ran(b"one")] == [1, 0, 1, 0]


@pytest.mark.parametrize("made", [True, False])
def test_code_counts_with_what_it_reaches(store, runs, made):
    limit = [1]

    def inner():
        return limit[0]

    def helper():
        return inner()

    class Table:
        rows = limit

    price = remember(store, runs, afresh.memo(store=store)(helper) if made else helper, Table)
    price()
    limit[0] = 2
    price()
    assert runs.count == 2
    inner.__code__ = (lambda: limit[0] + 1).__code__
    price()
    assert runs.count == 3
    Table.more = 1
    price()
    assert runs.count == 4
    del Table.more
    limit[0] = 1
    price()
    assert runs.count == 5
    price()
    assert runs.count == 5


def test_what_is_declared_for_an_inner_call_counts_for_the_outer(store, runs, folder):
    (folder / "rates.csv").write_text("1")

    @afresh.memo(store=store, depends_on=[afresh.File("rates.csv")])
    def inner():
        return open(folder / "rates.csv").read()

    @afresh.memo(store=store)
    def outer():
        runs.mark()
        return inner() * 2

    assert (outer(), outer(), runs.count) == ("11", "11", 1)
    (folder / "rates.csv").write_text("2")
    assert (outer(), runs.count) == ("22", 2)
    (folder / "rates.csv").write_text("1")
    assert (outer(), runs.count) == ("11", 2)


def test_a_file_that_changes_while_the_function_runs_leaves_no_answer(store, runs, folder, said):
    (folder / "rates.csv").write_text("1")

    @afresh.memo(store=store, depends_on=[afresh.File("rates.csv")])
    def price():
        runs.mark()
        if runs.count == 1:
            (folder / "rates.csv").write_text("2")
        return open("rates.csv").read()

    with said:
        assert price() == "2"
    assert "changed while it ran" in said[0]
    (folder / "rates.csv").write_text("1")
    assert price() == "1"
    (folder / "rates.csv").write_text("2")
    assert price() == "2"
    assert (price(), runs.count) == ("2", 3)


def test_coroutines_and_tasks_take_them_too(store, runs, folder):
    (folder / "rates.csv").write_text("1")

    @afresh.memo(store=store, depends_on=[afresh.File("rates.csv")])
    async def price():
        runs.mark()
        return 1

    asyncio.run(price())
    asyncio.run(price())
    assert runs.count == 1
    (folder / "rates.csv").write_text("2")
    asyncio.run(price())
    assert runs.count == 2

    with afresh.Client(store) as client:

        @client.task(depends_on=[afresh.File("rates.csv")], version="7")
        def task():
            runs.mark()

        task()
        task()
        assert runs.count == 3
        (folder / "rates.csv").write_text("3")
        client.submit(task)
        assert runs.count == 4


def test_they_are_values_that_never_change(folder):
    file, again = afresh.File("a"), afresh.File(folder / "a")
    assert file == again and hash(file) == hash(again) and file != afresh.Dir("a") and file != afresh.File("b")
    assert os.fspath(file) == str(folder / "a")
    assert pickle.loads(pickle.dumps(file)) == file
    folder_ = afresh.Dir("a", "*.csv")
    env = afresh.Env("A")
    assert pickle.loads(pickle.dumps(folder_)) == folder_ != afresh.Dir("a") and pickle.loads(pickle.dumps(env)) == env
    assert [repr(one) for one in (file, folder_, env)] == [
        "afresh.File('a')", "afresh.Dir('a', '*.csv')", "afresh.Env('A')"
    ]  # fmt: skip
    for one in (file, folder_, env):
        with pytest.raises(AttributeError):
            one._name = "x"
        with pytest.raises(AttributeError):
            del one._name


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: afresh.File(3), "takes a path"),
        (lambda: afresh.File(""), "not a path"),
        (lambda: afresh.File("a\0b"), "not a path"),
        (lambda: afresh.File(b"a"), "takes a path"),
        (lambda: afresh.Dir("a", glob="../x"), "within the folder"),
        (lambda: afresh.Dir("a", glob=""), "within the folder"),
        (lambda: afresh.Env("A=B"), "environment variable"),
        (lambda: afresh.Env(3), "environment variable"),
        (lambda: afresh.memo(depends_on="rates.csv")(len), "give a list"),
        (lambda: afresh.memo(depends_on=afresh.File("a"))(len), "give a list"),
        (lambda: afresh.memo(version=2)(len), "version='2'"),
        (lambda: afresh.memo(mode="codes")(len), "'code' or 'name'"),
        (lambda: afresh.memo(ignore=3)(len), "names of parameters"),
        (lambda: afresh.memo(ignore="nothing")(lambda x: x), "the parameters are x"),
        (lambda: afresh.memo(track="file")(len), "'files', 'env'"),
        (lambda: afresh.memo(track=3)(len), "'files', 'env'"),
        (lambda: afresh.memo(track="files", executor=object())(len), "do not go together"),
        (lambda: afresh.memo(freeze=3)(len), "names of data"),
        (lambda: afresh.memo(freeze=[3])(len), "names of data"),
    ],
)
def test_mistakes_are_told_at_once(make, names):
    with pytest.raises(afresh.ConfigError, match=names):
        make()


def test_nothing_of_it_is_loaded_before_it_is_used(apart):
    loaded = apart("import sys, afresh\nprint('afresh.dependencies' in sys.modules)\nafresh.File('x')\n")
    assert loaded == "False\n"
    assert {"File", "Dir", "Env"} <= set(afresh.__all__) and sys.modules["afresh"].File is afresh.File
