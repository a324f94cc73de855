"""Header fields: lists, directives, entity tags, dates, as RFC 9110 and 9111 have them.

What cannot be understood counts as what is the more careful: a lifetime of nothing, a tag that matches nothing.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    #: As ASGI has them: names in small letters, in the order and number in which they were sent.
    Headers: TypeAlias = list[tuple[bytes, bytes]]

#: More seconds than anybody will wait.
FOREVER = 1 << 31

# What stands between commas, which mean nothing within quotes.
_MEMBER = re.compile(r'(?:[^,"]+|"(?:[^"\\]|\\.)*"?)+')
_TAG = re.compile(r'(?:W/)?"[^"]*"')


def joined(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """The values of all fields of that name, as one."""
    return ", ".join(value.decode("latin-1") for known, value in headers if known.lower() == name)


def has(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bool:
    return any(known.lower() == name for known, _ in headers)


def names(text: str) -> list[str]:
    """The members of a list of names, in small letters."""
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def directives(text: str) -> dict[str, str | None]:
    """The directives of a Cache-Control field; of several of one name the first."""
    found: dict[str, str | None] = {}
    for member in _MEMBER.findall(text):
        name, has_value, value = member.partition("=")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        found.setdefault(name.strip().lower(), value if has_value else None)
    return found


def seconds(control: dict[str, str | None], name: str) -> int | None:
    """How many seconds a directive says; None where it is not there, 0 where it cannot be understood."""
    if name not in control:
        return None
    text = control[name] or ""
    return min(int(text), FOREVER) if text.isascii() and text.isdigit() else 0


def matches(text: str, tag: str | None) -> bool:
    """Whether a field If-None-Match names the current tag, compared weakly; ``*`` names whatever there is."""
    if text.strip() == "*":
        return True
    return tag is not None and any(_plain(one) == _plain(tag) for one in _TAG.findall(text))


def _plain(tag: str) -> str:
    return tag[2:] if tag.startswith("W/") else tag


def date(text: str) -> float | None:
    """The time that a field such as Expires says; None where it says none."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
