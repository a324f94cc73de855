"""`why` and `diff` look inside arguments: a path for each kind of value, counts for long ones."""

from __future__ import annotations

import collections
import dataclasses
import pickle

import pytest

import afresh


@pytest.fixture
def told(store):
    """What `why` says of a call after another: the difference in the first line, and the lines that go into detail."""

    def ask(before, after):
        @afresh.memo(store=store, name="tests.ask")
        def ask(x):
            return None

        ask.clear()
        ask(before)
        head, near, *lines = str(ask.why(after)).splitlines()
        assert near.startswith("  never computed; nearest: commit ")
        return head.removeprefix("miss: argument `x` differs: "), [line.strip() for line in lines]

    return ask


@dataclasses.dataclass
class Model:
    name: str
    depth: int = 1


class Slotted:
    __slots__ = ("a", "password")

    def __init__(self, a, password):
        self.a = a
        self.password = password


class Listed(list):
    pass


def test_a_key_path_leads_to_what_changed(told):
    config = {"model": {"depth": 3, "width": 9}, "seed": 1}
    assert told(config, {"model": {"depth": 4, "width": 9}, "seed": 1}) == ('x["model"]["depth"]: 3 → 4', [])
    assert told({1: "a"}, {1: "b"}) == ("x[1]: 'a' → 'b'", [])
    head, lines = told({"a": 1, "b": 2}, {"b": 2, "c": [1]})
    assert head == "2 places"
    assert lines == ['x["c"] is new: [1]', 'x["a"] is gone: 1']


def test_items_of_lists_and_tuples(told):
    items = list(range(50))
    other = [*items]
    other[7], other[30] = "a", "b"
    assert told(items, other) == ("2 of 50 items", ["x[7]: 7 → 'a'", "x[30]: 30 → 'b'"])
    assert told(items, [*items[:20], "new", *items[20:]]) == ("x[20] is new: 'new'", [])
    assert told((1, (2, 3)), (1, (2, 4))) == ("x[1][1]: 3 → 4", [])
    long = list(range(5000))
    assert told(long, [*long[:4321], "x", *long[4322:]]) == ("1 of 5,000 items", ["x: 1 of 5,000 items: x[4321]"])
    assert told(long, [*long, 1])[0] == "5,000 → 5,001 items, the first 5,000 are the same"
    assert told(long[:100], [*long[:99], -1]) == ("1 of 100 items", ["x: 1 of 100 items: x[99]"])


def test_members_of_sets(told):
    assert told({1, 2}, {1, 2, 3}) == ("x: 3 is new", [])
    assert told(frozenset("ab"), frozenset("b")) == ("x: 'a' is gone", [])


def test_attributes_of_objects(told):
    assert told(Model("a"), Model("b")) == ("x.name: 'a' → 'b'", [])
    assert told([Model("a"), Model("a")], [Model("a"), Model("a", 2)]) == ("x[1].depth: 1 → 2", [])
    assert told({"m": Model("a")}, {"m": Model("b")}) == ("x[\"m\"].name: 'a' → 'b'", [])
    assert told(Slotted(1, "p"), Slotted(2, "p")) == ("x.a: 1 → 2", [])
    assert told(Listed([1, 2]), Listed([1, 3])) == ("x[1]: 2 → 3", [])
    assert told(collections.OrderedDict(a=1), collections.OrderedDict(a=2)) == ('x["a"]: 1 → 2', [])
    assert told(collections.deque([1, 2]), collections.deque([1, 3])) == ("x[1]: 2 → 3", [])
    assert told(collections.defaultdict(int, a=1), collections.defaultdict(int, a=2)) == ('x["a"]: 1 → 2', [])


def test_models_of_libraries(told):
    attrs = pytest.importorskip("attrs")
    pydantic = pytest.importorskip("pydantic")
    Point = attrs.make_class("Point", ["x", "y"])
    assert told(Point(1, 2), Point(1, 3)) == ("x.y: 2 → 3", [])
    Settings = pydantic.create_model("Settings", depth=(int, 1), name=(str, "a"))
    assert told(Settings(depth=1), Settings(depth=2)) == ("x.depth: 1 → 2", [])
    assert "x.depth: 1 → 2" in told(Settings(), Settings(depth=2))[1]


