"""The corpus of edits of ``python/tests/identity``, through ``afresh.memo`` and through the rivals.

    python benches/identity/compare.py [--limit N] [--systems afresh,joblib] [--output FILE]

Method
    Each case is a small project with a function ``main.f``, an edit, and whether a remembered answer may survive the
    edit. For each system and case, with a store folder of its own:

    1. a process calls ``f`` of the project as it was; the system computes and stores;
    2. the control: another process, with another working directory and hash seed, does so again;
    3. the edit is made in place, and a third process, with yet another directory and seed, calls once more.

    A live case is an edit of the running process: its three calls are made in one.

    Whether the system computed is seen by a profile hook that notes when the code object of ``f`` is entered. The hook
    is not in the project, thus no part of any identity, and it works for every system alike. The project's text is
    never touched: the system is given ``main.f``.

    The corpus names no arguments. Each case gets the first of a few (`ARGUMENTS`) with which the plain, unremembered
    ``f`` returns something that survives a pickle; of those, the first with which the edit changes what it returns.
    Not every edit that must be noticed changes this one answer: in the results, ``answers_change`` counts them.

Counted
    *Recomputes when it must*: step 3 computed, and the control did not, so that there was an answer to be stale.
    *Hits when it may*: step 3 did not compute.
    *Stale answers*: step 3 did not compute, and returned something else than the plain call of the edited project.

Not judged, and counted apart
    *raised*: the system refused the function or its result, or failed to read an old result, with an exception.
    *never a hit*: the edit must be noticed, but the control computed too: what remembers nothing proves nothing.
    *nothing to store*: with no arguments does the plain function return what a pickle brings back; for no system.

Limits
    The corpus is afresh's own. It says which edits are noticed, not how often they happen. The processes are forks of
    an interpreter that was started for the step and has imported nothing but the system. Every rival runs with its
    defaults (cachier with ``allow_none``, without which no None is a hit). Rivals that identify a function by its name
    do what they promise; the table shows what that means after an edit. The rivals are installed from the package
    index at the versions of ``benches/requirements.txt``, into ``benches/.venv``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TESTS = ROOT / "python" / "tests" / "identity"
RESULTS = ROOT / "benches" / "results" / "identity.json"
ORDER = ("joblib", "cachier", "diskcache", "cashet", "afresh")
ARGUMENTS = ("3", "2", "0", "1", "[3, 1, 2]", "[1, 2]", "'aab'", "SimpleNamespace(n=1, m=dict)", "dict", "1.5", "3, 3")

sys.dont_write_bytecode = True
sys.path[:0] = [str(TESTS), str(HERE.parent)]

import cases_class  # noqa: E402
import cases_data  # noqa: E402
import cases_further  # noqa: E402
import cases_more  # noqa: E402
import cases_outside  # noqa: E402
import cases_reach  # noqa: E402
import cases_text  # noqa: E402
import environment  # noqa: E402
from corpus import DIFFERENT, SAME, Case  # noqa: E402

MODULES = (cases_text, cases_reach, cases_class, cases_data, cases_more, cases_outside, cases_further)
CASES: list[Case] = [case for module in MODULES for case in module.CASES]

# What became of a case.
RECOMPUTED, HIT = "recomputed", "hit"
RAISED, NEVER, NOTHING, UNSEEN = "raised", "never a hit", "nothing to store", "not seen to compute"
Answer = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """A case with the arguments it is called with, and what the plain function answers before and after."""

    case: Case
    arguments: str | None
    before: str
    after: str


@dataclass(frozen=True)
class Verdict:
    case: Case
    outcome: str
    note: str = ""
    stale: bool = False

    @property
    def right(self) -> bool:
        return self.outcome == (RECOMPUTED if self.case.expect == DIFFERENT else HIT)

    @property
    def judged(self) -> bool:
        return self.outcome in (RECOMPUTED, HIT)


def write(case: Case, edited: bool, project: Path) -> None:
    """The project as it is before or after; what the other state left behind goes away."""
    for path in project.rglob("*.py"):
        path.unlink()
    for name, text in case.project(edited).items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")


def ask(python: str | Path, system: str, jobs: list[dict[str, str]], seed: int, home: Path) -> list[Answer]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AFRESH_")}
    environment.update(PYTHONHASHSEED=str(seed), HOME=str(home))
    done = subprocess.run(
        [str(python), str(HERE / "worker.py"), system],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{system}: {done.stderr}")
    answers: list[Answer] = json.loads(done.stdout)
    return answers


def job(case: Case, project: Path, cwd: Path, arguments: str, edited: bool) -> dict[str, str]:
    return {
        "project": str(project),
        "store": str(project.with_name(project.name + "-store")),
        "cwd": str(cwd),
        "mode": case.after if edited else case.before,
        "live": case.live,
        "arguments": arguments,
    }


def trials(cases: list[Case], base: Path) -> list[Trial]:
    """Finds for each case arguments to call with."""
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(lambda edited: plain_answers(cases, edited, base / f"plain-{edited}"), (False, True))
    return [trial(case, *both) for case, both in zip(cases, zip(before, after, strict=True), strict=True)]


def plain_answers(cases: list[Case], edited: bool, base: Path) -> list[list[Answer]]:
    jobs = []
    for number, case in enumerate(cases):
        for index, arguments in enumerate(ARGUMENTS):
            # A live case may write into its project.
            project = base / (f"{number}-{index}" if case.live else str(number))
            if case.live or index == 0:
                project.mkdir(parents=True)
                write(case, edited, project)
            jobs.append(job(case, project, project, arguments, edited))
    answers = iter(ask(sys.executable, "plain", jobs, 1, base))
    return [[next(answers) for _ in ARGUMENTS] for _ in cases]


def trial(case: Case, before: list[Answer], after: list[Answer]) -> Trial:
    best: Trial | None = None
    for arguments, first, last in zip(ARGUMENTS, before, after, strict=True):
        if "error" in first or "error" in last:
            raise SystemExit(f"{case.id}: {first.get('error') or last.get('error')}")
        start, end = first["calls"][0], (first["calls"] if case.live else last["calls"])[-1]
        if start["error"] or start["unstorable"]:
            continue
        found = Trial(case, arguments, start["value"], end["value"] or end["error"])
        if case.expect == SAME or (not end["error"] and found.before != found.after):
            return found
        best = best or found
    return best or Trial(case, None, "", "")


def run(system: str, python: str | Path, chosen: list[Trial], base: Path) -> list[Verdict]:
    """The three steps for every case of one system."""
    folders = [base / name for name in ("first", "elsewhere", "yet-elsewhere")]
    for folder in folders:
        folder.mkdir(parents=True)
    usable = [one for one in chosen if one.arguments is not None]
    answers: dict[str, list[Answer]] = {one.case.id: [] for one in usable}
    for step, cwd in enumerate(folders):
        part = [one for one in usable if step == 0 or not one.case.live]
        jobs = []
        for number, one in enumerate(usable):
            project = base / str(number)
            if one in part:
                project.mkdir(exist_ok=True)
                write(one.case, step == 2, project)
                jobs.append(job(one.case, project, cwd, one.arguments or "", step == 2))
        for one, answer in zip(part, ask(python, system, jobs, step + 11, base), strict=True):
            split = [{"calls": [each]} for each in answer["calls"]] if "calls" in answer else [answer] * 3
            answers[one.case.id] += split if one.case.live else split[:1]
    return [judge(one, answers.get(one.case.id, [])) for one in chosen]


def judge(one: Trial, answers: list[Answer]) -> Verdict:
    case = one.case
    if one.arguments is None:
        return Verdict(case, NOTHING)
    for answer in answers:
        if "error" in answer:
            return Verdict(case, RAISED, answer["error"].strip().splitlines()[-1])
    first, control, last = (answer["calls"][0] for answer in answers)
    for each in (first, control):
        if each["error"]:
            return Verdict(case, RAISED, each["error"])
    if not first["ran"]:
        return Verdict(case, UNSEEN)
    if last["ran"]:
        if case.expect == DIFFERENT and control["ran"]:
            return Verdict(case, NEVER)
        return Verdict(case, RECOMPUTED)
    if last["error"]:
        return Verdict(case, RAISED, last["error"])
    return Verdict(case, HIT, stale=last["value"] != one.after)


def count(verdicts: Iterable[Verdict]) -> dict[str, int]:
    each = list(verdicts)
    tally = Counter(verdict.outcome for verdict in each)
    return {
        "must": sum(verdict.case.expect == DIFFERENT for verdict in each),
        "must_right": sum(verdict.case.expect == DIFFERENT and verdict.right for verdict in each),
        "may": sum(verdict.case.expect == SAME for verdict in each),
        "may_right": sum(verdict.case.expect == SAME and verdict.right for verdict in each),
        "must_not_judged": sum(verdict.case.expect == DIFFERENT and not verdict.judged for verdict in each),
        "may_not_judged": sum(verdict.case.expect == SAME and not verdict.judged for verdict in each),
        "stale_answers": sum(verdict.stale for verdict in each),
        "raised": tally[RAISED],
        "never_a_hit": tally[NEVER],
        "nothing_to_store": tally[NOTHING],
        # The method's own check: the first call must have been seen to compute.
        "unseen": tally[UNSEEN],
    }


def table(versions: dict[str, str], counts: dict[str, dict[str, int]]) -> str:
    columns = ["", "recomputes when it must", "hits when it may", "stale answers", "raised", "never a hit"]
    lines = ["| " + " | ".join([*columns, "nothing to store"]) + " |", "|---" * 7 + "|"]
    for system, n in counts.items():
        cells = [
            f"{system} {versions[system]}",
            f"{n['must_right']} / {n['must']}",
            f"{n['may_right']} / {n['may']}",
            *(str(n[key]) for key in ("stale_answers", "raised", "never_a_hit", "nothing_to_store")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def details(verdicts: list[Verdict]) -> dict[str, list[str]]:
    """Every case that did not go as it should, by what happened."""
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.right:
            continue
        kind = {HIT: "hit, must recompute", RECOMPUTED: "recomputed, may hit"}.get(verdict.outcome, verdict.outcome)
        found.setdefault(kind, []).append(f"{verdict.case.id} ({verdict.note})" if verdict.note else verdict.case.id)
    return found


def afresh_version() -> str:
    import afresh

    return afresh.__version__


def spread(limit: int | None) -> list[Case]:
    """All cases, or about ``limit`` from all over the corpus."""
    return CASES[:: max(1, len(CASES) // limit)][:limit] if limit else CASES


def compare(systems: list[str], cases: list[Case]) -> dict[str, Any]:
    python = environment.rivals()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        base = Path(folder).resolve()
        chosen = trials(cases, base)
        jobs = [
            pool.submit(run, name, sys.executable if name == "afresh" else python, chosen, base / name)
            for name in systems
        ]
        verdicts = {name: done.result() for name, done in zip(systems, jobs, strict=True)}
    return {
        "python": platform.python_version(),
        "cases": len(cases),
        "answers_change": sum(one.arguments is not None and one.before != one.after for one in chosen),
        "versions": {name: {**environment.pins(), "afresh": afresh_version()}[name] for name in systems},
        "counts": {name: count(found) for name, found in verdicts.items()},
        "not_right": {name: details(found) for name, found in verdicts.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Which edits are noticed, by afresh and by others.")
    parser.add_argument("--limit", type=int, help="about so many cases, from all over the corpus")
    parser.add_argument("--systems", default=",".join(ORDER), help="names, with commas between")
    parser.add_argument("--output", type=Path, help="where the results go (full: benches/results)")
    given = parser.parse_args()
    started = time.monotonic()
    result = compare(given.systems.split(","), spread(given.limit))
    full = given.limit is None and given.systems == ",".join(ORDER)
    output = given.output or (RESULTS if full else None)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(table(result["versions"], result["counts"]))
    print(f"{result['cases']} cases in {time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
