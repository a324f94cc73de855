"""What the tests share: a store of their own, a count of runs that works across processes, and scripts to run apart."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap
import warnings

import pytest

import afresh
from afresh import warn

PACKAGE = pathlib.Path(afresh.__file__).resolve().parent.parent


class Runs:
    """Counts runs in a file, so that those of other processes and threads count too."""

    def __init__(self, path: str) -> None:
        self.path = path

    def mark(self) -> None:
        with open(self.path, "a") as file:
            file.write("x")

    @property
    def count(self) -> int:
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0


class Apart:
    """Runs Python text in a process of its own, in an empty folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        path = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AFRESH_")}
        self.env = {**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        self.children: list[subprocess.Popen] = []

    def write(self, name: str, text: str) -> pathlib.Path:
        file = self.folder / name
        file.write_text(textwrap.dedent(text))
        return file

    def start(self, *command: str, **settings) -> subprocess.Popen:
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **settings}
        child = subprocess.Popen([sys.executable, *command], cwd=self.folder, env=self.env, **settings)
        self.children.append(child)
        return child

    def end(self) -> None:
        for child in self.children:
            child.kill()
            child.communicate()

    def run(self, *command: str, input: str | None = None, check: bool = True, timeout: float = 120):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=self.env,
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            pytest.fail(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def __call__(self, text: str, *args: str, name: str = "script.py", **settings) -> str:
        """Runs a script and returns what it printed."""
        return self.run(str(self.write(name, text)), *args, **settings).stdout


@pytest.fixture(autouse=True)
def _fresh_start(monkeypatch):
    """No store from the environment, and every warning may be said again."""
    monkeypatch.delenv("AFRESH_URL", raising=False)
    monkeypatch.delenv("AFRESH_DIR", raising=False)
    warn.emit()
    warn.forget()


@pytest.fixture
def store(tmp_path):
    path = str(tmp_path / "store")
    yield path
    if os.path.isdir(path):
        # Engines live as long as the process; their files need not.
        afresh.Client(path).close()


@pytest.fixture
def client(store):
    with afresh.Client(store) as client:
        yield client


@pytest.fixture
def runs(tmp_path) -> Runs:
    return Runs(str(tmp_path / "runs"))


@pytest.fixture
def apart(tmp_path):
    apart = Apart(tmp_path)
    yield apart
    apart.end()


class Said(list):
    """The texts of the cache's warnings in a block."""

    def __enter__(self) -> Said:
        self.caught = warnings.catch_warnings(record=True)
        self.records = self.caught.__enter__()
        warnings.simplefilter("always")
        return self

    def __exit__(self, *error) -> None:
        warn.emit()
        self.extend(str(r.message) for r in self.records if issubclass(r.category, afresh.CacheWarning))
        self.caught.__exit__(*error)


@pytest.fixture
def said() -> Said:
    """``with said:`` gathers the warnings of the cache, each of which may be said again in the next test."""
    return Said()