def test_secrets_are_not_shown(told):
    head, lines = told({"password": "hunter2", "n": 1}, {"password": "hunter3", "n": 1})
    assert head == 'x["password"] differs' and lines == []
    head, lines = told({"api_key": {"a": "hunter2"}}, {"api_key": {"a": "hunter3"}})
    assert head == 'x["api_key"] differs' and lines == []
    assert told(Slotted(1, "hunter2"), Slotted(1, "hunter3")) == ("x.password differs", [])


def test_a_secret_is_nowhere_in_the_store(store, tmp_path):
    @afresh.memo(store=store)
    def login(config, password):
        return None

    login({"user": "ana", "token": ["hunter2"]}, {"a": ["hunter2"]})
    client = afresh.Client(store)
    client.close()
    found = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert found and not any(b"hunter2" in data for data in found)
    assert any(b"'ana'" in data for data in found)


def test_what_is_too_large_says_so(told):
    big = {f"key {i}": i for i in range(5000)}
    head, lines = told(big, {**big, "key 4": -4})
    assert head in ('x["key 4"]: 4 → -4', "some of 5,000 parts") and lines == []
    assert told(big, {**big, "new": 1})[0] in ('x["new"] is new: 1', "5,000 → 5,001 parts")
    deep: object = 1
    other: object = 2
    for _ in range(40):
        deep, other = [deep], [other]
    head, lines = told(deep, other)
    assert head.startswith("x[0][0]") and lines == []
    cycle: list[object] = [1]
    cycle.append(cycle)
    again: list[object] = [2]
    again.append(again)
    assert "x[0]: 1 → 2" in str(told(cycle, again))


def test_keys_that_look_alike_are_kept_apart(told):
    long = "k" * 100
    before = {long + "a": 1, long + "b": 2}
    head, lines = told(before, {long + "b": 3, long + "a": 1})
    assert head.endswith(": 2 → 3") and lines == []


def test_an_object_with_many_attributes(told):
    class Wide:
        pass

    one, other = Wide(), Wide()
    one.__dict__.update({f"a{i}": i for i in range(2000)})
    other.__dict__.update({f"a{i}": i for i in range(1999)}, a1999=-1)
    head, lines = told(one, other)
    assert head.startswith("some of ") and head.endswith(" parts") and lines == []
    other.a3 = -3
    assert told(one, other) == ("x.a3: 3 → -3", [])


def test_many_differences_are_cut(told):
    head, lines = told([0] * 40, [1] * 40)
    assert head == "40 of 40 items" and len(lines) == 9 and lines[-1] == "and 32 more"


def test_arrays(told):
    np = pytest.importorskip("numpy")
    small = np.arange(24.0).reshape(4, 6)
    other = small.copy()
    other[3, 5] = -1
    assert told(small, other) == ("1 of 24 elements", ["x: 1 of 24 elements: x[3, 5]"])
    large = np.arange(60_000.0).reshape(1000, 60)
    other = large.copy()
    other[3, 5] = other[999, 59] = np.nan
    assert told(large, other) == ("2 of 60,000 elements", ["x: 2 of 60,000 elements: x[3, 5], x[999, 59]"])
    assert told(np.asfortranarray(large), np.asfortranarray(other))[0] == "2 of 60,000 elements"
    assert told(large, large.reshape(60, 1000)) == ("shape (1000, 60) → (60, 1000)", [])
    assert told(large, large.astype("f4")) == ("x: float64 → float32", [])
    assert told({"w": large}, {"w": other})[0] == 'x["w"], 2 of 60,000 elements'
    noise = large + (np.random.default_rng(1).random(large.shape) < 0.05)
    head, lines = told(large, noise)
    about = int(head.removeprefix("about ").removesuffix(" of 60,000 elements").replace(",", ""))
    assert lines == [] and abs(about - 3000) < 600
    for dtype in ("i1", "u2", "f2", "i4", "f4", "i8", "c8", "c16", "M8[s]", "U5", "S3", "bool", ">i4"):
        plain = np.zeros(3000, dtype=dtype)
        other = plain.copy()
        other[1234] = 1
        assert told(plain, other) == ("1 of 3,000 elements", ["x: 1 of 3,000 elements: x[1234]"]), dtype
    record = np.zeros(5, dtype=[("a", "f8"), ("b", "i4")])
    other = record.copy()
    other["b"][3] = 1
    assert told(record, other) == ("column `b`, 1 of 5 rows", ['x["b"]: 1 of 5 rows: 3'])
    objects = np.array([{}] * 300, dtype=object)
    other = objects.copy()
    other[42] = {1: 2}
    assert told(objects, other) == ("1 of 300 elements", ["x: 1 of 300 elements: x[42]"])


