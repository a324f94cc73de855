"""The digest of values: what differs, what does not, and that nothing raises.

`same` holds values that must have one digest, `differ` values that must all have different ones; both also run in
other processes with other hash seeds.
"""

import array
import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import io
import ipaddress
import itertools
import logging
import math
import os
import pathlib
import pickle
import queue
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import types
import unittest.mock
import uuid
import weakref
import zoneinfo

import pytest

from afresh._afresh import Undigestable, digest_value, register_digest

np = pytest.importorskip("numpy")


def d(value):
    return digest_value(value)[0]


def notes(value):
    return digest_value(value)[1]


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Number(enum.IntEnum):
    ONE = 1


class Flags(enum.Flag):
    A = 1
    B = 2


class MyInt(int):
    pass


class MyStr(str):
    pass


class MyList(list):
    pass


class MyDict(dict):
    pass


class MySet(set):
    pass


class MyTuple(tuple):
    pass


Point = collections.namedtuple("Point", "x y")
Pixel = collections.namedtuple("Pixel", "x y")


@dataclasses.dataclass
class Data:
    a: int
    b: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: int
    b: object = None


class Plain:
    def __init__(self, **fields):
        self.__dict__.update(fields)


class Other(Plain):
    pass


class Slots:
    __slots__ = ("__private", "a", "unset")

    def __init__(self, a, private=0):
        self.a = a
        self.__private = private


class Mixed(Slots):
    pass


class Keyed:
    def __init__(self, key, noise):
        self.key, self.noise = key, noise

    def __afresh_key__(self):
        return self.key


class State:
    def __init__(self, kept):
        self.kept, self.lost = kept, object()

    def __getstate__(self):
        return {"kept": self.kept}


class Reduced:
    def __init__(self, a):
        self.a = a

    def __reduce__(self):
        return Reduced, (self.a,)


class Method:
    def __init__(self, a):
        self.a = a

    def run(self):
        return self.a

    def walk(self):
        return self.a


def cyclic_list(*items):
    out = list(items)
    out.append(out)
    return out


def cyclic_object(a):
    out = Plain(a=a)
    out.me = out
    out.all = [out, {"k": out}]
    return out


def dag(depth, leaf=0):
    out = [leaf]
    for _ in range(depth):
        out = [out, out]
    return out


def dict_dag(depth):
    out = {"leaf": 1}
    for _ in range(depth):
        out = {"a": [out, out], "b": out}
    return out


def graph(n, twist=0):
    nodes = [Plain(name=i, near=[]) for i in range(n)]
    for i, node in enumerate(nodes):
        node.near = [nodes[(i * k + k + twist) % n] for k in range(1, 6)]
    return nodes[0]


def deep(n, leaf=None):
    out = [leaf]
    for _ in range(n):
        out = [out]
    return out


