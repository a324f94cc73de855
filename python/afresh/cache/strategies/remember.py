"""Strategies that answer from the cache: simple, early, soft, hit, failover.

Everything in them is single flight. When an answer is due is judged by what it has left in its store, not by a clock
of the caller's.
"""

from __future__ import annotations

from afresh import warn
from afresh.cache import ttl
from afresh.cache.steps import Spawn
from afresh.cache.strategies.asked import given
from afresh.errors import AfreshError, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afresh.cache.flights import Flight
    from afresh.cache.steps import Steps
    from afresh.cache.strategies.asked import Asked, Entry, Keep


# Who refreshes needs no name: whoever gets the lock is the one.
_TURN = "refresh"

# How long hits of an answer without an end are counted: counters are never driven out, so each needs one.
_LONGEST = 30 * 86_400.0

# Seconds after a refresh that failed.
_PAUSE = 1.0


class Simple:
    """The stored answer, or the function's."""

    name = "cache"
    #: What is found under the key is the answer, and nothing else needs to be looked at.
    plain = True

    def __init__(self, keep: Keep, protected: bool = True, lock: bool = False) -> None:
        self.keep, self.protected, self.lock = keep, protected, lock
        if lock and not callable(keep.ttl):
            span = ttl.seconds(keep.ttl)
            if span is None or span <= 0:
                raise ConfigError("`lock=True` needs a ttl", hint="the lock of an owner that vanishes lasts as long")

    def steps(self, asked: Asked) -> Steps:
        entry = yield from self.look(asked)
        if entry is not None and (yield from self.fresh(asked, entry)):
            asked.hit(self.name, entry)
            return given(self.answer(entry))
        return (yield from self.miss(asked, entry))

    def look(self, asked: Asked) -> Steps:
        """The entry, if there is one that this strategy has stored."""
        entry = yield from asked.find()
        return entry if entry is not None and self.is_ours(entry[0]) else None

    def is_ours(self, value: Any) -> bool:
        return True

    def fresh(self, asked: Asked, entry: Entry) -> Steps:
        """Whether a stored answer may be given."""
        return True
        yield

    def answer(self, entry: Entry) -> Any:
        """The answer in what is stored."""
        return entry[0]

    def form(self, asked: Asked, result: Any, span: float | None) -> Any:
        """What is stored for a result."""
        return result

    def miss(self, asked: Asked, found: Entry | None) -> Steps:
        def compute(flight: Flight) -> Steps:
            if self.lock:
                return (yield from self._alone(asked, flight, found))
            return (yield from self._held(asked, flight, found))

        def again() -> Steps:
            entry = yield from self.look(asked)
            return None if entry is None else (given(self.answer(entry)),)

        if not self.protected:
            from afresh.cache.flights import Flight as Alone

            return (yield from self.compute(asked, Alone(asked.key), found))
        return (yield from asked.cache._flights.fly(f"{self.name} {asked.face}", asked.key, compute, again))

    def _again(self, asked: Asked, flight: Flight, found: Entry | None) -> Steps:
        """With the flight in hand: whoever had it before may have answered meanwhile."""
        entry = yield from self.look(asked)
        if entry is not None and (found is None or entry[1] != found[1]):
            return given(self.answer(entry))
        return (yield from self.compute(asked, flight, entry))

    def _held(self, asked: Asked, flight: Flight, found: Entry | None) -> Steps:
        """With the right to compute the key, of this host or of all that share the store: the kernel takes it back from
        an owner that vanishes, or its lease ends."""
        if asked.route.never_fails or flight.within:
            # Who has begun another computation waits for nobody, or two could wait for each other.
            return (yield from self._again(asked, flight, found))
        held = yield from asked.hold()
        try:
            return (yield from self._again(asked, flight, found))
        finally:
            held.release()

    def _alone(self, asked: Asked, flight: Flight, found: Entry | None) -> Steps:
        span = ttl.seconds(self.keep.ttl) if not callable(self.keep.ttl) else 60.0
        block = asked.cache.lock(asked.key, span)
        try:
            yield from block.enter()
        except AfreshError as error:
            asked.cache._degrade(error)
            return (yield from self._again(asked, flight, found))
        try:
            return (yield from self._again(asked, flight, found))
        finally:
            yield from block.leave()

    def compute(self, asked: Asked, flight: Flight, found: Entry | None) -> Steps:
        return asked.compute(self.keep, flight, found, self.form)

    def refresh(self, asked: Asked, found: Entry) -> Steps:
        """Computes anew, for nobody in particular; a failure is told and leaves what is there. Whether it went well."""

        def compute(flight: Flight) -> Steps:
            return asked.compute(self.keep, flight, found, self.form)

        def again() -> Steps:
            return (None,)
            yield

        # A transaction that this was begun in may be over before it is done.
        asked.cache._transactions.leave()
        try:
            yield from asked.cache._flights.fly(f"{self.name} refresh {asked.face}", asked.key, compute, again)
            return True
        except Exception as error:  # noqa: BLE001 - there is nobody to raise it to
            warn.once(f"a refresh in the background failed: {error!r}", f"refresh {type(error).__name__}")
            return False


