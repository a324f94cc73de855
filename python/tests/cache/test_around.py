"""What stands around commands: middlewares, callbacks, `invalidate_further`, and turning things off. For both faces."""

from __future__ import annotations

import asyncio
import threading

import pytest
from doubles import Dictionary

import afresh
from afresh.cache import (
    Command,
    RateLimitError,
    fast_condition,
    invalidate_further,
    noself,
    register_backend,
)
from afresh.cache.routes import _makers
from afresh.errors import ConfigError

FACES = ("threads", "loops")


@pytest.fixture(params=[f"{store}-{face}" for store in ("memory", "sqlite") for face in FACES])
def world(request, tmp_path):
    store, _, face = request.param.partition("-")
    return World("memory:" if store == "memory" else str(tmp_path / "kv"), face)


class World:
    """A cache, and its commands on one of the faces."""

    def __init__(self, url, face) -> None:
        self.url, self.face = url, face
        self.cache = afresh.Cache()

    def setup(self, **options):
        self.cache.setup(self.url, **options)
        return self

    def do(self, name, *args, **kwargs):
        if self.face == "threads":
            given = getattr(self.cache.sync, name)(*args, **kwargs)
            return given if not hasattr(given, "__next__") else list(given)

        async def main():
            given = getattr(self.cache, name)(*args, **kwargs)
            return [one async for one in given] if hasattr(given, "__aiter__") else await given

        return asyncio.run(main())

    def decorated(self, decorate, body):
        if self.face == "threads":
            return decorate(body)

        @decorate
        async def later(a=0):
            return body(a)

        return lambda *args: asyncio.run(later(*args))


def writer(log, name):
    """A coroutine function that writes down what it stands around."""

    async def middleware(call, cmd, backend, *args, **kwargs):
        log.append((name, cmd.value, args, kwargs))
        return await call(*args, **kwargs)

    return middleware


# Middlewares


def test_a_middleware_sees_every_command(world):
    log = []
    world.setup(middlewares=(writer(log, "m"),))
    world.do("set", "k", 1, expire=5)
    world.do("get", "k", default=2)
    world.do("get_many", "k", "l")
    world.do("set_many", {"a": 1})
    world.do("incr", "n")
    world.do("exists", "k")
    world.do("expire", "k", 9)
    world.do("get_expire", "k")
    assert world.do("scan", "*") and world.do("get_match", "k")
    world.do("delete", "k")
    world.do("delete_many", "a", "b")
    world.do("delete_match", "x*")
    world.do("set_lock", "l", "me", 5)
    world.do("unlock", "l", "me")
    world.do("is_locked", "l")
    world.do("get_size", "k")
    assert [entry[1:] for entry in log] == [
        ("set", (), {"key": "k", "value": 1, "expire": 5, "exist": None, "tags": ()}),
        ("get", (), {"key": "k", "default": 2}),
        ("get_many", ("k", "l"), {"default": None}),
        ("set_many", (), {"pairs": {"a": 1}, "expire": None, "tags": ()}),
        ("incr", (), {"key": "n", "value": 1, "expire": None, "tags": ()}),
        ("exists", (), {"key": "k"}),
        ("expire", (), {"key": "k", "timeout": 9}),
        ("get_expire", (), {"key": "k"}),
        ("scan", (), {"pattern": "*", "batch_size": 100}),
        ("get_match", (), {"pattern": "k", "batch_size": 100}),
        ("delete", (), {"key": "k"}),
        ("delete_many", ("a", "b"), {}),
        ("delete_match", (), {"pattern": "x*"}),
        ("set_lock", (), {"key": "l", "value": "me", "expire": 5}),
        ("unlock", (), {"key": "l", "value": "me"}),
        ("is_locked", (), {"key": "l", "wait": None, "step": 0.1}),
        ("get_size", (), {"key": "k"}),
    ]


def test_commands_on_everything_are_seen_by_those_that_were_added(world):
    log = []
    world.setup()
    world.cache.add_middleware(writer(log, "m"))
    world.do("ping")
    world.do("get_keys_count")
    world.do("delete_tags", "t", "u")
    world.do("clear")
    assert [entry[1:] for entry in log] == [
        ("ping", (), {"message": None}),
        ("get_keys_count", (), {}),
        ("delete_tags", ("t", "u"), {}),
        ("clear", (), {}),
    ]


