"""One call of a decorated function, and what every strategy does with it.

Whatever the cache cannot do (make a key, reach its store, judge a condition) costs a warning, never the function's
result.
"""

from __future__ import annotations

from afresh import warn
from afresh.cache import conditions, ttl
from afresh.cache.conditions import Raised
from afresh.cache.steps import Ask, Call
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


class Keep:
    """What is to be kept of results, and how: the options that all strategies share."""

    def __init__(
        self,
        lasts: ttl.Ttl,
        condition: conditions.Condition,
        time_condition: ttl.Span,
        tags: tuple[Template, ...],
    ) -> None:
        ttl.check(lasts)
        self.ttl = lasts
        self.condition = conditions.check(condition)
        self.slower_than = None if time_condition is None else ttl.seconds(time_condition)
        self.tags = tags


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
            self.route: Route = cache._routes.of(key)

    def ask(self, call: Callable[..., Any], *args: Any) -> Ask:
        return Ask(self.route.near, call, *args)

    def find(self) -> Steps:
        """The entry under the key, or None."""
        return (yield self.ask(self._find))

    def _find(self) -> Entry | None:
        if self.cache._switches.off("get", self.key):
            return None
        try:
            return self.route.kv.read(self.key)  # type: ignore[return-value]
        except AfreshError as error:
            self.cache._degrade(error)
            return None
        finally:
            warn.emit()

    def hit(self, strategy: str, entry: Entry) -> None:
        """An answer is given from the cache."""
        self.cache._detectors.tell(self.key, strategy, entry[2])

    def run(self) -> Call:
        """The function itself."""
        return Call(self.call, self.args, self.kwargs)

    def begin(self, keep: Keep, flight: Flight) -> Steps:
        """The tags of the call with their epochs as they are now, before anything is computed."""
        if not keep.tags and self.route.never_fails and not self.cache._registered:
            return None
        return (yield self.ask(self.cache._begin, self.route, flight, [tag(self.arguments) for tag in keep.tags]))

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
        try:
            result = yield self.run()
        except Exception as error:
            if conditions.judged(keep.condition, error, self):
                yield self.ask(self._store, keep, flight, marks, version, Raised(error), form)
            raise
        if keep.slower_than is None or time.monotonic() - began > keep.slower_than:
            if conditions.judged(keep.condition, result, self):
                yield self.ask(self._store, keep, flight, marks, version, result, form)
        return result

    def _store(self, keep: Keep, flight: Flight, marks: Any, version: int, result: Any, form: Any) -> None:
        try:
            span = ttl.of_call(keep.ttl, self.args, self.kwargs, result)
            value = result if form is None else form(self, result, span)
        except Exception as error:  # noqa: BLE001 - the user's own code
            warn.once(f"a lifetime could not be computed ({error!r}); the result is returned and not kept")
            return
        self.cache._publish(flight, self.key, value, span, marks, version)


def given(value: Any) -> Any:
    """A stored answer as the function gave it: returned, or raised."""
    if type(value) is Raised:
        raise value.error
    return value
