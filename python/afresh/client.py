"""``afresh.Client``: submit functions to a store and look at what it holds."""

from __future__ import annotations

import os
import types

from afresh import stores, warn
from afresh.codecs import codec as make_codec
from afresh.errors import ConfigError
from afresh.memo import Memo, make
from afresh.options import Options, seconds, size, tag_pairs
from afresh.submitting import submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Executor
    from typing import Any, ParamSpec, TypeVar, overload

    from afresh import models
    from afresh._typed import Remembered
    from afresh.options import TTL, Tags
    from afresh.refs import ResultRef

    P = ParamSpec("P")
    R = TypeVar("R")
else:

    def overload(function: Any) -> Any:
        """For type checkers; ``typing`` takes longer to import than a store to open, and so does what comes with it."""
        return function


#: What is looked up again; methods and other callables are made anew by whoever calls.
_LASTING = (types.FunctionType, types.BuiltinFunctionType, type)
_MOST_MEMOS = 1024


class Task:
    """A function bound to a client by ``Client.task``: calling it submits it and returns a reference."""

    def __init__(self, client: Client, memo: Memo) -> None:
        self.client = client
        self.memo = memo
        self.__wrapped__ = memo.__wrapped__
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            if hasattr(memo.__wrapped__, name):
                setattr(self, name, getattr(memo.__wrapped__, name))

    def __call__(self, *args: Any, **kwargs: Any) -> ResultRef:
        return submit(self.memo, args, kwargs, self.memo._options)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<afresh task {self.memo.name}>"


