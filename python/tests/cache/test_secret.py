"""With a secret nothing is loaded that a holder of the secret did not store (T12)."""

from __future__ import annotations

import pytest

import afresh
from afresh.errors import ConfigError


def made(store, **options) -> afresh.SyncCache:
    cache = afresh.SyncCache()
    cache.setup(store, **options)
    return cache


def test_t12_a_foreign_value_is_absent_with_a_warning(store, said):
    made(store).set("k", [1])
    made(store, secret="a").set("signed", [1])
    with said:
        assert made(store, secret="a").get("k", "absent") == "absent"
        assert made(store, secret="b").get("signed", "absent") == "absent"
    assert any("not signed with our secret" in text for text in said)
    assert made(store, secret="a").get("signed") == [1]


def test_t12_numbers_are_signed_too(store):
    plain, signed = made(store), made(store, secret="a")
    plain.set("n", 5)
    assert signed.get("n", "absent") == "absent"
    assert signed.incr("n") == 1
    assert signed.get("n") == 1
    assert [signed.incr("n") for _ in range(3)] == [2, 3, 4]


def test_t12_what_is_foreign_can_be_replaced(store):
    made(store).set("k", [1])
    signed = made(store, secret="a")
    assert signed.set("k", [2], exist=True) is False
    assert signed.set("k", [2], exist=False) is True
    assert signed.get("k") == [2]
    made(store).set("k", [1])
    assert signed.get_or_set("k", lambda: [3]) == [3]


def test_t12_a_value_cannot_be_moved_to_another_key(said):
    held = {}

    class Held:
        get, delete = held.get, staticmethod(lambda key: held.pop(key, None))
        put = held.__setitem__

        def keys(self, prefix=""):
            return [key for key in held if key.startswith(prefix)]

    def move(cache):
        cache.set("from", ["theirs"])
        held["entries/5/" + b"kv//to".hex()] = held["entries/5/" + b"kv//from".hex()]
        return cache.get("to", "absent")

    assert move(made(Held())) == ["theirs"]
    assert move(made(Held(), secret="a")) == "absent"


class Evil:
    ran = False

    def __reduce__(self):
        return (exec, ("import builtins; builtins.evil_ran = True",))


def test_t12_an_unsigned_pickle_does_not_run(store):
    import builtins

    made(store).set("k", Evil())
    assert made(store, secret="a").get("k") is None
    assert not hasattr(builtins, "evil_ran")


def test_a_codec_loads_only_what_it_stored(store, said):
    made(store).set("k", [1])
    with said:
        assert made(store, codec="json").get("k", "absent") == "absent"
    assert any("taken as absent" in text for text in said)
    made(store).set("k", Evil())
    import builtins

    assert made(store, codec="safe-pickle").get("k", "absent") == "absent"
    assert not hasattr(builtins, "evil_ran")


def test_an_empty_secret_is_refused(store):
    with pytest.raises(ConfigError):
        made(store, secret="")
