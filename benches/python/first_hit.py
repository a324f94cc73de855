"""A program that starts, asks for one call that is in the store, and ends: import, opening, first hit.

Each start is a new interpreter. What an import costs is what it takes above an interpreter that does nothing, started
right before. The first hit is timed inside the program: from the decorator to the answer, all modules that are loaded
late included. Others load nearly everything with the import and have little left to do then, so both together are a
line too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filled import fill
from measure import Line, Pairs, Target, line
from systems import OURS

ASKED = "import ≤ 15 ms above bare Python, open + first hit ≤ 1 ms"
SECONDS = 300
ROUNDS = 9
#: What a user writes: the import, and the function remembered in ``folder``.
PROGRAMS = {
    OURS: ("import afresh", "afresh.memo(add, store=folder)"),
    "diskcache": ("import diskcache", "diskcache.Cache(folder).memoize()(add)"),
    "joblib": ("import joblib", "joblib.Memory(folder, verbose=0).cache(add)"),
    "cachetta": ("from cachetta import Cachetta", "Cachetta(path=folder, hashed=True)(add)"),
    "cachier": ("from cachier import cachier", "cachier(cache_dir=folder)(add)"),
    "cashet": ("import cashet", "(lambda x: cashet.Client(store_dir=folder).submit(add, x).load())"),
}
TIMED = """
import time
from workload import add
{load}
folder = {folder!r}
started = time.perf_counter()
f = {remember}
assert f(7) == 8
print(time.perf_counter() - started)
"""
#: What every program needs, whatever remembers.
IDLE = "import time\nfrom workload import add"


def measure(folder: Path) -> Iterator[Line]:
    for name in PROGRAMS:
        fill(name, folder / name, 0, 100)
    programs = {
        name: TIMED.format(load=load, remember=remember, folder=str(folder / name))
        for name, (load, remember) in PROGRAMS.items()
    }
    for name, (load, _) in PROGRAMS.items():
        start(load), start(programs[name])
    imports: dict[str, Pairs] = {name: [] for name in PROGRAMS if name != OURS}
    whole: dict[str, Pairs] = {name: [] for name in imports}
    hits: dict[str, Pairs] = {name: [] for name in imports}
    for _ in range(ROUNDS):
        for name in imports:
            bare, idle = start("pass")[0], start(IDLE)[0]
            own, theirs = start(PROGRAMS[OURS][0])[0], start(PROGRAMS[name][0])[0]
            imports[name].append((max(own - bare, 0.0), max(theirs - bare, 1e-6)))
            own_run, their_run = start(programs[OURS]), start(programs[name])
            whole[name].append((max(own_run[0] - idle, 0.0), max(their_run[0] - idle, 1e-6)))
            hits[name].append((float(own_run[1]), float(their_run[1])))
    yield line("import, above bare Python", "s", imports, [Target("≤ 15 ms", 15e-3)])
    yield line("open + first hit in a new process", "s", hits, [Target("≤ 1 ms", 1e-3)])
    yield line("import + open + first hit, above bare Python", "s", whole, [Target("≤ 16 ms", 16e-3)])


def start(code: str) -> tuple[float, str]:
    """How long an interpreter takes for it, and what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, done.stdout