def test_the_last_is_outermost_and_what_was_added_is_outside(world):
    log = []
    world.setup(middlewares=(writer(log, "a"), writer(log, "b")))
    world.cache.add_middleware(writer(log, "c"))
    world.cache.add_middleware(writer(log, "d"))
    world.do("get", "k")
    assert [entry[0] for entry in log] == ["d", "c", "b", "a"]


def test_a_middleware_may_change_everything(world):
    async def prefixed(call, cmd, backend, *args, **kwargs):
        if "key" in kwargs:
            kwargs["key"] = "p:" + kwargs["key"]
        return await call(*(f"p:{key}" for key in args), **kwargs)

    async def kept(call, cmd, backend, *args, **kwargs):
        if cmd is Command.SET and kwargs["value"] == "large":
            return False
        if cmd == "get" and kwargs["key"] == "made up":
            return "!"
        return await call(*args, **kwargs)

    world.setup(middlewares=(prefixed, kept))
    assert world.do("set", "k", 1) is True
    assert world.do("set", "k", "large") is False
    assert world.do("get_many", "k", "x", default=0) == (1, 0)
    assert (world.do("get", "k"), world.do("get", "made up"), world.do("scan", "*")) == (1, "!", ["p:k"])
    assert world.do("delete", "k") is True


def test_plain_functions_are_middlewares_too(world):
    def shouting(call, cmd, backend, *args, **kwargs):
        if cmd == "set":
            kwargs["value"] = kwargs["value"].upper()
        return call(*args, **kwargs)

    world.setup(middlewares=(shouting,))
    world.do("set", "k", "v")
    assert world.do("get", "k") == "V"


def test_what_has_to_wait_cannot_stand_around_a_command_for_threads():
    async def slow(call, cmd, backend, *args, **kwargs):
        await asyncio.sleep(0)
        return await call(*args, **kwargs)

    cache = afresh.Cache()
    cache.setup("memory:", middlewares=(slow,))
    assert asyncio.run(cache.get("k")) is None
    with pytest.raises(ConfigError, match="has to wait"):
        cache.sync.get("k")


def test_a_middleware_may_use_the_cache_without_meeting_itself(world):
    async def counted(call, cmd, backend, *args, **kwargs):
        if cmd == "get":
            await backend.incr("gets")
        return await call(*args, **kwargs)

    world.setup(middlewares=(counted,))
    world.do("get", "k")
    world.do("get", "k")
    assert world.do("get_many", "gets") == (2,)


def test_an_exception_of_a_middleware_is_the_callers(world):
    async def never(call, cmd, backend, *args, **kwargs):
        raise KeyError(kwargs["key"])

    world.setup(middlewares=(never,))
    with pytest.raises(KeyError, match="k"):
        world.do("get", "k")


def test_decorated_functions_go_through_middlewares(world):
    log, runs = [], []

    async def lowered(call, cmd, backend, *args, **kwargs):
        log.append(cmd.value)
        kwargs["key"] = kwargs["key"].lower()
        return await call(*args, **kwargs)

    world.setup(middlewares=(lowered,))
    f = world.decorated(world.cache.cache(ttl=60, key="F:{a}"), lambda a=0: runs.append(a) or [a])
    assert (f(1), f(1), runs) == ([1], [1], [1])
    assert log == ["get", "get", "set", "get"]
    # A name that is there as it is: no middleware is asked for its own cache.
    assert world.cache.sync._routes.of("f:1").kv.get("f:1") == [1]


