"""Readings: a file, a folder or a variable under a name such as ``file:data.csv``, and its state as a digest.

What an execution read is kept in its commit in this form, beside the arguments. To know whether it is still so is to
take the readings again. A state says nothing of a variable's value.
"""

from __future__ import annotations

import os

from afresh import _afresh
from afresh.miss import unseen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    #: A state as a digest, and as a text for a person.
    Reading = tuple[bytes, str]

#: All of the environment.
ALL = "env:*"


def take(name: str) -> Reading | None:
    """None where nothing can be said that would hold for the next reader."""
    kind, _, what = name.partition(":")
    if kind == "env":
        return _variable(what)
    if kind == "dir":
        return _listing(what)
    state, digest = _afresh.digest_file(what)
    if state == "special":
        # A pipe, a device: what comes out of it next nobody knows.
        return None
    shown = f"{state} {digest.hex()[:12]}" if state == "content" else state
    return _afresh.combine("file", [state.encode(), digest]), shown


def _variable(name: str) -> Reading:
    if name == "*":
        parts = [part for pair in sorted(_environment().items()) for part in pair]
        return _afresh.combine("environment", parts), f"{len(parts) // 2} variables"
    value = _environment().get(os.fsencode(name))
    return _afresh.combine("env", [] if value is None else [value]), "absent" if value is None else "set"


def _environment() -> dict[bytes, bytes]:
    """The environment, read in a way that does not count as reading."""
    found: dict[bytes, bytes] | None = getattr(os.environ, "_data", None)
    if found is None:
        # Replaced by an object of somebody's, which nothing watches.
        found = {os.fsencode(key): os.fsencode(value) for key, value in os.environ.items()}
    return found


def _listing(path: str) -> Reading:
    try:
        with unseen():
            names = sorted(os.fsencode(name) for name in os.listdir(path))
    except OSError as error:
        return _afresh.combine("no-listing", [type(error).__name__.encode()]), "absent"
    return _afresh.combine("listing", names), f"{len(names)} names"


def holds(name: str, digest: bytes, known: dict[str, bytes | None]) -> bool:
    if name not in known:
        reading = take(name)
        known[name] = None if reading is None else reading[0]
    return known[name] == digest


def of(record: dict[str, Any]) -> dict[str, Reading]:
    """What a commit's execution was seen to read."""
    return {
        name: (bytes.fromhex(digest), preview)
        for name, preview, digest, _ in record["arguments"]
        if ":" in name
    }


def changed(record: dict[str, Any], known: dict[str, bytes | None] | None = None) -> list[str]:
    """What is no longer as it was read."""
    known = {} if known is None else known
    return [name for name, (digest, _) in of(record).items() if not holds(name, digest, known)]
