"""A pipeline over real input, remembered: run, run again, edited, run again.

The input is every module of the installed Python standard library; the pipeline has four steps (list the modules →
parse each → measure each → report) and is in `quickstart/pipeline.py`. Every run is a process of its own
(`quickstart/run.py`); all they share is a store in a temporary folder.

    python examples/quickstart.py                  all modules
    python examples/quickstart.py --modules 40     the first 40

Exits with 1 if anything was computed that did not have to be, or the other way round.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent / "quickstart"
STEPS = ("list", "parse", "measure", "report")

# Edits are made in the text, as an editor would. Both change a helper and leave the step itself alone.
HARDER = (
    'function["branches"] + function["depth"] ** 2',
    'function["branches"] * 2 + function["depth"] ** 2',
)
REWRITTEN = (
    "below = max((depth(child) for child in ast.iter_child_nodes(node)), default=0)",
    "below = max([0, *map(depth, ast.iter_child_nodes(node))])",
)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--modules", type=int, help="how many modules to read (all)")
    options.add_argument("--keep", action="store_true", help="leave the temporary folder in place")
    options = options.parse_args()

    work = Path(tempfile.mkdtemp(prefix="afresh-quickstart-"))
    try:
        return demonstrate(work, options.modules)
    finally:
        if options.keep:
            print(f"\nThe store is in {work / 'store'}, the edited pipeline beside it.")
        else:
            shutil.rmtree(work, ignore_errors=True)


def demonstrate(work, modules):
    store, pipeline = work / "store", work / "pipeline.py"
    shutil.copy(HERE / "pipeline.py", pipeline)

    title("1. The first process: nothing is remembered yet")
    first = run(store, work, modules)
    print(f"\n{first['report']}")

    title("2. A second process: everything is answered from the store")
    second = run(store, work, modules)
    print(f"\n{first['seconds'] / second['seconds']:.0f} times as fast, start of Python included")

    title("3. `difficulty`, a helper of `measure`, is edited")
    edit(pipeline, *HARDER)
    third = run(store, work, modules)
    print("\nParsing does not use it: found. Measuring does, and the report changes with the measures.")

    title("4. `depth`, a helper of `parse`, is rewritten and gives the same answers")
    edit(pipeline, *REWRITTEN)
    fourth = run(store, work, modules)
    print("\nParsed again, with the same results: nothing that comes after has to run.")

    if wrongs := list(mistakes(first, second, third, fourth)):
        print("\n".join(["", *wrongs]), file=sys.stderr)
        return 1

    title("What the store knows")
    afresh("log", "--limit", "6", store=store)
    afresh("log", "--func", "report", store=store)
    afresh("stats", store=store)
    print("One module, measured before and after the edit:\n")
    afresh("diff", first["measure"][:12], third["measure"][:12], store=store)
    return 0


def mistakes(first, second, third, fourth):
    """What was computed and should not have been, or the other way round."""
    count = first["modules"]
    expected = [
        (first, {"list": 1, "parse": count, "measure": count, "report": 1}),
        (second, {"list": 0, "parse": 0, "measure": 0, "report": 0}),
        (third, {"list": 0, "parse": 0, "measure": count, "report": 1}),
        (fourth, {"list": 0, "parse": count, "measure": 0, "report": 0}),
    ]
    for number, (result, should) in enumerate(expected, 1):
        ran = {step: result["steps"][step]["ran"] for step in STEPS}
        if ran != should:
            yield f"run {number} computed {ran}; it should have computed {should}"
    if first["report"] != second["report"] or third["report"] != fourth["report"]:
        yield "the reports differ where they must not"


def run(store, folder, modules):
    """Runs the pipeline in a process of its own and shows what it did."""
    command = [sys.executable, str(HERE / "run.py"), str(store), str(folder)]
    if modules is not None:
        command += ["--modules", str(modules)]
    # An edit within a second that leaves the length alone would otherwise be missed by Python's own cache.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=environment)
    took = time.perf_counter() - started
    result = json.loads(done.stdout)
    result["seconds"] = took

    calls = {"list": 1, "parse": result["modules"], "measure": result["modules"], "report": 1}
    print(f"{'step':<10}{'calls':>8}{'computed':>10}{'found':>8}{'seconds':>10}")
    for step in STEPS:
        ran, seconds = result["steps"][step]["ran"], result["steps"][step]["seconds"]
        print(f"{step:<10}{calls[step]:>8}{ran:>10}{calls[step] - ran:>8}{seconds:>10.3f}")
    print(f"{'process':<36}{took:>10.3f}")
    return result


def edit(file, before, after):
    """Replaces one piece of a file's text."""
    text = file.read_text(encoding="utf-8")
    if text.count(before) != 1:
        raise SystemExit(f"{file} does not hold this exactly once: {before}")
    file.write_text(text.replace(before, after), encoding="utf-8")
    print(f"- {before}\n+ {after}\n")


def afresh(*arguments, store):
    """Runs the `afresh` command."""
    beside = Path(sys.executable).with_name("afresh")
    program = [str(beside)] if beside.exists() else [sys.executable, "-m", "afresh"]
    print(f"$ afresh {' '.join(arguments)}", flush=True)
    subprocess.run([*program, "--store", str(store), *arguments], check=True)
    print()


def title(text):
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
