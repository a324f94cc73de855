"""A hit of a coroutine function, awaited on a running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from measure import Line, Target, alternate, line, tight_async
from systems import SYSTEMS
from workload import add_async

ASKED = "≤ 2 × a plain coroutine call"
SECONDS = 120
PLAIN = "plain coroutine"
RIVALS = ("async-lru", "cashews mem", "cashews disk", "cachetta")


def measure(folder: Path) -> Iterator[Line]:
    runner = asyncio.new_event_loop()
    functions = {name: SYSTEMS[name](str(folder / name))(add_async) for name in ("afresh", *RIVALS)}
    functions[PLAIN] = add_async
    loops = {name: tight_async(runner, "f(7)", f=function) for name, function in functions.items()}
    yield line("hit, `await f(7)`", "s", alternate(loops), [Target(ASKED, 2, PLAIN)])
    runner.run_until_complete(runner.shutdown_default_executor())
    runner.close()
