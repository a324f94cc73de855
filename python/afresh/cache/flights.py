"""Single flight: of those who want one answer at the same time, one computes and all get it.

Between threads and the tasks of any event loop of this process. The leader computes where it was called, so that
context variables and the current task are the caller's. Whoever stops waiting changes nothing for the others; a leader
that is cancelled passes the computation on to one of them. A failure is everybody's, each with an exception of
their own. A call that meets itself further down computes.

A value that is deleted while it is being computed is given to those who waited, and not stored: ``revoke`` says so.
"""

from __future__ import annotations

from contextvars import ContextVar

from afresh.cache.steps import Signal, Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from afresh.cache.steps import Steps

_led: ContextVar[tuple[Flight, ...]] = ContextVar("afresh_flights", default=())


class Flight:
    """One computation that is going on."""

    __slots__ = ("error", "fences", "key", "landed", "result", "revoked", "within")

    def __init__(self, key: str) -> None:
        self.key = key
        self.landed = Signal()
        self.revoked = False
        #: Whoever leads it leads another one too.
        self.within = bool(_led.get())
        #: What other processes count when they delete, as it was when this began.
        self.fences: list[tuple[str, int]] = []
        self.error: BaseException | None = None
        #: The answer, in a tuple; None where the leader was cancelled.
        self.result: tuple[Any] | None = None


class Flights:
    """The computations of one cache that are going on, by strategy and key."""

    def __init__(self, scope: Callable[[], str]) -> None:
        """``scope`` says who may share a computation: what a transaction has not committed is nobody else's."""
        import threading

        self._lock, self._scope = threading.Lock(), scope
        self._flights: dict[tuple[str, str], Flight] = {}
        # All that are in the air for a key, also those that no longer take passengers.
        self._keys: dict[str, set[Flight]] = {}

    def fly(self, kind: str, key: str, compute: Callable[[Flight], Steps], again: Callable[[], Steps]) -> Steps:
        """The steps to an answer: ``compute`` by the leader; ``again`` looks for what the leader has stored, and
        gives it in a tuple or None, so that everybody has a value of their own."""
        kind += self._scope()
        while True:
            with self._lock:
                flight = self._flights.get((kind, key))
                leads = flight is None or flight in _led.get()
                if leads:
                    flight = Flight(key)
                    self._flights.setdefault((kind, key), flight)
                    self._keys.setdefault(key, set()).add(flight)
            assert flight is not None  # whoever does not lead has found one
            if leads:
                return (yield from self._lead(kind, flight, compute))
            yield Wait(flight.landed, None)
            if flight.error is not None:
                raise _own(flight.error)
            if flight.result is not None:
                stored = yield from again()
                return (stored or flight.result)[0]

    def _lead(self, kind: str, flight: Flight, compute: Callable[[Flight], Steps]) -> Steps:
        before = _led.set((*_led.get(), flight))
        try:
            result = yield from compute(flight)
            flight.result = (result,)
            return result
        except Exception as error:
            flight.error = error
            raise
        finally:
            try:
                _led.reset(before)
            except ValueError:
                # The steps were closed from elsewhere, as those of a forgotten coroutine are.
                pass
            with self._lock:
                if self._flights.get((kind, flight.key)) is flight:
                    del self._flights[kind, flight.key]
            self.leave(flight)
            flight.landed.fire()

    def board(self, flight: Flight) -> None:
        """Has a computation that nobody else joins told of deletions of its key."""
        with self._lock:
            self._keys.setdefault(flight.key, set()).add(flight)

    def leave(self, flight: Flight) -> None:
        """Ends that."""
        with self._lock:
            others = self._keys.get(flight.key, set())
            others.discard(flight)
            if not others:
                self._keys.pop(flight.key, None)

    def revoke(self, matches: Callable[[str], bool] | None = None, key: str | None = None) -> None:
        """What is being computed for these keys is not to be stored, and nobody joins it any more."""
        if not self._keys:
            return
        with self._lock:
            keys = [key] if key is not None else list(self._keys)
            for name in keys:
                if name is None or (matches is not None and not matches(name)):
                    continue
                for flight in self._keys.get(name, ()):
                    flight.revoked = True
            for at in [at for at, flight in self._flights.items() if flight.revoked]:
                del self._flights[at]


def _own(error: BaseException) -> BaseException:
    """The same failure as an exception of one's own, so that tracebacks do not grow into each other."""
    import copy

    try:
        own = copy.copy(error)
    except Exception:  # noqa: BLE001 - whatever a class makes of being copied
        own = error
    if type(own) is not type(error):
        own = error
    own.__cause__, own.__suppress_context__ = error.__cause__, error.__suppress_context__
    return own.with_traceback(error.__traceback__)
