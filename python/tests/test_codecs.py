"""Codecs and signatures: exact or refused, and nothing loaded that was not allowed."""

import datetime
import decimal
import enum
import os
import pickle
import uuid

import pytest

import afresh
from afresh import JsonCodec, PickleCodec, SafePickleCodec


class Evil:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


class Mine:
    def __eq__(self, other):
        return type(other) is Mine

    __hash__ = None


class Colour(enum.IntEnum):
    RED = 1


def identity(x):
    return x


def again(client, function, *args):
    """The result as it comes out of the store."""
    client.submit(function, *args)
    ref = client.submit(function, *args)
    assert ref.hash, "not kept"
    return client.get(ref.commit_hash)


# -- pickle ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 1, "ü\ud800", b"x" * 100_000, [1, (2,)], {1: {2}}, float("nan"), Mine()])
def test_pickle_gives_back_what_it_got(client, value):
    assert repr(again(client, identity, value)) == repr(value) or again(client, identity, value) == value


def test_arrays_come_back_writable_and_mapped_ones_read_only(store):
    numpy = pytest.importorskip("numpy")

    def make(n):
        return {"a": numpy.arange(n), "f": numpy.asfortranarray(numpy.ones((n, 2)))}

    copied = afresh.memo(make, store=store)
    mapped = afresh.memo(make, store=store, mapped=True)
    first = copied(50_000)
    for function, writable in ((copied, True), (mapped, False)):
        value = function(50_000)
        assert (value["a"] == first["a"]).all() and (value["f"] == first["f"]).all()
        assert value["a"].flags.writeable is writable
    copied(50_000)["a"][:] = 0
    assert copied(50_000)["a"][1] == 1


def test_data_that_looks_like_a_frame_is_not_taken_for_one(store):
    class Raw:
        name = "raw"

        def dumps(self, value):
            return value

        def loads(self, data):
            return data

    client = afresh.Client(store, serializer=Raw())
    for value in (b"afresh1\n", b"afresh1\n" + bytes(100), b"afresh1\n\xff\xff\xff\xff" + bytes(12)):
        assert again(client, identity, value) == value


def test_a_class_that_is_gone_means_computing_again(apart):
    script = """
        import afresh, sys
        {definition}
        @afresh.memo(store="store", mode="name")
        def make():
            print("run")
            return {value}
        print(type(make()).__name__)
        """
    assert apart(script.format(definition="class Old: pass", value="Old()")) == "run\nOld\n"
    done = apart.run(str(apart.write("script.py", script.format(definition="class New: pass", value="New()"))))
    assert done.stdout == "run\nNew\n"
    assert "cannot be loaded" in done.stderr


# -- safe pickle -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        [1, "a", b"b", None, 1.5, 2j, (1,), {1}, frozenset({2}), {"k": range(3)}],
        datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
        decimal.Decimal("1.5"),
        uuid.UUID(int=5),
    ],
)
def test_safe_pickle_loads_values(store, value):
    assert again(afresh.Client(store, codec="safe-pickle"), identity, value) == value


def test_safe_pickle_loads_arrays(store):
    numpy = pytest.importorskip("numpy")
    client = afresh.Client(store, codec="safe-pickle")
    for array in (numpy.arange(10), numpy.ones((200, 200)), numpy.float32(1.5), numpy.array(["a", "b"])):
        assert (again(client, identity, array) == array).all()


def test_safe_pickle_refuses_what_is_not_on_the_list(store):
    client = afresh.Client(store, codec="safe-pickle")
    ref = client.submit(identity, Mine())
    with pytest.raises(afresh.CodecError, match=r"Mine, which is not allowed.*extra="):
        client.get(ref.commit_hash)
    allowed = afresh.Client(store, codec=SafePickleCodec(extra=[Mine]))
    assert allowed.get(ref.commit_hash) == Mine()
    by_name = afresh.Client(store, codec=SafePickleCodec(extra=[(Mine.__module__, "Mine")]))
    assert by_name.get(ref.commit_hash) == Mine()


def evil_store(store):
    """A store in which the answer for `identity(1)` is a pickle that makes a folder."""

    class Poison:
        name = "pickle"
        exact = False

        def encode(self, value):
            return pickle.dumps(Evil()), []

        def decode(self, *stored):
            raise AssertionError

    return afresh.Client(store, codec=Poison()).submit(identity, 1)


