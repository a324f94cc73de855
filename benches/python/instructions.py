"""How many instructions the hot path executes for a call: a figure that a busy machine does not change.

    python instructions.py          # count, and compare with the reference
    python instructions.py --keep   # make what was counted the reference

Each case runs twice under valgrind, with few calls and with many; the difference, through the difference of calls, is
what one call costs. Starting, importing and warming up cancel out. ``lru_cache`` is the control: if its figure moved,
the Python is another one and nothing can be said. Instructions are not time, and what the kernel does is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import machine
from filled import fill
from measure import Loop, over, tight, tight_async
from systems import OURS, SYSTEMS, versions
from workload import Shop, add, add_async

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "instructions.json"
FEW, MANY = 500, 3_000
SECONDS = 300
CONTROL = "lru_cache(typed=True): f(7)"


def hit(folder: str) -> Loop:
    return tight("f(7)", f=SYSTEMS[OURS](folder)(add))


def keyword(folder: str) -> Loop:
    return tight("f(x=7, y=2)", f=SYSTEMS[OURS](folder)(add))


def method(folder: str) -> Loop:
    shop = type("Remembering", (Shop,), {"price": SYSTEMS[OURS](folder)(Shop.price)})(3)
    return tight("shop.price(7)", shop=shop)


def async_hit(folder: str) -> Loop:
    return tight_async(asyncio.new_event_loop(), "f(7)", f=SYSTEMS[OURS](folder)(add_async))


def store_hit(folder: str) -> Loop:
    return over(SYSTEMS[OURS](folder)(add), iter(range(MANY + 1)))


def control(folder: str) -> Loop:
    return tight("f(7)", f=SYSTEMS["lru_cache(typed=True)"](folder)(add))


CASES: dict[str, Callable[[str], Loop]] = {
    CONTROL: control,
    "hit: f(7)": hit,
    "hit: f(x=7, y=2)": keyword,
    "hit: a method": method,
    "hit: await f(7)": async_hit,
    "hit from the store": store_hit,
}


def count(case: str) -> float:
    """Instructions of one call."""
    few, many = (_run(case, calls) for calls in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def _run(case: str, calls: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        if CASES[case] is store_hit:
            fill(OURS, Path(folder), 0, MANY + 1)
        tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        command = [*tool, sys.executable, __file__, "--case", case, str(calls), folder]
        # Hashes of texts, and with them the order of sets, are the same each time.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"{case}: valgrind ended with {done.returncode}\n{done.stderr[-2000:]}")
    return int(found[1])


def report(counted: dict[str, float]) -> str:
    """What was counted, beside the reference."""
    known = json.loads(REFERENCE.read_text())["instructions"] if REFERENCE.exists() else {}
    lines = [f"{'instructions for a call':32} {'now':>10} {'reference':>10} {'change':>9}"]
    for case, now in counted.items():
        before = known.get(case)
        change = f"{(now / before - 1) * 100:+.1f} %" if before else ""
        lines.append(f"{case:32} {now:>10,.0f} {f'{before:,.0f}' if before else '–':>10} {change:>9}")
    return "\n".join(lines)


def keep(counted: dict[str, float]) -> None:
    where = machine.describe()
    reference = {
        "python": where["python"],
        "cpu": where["cpu"],
        **machine.moment(),
        "afresh": versions()[OURS],
        "calls": [FEW, MANY],
        "instructions": {case: round(each, 1) for case, each in counted.items()},
    }
    REFERENCE.write_text(json.dumps(reference, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Instructions that a call costs.")
    parser.add_argument("--keep", action="store_true", help="make what is counted the reference")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        case, calls, folder = given.case
        loop = CASES[case](folder)
        loop(1)
        loop(int(calls))
        return
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not here: apt-get install valgrind")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        counted = dict(zip(CASES, pool.map(count, CASES), strict=True))
    print(report(counted))
    if given.keep:
        keep(counted)


if __name__ == "__main__":
    main()
