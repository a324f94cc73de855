"""The vectors of docs/format-fp1.md, which other languages are checked against too."""

import collections
import datetime
import decimal
import fractions
import functools
import ipaddress
import pathlib
import re
import uuid
import zoneinfo

import numpy as np
import pytest

from afresh._afresh import digest_value

SPACE = {
    module.__name__: module
    for module in (collections, datetime, decimal, fractions, functools, ipaddress, pathlib, re, uuid, zoneinfo)
}
DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "format-fp1.md"
ROWS = re.findall(r"^\| `(.+)` \| `([0-9a-f]{64})` \|$", DOCUMENT.read_text(encoding="utf-8"), re.M)


def test_there_are_vectors():
    assert len(ROWS) >= 60
    assert len({digest for _, digest in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("value", "expected"), ROWS, ids=[value for value, _ in ROWS])
def test_vector(value, expected):
    digest, notes = digest_value(eval(value, {**SPACE, "np": np}))
    assert digest.hex() == expected
    assert notes == ()
