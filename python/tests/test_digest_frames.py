"""The digest of tables: pandas, polars, pyarrow, and sparse matrices."""

import copy
import datetime as dt
import pickle

import numpy as np
import pytest

from afresh._afresh import digest_value

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
sp = pytest.importorskip("scipy.sparse")


def d(value):
    return digest_value(value)[0]


def named(frame, **names):
    for key, value in names.items():
        setattr(frame, key, value)
    return frame


def chunked(*parts, **options):
    return pa.chunked_array(list(parts), **options)


def garbage_under_mask():
    a = pd.array([1, 2, None], dtype="Int64")
    b = pd.array([1, 2, 7], dtype="Int64")
    b[2] = pd.NA
    c = pd.arrays.IntegerArray(np.array([1, 2, 99]), np.array([False, False, True]))
    return [a, b, c]


def garbage_under_null(kind, values, validity=0b101):
    buffers = [pa.py_buffer(bytes([validity])), pa.py_buffer(np.array(values, kind).tobytes())]
    return pa.Array.from_buffers(pa.from_numpy_dtype(kind), len(values), buffers)


def differing():
    base = {"a": [1, 2], "b": ["x", "y"]}
    categories = pd.Categorical(["u", "v"])
    index = pd.DatetimeIndex(["2020-01-01", "2020-01-02"])
    yield from [pd.DataFrame(base), pd.DataFrame({"b": base["b"], "a": base["a"]}), pd.DataFrame(base, index=[1, 2]), pd.DataFrame(base, index=["0", "1"])]
    yield from [pd.DataFrame(base).astype({"a": "int32"}), pd.DataFrame(base).astype({"a": "Int64"}), pd.DataFrame(base).astype({"b": "category"})]
    yield from [pd.DataFrame({"a": [1, 3], "b": ["x", "y"]}), pd.DataFrame({"a": [1, 2], "b": ["x", None]}), pd.DataFrame({"a": [1, 2], "b": ["xy", ""]})]
    yield from [pd.DataFrame(base).rename_axis("i"), pd.DataFrame(base).rename_axis(columns="i"), named(pd.DataFrame(base), attrs={"a": 1})]
    yield from [pd.DataFrame(), pd.DataFrame(index=[1]), pd.DataFrame(columns=["a"]), pd.DataFrame(base).iloc[:0], pd.DataFrame(base)[["a"]], pd.DataFrame(base)["a"]]
    yield from [pd.DataFrame(base, dtype=object), pd.DataFrame({0: [1, 2]}), pd.DataFrame({"0": [1, 2]}), pd.DataFrame([[1, 2]], columns=["a", "a"])]
    yield from [pd.Series([1, 2]), pd.Series([1, 2], name="x"), pd.Series([1.0, 2]), pd.Series([1, 2], index=[1, 0]), pd.Series(["1", "2"]), pd.Series([1, 2], dtype=object)]
    yield from [pd.Series(categories), pd.Series(categories.set_categories(["v", "u"])), pd.Series(categories.as_ordered()), categories]
    yield from [pd.Series(index), pd.Series(index.tz_localize("UTC")), pd.Series(index.tz_localize("Europe/Paris")), index, index.to_period("D"), index.to_period("M")]
    yield from [pd.Series([None, 1.0]), pd.Series([None, 1], dtype="Int64"), pd.Series([0, 1], dtype="Int64"), pd.Series([None, True], dtype="boolean"), pd.Series([None, "1"], dtype="string")]
    yield from [pd.Series([1], dtype=pd.ArrowDtype(pa.int64())), pd.Series([1], dtype="Int64"), pd.Series([1], dtype=pd.SparseDtype(int)), pd.Series([1, None], dtype=object), pd.Series([1, np.nan], dtype=object)]
    yield from [pd.RangeIndex(2), pd.Index([0, 1]), pd.Index([0, 1], name="x"), pd.Index(["a"]), pd.MultiIndex.from_tuples([(1, "a")]), pd.MultiIndex.from_tuples([("1", "a")])]
    yield from [pd.MultiIndex.from_tuples([(1, "a")], names=["x", None]), pd.interval_range(0, 2), pd.interval_range(0, 2, closed="left"), pd.timedelta_range("1D", periods=2)]
    yield from [pd.Timestamp("2020"), pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020-01-01 00:00:00.000000001"), dt.datetime(2020, 1, 1), pd.Timedelta(1, "D"), dt.timedelta(1), pd.NaT, pd.NA, None]
    yield from [pd.Period("2020"), pd.Period("2020-01"), pd.Interval(0, 1), pd.Interval(0, 1, closed="left"), pd.offsets.Day(), pd.offsets.Day(2), pd.CategoricalDtype(["a"]), pd.CategoricalDtype(["b"])]
    yield from [pl.DataFrame(base), pl.DataFrame(base).select("b", "a"), pl.DataFrame(base).with_columns(pl.col("a").cast(pl.Int32)), pl.DataFrame(base).rename({"a": "c"})]
    yield from [pl.DataFrame({"a": [1, None], "b": ["x", "y"]}), pl.DataFrame({"a": [1, 0], "b": ["x", "y"]}), pl.DataFrame({"a": [1, 2], "b": ["xy", ""]}), pl.DataFrame(), pl.DataFrame({"a": []})]
    yield from [pl.Series("a", [1, 2]), pl.Series("b", [1, 2]), pl.Series("a", [1, 2], pl.UInt8), pl.Series("a", [[1], [2]]), pl.Series("a", [[1, 2], []]), pl.Series("a", [[1, 2], None])]
    yield from [pl.Series("a", ["x", None]), pl.Series("a", ["x", ""]), pl.Series("a", ["x", "y"], pl.Categorical), pl.Series("a", ["y", "x"], pl.Categorical), pl.Series("a", ["x", "y"], pl.Enum(["x", "y"])), pl.Series("a", ["x", "y"], pl.Enum(["y", "x"]))]
    yield from [pl.Series("a", [{"x": 1}, None]), pl.Series("a", [{"x": 1}, {"x": None}]), pl.Series("a", ["a long string that is not inlined", "b"]), pl.Series("a", ["a long string that is not inlinee", "b"])]
    yield from [pl.Series("a", [dt.date(2020, 1, 1)]), pl.Series("a", [dt.datetime(2020, 1, 1)]), pl.Series("a", [object()], pl.Object), pl.Series("a", [{"o": 1}], pl.Object), pl.Series("a", [True, None]), pl.Series("a", [True, False]), pl.Series("a", [None, None])]
    yield from [pa.table(base), pa.table({"a": base["a"]}), pa.table(base).rename_columns(["b", "a"]), pa.table(base).replace_schema_metadata({"k": "v"}), pa.table({"a": [1, None], "b": base["b"]}), pa.table({"a": [1, 0], "b": base["b"]})]
    yield from [pa.array([1, 2]), pa.array([1, None]), pa.array([1, 0]), pa.array([1, 2], pa.int8()), pa.array([1.0, 2.0]), pa.array(["a", "b"]), pa.array(["ab", ""]), pa.array(["ab", None]), pa.array(["a", "b"], pa.large_string())]
    yield from [pa.array([[1], [2]]), pa.array([[1, 2], []]), pa.array([[1, 2], None]), pa.array([{"a": 1}, None]), pa.array([{"a": 1}, {"a": None}]), pa.array([True, False]), pa.array([b"a"]), pa.array([None]), pa.array([None, None])]
    yield from [pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)), pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), pa.array([[1, 2], [0, 0]], pa.list_(pa.int64(), 2)), pa.array([[(1, 2)]], pa.map_(pa.int64(), pa.int64()))]
    yield from [pa.array([1], pa.decimal128(5)), pa.array([1], pa.timestamp("s")), pa.array([1], pa.timestamp("s", "UTC")), pa.array([1], pa.timestamp("ms")), pa.array([1], pa.duration("s")), pa.array([1], pa.date32())]
    yield from [sp.csr_matrix(np.eye(2)), sp.csr_array(np.eye(2)), sp.csc_matrix(np.eye(2)), sp.coo_matrix(np.eye(2)), sp.csr_matrix(np.eye(3)), sp.csr_matrix(np.eye(2, k=1)), sp.csr_matrix(np.eye(2, dtype=int)), sp.dok_matrix(np.eye(2)), sp.lil_matrix(np.eye(2)), sp.dia_matrix(np.eye(2)), sp.bsr_matrix(np.eye(2))]  # fmt: skip


