"""Coroutine functions: remembered as others are, and waiting never blocks the loop."""

import asyncio
import inspect
import pickle

import pytest

import afresh


def test_a_coroutine_function_is_remembered(store, runs):
    @afresh.memo(store=store)
    async def double(x):
        runs.mark()
        await asyncio.sleep(0)
        return 2 * x

    async def main():
        return await double(1), await double(x=1), await double(2)

    assert asyncio.run(main()) == (2, 2, 4)
    assert asyncio.run(double(1)) == 2 and runs.count == 2
    assert inspect.iscoroutinefunction(double) or asyncio.iscoroutinefunction(double)
    assert double.cached(1) and double.peek(1) == 2


def test_many_tasks_run_a_cold_call_once(store, runs):
    @afresh.memo(store=store)
    async def slow():
        runs.mark()
        await asyncio.sleep(0.05)
        return runs.count

    async def main():
        return await asyncio.gather(*(slow() for _ in range(100)))

    assert asyncio.run(main()) == [1] * 100


def test_those_who_wait_do_not_keep_out_whom_they_wait_for(store):
    """Each call needs an inner one, while more tasks wait than a pool has threads."""

    @afresh.memo(store=store)
    async def inner(x):
        await asyncio.sleep(0.01)
        return x

    @afresh.memo(store=store)
    async def outer(x):
        await asyncio.sleep(0.01)
        return await inner(x)

    async def main():
        return await asyncio.wait_for(asyncio.gather(*(outer(n % 3) for n in range(120))), 60)

    assert asyncio.run(main()) == [n % 3 for n in range(120)]


def test_waiting_does_not_block_the_loop(store):
    @afresh.memo(store=store)
    async def slow():
        await asyncio.sleep(0.2)

    async def main():
        tasks = [asyncio.create_task(slow()) for _ in range(2)]
        ticks = 0
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.001)
            ticks += 1
        return ticks

    assert asyncio.run(main()) > 10


@pytest.mark.parametrize("who", ["owner", "waiter"])
def test_cancelling_one_costs_the_others_nothing(store, runs, who):
    @afresh.memo(store=store)
    async def slow():
        runs.mark()
        await asyncio.sleep(0.05)
        return "value"

    async def main():
        tasks = [asyncio.create_task(slow()) for _ in range(5)]
        await asyncio.sleep(0.02)
        victim = tasks.pop(0 if who == "owner" else -1)
        victim.cancel()
        with pytest.raises(asyncio.CancelledError):
            await victim
        return await asyncio.wait_for(asyncio.gather(*tasks), 30)

    assert asyncio.run(main()) == ["value"] * 4
    assert runs.count == 1


def test_failures_and_retries(store, runs):
    @afresh.memo(store=store, retries=1, backoff=0)
    async def shaky(limit):
        runs.mark()
        if runs.count < limit:
            raise OSError("no")
        return runs.count

    assert asyncio.run(shaky(2)) == 2
    with pytest.raises(OSError, match="no"):
        asyncio.run(shaky(100))
    assert [c.status for c in afresh.Client(store).log()] == ["failed", "completed"]


def test_a_timeout(store):
    @afresh.memo(store=store, timeout=0.02)
    async def slow():
        await asyncio.sleep(30)

    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        asyncio.run(slow())


def test_arguments_that_do_not_fit(store):
    @afresh.memo(store=store)
    async def one(x):
        return x

    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        asyncio.run(one())


def test_a_result_that_cannot_be_loaded_is_computed_again(store, said, runs):
    class Forgetful:
        name = "forgetful"

        def dumps(self, value):
            return pickle.dumps(value)

        def loads(self, data):
            raise RuntimeError("forgot")

    @afresh.memo(store=store, codec=Forgetful())
    async def work():
        runs.mark()
        return 1

    with said:
        assert asyncio.run(work()) == asyncio.run(work()) == 1
    assert runs.count == 2 and any("forgot" in text for text in said)


def test_a_failing_store_costs_no_value(said):
    class Broken:
        def get(self, key):
            raise OSError("broken")

        put = delete = keys = get

    @afresh.memo(store=Broken())
    async def work():
        return 1

    with said:
        assert asyncio.run(work()) == 1
    assert len(said) == 1 and "broken" in said[0]


def test_references_are_awaited_arguments_like_others(store):
    client = afresh.Client(store)

    @afresh.memo(store=store)
    async def double(x):
        return 2 * x

    assert asyncio.run(double(client.submit(int, "4"))) == 8


def test_methods_and_refresh(store, runs):
    class Thing:
        @afresh.memo(store=store)
        async def get(self, x):
            runs.mark()
            return x

    thing = Thing()
    assert asyncio.run(thing.get(1)) == asyncio.run(Thing().get(1)) == 1 and runs.count == 1
    assert asyncio.run(Thing.get.refresh(thing, 1)) == 1 and runs.count == 2


def test_a_call_that_comes_back_to_itself_does_not_wait_for_itself(store):
    seen = []

    @afresh.memo(store=store, version="1")
    async def again():
        seen.append(1)
        return "inner" if len(seen) > 1 else "outer, " + await again()

    assert asyncio.run(asyncio.wait_for(again(), 30)) == "outer, inner"


def test_what_a_call_gives_behaves_as_a_coroutine(store):
    import collections.abc
    import inspect

    @afresh.memo(store=store)
    async def double(x):
        await asyncio.sleep(0)
        return (2 * x, StopIteration("x"))

    async def look():
        for _ in range(3):
            one = double(4)
            assert inspect.iscoroutine(one) and inspect.isawaitable(one) and asyncio.iscoroutine(one)
            assert isinstance(one, collections.abc.Coroutine) and one.__name__ == "double"
            assert one.cr_code is double.__wrapped__.__code__ and one.cr_frame is None and not one.cr_running
            value, raised = await one
            assert value == 8 and type(raised) is StopIteration
            with pytest.raises(RuntimeError, match="already awaited"):
                await one
            assert (await asyncio.create_task(double(4)))[0] == 8
            assert (await asyncio.wait_for(double(4), 1))[0] == 8
            assert [v[0] for v in await asyncio.gather(double(4), double(4))] == [8, 8]
            closed = double(4)
            closed.close()
            with pytest.raises(ValueError, match="thrown"):
                double(4).throw(ValueError("thrown"))
        return "done"

    assert asyncio.run(look()) == "done"
    for _ in range(2):
        one = double(4)
        with pytest.raises(StopIteration) as ended:
            one.send(None)
        assert ended.value.value[0] == 8
        one = iter(double(4))
        with pytest.raises(StopIteration) as ended:
            next(one)
        assert ended.value.value[0] == 8
