"""Which store a key lives in: the one that was set up for the longest prefix of the key.

A route shows only the keys that are its own, also where its store holds others.
"""

from __future__ import annotations

from afresh import _afresh
from afresh.cache.errors import NotConfiguredError
from afresh.cache.steps import Ask
from afresh.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from typing import Any


#: What a cache in memory holds at most, where nothing else is said.
ENTRIES, SIZE = 1_000_000, 256_000_000

#: Bytes that are kept in front of a shared store.
FRONT = 64_000_000


class Route:
    """A prefix and the store behind it."""

    __slots__ = ("kv", "middlewares", "near", "never_fails", "prefix")

    def __init__(
        self, prefix: str, kv: _afresh.Kv, never_fails: bool, middlewares: tuple[Callable[..., Any], ...] = ()
    ) -> None:
        self.prefix, self.kv, self.never_fails = prefix, kv, never_fails
        #: What stands around commands on its keys, the innermost first.
        self.middlewares = middlewares
        self.near: bool = kv.near

    def ask(self, method: str, *args: Any, **kwargs: Any) -> Ask:
        """A command to the store."""
        return Ask(self.near, getattr(self.kv, method), *args, **kwargs)


class Routes:
    """All routes of a cache, the longest prefix first; within a transaction, as that sees them."""

    def __init__(self, seen: Callable[[Route], Route]) -> None:
        #: As they are outside of any transaction.
        self.all: tuple[Route, ...] = ()
        self._seen = seen

    def add(self, route: Route) -> None:
        """Adds a route, in place of one with the same prefix."""
        others = [other for other in self.all if other.prefix != route.prefix]
        self.all = tuple(sorted([*others, route], key=lambda route: -len(route.prefix)))

    def of(self, key: str) -> Route:
        return self._seen(self.plain(key))

    def every(self) -> list[Route]:
        return [self._seen(route) for route in self.all]

    def plain(self, key: str) -> Route:
        """The route of a key, whatever transaction there is."""
        for route in self.all:
            if key.startswith(route.prefix):
                return route
        raise NotConfiguredError(
            f"no store is set up for the key {key!r}" if self.all else "no store is set up",
            hint='call `setup("memory:")` or `setup("sqlite:PATH")` first',
        )

    def matching(self, pattern: str) -> Iterator[Route]:
        """The routes that may have keys that match a pattern."""
        literal = prefix_of(pattern)
        for route in self.all:
            if literal.startswith(route.prefix) or route.prefix.startswith(literal):
                yield self._seen(route)


def prefix_of(pattern: str) -> str:
    """What every key that matches a pattern begins with."""
    out, at = [], 0
    while at < len(pattern) and pattern[at] != "*":
        if pattern[at] == "\\" and pattern[at + 1 : at + 2] in ("*", "\\"):
            at += 1
        out.append(pattern[at])
        at += 1
    return "".join(out)


def matcher(pattern: str) -> Any:
    """Whether a key matches a pattern."""
    import re

    parts, at = [], 0
    while at < len(pattern):
        if pattern[at] == "*":
            parts.append(".*")
        else:
            if pattern[at] == "\\" and pattern[at + 1 : at + 2] in ("*", "\\"):
                at += 1
            parts.append(re.escape(pattern[at]))
        at += 1
    return re.compile("".join(parts), re.DOTALL).fullmatch


def escape(text: str) -> str:
    """A pattern that matches this text and nothing else."""
    return text.replace("\\", "\\\\").replace("*", "\\*")


# Makers of stores by scheme, and whether they are given the address.
_makers: dict[str, tuple[Callable[..., Any], bool]] = {}


def register_backend(scheme: str, make: Callable[..., Any], *, pass_uri: bool = False) -> None:
    """Has ``setup("SCHEME://...")`` use the store that ``make(**options)`` gives: an object with ``get``, ``put``,
    ``delete`` and ``keys``, or any other that :class:`afresh.Store` describes.

    The options are those of the address's query and those of ``setup``; with ``pass_uri`` also ``address``, the address
    without its query.
    """
    if scheme in ("memory", "mem", "sqlite", "python") or not scheme.isidentifier():
        raise ConfigError(f"`{scheme}` cannot be the scheme of a backend of your own")
    _makers[scheme] = (make, pass_uri)


def resolve(url: Any, options: dict[str, Any]) -> Any:
    """The store of a backend that was registered for an address; any other address as it is."""
    scheme = url.partition(":")[0] if isinstance(url, str) else ""
    if scheme not in _makers:
        if options:
            raise ConfigError(
                f"`setup` has no option {', '.join(f'`{name}`' for name in sorted(options))}",
                hint="options of its own has only a backend that was registered with `register_backend`",
            )
        return url
    from urllib.parse import parse_qsl

    make, pass_uri = _makers[scheme]
    address, _, query = url.partition("?")
    return make(**({"address": address} if pass_uri else {}), **{**dict(parse_qsl(query)), **options})


def connect(
    url: str | os.PathLike[str] | Any,
    *,
    name: str,
    codec: Any,
    secret: str | bytes | None,
    entries: int | None,
    size: int | str | None,
    compress: str | None = None,
    client_side: bool = False,
) -> tuple[_afresh.Kv, bool]:
    """The entries at an address, and whether nothing can keep them from answering."""
    from afresh import codecs
    from afresh.cache.coding import Coding

    chosen = Coding(codecs.codec(codec), compress)
    room = _afresh.parse_size(size) if isinstance(size, str) else size
    if isinstance(url, str) and url.startswith(("memory:", "mem:")):
        if client_side:
            raise ConfigError("`memory:` is in the process already", hint="leave `client_side` out")
        options: dict[str, Any] = _options(url)
        entries = entries if entries is not None else options.get("entries")
        if room is None and "size" in options:
            room = _afresh.parse_size(options["size"])
        most = int(entries) if entries is not None else ENTRIES
        return _afresh.Kv(chosen, name=name, entries=most, size=room if room is not None else SIZE), True
    if entries is not None or (size is not None and not client_side):
        raise ConfigError("only `memory:` takes `entries`, and only it and `client_side` a `size`")
    from afresh import stores

    key = secret.encode() if isinstance(secret, str) else secret
    if key == b"":
        raise ConfigError("the secret is empty", hint="give at least one character, better 32")
    front = (room if room is not None else FRONT) if client_side else None
    return _afresh.Kv(chosen, engine=stores.engine(url), name=name, secret=key, front=front), False


def _options(url: str) -> dict[str, Any]:
    address, _, query = url.partition("?")
    if address not in ("memory:", "memory://", "mem:", "mem://"):
        raise ConfigError(f"`memory:` takes no path, not `{address}`")
    found: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name not in ("entries", "size") or (name == "entries" and not value.isdigit()):
            raise ConfigError(
                f"`memory:` has no option `{pair}`", hint="the options are entries=NUMBER and size=SIZE"
            )
        found[name] = value
    return found
