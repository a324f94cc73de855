"""What Prometheus and OpenTelemetry are told is what happened, in names and labels that cannot grow without end."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import afresh
from afresh import _afresh, metrics


def exposed(**settings):
    """What a scrape gives: samples by name and labels."""
    registry = CollectorRegistry()
    # Other tests have called more functions than there are labels by default.
    metrics.prometheus(registry, **{"limit": 10**6, **settings})
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            key = (sample.name, *(value for _, value in sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


def observed(**settings):
    """What an exporter of OpenTelemetry gets, in the same form."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    metrics.opentelemetry(provider.get_meter("test"), **{"limit": 10**6, **settings})
    found = {}
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                assert metric.data.is_monotonic
                for point in metric.data.data_points:
                    found[(metric.name, *(value for _, value in sorted(point.attributes.items())))] = point.value
    provider.shutdown()
    return found


def calls(name, found=None):
    """What became of the calls of a function, without zeros."""
    found = exposed() if found is None else found
    return {key[2]: value for key, value in found.items() if key[:2] == ("afresh_calls_total", name) and value}


def test_hits_misses_and_what_they_are_worth(store):
    @afresh.memo(store=store, name="metrics.slow")
    def slow(x):
        time.sleep(0.03)
        return b"x" * 1000

    for n in (1, 1, 1, 2):
        slow(n)
    found = exposed()
    assert calls("metrics.slow", found) == {"hit": 2, "miss": 2}
    assert found["afresh_saved_seconds_total", "metrics.slow"] >= 0.06
    assert 2000 <= found["afresh_written_bytes_total", "metrics.slow"] < 3000
    assert 1000 <= found["afresh_read_bytes_total", "metrics.slow"] < 1500
    assert found["afresh_seconds_count", "metrics.slow", "run"] == 2
    assert found["afresh_seconds_sum", "metrics.slow", "run"] >= 0.06
    # One hit was found in the store; the other was in memory, and is not timed.
    assert found["afresh_seconds_count", "metrics.slow", "lookup"] == 1


def test_the_buckets_of_a_histogram_add_up(store):
    @afresh.memo(store=store, name="metrics.timed")
    def timed(x):
        time.sleep(x)

    for n in (0, 0.03, 0.11):
        timed(n)
    found = exposed()
    name = ("afresh_seconds_bucket", "metrics.timed", "run")
    runs = sorted((float(key[3]), value) for key, value in found.items() if key[:3] == name)
    assert [value for _, value in runs] == sorted(value for _, value in runs)
    assert runs[-1] == (float("inf"), 3)
    # None can have been faster than it slept.
    assert dict(runs)[0.025] <= 1 and dict(runs)[0.1] <= 2 and dict(runs)[600] == 3


def test_stale_early_and_refreshes_that_fail(store, runs):
    @afresh.memo(store=store, name="metrics.page", mode="name", ttl=0.05, stale=True)
    def page():
        runs.mark()
        if runs.count > 1:
            raise OSError("down")

    @afresh.memo(store=store, name="metrics.renewed", mode="name", ttl=60, early=59.99)
    def renewed():
        return 1

    page()
    renewed()
    time.sleep(0.1)
    page()
    renewed()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = exposed()
        if found["afresh_refresh_errors_total", "metrics.page"] and found["afresh_refreshes_total", "metrics.renewed"]:
            break
        time.sleep(0.01)
    assert calls("metrics.page", found) == {"miss": 1, "stale": 1}
    assert calls("metrics.renewed", found) == {"miss": 1, "early": 1}
    assert found["afresh_refresh_errors_total", "metrics.page"] == 1
    assert found["afresh_function_errors_total", "metrics.page"] == 1
    assert found["afresh_refreshes_total", "metrics.renewed"] == 1


