"""`afresh.memo`: computed once, and again when something it depends on changes."""

import copy
import datetime
import functools
import inspect
import pickle
import threading
import types

import pytest

import afresh


def test_one_call_however_it_is_written(store, runs):
    @afresh.memo(store=store)
    def area(width, height=1, *, unit="m"):
        runs.mark()
        return width * height, unit

    assert area(3) == area(width=3) == area(3, 1) == area(height=1, width=3, unit="m") == (3, "m")
    assert runs.count == 1


def test_other_arguments_are_another_call(store, runs):
    @afresh.memo(store=store)
    def kind(x):
        runs.mark()
        return type(x).__name__

    assert [kind(x) for x in (1, 1.0, True, "1", b"1", [1], (1,), {1}, None)] == [
        "int", "float", "bool", "str", "bytes", "list", "tuple", "set", "NoneType",
    ]  # fmt: skip
    assert runs.count == 9


def test_positionals_and_keywords_do_not_mix(store):
    @afresh.memo(store=store)
    def given(*args, **kwargs):
        return args, kwargs

    assert given(1, 2) == ((1, 2), {})
    assert given((1, 2)) == (((1, 2),), {})
    assert given(args=1) == ((), {"args": 1})
    assert given({"args": 1}) == (({"args": 1},), {})
    assert given(a=1, b=2) == given(b=2, a=1) == ((), {"a": 1, "b": 2})


def test_a_positional_only_name_may_return_among_the_keywords(store):
    @afresh.memo(store=store)
    def given(a, /, **rest):
        return a, rest

    assert given(1, a=2) == (1, {"a": 2})
    assert given(2, a=1) == (2, {"a": 1})


@pytest.mark.parametrize("call", [lambda f: f(), lambda f: f(1, 2), lambda f: f(1, x=2), lambda f: f(y=1)])
def test_what_does_not_fit_is_the_functions_own_error(store, call):
    def plain(x):
        return x

    with pytest.raises(TypeError) as expected:
        call(plain)
    with pytest.raises(TypeError) as found:
        call(afresh.memo(plain, store=store))
    assert str(found.value) == str(expected.value)


def test_none_is_a_result(store, runs):
    @afresh.memo(store=store)
    def nothing():
        runs.mark()

    assert nothing() is None and nothing() is None
    assert runs.count == 1


def test_changing_a_result_does_not_change_the_answer(store):
    @afresh.memo(store=store)
    def numbers():
        return [1, [2]]

    numbers()[1].append(3)
    numbers().append(4)
    assert numbers() == [1, [2]]


def test_an_exception_is_raised_and_not_remembered(store, runs):
    @afresh.memo(store=store)
    def fails():
        runs.mark()
        raise LookupError("no")

    for _ in range(2):
        with pytest.raises(LookupError, match="no") as raised:
            fails()
    assert runs.count == 2
    assert raised.traceback[-1].name == "fails"


def test_a_rebound_global_is_another_function_and_its_old_value_finds_the_old_answer(store, runs, monkeypatch):
    module = types.ModuleType("settings_of_the_test")
    module.__dict__.update(runs=runs, factor=2)
    exec("def scaled(x):\n    runs.mark()\n    return x * factor\n", module.__dict__)
    scaled = afresh.memo(module.scaled, store=store)
    assert scaled(10) == 20
    module.factor = 3
    assert scaled(10) == 30
    module.factor = 2
    assert scaled(10) == 20
    assert runs.count == 2


def test_changed_data_is_noticed(store):
    table = {"a": 1}

    @afresh.memo(store=store)
    def look(key):
        return table[key]

    assert look("a") == 1
    table["a"] = 2
    assert look("a") == 2


def test_a_changed_closure_is_noticed(store):
    factor = 2

    @afresh.memo(store=store)
    def scaled(x):
        return x * factor

    assert scaled(1) == 2
    factor = 5
    assert scaled(1) == 5


def test_new_code_and_new_defaults_are_noticed(store):
    def f(x, by=1):
        return x + by

    def g(x, by=1):
        return x - by

    remembered = afresh.memo(f, store=store)
    assert remembered(5) == 6
    f.__defaults__ = (2,)
    assert remembered(5) == 7
    f.__code__ = g.__code__
    assert remembered(5) == 3


