"""Lifetimes: seconds, a ``timedelta``, text such as ``"2h5m"``, None for no end, or a callable that says one of these.

Nothing or less than nothing means "not stored". What cannot be understood is an error where it is written, before
anything is computed.
"""

from __future__ import annotations

from afresh import _afresh
from afresh.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from typing import Any, TypeAlias

    Span: TypeAlias = int | float | str | timedelta | None
    Ttl: TypeAlias = Span | Callable[..., Span]

#: Keeps the lifetime that an entry has.
KEEP = "keep"


def seconds(span: Span) -> float | None:
    """The seconds of a lifetime; None for no end."""
    kind = span.__class__
    if kind is float or kind is int:
        if span == span:
            return span if span != float("inf") else None  # type: ignore[return-value]
    elif span is None:
        return None
    elif isinstance(span, str):
        return _afresh.parse_duration(span)
    else:
        total = getattr(span, "total_seconds", None)
        if total is not None:
            return float(total())
        if isinstance(span, (int, float)) and not isinstance(span, bool):
            return seconds(float(span))
    raise ConfigError(
        f"`{span!r}` is not a lifetime",
        hint="give seconds, a timedelta, text such as '2h5m', or None for no end",
    )


def check(ttl: Ttl) -> None:
    """Refuses what can never be a lifetime."""
    if not callable(ttl):
        seconds(ttl)


def of_call(ttl: Ttl, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> float | None:
    """The lifetime of a result; a callable gets the arguments, and ``result`` if it has such a parameter and the
    function has none."""
    if not callable(ttl):
        return seconds(ttl)
    if "result" not in kwargs and _wants_result(ttl):
        return seconds(ttl(*args, result=result, **kwargs))
    return seconds(ttl(*args, **kwargs))


def _wants_result(call: Callable[..., Any]) -> bool:
    import inspect

    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.name == "result" or p.kind is p.VAR_KEYWORD for p in parameters)
