"""One meaning of each command, over every store, for threads and for event loops.

T… are the defects of another library that must be right here.
"""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

import afresh
from afresh.cache import KEEP, NOT_EXIST, UNLIMITED
from afresh.errors import CodecError, ConfigError

VALUES = [None, True, False, 0, -3, 2**70, -(2**63), 1.5, "", "ä\U0001f600", [1, [2]], {"a": {"b": None}}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was(cache, value):
    assert cache.set("k", value) is True
    got = cache.get("k", "absent")
    assert got == value and type(got) is type(value)


def test_none_is_a_value(cache):
    cache.set("k", None)
    assert cache.get("k", 1) is None
    assert cache.exists("k") is True
    assert cache.get_or_set("k", 5) is None


def test_t9_negative_numbers_are_values(cache):
    cache.set("k", -3)
    assert (cache.get("k"), cache.get_many("k"), cache.incr("k", -2)) == (-3, (-3,), -5)


def test_t18_everybody_has_a_value_of_their_own(cache):
    given = {"a": [1]}
    cache.set("k", given)
    given["a"].append(2)
    first = cache.get("k")
    first["a"].append(3)
    assert cache.get("k") == {"a": [1]}
    for _, value in cache.get_match("k"):
        value["a"].append(4)
    assert cache.get_many("k") == ({"a": [1]},)


def test_absent_is_the_default(cache):
    assert cache.get("k") is None
    assert cache.get("k", 7) == 7
    assert cache.get_many("a", "b", default=0) == (0, 0)
    assert cache.exists("k") is False
    assert cache.delete("k") is False


def test_get_many_keeps_the_order_of_the_keys(cache):
    cache.set_many({"a": 1, "b": [2]})
    assert cache.get_many("b", "x", "a", "b") == ([2], None, 1, [2])


def test_exist_says_when_to_store(cache):
    assert cache.set("k", 1, exist=True) is False
    assert cache.get("k", "absent") == "absent"
    assert cache.set("k", 1, exist=False) is True
    assert cache.set("k", 2, exist=False) is False
    assert cache.get("k") == 1
    assert cache.set("k", 3, exist=True) is True
    assert cache.get("k") == 3


# Lifetimes


@pytest.mark.parametrize("ttl", [100, 100.0, "1m40s", timedelta(seconds=100)], ids=repr)
def test_a_lifetime_may_be_said_in_many_ways(cache, ttl):
    cache.set("k", 1, expire=ttl)
    assert 99 < cache.get_expire("k") <= 100


@pytest.mark.parametrize("ttl", [True, "soon", float("nan"), [1]], ids=repr)
def test_what_is_no_lifetime_is_refused(cache, ttl):
    with pytest.raises(ConfigError):
        cache.set("k", 1, expire=ttl)


def test_t19_a_lifetime_of_part_of_a_second_is_kept_to(cache):
    cache.set("k", 1, expire=0.25)
    began = time.monotonic()
    assert cache.get("k") == 1
    while cache.exists("k"):
        assert time.monotonic() - began < 10
        time.sleep(0.005)
    assert time.monotonic() - began > 0.2
    assert cache.set("k", 2, exist=False) is True


@pytest.mark.parametrize("ttl", [0, -1, timedelta(seconds=-5)], ids=repr)
def test_t19_a_lifetime_of_nothing_is_not_stored(cache, ttl):
    assert cache.set("k", 1, expire=ttl) is False
    assert cache.exists("k") is False
    cache.set("k", 1)
    assert cache.set("k", 2, expire=ttl) is False
    assert cache.get("k", "absent") == "absent"


def test_overwriting_sets_the_lifetime_as_given(cache):
    cache.set("k", 1, expire=100)
    cache.set("k", 2)
    assert cache.get_expire("k") == UNLIMITED
    cache.set("k", 3, expire=50)
    assert 49 < cache.get_expire("k") <= 50


def test_keep_keeps_the_lifetime(cache):
    cache.set("k", 1, expire=100)
    assert cache.set("k", [2], expire=KEEP) is True
    assert (cache.get("k"), 98 < cache.get_expire("k") <= 100) == ([2], True)
    cache.set("fresh", 1, expire=KEEP)
    assert cache.get_expire("fresh") == UNLIMITED


def test_t9_setting_what_has_expired_stores_it(cache):
    cache.set("k", 1, expire=0.01)
    time.sleep(0.02)
    assert cache.set("k", 2) is True
    assert (cache.get("k"), cache.get_expire("k")) == (2, UNLIMITED)


def test_expire_sets_and_takes_off_the_end(cache):
    assert cache.expire("k", 10) is False
    cache.set("k", [1], tags=["t"])
    assert cache.expire("k", "10s") is True
    assert 9 < cache.get_expire("k") <= 10
    assert cache.expire("k", None) is True
    assert cache.get_expire("k") == UNLIMITED
    assert (cache.get("k"), cache.get_key_tags("k")) == ([1], ("t",))
    assert cache.expire("k", 0) is True
    assert cache.get_expire("k") == NOT_EXIST


# Counters


def test_a_counter_begins_with_its_lifetime_and_keeps_it(cache):
    assert cache.incr("n", 5, expire=100) == 5
    assert cache.incr("n", expire=1) == 6
    assert 99 < cache.get_expire("n") <= 100
    assert cache.get("n") == 6


def test_a_stored_number_can_be_counted_on(cache):
    cache.set("n", 40, expire=100)
    assert cache.incr("n", 2) == 42
    assert 99 < cache.get_expire("n") <= 100


def test_what_is_no_number_cannot_be_counted(cache):
    for value in ("1", 1.5, True, None):
        cache.set("n", value)
        with pytest.raises(TypeError):
            cache.incr("n")
        assert cache.get("n") == value


def test_a_counter_with_tags_begins_anew_when_they_are_taken_back(cache):
    assert [cache.incr("n", tags=["t"]) for _ in range(3)] == [1, 2, 3]
    cache.delete_tags("t")
    assert cache.incr("n", tags=["t"]) == 1


# Patterns


KEYS = ["a.b", "axb", "a(b)", "a*b", "a\\b", "user:1:x", "user:1:y", "user:2:x", "ä:*", "[ab]", "a?b", "%", "a%b", "a_b"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", KEYS),
        ("a.b", ["a.b"]),
        ("a(b)", ["a(b)"]),
        ("a\\*b", ["a*b"]),
        ("a\\\\b", ["a\\b"]),
        ("[ab]", ["[ab]"]),
        ("a?b", ["a?b"]),
        ("a%b", ["a%b"]),
        ("a_b", ["a_b"]),
        ("a*b", ["a.b", "axb", "a(b)", "a*b", "a\\b", "a?b", "a%b", "a_b"][:2] + ["a*b", "a\\b", "a?b", "a%b", "a_b"]),
        ("user:*:x", ["user:1:x", "user:2:x"]),
        ("user:1:*", ["user:1:x", "user:1:y"]),
        ("*:x", ["user:1:x", "user:2:x"]),
        ("**r:1**", ["user:1:x", "user:1:y"]),
        ("ä:*", ["ä:*"]),
        ("(*", []),
        ("user", []),
        ("", []),
    ],
)
def test_t24_patterns_mean_the_same_everywhere(cache, pattern, found):
    if pattern == "a*b":
        found = ["a.b", "axb", "a*b", "a\\b", "a?b", "a%b", "a_b"]
    cache.set_many(dict.fromkeys(KEYS, 1))
    assert sorted(cache.scan(pattern)) == sorted(found)
    assert sorted(cache.get_match(pattern)) == sorted((key, 1) for key in found)
    assert cache.delete_match(pattern) == len(found)
    assert sorted(cache.scan("*")) == sorted(set(KEYS) - set(found))