def test_stores_have_middlewares_of_their_own(world, tmp_path):
    log = []
    world.setup(middlewares=(writer(log, "all"),))
    world.cache.setup("memory:", prefix="u:", middlewares=(writer(log, "users"),))
    world.do("set_many", {"a": 1, "u:1": 2, "b": 3})
    assert world.do("get_many", "u:1", "a", "x") == (2, 1, None)
    assert world.do("delete_many", "u:1", "a") == 2
    world.do("scan", "u:*")
    world.do("get", "u:2")
    assert [(name, command) for name, command, _, _ in log] == [
        ("all", "set_many"),
        ("users", "set_many"),
        ("users", "get_many"),
        ("all", "get_many"),
        ("users", "delete_many"),
        ("all", "delete_many"),
        ("users", "scan"),
        ("users", "get"),
    ]


def test_a_middleware_sees_what_is_off(world):
    log = []
    world.setup(middlewares=(writer(log, "m"),))
    world.cache.disable("get")
    assert world.do("get", "k", 7) == 7
    assert len(log) == 1


def test_hits_are_as_fast_as_before_without_any():
    cache = afresh.SyncCache()
    cache.setup("memory:")
    assert cache._kv is not None
    cache.add_middleware(lambda call, cmd, backend, *args, **kwargs: call(*args, **kwargs))
    assert cache._kv is None


# Callbacks


def test_a_callback_hears_of_its_command_within_its_block(world):
    world.setup()
    heard = []

    def hear(key, result):
        heard.append((key, result))

    world.do("set", "k", [1])
    with world.cache.callback(hear, Command.GET):
        world.do("get", "k")
        world.do("get", "absent")
        world.do("set", "k", 2)
        with world.cache.callback(hear, "incr"):
            world.do("incr", "n")
    world.do("get", "k")
    assert heard == [("k", [1]), ("n", 1)]
    with pytest.raises(ValueError):
        world.cache.callback(hear, "gets")


def test_a_callback_is_for_one_context():
    cache = afresh.SyncCache()
    cache.setup("memory:")
    cache.set("k", 1)
    heard = []
    with cache.callback(lambda key, result: heard.append(key), "get"):
        thread = threading.Thread(target=lambda: cache.get("k"))
        thread.start()
        thread.join()
    assert heard == []


def test_callbacks_can_be_added_and_removed(world):
    world.setup()
    heard = []

    async def hear(cmd, key, result, backend):
        heard.append((cmd, key, result, (await backend.get(key))))

    world.cache.callbacks.add_callback(hear, name="mine")
    world.do("set", "k", 1)
    world.do("get_many", "k")
    world.cache.callbacks.remove_callback("mine")
    world.cache.callbacks.remove_callback("mine")
    world.do("get", "k")
    assert heard == [("set", "k", True, 1)]


def test_a_callback_that_fails_costs_a_warning(world, said):
    world.setup()
    with said, world.cache.callback(lambda key, result: 1 / 0, "set"):
        assert world.do("set", "k", 1) is True
    assert any("a callback failed" in text for text in said)


# invalidate_further


def test_nothing_is_found_further_on(world):
    world.setup()
    runs = []
    f = world.decorated(world.cache.cache(ttl=60, key="f:{a}"), lambda a=0: runs.append(a) or [a])
    f(1)
    world.do("set_many", {"k": 1, "l": 2, "m": 3, "n": 5})
    with invalidate_further():
        assert f(1) == [1]
        with invalidate_further():
            assert world.do("get", "k") is None
        assert world.do("get_many", "l", default=0) == (0,)
        assert world.do("get_match", "m*") == []
        assert world.do("incr", "n") == 1
        world.do("set", "new", 1)
    assert (runs, f(1), runs) == ([1, 1], [1], [1, 1])
    assert world.do("get_many", "k", "l", "m", "n", "new") == (None, None, None, 1, 1)


def test_further_is_for_one_context():
    cache = afresh.SyncCache()
    cache.setup("memory:")
    cache.set("k", 1)
    given = []
    with invalidate_further():
        thread = threading.Thread(target=lambda: given.append(cache.get("k")))
        thread.start()
        thread.join()
    assert given == [1]
    assert cache._kv is not None


# Off, set up, reached


def test_full_disable_means_everything(world):
    world.setup()
    assert world.cache.is_full_disable is False
    world.cache.disable("get")
    assert world.cache.is_full_disable is False
    with world.cache.disabling():
        assert world.cache.is_full_disable is True
    world.cache.disable()
    assert world.cache.is_full_disable is True
    world.cache.enable()
    assert world.cache.is_full_disable is False


