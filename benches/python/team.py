"""Processes that wait for a word and then make one call: what the single-flight row is made of.

    python team.py SYSTEM STORE

A member says ``ready``, then takes lines ``FOLDER SECONDS`` and answers each with two moments of the clock that all
processes of a machine share: when the function was ready, and when the call returned.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from pathlib import Path

from systems import SYSTEMS
from workload import slow


class Member:
    """One process."""

    def __init__(self, system: str, store: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, system, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._line() == "ready"

    def ask(self, folder: Path, seconds: float) -> None:
        """Sends it off; it does not wait for the answer."""
        assert self.process.stdin
        self.process.stdin.write(f"{folder} {seconds}\n")
        self.process.stdin.flush()

    def answer(self, until: float) -> tuple[float, float] | None:
        """When the function was ready, when the call returned; None if that is not known at ``until``."""
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
            return None
        ready, returned = self._line().split()
        return float(ready), float(returned)

    def end(self) -> None:
        """Kills it, as the kernel or an operator would."""
        self.process.kill()
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


def runs(folder: Path) -> list[tuple[int, float]]:
    """Who entered the function, and when."""
    noted = folder / "runs"
    lines = noted.read_text().splitlines() if noted.exists() else []
    return [(int(pid), float(moment)) for pid, moment in (one.split() for one in lines)]


def main() -> None:
    function = SYSTEMS[sys.argv[1]](sys.argv[2])(slow)
    print("ready", flush=True)
    for text in sys.stdin:
        folder, seconds = text.split()
        ready = function(folder, float(seconds))
        print(ready, time.monotonic(), flush=True)


if __name__ == "__main__":
    main()