def differing():
    """Values all of which differ."""
    ns = dt.timezone(dt.timedelta(hours=1))
    paris = zoneinfo.ZoneInfo("Europe/Paris")
    structured = np.zeros(2, [("a", "i4"), ("b", "f8")])
    return [
        None, True, False, 0, 1, -1, 1.0, 0.0, -0.0, math.nan, math.inf, -math.inf, 1j, complex(1, -0.0), 2**63, -(2**63),
        2**64, 255, -255, 256, 128, -128, "", "a", b"", b"a", bytearray(b"a"), bytearray(), memoryview(b"a"),
        "1", "None", "ab", "\ud800", "\udc80", "\u00e9", "e\u0301", "a\0", "a" * 2000, b"a" * 2000, "a" * 100_000,
        [], (), {}, set(), frozenset(), [[]], [()], ([],), [[], []], [[[]]], ["a", "b"], ["ab"], [["a"], "b"], ["a", ["b"]],
        [1], (1,), {1}, frozenset({1}), {1: 1}, {"1": 1}, {1: "1"}, {1: None}, {True: 1}, {1.0: 1}, {(1,): 1},
        {1, 2}, {1, "2"}, frozenset({frozenset()}), [{1: 2, 3: 4}], {1: 4, 3: 2}, {"a": {"b": 1}}, {"a": {}, "b": 1},
        collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1), {"a": 1, "b": 2},
        collections.defaultdict(int, a=1), collections.defaultdict(list, a=1), collections.Counter("a"),
        collections.deque([1]), collections.deque([1], 3), collections.ChainMap({1: 1}), types.MappingProxyType({1: 1}),
        {1: 1}.keys(), {1: 1}.values(), {1: 1}.items(), types.SimpleNamespace(a=1), types.SimpleNamespace(a=2),
        MyInt(1), MyStr("a"), MyList([1]), MyDict({1: 1}), MySet({1}), MyTuple((1,)), Number.ONE,
        Colour.RED, Colour.BLUE, Flags.A, Flags.B, Flags.A | Flags.B, Point(1, 2), Pixel(1, 2), (1, 2),
        Data(1), Data(2), Data(1, 2), Slotted(1), Slotted(2), Plain(a=1), Plain(b=1), Plain(a="1"), Other(a=1), Plain(),
        Slots(1), Slots(2), Slots(1, 1), Mixed(1), Keyed(1, 1), Keyed(2, 1), State(1), State(2), Reduced(1), Reduced(2),
        range(3), range(1, 3), range(0, 3, 2), slice(3), slice(0, 3), slice(None), ..., NotImplemented, int, bool, type, object,
        object(), len, print, "a".upper, "b".upper, "a".lower, str.upper, str.lower, [].append, [1].append, os.path.join,
        Method(1).run, Method(2).run, Method(1).walk, Method.run, functools.partial(print, 1), functools.partial(print, 2),
        functools.partial(print, a=1), functools.partial(len, 1), property(len), staticmethod(len), classmethod(len),
        dt.date(2020, 1, 1), dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, fold=1), dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc),
        dt.datetime(2020, 1, 1, tzinfo=ns), dt.datetime(2020, 1, 1, tzinfo=paris), dt.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        dt.time(1), dt.time(1, tzinfo=ns), dt.timedelta(1), dt.timedelta(0, 1), dt.timedelta(0, 0, 1), ns, dt.timezone(dt.timedelta(hours=1), "x"),
        paris, decimal.Decimal("1"), decimal.Decimal("1.0"), decimal.Decimal("-0"), decimal.Decimal("0"), decimal.Decimal("NaN"), decimal.Decimal("Inf"),
        fractions.Fraction(1, 2), fractions.Fraction(2), uuid.UUID(int=1), uuid.UUID(int=2), pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"),
        pathlib.Path("a"), pathlib.Path("b"), pathlib.Path("a/b"), re.compile("a"), re.compile(b"a"), re.compile("a", re.I), re.compile("b"),
        ipaddress.ip_address("1.2.3.4"), ipaddress.ip_address("::1"), ipaddress.ip_address("::1%1"), ipaddress.ip_interface("1.2.3.4/8"),
        ipaddress.ip_interface("1.2.3.4/9"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("10.0.0.0/9"),
        array.array("i", [1]), array.array("d", [1]), array.array("i"), array.array("b", [1]), sys, math, list[int], list[str], int | str,
        ValueError("a"), ValueError("b"), TypeError("a"), io.BytesIO(b"a"), io.BytesIO(b"b"), io.StringIO("a"),
        cyclic_list(), cyclic_list(1), cyclic_list(2), [cyclic_list()], cyclic_object(1), cyclic_object(2),
        dag(20), dag(21), dag(20, 1), dict_dag(30), dict_dag(31), deep(1000), deep(1001), deep(1000, 1), graph(40), graph(40, 1),
        np.int64(1), np.int32(1), np.uint64(1), np.float64(1), np.float32(1), np.bool_(True), np.str_("a"), np.bytes_(b"a"), np.complex128(1),
        np.datetime64("2020-01-01"), np.datetime64("2020-01-01", "s"), np.timedelta64(1, "s"), np.datetime64("NaT"), np.longdouble(1),
        np.array(1), np.array([1]), np.array([[1]]), np.array([1.0]), np.array([0.0]), np.array([-0.0]), np.array([True]), np.array(["a"]),
        np.array(["ab"]), np.array([b"a"]), np.array([1], "i4"), np.array([1], ">i8"), np.array([1], "u8"), np.array([1], "f4"), np.array([1], "f2"),
        np.array([1 + 1j]), np.array([1 + 2j]), np.zeros((2, 3)), np.zeros((3, 2)), np.zeros(6), np.zeros((2, 0)), np.zeros((0, 2)), np.zeros(0), np.zeros(0, "i8"),
        np.array([1, "a"], object), np.array([1, "b"], object), np.array([[1, "a"]], object), np.array([None], object), np.array([math.nan], object),
        structured, structured["a"], np.zeros(2, [("a", "i4"), ("c", "f8")]), np.zeros(2, [("a", "f8"), ("b", "f8")]),
        np.ma.masked_array([1, 2], [0, 1]), np.ma.masked_array([1, 2], [1, 0]), np.ma.masked_array([1, 2]), np.ma.masked, np.matrix([1]),
        np.array(["2020"], "M8[D]"), np.array(["2020"], "M8[s]"), np.array([1], "m8[s]"), np.array([1, math.nan]), np.array([1, 2], "g"), np.array([b"a"], "V8"),
        np.dtype("f8"), np.dtype("i8"), np.random.default_rng(1), np.random.default_rng(2), np.add, np.subtract,
    ]  # fmt: skip