def equal():
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [1.5, np.nan, 2], "d": [4, 5, 6]})
    blocks = pd.DataFrame(index=frame.index)
    for name in frame:
        blocks[name] = frame[name]
    yield [frame, blocks, frame.copy(), copy.deepcopy(frame), pickle.loads(pickle.dumps(frame)), frame[["d", "c", "b", "a"]][["a", "b", "c", "d"]]]
    yield [frame.iloc[::2], frame.iloc[::2].copy(), pickle.loads(pickle.dumps(frame.iloc[::2]))]
    yield garbage_under_mask()
    yield [pd.Series([1, 2, 3])[1:], pd.Series([1, 2, 3])[1:].copy()]
    wide = pd.MultiIndex.from_product([[1, 2, 3], ["a", "b"]])
    yield [wide[:2], wide[:2].remove_unused_levels(), pd.MultiIndex.from_tuples([(1, "a"), (1, "b")])]
    strings = pd.Series(["a", None, "ccc"], dtype="string[pyarrow]")
    yield [strings, pd.concat([strings[:1], strings[1:]]), pd.concat([strings, strings])[:3].reset_index(drop=True)]
    lists = pa.array([[1, 2], None, [], [3, None]])
    yield [lists, pa.concat_arrays([lists, lists])[4:], chunked(lists[:1], lists[1:]), pickle.loads(pickle.dumps(lists))]
    texts = pa.array(["a", None, "ccc", ""])
    yield [texts, pa.concat_arrays([texts, texts])[4:], chunked(texts[:3], texts[3:]), chunked(texts[:0], texts)]
    bools = pa.array([True, None, False] * 7)
    yield [bools, pa.concat_arrays([bools[:3], bools])[3:], chunked(bools[:9], bools[9:])]
    structs = pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "z"}])
    yield [structs, pa.concat_arrays([structs, structs])[3:], chunked(structs[:2], structs[2:])]
    yield [garbage_under_null("i8", [1, 2, 3]), garbage_under_null("i8", [1, 9, 3]), pa.array([1, None, 3])]
    yield [garbage_under_null("f8", [1, 2, np.nan]), garbage_under_null("f8", [1, 9, -np.nan]), pa.array([1, None, np.nan])]
    codes = pa.array(["a", "b", None, "a"]).dictionary_encode()
    other = pa.DictionaryArray.from_arrays(pa.array([2, 1, None, 2], pa.int8()), ["x", "b", "a"])
    yield [codes, other, chunked(codes[:2], codes[2:]), pa.concat_arrays([codes, codes])[4:]]
    table = pa.table({"a": [1, None, 3], "b": ["x", "y", None], "c": [[1], [], None]})
    yield [table, pa.concat_tables([table[:1], table[1:]]), pa.concat_tables([table, table])[3:], table.to_batches()[0], pickle.loads(pickle.dumps(table))]
    fixed = pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2))
    yield [fixed, chunked(fixed[:1], fixed[1:]), pa.concat_arrays([fixed, fixed])[3:]]
    views = pa.array(["a", None, "a string longer than twelve bytes"], pa.string_view())
    yield [views, chunked(views[:1], views[1:])]
    polars = pl.DataFrame({"a": [1, None, 3], "b": ["x", None, "a string longer than twelve bytes"], "c": [[1], [], None], "d": [{"x": 1}, None, {"x": None}], "e": ["u", "v", "u"]})
    polars = polars.with_columns(pl.col("e").cast(pl.Categorical))
    yield [polars, pl.concat([polars[:1], polars[1:]], rechunk=False), pl.concat([polars, polars])[3:], pickle.loads(pickle.dumps(polars)), polars.clone()]
    yield [polars["b"], pl.concat([polars, polars])[3:]["b"], polars["b"].clone()]
    sparse = sp.csr_matrix(np.array([[1.0, 0, 2], [0, 3, 0]]))
    unsorted = sp.csr_matrix((np.array([2.0, 1, 3]), np.array([2, 0, 1]), np.array([0, 2, 3])), shape=(2, 3))
    yield [sparse, sparse.copy(), unsorted, sp.csr_matrix(sparse.tocoo())]
    yield [sp.coo_matrix(([1.0, 2, 3], ([0, 0, 1], [0, 0, 1]))), sp.coo_matrix(([3.0, 3], ([1, 0], [1, 0])))]
    assert (unsorted.indices == [2, 0, 1]).all()


