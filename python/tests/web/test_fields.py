"""Header fields, well formed and not."""

import pytest

from afresh.web import fields


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("no-cache", {"no-cache": None}),
        (" No-Cache ,, NO-STORE", {"no-cache": None, "no-store": None}),
        ("max-age=5, max-age=7", {"max-age": "5"}),
        ('max-age = "5"', {"max-age": "5"}),
        ('private="set-cookie, x", max-age=5', {"private": "set-cookie, x", "max-age": "5"}),
        ('x="a\\"b, no-store", y', {"x": 'a\\"b, no-store', "y": None}),
        ('x="never ends, no-store', {"x": '"never ends, no-store'}),
        ("max-age=", {"max-age": ""}),
    ],
)
def test_directives(text, found):
    assert fields.directives(text) == found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), ("0", 0), ("-5", 0), ("5.5", 0), ("", 0), ("\u0665", 0), ("9" * 30, fields.FOREVER), (None, 0)],
)
def test_seconds(text, seconds):
    assert fields.seconds({"max-age": text}, "max-age") == seconds
    assert fields.seconds({}, "max-age") is None
