"""``submit_many``: tasks that use each other's results, checked before anything runs."""

from __future__ import annotations

from afresh.errors import ConfigError
from afresh.refs import TaskRef, collect, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from afresh.refs import ResultRef

    Submit = Callable[[Any, tuple[Any, ...], dict[str, Any]], ResultRef]


class Task:
    """One task: a function, its arguments, and the keys of the tasks whose results it takes."""

    __slots__ = ("args", "function", "key", "kwargs", "needs")

    def __init__(self, key: int | str, spec: Any) -> None:
        self.key = key
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        if callable(spec):
            self.function = spec
        elif isinstance(spec, tuple) and 1 <= len(spec) <= 3 and callable(spec[0]):
            self.function = spec[0]
            if len(spec) > 1:
                if not isinstance(spec[1], (tuple, list)):
                    raise TypeError(f"task {key!r}: the arguments are {type(spec[1]).__name__}, not a tuple")
                self.args = tuple(spec[1])
            if len(spec) > 2:
                if not isinstance(spec[2], dict):
                    raise TypeError(f"task {key!r}: the keyword arguments are not a dict")
                self.kwargs = dict(spec[2])
        else:
            raise TypeError(
                f"task {key!r} is {type(spec).__name__}; a task is f, (f, args) or (f, args, kwargs)"
            )
        refs = collect([self.args, self.kwargs], TaskRef)
        self.needs = list(dict.fromkeys(ref.key for ref in refs))

    def submit(self, submit: Submit, done: Mapping[Any, ResultRef]) -> ResultRef:
        """Runs it with the results of what it needs."""
        args = tuple(replace(a, TaskRef, lambda ref: done[ref.key]) for a in self.args)
        kwargs = {k: replace(a, TaskRef, lambda ref: done[ref.key]) for k, a in self.kwargs.items()}
        return submit(self.function, args, kwargs)


def plan(tasks: Sequence[Any] | Mapping[str, Any]) -> list[Task]:
    """The tasks in an order in which each comes after what it needs."""
    items = list(tasks.items()) if hasattr(tasks, "items") else list(enumerate(tasks))
    made = {key: Task(key, spec) for key, spec in items}
    for task in made.values():
        for need in task.needs:
            if need not in made:
                known = f"0 to {len(made) - 1}" if isinstance(tasks, (list, tuple)) else ", ".join(map(repr, made))
                raise ConfigError(
                    f"task {task.key!r} refers to task {need!r}, which is not there",
                    hint=f"the tasks are {known}" if made else "there are no tasks",
                )
            if need == task.key:
                raise ConfigError(f"task {task.key!r} refers to itself")
    ordered: list[Task] = []
    takers = _takers(made.values())
    left = {key: len(task.needs) for key, task in made.items()}
    ready = [key for key, count in left.items() if not count]
    for key in ready:
        ordered.append(made[key])
        for taker in takers.get(key, ()):
            left[taker.key] -= 1
            if not left[taker.key]:
                ready.append(taker.key)
    if len(ordered) < len(made):
        names = ", ".join(repr(key) for key, count in left.items() if count)
        raise ConfigError(f"these tasks wait for each other: {names}")
    return ordered


def _takers(tasks: Iterable[Task]) -> dict[Any, list[Task]]:
    """Who takes the result of whom."""
    takers: dict[Any, list[Task]] = {}
    for task in tasks:
        for need in task.needs:
            takers.setdefault(need, []).append(task)
    return takers


def run(tasks: Sequence[Task], submit: Submit, max_workers: int) -> dict[Any, ResultRef]:
    """Runs every task as soon as what it needs is done. The first failure stops what has not begun."""
    done: dict[Any, ResultRef] = {}
    if max_workers == 1 or len(tasks) <= 1:
        for task in tasks:
            done[task.key] = task.submit(submit, done)
        return done
    import contextvars
    from concurrent.futures import Future, ThreadPoolExecutor
    from queue import SimpleQueue

    takers = _takers(tasks)
    left = {task.key: len(task.needs) for task in tasks}
    finished: SimpleQueue[tuple[Task, Future[ResultRef]]] = SimpleQueue()
    pool = ThreadPoolExecutor(max_workers, thread_name_prefix="afresh")

    def begin(task: Task) -> None:
        needed = {need: done[need] for need in task.needs}
        future = pool.submit(contextvars.copy_context().run, task.submit, submit, needed)
        future.add_done_callback(lambda future: finished.put((task, future)))

    try:
        for task in tasks:
            if not task.needs:
                begin(task)
        for _ in tasks:
            task, future = finished.get()
            done[task.key] = future.result()
            for taker in takers.get(task.key, ()):
                left[taker.key] -= 1
                if not left[taker.key]:
                    begin(taker)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return done
