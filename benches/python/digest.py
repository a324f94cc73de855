"""A hit with an array of 100 MB as its argument: nearly all of it is telling the array from every other.

One process may use one core, another two. cachetta and cashet do not read arrays whole, so they do other work and are
left out; ``sha256(pickle)`` is the dictionary that people write by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import Line, Target, alternate, line, note
from systems import OURS, SYSTEMS
from workload import total

ASKED = "≤ 20 ms on one core, ≤ 12 ms on two"
SECONDS = 300
SIZE = 100_000_000
ROUNDS = 5
RIVALS = ("joblib", "diskcache", "cachier")
LIMITS = {1: 20e-3, 2: 12e-3}


def measure(folder: Path) -> Iterator[Line]:
    for cores, limit in LIMITS.items():
        if cores > len(os.sched_getaffinity(0)):
            note(f"this machine has no {cores} cores: left out")
            continue
        text = f"{cores} core{'s' * (cores > 1)}"
        note(f"arrays of 100 MB on {text} ...")
        command = [sys.executable, __file__, str(folder / str(cores)), str(cores)]
        pairs = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        yield line(f"hit with a 100 MB array, {text}", "s", pairs, [Target(f"≤ {limit * 1e3:.0f} ms", limit)])


def by_hand(function: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[str, Any] = {}

    def call(*arguments: Any) -> Any:
        key = hashlib.sha256(pickle.dumps(arguments, protocol=5)).hexdigest()
        if key not in known:
            known[key] = function(*arguments)
        return known[key]

    return call


def main() -> None:
    folder, cores = sys.argv[1:]
    # Before anything starts threads.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
    import numpy

    array = numpy.random.default_rng(1).random(SIZE // 8)
    functions = {name: SYSTEMS[name](os.path.join(folder, name))(total) for name in (OURS, *RIVALS)}
    functions["sha256(pickle)"] = by_hand(total)
    loops = {name: _loop(function, array) for name, function in functions.items()}
    for loop in loops.values():
        loop(2)
    print(json.dumps(alternate(loops, calls=1, rounds=ROUNDS)))


def _loop(function: Callable[..., Any], array: Any) -> Callable[[int], None]:
    def loop(calls: int) -> None:
        for _ in range(calls):
            function(array)

    return loop


if __name__ == "__main__":
    main()