def test_methods_know_their_instance(store, runs):
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        @afresh.memo(store=store)
        def apply(self, x):
            runs.mark()
            return x * self.factor

        @classmethod
        @afresh.memo(store=store)
        def name(cls):
            return cls.__name__

        @staticmethod
        @afresh.memo(store=store)
        def twice(x):
            return 2 * x

        @afresh.memo(store=store)
        @classmethod
        def outside(cls):
            return cls.__name__

    assert Scale(2).apply(3) == Scale(2).apply(x=3) == 6
    assert Scale(5).apply(3) == 15
    assert runs.count == 2
    assert Scale.name() == Scale(1).outside() == "Scale"
    assert Scale.twice(4) == Scale(1).twice(4) == 8


def test_a_class_can_be_remembered_under_a_property(store):
    class Circle:
        def __init__(self, r):
            self.r = r

        @property
        @afresh.memo(store=store)
        def area(self):
            return 3 * self.r**2

    assert Circle(1).area == 3 and Circle(2).area == 12


def test_partials_and_callable_objects(store, runs):
    def power(base, exponent):
        runs.mark()
        return base**exponent

    class Add:
        def __init__(self, n):
            self.n = n

        def __call__(self, x):
            return x + self.n

    square = afresh.memo(functools.partial(power, exponent=2), store=store)
    cube = afresh.memo(functools.partial(power, exponent=3), store=store)
    assert (square(3), cube(3), square(3)) == (9, 27, 9)
    assert runs.count == 2
    assert afresh.memo(Add(1), store=store)(1) == 2
    assert afresh.memo(Add(2), store=store)(1) == 3


