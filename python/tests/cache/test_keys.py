"""Two calls that differ have two keys, and one call has one however it is spelled (T4)."""

from __future__ import annotations

import base64
import itertools
import json

import pytest

import afresh
from afresh.cache import WrongKeyError, key_context, register_filter
from afresh.cache.keys import Keys


def key(template, function, *args, **kwargs):
    keys = Keys(function, template)
    return keys.of(keys.arguments.bind(args, kwargs))


VALUES = [
    1, "1", True, "true", "!true", "True", None, "", "none", "None", "!none", 1.0, "1.0", "!f1.0", -1, "-1", [1, 2], "1:2", (1, 2),
    {"a": 1}, ["a", 1], b"x", "x", "!b78", [], {}, (), set(), frozenset(), [[1], 2], [1, [2]], [1, 2, 3], "~", "~1", "~~1", "%3A",
    ":", "a,b", ["a", "b"], ["a,b"], ["a", ["b"]], [("a", "b")], {"a": {"b": 1}}, {"a": "b=1"}, {"a": "b", "c": "d"},
    {"a=b": "c=d"}, "*", "\\", "(", 2**100, float("inf"), 0, -0.0, 0.0, False, "é", "e\u0301",
]  # fmt: skip


@pytest.mark.parametrize("template", ["k:{a}", "k:{a}:end", None], ids=["field", "inner", "default"])
def test_t4_values_that_differ_have_keys_that_differ(template):
    def f(a):
        pass

    keys = [key(template, f, value) for value in VALUES]
    assert len(set(keys)) == len(VALUES)


@pytest.mark.parametrize("template", ["{a}:{b}", "{a}-{b}", "{a}.{b}", "u{a}ab/{b}", "{a}::{b}", "{a}x{b}", "{a},{b}"])
def test_t4_two_fields_do_not_run_into_each_other(template):
    def f(a, b):
        pass

    parts = ["1", "2", "1:2", ":", "", "x", "-", "-1", -1, 1, 1.5, "1.", ".", "::", "ab/", "/", ["a", "b"], "a,b", ",", (1,), "%", "%3A", "X"]
    keys = [key(template, f, a, b) for a, b in itertools.product(parts, parts)]
    assert len(set(keys)) == len(parts) ** 2


@pytest.mark.parametrize("template", ["{a}{b}", "{a}1{b}", "{a}abc{b}", "{a}%{b}"])
def test_t4_a_template_that_could_give_two_calls_one_key_is_refused(template):
    with pytest.raises(WrongKeyError, match="nothing separates"):
        Keys(lambda a, b: None, template)


def test_t4_one_call_has_one_key_however_it_is_spelled():
    def f(a, b=10, *rest, c=3, **more):
        pass

    for template in (None, "{a}:{b}:{c}:{rest}:{more}:{__args__}:{__kwargs__}"):
        one = {key(template, f, 2), key(template, f, a=2), key(template, f, 2, 10), key(template, f, b=10, a=2, c=3)}
        assert len(one) == 1
        assert key(template, f, a=2, b=None) not in one
        assert key(template, f, 2, x="1:y:2") != key(template, f, 2, x="1", y="2")
        assert key(template, f, 2, 10, 1) != key(template, f, 2, 10, more=1)


def test_a_key_can_be_read():
    class User:
        def __init__(self, id):
            self.id = id

    def f(user, kind="new"):
        pass

    assert key("user:{user.id}:{kind}", f, User(7)) == "user:7:new"
    assert key("user:{user.id}:{kind}", f, User("bob@x.org"), "a:b") == "user:bob@x.org:a%3Ab"
    assert key("user:{user.id}", f, None) == "user:!none"
    assert key("{user[0]}:{user[1]}", f, ["a", 2]) == "a:2"
    assert key("{user[name]}:{kind!r}", f, {"name": "x"}) == "x:'new'"
    assert key(None, f, 1).startswith(f"{f.__module__}:{f.__qualname__}:")


def test_t4_sets_and_dicts_have_no_order():
    def f(a):
        pass

    assert key("{a}", f, {"x": 1, "y": 2}) == key("{a}", f, {"y": 2, "x": 1})
    assert key("{a}", f, {1: 1, "1": 2}) != key("{a}", f, {1: 2, "1": 1})
    assert key("{a}", f, {"b", "a"}) == "!s(a,b)"


def test_t4_an_object_without_a_form_is_not_cached(said):
    cache = afresh.SyncCache()
    cache.setup("memory:")
    calls = []

    @cache.cache(ttl=60)
    def f(thing):
        calls.append(thing)
        return len(calls)

    with said:
        generator = (i for i in ())
        assert [f(generator), f(generator)] == [1, 2]
    assert any("is made without the cache" in text for text in said)


def test_t4_short_lived_instances_are_not_taken_for_each_other():
    cache = afresh.SyncCache()
    cache.setup("memory:")

    class Thing:
        def __init__(self, n):
            self.n = n

        @cache.cache(ttl=60)
        def get(self):
            return self.n

    assert [Thing(n).get() for n in range(200)] == list(range(200))


