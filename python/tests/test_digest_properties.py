"""Properties of the digest over generated values: equal means equal, here and in another process with another hash
seed; different means different; and equality is that of type and content, not Python's `==`.
"""

import datetime as dt
import decimal
import os
import pathlib
import pickle
import subprocess
import sys
import uuid

import numpy as np
import pytest

from afresh._afresh import digest_value

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies
settings = hypothesis.settings(max_examples=200, deadline=None)

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(), st.binary(),
    st.dates(), st.datetimes(), st.timedeltas(), st.decimals(), st.fractions(), st.uuids(),
    st.integers(0, 3), st.text("ab", max_size=3), st.binary(max_size=2),
)  # fmt: skip
keys = st.one_of(st.integers(0, 5), st.text("ab", max_size=3), st.booleans(), st.floats(allow_nan=False), st.none())
keys = st.recursive(keys, lambda k: st.one_of(st.tuples(k, k), st.frozensets(k, max_size=3)), max_leaves=4)


def containers(values):
    return st.one_of(
        st.lists(values, max_size=5),
        st.lists(values, max_size=5).map(tuple),
        st.sets(keys, max_size=5),
        st.frozensets(keys, max_size=5),
        st.dictionaries(keys, values, max_size=5),
        st.lists(st.integers(-9, 9), max_size=4).map(lambda v: np.array(v, "i4")),
    )


values = st.recursive(scalars, containers, max_leaves=12)


def d(value):
    return digest_value(value)[0]


def form(value):
    """What a value is, by a reading of its own: comparable, exact about types."""
    kind = type(value).__name__
    if isinstance(value, float):
        return (kind, "nan" if value != value else value.hex())
    if isinstance(value, complex):
        return (kind, form(value.real), form(value.imag))
    if isinstance(value, (list, tuple)):
        return (kind, tuple(map(form, value)))
    if isinstance(value, (set, frozenset)):
        return (kind, frozenset(map(form, value)))
    if isinstance(value, dict):
        return (kind, frozenset((form(key), form(item)) for key, item in value.items()))
    if isinstance(value, np.ndarray):
        return (kind, value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, decimal.Decimal):
        return (kind, value.as_tuple())
    if isinstance(value, (dt.date, dt.timedelta, uuid.UUID)):
        return (kind, repr(value))
    return (kind, value)


def rebuilt(value):
    """An equal value that shares nothing and was filled in another order."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(rebuilt, value))
    if isinstance(value, (set, frozenset)):
        return type(value)(reversed([rebuilt(member) for member in value]))
    if isinstance(value, dict):
        return {rebuilt(key): rebuilt(item) for key, item in reversed(value.items())}
    if isinstance(value, str):
        return "".join([*value])
    if isinstance(value, np.ndarray):
        return np.repeat(value, 2)[::2]
    return pickle.loads(pickle.dumps(value))


@settings
@hypothesis.given(values)
def test_equal_values_have_equal_digests(value):
    expected = d(value)
    assert d(rebuilt(value)) == expected
    assert d(pickle.loads(pickle.dumps(value))) == expected
    assert d([value, value]) == d([value, rebuilt(value)])
    assert d({"a": value, "b": value}) == d({"b": rebuilt(value), "a": value})


@settings
@hypothesis.given(values, values)
def test_digests_are_equal_only_if_values_are(one, two):
    assert (d(one) == d(two)) == (form(one) == form(two))
    assert (d([one, two]) == d([two, one])) == (form(one) == form(two))
    assert d([one, two]) != d([[one, two]])
    assert d([one, [two]]) != d([[one], two])
    assert d([one]) != d(one)
    assert d((one, two)) != d([one, two])


@settings
@hypothesis.given(st.lists(st.one_of(st.integers(0, 2), st.text("a", max_size=2)), max_size=200), st.data())
def test_long_lists_inside_lists(items, data):
    cut = data.draw(st.integers(0, len(items)))
    assert d([items]) == d([list(items)])
    assert d([items[:cut], items[cut:]]) != d([items])
    other = items[:cut] + items[cut + 1 :]
    assert (d([items, 0]) == d([other, 0])) == (items == other)


PROGRAM = """
import pickle, sys
sys.path[:0] = {path!r}
from afresh._afresh import digest_value
for value in pickle.load(sys.stdin.buffer):
    print(digest_value(value)[0].hex())
"""


def test_another_process_with_another_hash_seed_agrees():
    collected = []

    @hypothesis.settings(max_examples=300, deadline=None, database=None, phases=[hypothesis.Phase.generate])
    @hypothesis.given(values)
    def collect(value):
        collected.append(value)

    collect()
    expected = [d(value).hex() for value in collected]
    for seed in ("1", "99"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(path=sys.path)],
            input=pickle.dumps(collected),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            cwd=pathlib.Path.home(),
        )
        assert done.stdout.decode().split() == expected
