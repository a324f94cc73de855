"""Calls `main.f` of many small projects through one system, each in a fork of a fresh interpreter.

Reads a JSON list of jobs and writes one JSON object for each: ``{"calls": [{"ran", "value", "error"}, …]}``, or
``{"error": …}`` where the project could not be loaded or the process died. ``ran`` says whether the code object of the
user's function was entered during the call: seen by a profile hook, thus nothing that could be part of an identity.

A job with ``live`` statements makes three calls in one process: the first, a control, and one after the statements.
Every other job makes one. Started by compare.py, under the interpreter in which the system is installed.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import pickle
import re
import signal
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).resolve().parents[2] / "python" / "tests" / "identity"
SECONDS = 60
Remembered = Callable[..., Any]
Wrap = Callable[[Any], Remembered]


def plain(_: str) -> Wrap:
    """Nothing is remembered: what the answer is."""
    return lambda function: function


def afresh(store: str) -> Wrap:
    import afresh

    return lambda function: afresh.memo(function, store=store)


def joblib(store: str) -> Wrap:
    import joblib

    memory = joblib.Memory(store, verbose=0)
    return lambda function: memory.cache(function)


def cachier(store: str) -> Wrap:
    import cachier

    # Without allow_none it would compute every None again, whatever the identity is.
    return lambda function: cachier.cachier(cache_dir=store, allow_none=True)(function)


def diskcache(store: str) -> Wrap:
    import diskcache

    cache = diskcache.Cache(store)
    return lambda function: cache.memoize()(function)


def cashet(store: str) -> Wrap:
    import cashet

    client = cashet.Client(store_dir=store)
    return lambda function: lambda *arguments: client.submit(function, *arguments).load()


SYSTEMS: dict[str, Callable[[str], Wrap]] = {
    "plain": plain,
    "afresh": afresh,
    "joblib": joblib,
    "cachier": cachier,
    "diskcache": diskcache,
    "cashet": cashet,
}


def code_of(function: Any) -> types.CodeType:
    """The code that is entered when ``function`` is computed and not otherwise."""
    if isinstance(function, functools.partial):
        return code_of(function.func)
    if isinstance(function, type):
        return code_of(function.__init__)  # type: ignore[misc]
    found: types.CodeType = function.__code__
    return found


class Watch:
    """Sees whether a code object is entered, in this thread and in any that starts later.

    One hook for the whole process: threads that a system keeps have it for good.
    """

    def __init__(self) -> None:
        self.code: types.CodeType | None = None
        self.entered = False
        threading.setprofile(self.hook)
        sys.setprofile(self.hook)

    def hook(self, frame: types.FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is self.code:
            self.entered = True

    def start(self, code: types.CodeType) -> None:
        self.code, self.entered = code, False

    def stop(self) -> bool:
        self.code = None
        return self.entered


def settle(value: Any) -> Any:
    """What a caller of the function would see in the end."""
    if inspect.iscoroutine(value):
        import asyncio

        value = asyncio.run(_wait(value))
    return list(value) if inspect.isgenerator(value) else value


async def _wait(value: Any) -> Any:
    return await value


def show(value: Any) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", repr(value))


def made(arguments: str) -> tuple[Any, ...]:
    """New values for each call: a function may change what it is given."""
    found: tuple[Any, ...] = eval(f"({arguments},)", {"SimpleNamespace": types.SimpleNamespace})
    return found


def say(error: BaseException) -> str:
    """One line, without the addresses and folders of this run."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return re.sub(r"(/[^/\s]+)+/", "", re.sub(r"0x[0-9a-f]+", "0x", text))[:200]


def call(watch: Watch, wrap: Wrap, function: Any, arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"value": None, "error": None}
    given = made(arguments)
    watch.start(code_of(function))
    try:
        answer["value"] = show(settle(wrap(function)(*given)))
    except Exception as error:
        answer["error"] = say(error)
    answer["ran"] = watch.stop()
    return answer


def storable(value: Any) -> str | None:
    """Why the value would not come back from a store, or None. Nobody can be judged by such a value."""
    try:
        if type(pickle.loads(pickle.dumps(value))) is type(value):
            return None
        return "it comes back as something else"
    except Exception as error:
        return say(error)


def calls(system: str, job: dict[str, str]) -> list[dict[str, Any]]:
    wrap = functools.cache(lambda function: SYSTEMS[system](job["store"])(function))
    main = importlib.import_module("child").load(job["project"], job["mode"])
    arguments = job["arguments"]
    if system == "plain":
        return truth(main, arguments, job["live"])
    watch = Watch()
    found = [call(watch, wrap, main.f, arguments)]
    if job["live"]:
        found.append(call(watch, wrap, main.f, arguments))
        exec(job["live"], {"main": main})
        found.append(call(watch, wrap, main.f, arguments))
    return found


def truth(main: Any, arguments: str, live: str) -> list[dict[str, Any]]:
    """The plain call, with ``unstorable`` saying why its value would not survive a store."""
    found = []
    for statements in ("", live) if live else ("",):
        exec(statements, {"main": main})
        answer: dict[str, Any] = {"value": None, "error": None, "unstorable": None}
        try:
            value = settle(main.f(*made(arguments)))
            answer["value"] = show(value)
            answer["unstorable"] = storable(value)
        except Exception as error:
            answer["error"] = say(error)
        found.append(answer)
    return found


def one(system: str, job: dict[str, str]) -> dict[str, Any]:
    try:
        os.chdir(job["cwd"])
        return {"calls": calls(system, job)}
    except BaseException:
        return {"error": traceback.format_exc()}


def main() -> None:
    system = sys.argv[1]
    jobs = json.load(sys.stdin)
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    sys.path.append(str(CORPUS))
    importlib.import_module("child")
    if system != "plain":
        importlib.import_module(system)
    answers = []
    for job in jobs:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            signal.alarm(SECONDS)
            # Nothing but the answers on standard output. The interpreter ends as usual, so that stores are closed.
            os.dup2(2, 1)
            with os.fdopen(writer, "w") as handle:
                json.dump(one(system, job), handle)
            if system == "plain":
                os._exit(0)
            return
        os.close(writer)
        with os.fdopen(reader) as handle:
            text = handle.read()
        os.waitpid(child, 0)
        answers.append(json.loads(text) if text else {"error": "the process died"})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
