"""Every edit of the corpus, planned: what `afresh plan` says of it without running anything is what running finds.

The projects are written and an answer of `main.f` is kept; then the files are edited and planned; only then does a process
say what the function's digest has become.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import afresh

sys.path.insert(0, str(Path(__file__).parent))
from corpus import Case
from test_corpus import CASES, HERE, PYTHON_PATH

FILES = ("import", "script")
PLANNED = [case for case in CASES if not case.live and case.before in FILES and case.after in FILES]


def _write(folder: Path, case: Case, edited: bool) -> None:
    for file in folder.rglob("*.py"):
        file.unlink()
    for name, text in case.project(edited).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")


def _ask(jobs: list[dict[str, str]]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(HERE / "planner.py")],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": PYTHON_PATH},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], str, str]]:
    base = tmp_path_factory.mktemp("planned")
    folders = [base / str(number) for number in range(len(PLANNED))]
    stores = [str(base / f"store-{number}") for number in range(len(PLANNED))]

    def ask(edited: bool) -> list[dict[str, Any]]:
        jobs = []
        for case, folder, store in zip(PLANNED, folders, stores, strict=True):
            if not edited:
                _write(folder, case, False)
            mode = case.after if edited else case.before
            jobs.append({"folder": str(folder), "mode": mode, "store": "" if edited else store})
        return _ask(jobs)

    before = ask(False)
    plans = []
    for case, folder, store in zip(PLANNED, folders, stores, strict=True):
        _write(folder, case, True)
        with afresh.Client(store) as client:
            plans.append(json.loads(client.engine.plan(str(folder)))["functions"])
    after = ask(True)
    for answer in (*before, *after):
        assert "error" not in answer, answer["error"]
    return {
        case.id: (plan[0], old["key"], new["key"])
        for case, plan, old, new in zip(PLANNED, plans, before, after, strict=True)
    }


@pytest.mark.parametrize("case", PLANNED, ids=lambda case: case.id)
def test_what_is_planned_is_what_happens(case: Case, planned: dict[str, tuple[dict[str, Any], str, str]]) -> None:
    plan, before, after = planned[case.id]
    what = (plan["verdict"], plan["changes"], plan["untold"])
    assert plan["current"] == before
    if plan["verdict"] == "unchanged":
        assert before == after, what
    elif plan["verdict"] == "cannot-tell":
        assert plan["untold"], what
    else:
        assert plan["verdict"] in ("recompute", "gone")
        assert before != after and plan["changes"], what
    if plan["digest"] is not None:
        assert plan["digest"] == after, what


def test_most_can_be_told(planned: dict[str, tuple[dict[str, Any], str, str]]) -> None:
    told = [plan for plan, _, _ in planned.values() if plan["verdict"] != "cannot-tell"]
    exact = [plan for plan in told if plan["digest"]]
    assert len(told) > 0.85 * len(planned) and len(exact) > 0.6 * len(planned)
