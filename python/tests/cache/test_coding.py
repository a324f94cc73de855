"""Own types, compression, sizes: over every store, for threads and for event loops."""

from __future__ import annotations

import decimal
import sys

import pytest

import afresh
from afresh.cache import memory_limit, register_type
from afresh.cache.coding import METHODS
from afresh.errors import CodecError, ConfigError


class Money:
    """What no codec but pickle takes."""

    def __init__(self, amount: str) -> None:
        self.amount = decimal.Decimal(amount)

    def __reduce__(self):
        raise TypeError("not to be pickled")

    def __eq__(self, other):
        return type(other) is type(self) and other.amount == self.amount


class Dear(Money):
    pass


@pytest.fixture(autouse=True)
def _registered():
    register_type(Money, lambda money: str(money.amount).encode(), lambda data: Money(data.decode()), name="money")


def test_a_type_says_its_own_form(cache):
    assert cache.set("k", Money("1.50"), expire=100, tags=["t"]) is True
    got = cache.get("k")
    assert type(got) is Money and got.amount == decimal.Decimal("1.50")
    assert got is not cache.get("k")
    (one,) = cache.get_many("k")
    assert (type(one), cache.get_raw("k"), cache.get_key_tags("k")) == (Money, b"1.50", ("t",))


def test_a_type_is_this_very_class(cache):
    with pytest.raises(CodecError):
        cache.set("k", Dear("1"))


def test_a_form_that_cannot_be_read_is_absent(cache, said):
    register_type(Money, lambda money: b"nonsense", lambda data: Money(data.decode()), name="money")
    cache.set("k", Money("1"))
    with said:
        assert cache.get("k", "absent") == "absent"
    assert any("cannot be loaded" in text for text in said)


def test_a_form_that_is_no_bytes_is_refused(cache):
    register_type(Money, lambda money: "text", lambda data: data, name="money")
    cache.set("k", 1)
    with pytest.raises(CodecError, match="is bytes, not str"):
        cache.set("k", Money("1"))
    assert cache.get("k") == 1


def test_a_form_that_is_not_registered_is_absent(store, apart, said):
    script = """
        import sys, afresh
        from afresh.cache import register_type
        class Money: pass
        if sys.argv[1] == "write":
            register_type(Money, lambda money: b"1", lambda data: Money())
        cache = afresh.SyncCache()
        cache.setup("store", codec="json")
        if sys.argv[1] == "write":
            cache.set("k", Money())
        print(cache.get("k", "absent"))
        """
    assert "Money" in apart(script, "write")
    assert apart(script, "read") == "absent\n"


def test_what_is_no_class_has_no_form():
    for kind, name in (("Money", ""), (Money, "a+zstd")):
        with pytest.raises(ConfigError):
            register_type(kind, bytes, bytes, name=name)


VALUES = [None, 7, "text" * 1000, b"x" * 5000, [1, "a" * 1000], {"k": ["v"] * 300}, "", ["short"], "é\0" * 999]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("codec", [None, "json"])
@pytest.mark.parametrize("where", ["memory", "sqlite"])
def test_what_was_compressed_comes_back(where, codec, method, store):
    cache = afresh.SyncCache()
    cache.setup("memory:" if where == "memory" else store, codec=codec, compress=method)
    for value in VALUES:
        if codec == "json" and isinstance(value, bytes):
            continue
        cache.set("k", value)
        got = cache.get("k", "absent")
        assert got == value and type(got) is type(value)
    cache.set("k", ["x" * 100_000])
    assert cache.get_size("k") < 2000


def test_compression_may_be_turned_on_and_off(store):
    def made(**options):
        cache = afresh.SyncCache()
        cache.setup(store, **options)
        return cache

    value = ["x" * 10_000]
    made().set("plain", value)
    made(compress="gzip").set("gzip", value)
    made(compress="zstd").set("zstd", value)
    for options in ({}, {"compress": "zstd"}, {"compress": "lzma"}):
        assert made(**options).get_many("plain", "gzip", "zstd") == (value,) * 3


def test_arrays_are_compressed_and_can_be_changed(store):
    np = pytest.importorskip("numpy")
    cache = afresh.SyncCache()
    cache.setup(store, compress="zstd")
    cache.set("k", np.zeros(100_000))
    got = cache.get("k")
    got[0] = 1
    assert cache.get("k")[0] == 0 and cache.get_size("k") < 5000


@pytest.mark.parametrize("method", METHODS)
def test_t12_a_damaged_value_is_absent_and_no_exception(store, method, said):
    cache = afresh.SyncCache()
    cache.setup(store, compress=method)
    cache.set("k", ["x" * 5000])
    data = cache.get_raw("k")
    good = f"pickle+{method}"

    class Damaged:
        name = good
        exact = False

        def encode(self, value):
            return data[: len(data) // 2], []

        def decode(self, name, data, buffers):
            raise AssertionError

    other = afresh.SyncCache()
    other.setup(store, codec=Damaged())
    other.set("k", ["anything"])
    with said:
        assert cache.get("k", "absent") == "absent"
    assert any("cannot be loaded" in text for text in said)


def test_with_a_secret_what_is_compressed_is_signed(store, said):
    def made(secret):
        cache = afresh.SyncCache()
        cache.setup(store, compress="zstd", secret=secret)
        return cache

    made("a").set("k", ["x" * 5000])
    with said:
        assert made("b").get("k", "absent") == "absent"
    assert made("a").get("k") == ["x" * 5000]


def test_an_unknown_compression_is_an_error():
    with pytest.raises(ConfigError, match="the methods are zstd"):
        afresh.SyncCache().setup("memory:", compress="rar")


# Sizes


def test_what_is_too_large_or_too_small_is_not_kept(cache):
    if not isinstance(cache, afresh.SyncCache):
        cache = cache.cache.sync
    kept = cache.cache(ttl=60, key="k:{n}", condition=memory_limit(1000, 100_000))(lambda n: ["x" * n])
    for n in (10, 5000, 200_000):
        assert kept(n) == ["x" * n]
    assert list(cache.scan("k:*")) == ["k:5000"]


def test_the_size_of_a_value_is_that_of_all_in_it():
    from afresh.cache.sizes import size

    class Slotted:
        __slots__ = ("part",)

    slotted = Slotted()
    slotted.part = b"x" * 10_000
    text = "x" * 1000
    cyclic = [text]
    cyclic.append(cyclic)
    assert size(text) == sys.getsizeof(text)
    assert size([text, text]) == size([text]) + 8
    assert 1000 < size(cyclic) < 1300 and size({"a": [{"b": text}]}) > 1000
    assert size(slotted) > 10_000 and size([b"x" * 5000] * 3 + [b"y" * 5000], enough=100) > 100
    np = pytest.importorskip("numpy")
    assert size(np.zeros(1000)[:500]) >= 4000