def test_a_scan_of_many_pages_gives_each_key_once(cache):
    names = [f"k{i}" for i in range(230)]
    cache.set_many(dict.fromkeys(names, 1))
    cache.set("other", 1)
    assert sorted(cache.scan("k*", 7)) == sorted(names)
    assert cache.get_keys_count() == 231


def test_a_key_may_be_long(cache):
    long, longer = "ü" * 400 + ":1", "ü" * 400 + ":2"
    cache.set(long, 1)
    cache.set(longer, [2])
    assert (cache.get(long), cache.get(longer), cache.incr(long)) == (1, [2], 2)
    assert sorted(cache.scan("ü*:*")) == [long, longer]
    assert cache.delete_match("*:2") == 1
    assert list(cache.scan("*")) == [long]


def test_clear_removes_everything(cache):
    cache.set_many({"a": 1, "b": [2]})
    cache.incr("n")
    cache.clear()
    assert (cache.get_keys_count(), cache.get("a"), cache.incr("n")) == (0, None, 1)


def test_size_and_ping(cache):
    assert cache.get_size("k") == 0
    cache.set("k", "x" * 1000)
    assert 1000 <= cache.get_size("k") < 2000
    assert (cache.ping(), cache.ping(b"hello")) == (b"PONG", b"hello")


def test_delete_many_counts_what_was_there(cache):
    cache.set_many({"a": 1, "b": 2})
    assert cache.delete_many("a", "x", "b") == 2


# Tags


