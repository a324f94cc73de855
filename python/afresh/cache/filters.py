"""What a key template may do to a value: ``{name:filter}`` and ``{name:filter(argument)}``.

A filter gets the value itself, never a stand-in, and gives a value; what it cannot use becomes None rather than an
exception. ``register`` adds filters, for all caches of the process.
"""

from __future__ import annotations

from afresh.cache import encode
from afresh.cache.errors import WrongKeyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Filter = Callable[..., Any]


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


def parse(spec: str) -> Callable[[Any], Any]:
    """The filter in a template, such as ``hash(md5)``; unknown ones are an error where the template is written."""
    name, bracket, rest = spec.partition("(")
    if (bracket and not rest.endswith(")")) or name not in _FILTERS:
        raise WrongKeyError(f"there is no filter `{spec}`", hint=f"the filters are {', '.join(sorted(_FILTERS))}")
    arguments = [argument.strip() for argument in rest[:-1].split(",")] if bracket else []
    if name == "hash" and arguments:
        import hashlib

        if arguments[0] not in hashlib.algorithms_available:
            raise WrongKeyError(f"there is no hash `{arguments[0]}`")
    function = _FILTERS[name]
    return lambda value: function(value, *arguments)
