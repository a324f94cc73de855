"""``track=("files", "env")``: whether what an execution read is still so.

A later call is answered by the newest execution all of whose readings are so now, looking from the answer that stands
back along its parents: a chain that ends where answers were taken back. What is read is noted by `recorder`, in the form
that `readings` describes. Nothing is noted here, and nothing runs.
"""

from __future__ import annotations

from afresh import _afresh, miss, readings
from afresh.errors import ConfigError, CorruptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afresh.memo import Memo

KINDS = ("files", "env")

#: How far back an answer is looked for.
MOST = 32


def check(track: Any) -> tuple[str, ...]:
    """The kinds asked for."""
    kinds = (track,) if isinstance(track, str) else track
    if not isinstance(kinds, (tuple, list)) or not all(kind in KINDS for kind in kinds):
        raise ConfigError(f"track is {track!r}", hint="give track=('files', 'env'), or one of the two")
    return tuple(kind for kind in KINDS if kind in kinds)


def find(memo: Memo, call: _afresh.Call) -> tuple[dict[str, Any] | None, str | None]:
    """The commit whose readings are so now, if any, and the hash of the one that stands."""
    standing = call.standing()
    engine, at = memo._engine(), standing
    known: dict[str, bytes | None] = {}
    tags = None
    for _ in range(MOST):
        if at is None:
            break
        try:
            record = engine.show(at)
        except CorruptError:
            break
        if record is None:
            break
        tags = record["tags"] if tags is None else tags
        # An answer with other tags may have been taken back by them.
        if record["tags"] != tags:
            break
        if "output" in record and not readings.changed(record, known):
            return record, standing
        at = record["parent"]
    return None, standing


def answer(memo: Memo, call: _afresh.Call) -> tuple[_afresh.Hit | None, str | None]:
    """The answer that holds, or the hash of one that stands and does not."""
    record, standing = find(memo, call)
    if record is None:
        return None, standing
    hit = call.lookup() if record["hash"] == standing else call.earlier(record["hash"])
    if hit is None or hit.commit != record["hash"]:
        return None, standing
    outer = miss.recorder.get()
    if outer is not None:
        outer.adopt(readings.of(record))
    return hit, standing
