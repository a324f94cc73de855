"""Accepted edits: the statement that an edit of a function does not matter, so that results survive it.

What is recorded is exact: the digest of the function as it is now, and the digest whose answers it takes over. So a further
edit is not covered. Which parts were edited is kept for people, and for ``afresh plan``.
"""

from __future__ import annotations

import os

from afresh import models
from afresh.errors import ConfigError
from afresh.records import changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from afresh.memo import Memo

Edit = tuple[str, "str | None", "str | None"]


def accept(memo: Memo, reason: str | None, of: Any) -> models.Accept:
    """Records that ``memo`` as it is now answers as it did at another commit."""
    name, digest, code, write = own(memo)
    engine = memo._engine()
    before = engine.before_edit(name, digest) if of is None else _commit(memo, name, of)
    if before is None:
        raise ConfigError(
            f"{name}: no execution of other code is on record",
            hint="an edit is accepted as a version that has run; name the function with name= if it was renamed",
        )
    record = engine.function_record(before["hash"])
    edits = [] if record is None else _edits(record, write().decode("utf-8", "surrogatepass"))
    said = engine.accept(name, digest, before["function_hash"], code, edits, reason)
    memo._reset()
    return models.accept(said)


def unaccept(memo: Memo) -> bool:
    """Withdraws the statement about ``memo`` as it is now."""
    name, digest, *_ = own(memo)
    gone = memo._engine().unaccept(name, digest)
    memo._reset()
    return gone is not None


def accepted(memo: Memo) -> list[models.Accept]:
    """The statements by which ``memo`` answers as it did before, the newest edit first."""
    name, digest, *_ = own(memo)
    return [models.accept(raw) for raw in memo._engine().accepted(name, digest)]


def own(memo: Memo) -> tuple[str, bytes, bytes, Callable[[], bytes]]:
    """Name, digest, digest of the code and what writes the record of the function as it is now, whatever was accepted."""
    memo._define()
    if memo._own is None:
        raise ConfigError(f"{memo!r} has no identity")
    return memo._own


def _commit(memo: Memo, name: str, of: Any) -> dict[str, Any]:
    hash = of if isinstance(of, str) else getattr(of, "commit_hash", None) or getattr(of, "hash", None)
    if not isinstance(hash, str):
        raise ConfigError(f"{type(of).__name__} is not a hash", hint="give the first digits of a commit's hash")
    found = memo._engine().show(hash)
    if found is None:
        raise ConfigError(f"no commit begins with {hash!r}", hint=f"client.log({name!r}) lists those of the function")
    if found["function"] != name:
        raise ConfigError(
            f"commit {found['hash'][:12]} is of {found['function']}, not of {name}",
            hint=f"client.log({name!r}) lists those of the function",
        )
    return found


def _edits(before: str, after: str) -> list[Edit]:
    """What differs between two function records."""
    edits: list[Edit] = []
    for label, old, new in changes(before, after):
        part = new or old or {}
        place = os.path.basename(str(part["file"])) if part.get("file") else None
        if place is not None and part.get("line"):
            place = f"{place}:{part['line']}"
        edits.append((label, place, str(new["digest"]) if new else None))
    return edits