def test_a_wrapper_with_defaults_of_its_own_is_believed(store):
    def default_five(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            kwargs.setdefault("y", 5)
            return function(*args, **kwargs)

        return wrapper

    @afresh.memo(store=store)
    @default_five
    def pair(x, y=1):
        return x, y

    assert pair(0) == (0, 5)
    assert pair(0, y=1) == (0, 1)


def test_deep_and_cyclic_arguments(store, runs):
    @afresh.memo(store=store)
    def length(x):
        runs.mark()
        return len(x)

    def make():
        deep, cycle = [], []
        for _ in range(2_000):
            deep = [deep, {"a": (deep,)}]
        cycle.append(cycle)
        return deep, cycle

    client = afresh.Client(store)
    for deep, cycle in (make(), make()):
        assert length(deep) == client.submit(length, deep).load() == 2
        assert length(cycle) == client.submit(length, cycle).load() == 1
    assert runs.count == 2
    for value in make():
        value.clear()


def test_recursion_is_remembered(store, runs):
    @afresh.memo(store=store)
    def fib(n):
        runs.mark()
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert fib(20) == 6765
    assert runs.count == 21


def test_a_call_that_comes_back_to_itself_does_not_wait_for_itself(store):
    inside = threading.local()

    @afresh.memo(store=store)
    def again():
        if getattr(inside, "already", False):
            return "inner"
        inside.already = True
        return "outer, " + again()

    assert again() == "outer, inner"


def test_a_generator_that_a_function_returns_is_passed_on_and_not_kept(store, said):
    @afresh.memo(store=store)
    def count(n):
        return (x for x in range(n))

    with said:
        assert list(count(3)) == [0, 1, 2]
        assert list(count(3)) == [0, 1, 2]
    assert len(said) == 1 and "generator cannot be stored" in said[0]


def test_what_has_no_key_runs_uncached_and_says_so(store, runs, said):
    class Shy:
        def __reduce_ex__(self, protocol):
            raise TypeError("not me")

        __getstate__ = __reduce_ex__

    @afresh.memo(store=store)
    def look(what):
        runs.mark()
        return 1

    shy = Shy()
    with said:
        assert look(shy) == look(shy) == 1
    assert runs.count in (1, 2)
    assert len(said) == 1 and "argument `what`" in said[0]


def test_it_looks_like_the_function(store):
    def documented(a: int, b: str = "x") -> str:
        """What it does."""

    remembered = afresh.memo(documented, store=store)
    assert remembered.__name__ == "documented" and remembered.__doc__ == "What it does."
    assert remembered.__wrapped__ is documented
    assert inspect.signature(remembered) == inspect.signature(documented)
    assert inspect.get_annotations(remembered) == documented.__annotations__
    assert "documented" in repr(remembered)


@afresh.memo(store="memory:")
def at_module_level(x):
    return x


def test_it_is_pickled_and_copied_by_its_name():
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level
    assert copy.deepcopy(at_module_level) is at_module_level


def test_a_ttl_is_judged_when_the_answer_is_read(store, runs):
    def now():
        runs.mark()
        return runs.count

    assert afresh.memo(now, store=store)() == 1
    assert afresh.memo(now, store=store, ttl="1h")() == 1
    assert afresh.memo(now, store=store, ttl=datetime.timedelta(0))() == 2
    assert afresh.memo(now, store=store, ttl=3600)() == 2


def test_version_and_name_replace_the_code(store):
    def first(x):
        return "first"

    def second(x):
        return "second"

    named = {"store": store, "name": "it"}
    assert afresh.memo(first, version="1", **named)(0) == "first"
    assert afresh.memo(second, version="1", **named)(0) == "first"
    assert afresh.memo(second, version="2", **named)(0) == "second"
    assert afresh.memo(first, mode="name", **named)(0) == "first"
    assert afresh.memo(second, mode="name", **named)(0) == "first"


def test_depends_on_adds_to_the_key(store, runs):
    def work():
        runs.mark()

    for rules in ({"a": 1}, {"a": 2}, {"a": 1}):
        afresh.memo(work, store=store, depends_on=[rules])()
    assert runs.count == 2


def test_ignored_arguments_are_no_part_of_the_key(store, runs):
    @afresh.memo(store=store, ignore="verbose")
    def work(x, verbose=False):
        runs.mark()
        return x

    assert work(1) == work(1, verbose=True) == 1
    assert runs.count == 1


def test_when_and_max_bytes_say_what_is_kept(store, runs):
    @afresh.memo(store=store, when=lambda value: value is not None)
    def maybe(x):
        runs.mark()
        return x

    @afresh.memo(store=store, max_bytes="1KB")
    def large(n):
        runs.mark()
        return b"x" * n

    maybe(None), maybe(None), maybe(1), maybe(1)
    assert runs.count == 3
    large(2000), large(2000), large(10), large(10)
    assert runs.count == 6
    reasons = [c.unkept for c in afresh.Client(store).log("large")]
    assert any("max_bytes=1000" in reason for reason in reasons if reason)


def test_retries_and_backoff(store, runs):
    @afresh.memo(store=store, retries=2, backoff=0)
    def shaky():
        runs.mark()
        if runs.count < 3:
            raise OSError("again")
        return "done"

    assert shaky() == "done"
    assert runs.count == 3


def test_a_timeout_ends_the_call(store):
    gate = threading.Event()

    @afresh.memo(store=store, timeout=0.05)
    def slow():
        gate.wait(30)

    with pytest.raises(TimeoutError, match="slow did not finish within 0.05 s"):
        slow()
    gate.set()


def test_looking_without_running(store, runs):
    @afresh.memo(store=store)
    def double(x):
        runs.mark()
        return 2 * x

    assert not double.cached(1) and double.peek(1) is None and runs.count == 0
    double(1)
    assert double.cached(x=1) and double.peek(1) == 2
    assert double.key(1) == double.key(x=1) != double.key(2)
    assert len(double.key(1)) == 64
    assert double.key() is None


def test_taking_back_and_putting(store, runs):
    @afresh.memo(store=store)
    def double(x):
        runs.mark()
        return 2 * x

    double(1), double(2)
    assert double.invalidate(1) and not double.invalidate(1)
    assert double(1) == 2 and runs.count == 3
    assert double.refresh(1) == 2 and runs.count == 4
    double.put(99, 1)
    assert double(1) == 99 and runs.count == 4
    assert double.clear() == 2
    assert not double.cached(1) and not double.cached(2)
    assert double.with_options(force=True)(2) == 4 and runs.count == 5


def test_a_look_at_a_method_without_its_instance_is_an_error_not_a_no(store):
    class Thing:
        @afresh.memo(store=store)
        def get(self, x):
            return x

    thing = Thing()
    thing.get(1)
    with pytest.raises(TypeError, match="give the instance too"):
        thing.get.cached(1)
    assert Thing.get.cached(thing, 1)
    assert Thing.get.invalidate(thing, 1)


def test_decorating_twice_is_an_error(store):
    @afresh.memo(store=store)
    def f():
        pass

    with pytest.raises(afresh.ConfigError, match="already remembered"):
        afresh.memo(f, store=store)


def test_the_default_store_is_in_the_environment_or_the_working_directory(tmp_path, monkeypatch):
    def f():
        return 1

    monkeypatch.chdir(tmp_path)
    afresh.memo(f)()
    assert (tmp_path / ".afresh").is_dir()
    monkeypatch.setenv("AFRESH_DIR", str(tmp_path / "elsewhere"))
    afresh.memo(f)()
    assert (tmp_path / "elsewhere").is_dir()
    monkeypatch.setenv("AFRESH_URL", f"sqlite:{tmp_path / 'url'}")
    afresh.memo(f)()
    assert (tmp_path / "url").is_dir()


def test_a_relative_store_stays_where_it_was_named(tmp_path, monkeypatch, runs):
    def f():
        runs.mark()

    monkeypatch.chdir(tmp_path)
    client = afresh.Client("here")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    client.submit(f)
    assert list((tmp_path / "sub").iterdir()) == []


def test_annotations_that_cannot_be_evaluated_do_not_matter(store):
    scope = {"__name__": "lazy"}
    exec("def f(x: 'NotThere' = 1) -> 'NorThis':\n    return x\n", scope)
    assert afresh.memo(scope["f"], store=store)() == 1


def test_what_a_context_variable_or_a_thread_has_is_seen(store):
    import contextvars
    import threading

    rate = contextvars.ContextVar("rate", default=1)
    mine = threading.local()
    mine.factor = 1

    @afresh.memo(store=store)
    def price(amount):
        return amount * rate.get() * mine.factor

    assert price(10) == 10
    rate.set(2)
    assert price(10) == 20
    mine.factor = 3
    assert price(10) == 60
    rate.set(1)
    mine.factor = 1
    assert price(10) == 10


def test_a_function_may_call_itself_as_deep_as_without_us(store):
    @afresh.memo(store=store)
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(400) % 1000 == 675


@pytest.mark.parametrize("how", [{}, {"version": "1"}, {"mode": "name"}])
def test_a_declared_dependency_that_changes_is_seen_at_the_next_call(store, how):
    rates = [1]
    runs = []

    @afresh.memo(store=store, depends_on=[rates], ignore="log", **how)
    def price(amount, log):
        log.append(amount)
        return amount

    price(10, runs)
    price(10, runs)
    assert len(runs) == 1
    rates.append(2)
    price(10, runs)
    assert len(runs) == 2
    rates.pop()
    price(10, runs)
    assert len(runs) == 2


def test_a_class_that_is_patched_is_seen_at_the_next_call(store):
    class Base:
        rate = 1

    class Other:
        rate = 7

    class Config(Base):
        pass

    @afresh.memo(store=store)
    def price(amount):
        return amount * Config.rate

    assert price(10) == 10
    Config.rate = 3  # hides what was inherited
    assert price(10) == 30
    del Config.rate
    assert price(10) == 10
    Config.__bases__ = (Other,)
    assert price(10) == 70


def test_the_code_of_a_helper_that_is_replaced_in_place_is_seen(store):
    def helper(amount, rate=1):
        return amount * rate

    def other(amount, rate=1):
        return amount * rate + 100

    @afresh.memo(store=store)
    def price(amount):
        return helper(amount)

    assert price(10) == 10
    helper.__code__ = other.__code__
    assert price(10) == 110
    helper.__defaults__ = (2,)
    assert price(10) == 120