def test_replays_and_rescues(store, runs):
    @afresh.memo(store=store, name="metrics.user", negative={KeyError: 60})
    def user():
        raise KeyError

    @afresh.memo(store=store, name="metrics.price", ttl=0.01, failover=OSError)
    def price():
        runs.mark()
        if runs.count > 1:
            raise OSError
        return 1

    for _ in range(3):
        with pytest.raises(KeyError):
            user()
    price()
    time.sleep(0.05)
    with pytest.warns(afresh.CacheWarning):
        assert price() == 1
    found = exposed()
    assert calls("metrics.user", found) == {"miss": 1, "replay": 2}
    assert found["afresh_rescues_total", "metrics.price"] == 1


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_calls_that_shared_a_run(store, kind):
    name = f"metrics.shared.{kind}"
    if kind == "threads":

        @afresh.memo(store=store, name=name)
        def slow():
            time.sleep(0.2)
            return 1

        threads = [threading.Thread(target=slow) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:

        @afresh.memo(store=store, name=name)
        async def slow():
            await asyncio.sleep(0.1)
            return 1

        async def main():
            await asyncio.gather(*(slow() for _ in range(4)))

        asyncio.run(main())
    found = exposed()
    assert calls(name, found) == {"miss": 1, "hit": 3}
    assert found["afresh_coalesced_total", name] == 3
    assert found["afresh_seconds_count", name, "wait"] == 3


def test_errors_of_the_store(said):
    class Broken(dict):
        def get(self, key):
            raise OSError("no")

        put = delete = keys = get

    @afresh.memo(store=Broken(), name="metrics.broken")
    def f():
        return 1

    with said:
        assert f() == f() == 1
    assert exposed()["afresh_store_errors_total", "metrics.broken"] == 2


def test_what_was_counted_stays_when_the_function_goes(store):
    def make():
        @afresh.memo(store=store, name="metrics.gone")
        def f(x):
            return x

        f(1), f(1)
        return f.with_options(force=True)

    forced = make()
    forced(1)
    before = calls("metrics.gone")
    assert before == {"hit": 1, "miss": 2}
    del forced
    gc.collect()
    assert calls("metrics.gone") == before
    make()(1)
    assert calls("metrics.gone") == {"hit": 3, "miss": 3}


def test_labels_are_bounded_and_nothing_is_lost(store):
    known = len(metrics._functions(10**6))
    for n in range(20):
        afresh.memo(lambda: 1, store=store, name=f"metrics.many.{n}", version="1")()
    found = exposed(limit=known + 5)
    own = [key for key in found if key[0] == "afresh_calls_total" and key[1].startswith("metrics.many.")]
    assert len({key[1] for key in own}) == 5
    assert found["afresh_calls_total", "(other)", "miss"] == 15
    assert found["afresh_seconds_count", "(other)", "run"] == 15
    assert sum(value for key, value in found.items() if key[0] == "afresh_calls_total") == sum(
        value for key, value in exposed().items() if key[0] == "afresh_calls_total"
    )


def again(test: str) -> None:
    """Runs a test of this file in a process of its own: those before it have taken all the places for names."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::{test}"]
    assert subprocess.run(command, check=False).returncode == 0


def test_caches():
    # Caches beyond so many names are counted together.
    if len(_afresh.cache_counts()) >= 1024:
        return again("test_caches")
    cache = afresh.SyncCache("metrics")
    cache.setup("memory:")
    cache.set("a", 1)
    cache.get("a"), cache.get("b"), cache.get_many("a", "b")
    cache.delete("a")

    def operations():
        return {key[2]: value for key, value in exposed().items() if key[:2] == ("afresh_cache_operations_total", "metrics")}

    assert operations() == {"hits": 2, "misses": 2, "writes": 1, "removals": 1, "errors": 0}
    cache.close()
    cache.setup("memory:")
    cache.set("a", 1)
    assert operations()["writes"] == 2


def test_both_say_the_same(store):
    if len(_afresh.counted()) > metrics.OBSERVED:
        # The SDK drops rows beyond two thousand: functions of other tests would take the places of ours.
        return again("test_both_say_the_same")

    @afresh.memo(store=store, name="metrics.both")
    def f(x):
        return x

    f(1), f(1)
    theirs = {key: value for key, value in observed().items() if "metrics.both" in key}
    ours = {key: value for key, value in exposed().items() if "metrics.both" in key}
    assert theirs["afresh.calls", "metrics.both", "hit"] == 1 and theirs["afresh.calls", "metrics.both", "miss"] == 1
    assert theirs["afresh.seconds.count", "metrics.both", "run"] == 1
    assert theirs["afresh.seconds.bucket", "metrics.both", "run", "+Inf"] == 1

    def plain(name):
        # `afresh.saved` in seconds is `afresh_saved_seconds_total`.
        for word in ("_total", "_seconds", "_bytes"):
            name = name.replace(word, "") if not name.startswith("afresh_seconds") else name
        return name.replace("_", ".", 1)

    counters = {(plain(key[0]), *key[1:]): value for key, value in ours.items() if not key[0].startswith("afresh_seconds")}
    assert counters == {key: value for key, value in theirs.items() if not key[0].startswith("afresh.seconds")}


def test_the_collector_is_lazy_and_can_be_registered_once(apart):
    """Importing afresh imports neither of them, and asking what there is asks for no figures."""
    assert apart(
        """
        import sys, afresh
        assert not {"prometheus_client", "opentelemetry", "afresh.metrics"} & set(sys.modules)
        assert [family.samples for family in afresh.metrics.Collector().describe() if family.samples] == []
        print("fine")
        """
    ) == "fine\n"
    registry = CollectorRegistry()
    metrics.prometheus(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.prometheus(registry)