class Client:
    """A store, and functions that run on it.

    store
        An address, a path, or an object of the ``afresh.Store`` protocol; ``store_dir`` is a path. Without
        either: ``$AFRESH_URL``, else ``$AFRESH_DIR``, else ``.afresh`` in the working directory.
    executor
        Where misses run, such as a ``ProcessPoolExecutor``; in the calling thread without one.
    codec, serializer
        How results become bytes; see ``afresh.memo``.
    max_workers
        How many tasks of ``submit_many`` and ``map`` run at once.
    secret
        Signs what is stored; nothing is loaded that was not signed with it.
    strict
        Errors of the store are raised instead of computing without it.

    >>> import afresh
    >>> with afresh.Client("memory:") as client:
    ...     ref = client.submit(pow, 2, 10)
    ...     ref.load()
    1024
    """

    def __init__(
        self,
        store: Any = None,
        *,
        store_dir: str | os.PathLike[str] | None = None,
        executor: Executor | None = None,
        codec: Any = None,
        serializer: Any = None,
        max_workers: int | None = None,
        secret: str | bytes | None = None,
        strict: bool = False,
    ) -> None:
        if store is not None and store_dir is not None:
            raise ConfigError("both store and store_dir are given", hint="give one of them")
        if codec is not None and serializer is not None:
            raise ConfigError("both codec and serializer are given", hint="give one of them")
        self.codec = make_codec(codec if codec is not None else serializer)
        self.max_workers = _workers(max_workers)
        self.executor = executor
        self.options = Options(strict=strict)
        self.engine = stores.engine(store if store is not None else store_dir, secret)
        self._memos: dict[int, Memo] = {}
        warn.emit()

    # -- running ---------------------------------------------------------------------------------

    def submit(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        _cache: bool | None = None,
        _tags: Tags | None = None,
        _retries: int | None = None,
        _force: bool | None = None,
        _timeout: TTL | None = None,
        _ttl: TTL | None = None,
        **kwargs: Any,
    ) -> ResultRef:
        """Runs ``function`` with these arguments, or finds the result, and returns a reference to it.

        A reference among the arguments (also within lists, tuples and dicts) stands for its value and makes its
        commit an input. A failure is a ``TaskError`` with the original traceback.
        """
        asked = Options(
            cache=_cache, tags=_tags, retries=_retries, force=_force, timeout=_timeout, ttl=_ttl
        )
        return self._submit(function, args, kwargs, asked)

    def _submit(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], asked: Options) -> ResultRef:
        memo, options = self._asked(function, asked)
        return submit(memo, args, kwargs, options)

    def _asked(self, function: Any, asked: Options) -> tuple[Memo, Options]:
        """What remembers the function here, and the options of a call."""
        memo = self._memo(function)
        options = asked.over(memo._options, anew=True)
        return memo._with(options) if options.ttl != memo._options.ttl else memo, options

    def submit_many(
        self,
        tasks: Sequence[Any] | Mapping[str, Any],
        *,
        _cache: bool | None = None,
        _tags: Tags | None = None,
        _retries: int | None = None,
        _force: bool | None = None,
        _timeout: TTL | None = None,
        _ttl: TTL | None = None,
        max_workers: int | None = None,
    ) -> Any:
        """Runs tasks that may use each other's results through ``TaskRef``, as many at once as can.

        ``tasks`` is a list or a dict of ``f``, ``(f, args)`` or ``(f, args, kwargs)``; the answer has the same
        shape. Unknown references and cycles are errors before anything runs.
        """
        from afresh import dag

        asked = Options(
            cache=_cache, tags=_tags, retries=_retries, force=_force, timeout=_timeout, ttl=_ttl
        )
        workers = self.max_workers if max_workers is None else _workers(max_workers)
        done = dag.run(
            dag.plan(tasks), lambda function, a, k: self._submit(function, a, k, asked), workers
        )
        if hasattr(tasks, "items"):
            return {key: done[key] for key in tasks}
        return [done[index] for index in range(len(tasks))]

    def map(
        self,
        function: Callable[..., Any],
        items: Iterable[Any],
        *args: Any,
        _cache: bool | None = None,
        _tags: Tags | None = None,
        _retries: int | None = None,
        _force: bool | None = None,
        _timeout: TTL | None = None,
        _ttl: TTL | None = None,
        max_workers: int | None = None,
        **kwargs: Any,
    ) -> list[ResultRef]:
        """``function(item, *args, **kwargs)`` for every item; references in the order of the items.

        Shows progress on a terminal. The first failure stops what has not begun.
        """
        from afresh import dag
        from afresh.progress import Progress

        asked = Options(
            cache=_cache, tags=_tags, retries=_retries, force=_force, timeout=_timeout, ttl=_ttl
        )
        workers = self.max_workers if max_workers is None else _workers(max_workers)
        items = list(items)
        name = getattr(function, "__name__", "map")

        with Progress(name, len(items)) as progress:

            def one(function: Any, a: tuple[Any, ...], k: dict[str, Any]) -> ResultRef:
                ref = self._submit(function, a, k, asked)
                progress.step()
                return ref

            tasks = [dag.Task(index, (function, (item, *args), kwargs)) for index, item in enumerate(items)]
            done = dag.run(tasks, one, workers)
        return [done[index] for index in range(len(items))]

    @overload
    def task(self, function: Callable[P, Any], /, **settings: Any) -> Callable[P, ResultRef]: ...

    @overload
    def task(
        self, function: None = None, /, **settings: Any
    ) -> Callable[[Callable[P, Any]], Callable[P, ResultRef]]: ...

    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        cache: bool | None = None,
        name: str | None = None,
        tags: Tags | None = None,
        retries: int | None = None,
        force: bool | None = None,
        timeout: TTL | None = None,
        ttl: TTL | None = None,
        **settings: Any,
    ) -> Any:
        """A decorator, bare or called: calling the function submits it. Per-call options beat these."""
        options = Options(
            cache=cache, tags=tags, retries=retries, force=force, timeout=timeout, ttl=ttl
        ).over(self.options)

        def decorate(function: Callable[..., Any]) -> Task:
            return Task(self, self._make(function, name=name, options=options, **settings))

        return decorate if function is None else decorate(function)

    @overload
    def memo(self, function: Callable[P, R], /, **settings: Any) -> Remembered[P, R]: ...

    @overload
    def memo(self, function: None = None, /, **settings: Any) -> Callable[[Callable[P, R]], Remembered[P, R]]: ...

    def memo(self, function: Any = None, /, **settings: Any) -> Any:
        """``afresh.memo`` on this client's store."""
        from afresh.memo import memo

        settings.setdefault("codec", self.codec)
        settings.setdefault("executor", self.executor)
        return memo(function, store=self.engine, **settings)

    def _memo(self, function: Any) -> Memo:
        if isinstance(function, Task) and function.client is self:
            return function.memo
        if isinstance(function, Task):
            function = function.memo
        # Told apart by identity: callables that are equal need not do the same. The memo keeps its function
        # alive, so that the number stays its own.
        found = self._memos.get(id(function))
        if found is not None:
            return found
        if isinstance(function, Memo):
            options = function._said.over(self.options)
            found = function._with(options, store=self.engine, codec=self.codec, executor=self.executor)
        elif callable(function):
            found = self._make(function, options=self.options)
        else:
            raise TypeError(f"{type(function).__name__} is not callable")
        if type(function) in _LASTING:
            while len(self._memos) >= _MOST_MEMOS:
                self._memos.pop(next(iter(self._memos)), None)
            self._memos[id(function)] = found
        return found

    def _make(self, function: Any, **settings: Any) -> Memo:
        made = make(
            function, store=self.engine, codec=self.codec, executor=self.executor, **settings
        )
        if not isinstance(made, Memo):
            raise TypeError("submit takes functions, not classmethod or staticmethod objects")
        return made

    # -- looking back ----------------------------------------------------------------------------

    def log(
        self,
        func_name: str | None = None,
        *,
        limit: int | None = 50,
        status: str | None = None,
        tags: Tags | None = None,
        since: TTL | None = None,
    ) -> list[models.Commit]:
        """Commits, newest first.

        ``func_name`` is a full name or its last part; a tag without a value is "has the key".
        """
        from afresh import models

        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            raise ConfigError(f"limit is {limit!r}", hint="give a whole number, 0 or more, or None for all")
        found = self.engine.log(
            func_name, status, tag_pairs(tags), limit, seconds(since, "since")
        )
        return [models.commit(raw) for raw in found]

    def show(self, hash: str) -> models.Commit | None:
        """The commit whose hash begins so, or None. An ambiguous beginning is a ``ConfigError`` (a ``ValueError``)."""
        from afresh import models

        raw = self.engine.show(_hash(hash))
        return None if raw is None else models.commit(raw)

    def get(self, hash: str) -> Any:
        """The value of a commit; of a generator, the list of its items. ``KeyError`` where there is no such commit or no
        stored result.
        """
        found = self.engine.output(_hash(hash), False)
        warn.emit()
        if found is None:
            raise KeyError(hash)
        name, data, buffers = found
        if name.startswith("stream+"):
            from afresh.streams import Player

            return list(Player(self.codec, name, data))
        return self.codec.decode(name, data, buffers)

    def history(self, hash: str) -> list[models.Commit]:
        """All executions of the same call, oldest first."""
        from afresh import models

        return [models.commit(raw) for raw in self.engine.history(_hash(hash))]

    def diff(self, a: str, b: str) -> dict[str, Any]:
        """What differs between two commits: name, function, source, arguments, output.

        ``KeyError`` where one is not there.
        """
        found = self.engine.diff(_hash(a), _hash(b))
        if found is None:
            raise KeyError(a if self.engine.show(_hash(a)) is None else b)
        from afresh.records import source_diff

        records = found.pop("records")
        found["source_diff"] = source_diff(*records) if records else ""
        arguments = found["arguments"]
        found["arguments"] = {name: (before, after) for name, before, after, _ in arguments}
        found["inside"] = {name: inside for name, *_, inside in arguments if inside is not None}
        return found

    # -- edits -----------------------------------------------------------------------------------

    def plan(self, what: str | os.PathLike[str] | None = None) -> list[models.Planned]:
        """What becomes of what is remembered of each function, by the files as they are now.

        ``what`` is a module, a file or a folder; every function on record without it. Nothing runs and nothing is
        imported.
        """
        import json

        from afresh import models

        found = self.engine.plan(os.getcwd(), None if what is None else os.fspath(what))
        warn.emit()
        return [models.planned(raw) for raw in json.loads(found)["functions"]]

    def accept(self, function: Callable[..., Any], reason: str | None = None, *, of: Any = None) -> models.Accept:
        """Records that the last edit of a function does not matter for what this client remembers of it; see
        ``Memo.accept``.
        """
        return self._memo(function).accept(reason, of=of)

    def unaccept(self, function: Callable[..., Any]) -> bool:
        """Withdraws what ``accept`` recorded of a function as it is now. Whether there was something."""
        return self._memo(function).unaccept()

    # -- tidying ---------------------------------------------------------------------------------

    def rm(self, hash: str) -> bool:
        """Forgets one commit. Whether it was there."""
        return self.engine.rm(_hash(hash))

    def invalidate(self, tags: Tags | None = None, *, func_name: str | None = None) -> int:
        """Takes back every answer with all these tags (of this function); the history stays. How many."""
        pairs = tag_pairs(tags)
        if not pairs and func_name is None:
            raise ConfigError("nothing is selected", hint="give tags or func_name, or use clear()")
        return self.engine.invalidate(pairs, func_name)

    def gc(
        self,
        older_than: TTL | None = None,
        max_size: int | str | None = None,
        *,
        dry_run: bool = False,
        grace: TTL | None = None,
    ) -> int:
        """Lets go of expired commits, of those not used for ``older_than``, of the least recently used above
        ``max_size`` bytes, and of bytes that nothing refers to. How many commits.
        """
        commits, *_ = self.engine.gc(
            seconds(older_than, "older_than"),
            size(max_size, "max_size"),
            dry_run,
            seconds(grace, "grace"),
        )
        return commits

    def clear(self) -> int:
        """Forgets everything. How many commits."""
        return self.engine.clear()

    def stats(self) -> models.Stats:
        """What the store holds and what it was good for."""
        from afresh import models

        return models.stats(self.engine.stats())

    def verify(self, repair: bool = False) -> list[str]:
        """Reads every byte once more. What is wrong, a sentence each; with ``repair`` it is put right."""
        *_, problems = self.engine.verify(repair)
        return problems

    def export(self, path: str | os.PathLike[str]) -> int:
        """Writes everything to an archive. How many commits."""
        _, commits, _ = self.engine.export(os.fspath(path))
        warn.emit()
        return commits

    def import_archive(self, path: str | os.PathLike[str]) -> int:
        """Takes in an archive. How many commits are new. Only import what you would also load."""
        imported, *_ = self.engine.import_archive(os.fspath(path))
        warn.emit()
        return imported

    def close(self) -> None:
        """Writes down what is only in memory and closes the files. A later use opens them again."""
        self.engine.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<afresh.Client on {self.engine.address}>"


def _workers(count: int | None) -> int:
    if count is None:
        return min(8, os.cpu_count() or 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ConfigError(f"max_workers is {count!r}", hint="give a whole number, 1 or more")
    return count


def _hash(value: Any) -> str:
    """A hash, from its text or from what has one."""
    if isinstance(value, str):
        return value
    for name in ("commit_hash", "hash"):
        found = getattr(value, name, None)
        if isinstance(found, str):
            return found
    raise ConfigError(f"{type(value).__name__} is not a hash", hint="give the first digits of a commit's hash")
