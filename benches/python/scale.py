"""The same questions to stores that grow: a hit, the newest executions, the sums, and making room.

``BENCH_SCALE`` says how many answers: ``1k,10k,100k``, or ``1k..10M`` for every power of ten between. A store is filled
on from size to size; each size is read by a process of its own, at calls drawn at random, each once. Systems that take
milliseconds or files per answer stop at the size in ``MOST``; cachier writes all of its answers anew for each, and is
left out.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filled import fill
from measure import Line, Target, alternate, line, note, single
from store_hit import first_reads
from systems import OURS

ASKED = "hit latency flat; newest 50 ≤ 1 ms; stats ≤ 10 ms; evict 100k ≤ 2 s without stalling readers"
MOST = {"diskcache": 10**8, "cashews disk": 10**5, "cachetta": 10**5, "joblib": 10**5, "cashet": 10**3}
ROUNDS, CALLS, WARM = 15, 20, 20
#: A read that takes longer while room is made was stalled.
STALL = 50e-3
DEFAULT = "1k,10k,100k"


def sizes(text: str) -> list[int]:
    """``1k,10k`` or ``1k..10M`` as numbers."""
    first, dots, last = text.partition("..")
    if not dots:
        return sorted(_number(part) for part in text.split(","))
    found = [_number(first)]
    while found[-1] < _number(last):
        found.append(min(found[-1] * 10, _number(last)))
    return found


def _number(text: str) -> int:
    factor = {"k": 10**3, "M": 10**6}.get(text.strip()[-1], 1)
    return int(text.strip().rstrip("kM")) * factor


SIZES = sizes(os.environ.get("BENCH_SCALE", DEFAULT))
SECONDS = 240 + sum(min(SIZES[-1], most) for most in MOST.values()) // 500


def measure(folder: Path) -> Iterator[Line]:
    first: float | None = None
    largest, before, half = SIZES[-1], 0, 0.0
    go = min(100_000, largest // 2)
    for size in SIZES:
        names = [OURS, *(name for name, most in MOST.items() if size <= most)]
        for name in names:
            if name == OURS and before <= go < size:
                fill(name, folder / name, before, go)
                half = time.time()
                fill(name, folder / name, go, size)
            else:
                fill(name, folder / name, before, size)
        command = [sys.executable, __file__, str(folder), str(size), *names]
        pairs = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        targets = []
        if first is not None and size == largest:
            targets = [Target(f"flat: ≤ 1.5 × the hit among {SIZES[0]:,}", 1.5 * first)]
        made = line(f"hit from a store with {size:,} answers", "s", pairs, targets)
        made.answers = size
        first = first or made.figures[OURS].median
        before = size
        yield made
    yield from looking(folder, largest)
    yield from making_room(folder, largest, go, half)


def looking(folder: Path, size: int) -> Iterator[Line]:
    """The newest and the sums. cashet is the one that has both; its store holds what it has time for."""
    import afresh
    import cashet

    held = max((size for size in SIZES if size <= MOST["cashet"]), default=0)
    if not held:
        held = MOST["cashet"]
        fill("cashet", folder / "cashet", 0, held)
    ours, theirs = afresh.Client(folder / OURS), cashet.Client(store_dir=folder / "cashet")
    notes = [f"cashet holds {held:,} answers"]
    newest = {OURS: _repeated(lambda: ours.log(limit=50)), "cashet": _repeated(lambda: theirs.log(limit=50))}
    pairs = alternate(newest)
    yield line(f"newest 50 of {size:,}", "s", pairs, [Target("≤ 1 ms", 1e-3)], notes)
    pairs = alternate({OURS: _repeated(ours.stats), "cashet": _repeated(theirs.stats)})
    yield line(f"stats of {size:,}", "s", pairs, [Target("≤ 10 ms", 10e-3)], notes)
    ours.close()
    theirs.close()


def _repeated(call: Callable[[], object]) -> Callable[[int], None]:
    def loop(calls: int) -> None:
        for _ in range(calls):
            call()

    return loop


def making_room(folder: Path, size: int, go: int, half: float) -> Iterator[Line]:
    """The oldest answers go, while another process reads the newest."""
    import afresh
    import diskcache

    def ours() -> int:
        with afresh.Client(folder / OURS) as client:
            return client.gc(older_than=time.time() - half)

    def theirs() -> int:
        cache = diskcache.Cache(folder / "diskcache")
        cache.reset("size_limit", int(cache.volume() * (1 - go / size)))
        return int(cache.cull())

    took, longest, gone = {}, {}, {}
    for name, evict in ((OURS, ours), ("diskcache", theirs)):
        reader = Reader(name, folder / name, range(size - go // 2, size))
        started = time.perf_counter()
        gone[name] = evict()
        took[name] = time.perf_counter() - started
        longest[name] = reader.end()
    notes = [f"{name}: {count:,} went" for name, count in gone.items()]
    note("; ".join(notes))
    pace = f"{go:,} ≤ {2 * go / 100_000:g} s"
    yield single(f"evict {go:,} of {size:,}", "s", took, [Target(pace, 2 * go / 100_000)], notes)
    text = f"no stall: ≤ {STALL * 1e3:.0f} ms"
    yield single("longest read meanwhile", "s", longest, [Target(text, STALL)])


class Reader:
    """A process that reads from a store until it is told to end."""

    def __init__(self, name: str, folder: Path, keys: range) -> None:
        command = [sys.executable, __file__, "--read", name, str(folder), str(keys.start), str(keys.stop)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == "ready"

    def end(self) -> float:
        """How long its longest read took, in seconds."""
        return float(self.process.communicate("end\n")[0])


def read(name: str, folder: str, first: str, last: str) -> None:
    keys = random.Random(2).sample(range(int(first), int(last)), int(last) - int(first))
    loop = first_reads(name, Path(folder), asyncio.new_event_loop(), iter(keys))
    loop(WARM)
    print("ready", flush=True)
    longest, left = 0.0, len(keys) - WARM
    # Until a word comes.
    while left and not select.select([sys.stdin], [], [], 0)[0]:
        started = time.perf_counter()
        loop(1)
        longest = max(longest, time.perf_counter() - started)
        left -= 1
        # A reader, not a load: the two cores of a small machine are for whoever makes room.
        time.sleep(0.0005)
    print(longest)


def look(folder: str, size: str, *names: str) -> None:
    runner = asyncio.new_event_loop()
    # Ours is read once beside each rival, and no call twice.
    rounds = min(ROUNDS, (int(size) - WARM) // (CALLS * (len(names) - 1)))
    loops = {}
    for name in names:
        keys = random.Random(1).sample(range(int(size)), WARM + rounds * CALLS * (len(names) - 1))
        loops[name] = first_reads(name, Path(folder) / name, runner, iter(keys))
        loops[name](WARM)
    print(json.dumps(alternate(loops, calls=CALLS, rounds=rounds)))


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        read(*sys.argv[2:])
    else:
        look(*sys.argv[1:])
