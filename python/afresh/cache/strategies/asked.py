"""One call of a decorated function, and what every strategy does with it.

Whatever the cache cannot do (make a key, reach its store, judge a condition) costs a warning, never the function's
result.
"""

from __future__ import annotations

from afresh import _afresh, warn
from afresh.cache import conditions, ttl
from afresh.cache.conditions import Raised
from afresh.cache.detect import Above
from afresh.cache.steps import Call, Turn, Wait
from afresh.errors import AfreshError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NamedTuple

    from afresh.cache.commands import SyncCache
    from afresh.cache.flights import Flight
    from afresh.cache.keys import Template
    from afresh.cache.routes import Route
    from afresh.cache.steps import Steps

    class Entry(NamedTuple):
        """What was found under a key."""

        value: Any
        version: int
        left: float | None


class _Nothing:
    """Stands for a right where there is none to be had."""

    def release(self) -> None:
        pass


_ABSENT, _NOTHING = object(), _Nothing()


class Keep:
    """What is to be kept of results, and how: the options that all strategies share."""

    def __init__(
        self,
        lasts: ttl.Ttl,
        condition: conditions.Condition,
        time_condition: ttl.Span,
        tags: tuple[Template, ...],
        upper: bool = False,
    ) -> None:
        ttl.check(lasts)
        self.ttl = lasts
        self.condition = conditions.check(condition)
        self.slower_than = None if time_condition is None else ttl.seconds(time_condition)
        self.tags = tags
        #: What rests on an answer of any cache is not kept.
        self.upper = upper


class Asked:
    """One call."""

    def __init__(
        self,
        cache: SyncCache,
        face: str,
        key: str,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        arguments: dict[str, Any],
        keyed: bool = True,
    ) -> None:
        self.cache, self.face, self.key = cache, face, key
        self.call, self.args, self.kwargs, self.arguments = call, args, kwargs, arguments
        if keyed:
            #: Where it lives, whatever transaction there is: counts and locks are nobody's to take back.
            self.route: Route = cache._routes.plain(key)

    def find(self) -> Steps:
        """The entry under the key, or None; with what stands around ``get``."""
        if self.cache._around.idle:
            return (yield from self._find(self.key))
        found: Entry | None = None

        def ask(key: str, default: Any) -> Steps:
            nonlocal found
            found = yield from self._find(key)
            return default if found is None else found[0]

        get = type(self.cache)._get.raw  # type: ignore[attr-defined]
        steps = self.cache._around.steps(self.face, get, (self.key, _ABSENT), {}, ask, locks=False)
        value = yield from steps
        if value is _ABSENT:
            return None
        # A middleware may give what it likes.
        return found if found is not None and found[0] is value else (value, 0, None)

    def _find(self, key: str) -> Steps:
        if self.cache._switches.off("get", key):
            return None
        try:
            return (yield self.cache._routes.of(key).ask("read", key))
        except AfreshError as error:
            self.cache._degrade(error)
            return None
        finally:
            warn.emit()

    def hold(self) -> Steps:
        """The right to compute the key, alone among all who share the store, to be released. Waits for it."""
        try:
            held = yield self.route.ask("hold", self.key)
            while type(held) is _afresh.Queued:
                yield Wait(Turn(held), None)
                held = yield self.route.ask("hold", self.key, held)
            return held
        except AfreshError as error:
            self.cache._degrade(error)
            return _NOTHING

    def hit(self, strategy: str, entry: Entry) -> None:
        """An answer is given from the cache."""
        self.cache._detectors.tell(self.key, strategy, entry[2])

    def run(self) -> Call:
        """The function itself."""
        return Call(self.call, self.args, self.kwargs)

    def begin(self, keep: Keep, flight: Flight) -> Steps:
        """The tags of the call with their epochs as they are now, before anything is computed."""
        told = self.route.never_fails and self.cache._transactions.current() is None
        if told and not keep.tags and not self.cache._registered:
            return None
        return (yield from self.cache._begin(flight, [tag(self.arguments) for tag in keep.tags]))

    def compute(
        self,
        keep: Keep,
        flight: Flight,
        found: Entry | None,
        form: Callable[[Asked, Any, float | None], Any] | None = None,
    ) -> Steps:
        """Runs the function and keeps what is to be kept, if ``found`` is still what is there; ``form`` makes what is
        stored of a result and its lifetime."""
        import time

        marks = yield from self.begin(keep, flight)
        version = 0 if found is None else found[1]
        began = time.monotonic()
        above = Above() if keep.upper else None
        try:
            if above is None:
                result = yield self.run()
            else:
                with above:
                    result = yield self.run()
        except Exception as error:
            if conditions.judged(keep.condition, error, self):
                yield from self.store(keep, flight, marks, version, Raised(error), form)
            raise
        if above is not None and above.hit:
            return result
        if keep.slower_than is None or time.monotonic() - began > keep.slower_than:
            if conditions.judged(keep.condition, result, self):
                yield from self.store(keep, flight, marks, version, result, form)
        return result

    def store(self, keep: Keep, flight: Flight, marks: Any, version: int, result: Any, form: Any) -> Steps:
        """Keeps a result, unless its key was deleted or set since it began to be computed."""
        try:
            span = ttl.of_call(keep.ttl, self.args, self.kwargs, result)
            value = result if form is None else form(self, result, span)
        except Exception as error:  # noqa: BLE001 - the user's own code
            warn.once(f"a lifetime could not be computed ({error!r}); the result is returned and not kept")
            return
        yield from self.cache._store(self.face, flight, self.key, value, span, marks, version)


def given(value: Any) -> Any:
    """A stored answer as the function gave it: returned, or raised."""
    if type(value) is Raised:
        raise value.error
    return value