def equal():
    """Groups of values that are the same."""
    a = np.arange(24.0).reshape(2, 3, 4)
    wide = np.zeros(8, np.dtype([("a", "i1"), ("b", "f8")], align=True))
    narrow = np.zeros(8, [("a", "i1"), ("b", "f8")])
    shared, text = [1, 2], "".join(["sha", "red"])
    odd = np.frombuffer(np.array([0xFFF8000000000001, 0x7FF8000000000000], "u8").tobytes(), "f8")
    big, big_nan = np.arange(3_000_000.0), np.full(3_000_000, np.nan)
    first, second = Plain(), Plain()
    first.a, first.b = 1, 2
    second.b, second.a = 2, 1
    yield [[shared, shared], [[1, 2], [1, 2]]]
    yield [["shared", "shared"], [text, "shar" + "ed"], pickle.loads(pickle.dumps(["shared", text]))]
    yield [math.nan, -math.nan, float("nan"), odd[0].item()]
    yield [np.array([math.nan] * 2), odd, odd * 2, -odd]
    yield [odd.astype("f4"), np.array([math.nan] * 2, "f4"), -np.array([math.nan] * 2, "f4")]
    yield [odd.astype("f2"), np.array([math.nan] * 2, "f2"), -np.array([math.nan] * 2, "f2")]
    yield [np.array([complex(math.nan, math.nan)]), np.array([complex(-math.nan, math.nan)])]
    yield [big_nan, -big_nan]
    spotted = [np.copysign(np.where(big % 700_001 == 5, np.nan, big), sign) for sign in (1, -1)]
    yield [spotted[0], np.where(np.isnan(spotted[1]), spotted[1], big), np.repeat(spotted[0], 2)[::2]]
    yield [big, big.copy(), big.reshape(3, -1).T.copy(order="F").T.ravel(), np.repeat(big, 2)[::2]]
    yield [a, np.asfortranarray(a), a[::-1][::-1], a.copy(), a.transpose(2, 0, 1).copy().transpose(1, 2, 0)]
    yield [a[:, ::2], a[:, ::2].copy(), np.asfortranarray(a)[:, ::2]]
    yield [wide, narrow]
    yield [np.array([1, 2], ">i4"), np.array([1, 2], ">i4")[::-1][::-1], np.array([1, 2], ">i4")[:2]]
    yield [np.array(["a", "b"]), np.array(["a", "x", "b"])[::2]]
    yield [np.array([1, "a", None], object), np.array([1, "a", None], object)[::-1][::-1]]
    yield [np.array(["2020", "NaT"], "M8[s]"), np.array(["2020", "2021", "NaT"], "M8[s]")[::2]]
    yield [np.ma.masked_array([1, 2], [False, True]), np.ma.masked_array([1, 2], [0, 1])]
    yield [{"a": 1, "b": 2}, {"b": 2, "a": 1}, dict([("b", 2), ("a", 1)])]
    yield [set("abcdefgh"), set("hgfedcba"), {"x", *"abcdefgh"} - {"x"}]
    yield [frozenset(range(100)), frozenset(reversed(range(100)))]
    yield [{(1, "a"), (2, "b"), frozenset("xyz")}, {(2, "b"), frozenset("zyx"), (1, "a")}]
    yield [first, second, copy.copy(first), copy.deepcopy(first), Plain(a=1, b=2)]
    yield [Keyed(1, 1), Keyed(1, 2)]
    yield [State(1), State(1)]
    yield [Slots(1), Slots(1), copy.copy(Slots(1))]
    yield [cyclic_list(1), cyclic_list(1), copy.deepcopy(cyclic_list(1))]
    yield [cyclic_object(1), copy.deepcopy(cyclic_object(1)), pickle.loads(pickle.dumps(cyclic_object(1)))]
    yield [graph(40), copy.deepcopy(graph(40))]
    yield [dag(12), copy.deepcopy(dag(12)), eval(repr(dag(12)))]
    yield [dict_dag(8), eval(repr(dict_dag(8)))]
    yield [b"a" * 100_000, bytes(bytearray(b"a" * 100_000))]
    yield [["a" * 5000], ["a" * 2500 + "a" * 2500]]
    yield [Colour.RED, Colour(1), pickle.loads(pickle.dumps(Colour.RED))]
    yield [zoneinfo.ZoneInfo("Europe/Paris"), zoneinfo.ZoneInfo.no_cache("Europe/Paris")]
    yield [re.compile("a", re.I), re.compile("a", re.IGNORECASE)]
    yield [functools.partial(print, 1, sep=","), functools.partial(functools.partial(print, 1), sep=",")]
    yield [Method(1).run, Method(1).run]
    yield [2**100, int("1" + "0" * 100, 2)]
    yield [np.random.default_rng(3), copy.deepcopy(np.random.default_rng(3))]


