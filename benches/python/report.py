"""Results as files, as a table for people, and as the README's table and plot.

Invariant: a figure of ours is shown only beside a rival's of the same run, and a target that was missed says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import plot
from measure import said
from systems import OURS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benches" / "results"
README = ROOT / "README.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
#: Rows of the plan for which there is nothing to measure.
NOT_BUILT = {
    "HTTP GET of a cached result": "≥ 10 × cashet's requests/s",
}
HEAD = ("", "asked", OURS, "others, best first", "afresh ÷ best", "")
Result = dict[str, Any]
Cells = tuple[str, ...]


def save(result: Result) -> None:
    """One file a row."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (RESULTS / f"{result['row']}.json").write_text(text + "\n")


def load(rows: Iterable[str]) -> list[Result]:
    """What is there. Rows of different machines or versions do not stand in one table."""
    found = [json.loads((RESULTS / f"{row}.json").read_text()) for row in rows if (RESULTS / f"{row}.json").exists()]
    if len({json.dumps([result["machine"], result["versions"]]) for result in found}) > 1:
        raise SystemExit("the results are of different machines or versions: run all rows")
    return found


def cells(result: Result, most: int, everything: bool) -> list[Cells]:
    """The lines of a row, with up to ``most`` rivals each; only those with a target unless ``everything`` is asked."""
    found: list[Cells] = []
    for line in result["lines"]:
        if not (line["asked"] or everything):
            continue
        own = line["figures"][OURS]
        rivals = sorted(
            ((name, figure) for name, figure in line["figures"].items() if name != OURS), key=lambda r: r[1]["median"]
        )
        if not rivals:
            continue
        shown = ", ".join(f"{name} {_said(figure, line['unit'])}" for name, figure in rivals[:most])
        ratio = rivals[0][1]["ratio"]
        verdicts = ["met" if asked["met"] else "MISSED" for asked in line["asked"]]
        verdict = verdicts[0] if len(set(verdicts)) == 1 else ", ".join(verdicts)
        asked = ", ".join(asked["text"] for asked in line["asked"])
        found.append((line["what"], asked, _said(own, line["unit"]), shown, _times(ratio), verdict))
    if result["failed"]:
        found.append((result["row"], result["asked"], "", "", "", f"FAILED: {result['failed']}"))
    return found


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _said(figure: Result, unit: str) -> str:
    return said(figure["note"], figure["median"], unit)


def table(results: Iterable[Result]) -> str:
    """Everything, for a terminal."""
    lines = [HEAD, *(cell for result in results for cell in cells(result, 9, True))]
    # The column of the others is as wide as it gets and stands last.
    order = (0, 1, 2, 4, 5, 3)
    widths = [max(len(line[column]) for line in lines) for column in order]
    return "\n".join(
        "  ".join(line[column].ljust(width) for column, width in zip(order, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(results: list[Result]) -> str:
    """What was asked for, for the README."""
    lines: list[Cells] = [HEAD, ("---", "---", "--:", "---", "--:", "---")]
    lines += [cell for result in results for cell in cells(result, 3, False)]
    lines += [(what, asked, "–", "–", "–", "not measured here") for what, asked in NOT_BUILT.items()]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    where, run = results[0]["machine"], results[0]["run"]
    others = ", ".join(
        f"{name} {version}" for name, version in results[0]["versions"].items() if name not in (OURS, "numpy")
    )
    loads = sorted(result["run"]["load"] for result in results)
    return (
        f"{text}\n\nMedians of `make bench` ({run['date']}; each row beside its rivals in one run): {where['cpu']}, {where['cores']} cores, "
        f"{where['python']}, {where['system']}, load {loads[0]} to {loads[-1]} when rows began; {others}."
    )


def publish(results: list[Result]) -> None:
    """The README's table, and the plot that it shows."""
    before, begin, rest = README.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"the README has no {BEGIN} and {END}")
    README.write_text(f"{before}{begin}\n\n{markdown(results)}\n\n{end}{after}")
    lines = [line for result in results for line in result["lines"] if line["answers"]]
    if lines:
        (RESULTS / "hit-latency.svg").write_text(plot.latency(lines))
