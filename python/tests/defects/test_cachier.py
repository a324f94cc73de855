"""Defects of cachier, one test each."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import threading
import time

import pytest

import afresh

BODY = """
    N = 1
    def h(x): return x + N
    def f(x): return h(x) * 2
    """


@pytest.mark.parametrize(
    ("edit", "gives"),
    [(("* 2", "* 3"), "6"), (("x + N", "x - N"), "0"), (("N = 1", "N = 2"), "6")],
    ids=["body", "helper", "constant"],
)
def test_an_edit_of_a_body_or_helper_is_seen(project, edit, gives):
    """Edits of body or helpers give stale results without a word (open since 2020)."""
    project.write(BODY)
    assert project.call() == ["4", "ran"]
    assert project.call() == ["4", "kept"]
    project.write(BODY.replace(*edit))
    assert project.call() == [gives, "ran"]
    project.write(BODY)
    assert project.call() == ["4", "kept"], "and back"


def test_a_set_is_one_argument_in_every_process(project):
    """Set arguments differ across processes."""
    project.write("def f(x): return len(x)")
    call = "f({'a', 'b', ('c', None), frozenset('xyz')})"
    assert project.call(call, PYTHONHASHSEED="1") == ["4", "ran"]
    assert project.call(call, PYTHONHASHSEED="2") == ["4", "kept"]
    assert project.call("f({frozenset('zyx'), ('c', None), 'b', 'a'})", PYTHONHASHSEED="3") == ["4", "kept"]


def test_the_order_of_a_dict_is_no_part_of_the_call(store, runs):
    """The order of a dict changes the key."""

    @afresh.memo(store=store)
    def f(x, **rest):
        runs.mark()
        return 1

    f({"a": 1, "b": 2}, c=3, d=4)
    f({"b": 2, "a": 1}, d=4, c=3)
    assert runs.count == 1


def test_awaiting_a_running_computation_waits_for_it(store, runs):
    """The async path does not wait for a running computation."""

    @afresh.memo(store=store)
    async def f():
        runs.mark()
        await asyncio.sleep(0.1)
        return runs.count

    async def main():
        first = asyncio.create_task(f())
        await asyncio.sleep(0.03)
        return await asyncio.gather(first, *(f() for _ in range(5)))

    assert asyncio.run(main()) == [1] * 6 and runs.count == 1


def test_a_killed_owner_blocks_nobody(apart, runs):
    """A killed owner blocks others, for ever by default."""
    script = apart.write(
        "work.py",
        """
        import sys, time, afresh
        @afresh.memo(store="store")
        def f():
            open("runs", "a").write("x")
            if sys.argv[1] == "hang":
                time.sleep(600)
            return 1
        print(f())
        """,
    )
    owner = apart.start(str(script), "hang")
    while not runs.count:
        time.sleep(0.01)
    waiting = apart.start(str(script), "go")
    time.sleep(0.3)
    assert runs.count == 1, "while the owner lives the other waits"
    os.kill(owner.pid, signal.SIGKILL)
    assert waiting.communicate(timeout=30)[0] == "1\n" and runs.count == 2


def test_a_new_entry_rewrites_no_other(store):
    """The whole file of a function is written anew for each new entry."""

    @afresh.memo(store=store)
    def f(n):
        return bytes([n % 256]) * 2000 + os.urandom(2000)

    def written():
        return int(next(line.split()[1] for line in pathlib.Path("/proc/self/io").read_text().splitlines() if line.startswith("wchar")))

    if not os.path.exists("/proc/self/io"):
        pytest.skip("how much was written is told by Linux only")
    for n in range(50):
        f(n)
    before = written()
    for n in range(50, 100):
        f(n)
    first = written() - before
    for n in range(100, 400):
        f(n)
    before = written()
    for n in range(400, 450):
        f(n)
    assert written() - before < 3 * first, "fifty entries cost as much after four hundred as after fifty"


def test_what_cannot_be_hashed_is_an_argument(store, runs):
    """Unhashable arguments need a ``hash_func``."""

    @afresh.memo(store=store)
    def f(x):
        runs.mark()
        return 1

    for _ in range(2):
        f([1, {"a": {2}}])
        f({"a": [1], (1, 2): bytearray(b"x")})
    assert runs.count == 2


def test_who_waits_is_woken_and_does_not_poll_by_the_second(store):
    """Those who wait look again after a second."""
    began, ended = threading.Event(), []

    @afresh.memo(store=store)
    def f():
        began.set()
        time.sleep(0.2)
        ended.append(time.monotonic())
        return 1

    first = threading.Thread(target=f)
    first.start()
    began.wait(10)
    f()
    waited = time.monotonic() - ended[0]
    first.join()
    assert len(ended) == 1 and waited < 0.9


def test_the_memory_store_serves_every_thread(at_once):
    """The memory backend is safe for no more than one."""
    runs = []

    @afresh.memo(store="memory:", mode="name", version="t")
    def f(n):
        runs.append(n)
        return [n]

    assert sorted(at_once(16, lambda n: f(n % 4))) == sorted([[n % 4] for n in range(16)])
    assert sorted(runs) == [0, 1, 2, 3]