def test_differing_values_differ():
    seen = {}
    for place, value in enumerate(differing()):
        digest = d(value)
        assert digest not in seen, (place, value, seen[digest])
        seen[digest] = (place, value)


def test_differing_values_differ_inside_others():
    for wrap in (lambda v: [v], lambda v: {"k": v}, lambda v: Plain(a=v), lambda v: [1, (v, 2)]):
        digests = [d(wrap(value)) for value in differing()]
        assert len(set(digests)) == len(digests)


def test_equal_values_are_equal():
    for group in equal():
        for wrap in (lambda v: v, lambda v: [v, "x"], lambda v: {"k": v}, lambda v: Plain(a=v)):
            assert len({d(wrap(value)) for value in group}) == 1, group


def test_a_value_does_not_change_by_being_digested_again():
    for value in differing():
        assert d(value) == d(value), value


PROGRAM = """
import sys
sys.path[:0] = {path!r}
import {module} as tests
print([tests.d(value).hex() for value in tests.{values}])
"""


def in_another_process(values, seed, module=__name__.rpartition(".")[2], folder=os.path.dirname(__file__)):
    program = PROGRAM.format(path=[folder, *sys.path], module=module, values=values)
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("values", ["differing()", "itertools.chain(*tests.equal())"])
def test_other_processes_and_hash_seeds_agree(values):
    assert in_another_process(values, "1") == in_another_process(values, "4711")


def test_positions_in_containers_do_not_collide():
    values = [[], [[]], [[], []], [[[]]], [[], [[]]], [[[]], []], "", [""], ["", ""], [["", ""]], [["a"] * 400], ["a"] * 400, [["a"] * 399, "a"]]
    assert len({d(v) for v in values}) == len(values)


def test_a_list_that_is_too_long_to_stand_in_another_is_the_same_everywhere():
    long = list(range(500))
    assert d([long, long]) == d([list(long), list(long)])
    assert d({"a": long, "b": long}) == d({"a": list(long), "b": list(long)})
    assert d([long, [long]]) != d([long, [long[:-1]]])