class Due(Simple):
    """An answer that is due some time before it expires: what is stored is what it has left then, and the answer."""

    plain = False

    def __init__(self, keep: Keep, after: ttl.Ttl, protected: bool = True) -> None:
        super().__init__(keep, protected)
        ttl.check(after)
        self.after = after

    def is_ours(self, value: Any) -> bool:
        return type(value) is list and len(value) == 2 and type(value[0]) is float

    def answer(self, entry: Entry) -> Any:
        return entry[0][1]

    def form(self, asked: Asked, result: Any, span: float | None) -> Any:
        if span is None:
            return [0.0, result]
        after = ttl.of_call(self.after, asked.args, asked.kwargs, result)
        return [float(span - after) if after is not None else span * 2 / 3, result]

    def due(self, entry: Entry) -> bool:
        return entry[2] is not None and entry[2] <= entry[0][0]


class Early(Due):
    """What is due is still given, to everyone at once, while one caller's background computes it anew."""

    name = "early"

    def __init__(self, keep: Keep, after: ttl.Ttl, protected: bool, background: bool) -> None:
        super().__init__(keep, after, protected)
        self.background = background

    def fresh(self, asked: Asked, entry: Entry) -> Steps:
        if not self.due(entry) or not (yield from self._first(asked, entry)):
            return True
        if self.background:
            yield Spawn(self._try(asked, entry))
            return True
        return False

    def _try(self, asked: Asked, entry: Entry) -> Steps:
        try:
            fine = yield from self.refresh(asked, entry)
        except GeneratorExit:
            raise
        except BaseException:
            # The loop ends, or a person has had enough.
            yield asked.route.ask("unlock", self._turn(asked, entry), _TURN)
            raise
        if not fine:
            # Another may try, but not at once.
            yield asked.route.ask("unlock", self._turn(asked, entry), _TURN)
            yield from self._first(asked, entry, _PAUSE)

    def _turn(self, asked: Asked, entry: Entry) -> str:
        return f"{asked.key}:refresh:{entry[1]}"

    def _first(self, asked: Asked, entry: Entry, most: float = float("inf")) -> Steps:
        """Whether this caller, of all processes, is the one to refresh this very answer."""
        try:
            span = min(max(entry[2] or 0.0, 0.001), most)
            return (yield asked.route.ask("lock", self._turn(asked, entry), _TURN, span))
        except AfreshError as error:
            asked.cache._degrade(error)
            return False


class Soft(Due):
    """What is due is computed anew, and still given where that fails."""

    name = "soft"

    def __init__(self, keep: Keep, after: ttl.Ttl, protected: bool, exceptions: Any) -> None:
        super().__init__(keep, after, protected)
        self.exceptions = exceptions

    def fresh(self, asked: Asked, entry: Entry) -> Steps:
        return not self.due(entry)
        yield

    def compute(self, asked: Asked, flight: Flight, found: Entry | None) -> Steps:
        try:
            return (yield from asked.compute(self.keep, flight, found, self.form))
        except self.exceptions:
            if found is None:
                raise
            asked.hit(self.name, found)
            return given(self.answer(found))


class Hits(Simple):
    """An answer that is given so many times, and computed anew in the background after so many."""

    name = "hit"
    plain = False

    def __init__(self, keep: Keep, most: int, update_after: int, background: bool) -> None:
        super().__init__(keep)
        self.most, self.update_after, self.background = most, update_after, background

    def form(self, asked: Asked, result: Any, span: float | None) -> Any:
        import secrets

        return [secrets.token_hex(8), span, result]

    def is_ours(self, value: Any) -> bool:
        return type(value) is list and len(value) == 3

    def answer(self, entry: Entry) -> Any:
        return entry[0][2]

    def fresh(self, asked: Asked, entry: Entry) -> Steps:
        count = yield from self._count(asked, entry)
        if count > self.most:
            return False
        if self.update_after and count == self.update_after:
            if not self.background:
                return False
            yield Spawn(self.refresh(asked, entry))
        return True

    def _count(self, asked: Asked, entry: Entry) -> Steps:
        """How often this very answer was given: each has a counter of its own, so that none is counted on another's."""
        try:
            name = f"{asked.key}:hits:{entry[0][0]}"
            return (yield asked.route.ask("incr", name, 1, entry[2] if entry[2] is not None else _LONGEST))
        except AfreshError as error:
            asked.cache._degrade(error)
            return 0


class Failover(Simple):
    """The function's answer; where it fails, the last one that was stored."""

    name = "fail"
    plain = False

    def __init__(self, keep: Keep, exceptions: Any) -> None:
        super().__init__(keep)
        #: None: those of the cache.
        self.exceptions = exceptions

    def steps(self, asked: Asked) -> Steps:
        def compute(flight: Flight) -> Steps:
            found = yield from asked.find()
            return (yield from asked.compute(self.keep, flight, found))

        def again() -> Steps:
            entry = yield from asked.find()
            return None if entry is None else (given(entry[0]),)

        try:
            return (yield from asked.cache._flights.fly(f"fail {asked.face}", asked.key, compute, again))
        except self.exceptions or asked.cache._fail_exceptions:
            entry = yield from asked.find()
            if entry is None:
                raise
            asked.hit(self.name, entry)
            return given(entry[0])
