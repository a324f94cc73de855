"""The functions that are remembered: tiny, so that what is measured is what remembering costs.

In a module of its own, so that they have the same identity in every process, also for the rivals.
"""

from __future__ import annotations

import os
import time
from typing import Any


def add(x: int, y: int = 1) -> int:
    return x + y


async def add_async(x: int, y: int = 1) -> int:
    return x + y


class Shop:
    """An instance is an argument of its methods: for afresh by its state, for ``lru_cache`` by its identity."""

    def __init__(self, rate: int) -> None:
        self.rate = rate

    def price(self, x: int) -> int:
        return x * self.rate


def total(array: Any) -> int:
    """Takes much, does little."""
    return len(array)


def zeros(size: int) -> Any:
    """Gives much."""
    import numpy

    return numpy.arange(size // 8, dtype="int64")


def slow(folder: str, seconds: float) -> float:
    """Notes that it ran, takes a while, and gives the time at which it was ready."""
    with open(os.path.join(folder, "runs"), "a") as runs:
        runs.write(f"{os.getpid()} {time.monotonic()}\n")
    time.sleep(seconds)
    return time.monotonic()
