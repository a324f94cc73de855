"""A call that was never made, of a function that does next to nothing: what computing and storing costs on top."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

from measure import Line, Target, alternate, line
from store_hit import first_reads
from systems import DURABLE, OURS

ASKED = "≤ 30 µs"
SECONDS = 240
#: The pickle core of cachier writes its whole file again for every answer, so few calls are enough to see it.
ROUNDS, CALLS = 15, 40
WARM = 10


def measure(folder: Path) -> Iterator[Line]:
    runner = asyncio.new_event_loop()
    loops = {name: first_reads(name, folder / name, runner, itertools.count()) for name in (OURS, *DURABLE)}
    for loop in loops.values():
        loop(WARM)
    yield line("miss, stored", "s", alternate(loops, calls=CALLS, rounds=ROUNDS), [Target(ASKED, 30e-6)])
    runner.run_until_complete(runner.shutdown_default_executor())
    runner.close()
