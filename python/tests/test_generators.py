"""Generators and async generators, properties, and methods of every kind in every order."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import itertools

import pytest

import afresh


def listed(stream):
    """The items of an async generator."""

    async def main():
        return [item async for item in stream]

    return asyncio.run(main())


@pytest.fixture(params=["sync", "async"])
def kind(request):
    return request.param


@pytest.fixture
def remembered(kind, store, runs):
    """A remembered stream of some items and a function that lists one."""

    def make(items, **options):
        if kind == "sync":

            @afresh.memo(store=store, mode="name", name="stream", **options)
            def stream(key=0):
                runs.mark()
                yield from items

            return stream, lambda *a: list(stream(*a))

        @afresh.memo(store=store, mode="name", name="stream", **options)
        async def stream(key=0):
            runs.mark()
            for item in items:
                await asyncio.sleep(0)
                yield item

        return stream, lambda *a: listed(stream(*a))

    return make


@pytest.mark.parametrize(
    "items",
    [[], [1, 0, 2, None, 3], [None], [[], {}, "", 0.0, False], [b"x" * 100_000, "é"], [StopIteration]],
    ids=["empty", "T10 falsy", "none", "falsy", "large", "class"],
)
def test_a_stream_is_yielded_again_as_it_was(remembered, runs, items):
    """cashews T10: a cached replay stops at the first falsy chunk."""
    stream, read = remembered(items)
    assert read() == items == read() == read()
    assert runs.count == 1 and stream.cached()
    stats = stream.stats()
    assert (stats.misses, stats.hits) == (1, 2)


def test_a_shorter_rerun_leaves_no_tail(remembered, runs):
    """cashews T10: a shorter rerun after a delete replays stale tail chunks."""
    items = [1, 2, 3]
    stream, read = remembered(items)
    assert read() == [1, 2, 3]
    stream.invalidate()
    items.pop()
    assert read() == [1, 2] == read() and runs.count == 2


def test_an_abandoned_stream_is_not_remembered(remembered, kind, runs, client):
    stream, read = remembered([1, 2, 3])
    if kind == "sync":
        assert next(iter(stream())) == 1
        gc.collect()
    else:

        async def first():
            async for item in stream():
                return item

        assert asyncio.run(first()) == 1
    assert not stream.cached() and client.log() == []
    assert read() == [1, 2, 3] == read() and runs.count == 2


def test_a_stream_that_raises_is_not_remembered(kind, store, runs, client):
    @afresh.memo(store=store)
    def sync():
        runs.mark()
        yield 1
        raise ValueError("cut off")

    @afresh.memo(store=store)
    async def other():
        runs.mark()
        yield 1
        raise ValueError("cut off")

    for _ in range(2):
        with pytest.raises(ValueError, match="cut off"):
            list(sync()) if kind == "sync" else listed(other())
    assert runs.count == 2
    assert [commit.status for commit in client.log()] == ["failed"] * 2


def test_nothing_happens_before_the_first_item_is_asked_for(store, runs):
    @afresh.memo(store=store)
    def stream():
        runs.mark()
        yield 1

    made = stream()
    assert inspect.isgenerator(made) and runs.count == 0
    assert list(made) == [1] and list(made) == []


def test_items_are_decoded_when_they_are_asked_for(store):
    decoded = []

    class Loud:
        def dumps(self, value):
            return repr(value).encode()

        def loads(self, data):
            decoded.append(data)
            return eval(bytes(data))

    @afresh.memo(store=store, codec=Loud())
    def stream():
        yield from range(5)

    list(stream())
    again = stream()
    assert [next(again), next(again)] == [0, 1] and len(decoded) == 2


def test_items_are_kept_as_they_were_yielded(store):
    @afresh.memo(store=store)
    def stream():
        yield [1]
        yield [2]

    for items in (stream(), stream(), stream()):
        for item in items:
            item.append("changed by the consumer")
    assert list(stream()) == [[1], [2]]


def test_arrays_in_a_stream(store):
    numpy = pytest.importorskip("numpy")

    @afresh.memo(store=store)
    def stream():
        for n in range(3):
            yield numpy.arange(n * 1000)

    list(stream())
    again = list(stream())
    assert [a.sum() for a in again] == [0, 499500, 1999000]
    again[1][0] = 5
    assert list(stream())[1][0] == 0


def test_what_a_generator_returns_is_returned_again(store, runs):
    @afresh.memo(store=store)
    def inner():
        runs.mark()
        yield 1
        return "end"

    def outer():
        found = yield from inner()
        yield found

    assert list(outer()) == [1, "end"] == list(outer()) and runs.count == 1


def test_what_is_sent_and_thrown_arrives_and_is_not_remembered(store, runs):
    @afresh.memo(store=store)
    def echo():
        runs.mark()
        got = yield "ready"
        while got:
            try:
                got = yield got
            except KeyError:
                got = yield "caught"

    made = echo()
    assert [next(made), made.send("a"), made.throw(KeyError("k"))] == ["ready", "a", "caught"]
    assert list(made) == [] and not echo.cached()
    assert list(echo()) == ["ready"] == list(echo()) and runs.count == 2


def test_async_what_is_sent_and_thrown_arrives(store):
    @afresh.memo(store=store)
    async def echo():
        got = yield "ready"
        while got:
            try:
                got = yield got
            except KeyError:
                got = yield "caught"

    async def main():
        made = echo()
        return [await made.__anext__(), await made.asend("a"), await made.athrow(KeyError("k")), [x async for x in made]]

    assert asyncio.run(main()) == ["ready", "a", "caught", []] and not echo.cached()


def test_the_generators_own_cleanup_runs(kind, store):
    ended = []

    @afresh.memo(store=store)
    def sync():
        try:
            yield 1
            yield 2
        finally:
            ended.append("sync")

    @afresh.memo(store=store)
    async def other():
        try:
            yield 1
            yield 2
        finally:
            ended.append("async")

    async def first():
        made = other()
        await made.__anext__()
        await made.aclose()

    made = sync()
    next(made)
    made.close()
    asyncio.run(first())
    assert ended == ["sync", "async"]


def test_two_streams_of_one_call_side_by_side(store):
    @afresh.memo(store=store)
    def stream():
        yield from range(3)

    assert list(zip(stream(), stream())) == [(0, 0), (1, 1), (2, 2)]
    assert list(zip(stream(), stream())) == [(0, 0), (1, 1), (2, 2)]


def test_an_endless_stream_with_a_limit_keeps_little(store):
    @afresh.memo(store=store, max_bytes=1000)
    def count():
        yield from itertools.count()

    assert list(itertools.islice(count(), 5000))[-1] == 4999


def test_items_that_cannot_be_stored_are_passed_on(store, runs, said):
    @afresh.memo(store=store)
    def stream():
        runs.mark()
        yield lambda: 7
        yield 1

    with said:
        for _ in range(2):
            first, second = stream()
            assert (first(), second) == (7, 1)
    assert runs.count == 2 and any("cannot be stored" in text for text in said)


def test_what_cannot_be_loaded_is_computed_again_from_where_it_broke(store, runs, said):
    class Fragile:
        def dumps(self, value):
            return repr(value).encode()

        def loads(self, data):
            if bytes(data) == b"2":
                raise ValueError("broken")
            return eval(bytes(data))

    @afresh.memo(store=store, codec=Fragile())
    def stream():
        runs.mark()
        yield from range(5)

    with said:
        assert list(stream()) == list(stream()) == [0, 1, 2, 3, 4]
    assert runs.count == 2 and any("broken" in text for text in said)


def test_streams_in_other_processes_and_after_edits(apart):
    text = """
        import afresh
        @afresh.memo(store="store")
        def stream(n):
            print("running", end=" ")
            for x in range(n): yield x * FACTOR
        print(list(stream(3)))
    """
    assert apart(text.replace("FACTOR", "2")) == "running [0, 2, 4]\n"
    assert apart(text.replace("FACTOR", "2")) == "[0, 2, 4]\n"
    assert apart(text.replace("FACTOR", "3")) == "running [0, 3, 6]\n"


def test_a_commit_of_a_stream_is_read_as_a_list_and_signed(store):
    @afresh.memo(store=store, secret="key")
    def stream():
        yield from ("a", None)

    list(stream())
    signed = afresh.Client(store, secret="key")
    (commit,) = signed.log()
    assert signed.get(commit.hash) == ["a", None] and signed.verify() == []
    assert list(stream()) == ["a", None] and stream.stats().hits == 1


def test_the_rest_of_a_streams_methods(store, runs):
    @afresh.memo(store=store, ttl=60)
    def stream(n):
        runs.mark()
        yield from range(n)

    assert stream.peek(2) is None
    stream.put(["a", None], 2)
    assert list(stream(2)) == ["a", None] == list(stream.peek(2)) and runs.count == 0
    assert list(stream.refresh(2)) == [0, 1] == list(stream(2)) and runs.count == 1
    assert "hit" in str(stream.why(2))
    with pytest.raises(TypeError, match="iterate"):
        stream.submit(2)
    with pytest.raises(TypeError, match="argument"):
        stream()
    with afresh.disabled():
        assert list(stream(2)) == [0, 1]
    assert runs.count == 2


@pytest.mark.parametrize(
    "options", [{"stale": 1, "ttl": 1}, {"retries": 1}, {"timeout": 1}, {"when": bool}, {"ttl": len}, {"track": "env"}]
)
def test_options_for_functions_that_return_once_are_refused(store, options):
    def stream():
        yield 1

    with pytest.raises(afresh.ConfigError, match="is a generator"):
        afresh.memo(stream, store=store, **options)


# -- properties and methods ----------------------------------------------------------------------


def test_properties_in_either_order(store, runs):
    class Box:
        def __init__(self, size):
            self.size = size

        @property
        @afresh.memo(store=store)
        def over(self):
            """What it holds."""
            runs.mark()
            return self.size * 10

        @afresh.memo(store=store)
        @property
        def under(self):
            """What it holds."""
            runs.mark()
            return self.size * 100

        @under.setter
        def under(self, value):
            self.size = value

    one, two = Box(1), Box(2)
    for _ in range(2):
        assert [one.over, two.over, one.under, two.under] == [10, 20, 100, 200]
    assert runs.count == 4 and Box.under.__doc__ == "What it holds."
    one.under = 2
    assert one.under == 200


def test_cached_property_around_a_memo(store, runs):
    class Box:
        @functools.cached_property
        @afresh.memo(store=store)
        def once(self):
            runs.mark()
            return 1

    assert [Box().once, Box().once] == [1, 1] and runs.count == 1


def test_class_and_static_methods_in_either_order(store, runs):
    class Box:
        factor = 3

        @classmethod
        @afresh.memo(store=store)
        def inner_class(cls, x):
            runs.mark()
            return cls.factor * x

        @afresh.memo(store=store)
        @classmethod
        def outer_class(cls, x):
            runs.mark()
            return cls.factor * x

        @staticmethod
        @afresh.memo(store=store)
        def inner_static(x):
            runs.mark()
            return x

        @afresh.memo(store=store)
        @staticmethod
        def outer_static(x):
            runs.mark()
            return x

        @afresh.memo(store=store)
        def stream(self, n):
            runs.mark()
            yield from range(n)

    box = Box()
    for _ in range(2):
        for owner in (Box, box):
            assert (owner.inner_class(2), owner.outer_class(2)) == (6, 6)
            assert (owner.inner_static(5), owner.outer_static(5)) == (5, 5)
        assert list(box.stream(2)) == [0, 1]
    assert runs.count == 5


def test_self_is_left_out_on_request(store, runs):
    """cachier: `self` is left out of the key; cachetta: the receiver is never in it. Here on request."""

    class Service:
        def __init__(self):
            self.connection = lambda: None

        @afresh.memo(store=store, ignore="self")
        def get(self, key):
            runs.mark()
            return key.upper()

        @afresh.memo(store=store, ignore="self")
        async def fetch(self, key):
            runs.mark()
            return key.upper()

    assert Service().get("a") == Service().get("a") == "A"
    assert asyncio.run(Service().fetch("a")) == asyncio.run(Service().fetch("a")) == "A"
    assert runs.count == 2