@pytest.mark.parametrize("template", ["{x}", "{a:nosuch}", "{a:hash(nosuch)}", "{a", "{a!x}", "{a.b.}"])
def test_a_mistake_in_a_template_is_an_error_where_it_is_written(template):
    cache = afresh.SyncCache()
    cache.setup("memory:")
    with pytest.raises(WrongKeyError):

        @cache.cache(ttl=1, key=template)
        def f(a):
            pass


def jwt(claims) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{payload}.signature"


def test_t11_filters():
    def f(a):
        pass

    assert key("{a:len}", f, [1, 2]) == "2"
    assert key("{a:lower}-{a:upper}", f, "Ab") == "ab-AB"
    assert key("{a:hash}", f, "x") != key("{a:hash}", f, "y")
    assert len(key("{a:hash(md5)}", f, "x").lstrip("~")) == 32
    assert key("{a:hash}", f, 1) != key("{a:hash}", f, "1")
    assert key("{a:get(name)}", f, {"name": 5}) == "5"
    for n in range(60):
        assert key("{a:jwt(client)}", f, jwt({"client": n, "x": "y" * n})) == str(n)
    for wrong in ("", "a.b.c", "nothing", 5, None, "a.!!!.c"):
        assert key("{a:jwt(client)}", f, wrong) == "!none"


def test_a_filter_of_one_s_own_gets_the_value_itself():
    seen = []

    @register_filter("slug")
    def slug(value, mark="-"):
        seen.append(value)
        return value.name.replace(" ", mark)

    class Page:
        name = "a b"

    page = Page()
    assert key("p:{a:slug}:{a:slug(_)}", lambda a: None, page) == "p:a-b:a_b"
    assert seen == [page, page]


def test_values_of_the_context_may_be_part_of_a_key():
    def f():
        pass

    template = "{@:get(user)}:{@:get(role)}"
    with key_context(user=7):
        assert key(template, f) == "7:!none"
        with key_context(role="x"):
            assert key(template, f) == "7:x"
        assert key(template, f) == "7:!none"
    assert key(template, f) == "!none:!none"


@pytest.mark.parametrize("name", ["template", "ttl", "result", "with_callable", "key", "self", "args", "call", "function"])
def test_t24_any_parameter_may_have_any_name(name):
    cache = afresh.SyncCache()
    cache.setup("memory:")
    namespace = {}
    exec(f"def f({name}, **others): return [{name}]", namespace)
    f = cache.cache(ttl=lambda *args, **kwargs: 60)(namespace["f"])
    assert f(**{name: 1}) == [1] and f(**{name: 1}) == [1] and f(2) == [2]


def test_a_filter_may_have_another_field_as_its_argument():
    def f(text, algorithm="md5", claim=None):
        return text

    md5, sha = key("{text:hash({algorithm})}", f, "x"), key("{text:hash({algorithm})}", f, "x", "sha256")
    assert md5 == key("{text:hash(md5)}", f, "x") and sha == key("{text:hash(sha256)}", f, "x") and md5 != sha
    token = jwt({"id": 7})
    assert key("{text:jwt({claim})}", f, token, claim="id") == key("{text:jwt(id)}", f, token)
    assert key("{text:hash({algorithm:lower})}", f, "x", "MD5") == md5
    for mistaken in ("{text:hash({other})}", "{text:hash({algorithm:none})}", "{text:hash({algorithm)}"):
        with pytest.raises(WrongKeyError):
            Keys(f, mistaken)


@pytest.fixture
def formatter(monkeypatch):
    from afresh.cache import encode, filters

    monkeypatch.setattr(encode, "formats", {})
    monkeypatch.setattr(filters, "_FILTERS", dict(filters._FILTERS))
    return filters.default_formatter


def test_a_class_may_say_how_it_is_written(formatter):
    class User:
        def __init__(self, name):
            self.name = name

    class Admin(User):
        pass

    def f(user):
        return user

    with pytest.raises(WrongKeyError):
        formatter.type_format(str)
    formatter.type_format(User)(lambda user: user.name)
    keys = {key("u:{user}", f, user) for user in (User("ada"), Admin("ada"), User("ada"))}
    assert len(keys) == 1 and "ada" in keys.pop()
    assert key("u:{user}", f, User("a:b")) != key("u:{user}", f, User("a")) + ":b"
    others = ["ada", ["ada"], User("!none"), None, User("1"), 1, [User("a,b")], [User("a"), User("b")]]
    assert len({key("u:{user}", f, other) for other in others}) == len(others)
    assert key("u:{user.name}", f, User("ada")) == "u:ada"


def test_a_filter_gets_text_unless_it_wants_the_value(formatter):
    @formatter.register("slug")
    def slug(text):
        return text.replace(" ", "-")

    @formatter.register("first", preformat=False)
    def first(items, default="none"):
        return items[0] if items else default

    def f(a, b="x"):
        return a

    assert (key("{a:slug}", f, "a b"), key("{a:slug}", f, 7)) == ("a-b", "~7")
    assert (key("{a:first}", f, [5]), key("{a:first({b})}", f, [])) == ("5", "x")
