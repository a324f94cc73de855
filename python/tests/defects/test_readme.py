"""The table of defects that are tested elsewhere points to tests that are there."""

from __future__ import annotations

import pathlib
import re

HERE = pathlib.Path(__file__).parent
TEXT = (HERE / "README.md").read_text()


def test_every_pointer_leads_to_a_test():
    pointers = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", TEXT)
    missing = []
    for file, name in pointers:
        path = HERE / file if "/" not in file and (HERE / file).exists() else HERE.parent / file
        if not path.exists() or (name and not re.search(rf"^ *(async )?def {name}\(", path.read_text(), re.MULTILINE)):
            missing.append(f"{file}::{name}")
    assert len(pointers) > 30 and missing == []


def test_every_defect_of_cashews_is_somewhere():
    tests = "".join(file.read_text() for file in HERE.glob("test_cashews*.py"))
    there = {int(n) for n in re.findall(r"def test_t(\d+)_", tests)} | {int(n) for n in re.findall(r"\bT(\d+)\b", TEXT)}
    assert there >= set(range(1, 25))
