"""What an answer has to be like, checked: the options of freshness, and the conditions that are functions.

How an answer is judged is in the engine; what is here turns options into the plain data that it judges by, and asks the
user's functions once a call has run: how long its result lasts, whether it is kept, what a failure is worth.
"""

from __future__ import annotations

from math import inf

from afresh.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from afresh.options import TTL, Options

    Failover = type[BaseException] | tuple[type[BaseException], ...] | Callable[[Exception], bool] | bool

#: Options that say together how long an answer is good: a ttl for one call replaces all of them.
TOGETHER = ("ttl", "sliding", "stale", "early", "soft")

#: What of a replayed failure is written into the record of the answer, at most, in bytes.
MOST_REPLAY = 16 << 10


def lifetime(value: Any) -> Any:
    """``ttl``: seconds, or the function that gives them."""
    from afresh.options import seconds

    return value if callable(value) else seconds(value, "ttl")


def span(value: TTL | bool | None, what: str, always: bool = False) -> float | None:
    """Seconds; False is none at all, and True, where that makes sense, is for ever."""
    from afresh.options import seconds

    if value is False:
        return 0.0
    if value is True and always:
        return inf
    return seconds(value, what)


def early(value: TTL | bool | None) -> float | str | None:
    """A span before the end, or ``"xfetch"``."""
    return "xfetch" if value == "xfetch" else span(value, "early")


def failover(value: Failover | None) -> Any:
    """Classes of exceptions, or a function of one; True is every ``Exception``."""
    if value is None:
        return None
    if isinstance(value, bool):
        return (Exception,) if value else ()
    kinds = value if isinstance(value, tuple) else (value,)
    if all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        return kinds
    if callable(value) and not isinstance(value, (type, tuple)):
        return value
    raise ConfigError(
        f"failover is {value!r}", hint="give classes of exceptions, such as failover=(OSError,), or a function of one"
    )


def negative(value: Mapping[type[Exception], TTL] | None) -> tuple[tuple[type[Exception], float], ...] | None:
    """Which exceptions are replayed, and for how many seconds."""
    from afresh.options import seconds

    if value is None:
        return None
    items = getattr(value, "items", None)
    pairs: list[tuple[type[Exception], float]] = []
    for kind, ttl in items() if callable(items) else [(None, None)]:
        if not (isinstance(kind, type) and issubclass(kind, Exception)) or ttl is None:
            hint = "give exceptions and how long they last, such as negative={KeyError: '1m'}"
            raise ConfigError(f"negative is {value!r}", hint=hint)
        pairs.append((kind, seconds(ttl, f"negative[{kind.__name__}]") or 0.0))
    return tuple(pairs)


def check(options: Options, name: str) -> None:
    """Options that make no sense together."""
    ttl = options.ttl

    def refuse(text: str, hint: str) -> None:
        raise ConfigError(f"{name}: {text}", hint=hint)

    for what in ("stale", "early", "soft", "sliding"):
        if getattr(options, what) and ttl is None:
            refuse(f"{what} without ttl", "say with ttl= how long an answer is fresh")
    if isinstance(ttl, float):
        if isinstance(options.early, float) and options.early and options.early >= ttl:
            refuse(f"early is {options.early:g} s, ttl is {ttl:g} s", "early= is a span before the end of ttl=")
        if options.soft and options.soft >= ttl:
            refuse(f"soft is {options.soft:g} s, ttl is {ttl:g} s", "soft= is shorter than ttl=")
    if options.sliding and (callable(ttl) or options.stale or options.early or options.soft):
        refuse("sliding does not go with that", "with sliding=True give a fixed ttl, and neither stale, early nor soft")
    if options.soft and options.stale:
        refuse("soft and stale contradict", "past soft= callers wait for the function, past ttl= with stale= they do not")


def terms(options: Options, tracked: bool) -> dict[str, Any]:
    """The policy, as plain data for the engine. An answer of a ``tracked`` function holds or does not: none of them is
    used while another one is made.
    """
    chance = options.early == "xfetch" and not tracked
    span = options.early if isinstance(options.early, float) else None
    return {
        "ttl": None if callable(options.ttl) else options.ttl,
        "sliding": bool(options.sliding) and not tracked,
        "max_age": options.max_age,
        "stale": None if tracked else options.stale or None,
        "early": None if tracked else span or None,
        "chance": chance,
        "refresh_after": None if tracked else options.refresh_after or None,
        "soft": options.soft or None,
    }


def demanding(options: Options) -> tuple[str, ...]:
    """Which options need more than an answer that is fresh or is not."""
    names = ("sliding", "stale", "early", "soft", "refresh_after", "failover", "negative")
    return tuple(name for name in names if getattr(options, name))


def ask(function: Callable[..., Any], value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the user's function says of a result: of the result alone, or with the arguments where it takes them."""
    code = getattr(function, "__code__", None)
    if code is None:
        return function(value)
    needed = code.co_argcount - len(getattr(function, "__defaults__", None) or ())
    needed -= hasattr(function, "__self__")
    wide = needed > 1 or code.co_flags & 0x0C or code.co_kwonlyargcount > len(function.__kwdefaults__ or ())
    return function(value, *args, **kwargs) if wide else function(value)


def lasting(options: Options, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | None:
    """How long this result lasts; None is as the policy says."""
    from afresh.options import seconds

    return seconds(ask(options.ttl, value, args, kwargs), "ttl") if callable(options.ttl) else None


def helps(options: Options, error: Exception) -> bool:
    """Whether an earlier answer may stand in for this failure."""
    wanted = options.failover
    if wanted is None:
        return bool(options.soft)
    return isinstance(error, wanted) if isinstance(wanted, tuple) else bool(wanted(error))


def replay(options: Options, error: Exception, codec: Any) -> tuple[str, bytes, float] | None:
    """What later callers get of this failure: codec, bytes, seconds. None where it is not to be replayed."""
    ttl = next((ttl for kind, ttl in options.negative or () if isinstance(error, kind)), None)
    if not ttl:
        return None
    kind = type(error)
    state = {key: value for key, value in error.__dict__.items() if not key.startswith("__")}
    for content in ([list(error.args), state], [[str(error)], {}]):
        try:
            data, buffers = codec.encode([kind.__module__, kind.__qualname__, *content])
        except Exception:
            continue
        if not buffers and len(data) <= MOST_REPLAY:
            return codec.name, bytes(data), ttl
    return None


def replayed(options: Options, content: Any) -> Exception:
    """The failure again. Only a class that ``negative`` names, or one derived from it, is ever made."""
    module, name, args, state = content
    kind = _find(module, name, tuple(kind for kind, _ in options.negative or ()))
    error = kind.__new__(kind, *args)
    error.args = tuple(args)
    error.__dict__.update(state)
    return error


def _find(module: str, name: str, kinds: tuple[type[Exception], ...]) -> type[Exception]:
    import sys

    waiting = list(kinds)
    for kind in waiting:
        if (kind.__module__, kind.__qualname__) == (module, name):
            return kind
        waiting += kind.__subclasses__()
    found: Any = sys.modules.get(module)
    raise LookupError(f"no exception {module}.{name} is known here" + ("" if found else f" ({module} is not loaded)"))
