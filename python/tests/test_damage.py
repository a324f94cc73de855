"""Whatever happens to the store: the function's value comes back, one clear warning is given, and what was committed is
there again once the cause is gone."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest

import afresh

SMALL, LARGE = 10, 300_000


def make(n):
    """Does not compress, so that large ones are files."""
    import random

    return random.Random(n).randbytes(n)


@pytest.fixture
def filled(store):
    """A store with one small and one large answer, closed."""
    with afresh.Client(store) as client:
        for n in (SMALL, LARGE):
            client.submit(make, n)
    return store


@pytest.fixture
def mounted(tmp_path):
    """Mounts things on a folder and takes them off again; skips where that is not permitted."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounts = []

    def mount(*options):
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
        if "remount" not in " ".join(options):
            mounts.append(folder)
        return folder

    if shutil.which("mount") is None:
        pytest.skip("there is no mount command here")
    yield mount
    for folder in reversed(mounts):
        subprocess.run(["umount", "-l", str(folder)], check=False)


def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def object_file(store):
    (file,) = (f for f in pathlib.Path(store, "objects-v1").rglob("*") if f.is_file())
    return file


@pytest.mark.parametrize("at", [0, 100, LARGE // 2, -1])
def test_a_flipped_bit_in_an_object_file(filled, at, said):
    file = object_file(filled)
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    os.chmod(file, 0o600)
    file.write_bytes(data)
    with said:
        assert afresh.memo(make, store=filled)(LARGE) == make(LARGE)
        assert afresh.Client(filled).submit(make, LARGE).load() == make(LARGE)
    assert len(said) == 1 and "damaged, set aside and computed again" in said[0]
    assert afresh.Client(filled).verify() == []
    assert any(pathlib.Path(filled, "quarantine").iterdir())


@pytest.mark.parametrize("keep", [0, 1, 1000, LARGE - 1, LARGE + 5])
def test_an_object_file_cut_short_or_grown(filled, keep, said):
    file = object_file(filled)
    os.chmod(file, 0o600)
    os.truncate(file, keep)
    with said:
        assert afresh.memo(make, store=filled)(LARGE) == make(LARGE)
        assert afresh.memo(make, store=filled)(LARGE) == make(LARGE)
    assert len(said) == 1 and "computed again" in said[0]
    assert afresh.Client(filled).verify() == []


def test_a_removed_object_file(filled, said):
    object_file(filled).unlink()
    with said:
        assert afresh.Client(filled).submit(make, LARGE).load() == make(LARGE)
        assert afresh.memo(make, store=filled)(LARGE) == make(LARGE)
    assert len(said) == 1 and "computed again" in said[0]


def test_a_reference_outlives_its_file(filled, said):
    ref = afresh.Client(filled).submit(make, LARGE)
    object_file(filled).unlink()
    with said:
        assert ref.load() == make(LARGE)


def test_verify_names_the_damage_and_repair_removes_it(filled):
    client = afresh.Client(filled)
    file = object_file(filled)
    os.chmod(file, 0o600)
    os.truncate(file, 1000)
    problems = client.verify()
    assert any("is damaged" in problem for problem in problems)
    assert client.verify() == problems and client.verify(repair=True)
    assert client.verify() == []
    assert client.submit(make, SMALL).load() == make(SMALL)
    assert client.submit(make, LARGE).load() == make(LARGE)
    assert client.verify() == []


ROWS = {
    "value of an answer": "UPDATE entry SET value = zeroblob(40) WHERE space = 1",
    "text for an answer": "UPDATE entry SET value = 'text' WHERE space = 1",
    "a number for an answer": "UPDATE entry SET value = 5 WHERE space = 1",
    "the object of an answer": "UPDATE entry SET object = zeroblob(32) WHERE space = 1",
    "the kind of an object": "UPDATE object SET form = 99",
    "the bytes of small objects": "UPDATE object SET data = zeroblob(5) WHERE data IS NOT NULL",
    "small objects": "DELETE FROM object WHERE data IS NOT NULL",
    "all objects": "DELETE FROM object",
    "the commits": "DELETE FROM commits",
    "the commits' records": "UPDATE commits SET value = zeroblob(40)",
    "a swapped answer": "UPDATE entry SET value = (SELECT value FROM entry e WHERE e.space = 1 AND e.id <> entry.id), "
    "object = (SELECT object FROM entry e WHERE e.space = 1 AND e.id <> entry.id) WHERE space = 1",
    "what is recent": "UPDATE recent SET data = zeroblob(40)",
    "a bit of what is recent": "UPDATE recent SET data = CAST(substr(data, 1, 60) || 'x' || substr(data, 62) AS BLOB)",
    "no recent changes": "DELETE FROM recent",
}


@pytest.mark.parametrize("what", ROWS)
def test_damaged_rows(filled, what, said):
    import sqlite3

    if "recent" not in what:
        # To count is to bring what is recent into the tables.
        afresh.Client(filled).stats()
    with sqlite3.connect(os.path.join(filled, "store-v2.sqlite")) as db:
        assert db.execute(ROWS[what]).rowcount > 0
    db.close()
    with said:
        for _ in range(2):
            for n in (SMALL, LARGE):
                assert afresh.memo(make, store=filled)(n) == make(n)
                assert afresh.Client(filled).submit(make, n).load() == make(n)
        client = afresh.Client(filled)
        client.log(limit=None), client.stats(), client.verify(repair=True)
        assert client.verify() == []


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "page", "header"])
def test_a_corrupt_database_is_set_aside_never_deleted(filled, damage, said):
    database = pathlib.Path(filled, "store-v2.sqlite")
    import sqlite3

    with sqlite3.connect(database) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    before = database.read_bytes()
    data = {
        "garbage": b"garbage" * 5000,
        "empty": b"",
        "cut": before[: len(before) // 2],
        "page": before[:4096] + bytes(8192) + before[12288:],
        "header": b"\0" * 100 + before[100:],
    }[damage]
    database.write_bytes(data)
    with said:
        for n in (SMALL, LARGE):
            assert afresh.memo(make, store=filled)(n) == make(n)
            assert afresh.Client(filled).submit(make, n).load() == make(n)
    kept = [f.read_bytes() for f in pathlib.Path(filled, "quarantine").glob("store-v2*.sqlite")]
    if damage != "empty":
        assert data in kept
        assert sum("set aside" in text for text in said) == 1, said
    client = afresh.Client(filled)
    assert client.submit(make, SMALL).load() == make(SMALL) and client.verify() == []


def test_a_database_damaged_while_it_is_open(filled, said):
    client = afresh.Client(filled)
    client.submit(make, SMALL)
    database = pathlib.Path(filled, "store-v2.sqlite")
    # In place: SQLite maps its files, so that no process survives it if one that is open is cut short.
    with open(database, "r+b") as file:
        file.write((b"garbage" * 100_000)[: database.stat().st_size])
    with said:
        for n in range(20, 30):
            assert client.submit(make, n).load() == make(n)
    assert client.submit(make, 20).load() == make(20) and client.verify() == []


def test_a_removed_folder(filled, said):
    client = afresh.Client(filled)
    remembered = afresh.memo(make, store=filled)
    assert remembered(SMALL) == make(SMALL)
    shutil.rmtree(filled)
    with said:
        for n in (SMALL, LARGE, SMALL, LARGE):
            assert remembered(n) == make(n) and client.submit(make, n).load() == make(n)
    assert len(said) <= 1
    assert remembered.cached(SMALL) and client.verify() == []


def test_a_folder_moved_away_and_back(filled, said, tmp_path):
    remembered = afresh.memo(make, store=filled)
    client = afresh.Client(filled)
    commits = {c.hash for c in client.log()}
    os.rename(filled, tmp_path / "away")
    with said:
        assert remembered(SMALL) == make(SMALL) and remembered(11) == make(11)
    shutil.rmtree(filled, ignore_errors=True)
    os.rename(tmp_path / "away", filled)
    with said:
        assert remembered(LARGE) == make(LARGE)
    assert {c.hash for c in client.log()} >= commits and client.verify() == []


def test_a_file_where_the_folder_should_be(tmp_path, said):
    (tmp_path / "file").write_text("mine")
    with said:
        assert afresh.memo(make, store=str(tmp_path / "file" / "store"))(SMALL) == make(SMALL)
        assert afresh.memo(make, store=str(tmp_path / "file" / "store"))(SMALL) == make(SMALL)
    assert len(said) == 1 and (tmp_path / "file").read_text() == "mine"


def test_a_read_only_folder_still_answers(mounted, said):
    folder = mounted("-t", "tmpfs", "-o", "size=64m", "tmpfs")
    store = str(folder / "store")
    # By another process, as the one that writes cannot have it made read-only under its open files.
    assert in_child(lambda: [afresh.Client(store).submit(make, n) for n in (SMALL, LARGE)]) == 0
    mounted("-o", "remount,ro")
    client = afresh.Client(store)
    with said:
        for n in (SMALL, LARGE, 77, 77):
            assert afresh.memo(make, store=store)(n) == make(n)
            assert client.submit(make, n).load() == make(n)
    assert len(said) == 1 and "can be read, not written" in said[0], said
    assert len(client.log()) == 2
    mounted("-o", "remount,rw")
    client.close()  # what was opened to be read stays so until it is opened again
    assert client.submit(make, 77).load() == make(77)
    assert len(client.log()) == 3 and client.verify() == []


def test_a_store_that_cannot_be_made(mounted, said):
    folder = mounted("-t", "tmpfs", "-o", "size=1m,ro", "tmpfs")
    with said:
        client = afresh.Client(str(folder / "store"))
        assert client.submit(make, SMALL).load() == make(SMALL)
        assert afresh.memo(make, store=str(folder / "store"))(SMALL) == make(SMALL)
    assert len(said) == 1 and "writable" in said[0], said
    mounted("-o", "remount,rw")
    assert client.submit(make, SMALL).load() == make(SMALL) and len(client.log()) == 1


def test_a_full_disk(mounted, said):
    folder = mounted("-t", "tmpfs", "-o", "size=2m", "tmpfs")
    store = str(folder / "store")
    client = afresh.Client(store)
    remembered = afresh.memo(make, store=store)
    assert remembered(SMALL) == make(SMALL)
    with said:
        for n in range(LARGE, LARGE + 20):
            assert remembered(n) == make(n) and client.submit(make, n).load() == make(n)
    assert len(said) == 1 and "free some space" in said[0], said
    committed = {c.hash for c in client.log(limit=None)}
    assert committed and remembered.cached(SMALL) and client.verify() == []
    with said:
        for n in range(100, 400):
            assert remembered(n) == make(n)
    assert committed <= {c.hash for c in client.log(limit=None)}
    mounted("-o", "remount,size=64m")
    assert remembered(LARGE + 30) == make(LARGE + 30) and remembered.cached(LARGE + 30)
    assert committed <= {c.hash for c in client.log(limit=None)} and client.verify() == []


def test_a_disk_that_is_full_from_the_start(mounted, said):
    folder = mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    filler = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        while True:
            os.write(filler, b"x" * 4096)
    os.close(filler)
    with said:
        client = afresh.Client(str(folder / "store"))
        assert client.submit(make, SMALL).load() == make(SMALL)
        assert afresh.memo(make, store=str(folder / "store"))(SMALL) == make(SMALL)
    assert len(said) == 1, said
    (folder / "filler").unlink()
    mounted("-o", "remount,size=64m")
    assert client.submit(make, SMALL).load() == make(SMALL) and len(client.log()) == 1


def test_a_writer_that_holds_the_database_does_not_hold_hits(filled):
    import sqlite3

    remembered = afresh.memo(make, store=filled)
    db = sqlite3.connect(os.path.join(filled, "store-v2.sqlite"), isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        assert remembered(SMALL) == make(SMALL) and remembered(LARGE) == make(LARGE)
    finally:
        db.execute("ROLLBACK")
        db.close()


def test_locks_that_cannot_be_made_are_done_without(filled, said):
    lock = pathlib.Path(filled, "locks-v1")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    # Whether its file is still there is looked at every ten milliseconds.
    time.sleep(0.05)
    with said:
        assert afresh.memo(make, store=filled)(50) == make(50)
        assert afresh.memo(make, store=filled).cached(50)
    assert len(said) == 1 and "lock file" in said[0]
