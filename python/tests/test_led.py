"""A run of a coroutine function that others wait for does not end with whoever began it (cashews T17, and beyond)."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

import afresh

who = contextvars.ContextVar("who", default="nobody")


def test_ten_wait_the_leader_is_cancelled_and_it_ran_once(store, runs):
    @afresh.memo(store=store)
    async def slow():
        runs.mark()
        await asyncio.sleep(0.05)
        return "value"

    async def main():
        leader = asyncio.create_task(slow())
        await asyncio.sleep(0)
        waiters = [asyncio.create_task(slow()) for _ in range(10)]
        # They are on their way to a thread, no further: they count already.
        await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        return await asyncio.wait_for(asyncio.gather(*waiters), 30)

    assert asyncio.run(main()) == ["value"] * 10
    assert runs.count == 1
    assert slow.stats().misses == 1 and slow.stats().hits == 10


def test_a_waiter_in_another_thread_counts(store, runs):
    @afresh.memo(store=store)
    async def slow():
        runs.mark()
        await asyncio.sleep(0.3)
        return "value"

    got = []

    async def main():
        leader = asyncio.create_task(slow())
        await asyncio.sleep(0.02)
        other = threading.Thread(target=lambda: got.append(asyncio.run(slow())))
        other.start()
        await asyncio.sleep(0.1)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        await asyncio.to_thread(other.join)

    asyncio.run(main())
    assert got == ["value"] and runs.count == 1


def test_where_nobody_waits_the_function_is_cancelled_and_may_clean_up(store, runs):
    cleaned = []

    @afresh.memo(store=store)
    async def slow():
        runs.mark()
        try:
            await asyncio.sleep(0.01 if runs.count > 1 else 30)
        except asyncio.CancelledError as cancelled:
            await asyncio.sleep(0)
            cleaned.append(cancelled.args)
            raise
        return "value"

    async def main():
        leader = asyncio.create_task(slow())
        await asyncio.sleep(0.02)
        leader.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await leader
        assert cleaned == [("enough",)]
        return await slow()

    assert asyncio.run(main()) == "value"
    assert runs.count == 2


def test_a_function_may_refuse_to_be_cancelled(store):
    @afresh.memo(store=store)
    async def stubborn():
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return "value"

    async def main():
        leader = asyncio.create_task(stubborn())
        await asyncio.sleep(0.02)
        leader.cancel()
        return await leader

    assert asyncio.run(main()) == "value"
    assert stubborn.cached()


def test_it_has_its_callers_context_and_the_caller_finds_what_it_set(store):
    @afresh.memo(store=store)
    async def sign(x):
        seen = who.get()
        await asyncio.sleep(0)
        who.set("the function")
        if x is None:
            raise ValueError(seen)
        return seen

    async def main():
        who.set("the caller")
        assert await sign(1) == "the caller" and who.get() == "the function"
        who.set("the caller")
        with pytest.raises(ValueError, match="the caller"):
            await sign(None)
        assert who.get() == "the function"

    asyncio.run(main())


def test_nobody_is_told_of_a_failure_after_the_caller_has_gone(store, runs):
    """The waiters meet it: each of them tries for itself, as after any failure."""

    @afresh.memo(store=store)
    async def fails():
        runs.mark()
        await asyncio.sleep(0.05)
        raise OSError(runs.count)

    told = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        leader = asyncio.create_task(fails())
        await asyncio.sleep(0.01)
        waiter = asyncio.create_task(fails())
        await asyncio.sleep(0.01)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        with pytest.raises(OSError, match="2"):
            await waiter

    asyncio.run(main())
    assert told == [] and runs.count == 2


def test_a_hit_makes_no_task(store):
    @afresh.memo(store=store)
    async def double(x):
        return 2 * x

    made = []

    async def main():
        loop = asyncio.get_running_loop()
        await double(1)
        loop.set_task_factory(lambda loop, coro, **given: made.append(coro) or asyncio.Task(coro, loop=loop, **given))
        assert [await double(1) for _ in range(100)] == [2] * 100
        assert made == []
        await double(2)
        assert len(made) == 1

    asyncio.run(main())