def test_every_nan_is_one(store):
    np = pytest.importorskip("numpy")
    odd = np.zeros(1000)
    odd[5] = np.array([0x7FF8_0000_0000_0001], dtype="u8").view("f8")[0]
    even = odd.copy()
    even[5] = np.nan
    other = even.copy()
    other[7] = 1

    @afresh.memo(store=store)
    def ask(x):
        return None

    ask(odd)
    assert ask.why(even).kind == "hit"
    assert "differs: 1 of 1,000 elements" in str(ask.why(other))


def test_a_column_of_a_large_frame(told):
    pd = pytest.importorskip("pandas")
    np = pytest.importorskip("numpy")
    frame = pd.DataFrame({"price": np.arange(1_204_331.0), "n": np.arange(1_204_331)})
    other = frame.copy()
    other.loc[[17, 900, 1_000_000], "price"] = -1.0
    head, lines = told(frame, other)
    assert head == "column `price`, 3 of 1,204,331 rows"
    assert lines == ['x["price"]: 3 of 1,204,331 rows: 17, 900, 1000000']
    longer = pd.concat([frame, frame.head(9)], ignore_index=True)
    assert told(frame, longer) == ("1,204,331 → 1,204,340 rows, the first 1,204,331 are the same", [])


def test_columns_of_every_kind(told):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "text": ["a", "b", "c"] * 200,
            "kind": pd.Categorical(["x", "y", "z"] * 200),
            "day": pd.date_range("2020", periods=600),
            "maybe": pd.array([1, None, 3] * 200, dtype="Int64"),
            "any": pd.Series([[1], {}, None] * 200, dtype=object),
            "arrow": pd.array(["a", None, "c" * 20] * 200, dtype="string[pyarrow]"),
        }
    )
    for column, value in {
        "text": "other",
        "kind": "z",
        "day": pd.Timestamp("1999"),
        "maybe": 7,
        "any": "x",
        "arrow": "y" * 30,
    }.items():
        other = frame.copy()
        other.loc[3, column] = value
        row = "1 of 600 rows"
        assert told(frame, other) == (f"column `{column}`, {row}", [f'x["{column}"]: {row}: 3']), column
    other = frame.copy()
    other.loc[3, "maybe"] = None
    assert told(frame, other)[1][-1] == 'x["maybe"].missing: 1 of 600 rows: 3'
    assert told(frame, frame.drop(columns="day")) == ('x["day"] is gone', [])
    assert told(frame, frame.assign(n=1)) == ('x["n"] is new: int64', [])
    head, lines = told(frame, frame.set_index("text"))
    assert lines == ["x.index: <RangeIndex 600> → <Index 600>", 'x["text"] is gone']
    other = frame.copy()
    other.loc[[1, 2], ["text", "day"]] = ["new", pd.Timestamp("1999")]
    assert told(frame, other)[0] == "columns `text`, `day`"
    twice = pd.concat([frame[["text"]], frame[["text"]]], axis=1)
    assert told(twice, pd.concat([frame[["text"]], other[["text"]]], axis=1))[0] == "column `text`, 2 of 600 rows"
    squares = [row * row for row in range(600)]
    numbers, changed = pd.Series(squares), pd.Series([*squares[:-1], 0])
    assert told(numbers, changed) == ("1 of 600 rows", ["x: 1 of 600 rows: 599"])
    assert told(frame.set_index(numbers), frame.set_index(changed)) == (
        "index, 1 of 600 rows",
        ["x.index: 1 of 600 rows: 599"],
    )
    levels = frame.set_index(["text", "day"])
    assert told(levels, other.set_index(["text", "day"]))[0] == "2 places"
    assert told(frame["text"], other["text"]) == ("2 of 600 rows", ["x: 2 of 600 rows: 1, 2"])


