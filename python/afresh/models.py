"""Commits as Python sees them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, NamedTuple

__all__ = ["Accept", "Argument", "Change", "Commit", "Output", "Planned", "Stats", "Usage"]


class Argument(NamedTuple):
    """One bound argument: its name, a short text of its value, its digest, the commit it came from."""

    name: str
    preview: str
    digest: str
    source: str | None


class Output(NamedTuple):
    """A stored result: its hash, its length in bytes, its codec."""

    hash: str
    size: int
    codec: str


class Commit(NamedTuple):
    """The immutable record of one execution."""

    hash: str
    fingerprint: str
    function: str
    function_hash: str
    arguments: tuple[Argument, ...]
    parent: str | None
    inputs: tuple[str, ...]
    status: str
    created_at: datetime
    took: float
    ttl: float | None
    tags: dict[str, str | None]
    user: str
    host: str
    pid: int
    output: Output | None
    unkept: str | None
    error: str | None
    traceback: str | None
    value_digest: bytes | None

    @property
    def short_hash(self) -> str:
        """The first twelve digits of the hash."""
        return self.hash[:12]

    def summary(self) -> dict[str, Any]:
        """The essentials, ready for JSON."""
        return {
            "hash": self.hash,
            "short_hash": self.short_hash,
            "function": self.function,
            "status": self.status,
            "created": self.created_at.isoformat(),
            "took": self.took,
            "output": self.output.hash if self.output else None,
            "parent": self.parent,
            "tags": self.tags,
        }

    def __repr__(self) -> str:
        return f"<Commit {self.short_hash} {self.function} {self.status}>"


class Accept(NamedTuple):
    """An accepted edit: the function under the digest ``new`` answers as it did under ``old``.

    ``edits`` are label, place and new digest of what was edited; the digest of what is gone is None.
    """

    function: str
    new: str
    old: str
    edits: tuple[tuple[str, str | None, str | None], ...]
    at: datetime
    user: str
    host: str
    reason: str | None

    def __str__(self) -> str:
        text = f"the edit of {_edited(self.edits)} on {self.at.astimezone():%Y-%m-%d}"
        who = "@".join(part for part in (self.user, self.host) if part)
        return text + (f" by {who}" if who else "") + (f": {self.reason}" if self.reason else "")


def _edited(edits: tuple[tuple[str, str | None, str | None], ...]) -> str:
    """``helper `etl.clean` (etl.py:41), and 2 more``."""
    if not edits:
        return "the function"
    label, place, _ = edits[0]
    role, _, name = label.partition(" ")
    text = f"{role} `{name}`" if name else f"`{role}`"
    more = f", and {len(edits) - 1} more" if len(edits) > 1 else ""
    return text + (f" ({place})" if place else "") + more


class Change(NamedTuple):
    """Something of a function that is another today; ``kind`` is ``"changed"``, ``"new"`` or ``"gone"``.

    ``before`` and ``after`` are its source or its value.
    """

    label: str
    place: str | None
    kind: str
    digest: str | None
    before: str | None
    after: str | None
    note: str | None


class Planned(NamedTuple):
    """What becomes of the answers of one function: see ``Client.plan``.

    ``verdict`` is ``"unchanged"``, ``"accepted"``, ``"recompute"``, ``"gone"`` or ``"cannot-tell"``; ``answers`` is how
    many there are, ``took`` how many seconds they took to compute, ``found_again`` how many of an earlier version come
    back. ``untold`` says what cannot be told before running.
    """

    function: str
    place: str | None
    verdict: str
    answers: int
    took: float
    found_again: int
    changes: tuple[Change, ...]
    untold: tuple[str, ...]
    commit: str

    def __str__(self) -> str:
        parts = [
            f"{part.label} {part.note or part.kind}" + (f" ({part.place})" if part.place else "")
            for part in self.changes
        ]
        why = "; ".join([*parts, *self.untold])
        count = f"{self.answers} answer{'' if self.answers == 1 else 's'}, {self.took:.3g} s"
        return f"{self.function}: {self.verdict} ({count})" + (f": {why}" if why else "")


class Stats(NamedTuple):
    """What a store holds and what it was good for; bytes are bytes, ``saved`` is seconds."""

    commits: int
    completed: int
    failed: int
    answers: int
    hits: int
    saved: float
    inline_objects: int
    inline_bytes: int
    file_objects: int
    file_bytes: int
    disk_bytes: int


class Usage(NamedTuple):
    """What a remembered function did in this process: ``saved`` is seconds.

    ``hits`` were answered from the store, ``stale`` of them past their ttl; ``misses`` ran in the foreground and
    ``refreshes`` in the background; ``replays`` raised an earlier failure again, ``rescues`` were answered by an earlier
    result after a failure, and ``errors`` is how often the function raised, wherever it ran.
    """

    hits: int
    stale: int
    misses: int
    refreshes: int
    replays: int
    rescues: int
    errors: int
    saved: float


def usage(raw: dict[str, int]) -> Usage:
    """A typed record of what was counted."""
    return Usage(**{name: raw[name] for name in Usage._fields if name != "saved"}, saved=raw["saved_us"] / 1e6)


def commit(raw: dict[str, Any]) -> Commit:
    """A typed record of what the engine gave."""
    error = raw.get("error")
    output = raw.get("output")
    digest = raw.get("value_digest")
    return Commit(
        hash=raw["hash"],
        fingerprint=raw["fingerprint"],
        function=raw["function"],
        function_hash=raw["function_hash"],
        arguments=tuple(Argument(*argument) for argument in raw["arguments"]),
        parent=raw["parent"],
        inputs=tuple(raw["inputs"]),
        status=raw["status"],
        created_at=datetime.fromtimestamp(
            raw["started"] / 1000 + raw["took_us"] / 1e6, tz=timezone.utc
        ),
        took=raw["took_us"] / 1e6,
        ttl=None if raw["ttl_ms"] is None else raw["ttl_ms"] / 1000,
        tags=dict(raw["tags"]),
        user=raw["user"],
        host=raw["host"],
        pid=raw["pid"],
        output=Output(*output) if output else None,
        unkept=raw.get("unkept"),
        error=f"{error[0]}: {error[1]}" if error else None,
        traceback=error[2] if error else None,
        value_digest=bytes(digest) if digest else None,
    )


def accept(raw: dict[str, Any]) -> Accept:
    """A typed record of an accepted edit."""
    at = datetime.fromtimestamp(raw["at"] / 1000, tz=timezone.utc)
    return Accept(**{**raw, "at": at, "edits": tuple(raw["edits"])})


def planned(raw: dict[str, Any]) -> Planned:
    """A typed record of what the engine compared."""
    return Planned(
        function=raw["function"],
        place=raw["place"],
        verdict=raw["verdict"],
        answers=raw["answers"],
        took=raw["took_us"] / 1e6,
        found_again=raw["found_again"],
        changes=tuple(Change(**change) for change in raw["changes"]),
        untold=tuple(raw["untold"]),
        commit=raw["commit"],
    )


def stats(raw: dict[str, int]) -> Stats:
    """A typed record of what the engine counted."""
    figures: dict[str, Any] = dict(raw)
    figures["saved"] = figures.pop("saved_us") / 1e6
    return Stats(**figures)
