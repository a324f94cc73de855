"""Runs both sides by turns and keeps what was read.

Invariant: a rival's figure and ours that stand beside each other were taken one right after the other, in one process
tree, as often as each other. A ratio is the median over those pairs, so what the machine does meanwhile hits both.

A *loop* runs a call so many times. Loops of calls that take nanoseconds are compiled with ten calls a turn, so that
the turning itself does not count. The garbage collector is on, as it is for users, and runs once before each row.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from systems import OURS

Loop = Callable[[int], object]
#: (ours, theirs) as they were read, one pair a round.
Pairs = list[tuple[float, float]]


@dataclass(frozen=True)
class Target:
    """What is asked of our median: at most ``limit``, or ``limit`` times the median of ``of`` (``"best"``: whoever of
    the rivals was best)."""

    text: str
    limit: float
    of: str | None = None


@dataclass
class Figure:
    """What was read of one system: seconds, bytes or a count. ``ratio`` is ours through theirs, None for ours."""

    min: float
    median: float
    rounds: int
    ratio: float | None = None
    note: str = ""


@dataclass
class Line:
    """One line of the table. Without ``asked`` it stands beside one that has a target; ``answers`` is how many the
    store held, where that is what the line is about."""

    what: str
    unit: str
    figures: dict[str, Figure]
    asked: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    answers: int | None = None

    def rivals(self) -> dict[str, Figure]:
        """Everybody but us, best first. Who is only there as a floor is a rival too."""
        others = ((name, figure) for name, figure in self.figures.items() if figure.ratio is not None)
        return dict(sorted(others, key=lambda each: each[1].median))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def line(
    what: str,
    unit: str,
    pairs: Mapping[str, Pairs],
    targets: Iterable[Target] = (),
    notes: Iterable[str] = (),
    *,
    patience: float | None = None,
) -> Line:
    """A line of what was read, judged. A reading of ``patience`` says that it was not waited for any longer."""
    ours = [own for each in pairs.values() for own, _ in each]
    figures = {OURS: _figure(ours)}
    for name, each in pairs.items():
        figure = _figure([theirs for _, theirs in each])
        figure.ratio = statistics.median(own / (theirs or 1e-9) for own, theirs in each)
        figures[name] = figure
    for figure in figures.values():
        if patience is not None and figure.median >= patience:
            figure.note = "more than"
    made = Line(what, unit, figures, notes=list(notes))
    made.asked = [_judged(target, made) for target in targets]
    tell(made)
    return made


def single(
    what: str, unit: str, figures: Mapping[str, float], targets: Iterable[Target] = (), notes: Iterable[str] = ()
) -> Line:
    """A line of figures that are read once, such as a size."""
    own = figures[OURS]
    pairs = {name: [(own, value)] for name, value in figures.items() if name != OURS}
    return line(what, unit, pairs, targets, notes)


def _figure(readings: list[float]) -> Figure:
    return Figure(min(readings), statistics.median(readings), len(readings))


def _judged(target: Target, made: Line) -> dict[str, Any]:
    own = made.figures[OURS].median
    if target.of is None:
        return {"text": target.text, "met": own <= target.limit}
    rivals = made.rivals()
    rival = rivals[target.of] if target.of in rivals else next(iter(rivals.values()))
    return {"text": target.text, "met": (rival.ratio or 0) <= target.limit}


def alternate(loops: Mapping[str, Loop], *, calls: int | None = None, rounds: int = 21, seconds: float = 0.01) -> dict[
    str, Pairs
]:
    """Seconds a call, in pairs: ours, a rival, ours, the next rival, and so on, all of it ``rounds`` times.

    Without ``calls`` a loop runs as many as take about ``seconds``.
    """
    counts = {name: calls or _calls(loop, seconds) for name, loop in loops.items()}
    found: dict[str, Pairs] = {name: [] for name in loops if name != OURS}
    gc.collect()
    for _ in range(rounds):
        for name, pairs in found.items():
            pairs.append((_timed(loops[OURS], counts[OURS]), _timed(loops[name], counts[name])))
    return found


def _calls(loop: Loop, seconds: float) -> int:
    """How many calls take about so long. Warms up on the way."""
    calls = 1
    loop(calls)
    while True:
        took = _timed(loop, calls) * calls
        if took >= seconds / 2 or calls >= 10_000_000:
            return max(1, min(calls * 4, int(calls * seconds / took)))
        calls *= 4


def _timed(loop: Loop, calls: int) -> float:
    started = time.perf_counter()
    loop(calls)
    return (time.perf_counter() - started) / calls


def tight(call: str, **names: Any) -> Loop:
    """A loop of a call that takes nanoseconds, written as Python."""
    body = "; ".join([call] * 10)
    text = (
        f"def loop(calls, repeat=repeat, {', '.join(f'{name}={name}' for name in names)}):\n"
        f"    for _ in repeat(None, calls // 10): {body}\n"
        f"    for _ in repeat(None, calls % 10): {call}\n"
    )
    space = {"repeat": itertools.repeat, **names}
    exec(text, space)
    loop: Loop = space["loop"]
    return loop


def tight_async(runner: asyncio.AbstractEventLoop, call: str, **names: Any) -> Loop:
    """The same for something to be awaited."""
    body = "; ".join([f"await {call}"] * 10)
    text = (
        f"async def loop(calls, repeat=repeat, {', '.join(f'{name}={name}' for name in names)}):\n"
        f"    for _ in repeat(None, calls // 10): {body}\n"
        f"    for _ in repeat(None, calls % 10): await {call}\n"
    )
    space = {"repeat": itertools.repeat, **names}
    exec(text, space)
    return lambda calls: runner.run_until_complete(space["loop"](calls))


def over(call: Callable[[Any], object], keys: Iterator[Any]) -> Loop:
    """A loop that calls with the next keys, each once."""

    def loop(calls: int) -> None:
        for key in itertools.islice(keys, calls):
            call(key)

    return loop


def over_async(
    runner: asyncio.AbstractEventLoop, call: Callable[[Any], Awaitable[object]], keys: Iterator[Any]
) -> Loop:
    """The same for something to be awaited, one after the other."""

    async def loop(calls: int) -> None:
        for key in itertools.islice(keys, calls):
            await call(key)

    return lambda calls: runner.run_until_complete(loop(calls))


# -- for people ----------------------------------------------------------------------------------


def note(text: str) -> None:
    """What goes on, on standard error."""
    print(f"    {text}", file=sys.stderr, flush=True)


def tell(made: Line) -> None:
    """A finished line."""
    figures = [f"{name} {said(figure.note, figure.median, made.unit)}" for name, figure in made.rivals().items()]
    own = made.figures[OURS]
    note(f"{made.what}: {OURS} {show(own.median, made.unit)} (min {show(own.min, made.unit)}); {', '.join(figures)}")
    for asked in made.asked:
        note(f"    asked {asked['text']}: {'met' if asked['met'] else 'MISSED'}")


def said(note: str, value: float, unit: str) -> str:
    return f"{note} {show(value, unit)}".strip()


def show(value: float, unit: str) -> str:
    """Three digits and a unit."""
    if unit != "s":
        return f"{value:,.0f} {unit}".rstrip()
    if value >= 60:
        return f"{value:.0f} s"
    for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 0.9995:
            return f"{value * factor:.3g} {name}"
    return f"{value * 1e9:.3g} ns"
