"""A hit of a coroutine function: awaited on a running event loop, and a thousand of them through ``asyncio.gather``.

Of the second nearly all is asyncio's: a task and its turns for each call. So it stands beside a plain coroutine through the
same gather, and what is left is ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from measure import Line, Loop, Pairs, Target, alternate, line, tight_async
from systems import OURS, SYSTEMS
from workload import add_async

ASKED = "≤ 2 × a plain coroutine call"
SECONDS = 120
PLAIN = "plain coroutine"
GATHERED = 1_000
GATHERED_ASKED = "≤ 1 µs of ours"
RIVALS = ("async-lru", "cashews mem", "cashews disk", "cachetta")


def measure(folder: Path) -> Iterator[Line]:
    runner = asyncio.new_event_loop()
    functions = {name: SYSTEMS[name](str(folder / name))(add_async) for name in ("afresh", *RIVALS)}
    functions[PLAIN] = add_async
    loops = {name: tight_async(runner, "f(7)", f=function) for name, function in functions.items()}
    yield line("hit, `await f(7)`", "s", alternate(loops), [Target(ASKED, 2, PLAIN)])
    both = {name: gathered(runner, functions[name]) for name in (OURS, PLAIN)}
    pairs = {PLAIN: each_call(alternate(both, calls=1, rounds=51)[PLAIN])}
    yield line(f"hit, {GATHERED:,} at once through `gather`", "s", pairs)
    ours = {PLAIN: [(max(0.0, own - plain), plain) for own, plain in pairs[PLAIN]]}
    yield line("what of that is not asyncio's", "s", ours, [Target(GATHERED_ASKED, 1e-6)])
    runner.run_until_complete(runner.shutdown_default_executor())
    runner.close()


def gathered(runner: asyncio.AbstractEventLoop, function: Callable[[int], Awaitable[object]]) -> Loop:
    """A loop of gathers."""

    async def loop(calls: int) -> None:
        for _ in range(calls):
            await asyncio.gather(*(function(7) for _ in range(GATHERED)))

    return lambda calls: runner.run_until_complete(loop(calls))


def each_call(pairs: Pairs) -> Pairs:
    return [(own / GATHERED, theirs / GATHERED) for own, theirs in pairs]
