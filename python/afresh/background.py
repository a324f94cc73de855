"""Refreshing in the background, in a few threads of this process.

What goes wrong there is logged and counted, never lost and never anybody's exception. The threads end when there is nothing to
do and keep no process from exiting: what has not begun by then is let go of, and what is running is not waited for, except
while it is writing to the store. A forked child begins with none of it.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import threading
from queue import Empty, SimpleQueue

from afresh import _afresh, miss, settings, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from typing import Any

    from afresh.memo import Memo

#: How many refresh at once, and how many may wait for that; above it an answer stays stale for a while longer.
WORKERS = 4
MOST = 256
#: After how many idle seconds a thread ends.
IDLE = 5.0


class Pool:
    """The threads of one process."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], None], _afresh.Ticket]] = SimpleQueue()
        self._lock = threading.Lock()
        # Held while the store is written to, and for good once the interpreter exits.
        self.gate = threading.Lock()
        self._waiting = self._idle = self._threads = 0
        self._closed = False

    def submit(self, work: Callable[[], None], ticket: _afresh.Ticket) -> bool:
        """Whether the work will be done; where not, the ticket is let go of."""
        with self._lock:
            accepted = not self._closed and self._waiting < MOST
            if accepted:
                self._waiting += 1
                self._jobs.put((work, ticket))
                more = self._idle < self._waiting and self._threads < WORKERS
                self._threads += more
        if not accepted:
            ticket.release()
            return False
        if more:
            try:
                threading.Thread(target=self._serve, name="afresh refresh", daemon=True).start()
            except RuntimeError:  # there are no threads to be had, as at exit
                with self._lock:
                    self._threads -= 1
        return True

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                work, ticket = self._jobs.get(timeout=IDLE)
            except Empty:
                work = None
            with self._lock:
                self._idle -= 1
                if work is None and not self._jobs.empty():
                    continue
                if work is None or self._closed:
                    self._threads -= 1
                    return
                self._waiting -= 1
            work()
            # What it holds on to (arguments, values) is not kept until the next one comes.
            del work, ticket

    def close(self) -> None:
        """Nothing begins any more, and nothing that is written is cut off."""
        with self._lock:
            self._closed = True
        self.gate.acquire(timeout=10)
        while True:
            try:
                self._jobs.get_nowait()[1].release()
            except Empty:
                return


pool = Pool()
#: Refreshes of coroutine functions that are going on; a loop itself holds its tasks only weakly.
_tasks: set[asyncio.Task[None]] = set()


def _forked() -> None:
    global pool
    pool = Pool()
    _tasks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(lambda: pool.close())


def refresh(memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any], ticket: _afresh.Ticket) -> None:
    """Makes a new answer for the call, some time soon."""
    context = contextvars.copy_context()
    pool.submit(lambda: context.run(_refresh, memo, args, kwargs, ticket), ticket)


def task(work: Coroutine[Any, Any, None], ticket: _afresh.Ticket) -> None:
    """Does the work in a task of the running loop; without one, or with too many, the ticket is let go of."""
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if loop is None or len(_tasks) >= MOST:
        work.close()
        ticket.release()
        return
    started = loop.create_task(work)
    _tasks.add(started)
    started.add_done_callback(_tasks.discard)
    # A task that is cancelled before it begins runs nothing of its own.
    started.add_done_callback(lambda _: ticket.release())


def _refresh(memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any], ticket: _afresh.Ticket) -> None:
    options, gate = memo._options, pool.gate
    miss.alone()
    try:
        # The caller goes on with its arguments meanwhile: what they are now need not be what was asked for.
        if not same(memo, args, kwargs, ticket):
            ticket.release()
            return
        run = miss.Run(memo, args, kwargs, None, ticket, options, miss.inputs(args, kwargs))
        try:
            value = miss.attempts(memo, run.args, run.kwargs, options)
        except BaseException as error:
            with gate:
                run.failed(error)
            raise
        with gate:
            if same(memo, args, kwargs, ticket):
                run.done(value)
                memo._count("refreshes")
            else:
                run.abandon()
    except BaseException as error:  # noqa: BLE001 - there is nobody else to be told
        report(memo, error)
    finally:
        ticket.release()
        warn.emit()


def same(memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any], ticket: _afresh.Ticket) -> bool:
    """Whether the call is still the one that the ticket is for: neither the function nor an argument was changed."""
    call, _ = memo._call(args, kwargs)
    return call is not None and call.fingerprint == ticket.fingerprint


def report(memo: Memo, error: BaseException) -> None:
    """A refresh failed: the old answer stays."""
    memo._count("refresh_errors")
    exc_info = (type(error), error, error.__traceback__)
    settings.logger().warning("%s could not be refreshed: %s", memo.name, error, exc_info=exc_info)
