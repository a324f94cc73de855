"""What is worth keeping: conditions on results, and on exceptions that are kept as answers.

A condition gets the result (or the exception), the arguments as a tuple and a dict, and ``key=``. Without one, every
result is kept, None too, and no exception. One that fails costs nothing but the keeping.
"""

from __future__ import annotations

from afresh import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from afresh.cache.strategies.asked import Asked

    Condition: TypeAlias = Callable[..., Any] | str | None

#: Keeps everything but None.
NOT_NONE = "not_none"


class Raised:
    """An exception that is kept as an answer."""

    def __init__(self, error: Exception) -> None:
        # Without its traceback, which belongs to the call that it came from.
        self.error = error.with_traceback(None)


class _Exceptions:
    def __init__(self, kinds: tuple[type[Exception], ...], results: bool) -> None:
        self._kinds, self._results = kinds, results

    def __call__(self, result: Any, args: Any, kwargs: Any, key: str = "") -> bool:
        return isinstance(result, self._kinds) if isinstance(result, Exception) else self._results


def with_exceptions(*kinds: type[Exception]) -> Condition:
    """Keeps results, and exceptions of these kinds (none named: all)."""
    return _Exceptions(kinds or (Exception,), True)


def only_exceptions(*kinds: type[Exception]) -> Condition:
    """Keeps exceptions of these kinds (none named: all), and no results."""
    return _Exceptions(kinds or (Exception,), False)


def fast_condition(getter: Callable[[str], Any], setter: Callable[[str, Any], Any] | None = None) -> Condition:
    """Keeps a result only where ``getter(key)`` gives nothing, and tells ``setter(key, result)`` of it then."""

    def condition(result: Any, args: Any, kwargs: Any, key: str = "") -> bool:
        if isinstance(result, Exception) or getter(key):
            return False
        if setter is not None:
            setter(key, result)
        return True

    return condition


def check(condition: Condition) -> Condition:
    """The condition; a word that is none is refused."""
    from afresh.errors import ConfigError

    if condition is None or condition in ("all", "any") or condition is any:
        return None
    if condition in (NOT_NONE, "skip_none"):
        return NOT_NONE
    if not callable(condition):
        raise ConfigError(
            f"`{condition!r}` is not a condition", hint="give NOT_NONE, or a function of result, args, kwargs and key"
        )
    return condition


def judged(condition: Condition, result: Any, asked: Asked) -> bool:
    """Whether the result of a call is to be kept; not, with a warning, where the condition fails."""
    try:
        return keeps(condition, result, asked.args, asked.kwargs, asked.key)
    except Exception as error:  # noqa: BLE001 - the user's own code
        warn.once(f"a condition failed ({error!r}); the result is returned and not kept")
        return False


def keeps(condition: Condition, result: Any, args: Any, kwargs: Any, key: str) -> bool:
    """Whether a result or an exception is to be kept."""
    if condition is None or isinstance(condition, str):
        return not isinstance(result, Exception) and (condition is None or result is not None)
    return bool(condition(result, args, kwargs, key=key))
