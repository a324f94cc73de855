"""Runs in a fresh process: keeps an answer of `main.f` of each project, or says what its digest is.

Reads a JSON list of {folder, mode, store} and writes one JSON object for each: {"key": …} or {"error": …}. With a store an
answer is put there, as if the function had run.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import traceback
from typing import Any

import child


def one(job: dict[str, str]) -> dict[str, Any]:
    try:
        os.chdir(job["folder"])
        main = child.load(job["folder"], job["mode"])
        import afresh

        if not job["store"]:
            from afresh.identity import identify

            return {"key": identify(main.f).digest.hex()}
        memo = afresh.memo(main.f, store=job["store"])
        parameters = inspect.signature(main.f).parameters.values()
        plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        needed = [p for p in parameters if p.default is inspect.Parameter.empty and p.kind in plain]
        memo.put(0, *[1 for _ in needed])
        return {"key": afresh.Client(job["store"]).log()[0].function_hash}
    except BaseException:
        return {"error": traceback.format_exc()}


def main() -> None:
    sys.dont_write_bytecode = True
    import afresh
    import afresh.client
    import afresh.identity  # noqa: F401

    answers = []
    for job in json.load(sys.stdin):
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reader)
            with os.fdopen(writer, "w") as handle:
                json.dump(one(job), handle)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as handle:
            text = handle.read()
        os.waitpid(process, 0)
        answers.append(json.loads(text) if text else {"error": "the process died"})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
