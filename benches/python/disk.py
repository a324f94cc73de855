"""Bytes on disk for one more tiny answer, beyond the answer itself: what a folder grows by, in allocated blocks."""

from __future__ import annotations

import pickle
import statistics
from collections.abc import Iterator
from pathlib import Path

from filled import fill
from measure import Line, Target, single
from systems import DURABLE, OURS
from workload import add

ASKED = "≤ 200 B beyond the payload"
SECONDS = 300
#: The first answers pay for the files that every store begins with.
BEFORE, ANSWERS = 500, 2_000


def measure(folder: Path) -> Iterator[Line]:
    payload = statistics.mean(len(pickle.dumps(add(key))) for key in range(BEFORE, BEFORE + ANSWERS))
    found = {}
    for name in (OURS, *DURABLE):
        fill(name, folder / name, 0, BEFORE)
        before = allocated(folder / name)
        fill(name, folder / name, BEFORE, BEFORE + ANSWERS)
        found[name] = (allocated(folder / name) - before) / ANSWERS - payload
    yield single("on disk for a tiny answer, beyond its bytes", "B", found, [Target("≤ 200 B", 200)])


def allocated(folder: Path) -> int:
    """Bytes of all blocks below the folder, directories included."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
