"""Every edit of the corpus: the identity of `main.f` is the same exactly where the answer must be.

All projects are written first; then one process identifies all of them before, one after their edits, and a third
once more before them from another folder, each under another hash seed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import cases_class
import cases_data
import cases_further
import cases_more
import cases_outside
import cases_reach
import cases_text
from corpus import DIFFERENT, SAME, Case

MODULES = (cases_text, cases_reach, cases_class, cases_data, cases_more, cases_outside, cases_further)
CASES: list[Case] = [case for module in MODULES for case in module.CASES]
PYTHON_PATH = os.environ.get("AFRESH_TEST_PATH", str(HERE.parent.parent))


def _ask(jobs: list[dict[str, str]], seed: int) -> list[dict[str, Any]]:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": PYTHON_PATH}
    done = subprocess.run(
        [sys.executable, str(HERE / "child.py")],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    base = tmp_path_factory.mktemp("corpus")
    elsewhere = base / "elsewhere"
    elsewhere.mkdir()
    rounds: list[list[dict[str, str]]] = [[], [], []]
    for number, case in enumerate(CASES):
        for index, edited in enumerate((False, True, False)):
            folder = base / f"{number}-{index}"
            for name, text in case.project(edited).items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, newline="", encoding="utf-8")
            mode = case.after if edited else case.before
            cwd = str(elsewhere if index == 2 else folder)
            live = case.live if index == 0 else ""
            rounds[index].append({"folder": str(folder), "mode": mode, "cwd": cwd, "live": live})
    results = [_ask(jobs, seed) for jobs, seed in zip(rounds, (1, 2, 3), strict=True)]
    return {case.id: [result[number] for result in results] for number, case in enumerate(CASES)}


def test_names_are_unique() -> None:
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case, answers: dict[str, list[dict[str, Any]]]) -> None:
    before, after, again = answers[case.id]
    for answer in (before, after, again):
        assert "error" not in answer, answer["error"]
    assert before["key"] == again["key"], "not the same in another process"
    if case.live:
        same = before["key"] == before["after"]
        assert same or not before["held"], "changed, and the old identity claims to hold"
    else:
        same = before["key"] == after["key"]
    assert same == (case.expect == SAME)


def test_print_the_count(answers: dict[str, list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]) -> None:
    must = sum(case.expect == DIFFERENT for case in CASES)
    with capsys.disabled():
        print(f"\nidentity corpus: {len(CASES)} cases, {must} must change, {len(CASES) - must} must not")
