"""Remembering what a generator gave: all of it, as one value, once it has come to its end.

A replay is the whole stream or nothing: it cannot stop early, have holes, or end with pieces of an older one. A stream
that its reader leaves, or that fails, is not kept. Live, each piece is given as it comes.
"""

from __future__ import annotations

from contextlib import aclosing

from afresh.cache import conditions
from afresh.cache.flights import Flight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from afresh.cache.steps import Steps
    from afresh.cache.strategies.asked import Asked, Keep


class Recording:
    """One run of a generator, written down while it is read."""

    def __init__(self, asked: Asked, keep: Keep) -> None:
        self._asked, self._keep = asked, keep
        self._flight = Flight(asked.key)
        self._pieces: list[Any] = []
        self._kept = True
        self._marks: Any = None

    def begin(self) -> Steps:
        """The pieces of an earlier run in a list, or None."""
        asked = self._asked
        entry = yield from asked.find()
        if entry is not None and type(entry[0]) is list:
            asked.hit("iterator", entry)
            return entry[0]
        # From here on a deletion of the key is heard of.
        asked.cache._flights.board(self._flight)
        self._marks = yield from asked.begin(self._keep, self._flight)
        return None

    def piece(self, piece: Any) -> None:
        self._pieces.append(piece)
        if not conditions.judged(self._keep.condition, piece, self._asked):
            self._kept = False

    def end(self) -> Steps:
        if self._kept:
            yield from self._asked.store(self._keep, self._flight, self._marks, 0, self._pieces, None)

    def close(self) -> None:
        self._asked.cache._flights.leave(self._flight)


def plain(asked: Asked, keep: Keep, drive: Any) -> Iterator[Any]:
    """A generator's pieces, of an earlier run or live."""
    recording = Recording(asked, keep)
    try:
        pieces = drive(recording.begin())
        if pieces is not None:
            yield from pieces
            return
        for piece in asked.call(*asked.args, **asked.kwargs):
            recording.piece(piece)
            yield piece
        drive(recording.end())
    finally:
        recording.close()


async def awaited(asked: Asked, keep: Keep, adrive: Any) -> AsyncIterator[Any]:
    """An asynchronous generator's pieces, of an earlier run or live."""
    recording = Recording(asked, keep)
    try:
        pieces = await adrive(recording.begin())
        if pieces is not None:
            for piece in pieces:
                yield piece
            return
        async with aclosing(asked.call(*asked.args, **asked.kwargs)) as stream:
            async for piece in stream:
                recording.piece(piece)
                yield piece
        await adrive(recording.end())
    finally:
        recording.close()