def test_depth_does_not_overflow():
    value = deep(200_000)
    assert d(value) == d(value)
    node = None
    for i in range(50_000):
        node = Plain(next=node, i=i)
    assert d(node) == d(node)
    while value:
        value = value[0] or ()
    while node:
        node = node.next


def test_shared_values_take_no_exponential_time():
    assert d(dag(200)) != d(dag(201))
    assert d(dict_dag(200)) != d(dict_dag(201))
    value = ()
    for _ in range(100):
        value = Plain(a=value, b=(value, value))
    d(value)


def test_entangled_graphs_take_no_exponential_time():
    assert d(graph(3000)) == d(graph(3000))
    assert d(graph(3000)) != d(graph(3000, 1))


def test_strings_of_other_libraries_types():
    class Str(np.str_):
        pass

    assert len({d("a"), d(np.str_("a")), d(Str("a"))}) == 3


def test_memmap_is_an_array(tmp_path):
    path = tmp_path / "a"
    np.arange(10.0).tofile(path)
    assert d(np.memmap(path, "f8")) == d(np.arange(10.0))


def test_registered_functions_apply_to_derived_types():
    class Foreign:
        def __init__(self, a):
            self.a, self.noise = a, object()

        def __reduce_ex__(self, protocol):
            raise TypeError

    class Derived(Foreign):
        pass

    with pytest.raises(Undigestable):
        d(Foreign(1))
    register_digest(Foreign, lambda value: value.a)
    assert d(Foreign(1)) == d(Foreign(1)) != d(Foreign(2))
    assert d(Derived(1)) == d(Derived(1)) != d(Foreign(1))
    register_digest(Foreign, lambda value: 0)
    assert d(Foreign(1)) == d(Foreign(2))
    with pytest.raises(TypeError):
        register_digest(Foreign, 3)


def test_a_failing_key_degrades_with_a_note():
    class Bad:
        def __init__(self, a):
            self.a = a

        def __afresh_key__(self):
            raise ValueError("no")

    assert d(Bad(1)) != d(Bad(2))
    assert any("__afresh_key__" in note for note in notes(Bad(1)))


def test_handles_go_by_type_with_a_note():
    with socket.socket() as connection:
        handles = [logging.getLogger("x"), threading.Lock(), threading.RLock(), connection, sys.stdout]
        handles += [sqlite3.connect(":memory:"), threading.Event(), threading.Condition()]
        for handle in handles:
            digest, said = digest_value([handle])
            assert len(digest) == 32
            assert any("identified by its type" in note for note in said), handle


def test_databases_differ_by_file(tmp_path):
    one, two = sqlite3.connect(tmp_path / "a"), sqlite3.connect(tmp_path / "b")
    assert d(one) != d(two)
    assert d(one) == d(sqlite3.connect(tmp_path / "a"))


class Evil:
    """Every method raises."""

    def _no(self, *args, **kwargs):
        raise ZeroDivisionError("evil")

    __eq__ = __hash__ = __reduce__ = __reduce_ex__ = __repr__ = __str__ = __getstate__ = __len__ = __iter__ = _no
    __getattr__ = __bool__ = __index__ = __call__ = __contains__ = __sizeof__ = __dir__ = _no


class Evil2(Evil):
    def __getattribute__(self, name):
        raise ZeroDivisionError("evil")


class Evil3:
    @property
    def __class__(self):
        raise ZeroDivisionError("evil")

    @property
    def __dict__(self):
        raise ZeroDivisionError("evil")


class EvilMeta(type):
    def __getattribute__(cls, name):
        raise ZeroDivisionError("evil")


class EvilInt(int):
    __index__ = __int__ = __eq__ = __hash__ = Evil._no


class EvilList(list):
    __iter__ = __len__ = __getitem__ = __eq__ = __reduce_ex__ = Evil._no


class EvilDict(dict):
    __iter__ = __len__ = __getitem__ = items = keys = __reduce_ex__ = Evil._no


class EvilState(list):
    __getstate__ = Evil._no


