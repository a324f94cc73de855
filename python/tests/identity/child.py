"""Runs in a fresh process: identifies `main.f` of many small projects, each in a fork of its own.

Reads a JSON list of {folder, mode, live} and writes one JSON object for each: {"key": …} or {"error": …}. What the
key is can be exchanged (`AFRESH_CORPUS_PROBE`), so that the same corpus can judge something else than identities.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import linecache
import os
import sys
import traceback
import types
from typing import Any


def load(folder: str, mode: str) -> Any:
    sys.path.insert(0, folder)
    path = os.path.join(folder, "main.py")
    if mode == "import":
        return importlib.import_module("main")
    with open(path, newline="", encoding="utf-8") as handle:
        text = handle.read()
    if mode == "script":
        # What `python main.py` does, in this process.
        module = types.ModuleType("__main__")
        module.__file__ = path
        module.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
        sys.modules["__main__"] = module
        exec(compile(text, path, "exec", dont_inherit=True), module.__dict__)
        return module
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    name = "<string>"
    if mode == "cell":
        name = f"<ipython-input-1-{abs(hash(text)) % 10**12:012d}>"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec", dont_inherit=True), module.__dict__)
    return module


def probe(main: Any, live: str) -> dict[str, Any]:
    from afresh.identity import identify

    first = identify(main.f)
    answer: dict[str, Any] = {"opaque": list(first.opaque), "name": first.name}
    if not first.holds():
        answer["error"] = "the identity does not hold right after it was made"
    again = identify(main.f)
    if again.digest != first.digest:
        answer["error"] = "the identity is not the same twice"
    json.loads(first.record)
    answer["key"] = first.digest.hex()
    if live:
        func = main.f
        exec(live, {"main": main})
        second = identify(main.f)
        answer["after"] = second.digest.hex()
        answer["held"] = main.f is func and first.holds()
    return answer


def one(job: dict[str, str]) -> dict[str, Any]:
    try:
        os.chdir(job["cwd"])
        return probe(load(job["folder"], job["mode"]), job["live"])
    except BaseException:
        return {"error": traceback.format_exc()}


def main() -> None:
    jobs = json.load(sys.stdin)
    sys.dont_write_bytecode = True
    from afresh import _afresh

    if not hasattr(_afresh, "digest_value"):
        import standin

        _afresh.digest_value = standin.digest_value
    import afresh.identity  # noqa: F401

    answers = []
    for job in jobs:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            with os.fdopen(writer, "w") as handle:
                json.dump(one(job), handle)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as handle:
            text = handle.read()
        os.waitpid(child, 0)
        answers.append(json.loads(text) if text else {"error": "the process died"})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
