"""What users write themselves: a Store, an Executor, a Serializer."""

import concurrent.futures
import os
import threading

import pytest

import afresh


class Shelf:
    """The least that is a store."""

    def __init__(self):
        self.held = {}

    def get(self, key):
        return self.held.get(key)

    def put(self, key, value):
        assert type(value) is bytes
        self.held[key] = value

    def delete(self, key):
        self.held.pop(key, None)

    def keys(self, prefix):
        return [key for key in list(self.held) if key.startswith(prefix)]


class Broken(Shelf):
    """Raises from the methods that are named."""

    def __init__(self, *broken):
        super().__init__()
        self.broken = set(broken)
        for name in ("get", "put", "delete", "keys"):
            setattr(self, name, self._guarded(name, getattr(super(), name)))

    def _guarded(self, name, method):
        def call(*args):
            if name in self.broken:
                raise OSError(f"{name} is broken")
            return method(*args)

        return call


def double(x):
    return 2 * x


def test_the_protocols_can_be_asked_for():
    assert isinstance(Shelf(), afresh.Store) and not isinstance({}, afresh.Store)
    assert isinstance(concurrent.futures.ThreadPoolExecutor(), afresh.Executor)
    assert isinstance(__import__("json"), afresh.Serializer) and not isinstance(object(), afresh.Serializer)


def test_a_store_of_four_methods_does_everything(tmp_path, runs):
    shelf = Shelf()
    client = afresh.Client(shelf)

    def count(n):
        runs.mark()
        return "x" * n

    ref = client.submit(count, 3, _tags={"team": "a"})
    assert client.submit(count, 3).load() == "xxx" and runs.count == 1
    second = client.submit(count, 200_000, _ttl="1h")
    with pytest.raises(afresh.TaskError):
        client.submit(count, "x")
    assert sorted(c.status for c in client.log()) == ["completed", "completed", "failed"]
    assert client.show(ref.short_hash).tags == {"team": "a"}
    assert len(client.history(ref)) == 1 and client.get(second) == "x" * 200_000
    assert client.stats().commits == 3 and client.stats().failed == 1
    assert client.verify() == []
    assert client.export(tmp_path / "archive") == 3
    assert afresh.Client(Shelf()).import_archive(tmp_path / "archive") == 3
    assert client.invalidate("team") == 1
    client.submit(count, 3)
    assert client.rm(second.commit_hash) and client.gc(grace=0) == 0
    assert client.clear() == 3
    assert not [key for key in shelf.held if key.startswith(("objects/", "entries/1/", "entries/2/"))]


def test_keys_are_of_letters_digits_and_slashes():
    shelf = Shelf()
    afresh.Client(shelf).submit(double, 1, _tags={"a": "b"})
    assert shelf.held
    for key in shelf.held:
        assert key.replace("/", "").isalnum() and key.isascii() and len(key) <= 1100


def test_a_store_serves_the_next_client(runs):
    shelf = Shelf()

    def count():
        runs.mark()

    for _ in range(2):
        afresh.memo(count, store=shelf)()
        afresh.Client(shelf).submit(count)
    assert runs.count == 1


def test_changes_are_never_made_at_the_same_time():
    class Watchful(Shelf):
        busy = threading.Lock()

        def put(self, key, value):
            assert self.busy.acquire(blocking=False), "two changes at once"
            try:
                super().put(key, value)
            finally:
                self.busy.release()

    client = afresh.Client(Watchful())
    refs = client.map(double, [n % 10 for n in range(100)], max_workers=8)
    assert [r.load() for r in refs] == [2 * (n % 10) for n in range(100)]
    assert client.stats().commits == 10


@pytest.mark.parametrize("method", ["get", "put", "keys", "delete"])
def test_a_store_that_raises_costs_no_value(method, said, runs):
    def count():
        runs.mark()
        return "value"

    shelf = Broken(method)
    remembered = afresh.memo(count, store=shelf)
    with said:
        assert remembered() == remembered() == "value"
        assert afresh.Client(shelf).submit(count).load() == "value"
    if method in ("get", "put"):
        assert runs.count == 3 and len(said) in (1, 2) and all(f"{method} is broken" in text for text in said)
    shelf.broken.clear()
    remembered()
    before = runs.count
    remembered()
    assert runs.count == before


def test_strict_lets_the_stores_error_out():
    @afresh.memo(store=Broken("get"), strict=True)
    def work():
        return 1

    with pytest.raises(afresh.UnavailableError, match="the store raised OSError: get is broken"):
        work()
    with pytest.raises(afresh.UnavailableError):
        afresh.Client(Broken("put"), strict=True).submit(double, 1)


def test_strict_speaks_of_a_store_that_cannot_be_opened(tmp_path):
    (tmp_path / "file").write_text("")
    strict = afresh.memo(double, store=str(tmp_path / "file" / "store"), strict=True)
    with pytest.raises(afresh.AfreshError):
        strict(1)


@pytest.mark.parametrize("garbage", [b"", b"\x01", b"garbage" * 9, b"\xff" * 100])
def test_garbage_in_a_store_is_no_answer(garbage, said, runs):
    shelf = Shelf()

    def count():
        runs.mark()
        return 1

    remembered = afresh.memo(count, store=shelf)
    remembered()
    for key in list(shelf.held):
        shelf.held[key] = garbage
    with said:
        assert remembered() == 1 and remembered() == 1
    assert runs.count == 2


def test_a_store_that_gives_no_bytes(said):
    shelf = Shelf()
    shelf.get = lambda key: "text"
    with said:
        assert afresh.memo(double, store=shelf)(1) == 2
    assert len(said) == 1


# -- executors ---------------------------------------------------------------------------------------


class Inline:
    """An executor that runs at once and remembers what it ran."""

    def __init__(self):
        self.ran = []

    def submit(self, function, /, *args, **kwargs):
        future = concurrent.futures.Future()
        self.ran.append(function)
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def test_only_misses_go_to_the_executor(store):
    executor = Inline()
    client = afresh.Client(store, executor=executor)
    assert client.submit(double, 1).load() == client.submit(double, 1).load() == 2
    assert len(executor.ran) == 1


def where():
    return os.getpid()


def broken(x):
    raise ValueError("in the worker")


@pytest.fixture(scope="module")
def pool():
    import multiprocessing

    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        yield pool


def test_a_process_pool_runs_misses(client, store, pool):
    there = afresh.Client(store, executor=pool)
    ref = there.submit(where)
    assert ref.load() != os.getpid() and client.submit(where).load() == ref.load()


def test_a_failure_in_a_pool_keeps_its_traceback(store, pool):
    with pytest.raises(afresh.TaskError, match="in the worker") as raised:
        afresh.Client(store, executor=pool).submit(broken, 1)
    assert "in broken" in str(raised.value)


def test_a_timeout_in_an_executor(store):
    gate = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = afresh.memo(lambda: gate.wait(30), store=store, executor=pool, timeout=0.05)
        with pytest.raises(TimeoutError, match="did not finish within"):
            slow()
        gate.set()
