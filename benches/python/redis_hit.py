"""A hit in a store on Redis: where the server is asked each time, and where the process is told of changes instead.

Starts a server of its own, which keeps nothing on disk; where there is no ``redis-server`` there is nothing to measure.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import Line, Loop, Target, alternate, line, note, tight, tight_async
from systems import OURS, SYSTEMS
from workload import add, add_async

ASKED = "≤ 1.1 × a raw GET; with client tracking ≤ the in-process hit + 100 ns"
SECONDS = 180
#: How much more than a hit in the process itself one may cost that another machine may take back.
MORE = 100e-9
#: How many calls wait at the same time in the line for that.
MANY = 1000


def measure(folder: Path) -> Iterator[Line]:
    with server(folder) as port:
        if port is None:
            return note("there is no redis-server: not measured")
        yield from asked_each_time(f"redis://127.0.0.1:{port}")
        yield tracked(f"redis://127.0.0.1:{port}", folder)


def asked_each_time(url: str) -> Iterator[Line]:
    import redis
    import redis.asyncio

    # What a hit brings, as bytes that somebody put there.
    plain = redis.Redis.from_url(url)
    plain.set("plain", b"x" * 256)
    ours = SYSTEMS[OURS](f"{url}?track=no")(add)
    loops = {OURS: tight("f(7)", f=ours), "redis-py GET": tight("get('plain')", get=plain.get)}
    asked = [Target("≤ 1.1 × a raw GET", 1.1, "redis-py GET")]
    yield line("hit in Redis, asked each time", "s", alternate(loops), asked, [said(plain)])

    runner = asyncio.new_event_loop()
    plain_async = redis.asyncio.Redis.from_url(url)
    functions: dict[str, Any] = {
        OURS: SYSTEMS[OURS](f"{url}?track=no")(add_async),
        "cashews redis": cashews(url)(add_async),
    }
    loops = {name: tight_async(runner, "f(7)", f=function) for name, function in functions.items()}
    loops["redis-py GET"] = tight_async(runner, "get('plain')", get=plain_async.get)
    yield line("hit in Redis, asked each time, awaited", "s", alternate(loops))

    def at_once(call: Any) -> Loop:
        async def each() -> None:
            await asyncio.gather(*(call(key) for key in range(MANY)))

        def loop(times: int) -> None:
            for _ in range(times):
                runner.run_until_complete(each())

        loop(1)
        return loop

    many = {name: at_once(function) for name, function in functions.items()}
    yield line(f"{MANY:,} hits in Redis at once", "s", alternate(many, calls=1, rounds=15))
    runner.run_until_complete(plain_async.aclose())


def tracked(url: str, folder: Path) -> Line:
    """Beside the same function in a store of this host, and beside cashews, which keeps answers in the process too."""
    runner = asyncio.new_event_loop()
    ours = SYSTEMS[OURS](f"{url}?prefix=tracked")(add)
    near = SYSTEMS[OURS](str(folder / "near"))(add)
    rival = cashews(url, client_side=True)(add_async)
    loops = {
        OURS: tight("f(7)", f=ours),
        "afresh in the process": tight("f(7)", f=near),
        "cashews redis, client_side": tight_async(runner, "f(7)", f=rival),
    }
    ours(7)
    # The server says that it will tell, some milliseconds after the first call.
    time.sleep(0.5)
    pairs = alternate(loops)
    limit = statistics.median(theirs for _, theirs in pairs["afresh in the process"]) + MORE
    return line("hit in Redis, told of changes", "s", pairs, [Target("≤ the in-process hit + 100 ns", limit)])


def cashews(url: str, **options: Any) -> Any:
    import cashews

    cache = cashews.Cache()
    cache.setup(url, **options)
    return cache(ttl="3h")


def said(server: Any) -> str:
    """Which versions this was."""
    from importlib import metadata

    return f"Redis {server.info('server')['redis_version']}, redis-py {metadata.version('redis')}"


@contextlib.contextmanager
def server(folder: Path) -> Iterator[int | None]:
    """The port of a server that ends with the block."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()
