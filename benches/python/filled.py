"""Stores with answers in them, made by a process of its own.

So whoever measures has none of them in memory: what it reads first, it reads from the store.

    python filled.py SYSTEM FOLDER FROM TO
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from measure import note
from systems import ASYNCHRONOUS, SYSTEMS
from workload import add, add_async


def fill(system: str, folder: Path, first: int, last: int) -> None:
    """Calls with ``first`` … ``last - 1``, each computed and stored, in another process."""
    if last > first:
        note(f"filling {system} with {last - first:,} answers ...")
        command = [sys.executable, __file__, system, str(folder), str(first), str(last)]
        subprocess.run(command, check=True)


def main() -> None:
    system, folder, first, last = sys.argv[1:]
    keys = range(int(first), int(last))
    if system not in ASYNCHRONOUS:
        function = SYSTEMS[system](folder)(add)
        for key in keys:
            function(key)
        return
    coroutine = SYSTEMS[system](folder)(add_async)

    async def each() -> None:
        for key in keys:
            await coroutine(key)

    asyncio.run(each())


if __name__ == "__main__":
    main()
