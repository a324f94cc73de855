"""Values as part of a key: readable, and no two different values the same.

A plain text stands for itself; anything else begins with what a plain text cannot begin with: a digit or a minus (an
integer), ``~`` (a text that would look like something else), ``!`` (everything else, with its type). ``%`` stands before
two hexadecimal digits only. What has no canonical form is refused: two values that look the same might not be. A form that
was given to a class (``formats``) is written with the class's name, so that no other value looks like it.
"""

from __future__ import annotations

from afresh import _afresh
from afresh.cache.errors import WrongKeyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

#: The forms of classes, which are those of their subclasses too.
formats: dict[type, Callable[[Any], str]] = {}

# Within containers these have a meaning.
_INNER = "(),="


def text(value: Any) -> str:
    """The value as text that says its type."""
    kind = type(value)
    if kind is str:
        return _plain(value)
    if kind is int:
        return str(value)
    if value is None:
        return "!none"
    if kind is bool:
        return "!true" if value else "!false"
    if kind is float:
        return "!f" + repr(value)
    if kind is bytes:
        return f"!b{value.hex()}"
    if kind is tuple:
        return "!t(" + ",".join(map(_inner, value)) + ")"
    if kind is list:
        return "!l(" + ",".join(map(_inner, value)) + ")"
    if kind is set or kind is frozenset:
        return ("!s(" if kind is set else "!z(") + ",".join(sorted(map(_inner, value))) + ")"
    if kind is dict:
        return "!d(" + ",".join(sorted(f"{_inner(key)}={_inner(item)}" for key, item in value.items())) + ")"
    for base in kind.__mro__ if formats else ():
        if base in formats:
            return f"!@{base.__module__}.{base.__qualname__}({escape(_plain(str(formats[base](value))), _INNER)})"
    if kind.__module__ == "uuid" and kind.__name__ == "UUID":
        return f"!u{value}"
    return "!#" + digest(value)


def digest(value: Any) -> str:
    """128 bits that stand for any value that has a canonical form."""
    bytes_, unknown = _afresh.digest_value(value)
    if unknown:
        raise WrongKeyError(
            f"{unknown[0]}; two of them cannot be told apart",
            hint="name what identifies it in the key, such as `{user.id}`",
        )
    return bytes_[:16].hex()


def escape(encoded: str, characters: Iterable[str]) -> str:
    """The text without these characters."""
    for character in characters:
        if character in encoded:
            encoded = encoded.replace(character, "".join(f"%{byte:02X}" for byte in character.encode()))
    return encoded


def _plain(value: str) -> str:
    if "%" in value:
        value = value.replace("%", "%25")
    if not value or value[0] in "0123456789-~!":
        return "~" + value
    return value


def _inner(value: Any) -> str:
    encoded = text(value)
    return escape(encoded, _INNER) if type(value) is str else encoded
