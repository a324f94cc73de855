"""The whole table: every row, or those that are named.

    python run.py                   # all rows; then the table and the plot of the README
    python run.py --rows hit,miss   # some of them
    python run.py --readme          # the README anew from the results that are there

Started by ``make bench`` with the interpreter of ``benches/.venv``. A row is a module with ``ASKED``, ``SECONDS`` and
``measure(folder)``, and runs in a process of its own within its time. One that fails or takes too long is reported as
failed, with what it had found until then, and the others go on. What was not met is said and is not an error.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
import report
from systems import versions

ROWS = (
    "hit",
    "async_hit",
    "store_hit",
    "redis_hit",
    "miss",
    "first_hit",
    "digest",
    "big_result",
    "disk",
    "single_flight",
    "scale",
)


def child(row: str, folder: Path, output: Path) -> None:
    """Measures one row in this process. Lines are written as they come, so that a late failure costs none of them."""
    lines: list[dict[str, Any]] = []
    for line in importlib.import_module(row).measure(folder):
        lines.append(line.as_json())
        output.write_text(json.dumps(lines))


def measure(row: str) -> dict[str, Any]:
    """One row in a process of its own: its lines, and why it failed if it did."""
    module = importlib.import_module(row)
    print(f"\n{row}: asked {module.ASKED}", file=sys.stderr, flush=True)
    started, begun = time.monotonic(), machine.moment()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        output = Path(folder) / "lines.json"
        command = [sys.executable, __file__, "--child", row, folder, str(output)]
        failed = _run(command, module.SECONDS)
        lines = json.loads(output.read_text()) if output.exists() else []
    if failed:
        print(f"    FAILED: {failed}", file=sys.stderr, flush=True)
    return {
        "row": row,
        "asked": module.ASKED,
        "failed": failed,
        "seconds": round(time.monotonic() - started),
        "machine": machine.describe(),
        "run": begun,
        "versions": versions(),
        "lines": lines,
    }


def _run(command: list[str], seconds: float) -> str | None:
    """Why it failed, or None. Whatever it started ends with it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AFRESH_")}
    process = subprocess.Popen(command, env={**environment, "PYTHONHASHSEED": "0"}, start_new_session=True)
    try:
        code = process.wait(seconds)
        return None if code == 0 else f"ended with {code}; what it said is above"
    except subprocess.TimeoutExpired:
        return f"took longer than {seconds:.0f} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="How fast afresh is beside others.")
    parser.add_argument("--rows", default="", help=f"names with commas between: {', '.join(ROWS)}")
    parser.add_argument("--readme", action="store_true", help="the README's table from the results that are there")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        row, folder, output = given.child
        child(row, Path(folder), Path(output))
        return 0
    rows = [row for row in given.rows.split(",") if row]
    unknown = [row for row in rows if row not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if given.readme:
        report.publish(report.load(ROWS))
        return 0
    started, results = time.monotonic(), []
    for row in rows or ROWS:
        results.append(measure(row))
        report.save(results[-1])
    print(report.table(results))
    print(f"{len(results)} rows in {time.monotonic() - started:.0f} s", file=sys.stderr)
    if not rows:
        report.publish(results)
    return 1 if any(result["failed"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