def test_hits_are_as_fast_as_before_once_everything_is_on_again():
    cache = afresh.SyncCache()
    cache.setup("memory:")
    cache.disable("get")
    with cache.disabling("set"):
        cache.enable("get")
        assert cache._kv is None
    assert cache._kv is not None


def test_init_sets_up_and_reaches(world):
    assert world.cache.is_init is True
    world.setup()
    assert world.cache.is_init is (world.url == "memory:")
    world.do("init")
    assert world.cache.is_init is True
    other = World("memory:", world.face)
    other.do("init", "memory:", prefix="a:")
    assert other.cache.is_setup() and other.do("set", "a:1", 1)


def test_a_backend_of_ones_own_has_a_scheme(world):
    made = []

    class Own(Dictionary):
        def __init__(self, **options):
            made.append(options)
            super().__init__()

    register_backend("own", Own)
    register_backend("told", Own, pass_uri=True)
    try:
        world.url = "own://there?size=5"
        world.setup(colour="red")
        world.cache.setup("told://x/y?a=1", prefix="t:")
        assert made == [{"size": "5", "colour": "red"}, {"address": "told://x/y", "a": "1"}]
        assert (world.do("set", "k", [1]), world.do("get", "k")) == (True, [1])
        with pytest.raises(ConfigError):
            register_backend("sqlite", Own)
    finally:
        del _makers["own"], _makers["told"]
    with pytest.raises(ConfigError, match="no option `colour`"):
        world.cache.setup("memory:", colour="red")


# Decorators


def test_failover_has_exceptions_of_the_cache(world):
    world.setup()
    fails = []

    def body(a=0):
        if fails:
            raise fails[0]
        return "fine"

    f = world.decorated(world.cache.failover(ttl=60, key="f"), body)
    assert f() == "fine"
    fails.append(KeyError())
    assert f() == "fine"
    world.cache.set_default_fail_exceptions(ValueError, RateLimitError)
    with pytest.raises(KeyError):
        f()
    fails[0] = ValueError()
    assert f() == "fine"


def test_upper_keeps_nothing_that_rests_on_an_answer(world):
    world.setup()
    runs = []
    sync = world.cache.sync
    other = afresh.SyncCache()
    other.setup("memory:")

    @other.cache(ttl=60, key="inner")
    def inner():
        return 1

    f = world.decorated(world.cache.cache(ttl=60, key="f:{a}", upper=True), lambda a=0: runs.append(a) or inner())
    g = world.decorated(world.cache.early(ttl=60, key="g:{a}", upper=True), lambda a=0: inner())
    inner()
    assert [f(1), f(1), len(runs)] == [1, 1, 2]
    assert (g(1), sync.exists("f:1"), sync.exists("early:g:1")) == (1, False, False)
    other.delete("inner")
    assert [f(2), f(2), len(runs)] == [1, 1, 3]


def test_fast_condition_asks_before_it_keeps(world):
    world.setup()
    seen = {}
    f = world.decorated(
        world.cache.cache(ttl=60, key="f:{a}", condition=fast_condition(seen.get, seen.__setitem__)), lambda a=0: [a]
    )
    f(1)
    assert seen == {"f:1": [1]} and world.do("exists", "f:1")
    world.do("delete", "f:1")
    f(1)
    assert not world.do("exists", "f:1")


def test_noself_shares_answers_among_objects():
    cache = afresh.Cache()
    cache.setup("memory:")
    runs = []

    class Client:
        @noself(cache.cache)(ttl=60)
        def fetch(self, a, b=1):
            runs.append(a)
            return [a]

        @noself(cache.cache)(ttl=60)
        async def later(self, a):
            runs.append(a)
            return [a]

    assert [Client().fetch(1), Client().fetch(1, b=1), Client().fetch(2), runs] == [[1], [1], [2], [1, 2]]

    async def main():
        return await Client().later(7), await Client().later(7)

    assert (asyncio.run(main()), runs) == (([7], [7]), [1, 2, 7])
