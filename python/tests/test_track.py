"""``track``: what a function is seen to read makes its answer hold, or not."""

import asyncio
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial

import pytest

import afresh


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a file."""
    place = tmp_path / "project"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "rates.csv").write_text("1")
    return place


def tracked(store, runs, body, *kinds, **settings):
    @afresh.memo(store=store, track=kinds or ("files", "env"), **settings)
    def read(x=0):
        runs.mark()
        return body()

    return read


def recorded(store, *prefixes):
    """What the newest commit says was read, by name."""
    newest = afresh.Client(store).log(limit=1)[0]
    return {a.name: a.preview for a in newest.arguments if a.name.startswith(prefixes or ("file:", "dir:", "env:"))}


def read_open():
    with open("rates.csv") as file:
        return file.read()


def read_low():
    file = os.open("rates.csv", os.O_RDONLY)
    try:
        return os.read(file, 100).decode()
    finally:
        os.close(file)


@pytest.mark.parametrize(
    "body",
    [
        read_open,
        read_low,
        lambda: pathlib.Path("rates.csv").read_text(),
        lambda: open(os.path.abspath("rates.csv"), "rb", buffering=0).read().decode(),
        lambda: open(b"rates.csv", "r+").read(),
        lambda: open(os.open("rates.csv", os.O_RDONLY)).read(),
    ],
)
def test_a_file_that_is_read_counts_in_both_directions(store, runs, folder, body):
    rates = folder / "rates.csv"
    read = tracked(store, runs, body)
    assert (read(), read(), runs.count) == ("1", "1", 1)
    os.utime(rates, (1, 1))
    assert (read(), runs.count) == ("1", 1)
    rates.write_text("2")
    assert not read.cached() and read.peek() is None
    assert (read(), read(), runs.count) == ("2", "2", 2)
    rates.write_text("1")
    assert read.cached() and read.peek() == "1"
    assert (read(), runs.count) == ("1", 2)
    rates.write_text("2")
    assert (read(), runs.count) == ("2", 2)


def test_variables_count_however_they_are_read(store, runs, folder, monkeypatch):
    bodies = [
        lambda: os.environ["REGION"],
        lambda: os.environ.get("REGION"),
        lambda: os.getenv("REGION"),
        lambda: "REGION" in os.environ and os.environb[b"REGION"].decode(),
        lambda: os.path.expandvars("$REGION"),
        lambda: dict(os.environ)["REGION"],
        lambda: os.environ.copy()["REGION"],
        lambda: next(value for key, value in os.environ.items() if key == "REGION"),
    ]
    for body in bodies:
        before = runs.count
        read = tracked(store, runs, body)
        monkeypatch.setenv("REGION", "eu")
        assert (read(), read(), runs.count - before) == ("eu", "eu", 1)
        monkeypatch.setenv("REGION", "us")
        assert (read(), runs.count - before) == ("us", 2)
        monkeypatch.setenv("REGION", "eu")
        assert (read(), runs.count - before) == ("eu", 2)


def test_a_variable_that_is_not_set_counts_and_others_do_not(store, runs, folder, monkeypatch):
    monkeypatch.delenv("REGION", raising=False)
    read = tracked(store, runs, lambda: os.environ.get("REGION", "none"))
    assert read() == "none"
    assert recorded(store) == {"env:REGION": "absent"}
    monkeypatch.setenv("OTHER", "x")
    assert (read(), runs.count) == ("none", 1)
    monkeypatch.setenv("REGION", "eu")
    assert (read(), runs.count) == ("eu", 2)


def test_no_value_of_a_variable_is_stored(store, runs, folder, monkeypatch):
    secret = "hunter2-" + os.urandom(8).hex()
    monkeypatch.setenv("TOKEN", secret)
    read = tracked(store, runs, lambda: len(os.environ["TOKEN"]) + len(dict(os.environ)))
    read()
    assert recorded(store)["env:TOKEN"] == "set"
    monkeypatch.setenv("TOKEN", secret + "x")
    why = str(read.why())
    assert why.startswith("miss: same arguments; environment variable `TOKEN` changed, and 1 more")
    client = afresh.Client(store)
    texts = why + repr([tuple(commit) for commit in client.log()])
    client.close()
    names = [os.path.join(place, name) for place, _, names in os.walk(store) for name in names]
    stored = b"".join(pathlib.Path(name).read_bytes() for name in names)
    assert b"env:TOKEN" in stored and secret.encode() not in stored and secret not in texts


def test_only_the_kinds_that_were_asked_for_are_recorded(store, runs, folder, monkeypatch):
    monkeypatch.setenv("REGION", "eu")
    tracked(store, runs, lambda: (read_open(), os.getenv("REGION")), "files")()
    assert list(recorded(store)) == ["file:rates.csv"]
    tracked(store, runs, lambda: (read_open(), os.getenv("REGION"), 2), "env")()
    assert list(recorded(store)) == ["env:REGION"]


def test_a_file_that_is_not_there_counts(store, runs, folder):
    def body():
        try:
            return open("extra.csv").read()
        except FileNotFoundError:
            return "none"

    read = tracked(store, runs, body)
    assert (read(), read(), runs.count) == ("none", "none", 1)
    assert recorded(store) == {"file:extra.csv": "absent"}
    (folder / "extra.csv").write_text("2")
    assert (read(), read(), runs.count) == ("2", "2", 2)
    (folder / "extra.csv").unlink()
    assert (read(), runs.count) == ("none", 2)


def test_a_folder_that_is_listed_counts_by_its_names(store, runs, folder):
    (folder / "data").mkdir()
    read = tracked(store, runs, lambda: sorted(path.name for path in pathlib.Path("data").glob("*.csv")))
    assert read() == []
    (folder / "data" / "a.csv").write_text("")
    assert read() == ["a.csv"]
    assert (read(), runs.count) == (["a.csv"], 2)
    (folder / "data" / "a.csv").rename(folder / "data" / "b.csv")
    assert read() == ["b.csv"]
    assert "folder `data` changed" in str((shutil.rmtree(folder / "data"), read.why())[1])


def test_what_the_function_writes_itself_is_no_input(store, runs, folder):
    def body():
        with open("out.csv", "w") as file:
            file.write(str(runs.count))
        with open("part", "w") as file:
            file.write("x")
        os.replace("part", "moved")
        os.environ["MADE"] = str(runs.count)
        with tempfile.TemporaryDirectory() as place, open(os.path.join(place, "a"), "w+") as file:
            file.write("x")
            listed = os.listdir(place)
            os.makedirs(os.path.join(place, "deep", "er"))
        return open("out.csv").read() + open("moved").read() + os.environ["MADE"] + listed[0] + read_open()

    read = tracked(store, runs, body)
    try:
        assert read() == "1x1a1"
        assert set(recorded(store, "file:", "dir:")) == {"file:rates.csv"} and "env:MADE" not in recorded(store)
        os.environ["MADE"] = "7"
        (folder / "out.csv").write_text("7")
        (folder / "moved").unlink()
        assert (read(), runs.count) == ("1x1a1", 1)
        (folder / "rates.csv").write_text("2")
        assert (read(), runs.count) == ("2x2a2", 2)
    finally:
        del os.environ["MADE"]


def test_a_file_that_is_read_and_then_written_counts_as_it_was(store, runs, folder):
    def body():
        count = int(read_open())
        (folder / "rates.csv").write_text(str(count + 1))
        return count

    read = tracked(store, runs, body)
    assert [read() for _ in range(3)] == [1, 2, 3]
    (folder / "rates.csv").write_text("2")
    assert (read(), runs.count) == (2, 3)


def test_what_changes_while_it_is_read_leaves_no_answer(store, runs, folder, said):
    def body():
        text = read_open()
        if runs.count == 1:
            subprocess.run([sys.executable, "-c", "open('rates.csv', 'w').write('2')"], check=True)
        return text

    read = tracked(store, runs, body, "files")
    with said:
        assert read() == "1"
    assert "file:rates.csv changed while it ran" in said[0]
    assert (read(), read(), runs.count) == ("2", "2", 2)
    (folder / "rates.csv").write_text("1")
    assert (read(), runs.count) == ("1", 3)


def test_what_is_read_may_depend_on_what_was_read(store, runs, folder):
    for name in ("1", "2"):
        (folder / name).write_text(f"in {name}")
    read = tracked(store, runs, lambda: open(read_open()).read())
    assert read() == "in 1"
    (folder / "rates.csv").write_text("2")
    assert (read(), read(), runs.count) == ("in 2", "in 2", 2)
    (folder / "1").write_text("new")
    assert (read(), runs.count) == ("in 2", 2)
    (folder / "rates.csv").write_text("1")
    assert (read(), runs.count) == ("new", 3)
    (folder / "1").write_text("in 1")
    assert (read(), runs.count) == ("in 1", 3)


def test_old_answers_are_not_found_again_once_taken_back(store, runs, folder):
    read = tracked(store, runs, read_open, tags="a")
    read()
    (folder / "rates.csv").write_text("2")
    read()
    assert read.invalidate()
    read()
    assert runs.count == 3
    (folder / "rates.csv").write_text("1")
    assert (read(), runs.count) == ("1", 4)
    (folder / "rates.csv").write_text("2")
    assert (read(), runs.count) == ("2", 4)
    afresh.Client(store).invalidate(tags="a")
    (folder / "rates.csv").write_text("1")
    assert (read(), runs.count) == ("1", 5)
    read.refresh()
    assert runs.count == 6
    read.put("own")
    assert read() == "own"
    read.clear()
    assert (read(), runs.count) == ("1", 7)


def test_an_expired_answer_is_not_brought_back(store, runs, folder):
    read = tracked(store, runs, read_open, ttl="80ms")
    read()
    (folder / "rates.csv").write_text("2")
    read()
    threading.Event().wait(0.1)
    (folder / "rates.csv").write_text("1")
    assert (read(), runs.count) == ("1", 3)


def test_answers_from_before_it_was_tracked_do_not_count(store, runs, folder):
    def read():
        runs.mark()
        return read_open()

    afresh.memo(store=store)(read)()
    (folder / "rates.csv").write_text("2")
    now = afresh.memo(store=store, track="files")(read)
    assert str(now.why()).startswith("miss: same arguments; `track` is new")
    assert (now(), runs.count) == ("2", 2)


def test_inner_calls_count_whether_they_run_or_hit(store, runs, folder, monkeypatch):
    monkeypatch.setenv("REGION", "eu")

    @afresh.memo(store=store, track=("files", "env"))
    def inner():
        return read_open() + os.environ["REGION"]

    @afresh.memo(store=store, track="files")
    def outer(x):
        runs.mark()
        return inner() + str(x)

    assert outer(1) == "1eu1"  # inner runs
    assert set(recorded(store)) == {"file:rates.csv", "env:REGION"}
    assert outer(2) == "1eu2"  # inner is answered
    assert set(recorded(store)) == {"file:rates.csv", "env:REGION"}
    (folder / "rates.csv").write_text("2")
    assert (outer(1), outer(2), runs.count) == ("2eu1", "2eu2", 4)
    monkeypatch.setenv("REGION", "us")
    assert (outer(1), outer(1), runs.count) == ("2us1", "2us1", 5)


def test_a_function_that_calls_a_tracked_one_is_tracked_as_far(store, runs, folder):
    (folder / "own.csv").write_text("own")

    @afresh.memo(store=store, track="files")
    def inner():
        return read_open()

    def helper():
        return inner()

    @afresh.memo(store=store)
    def outer():
        runs.mark()
        open("own.csv").read()
        return helper()

    assert (outer(), outer(), runs.count) == ("1", "1", 1)
    (folder / "rates.csv").write_text("2")
    assert (outer(), outer(), runs.count) == ("2", "2", 2)
    (folder / "own.csv").write_text("not asked for")
    (folder / "rates.csv").write_text("1")
    assert (outer(), runs.count) == ("1", 2)


def test_coroutines_carry_it_over_awaits(store, runs, folder):
    (folder / "other.csv").write_text("other")

    @afresh.memo(store=store, track="files")
    async def read(name):
        await asyncio.sleep(0.01)
        with open(name) as file:
            await asyncio.sleep(0.01)
            text = file.read()
        return text + await asyncio.to_thread(pathlib.Path("rates.csv").read_text)

    async def both():
        return await asyncio.gather(read("rates.csv"), read("other.csv"), read("rates.csv"))

    def go():
        return asyncio.run(both())

    assert go() == ["11", "other1", "11"]
    commits = afresh.Client(store).log()
    assert len(commits) == 2
    names = [{a.name for a in commit.arguments if ":" in a.name} for commit in commits]
    assert sorted(names, key=len) == [{"file:rates.csv"}, {"file:rates.csv", "file:other.csv"}]
    (folder / "other.csv").write_text("new")
    assert go() == ["11", "new1", "11"]
    assert len(afresh.Client(store).log()) == 3
    (folder / "rates.csv").write_text("2")
    (folder / "other.csv").write_text("other")
    assert go() == ["22", "other2", "22"]
    (folder / "rates.csv").write_text("1")
    assert go() == ["11", "other1", "11"]
    assert len(afresh.Client(store).log()) == 5


SCRIPT = """
    import afresh, os, sys
    @afresh.memo(store="store", track=("files", "env"))
    def read(name):
        import fractions, local
        print("ran")
        with open(name) as file:
            return file.read() + os.environ.get("REGION", "none")
    print(read("rates.csv"))
