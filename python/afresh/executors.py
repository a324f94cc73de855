"""Running misses elsewhere: in a thread with a time limit, or in an executor of the user's.

An executor is anything with ``submit(function, *args) -> Future`` (``concurrent.futures``, and what imitates it).
"""

from __future__ import annotations

import contextvars
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from afresh.memo import Memo


def run(memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float | None) -> Any:
    """Runs the function of ``memo`` in its executor, or in a thread where only a time limit was asked for."""
    if memo.executor is None:
        return in_thread(memo.__wrapped__, args, kwargs, timeout, memo.name)
    from concurrent.futures import TimeoutError as FutureTimeout

    # Pickle finds functions by their names, and under the name of a decorated one is what decorates it.
    named = _name_of(memo)
    future = (
        memo.executor.submit(_run_named, *named, args, kwargs)
        if named
        else memo.executor.submit(memo.__wrapped__, *args, **kwargs)
    )
    try:
        return future.result(timeout)
    except FutureTimeout:
        if not future.done():
            future.cancel()
            raise TimeoutError(f"{memo.name} did not finish within {timeout} s") from None
        raise


def _name_of(memo: Memo) -> tuple[str, str] | None:
    """Module and name under which a worker finds what decorates the function, if anything does."""
    import sys

    function = memo.__wrapped__
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    found = _find(sys.modules.get(module), name)
    return (module, name) if getattr(found, "__wrapped__", None) is function else None


def _find(found: Any, name: str) -> Any:
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _run_named(module: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    import importlib

    return _find(importlib.import_module(module), name).__wrapped__(*args, **kwargs)


def in_thread(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    timeout: float | None,
    name: str,
) -> Any:
    """Runs in a thread of its own. After ``timeout`` the thread is left to itself: Python cannot stop it.
    Use a process pool as ``executor=`` for work that must not go on.
    """
    result: list[Any] = []
    failure: list[BaseException] = []
    context = contextvars.copy_context()

    def body() -> None:
        try:
            result.append(context.run(function, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
            failure.append(error)

    thread = threading.Thread(target=body, name=f"afresh {name}", daemon=True)
    thread.start()
    thread.join(timeout)
    if failure:
        raise failure[0]
    if not result:
        raise TimeoutError(f"{name} did not finish within {timeout} s")
    return result[0]
