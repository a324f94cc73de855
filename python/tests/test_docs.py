"""What the documentation says is what happens: its snippets run, its links lead somewhere, its example works, and its
formats can be read.

In `README.md`, `docs/guide/*.md` and `docs/concepts/*.md`, read from top to bottom in an empty folder:

- a block ```` ```python ```` runs, all blocks of a file in one namespace. A line that ends in `# -> text` must give
  that text (what it prints, or the `repr` of its value; `...` stands for anything); `>>>` works as in doctest;
- ```` ```python file=NAME ```` is written to that file instead, for later blocks to import or run;
- ```` ```python cell ```` is a cell of a notebook: IPython runs it, in a process of its own, and what it prints and gives
  is compared with its `# -> text`s, one after the other; ```` ```python restart ```` is a cell in a new kernel;
- ```` ```console ```` runs the lines that begin with `$`; `HASH` and `OTHER` stand for the two youngest commits;
- a block marked `no-run` is only read.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import json
import linecache
import os
import pickle
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import afresh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python"
GUIDES = [ROOT / "README.md", *sorted(ROOT.glob("docs/guide/*.md")), *sorted(ROOT.glob("docs/concepts/*.md"))]
SKIPPED = {"target", "node_modules", "venv", "dist", "build"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    line: int
    language: str
    marks: tuple[str, ...]
    text: str


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown text."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        fence = re.match(r"(`{3,})\s*(\S*)\s*(.*)$", lines[at])
        at += 1
        if fence is None:
            continue
        start = at
        while at < len(lines) and not lines[at].startswith(fence[1]):
            at += 1
        yield Block(start, fence[2], tuple(fence[3].split()), "\n".join(lines[start:at]) + "\n")
        at += 1


def markdown() -> list[Path]:
    """Every Markdown file of the project."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("."))
        found += [Path(folder, name) for name in sorted(files) if name.endswith(".md")]
    return found


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def environment() -> dict[str, str]:
    """The environment of a process that sees this package and the folder it runs in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AFRESH_")}
    paths = [str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "NO_COLOR": "1", "COLUMNS": "100"}


def command(line: str) -> list[str]:
    """The arguments of a command line, with this Python and its `afresh`."""
    first, *rest = shlex.split(line, comments=True)
    if first == "python":
        return [sys.executable, *rest]
    if first == "afresh":
        beside = Path(sys.executable).with_name("afresh")
        return [str(beside), *rest] if beside.exists() else [sys.executable, "-m", "afresh", *rest]
    raise AssertionError(f"the guides run `python` and `afresh` only, not `{first}`")


KERNEL = """
import contextlib, io, json, re, sys
from IPython.core.interactiveshell import InteractiveShell
out, shell = sys.stdout, InteractiveShell.instance()
for line in sys.stdin:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        done = shell.run_cell(json.loads(line), store_history=True)
    shown = re.split(r"^Out\\[\\d+\\]: ", printed.getvalue(), maxsplit=1, flags=re.MULTILINE)
    print(json.dumps([bool(done.success), shown]), file=out, flush=True)