@pytest.mark.parametrize("codec", ["safe-pickle", "json"])
def test_a_malicious_pickle_runs_nothing_and_the_value_is_computed(store, codec, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ref = evil_store(store)
    careful = afresh.Client(store, codec=codec)
    with pytest.raises(afresh.CodecError):
        careful.get(ref.commit_hash)
    with said:
        assert careful.submit(identity, 1).load() == 1
        assert afresh.memo(identity, store=store, codec=codec)(1) == 1
    assert not (tmp_path / "pwned").exists()
    assert any("cannot be loaded" in text for text in said)
    # The default trusts a store that only its user writes: that is what the other codecs and secrets are for.
    afresh.Client(store).get(ref.commit_hash)
    assert (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "pickled", [b"cos\nsystem\n(S'true'\ntR.", b"\x80\x04\x8c\x02os\x8c\x06system\x93.", b"", b"\x80\x05."]
)
def test_safe_pickle_refuses_old_protocols_too(pickled):
    with pytest.raises((afresh.CodecError, pickle.UnpicklingError, EOFError, IndexError)):
        SafePickleCodec().decode("pickle", pickled, [])


# -- JSON --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, True, 1, -0.0, 10**30, "ü", [1, [2]], {"a": {"b": None}}, []])
def test_json_gives_back_what_it_can_say(store, value):
    found = again(afresh.Client(store, codec="json"), identity, value)
    assert found == value and type(found) is type(value) and repr(found) == repr(value)


class Text(str):
    pass


class Pair(tuple):
    pass


@pytest.mark.parametrize(
    "value",
    [
        {1: "a"},
        [{"a": {2: 3}}],
        *(float("nan"), float("inf"), 1j),
        *(b"x", "\ud800", Text("x")),
        *({1}, Pair((1,)), Mine(), Colour.RED),
    ],
)
def test_json_refuses_what_it_would_change(store, value, said, runs):
    client = afresh.Client(store, codec="json")

    def make():
        runs.mark()
        return value

    with said:
        first, second = client.submit(make), client.submit(make)
    assert first.load() is value and second.load() is value and runs.count == 2
    assert "codec `json`" in client.show(first.commit_hash).unkept


def test_json_refuses_cycles_and_depth():
    loop = []
    loop.append(loop)
    with pytest.raises(afresh.CodecError, match="nested too deeply"):
        JsonCodec().encode(loop)


def test_json_turns_tuples_into_lists_as_it_says(store):
    assert again(afresh.Client(store, codec="json"), identity, (1, (2,))) == [1, [2]]


def test_codecs_do_not_read_each_other(store, said, runs):
    def make():
        runs.mark()
        return [1]

    with said:
        for codec in ("pickle", "json", "pickle", "safe-pickle"):
            assert afresh.memo(make, store=store, codec=codec)() == [1]
    assert runs.count == 3
    assert len(said) >= 2


# -- serializers ---------------------------------------------------------------------------------------


class Shouting:
    def dumps(self, value):
        return value.upper().encode()

    def loads(self, data):
        return data.decode()


def test_a_serializer_object(store):
    client = afresh.Client(store, serializer=Shouting())
    assert again(client, identity, "abc") == "ABC"
    assert client.log()[0].output.codec == "Shouting"


def test_a_serializer_called_pickle_still_loads_for_itself(store):
    class Named(Shouting):
        name = "pickle"

    f = afresh.memo(identity, store=store, codec=Named())
    f("abc")
    assert f("abc") == "ABC"


def test_a_subclass_of_the_pickle_codec_loads_for_itself(store):
    class Marked(PickleCodec):
        def decode(self, name, data, buffers):
            return ["loaded", super().decode(name, data, buffers)]

    f = afresh.memo(identity, store=store, codec=Marked())
    assert f(1) == 1 and f(1) == ["loaded", 1]


@pytest.mark.parametrize("wrong", [lambda value: "text", lambda value: 1 / 0])
def test_a_failing_serializer_does_not_cost_the_value(store, said, wrong):
    class Failing(Shouting):
        dumps = staticmethod(wrong)

    with said:
        assert afresh.memo(identity, store=store, codec=Failing())("x") == "x"
    assert len(said) == 1 and "codec `test" in said[0] or "Failing" in said[0]


def test_what_loads_raises_means_computing_again(store, said, runs):
    class Forgetful(Shouting):
        def loads(self, data):
            raise RuntimeError("forgot")

    @afresh.memo(store=store, codec=Forgetful())
    def make():
        runs.mark()
        return "x"

    with said:
        assert make() == make() == "x"
    assert runs.count == 2 and any("forgot" in text for text in said)


# -- secrets -------------------------------------------------------------------------------------------


def test_signed_answers_are_used_by_who_knows_the_secret(store, runs):
    def make():
        runs.mark()
        return 1

    for _ in range(2):
        assert afresh.memo(make, store=store, secret="s3cret")() == 1
    assert afresh.Client(store, secret=b"s3cret").submit(make).load() == 1
    assert runs.count == 1


@pytest.mark.parametrize("theirs", [None, "another"])
def test_unsigned_and_otherwise_signed_answers_are_computed_again(store, theirs, runs, said):
    def make():
        runs.mark()
        return runs.count

    ref = afresh.Client(store, secret=theirs).submit(make)
    ours = afresh.Client(store, secret="ours")
    with pytest.raises(afresh.DeniedError, match="not signed with our secret"):
        ours.get(ref.commit_hash)
    with said:
        assert ours.submit(make).load() == 2
        assert ours.submit(make).load() == 2
    assert len(said) == 1 and "not signed with our secret" in said[0]


def test_a_signed_malicious_pickle_would_need_the_secret(store, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil_store(store)
    with said:
        assert afresh.Client(store, secret="ours").submit(identity, 1).load() == 1
        assert afresh.memo(identity, store=store, secret="ours")(1) == 1
    assert not (tmp_path / "pwned").exists()


class Shelf(dict):
    """A store that an attacker can reach into."""

    put = dict.__setitem__

    def delete(self, key):
        self.pop(key, None)

    def keys(self, prefix=""):
        return [key for key in list(super().keys()) if key.startswith(prefix)]


@pytest.mark.parametrize("secret", ["ours", None])
def test_a_signed_output_cannot_answer_another_call(secret, said, runs):
    shelf = Shelf()

    def make(x):
        runs.mark()
        return x

    client = afresh.Client(shelf, secret=secret)
    keys = [f"entries/1/{afresh.memo(make, store=client).key(n)}" for n in (1, 2)]
    client.submit(make, 1), client.submit(make, 2)
    shelf[keys[0]], shelf[keys[1]] = shelf[keys[1]], shelf[keys[0]]
    with said:
        values = [client.submit(make, n).load() for n in (1, 2)]
    # Without a secret whoever can write to the store can say what the answers are.
    assert (values, runs.count) == (([1, 2], 4) if secret else ([2, 1], 2))


def test_a_tampered_value_is_computed_again(said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shelf = Shelf()
    client = afresh.Client(shelf, secret="ours")
    ref = client.submit(identity, "x" * 500_000)
    assert f"objects/{ref.hash}" in shelf
    shelf[f"objects/{ref.hash}"] = pickle.dumps(Evil())
    with said:
        assert client.submit(identity, "x" * 500_000).load() == "x" * 500_000
    assert not os.path.exists("pwned") and any("damaged" in text for text in said)


@pytest.mark.parametrize("near", ["near=0", "near=1MB"])
def test_scalars_come_back_as_they_went(tmp_path, near):
    texts = ["", "a", "é", "\0", "x" * 255, "x" * 256, "\ud800", "a\u0394.", "\x94"]
    numbers = [0, 1, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**31, 2**63, -(2**200), 0.0, -0.0, 1.5, 1e308, -2.5]
    values = [None, True, False, *numbers, *texts, b"", b".", b"\x94.", b"x" * 255, b"x" * 300, (), (1,), 1j]

    @afresh.memo(store=f"sqlite:{tmp_path / 'store'}?{near}")
    def value(place):
        return values[place]

    for place, expected in enumerate(values):
        for _ in range(3):
            found = value(place)
            assert type(found) is type(expected) and repr(found) == repr(expected)
    assert afresh.Client(f"sqlite:{tmp_path / 'store'}").stats().commits == len(values)
