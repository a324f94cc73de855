"""The smallest costs, beside ``functools.lru_cache(typed=True)``: a hit, a miss, the import.

    python benches/python/floor.py [STORE]

Each figure is the best of several rounds: what the code costs, not what else the machine does. Figures of an
unoptimised build mean nothing.
"""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import afresh

ROUNDS = 9
#: What must hold, in the unit of the row.
LIMITS = {"hit": 10.0, "miss": 60.0, "import": 20.0}


def best(call: Callable[[], object], count: int) -> float:
    """Microseconds a call, in the best of some rounds."""
    found = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(count):
            call()
        found = min(found, time.perf_counter() - started)
    return found / count * 1e6


def starting(code: str, rounds: int = 25) -> float:
    """Milliseconds that an interpreter takes for ``code``, in the best of some rounds, with its modules compiled."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    found = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], env=env, check=True)
        found = min(found, time.perf_counter() - started)
    return found * 1e3


def add(x: int, y: int = 1) -> int:
    return x + y


def measure(store: str) -> list[tuple[str, str, float, float]]:
    """Rows of what, unit, ours, theirs."""
    ours = afresh.memo(add, store=store)
    theirs = functools.lru_cache(typed=True)(add)
    ours(1), theirs(1)
    hit = best(lambda: ours(1), 5_000), best(lambda: theirs(1), 100_000)
    fresh = itertools.count(1_000_000).__next__
    miss = best(lambda: ours(fresh()), 1_000), best(lambda: theirs(fresh()), 10_000)
    bare = starting("pass")
    imports = starting("import afresh") - bare, starting("import functools") - bare
    return [("hit", "us", *hit), ("miss", "us", *miss), ("import", "ms", *imports)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(sys.argv[1] if len(sys.argv) > 1 else folder)
        afresh.Client(folder).close()
    print(f"{'':8} {'afresh':>12} {'lru_cache':>12} {'must be':>12}")
    for what, unit, ours, theirs in rows:
        limit = LIMITS[what]
        verdict = "" if ours <= limit else "  MISSED"
        print(f"{what:8} {ours:9.2f} {unit} {theirs:9.2f} {unit} {'<=':>6} {limit:2.0f} {unit}{verdict}")
    for what, unit, ours, _ in rows:
        print(f"MUST-HOLD {what}: {ours:.2f} {unit}")


if __name__ == "__main__":
    main()
