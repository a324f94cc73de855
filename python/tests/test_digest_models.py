"""The digest of instances of other people's classes: attrs, pydantic, and what only pickling can tell apart."""

import copy
import copyreg
import functools
import os
import pickle
import subprocess
import sys

import pytest

from afresh._afresh import Undigestable, digest_value

attrs = pytest.importorskip("attrs")
pydantic = pytest.importorskip("pydantic")


def d(value):
    return digest_value(value)[0]


@attrs.define
class Slotted:
    a: int
    b: object = None


@attrs.define(slots=False)
class Dict:
    a: int
    b: object = None


@attrs.frozen(cache_hash=True)
class Hashed:
    a: str


@attrs.frozen(cache_hash=True, slots=False)
class HashedDict:
    a: str


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int
    b: list = []
    _private: int = pydantic.PrivateAttr(default=0)


class Other(Model):
    pass


class Dispatched:
    def __init__(self, a):
        self.a = a

    def __reduce_ex__(self, protocol):
        raise TypeError


copyreg.pickle(Dispatched, lambda value: (Dispatched, (value.a,)))


def private(value, number):
    value._private = number
    return value


def differing():
    yield from [Slotted(1), Slotted(2), Slotted(1, 2), Dict(1), Dict(1, 2), Hashed("a"), Hashed("b"), HashedDict("a")]
    yield from [Model(a=1), Model(a=2), Model(a=1, b=[1]), Model(a=1, c=1), Other(a=1), private(Model(a=1), 1)]
    yield from [Dispatched(1), Dispatched(2)]


def hashed(value):
    hash(value)
    return value


def equal():
    yield [Slotted(1, [2]), copy.deepcopy(Slotted(1, [2])), pickle.loads(pickle.dumps(Slotted(1, [2])))]
    yield [Hashed("a"), hashed(Hashed("a"))]
    yield [HashedDict("a"), hashed(HashedDict("a"))]
    yield [Model(a=1, b=[2]), Model(b=[2], a=1), Model(a="1", b=[2]), Model.model_validate({"a": 1, "b": [2]})]
    yield [Model(a=1), copy.deepcopy(Model(a=1)), pickle.loads(pickle.dumps(Model(a=1)))]
    yield [functools.partial(Model, a=1), functools.partial(Model, a=1)]


def test_differing_values_differ():
    digests = [d(value) for value in differing()]
    assert len(set(digests)) == len(digests)


def test_equal_values_are_equal():
    for group in equal():
        assert len({d(value) for value in group}) == 1, group


def test_another_process_agrees():
    program = f"import sys; sys.path[:0] = {[os.path.dirname(__file__), *sys.path]!r}; import test_digest_models as t; print([t.d(v).hex() for v in t.differing()])"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_what_was_not_set_counts():
    # `exclude_unset` sees the difference.
    assert d(Model(a=1)) != d(Model(a=1, b=[]))


def test_the_last_resort_says_so():
    pytest.importorskip("cloudpickle")
    code = compile("x + 1", "f", "eval")
    try:
        digest, notes = digest_value(code)
    except Undigestable:
        pytest.fail("cloudpickle pickles code")
    assert len(digest) == 32
    assert any("identified by what" in note for note in notes)
