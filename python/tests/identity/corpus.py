"""The form of a case: a small project, an edit, and whether the identity of `main.f` may survive it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

SAME, DIFFERENT = "same", "different"
Edit = tuple[str, str, str]


@dataclass(frozen=True)
class Case:
    """`files` and `edits` make the project before and after; `live` is run in the same process instead."""

    group: str
    name: str
    expect: str
    files: dict[str, str]
    edits: tuple[Edit, ...] = ()
    replaced: dict[str, str] = field(default_factory=dict)
    # How the project is started: import, script, exec (no source), cell (as a notebook does).
    before: str = "import"
    after: str = "import"
    # Statements to run in the process after the first look, instead of an edit.
    live: str = ""

    @property
    def id(self) -> str:
        return f"{self.group}: {self.name}"

    def project(self, edited: bool) -> dict[str, str]:
        files = {name: textwrap.dedent(text).lstrip("\n") for name, text in self.files.items()}
        if not edited:
            return files
        for name, old, new in self.edits:
            assert old in files[name], f"{self.id}: {old!r} is not in {name}"
            files[name] = files[name].replace(old, new)
        for name, text in self.replaced.items():
            files[name] = textwrap.dedent(text).lstrip("\n")
        return files


def group(title: str) -> Group:
    return Group(title)


class Group:
    """Collects the cases of one kind with as little ceremony as possible."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.cases: list[Case] = []

    def edit(self, name: str, expect: str, main: str, *edits: tuple[str, ...], **more: str) -> None:
        """An edit is (old, new) in main.py or (file, old, new); further files as keywords, `__` for `/`."""
        options = {key: more.pop(key) for key in ("before", "after", "live") if key in more}
        files = {"main.py": main}
        for key, text in more.items():
            package, init, _ = key.partition("____init__")
            package = package.replace("__", "/")
            files[f"{package}/__init__.py" if init else key.replace("__", "/") + ".py"] = text
        full = tuple(one if len(one) == 3 else ("main.py", *one) for one in edits)
        self.cases.append(Case(self.title, name, expect, files, full, **options))  # type: ignore[arg-type]

    def swap(self, name: str, expect: str, main: str, new: str, **more: str) -> None:
        """The whole of main.py is replaced."""
        self.edit(name, expect, main, **more)
        last = self.cases.pop()
        self.cases.append(Case(**{**last.__dict__, "replaced": {"main.py": new}}))
