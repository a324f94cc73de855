"""References: to a stored result, and to a task of a graph that has yet to run."""

from __future__ import annotations

from afresh import _afresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ResultRef", "TaskRef"]


class ResultRef:
    """A stored result. Passing it as an argument of ``submit`` chains: the value goes in, and the commit is recorded
    as an input.

    ``hash`` names the bytes of the result and ``commit_hash`` the execution; both are empty when nothing
    could be stored. ``size`` is in bytes, and ``codec`` says how they became bytes.
    """

    __slots__ = ("_again", "_load", "_value_digest", "codec", "commit_hash", "hash", "size")

    def __init__(
        self,
        load: Callable[[], Any],
        *,
        commit_hash: str,
        hash: str,
        size: int,
        codec: str = "",
        value_digest: bytes | None = None,
        again: Callable[[Exception], Any] | None = None,
    ) -> None:
        self._load = load
        self._again = again
        self._value_digest = value_digest
        self.codec = codec
        self.commit_hash = commit_hash
        self.hash = hash
        self.size = size

    @property
    def short_hash(self) -> str:
        """The first twelve digits of the commit's hash."""
        return self.commit_hash[:12]

    def load(self) -> Any:
        """The value, a new one each time. Computed again should the stored one be gone, damaged or out of reach."""
        try:
            return self._load()
        except Exception as error:
            if self._again is None:
                raise
            return self._again(error)

    def __repr__(self) -> str:
        return f"<ResultRef {self.short_hash or 'not stored'}, {self.size} bytes>"


_afresh.set_reference_class(ResultRef)


class TaskRef:
    """The output of another task of the same ``submit_many``, by index or key."""

    __slots__ = ("key",)

    def __init__(self, key: int | str) -> None:
        self.key = key

    def __repr__(self) -> str:
        return f"TaskRef({self.key!r})"


def replace(value: Any, kind: type, put: Callable[[Any], Any]) -> Any:
    """``value`` with every instance of ``kind`` in its lists, tuples and dicts replaced; itself if there is none."""
    return _replace(value, kind, put) if collect(value, kind) else value


def _replace(value: Any, kind: type, put: Callable[[Any], Any]) -> Any:
    if type(value) is kind:
        return put(value)
    if type(value) in (list, tuple):
        items = [_replace(item, kind, put) for item in value]
        if all(new is old for new, old in zip(items, value)):
            return value
        return items if type(value) is list else tuple(items)
    if type(value) is dict:
        pairs = {key: _replace(item, kind, put) for key, item in value.items()}
        return value if all(pairs[key] is item for key, item in value.items()) else pairs
    return value


def collect(value: Any, kind: type) -> list[Any]:
    """Every instance of ``kind`` in the lists, tuples and dicts of ``value``, which may be large, deep and cyclic."""
    found: list[Any] = []
    seen: set[int] = set()
    wanted = {kind, list, tuple, dict}
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if type(value) is kind:
            found.append(value)
        elif type(value) in wanted and id(value) not in seen:
            seen.add(id(value))
            items = value.values() if type(value) is dict else value
            # Most containers hold nothing of interest, which is told without a step of Python for each item.
            if not wanted.isdisjoint(map(type, items)):
                waiting.extend(item for item in items if type(item) in wanted)
    return found
