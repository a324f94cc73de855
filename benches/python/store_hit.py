"""The first hit of each call in a process: the answer comes from the store, not from what the process remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from filled import fill
from measure import Line, Loop, Target, alternate, line, over, over_async
from systems import ASYNCHRONOUS, DURABLE, OURS, SYSTEMS
from workload import add, add_async

ASKED = "≤ 8 µs, ≥ 3 × faster than the fastest rival"
SECONDS = 240
ROUNDS, CALLS = 15, 50
#: Calls before the clock runs: connections are opened, code is walked, statements are compiled.
WARM = 20


def measure(folder: Path) -> Iterator[Line]:
    each = WARM + ROUNDS * CALLS
    for name in DURABLE:
        fill(name, folder / name, 0, each)
    fill(OURS, folder / OURS, 0, WARM + ROUNDS * CALLS * len(DURABLE))
    runner = asyncio.new_event_loop()
    loops = {name: first_reads(name, folder / name, runner, iter(range(10_000_000))) for name in (OURS, *DURABLE)}
    for loop in loops.values():
        loop(WARM)
    targets = [Target("≤ 8 µs", 8e-6), Target("≥ 3 × faster than the fastest rival", 1 / 3, "best")]
    yield line("hit from the store", "s", alternate(loops, calls=CALLS, rounds=ROUNDS), targets)
    runner.run_until_complete(runner.shutdown_default_executor())
    runner.close()


def first_reads(name: str, folder: Path, runner: asyncio.AbstractEventLoop, keys: Iterator[int]) -> Loop:
    """A loop over ``keys`` by one system."""
    remember = SYSTEMS[name](str(folder))
    return over_async(runner, remember(add_async), keys) if name in ASYNCHRONOUS else over(remember(add), keys)
