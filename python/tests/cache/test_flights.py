"""Many who want one value at the same time: threads, tasks, several loops, and locks between processes."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar

import pytest

import afresh
from afresh.cache import LockedError


@pytest.fixture(params=["memory", "sqlite"])
def cache(request, store):
    cache = afresh.Cache()
    cache.setup("memory:" if request.param == "memory" else store)
    return cache


class Made:
    """A function that takes a while, and counts its runs."""

    def __init__(self, took: float = 0.1, error: Exception | None = None) -> None:
        self.runs, self.took, self.error = 0, took, error

    def __call__(self):
        self.runs += 1
        time.sleep(self.took)
        if self.error is not None:
            raise self.error
        return [self.runs]

    async def later(self):
        self.runs += 1
        await asyncio.sleep(self.took)
        if self.error is not None:
            raise self.error
        return [self.runs]


def in_threads(count, call):
    given, errors = [], []

    def work():
        try:
            given.append(call())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return given, errors


def test_t14_a_thousand_tasks_compute_once(cache):
    made = Made(0.3)

    async def main():
        return await asyncio.gather(*[cache.get_or_set("k", made.later, 60) for _ in range(1000)])

    given = asyncio.run(main())
    assert (made.runs, given) == (1, [[1]] * 1000)
    assert len({id(value) for value in given}) == 1000


def test_t14_threads_compute_once(cache):
    made = Made(0.2)
    given, errors = in_threads(64, lambda: cache.sync.get_or_set("k", made, 60))
    assert (made.runs, given, errors) == (1, [[1]] * 64, [])


def test_t21_several_loops_compute_once(cache):
    made = Made(0.2)

    async def main():
        return await asyncio.gather(*[cache.get_or_set("k", made.later, 60) for _ in range(5)])

    given, errors = in_threads(4, lambda: asyncio.run(main()))
    assert (made.runs, given, errors) == (1, [[[1]] * 5] * 4, [])
    assert asyncio.run(cache.get("k")) == [1]


def test_t14_a_failure_is_computed_once_and_everybody_s_own(cache):
    made = Made(0.1, ValueError("no"))

    async def main():
        return await asyncio.gather(
            *[cache.get_or_set("k", made.later, 60) for _ in range(20)], return_exceptions=True
        )

    given = asyncio.run(main())
    assert made.runs == 1
    assert all(type(error) is ValueError and error.args == ("no",) for error in given)
    assert len({id(error) for error in given}) == 20
    made.error = None
    assert asyncio.run(cache.get_or_set("k", made.later, 60)) == [2]


@pytest.mark.parametrize("cancelled", [0, 3])
def test_t2_who_is_cancelled_is_alone(cache, cancelled):
    made = Made(0.15)

    async def main():
        tasks = [asyncio.create_task(cache.get_or_set("k", made.later, 60)) for _ in range(5)]
        await asyncio.sleep(0.05)
        tasks[cancelled].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    given = asyncio.run(main())
    assert isinstance(given.pop(cancelled), asyncio.CancelledError)
    # The computation of a leader that is gone is taken over.
    assert given == [[made.runs]] * 4
    assert made.runs == (2 if cancelled == 0 else 1)


def test_t2_an_impatient_one_leaves_the_patient_alone(cache):
    made = Made(0.2)

    async def main():
        patient = [asyncio.create_task(cache.get_or_set("k", made.later, 60)) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(cache.get_or_set("k", made.later, 60), 0.05)
        return await asyncio.gather(*patient)

    assert asyncio.run(main()) == [[1]] * 4


def test_t17_the_function_runs_in_the_caller_s_task_and_context(cache):
    variable = ContextVar("variable", default="before")

    async def make():
        variable.set("within")
        return id(asyncio.current_task())

    async def main():
        return await cache.get_or_set("k", make, 60) == id(asyncio.current_task()), variable.get()

    assert asyncio.run(main()) == (True, "within")


def test_t24_a_call_that_meets_itself_computes(cache):
    async def inner():
        return "inner"

    async def outer():
        return await asyncio.wait_for(cache.get_or_set("k", inner, 60), 5), "outer"

    assert asyncio.run(cache.get_or_set("k", outer, 60)) == ("inner", "outer")
    assert cache.sync.get_or_set("j", lambda: cache.sync.get_or_set("j", lambda: 1)) == 1


@pytest.mark.parametrize("how", ["delete", "delete_match", "delete_tags", "clear"])
def test_what_is_taken_back_while_it_is_computed_is_not_stored(cache, how):
    async def main():
        computing = asyncio.create_task(cache.get_or_set("k", Made(0.1).later, 60, tags=["t"]))
        waiting = asyncio.create_task(cache.get_or_set("k", Made(0.1).later, 60, tags=["t"]))
        await asyncio.sleep(0.03)
        await {
            "delete": lambda: cache.delete("k"),
            "delete_match": lambda: cache.delete_match("k*"),
            "delete_tags": lambda: cache.delete_tags("t"),
            "clear": cache.clear,
        }[how]()
        return await computing, await waiting, await cache.get("k", "absent")

    assert asyncio.run(main()) == ([1], [1], "absent")


@pytest.mark.filterwarnings("error")
def test_a_value_to_be_awaited_is_awaited_once_or_not_at_all(cache):
    made = Made(0.05)

    async def main():
        given = await asyncio.gather(*[cache.get_or_set("k", made.later(), 60) for _ in range(3)])
        return given, await cache.get_or_set("k", made.later(), 60)

    assert asyncio.run(main()) == ([[1]] * 3, [1])
    assert made.runs == 1


def test_what_is_set_while_it_is_computed_stays(cache):
    async def main():
        computing = asyncio.create_task(cache.get_or_set("k", Made(0.1).later, 60))
        await asyncio.sleep(0.03)
        await cache.set("k", "newer")
        return await computing, await cache.get("k")

    assert asyncio.run(main()) == ([1], "newer")


@pytest.mark.parametrize("how", ["delete", "delete_match", "delete_tags", "clear"])
@pytest.mark.parametrize("decorated", [False, True])
def test_what_another_process_takes_back_while_it_is_computed_is_not_stored(store, how, decorated):
    # Two caches know no more of each other than two processes do.
    one, other = afresh.SyncCache(), afresh.SyncCache()
    one.setup(store)
    other.setup(store)
    call = {
        "delete": lambda: other.delete("k"),
        "delete_match": lambda: other.delete_match("k*"),
        "delete_tags": lambda: other.delete_tags("t"),
        "clear": other.clear,
    }[how]

    def compute():
        call()
        return "old"

    if decorated:
        assert one.cache(ttl=60, key="k", tags=["t"])(compute)() == "old"
    else:
        assert one.get_or_set("k", compute, 60, tags=["t"]) == "old"
    assert one.get("k", "absent") == "absent"
    assert one.get_or_set("k", lambda: "new", 60) == "new"
    assert other.get("k") == "new"


def test_t19_incr_loses_nothing_between_threads(cache):
    in_threads(8, lambda: [cache.sync.incr("n") for _ in range(200)])
    in_threads(8, lambda: [cache.sync.incr("tagged", tags=["t"]) for _ in range(50)])
    assert (cache.sync.get("n"), cache.sync.get("tagged")) == (1600, 400)


# Locks


def test_t7_one_at_a_time_is_within_a_lock(cache):
    inside, most = 0, 0

    def work():
        nonlocal inside, most
        for _ in range(10):
            with cache.sync.lock("l", 30):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)
                inside -= 1

    in_threads(8, work)
    assert (inside, most, cache.sync.is_locked("l")) == (0, 1, False)


def test_t7_leaving_late_does_not_let_a_third_in(cache):
    cache = cache.sync
    first, second = cache.lock("l", 0.05), cache.lock("l", 30)
    with first:
        time.sleep(0.08)
        with second:
            first.__exit__(None, None, None)
            assert cache.is_locked("l") is True
            with pytest.raises(LockedError):
                with cache.lock("l", 30, wait=False):
                    pass
        first._owner = "gone"
    assert cache.is_locked("l") is False


def test_t15_those_who_wait_for_a_lock_are_woken_and_do_not_spin(cache):
    took = []

    async def work():
        async with cache.lock("l", 30):
            await asyncio.sleep(0.3)

    async def main():
        holding = asyncio.create_task(work())
        await asyncio.sleep(0.05)
        began, used = time.monotonic(), time.process_time()
        async with cache.lock("l", 30):
            took.append((time.monotonic() - began, time.process_time() - used))
        await holding

    asyncio.run(main())
    waited, used = took[0]
    assert waited > 0.2
    assert used < 0.2


def test_a_wait_for_a_lock_may_have_an_end(cache):
    cache.sync.set_lock("l", "other", 60)
    began = time.monotonic()
    with pytest.raises(LockedError):
        with cache.sync.lock("l", 60, wait=0.1):
            pass
    assert 0.09 < time.monotonic() - began < 10
    assert cache.sync.unlock("l", "other") is True


def test_a_cancelled_waiter_leaves_the_lock_to_the_next(cache):
    async def enter():
        async with cache.lock("l", 30):
            return True

    async def main():
        async with cache.lock("l", 30):
            first = asyncio.create_task(enter())
            second = asyncio.create_task(enter())
            await asyncio.sleep(0.05)
            first.cancel()
            await asyncio.sleep(0)
        return await asyncio.wait_for(second, 2)

    assert asyncio.run(main()) is True


def test_t7_t9_processes_share_locks_and_counters(store, apart):
    script = apart.write(
        "work.py",
        """
        import sys, time
        import afresh

        cache = afresh.SyncCache()
        cache.setup(sys.argv[1])
        failed = 0
        for i in range(60):
            with cache.lock("l", 30):
                seen = cache.get("unguarded", 0)
                cache.set("unguarded", seen + 1)
            cache.incr("counter")
            failed += not cache.set(f"{sys.argv[2]}:{i}", i)
        print(failed)
        """,
    )
    children = [apart.start(str(script), store, str(n)) for n in range(4)]
    said = [child.communicate(timeout=100) for child in children]
    assert [out.strip() for out, _ in said] == ["0"] * 4, said
    cache = afresh.SyncCache()
    cache.setup(store)
    assert (cache.get("unguarded"), cache.get("counter"), len(list(cache.scan("?*"))), cache.is_locked("l")) == (
        240,
        240,
        0,
        False,
    )
    assert len(list(cache.scan("*:*"))) == 240


def test_a_lock_of_a_killed_process_ends_by_itself(store, apart):
    script = apart.write(
        "work.py",
        """
        import os, sys, afresh
        cache = afresh.SyncCache()
        cache.setup(sys.argv[1])
        cache.lock("l", 1).__enter__()
        os.kill(os.getpid(), 9)
        """,
    )
    apart.start(str(script), store).wait(60)
    cache = afresh.SyncCache()
    cache.setup(store)
    began = time.monotonic()
    with cache.lock("l", 1, wait=30):
        assert time.monotonic() - began < 20