"""


def test_it_holds_across_processes_and_folders(apart, tmp_path):
    apart.write("local.py", "import json\nTEXT = open(__file__).read()\n")
    apart.write("rates.csv", "1")
    assert apart(SCRIPT) == "ran\n1none\n"
    assert apart(SCRIPT) == "1none\n"
    apart.write("rates.csv", "2")
    assert apart(SCRIPT) == "ran\n2none\n"
    apart.env["REGION"] = "eu"
    assert apart(SCRIPT) == "ran\n2eu\n"
    del apart.env["REGION"]
    apart.write("rates.csv", "1")
    assert apart(SCRIPT) == "1none\n"
    listed = apart("import afresh\nfor a in afresh.Client('store').log()[-1].arguments: print(a.name)\n", name="log.py")
    # Neither the modules it imports, nor what those read, nor the interpreter's own files.
    assert listed.split() == ["name", "env:REGION", "file:rates.csv"]
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("store", "rates.csv", "local.py"):
        shutil.move(str(tmp_path / name), str(moved / name))
    apart.folder = moved
    assert apart(SCRIPT) == "1none\n"


def test_the_command_line_says_what_changed(store, runs, folder):
    read = tracked(store, runs, read_open)
    read()
    (folder / "rates.csv").write_text("2")
    read()
    script = "import sys; from afresh import _afresh; _afresh.main(sys.argv[1:], lambda c, d: '')"
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(afresh.__file__).parent.parent)}

    def why():
        newest = afresh.Client(store).log(limit=1)[0].hash
        command = [sys.executable, "-c", script, "afresh", "--store", store, "why", newest]
        return subprocess.run(command, capture_output=True, text=True, env=env, check=True).stdout

    assert "what it reads has changed: `file:rates.csv`" in why()
    rates = afresh.File("rates.csv")
    afresh.memo(store=store, version="1", depends_on=[rates])(read_low)()
    (folder / "rates.csv").write_text("3")
    afresh.memo(store=store, version="1", depends_on=[rates])(read_low)()
    assert "same arguments; dependency `rates.csv` changed" in why()
    afresh.memo(store=store, version="2", depends_on=[rates])(read_low)()
    assert "same arguments; version: '1' → '2'" in why()


def test_single_flight_also_for_what_has_changed(store, runs, folder):
    gate = threading.Event()

    def body():
        gate.wait(0.3)
        return read_open()

    read = tracked(store, runs, body)
    read()
    (folder / "rates.csv").write_text("2")
    found = []
    threads = [threading.Thread(target=lambda: found.append(read())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, runs.count) == (["2"] * 6, 2)


def test_a_pipe_does_not_hang_and_is_not_remembered(store, runs, folder, said):
    os.mkfifo("pipe")

    def body():
        writer = os.open("pipe", os.O_RDWR)
        os.write(writer, b"x")
        with open("pipe", "rb") as file:
            return file.read(1) + os.read(writer, 0)

    read = tracked(store, runs, body)
    with said:
        assert (read(), read(), runs.count) == (b"x", b"x", 2)
    assert "which cannot be identified" in said[0] and len(said) == 1


def test_odd_names_do_not_raise(store, runs, folder, said):
    odd = os.fsdecode(b"odd-\xff")
    (folder / odd).write_text("x")
    with said:
        assert tracked(store, runs, lambda: open(odd).read())() == "x"
    assert "not valid text" in said[0]
    for wrong in ("nul\0", 10**6, "", folder):

        def body(wrong=wrong):
            try:
                return open(wrong).read()
            except (ValueError, OSError) as error:
                return type(error).__name__

        found = tracked(store, runs, body, "files")()
        assert found in ("ValueError", "OSError", "FileNotFoundError", "IsADirectoryError")


def test_threads_and_partials_and_failures(store, runs, folder):
    def in_thread():
        found = []
        thread = threading.Thread(target=lambda: found.append(read_open()))
        thread.start()
        thread.join()
        return found[0]

    # Documented: a thread that is started within does not share the context.
    if sys.version_info < (3, 14):
        tracked(store, runs, in_thread, "files")()
        assert recorded(store) == {}
    timed = tracked(store, runs, lambda: read_open() + "t", "files", timeout=10)
    timed()
    assert list(recorded(store)) == ["file:rates.csv"]

    def whole(name, more):
        return open(name).read() + more

    part = afresh.memo(store=store, track="files")(partial(whole, "rates.csv"))
    assert part("x") == "1x"
    (folder / "rates.csv").write_text("2")
    assert part("x") == "2x"

    def broken():
        runs.mark()
        raise ValueError(read_open())

    failing = afresh.memo(store=store, track="files")(broken)
    for _ in range(2):
        with pytest.raises(ValueError, match="2"):
            failing()
    assert list(recorded(store)) == ["file:rates.csv"]


def test_the_function_may_go_elsewhere(store, runs, folder):
    (folder / "deep").mkdir()
    (folder / "deep" / "rates.csv").write_text("deep")

    def body():
        before = os.getcwd()
        os.chdir("deep")
        try:
            return read_open()
        finally:
            os.chdir(before)

    read = tracked(store, runs, body)
    assert (read(), read(), runs.count) == ("deep", "deep", 1)
    assert list(recorded(store)) == [f"file:{folder}/deep/rates.csv"]
    (folder / "rates.csv").write_text("2")
    assert (read(), runs.count) == ("deep", 1)
    (folder / "deep" / "rates.csv").write_text("3")
    assert (read(), runs.count) == ("3", 2)

    def stay():
        text = read_open()
        os.chdir("deep")
        return text

    stays = tracked(store, runs, stay)
    assert stays() == "2"
    os.chdir(folder)
    assert (stays(), runs.count) == ("2", 3)


def test_a_client_and_its_tasks_take_it_too(store, runs, folder):
    with afresh.Client(store) as client:

        @client.task(track="files", tags="t")
        def read(name):
            runs.mark()
            return open(name).read()

        first = read("rates.csv")
        assert (first.load(), read("rates.csv").commit_hash, runs.count) == ("1", first.commit_hash, 1)
        (folder / "rates.csv").write_text("2")
        second = client.submit(read, "rates.csv")
        assert (second.load(), runs.count) == ("2", 2)
        assert list(client.diff(first.commit_hash, second.commit_hash)["arguments"]) == ["file:rates.csv"]
        (folder / "rates.csv").write_text("1")
        assert (read("rates.csv").commit_hash, runs.count) == (first.commit_hash, 2)
        with pytest.raises(afresh.ConfigError, match="do not go together"):
            afresh.Client(store, executor=object()).memo(track="env")(len)


def test_looking_for_an_inner_answer_is_not_reading(store, runs, folder, tmp_path):
    (folder / "other.csv").write_text("x")

    @afresh.memo(depends_on=[afresh.Dir("."), afresh.Env("REGION")])
    def inner():
        return 1

    read = tracked(store, runs, lambda: inner() + int(read_open()))
    assert read() == 2
    assert set(recorded(store)) == {"file:rates.csv"}


def test_what_a_store_reads_is_not_read_by_the_function(store, runs, folder, tmp_path):
    class Folder:
        """A store of the user's, in files."""

        def __init__(self, place):
            self.place = place

        def path(self, key):
            return self.place / key.encode().hex()

        def get(self, key):
            path = self.path(key)
            return path.read_bytes() if path.exists() else None

        def put(self, key, value):
            self.path(key).write_bytes(value)

        def delete(self, key):
            self.path(key).unlink(missing_ok=True)

        def keys(self, prefix):
            names = [bytes.fromhex(name).decode() for name in os.listdir(self.place)]
            return [name for name in names if name.startswith(prefix)]

    (tmp_path / "theirs").mkdir()
    inner = afresh.memo(lambda: 1, store=Folder(tmp_path / "theirs"))
    inner()
    read = tracked(store, runs, lambda: inner() + int(read_open()), "files")
    assert (read(), read(), runs.count) == (2, 2, 1)
    assert set(recorded(store)) == {"file:rates.csv"}


def test_too_many_files_are_not_remembered(store, runs, folder, said, monkeypatch):
    from afresh import recorder

    monkeypatch.setattr(recorder, "MOST", 3)

    def body():
        for name in range(5):
            try:
                open(f"missing-{name}")
            except FileNotFoundError:
                pass

    read = tracked(store, runs, body)
    with said:
        read()
        read()
    assert runs.count == 2 and "more than 3 things" in said[0]


def test_without_a_store_it_still_runs(runs, folder, said, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("not a folder")
    read = tracked(str(blocked / "store"), runs, read_open)
    with said:
        assert read() == "1"
    assert said
