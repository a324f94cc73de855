"""Started in every way Python can be started, with modules that must not run, and with objects that bite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PYTHON_PATH = os.environ.get("AFRESH_TEST_PATH", str(HERE.parent.parent))
SHOW = """
def show():
    import json, sys
    sys.path.insert(0, {here!r})
    from afresh import _afresh
    if not hasattr(_afresh, "digest_value"):
        import standin
        _afresh.digest_value = standin.digest_value
    from afresh.identity import identify
    found = identify(f)
    json.loads(found.record)
    print(json.dumps([found.name, found.digest.hex(), list(found.opaque), found.holds()]))
"""
SHOW = SHOW.replace("{here!r}", repr(str(HERE)))
MAIN = "N = 3\ndef h(x): return x + N\ndef f(x): return h(x)\n"


def run(arguments: list[str], cwd: Path, *more: Path, text: str | None = None, seed: int = 0) -> list[Any]:
    path = os.pathsep.join([PYTHON_PATH, *map(str, more)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, input=text, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def write(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))


def test_every_way_to_start_a_module(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    write(project, etl=MAIN + SHOW + "if __name__ == '__main__': show()\n")
    elsewhere.mkdir()
    script = run(["etl.py"], project)
    assert script[0] == "etl.f" and script[3]
    assert run([str(project / "etl.py")], elsewhere, seed=1) == script
    assert run(["-m", "etl"], project, seed=2) == script
    assert run(["-c", "import etl; etl.show()"], elsewhere, project, seed=3) == script
    package = project / "pkg"
    write(package, __init__="", etl=MAIN + SHOW + "if __name__ == '__main__': show()\n")
    names = {run(["-m", "pkg.etl"], project)[0], run(["pkg/etl.py"], project)[0]}
    names.add(run(["-c", "import pkg.etl; pkg.etl.show()"], project)[0])
    assert names == {"pkg.etl.f"}


def test_a_command_line(tmp_path: Path) -> None:
    one = run(["-c", MAIN + SHOW + "show()"], tmp_path)
    assert one == run(["-c", "# again\n" + MAIN + SHOW + "show()"], tmp_path, seed=1)
    assert one[1] != run(["-c", MAIN.replace("x + N", "x - N") + SHOW + "show()"], tmp_path)[1]
    assert one[1] != run(["-c", MAIN.replace("N = 3", "N = 4") + SHOW + "show()"], tmp_path)[1]


def test_standard_input(tmp_path: Path) -> None:
    one = run(["-"], tmp_path, text=MAIN + SHOW + "show()")
    assert one == run(["-"], tmp_path, text=MAIN + SHOW + "show()", seed=1)
    assert one[1] != run(["-"], tmp_path, text=MAIN.replace("x + N", "x - N") + SHOW + "show()")[1]


def test_a_zip_archive(tmp_path: Path) -> None:
    import zipfile

    answers = []
    for text in (MAIN, "# moved\n" + MAIN, MAIN.replace("x + N", "x - N")):
        with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
            archive.writestr("etl.py", text + SHOW)
        answers.append(run(["-c", "import etl; etl.show()"], tmp_path, tmp_path / "lib.zip")[1])
    assert answers[0] == answers[1] != answers[2]


def test_imports_in_a_body_run_nothing(tmp_path: Path) -> None:
    write(tmp_path / "site-packages", heavy="raise RuntimeError('was run')\n")
    (tmp_path / "site-packages" / "heavy-1.2.dist-info").mkdir()
    write(tmp_path / "site-packages" / "wide", __init__="raise RuntimeError('was run')\n", part="x = 1\n")
    project = tmp_path / "project"
    helpers = "import heavy\nprint('was run')\nLIMIT = 5\ndef h(x, k=2): return heavy.g(x) + LIMIT\n"
    main = "def f(x):\n    import heavy, wide.part\n    from helpers import h\n    return h(x) + wide.part.x\n"
    write(project, helpers=helpers, main=main + SHOW)
    command = ["-c", "import main; main.show(); import sys; assert not {'helpers', 'heavy', 'wide'} & set(sys.modules)"]

    def look() -> str:
        answer = run([*command], project, tmp_path / "site-packages")
        return str(answer[1])

    one = look()
    write(project, helpers=helpers.replace("LIMIT = 5", "LIMIT = 5  # five"))
    assert look() == one
    write(project, helpers=helpers.replace("LIMIT = 5", "LIMIT = 6"))
    assert look() != one
    write(project, helpers=helpers.replace("k=2", "k=3"))
    assert look() != one
    write(project, helpers=helpers)
    assert look() == one
    (tmp_path / "site-packages" / "heavy-1.2.dist-info").rename(tmp_path / "site-packages" / "heavy-1.3.dist-info")
    assert look() != one


def test_loaded_and_not_loaded_are_the_same(tmp_path: Path) -> None:
    helpers = "import json\nLIMIT = [1, {'a': 2}]\ndef d(x): return json.dumps(x)\n"
    helpers += "def h(x, k=2): return d(x), LIMIT, h\n"
    write(tmp_path, helpers=helpers, main="def f(x):\n    from helpers import h\n    return h(x)\n" + SHOW)
    before = run(["-c", "import main; main.show()"], tmp_path)
    after = run(["-c", "import helpers, main; main.show()"], tmp_path)
    assert before[1] == after[1]


def test_third_party_versions(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    write(site, lib="def g(x): return x\n", other="def g(x): return x\n")
    (site / "Lib_Dist-1.0.dist-info").mkdir()
    (site / "Lib_Dist-1.0.dist-info" / "top_level.txt").write_text("lib\n")
    write(tmp_path / "p", main="import lib, other\nfrom lib import g\ndef f(x): return lib.g(g(x))\n" + SHOW)
    command = ["-c", "import main; main.show()"]
    one = run(command, tmp_path / "p", site)
    write(site, lib="def g(x): return x + 1\n", other="def g(x): return x + 1\n")
    assert run(command, tmp_path / "p", site) == one
    (site / "Lib_Dist-1.0.dist-info").rename(site / "Lib_Dist-1.1.dist-info")
    assert run(command, tmp_path / "p", site)[1] != one[1]


def test_nothing_raises(tmp_path: Path) -> None:
    awkward = """
    import asyncio, contextvars, io, logging, queue, random, socket, sqlite3, sys, threading, types, unittest.mock, weakref

    class Bites:
        def __eq__(self, other): raise RuntimeError("eq")
        def __hash__(self): raise RuntimeError("hash")
        def __repr__(self): raise RuntimeError("repr")
        def __getattr__(self, name): raise RuntimeError(name)
        def __reduce_ex__(self, version): raise RuntimeError("reduce")
        def __bool__(self): raise RuntimeError("bool")
    class Meta(type):
        def __getattribute__(cls, name): raise RuntimeError(name)
        def __hash__(cls): raise RuntimeError("hash")
        def __eq__(cls, other): raise RuntimeError("eq")
    class Closed(metaclass=Meta): pass
    class Slot:
        __slots__ = ("a", "__weakref__")
    class Liar:
        __class__ = property(lambda self: 1 / 0)
    class NoModule: pass
    NoModule.__module__ = 3
    deep = []
    for _ in range(5000): deep = [deep]
    loop = []; loop.append(loop)
    def generator(): yield 1
    async def coroutine(): pass
    pending = coroutine()
    things = [
        Bites(), Closed, Slot(), Liar(), NoModule, NoModule(), deep, loop, generator(), pending, sys.modules, sys.stdin,
        socket.socket(), sqlite3.connect(":memory:"), threading.Lock(), threading.local(), queue.Queue(), random.Random(),
        unittest.mock.Mock(), unittest.mock.MagicMock(), weakref.ref(Bites), logging.getLogger("x"), io.StringIO("a"),
        contextvars.ContextVar("v"), types.ModuleType("made"), memoryview(b"abc"), iter([1]), zip([1]), globals, print,
        {Slot: Slot}, sys._getframe(), (lambda: deep), type(None), NotImplemented, object(), super, "\\ud800", 10 ** 5000,
        property(), staticmethod(print), asyncio.Event, types.SimpleNamespace(a=Bites()), exec, compile("1", "x", "eval"),
    ]
    """
    count = 47
    lines = [textwrap.dedent(awkward)]
    lines += [f"t{i} = things[{i}] if len(things) > {i} else None" for i in range(count)]
    lines += [f"def f{i}(x): return t{i}" for i in range(count)]
    lines += [f"def d{i}(x, a=t{i}, *, b=t{i}): return a" for i in range(count)]
    lines += ["def f(x): return x"]
    lines += [SHOW]
    lines += ["pending.close()", "from afresh import _afresh", "show()"]
    lines += ["from afresh.identity import identify, callable_digest"]
    lines += ["for thing in things: identify(thing).record; assert len(callable_digest(thing)) == 32"]
    for kind in "fd":
        lines += [f"for i in range({count}):"]
        lines += [f"    found = identify(globals()[f'{kind}{{i}}']); found.record; found.holds()"]
        lines += ["    assert len(found.digest) == 32 and isinstance(found.opaque, tuple)"]
    lines += ["print('[1]')"]
    write(tmp_path, awkward="\n".join(lines))
    assert run(["awkward.py"], tmp_path) == [1]


def test_long_chains_and_broken_files(tmp_path: Path) -> None:
    chain = "\n".join(f"def g{i}(x): return g{i + 1}(x)" for i in range(3000))
    write(tmp_path, chain=chain + "\ndef g3000(x): return x\ndef f(x): return g0(x)\n" + SHOW + "show()\n")
    assert run(["chain.py"], tmp_path)[3]
    terms = " + ".join(["x"] * 2500)
    write(tmp_path, terms=f"def f(x): return {terms}\n" + SHOW + "show()\n")
    assert run(["terms.py"], tmp_path)[3]
    write(tmp_path, gone=MAIN + SHOW + "import os; os.remove(__file__); show()\n")
    assert run(["gone.py"], tmp_path)[3]
    write(tmp_path, broken=MAIN + SHOW + "open(__file__, 'w').write('def f(:'); show()\n")
    assert run(["broken.py"], tmp_path)[3]


def test_it_is_quick(tmp_path: Path) -> None:
    helpers = "\n".join(f"def h{i}(x):\n    y = x + {i}\n    return y * 2 + N{i}\nN{i} = {i}" for i in range(10))
    body = "\n".join(f"    y{i} = h{i}(x) + len(str(x))" for i in range(28))
    body = "\n".join(f"    y{i} = h{i % 10}(x) + len(str(x))" for i in range(28))
    timing = """
import time
def show():
    from afresh.identity import identify
    identify(other)
    start = time.perf_counter()
    first = identify(f)
    made = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(1000): first.holds()
    held = (time.perf_counter() - start) / 1000
    print(f"[{made * 1e3:.3f}, {held * 1e6:.3f}]")
"""
    text = f"{helpers}\ndef f(x):\n{body}\n    return y0\ndef other(x): return x\n{timing}\nshow()\n"
    write(tmp_path, quick=text)
    made, held = min(run(["quick.py"], tmp_path) for _ in range(3))
    print(f"\nidentity of a 30-line function with ten helpers: {made} ms; still holds: {held} µs (in Python)")
    assert made < 10
