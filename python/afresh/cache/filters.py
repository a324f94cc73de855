"""What a key template may do to a value: ``{name:filter}``, ``{name:filter(argument)}``, ``{name:filter({other})}``.

A filter gets the value itself, never a stand-in, and gives a value; what it cannot use becomes None rather than an
exception. Filters, and forms of classes, are added for all caches of the process.
"""

from __future__ import annotations

from afresh.cache import encode
from afresh.cache.errors import WrongKeyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Filter = Callable[..., Any]
    Getter = Callable[[Mapping[str, Any]], Any]


def _hash(value: Any, algorithm: str = "sha256") -> str:
    import hashlib

    return hashlib.new(algorithm, encode.text(value).encode()).hexdigest()


def _length(value: Any) -> int | None:
    try:
        return len(value)
    except TypeError:
        return None


def _jwt(value: Any, claim: str) -> Any:
    """A claim of a token, whose signature is not looked at: for finding, never for trusting."""
    import base64
    import json

    try:
        payload = str(value).removeprefix("Bearer ").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError):
        return None
    return claims.get(claim) if isinstance(claims, dict) else None


def _get(value: Any, key: str) -> Any:
    get = getattr(value, "get", None)
    return None if get is None else get(key)


_FILTERS: dict[str, Filter] = {
    "len": _length,
    "lower": lambda value: str(value).lower(),
    "upper": lambda value: str(value).upper(),
    "hash": _hash,
    "jwt": _jwt,
    "get": _get,
}


_OURS = dict(_FILTERS)


def is_pure(spec: str) -> bool:
    """Whether a filter gives the same for the same value, always: those of this module do, unless they look at others."""
    name = spec.partition("(")[0]
    return "{" not in spec and (not name or _FILTERS.get(name) is _OURS.get(name))


def register(name: str) -> Callable[[Filter], Filter]:
    """``@register("slug")`` makes a function the filter ``{field:slug}``."""

    def keep(function: Filter) -> Filter:
        _FILTERS[name] = function
        return function

    return keep


class _Formatter:
    """Adds to what templates know."""

    def register(self, alias: str, preformat: bool = True) -> Callable[[Filter], Filter]:
        """``@default_formatter.register("slug")`` makes a function the filter ``{field:slug}``. It gets the value as
        text, or with ``preformat=False`` as it is."""

        def keep(function: Filter) -> Filter:
            def formatted(value: Any, *arguments: Any) -> Any:
                return function(value if isinstance(value, str) else encode.text(value), *arguments)

            _FILTERS[alias] = formatted if preformat else function
            return function

        return keep

    def type_format(self, kind: type) -> Callable[[Callable[[Any], str]], Callable[[Any], str]]:
        """``@default_formatter.type_format(Decimal)`` makes a function say how values of a class, and of those derived
        from it, are written in templates. Two values that are written alike are one key."""

        if not isinstance(kind, type) or kind in _WRITTEN:
            raise WrongKeyError(f"{kind!r} is written as it is", hint="a form is for a class of another kind")

        def keep(function: Callable[[Any], str]) -> Callable[[Any], str]:
            encode.formats[kind] = function
            return function

        return keep


# What text() writes itself.
_WRITTEN = (object, str, int, type(None), bool, float, bytes, tuple, list, set, frozenset, dict)

default_formatter = _Formatter()


def parse(spec: str, field: Callable[[str], Getter]) -> Callable[[Any, Mapping[str, Any]], Any]:
    """The filter in a template, such as ``hash(md5)``, of a value and the arguments of the call; unknown ones are an
    error where the template is written. ``field`` gets the value of another field from the arguments."""
    name, bracket, rest = spec.partition("(")
    if (bracket and not rest.endswith(")")) or name not in _FILTERS:
        raise WrongKeyError(f"there is no filter `{spec}`", hint=f"the filters are {', '.join(sorted(_FILTERS))}")
    arguments = [_argument(text.strip(), field) for text in _split(rest[:-1])] if bracket else []
    if name == "hash" and arguments and isinstance(arguments[0], str):
        import hashlib

        if arguments[0] not in hashlib.algorithms_available:
            raise WrongKeyError(f"there is no hash `{arguments[0]}`")

    function = _FILTERS[name]

    def change(value: Any, of: Mapping[str, Any]) -> Any:
        return function(value, *(text if isinstance(text, str) else text(of) for text in arguments))

    return change


def _argument(text: str, field: Callable[[str], Getter]) -> str | Getter:
    """What a filter is given: the text itself, or another field."""
    return field(text[1:-1]) if text.startswith("{") and text.endswith("}") else text


def _split(text: str) -> list[str]:
    """The arguments of a filter; a comma within brackets is part of one."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "({") - (character in ")}")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts
