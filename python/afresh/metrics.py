"""What remembered functions and caches did in this process, for Prometheus and OpenTelemetry.

Nothing is measured for this: the figures are those that functions and caches count anyway, and they are put together
when somebody asks, so that a call pays nothing. Figures only grow, also when a function is collected. They are of this
process alone: of several workers each is to be asked.

The labels are bounded: the first ``limit`` functions (by their first call) have a label of their own, and so have caches;
all others are counted together as ``(other)``. For OpenTelemetry it is 40 unless given.

    afresh.metrics.prometheus()        # registers a collector with prometheus_client
    afresh.metrics.opentelemetry()     # makes observable instruments on a meter
"""

from __future__ import annotations

from afresh import _afresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, NamedTuple, TypeAlias

    from opentelemetry.metrics import Meter, Observation
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry

    Rows: TypeAlias = Iterator[tuple[tuple[str, ...], float]]

    class Function(NamedTuple):
        """What the functions of one name did."""

        name: str
        counts: dict[str, int]
        times: dict[str, tuple[list[int], float]]

__all__ = ["FIGURES", "LIMIT", "OBSERVED", "Collector", "Figure", "histograms", "opentelemetry", "prometheus"]

#: How many functions, and how many caches, have a label of their own.
LIMIT = 200
#: The same for OpenTelemetry, whose SDK keeps 2,000 rows of an instrument: each function has up to 42 in that of the buckets.
OBSERVED = 40
#: The label of all others.
REST = "(other)"


class Figure:
    """A counter: its name, what it says, its unit, the names of its labels, and how to read it."""

    __slots__ = ("_read", "help", "labels", "name", "unit")

    def __init__(self, name: str, help: str, unit: str, labels: tuple[str, ...], read: Callable[[int], Rows]) -> None:
        self.name, self.help, self.unit, self.labels, self._read = name, help, unit, labels, read

    def read(self, limit: int = LIMIT) -> list[tuple[tuple[str, ...], float]]:
        """The values of its labels, and what was counted."""
        return list(self._read(limit))


def _functions(limit: int) -> list[Function]:
    """What was counted, with the names beyond the limit in one."""
    rows = _afresh.counted()
    found = rows[:limit]
    rest = rows[limit:]
    if rest:
        counts, times = dict(rest[0][1]), dict(rest[0][2])
        for _, more, timed in rest[1:]:
            counts = {name: count + more[name] for name, count in counts.items()}
            for kind, (buckets, total) in times.items():
                added, sum_ = timed[kind]
                times[kind] = ([a + b for a, b in zip(buckets, added)], total + sum_)
        found.append((REST, counts, times))
    return found  # type: ignore[return-value]


def _calls(limit: int) -> Rows:
    for name, counts, _ in _functions(limit):
        fresh = counts["hits"] - counts["stale"] - counts["early"]
        for result, count in (
            ("hit", fresh),
            ("stale", counts["stale"]),
            ("early", counts["early"]),
            ("miss", counts["misses"]),
            ("replay", counts["replays"]),
        ):
            yield (name, result), count


def _count(of: str, scale: float = 1) -> Callable[[int], Rows]:
    def read(limit: int) -> Rows:
        for name, counts, _ in _functions(limit):
            yield (name,), counts[of] * scale

    return read


def _caches(limit: int) -> Rows:
    rows = _afresh.cache_counts()
    rest: dict[str, int] = {}
    for place, (name, counts) in enumerate(rows):
        for operation, count in counts:
            if place < limit:
                yield (name, operation), count
            else:
                rest[operation] = rest.get(operation, 0) + count
    for operation, count in rest.items():
        yield (REST, operation), count


_PER_FUNCTION = ("function",)
FIGURES = (
    Figure("calls", "Calls by what became of them: hit, stale, early, miss, replay.", "", ("function", "result"), _calls),
    Figure("coalesced", "Calls that waited for another's run and were given its answer.", "", _PER_FUNCTION, _count("coalesced")),
    Figure("refreshes", "Runs in the background that made a new answer.", "", _PER_FUNCTION, _count("refreshes")),
    Figure("refresh_errors", "Runs in the background that failed.", "", _PER_FUNCTION, _count("refresh_errors")),
    Figure("function_errors", "Exceptions of the function, wherever it ran.", "", _PER_FUNCTION, _count("errors")),
    Figure("rescues", "Failures for which an earlier answer stood in.", "", _PER_FUNCTION, _count("rescues")),
    Figure("store_errors", "Errors of the store, each of which cost a run or an answer.", "", _PER_FUNCTION, _count("store_errors")),
    Figure("saved", "How long the answers that were given once took to compute.", "seconds", _PER_FUNCTION, _count("saved_us", 1e-6)),
    Figure("read", "Bytes of answers that were read from the store.", "bytes", _PER_FUNCTION, _count("read_bytes")),
    Figure("written", "Bytes of answers that were stored.", "bytes", _PER_FUNCTION, _count("written_bytes")),
    Figure("cache_operations", "Operations of caches: hits, misses, writes, removals, errors.", "", ("cache", "operation"), _caches),
)  # fmt: skip


def histograms(limit: int = LIMIT) -> Iterator[tuple[tuple[str, str], list[tuple[str, int]], float]]:
    """What took how long: function and kind (``run``, ``lookup``: an answer found in the store, ``wait``: for another's
    run), how many took at most so many seconds, and the sum. An answer from memory is not timed.
    """
    ends = [*map(str, _afresh.timing_ends()), "+Inf"]
    for name, _, times in _functions(limit):
        for kind, (buckets, total) in times.items():
            if any(buckets):
                so_far, rows = 0, []
                for end, count in zip(ends, buckets):
                    so_far += count
                    rows.append((end, so_far))
                yield (name, kind), rows, total


class Collector:
    """For ``prometheus_client``: register it, or hand it to what registers collectors."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit

    def describe(self) -> Iterable[Metric]:
        """The names, without asking for the figures."""
        return self._families(empty=True)

    def collect(self) -> Iterable[Metric]:
        """The figures as they are now."""
        return self._families(empty=False)

    def _families(self, empty: bool) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        for figure in FIGURES:
            name = f"afresh_{figure.name}" + (f"_{figure.unit}" if figure.unit else "")
            family = CounterMetricFamily(name, figure.help, labels=figure.labels)
            for labels, value in () if empty else figure.read(self.limit):
                family.add_metric(labels, value)
            yield family
        text = "How long runs, look-ups in the store and waiting for another's run took."
        histogram = HistogramMetricFamily("afresh_seconds", text, labels=("function", "kind"))
        for labels, buckets, total in () if empty else histograms(self.limit):
            histogram.add_metric(labels, buckets, total)
        yield histogram


def prometheus(registry: CollectorRegistry | None = None, *, limit: int = LIMIT) -> Collector:
    """Registers a collector, with the registry of the process where none is given. Needs ``afresh[prometheus]``."""
    from prometheus_client import REGISTRY

    collector = Collector(limit)
    (REGISTRY if registry is None else registry).register(collector)
    return collector


def opentelemetry(meter: Meter | None = None, *, limit: int = OBSERVED) -> list[Any]:
    """Makes observable counters on the meter, or on one of the process's provider. Needs ``afresh[opentelemetry]``.

    There is no observable histogram, so what was timed comes as three counters, of which the one of the buckets has
    the upper end as the attribute ``le``.
    """
    from opentelemetry.metrics import Observation, get_meter

    meter = get_meter("afresh") if meter is None else meter

    def observed(figure: Figure) -> Callable[[Any], Iterable[Observation]]:
        return lambda _: [Observation(value, dict(zip(figure.labels, labels))) for labels, value in figure.read(limit)]

    def timed(of: Callable[[list[tuple[str, int]], float], Iterable[tuple[dict[str, str], float]]]) -> Any:
        def read(_: Any) -> Iterable[Observation]:
            for (function, kind), buckets, total in histograms(limit):
                for more, value in of(buckets, total):
                    yield Observation(value, {"function": function, "kind": kind, **more})

        return read

    units = {"seconds": "s", "bytes": "By", "": "1"}
    made = [
        meter.create_observable_counter(f"afresh.{figure.name}", [observed(figure)], units[figure.unit], figure.help)
        for figure in FIGURES
    ]
    parts: tuple[tuple[str, str, Any], ...] = (
        ("count", "1", lambda buckets, total: [({}, buckets[-1][1])]),
        ("sum", "s", lambda buckets, total: [({}, total)]),
        ("bucket", "1", lambda buckets, total: [({"le": end}, count) for end, count in buckets]),
    )
    for part, unit, of in parts:
        text = "Runs, look-ups in the store and waiting for another's run: how many, how long, how many up to `le` seconds."
        made.append(meter.create_observable_counter(f"afresh.seconds.{part}", [timed(of)], unit, text))
    return made
