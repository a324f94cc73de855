"""Latency against the number of answers in the store, as SVG: written by hand, so that nothing is needed to draw it.

Both axes are logarithmic. Colours follow the reader's scheme, light or dark; every curve also has its name at its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import Any

from measure import show
from systems import OURS

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 130, 46, 52
#: For each curve: on light, on dark. Ours is the first.
COLOURS = (
    ("#d9480f", "#ff922b"),
    ("#1971c2", "#4dabf7"),
    ("#2f9e44", "#69db7c"),
    ("#9c36b5", "#da77f2"),
    ("#0c8599", "#3bc9db"),
    ("#868e96", "#adb5bd"),
)
Point = tuple[float, float]


def latency(lines: list[dict[str, Any]]) -> str:
    """The plot of lines that say for how many ``answers`` they are."""
    curves: dict[str, list[Point]] = {OURS: []}
    for line in sorted(lines, key=lambda line: line["answers"]):
        for name, figure in line["figures"].items():
            curves.setdefault(name, []).append((line["answers"], figure["median"]))
    points = [point for curve in curves.values() for point in curve]
    across = _scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    heights = [y for _, y in points]
    up = _scale([_decades(heights)[0], *heights], HEIGHT - BOTTOM, TOP)
    body = [*_grid(points, across, up)]
    ends = []
    for number, (name, curve) in enumerate(curves.items()):
        drawn = [(across(x), up(y)) for x, y in curve]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        style = f'class="c{number % len(COLOURS)}{" ours" if name == OURS else ""}"'
        body.append(f'<polyline {style} points="{path}"/>')
        body += [f'<circle {style} cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in drawn]
        ends.append((name, number, *drawn[-1]))
    body += _names(ends)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="Latency of a hit against the number of answers in the store">\n'
        f"<style>{_style()}</style>\n"
        f'<text class="title" x="{LEFT}" y="24">A hit from the store, by how many answers it holds (median)</text>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _style() -> str:
    def scheme(dark: int) -> str:
        ink, faint = (("#1f2328", "#d8dee4"), ("#e6edf3", "#3d444d"))[dark]
        curves = "".join(
            f"polyline.c{n}{{stroke:{both[dark]}}}circle.c{n}{{fill:{both[dark]}}}text.c{n}{{fill:{both[dark]}}}"
            for n, both in enumerate(COLOURS)
        )
        return f"text{{fill:{ink}}}.grid{{stroke:{faint}}}{curves}"

    return (
        "text{font:13px system-ui,sans-serif}.title{font-size:15px;font-weight:600}"
        "polyline{fill:none;stroke-width:2;stroke-linejoin:round}.ours{stroke-width:4}"
        f"{scheme(0)}@media (prefers-color-scheme:dark){{{scheme(1)}}}"
    )


def _scale(values: list[float], start: float, end: float) -> Callable[[float], float]:
    low, high = math.log10(min(values)), math.log10(max(values))
    span = (high - low) or 1.0
    return lambda value: start + (math.log10(value) - low) / span * (end - start)


def _grid(points: list[Point], across: Callable[[float], float], up: Callable[[float], float]) -> list[str]:
    found = []
    for x in sorted({x for x, _ in points}):
        at = across(x)
        found.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        found.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{int(x):,}</text>')
    low, high = (round(math.log10(value)) for value in _decades([y for _, y in points]))
    for power in range(low, high + 1):
        at = up(10.0**power)
        if at < TOP - 1:
            continue
        found.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        found.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{show(10.0**power, "s")}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    found.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">answers in the store</text>')
    return found


def _decades(values: list[float]) -> tuple[float, float]:
    return 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))


def _names(ends: list[tuple[str, int, float, float]]) -> list[str]:
    """The names at the ends of the curves, far enough apart to be read."""
    found, last = [], -math.inf
    for name, number, x, y in sorted(ends, key=lambda end: end[3]):
        last = max(y, last + 16)
        weight = ' font-weight="700"' if name == OURS else ""
        place = f'x="{x + 9:.1f}" y="{last + 4:.1f}"'
        found.append(f'<text class="c{number % len(COLOURS)}" {place}{weight}>{escape(name)}</text>')
    return found