def test_tables_of_polars_and_arrow(told):
    pl = pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    texts = ["a", None, "a longer text than twelve"] * 200
    table = {
        "i": list(range(600)),
        "f": [0.5, None, float("nan")] * 200,
        "t": texts,
        "b": [True, None, False] * 200,
        "l": [[1], None, []] * 200,
    }
    for make in (pl.DataFrame, pa.table):
        for column, value in {"i": -1, "f": 9.0, "t": "another long text, not the same", "b": False}.items():
            other = {**table, column: [value if row == 300 else old for row, old in enumerate(table[column])]}
            said = told(make(table), make(other))
            assert said == (f"column `{column}`, 1 of 600 rows", [f'x["{column}"]: 1 of 600 rows: 300']), make
        other = {**table, "l": [[2], *table["l"][1:]]}
        assert told(make(table), make(other)) == ("column `l`, some of 600 rows", [])
        other = {**table, "t": pa.array(texts).dictionary_encode()}
        if make is pa.table:
            last = pa.array([*texts[:-1], "b"]).dictionary_encode()
            assert told(make(other), make({**table, "t": last}))[0] == "column `t`, 1 of 600 rows"
    chunks = pa.chunked_array([pa.array(texts[:100]), pa.array(texts[100:])])
    other = pa.chunked_array([pa.array(texts[:-1]), pa.array(["b"])])
    assert told(chunks, other)[0] == "1 of 600 elements"
    assert told(pl.Series("s", texts), pl.Series("s", [*texts[:-1], "b"]))[0].startswith("1 of 600 ")


def test_a_wide_frame_stays_small(store):
    pd = pytest.importorskip("pandas")
    np = pytest.importorskip("numpy")
    wide = pd.DataFrame(np.zeros((5000, 300)), columns=[f"c{i}" for i in range(300)])
    other = wide.copy()
    other.loc[4, "c2"] = 1

    @afresh.memo(store=store)
    def ask(x):
        return None

    ask(wide)
    assert "differs: column `c2`, 1 of 5,000 rows" in str(ask.why(other))
    assert afresh.Client(store).stats().inline_bytes < 80_000


def test_the_function_may_change_its_argument(store):
    @afresh.memo(store=store)
    def spoil(x):
        x.append("spoiled")
        return len(x)

    spoil([1, 2])
    assert "x[1]: 2 → 3" in str(spoil.why([1, 3]))


def test_starred_arguments(store):
    @afresh.memo(store=store)
    def take(*args, **kwargs):
        return None

    take(1, [2], a={"b": 1})
    said = str(take.why(1, [3], a={"b": 2}))
    assert "args[1][0]: 2 → 3" in said and 'kwargs["a"]["b"]: 1 → 2' in said


def test_diff_tells_it_too(store):
    client = afresh.Client(store)

    def fit(config):
        return None

    one = client.submit(fit, {"depth": 3})
    two = client.submit(fit, {"depth": 4})
    found = client.diff(one.commit_hash, two.commit_hash)
    assert found["arguments"] == {"config": ("{'depth': 3}", "{'depth': 4}")}
    inside = found["inside"]["config"]
    assert inside["headline"] == 'config["depth"]: 3 → 4' and inside["more"] == 0
    assert inside["differences"] == [{"place": 'config["depth"]', "change": "changed", "a": "3", "b": "4"}]


def test_an_object_whose_parts_cannot_be_read_still_runs(store):
    class Odd:
        def __init__(self, n):
            self.n = n
            self.asked = 0

        def __getstate__(self):
            # Once for the digest; whoever asks again is refused.
            self.asked += 1
            if self.asked > 1:
                raise RuntimeError("no")
            return {"n": self.n}

    @afresh.memo(store=store)
    def ask(x):
        return x.n

    assert ask(Odd(1)) == 1


def test_a_hit_reads_no_argument_twice(store, runs):
    class Counted:
        def __getstate__(self):
            runs.mark()
            return {"a": 1}

    @afresh.memo(store=store)
    def ask(x):
        return 1

    ask(Counted())
    before = runs.count
    ask(Counted())
    assert runs.count == before + 1


def test_scalars_have_no_outline(store):
    @afresh.memo(store=store)
    def ask(a, b, c, d):
        return None

    ask(1, "text", 2.5, None)
    commit = afresh.Client(store).log()[0]
    assert pickle.loads(pickle.dumps(commit)) == commit
    assert str(ask.why(1, "text", 2.5, True)).startswith("miss: argument `d` differs: None → True")