class Endless:
    def __reduce__(self):
        return Endless, (Wrapped(self),)


class Wrapped:
    def __init__(self, inner):
        self.inner = inner


class BadReduce:
    def __init__(self, answer):
        self.answer = answer

    def __reduce__(self):
        return self.answer


def awkward():
    evil_class = EvilMeta("EvilClass", (), {})
    yield from [Evil(), Evil2(), Evil3(), EvilInt(3), EvilList([1]), EvilDict(a=1), EvilState([1]), Endless()]
    yield from [BadReduce(None), BadReduce(()), BadReduce((1,)), BadReduce((int, 3)), BadReduce((int, (), 1, 2, 3)), BadReduce("x")]
    yield from [evil_class, [Evil()], {"a": Evil()}, Plain(a=Evil2())]
    yield from [open(os.devnull), open(os.devnull, "wb"), io.TextIOWrapper(io.BytesIO()), socket.socket(), sqlite3.connect(":memory:").cursor()]
    yield from [(x for x in ()), iter([]), iter({}), map(len, []), zip(), itertools.count(), enumerate([]), os.scandir("."), reversed([])]
    yield from [threading.Lock(), threading.Thread(), threading.local(), threading.Semaphore(), threading.current_thread(), queue.Queue()]
    yield from [logging.getLogger(), logging.StreamHandler(), logging.LoggerAdapter(logging.getLogger(), {}), logging, sys, types]
    yield from [unittest.mock.Mock(), unittest.mock.MagicMock(), unittest.mock.sentinel.x, unittest.mock.AsyncMock()]
    yield from [weakref.ref(Plain), weakref.WeakValueDictionary(), weakref.WeakKeyDictionary(), weakref.proxy(Colour)]
    yield from [sys._getframe(), (lambda: 0).__code__, types.CellType(1), compile("1", "x", "eval"), types.ModuleType("m")]
    yield from [lambda x: x, lambda x: x + 1, functools.lru_cache(len), functools.singledispatch(len), type("T", (), {}), type("T", (), {})()]
    yield from [super(MyInt, MyInt(1)), property(), object.__init__, (1).__add__, type.__dict__["__dict__"], dict.__dict__, int.__add__]
    yield from [memoryview(b"abcd")[::2], memoryview(bytearray(4)).cast("I"), sys.implementation, sys.flags, os.environ, os.stat(".")]
    yield from [subprocess.Popen(["true"]), re.match("a", "a"), decimal.getcontext(), pickle.Pickler(io.BytesIO()), __builtins__]
    yield from [np.nditer([1]), np.lib.format, np.vectorize(len), np.poly1d([1]), np.empty(2, object), np.dtype([("a", "O")])]
    yield from [deep(10_000, Evil()), float.fromhex, collections.UserDict(a=1), collections.abc.Mapping, dt.tzinfo(), ...]


def test_nothing_raises():
    for value in awkward():
        try:
            digest, said = digest_value(value)
        except Undigestable as error:
            name, reason = error.args
            assert isinstance(name, str) and isinstance(reason, str) and reason
        else:
            assert len(digest) == 32 and all(isinstance(note, str) for note in said)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_stops_the_program_passes(stop):
    class Stop:
        def __reduce_ex__(self, protocol):
            raise stop

    with pytest.raises(stop):
        d([Stop()])


@pytest.mark.parametrize("value", [iter([]), (x for x in ()), unittest.mock.Mock(), [open(os.devnull)]])
def test_what_is_used_up_has_no_digest(value):
    with pytest.raises(Undigestable):
        d(value)


def test_a_value_may_digest_others_while_it_is_read():
    class Nested:
        def __afresh_key__(self):
            return d([1, 2, {"a": Plain(a=1)}])

    assert d([Nested(), Nested()]) == d([Nested(), Nested()])


def test_threads_at_once():
    values = [[i, {"a": np.arange(100_000.0) + i, "b": Plain(a=i)}] for i in range(4)]
    expected = [d(value) for value in values]
    found = []
    threads = [threading.Thread(target=lambda: found.append([d(value) for value in values])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
