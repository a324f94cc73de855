"""How much memory a value takes, and keeping only what takes neither too little nor too much."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afresh.cache.conditions import Condition


def memory_limit(min_bytes: int = 0, max_bytes: int | None = None) -> Condition:
    """A condition of decorators: keeps results that take so many bytes of memory."""

    def keeps(result: Any, args: Any, kwargs: Any, key: str = "") -> bool:
        taken = size(result, max_bytes)
        return min_bytes <= taken and (max_bytes is None or taken <= max_bytes) and not isinstance(result, Exception)

    return keeps


def size(value: Any, enough: int | None = None) -> int:
    """The bytes of a value with everything in it, each thing once; looks no further once it is more than ``enough``."""
    import sys

    taken, seen, left = 0, set(), [value]
    while left and (enough is None or taken <= enough):
        one = left.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        own = sys.getsizeof(one, 0)
        # What an array that is a view of another says it takes is only itself.
        taken += max(own, getattr(one, "nbytes", 0) if type(getattr(one, "nbytes", None)) is int else 0)
        if isinstance(one, dict):
            left.extend(one)
            left.extend(one.values())
        elif isinstance(one, (list, tuple, set, frozenset)):
            left.extend(one)
        else:
            left.extend(getattr(one, "__dict__", {}).values())
            for kind in type(one).__mro__:
                slots = kind.__dict__.get("__slots__", ())
                for name in (slots,) if isinstance(slots, str) else slots:
                    if hasattr(one, name):
                        left.append(getattr(one, name))
    return taken