def test_differing_values_differ():
    seen = {}
    for place, value in enumerate(differing()):
        digest = d(value)
        assert digest not in seen, (place, value, seen[digest])
        seen[digest] = (place, value)


def test_equal_values_are_equal():
    for place, group in enumerate(equal()):
        assert len({d(value) for value in group}) == 1, (place, [d(value).hex()[:8] for value in group], group)


def test_reading_a_sparse_matrix_does_not_change_it():
    matrix = sp.coo_matrix(([1.0, 2, 3], ([0, 0, 1], [0, 0, 1])))
    d(matrix)
    assert matrix.nnz == 3


def test_derived_frames_count_with_their_class_and_metadata():
    class Frame(pd.DataFrame):
        _metadata = ["crs"]

        @property
        def _constructor(self):
            return Frame

    one, two = Frame({"a": [1]}), Frame({"a": [1]})
    one.crs, two.crs = 1, 2
    assert len({d(one), d(two), d(pd.DataFrame({"a": [1]}))}) == 3


def test_what_arrow_cannot_hand_out_goes_by_element():
    union = pa.UnionArray.from_dense(pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["a"])])
    ends = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([1, 2]))
    assert d(union) != d(ends)


def test_long_columns():
    numbers = np.random.default_rng(1).random(3_000_000)
    column = pa.array(numbers)
    assert d(column) == d(chunked(column[:7], column[7:1_000_001], column[1_000_001:]))
    assert d(pd.Series(numbers)) == d(pd.DataFrame({"a": numbers, "b": numbers})["a"].rename(None))