"""


class Kernel:
    """IPython in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", KERNEL],
            cwd=folder,
            env={**environment(), "IPYTHONDIR": str(folder / ".ipython")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, text: str) -> tuple[bool, str]:
        """Whether a cell succeeded, and what it printed and gave."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps(text), file=self.process.stdin, flush=True)
        success, shown = json.loads(self.process.stdout.readline())
        return success, "".join(shown).strip("\n")

    def end(self) -> None:
        self.process.communicate(timeout=60)


class Reader:
    """Does what one file says."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        self.folder = folder
        # A module of its own, so that what is defined has a place to be found in.
        self.module = types.ModuleType("guide")
        sys.modules["guide"] = self.module
        self.names: dict[str, Any] = self.module.__dict__
        self.kernel: Kernel | None = None

    def end(self) -> None:
        if self.kernel is not None:
            self.kernel.end()

    def read(self) -> None:
        for block in blocks(self.path.read_text(encoding="utf-8")):
            if "no-run" in block.marks:
                continue
            where = f"{relative(self.path)}:{block.line}"
            file = next((m[5:] for m in block.marks if m.startswith("file=")), None)
            if file is not None:
                (self.folder / file).write_text(block.text, encoding="utf-8")
            elif {"cell", "restart"} & {*block.marks}:
                self.cell(block, where)
            elif block.language == "python":
                self.python(block, where)
            elif block.language == "console":
                self.console(block, where)

    def python(self, block: Block, where: str) -> None:
        if block.text.lstrip().startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(block.text, self.names, where, where, block.line)
            out: list[str] = []
            runner = doctest.DocTestRunner(optionflags=FLAGS)
            runner.run(test, out=out.append, clear_globs=False)
            assert not runner.failures, "".join(out)
            return
        name = f"<{where}>"
        lines = block.text.splitlines(keepends=True)
        linecache.cache[name] = (len(block.text), None, lines, name)
        for statement in ast.parse(block.text, name).body:
            self.statement(statement, lines, name, f"{relative(self.path)}:{block.line + statement.lineno}")

    def cell(self, block: Block, where: str) -> None:
        if "restart" in block.marks:
            self.end()
            self.kernel = None
        if self.kernel is None:
            self.kernel = Kernel(self.folder)
        success, got = self.kernel.run(block.text)
        assert success, f"{where}: {got}"
        said = [line.partition("# -> ")[2] for line in block.text.splitlines() if "# -> " in line]
        if said:
            match = doctest.OutputChecker().check_output("\n".join(said) + "\n", f"{got}\n", FLAGS)
            assert match, f"{where} says {said!r}, but it is {got!r}"

    def statement(self, statement: ast.stmt, lines: list[str], name: str, where: str) -> None:
        last = lines[(statement.end_lineno or statement.lineno) - 1]
        said = last.partition("# -> ")[2].rstrip("\n")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if isinstance(statement, ast.Expr):
                value = eval(compile(ast.Expression(statement.value), name, "eval", dont_inherit=True), self.names)
            else:
                value = None
                exec(compile(ast.Module([statement], []), name, "exec", dont_inherit=True), self.names)  # noqa: S102
        if said:
            got = printed.getvalue().rstrip("\n")
            if not got and isinstance(statement, ast.Expr):
                got = repr(value)
            elif not got and isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                got = repr(self.names[statement.targets[0].id])
            match = doctest.OutputChecker().check_output(f"{said}\n", f"{got}\n", FLAGS)
            assert match, f"{where} says {said!r}, but it is {got!r}"

    def console(self, block: Block, where: str) -> None:
        for line in block.text.splitlines():
            if not line.startswith("$ "):
                continue
            done = subprocess.run(
                command(self.with_hashes(line[2:])),
                cwd=self.folder,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, f"{where}: {line}\n{done.stdout}{done.stderr}"

    def with_hashes(self, line: str) -> str:
        if not re.search(r"\b(HASH|OTHER)\b", line):
            return line
        done = subprocess.run(
            command("afresh log --json --status completed --limit 2"),
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        young = [commit["hash"][:12] for commit in json.loads(done.stdout)]
        for word, hash in zip(("HASH", "OTHER"), young):
            line = re.sub(rf"\b{word}\b", hash, line)
        return line


@pytest.mark.parametrize("path", GUIDES, ids=relative)
def test_snippets_do_what_they_say(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AFRESH_URL", "AFRESH_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = set(sys.modules)
    reader = Reader(path, tmp_path)
    try:
        reader.read()
    finally:
        reader.end()
        for name in set(sys.modules) - loaded:
            file = getattr(sys.modules[name], "__file__", None)
            if name == "guide" or (file and Path(file).parent == tmp_path):
                del sys.modules[name]


def anchors(path: Path) -> set[str]:
    """The names under which the headings of a file can be linked to."""
    text = path.read_text(encoding="utf-8")
    for block in blocks(text):
        text = text.replace(block.text, "\n")
    found = set()
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", markdown(), ids=relative)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for block in blocks(text):
        text = text.replace(block.text, "\n")
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.exists():
            broken.append(f"{link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            broken.append(f"{link}: no such heading")
    assert not broken, "\n".join(broken)


class Postcard:
    """Reads records as `docs/format.md` describes them, and nothing else."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        self.at += count
        assert self.at <= len(self.data)
        return self.data[self.at - count : self.at]

    def unsigned(self) -> int:
        number = shift = 0
        while True:
            (byte,) = self.take(1)
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def signed(self) -> int:
        number = self.unsigned()
        return number >> 1 if number % 2 == 0 else -(number >> 1) - 1

    def id(self) -> str:
        return self.take(32).hex()

    def bytes(self) -> bytes:
        return self.take(self.unsigned())

    def text(self) -> str:
        return self.bytes().decode()

    def option(self, read: Callable[[], Any]) -> Any:
        return read() if self.take(1) == b"\1" else None

    def list(self, read: Callable[[], Any]) -> list[Any]:
        return [read() for _ in range(self.unsigned())]

    def tag(self) -> tuple[str, str | None]:
        return self.text(), self.option(self.text)

    def object(self) -> tuple[str, int]:
        return self.id(), self.unsigned()

    def entry(self) -> dict[str, Any]:
        assert self.take(1) == b"\1"
        return {
            "version": self.unsigned(),
            "record": self.option(self.bytes),
            "count": self.signed(),
            "object": self.option(self.object),
            "function": self.option(self.text),
            "status": self.option(self.unsigned),
            "tags": self.list(self.tag),
            "group": self.option(self.unsigned),
            "time": self.signed(),
            "used": self.signed(),
            "expires": self.option(self.signed),
        }

    def argument(self) -> tuple[str, str, str, str | None]:
        return self.text(), self.id(), self.text(), self.option(self.id)

    def outcome(self) -> dict[str, Any]:
        if self.unsigned() == 1:
            return {"type": self.text(), "message": self.text(), "traceback": self.text()}
        if self.unsigned() == 1:
            return {"reason": self.text()}
        return {
            "object": self.object(),
            "codec": self.text(),
            "signature": self.option(self.id),
            "value": self.option(self.id),
            "inline": self.option(self.bytes),
        }

    def commit(self) -> dict[str, Any]:
        version = self.take(1)
        assert version in (b"\1", b"\2")
        found = self.record()
        if version == b"\2":
            found["outlines"] = self.list(lambda: (self.unsigned(), self.object(), self.option(self.bytes)))
            assert found["outlines"]
        return found

    def outline(self) -> dict[str, Any]:
        assert self.take(1) == b"\1"
        return {"parts": self.list(self.part)}

    def part(self) -> tuple[Any, ...]:
        preview, case = self.text(), self.unsigned()
        rest = lambda: self.option(lambda: (self.unsigned(), self.take(8)))  # noqa: E731
        if case == 0:
            return preview, "leaf", self.take(8)
        if case == 1:
            return preview, "fields", self.list(lambda: (self.unsigned(), self.text())), rest()
        if case == 2:
            return preview, "items", self.unsigned(), rest()
        if case == 3:
            return preview, "members", self.list(lambda: (self.take(8), self.text())), rest()
        return preview, "rows", self.text(), self.list(self.unsigned), self.cells()

    def cells(self) -> Any:
        case = self.unsigned()
        if case == 0:
            return self.list(lambda: self.take(4))
        return (self.unsigned(), self.bytes(), self.bytes()) if case == 1 else self.take(8)

    def record(self) -> dict[str, Any]:
        return {
            "fingerprint": self.id(),
            "function": self.text(),
            "function_id": self.id(),
            "function_record": self.option(self.id),
            "arguments": self.list(self.argument),
            "parent": self.option(self.id),
            "inputs": self.list(self.id),
            "outcome": self.outcome(),
            "started": self.signed(),
            "took_us": self.unsigned(),
            "ttl_ms": self.option(self.unsigned),
            "tags": self.list(self.tag),
            "who": (self.text(), self.text(), self.unsigned()),
            "nonce": self.unsigned(),
        }

    def head(self) -> dict[str, Any]:
        assert self.take(1) == b"\1"
        return {
            "commit": self.id(),
            "started": self.signed(),
            "created": self.signed(),
            "took_us": self.unsigned(),
            "ttl_ms": self.option(self.unsigned),
            "codec": self.text(),
            "signature": self.option(self.id),
            "value": self.option(self.id),
            "object": self.object(),
            "inline": self.option(self.bytes),
        }

    def whole(self, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        found = read()
        assert self.at == len(self.data), "nothing is left over"
        return found


class DictStore(dict[str, bytes]):
    """A store as the guide shows it."""

    def put(self, key: str, value: bytes) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)

    def keys(self, prefix: str = "") -> list[str]:  # type: ignore[override]
        return [key for key in self if key.startswith(prefix)]


def test_a_reader_written_from_the_formats_page_reads_a_store() -> None:
    store = DictStore()
    client = afresh.Client(store, secret="a secret for this test")

    def add(a: int, b: int = 2) -> int:
        return a + b

    def fail() -> None:
        raise ValueError("no data")

    one = client.submit(add, 1, _tags={"day": "mon", "bare": None}, _ttl=60)
    two = client.submit(add, one)
    large = client.submit(list, "ab" * 300)
    with pytest.raises(afresh.TaskError) as raised:
        client.submit(fail)
    failed = raised.value.commit_hash

    def entry(space: int, hash: str) -> dict[str, Any]:
        return _whole(store[f"entries/{space}/{hash}"], "entry")

    commits = {h: _whole(entry(2, h)["record"], "commit") for h in (one.commit_hash, two.commit_hash)}
    first, second = commits.values()
    assert first["function"].endswith("add")
    assert first["function_id"] == second["function_id"]
    assert [a[0] for a in first["arguments"]] == ["a", "b"]
    assert second["arguments"][0][3] == one.commit_hash
    assert second["inputs"] == [one.commit_hash]
    assert first["ttl_ms"] == 60_000
    assert dict(first["tags"]) == {"day": "mon", "bare": None}
    assert pickle.loads(first["outcome"]["inline"]) == 3
    assert first["outcome"]["value"] == second["arguments"][0][1]
    assert first["outcome"]["signature"] is not None
    assert json.loads(store[f"objects/{first['function_record']}"])["digest"] == first["function_id"]

    head = _whole(entry(1, first["fingerprint"])["record"], "head")
    assert head["commit"] == one.commit_hash
    assert {k: head[k] for k in ("object", "codec", "value", "inline", "signature")} == first["outcome"]

    labels = entry(2, large.commit_hash)
    object_id, length = labels["object"]
    assert (labels["function"], labels["status"]) == ("builtins.list", 0)
    assert (object_id, length) == (large.hash, large.size)
    assert pickle.loads(store[f"objects/{object_id}"]) == large.load()

    outcome = _whole(entry(2, str(failed))["record"], "commit")["outcome"]
    assert (outcome["type"], outcome["message"]) == ("ValueError", "no data")


def test_an_outline_is_what_the_formats_page_says() -> None:
    store = DictStore()
    client = afresh.Client(store)

    def fit(config: dict[str, Any], weights: list[int]) -> None:
        return None

    weights = [row * row for row in range(1000)]
    done = client.submit(fit, {"depth": 3, "odd": {1}}, weights)
    commit = _whole(_whole(store[f"entries/2/{done.commit_hash}"], "entry")["record"], "commit")
    (config, (_, length), inline), (place, object, absent) = commit["outlines"]
    assert (config, len(inline), place, absent) == (0, length, 1, None)

    def short(value: object) -> bytes:
        return afresh._afresh.digest_value(value)[0][:8]

    assert _whole(inline, "outline")["parts"] == [
        ("{'depth': 3, 'odd': set(1)}", "fields", [(0, '"depth"'), (0, '"odd"')], None),
        ("3", "leaf", short(3)),
        ("set(1)", "members", [(short(1), "1")], None),
    ]
    data = store[f"objects/{object[0]}"]
    assert len(data) == object[1]
    (part,) = _whole(data, "outline")["parts"]
    size, sums, strata = part[4]
    assert part[1:4] == ("rows", "", [1000]) and size == 0

    wrap = (1 << 64) - 1

    def mix(x: int) -> int:
        x = (x ^ x >> 32) * 0xD6E8FEB86659FD93 & wrap
        return x ^ x >> 29

    tables = {prime: [[0, 0] for _ in range(prime)] for prime in (79, 83, 89)}
    counted = [[0] * 256 for _ in range(10)]
    for row, weight in enumerate(weights):
        spread = (row + 1) * 0x9E3779B97F4A7C15 & wrap
        hash, x = mix(int.from_bytes(short(weight), "little") ^ spread), mix(spread)
        for prime, table in tables.items():
            table[row % prime][0] += hash
            table[row % prime][1] += hash * row
        counted[min((64 - x.bit_length()) // 2, 9)][x & 255] += hash >> 32
    cells = [number & wrap for table in tables.values() for cell in table for number in cell]
    assert sums == b"".join(number.to_bytes(8, "little") for number in cells)
    assert strata == bytes(number & 255 for level in counted for number in level)


def _whole(data: bytes, kind: str) -> dict[str, Any]:
    reader = Postcard(data)
    return reader.whole(getattr(reader, kind))


def test_the_quickstart_recomputes_what_it_must_and_nothing_else(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "quickstart.py"), "--modules", "40"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for heading in ("$ afresh log", "$ afresh stats", "$ afresh diff"):
        assert heading in done.stdout
    assert list(tmp_path.iterdir()) == [], "the example leaves nothing behind"