def test_t6_a_tag_outlives_its_shortest_key(cache):
    cache.set("long", 1, expire=1000, tags=["t"])
    cache.set("short", 1, expire=0.01, tags=["t"])
    time.sleep(0.02)
    cache.delete_tags("t")
    assert cache.get("long", "absent") == "absent"


def test_t6_tagging_anew_leaves_the_old_tag(cache):
    cache.set("k", 1, tags=["old"])
    cache.set("k", 2, tags=["new"])
    cache.delete_tags("old")
    assert (cache.get("k"), cache.get_key_tags("k")) == (2, ("new",))
    cache.delete_tags("new")
    assert cache.exists("k") is False


def test_what_a_tag_took_back_is_absent_to_every_command(cache):
    cache.set("k", 1, tags=["t", "u"])
    cache.set("other", 2, tags=["u"])
    cache.delete_tags("t")
    assert cache.get_many("k", "other") == (None, 2)
    assert (cache.exists("k"), cache.expire("k", 5), cache.get_expire("k")) == (False, False, NOT_EXIST)
    assert (list(cache.scan("*")), list(cache.get_match("*"))) == (["other"], [("other", 2)])
    assert cache.set("k", 3, exist=True) is False
    assert cache.set("k", 3, exist=False) is True
    assert cache.get("k") == 3


def test_a_tag_can_be_used_again_after_it_was_taken_back(cache):
    for round in range(3):
        cache.set("k", round, tags=["t"])
        assert cache.get("k") == round
        cache.delete_tags("t")
        assert cache.exists("k") is False


# Locks


def test_t7_only_the_owner_gives_a_lock_back(cache):
    assert cache.set_lock("l", "a", 100) is True
    assert cache.set_lock("l", "b", 100) is False
    assert cache.unlock("l", "b") is False
    assert cache.is_locked("l") is True
    assert cache.unlock("l", "a") is True
    assert cache.is_locked("l") is False
    assert cache.unlock("l", "a") is False


def test_t7_an_expired_lock_blocks_nobody(cache):
    cache.set_lock("l", "a", 0.5)
    assert cache.is_locked("l") is True
    began = time.monotonic()
    while not cache.set_lock("l", "b", 100):
        assert time.monotonic() - began < 10
    assert cache.unlock("l", "a") is False
    assert cache.is_locked("l", wait=0.02) is True


def test_a_lock_is_not_a_value(cache):
    cache.set_lock("l", "a", 100)
    assert (cache.exists("l"), cache.get_keys_count()) == (False, 0)
    cache.set("l", 1)
    cache.delete("l")
    cache.clear()
    assert cache.is_locked("l") is True


def test_a_lock_needs_an_end(cache):
    for never in (None, 0, "0s"):
        with pytest.raises(ConfigError):
            cache.lock("l", never)


# What cannot be stored


def test_what_the_codec_does_not_take_is_refused_and_leaves_what_is_there(cache):
    cache.set("k", 1)
    with pytest.raises(CodecError):
        cache.set("k", lambda: 1)
    assert cache.get("k") == 1


def test_what_cannot_be_stored_is_still_given(cache, said):
    with said:
        made = cache.get_or_set("k", lambda: (lambda: 1), 10)
    assert made() == 1
    assert any("will be computed again" in text for text in said)


def test_a_key_is_text(cache):
    for key in (1, b"k", None):
        with pytest.raises((TypeError, AttributeError)):
            cache.set(key, 1)


# Off and on


def test_t20_off_is_off_for_everybody(cache):
    cache.set("k", 1)
    cache.disable("get", "get_many")
    assert (cache.get("k", "off"), cache.get_many("k")) == ("off", (None,))
    assert cache.is_disable("get") and not cache.is_disable("set") and not cache.is_disable()
    cache.enable("get", "get_many")
    assert cache.get("k") == 1


def test_t20_every_command_works_when_all_are_off(cache):
    cache.set("k", 1)
    cache.disable()
    assert cache.is_disable()
    assert (cache.set("k", 2), cache.get("k"), cache.incr("k"), cache.exists("k")) == (False, None, 0, False)
    assert (list(cache.scan("*")), list(cache.get_match("*")), cache.get_keys_count()) == ([], [], 0)
    assert (cache.delete("k"), cache.delete_match("*"), cache.expire("k", 1)) == (False, 0, False)
    assert cache.get_or_set("k", lambda: 9) == 9
    cache.clear()
    cache.enable()
    assert cache.get("k") == 1


def test_turning_off_what_is_not_a_command_is_an_error(cache):
    with pytest.raises(ConfigError, match="there is no command gets"):
        cache.disable("gets")


def test_the_face_is_not_set_up_by_itself():
    with pytest.raises(afresh.ConfigError, match="no store is set up"):
        afresh.SyncCache().get("k")
