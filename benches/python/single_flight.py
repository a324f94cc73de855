"""Several processes ask for one call that nobody made yet: how often it runs, when the others have the answer, and how
long they wait when the one that computes is killed.

How long those who waited take is the longest of them, from the moment the function had its answer: storing it is part
of that. Who gives up watching a system does so after ``PATIENCE``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from measure import Line, Pairs, Target, line, note
from systems import OURS
from team import Member, runs

ASKED = "1 run; waiters released within 2 ms; next caller runs within 50 ms of a kill -9"
SECONDS = 400
PROCESSES = 8
ROUNDS = 5
WORK = 0.25
PATIENCE = 3.0
RIVALS = ("cashet", "cachier", "joblib", "diskcache", "cachetta")
#: Those that let others wait at all.
WAITING = ("cashet", "cachier")


def measure(folder: Path) -> Iterator[Line]:
    counts: dict[str, Pairs] = {}
    released: dict[str, Pairs] = {}
    for rival in RIVALS:
        note(f"{PROCESSES} processes ask {OURS} and {rival} ...")
        pairs = together(rival, folder / f"together-{rival}")
        counts[rival] = [(own[0], theirs[0]) for own, theirs in pairs]
        if median(theirs[0] for _, theirs in pairs) == 1:
            released[rival] = [(own[1], theirs[1]) for own, theirs in pairs]
    yield line("8 processes, one cold key", "runs", counts, [Target("1 run", 1)])
    if released:
        what, target = "8 processes: the last one has the answer after", Target("≤ 2 ms", 2e-3)
        yield line(what, "s", released, [target], patience=PATIENCE)
    orphaned: dict[str, Pairs] = {}
    for rival in WAITING:
        note(f"killing who computes for {OURS} and {rival} ...")
        orphaned[rival] = [
            (killed(OURS, folder / f"{rival}-ours-{each}"), killed(rival, folder / f"{rival}-{each}"))
            for each in range(3)
        ]
    what, target = "owner killed with -9: the next one runs after", Target("≤ 50 ms", 50e-3)
    yield line(what, "s", orphaned, [target], patience=PATIENCE)


def together(rival: str, folder: Path) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """(runs, longest wait) of ours and theirs, round by round. Processes live through all rounds, unless one of their
    team is still waiting when patience ends."""
    teams: dict[str, list[Member]] = {OURS: [], rival: []}
    found = []
    try:
        for each in range(ROUNDS):
            both = []
            for name, team in teams.items():
                if not team:
                    team += [Member(name, folder / f"store-{name}") for _ in range(PROCESSES)]
                count, longest = race(team, folder / f"{name}-{each}")
                both.append((count, longest))
                if longest >= PATIENCE:
                    dismiss(team)
            found.append((both[0], both[1]))
    finally:
        for team in teams.values():
            dismiss(team)
    return found


def dismiss(team: list[Member]) -> None:
    for member in team:
        member.end()
    team.clear()


def race(team: list[Member], folder: Path) -> tuple[float, float]:
    folder.mkdir(parents=True)
    for member in team:
        member.ask(folder, WORK)
    until = time.monotonic() + WORK + PATIENCE
    answers = [member.answer(until) for member in team]
    longest = max(PATIENCE if answer is None else answer[1] - answer[0] for answer in answers)
    return float(len(runs(folder))), min(longest, PATIENCE)


def killed(system: str, folder: Path) -> float:
    """Seconds from the end of the owner to the moment the one who waited enters the function."""
    folder.mkdir(parents=True)
    owner, waiter = (Member(system, folder / "store") for _ in range(2))
    try:
        owner.ask(folder, 60)
        _until(lambda: len(runs(folder)) == 1)
        waiter.ask(folder, 60)
        # Time to find the owner at work and to begin waiting.
        time.sleep(0.5)
        at = time.monotonic()
        owner.end()
        _until(lambda: len(runs(folder)) == 2)
        entered = [moment for pid, moment in runs(folder) if pid == waiter.process.pid]
        return entered[0] - at if entered else PATIENCE
    finally:
        owner.end()
        waiter.end()


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not done() and time.monotonic() < end:
        time.sleep(0.005)
