"""A hit whose answer is an array of 1 GB that the operating system still has in memory.

Each read looks at the last element, so that an array that is mapped is there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import Line, Target, alternate, line, note
from systems import OURS, SYSTEMS
from workload import zeros

ASKED = "≤ 1 ms mapped"
SECONDS = 400
SIZE = 1_000_000_000
ROUNDS = 5
STORES = ("afresh", "joblib", "diskcache")


def measure(folder: Path) -> Iterator[Line]:
    for name in STORES:
        note(f"storing 1 GB with {name} ...")
        subprocess.run([sys.executable, __file__, name, str(folder / name)], check=True)
    copied = {name: _loop(SYSTEMS[name](str(folder / name))(zeros)) for name in STORES}
    mapped = {
        OURS: _loop(SYSTEMS["afresh mapped"](str(folder / OURS))(zeros)),
        "joblib mmap": _loop(SYSTEMS["joblib mmap"](str(folder / "joblib"))(zeros)),
    }
    for loop in (*copied.values(), *mapped.values()):
        loop(1)
    pairs = alternate({**mapped, "diskcache": copied["diskcache"]}, calls=1, rounds=ROUNDS)
    yield line("1 GB array as answer, mapped", "s", pairs, [Target("≤ 1 ms", 1e-3)])
    yield line("1 GB array as answer, copied", "s", alternate(copied, calls=1, rounds=ROUNDS))


def _loop(function: Callable[[int], Any]) -> Callable[[int], None]:
    def loop(calls: int) -> None:
        for _ in range(calls):
            assert function(SIZE)[-1] == SIZE // 8 - 1

    return loop


if __name__ == "__main__":
    SYSTEMS[sys.argv[1]](sys.argv[2])(zeros)(SIZE)
