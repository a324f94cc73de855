"""Answering a call by a reference to its result, as ``submit`` does.

References among the arguments are loaded, unless the result behind one can be named without. A failure of the function is
a ``TaskError``; an error of the store that ``strict`` lets out stays what it is.
"""

from __future__ import annotations

from afresh import miss, warn
from afresh.errors import AfreshError, TaskError
from afresh.refs import ResultRef, collect, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afresh.memo import Memo
    from afresh.options import Options


def submit(memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any], options: Options) -> ResultRef:
    """Answers a call by a reference. A failure is a ``TaskError`` with the original traceback."""
    if not memo._submits:
        memo.submit()  # says why not
    sources = commits_in(args, kwargs)
    with Telling(memo):
        args, kwargs = settled(args, kwargs)
        call, problem = memo._call(args, kwargs)
        outcome = miss.outcome(memo, args, kwargs, call, problem, options, False, sources)
    return reference(memo, args, kwargs, options, outcome)


class Telling:
    """Makes a failure within the block a ``TaskError``."""

    __slots__ = ("_memo",)

    def __init__(self, memo: Memo) -> None:
        self._memo = memo

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        warn.emit()
        if not isinstance(error, Exception):
            return
        # An error of the store, which `strict` lets out, did not come from the function.
        commit = error.__dict__.get("__afresh_commit__")
        if commit is None and isinstance(error, AfreshError):
            return
        import traceback

        text = "".join(traceback.format_exception(kind, error, error.__traceback__))
        raise TaskError(f"{self._memo.name} failed:\n{text}", commit_hash=commit or None) from error


def commits_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """The commits whose results go in."""
    return [ref.commit_hash for ref in collect([args, kwargs], ResultRef) if ref.commit_hash]


def settled(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return tuple(_settle(argument) for argument in args), {key: _settle(value) for key, value in kwargs.items()}


def _settle(argument: Any) -> Any:
    """The argument, with its references loaded unless it is itself one that can be named by its result."""
    if type(argument) is ResultRef and argument.hash:
        return argument
    return replace(argument, ResultRef, ResultRef.load)


def reference(memo: Memo, args: Any, kwargs: Any, options: Options, outcome: miss.Outcome) -> ResultRef:
    if not outcome.hash:
        value = outcome.value
        return ResultRef(lambda: value, commit_hash=outcome.commit_hash, hash="", size=0)
    engine, commit = memo._engine(), outcome.commit_hash

    def load(mapped: bool = memo.mapped) -> Any:
        found = engine.output(commit, mapped)
        if found is None:
            raise LookupError(f"the result of commit {commit[:12]} is gone")
        return memo.codec.decode(*found)

    def again(why: Exception) -> Any:
        if options.strict and isinstance(why, AfreshError):
            raise why
        warn.once(f"{memo.name} is computed again: the result of commit {commit[:12]} cannot be loaded: {why}")
        call, problem = memo._call(args, kwargs)
        return miss.outcome(memo, args, kwargs, call, problem, options, True).value

    digest = outcome.value_digest
    if outcome.hit is not None:
        digest = outcome.hit.value_digest
    return ResultRef(
        load,
        commit_hash=commit,
        hash=outcome.hash,
        size=outcome.size,
        codec=memo.codec.name if outcome.hit is None else outcome.hit.codec,
        value_digest=digest,
        # To compute it anew a coroutine function would have to be awaited.
        again=None if memo._asynchronous else again,
    )
