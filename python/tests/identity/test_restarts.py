"""Through the decorator and a store: the same function in another process, started in another way, is a hit; other
code is not, also where Python itself is easily mistaken about which code it runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

PYTHON_PATH = str(Path(__file__).parent.parent.parent)
FUNCTION = """
import afresh, json
RUNS = []
N = 2
def h(x): return x * N
@afresh.memo
def f(x):
    RUNS.append(1)
    return h(x)
"""
SHOW = """
def show():
    del RUNS[:]
    print(json.dumps([f(3), len(RUNS)]))
"""
MODULE = FUNCTION + SHOW
EDITED = MODULE.replace("x * N", "x + N")
RAN, HIT = 1, 0
IMPORT = ["-c", "import etl; etl.show()"]
CELL = """
import linecache, sys
text, name = open({path!r}).read(), {name!r}
linecache.cache[name] = len(text), None, text.splitlines(True), name
exec(compile(text, name, "exec"), sys.modules["__main__"].__dict__)
show()
"""


class Project:
    """A folder with a store, and Python processes in it."""

    def __init__(self, folder: Path, **files: str) -> None:
        self.folder = folder
        self.store = folder / "store"
        for name, text in files.items():
            self.write(f"{name}.py", text)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(
        self, arguments: list[str], *paths: Path, cwd: Path | None = None, text: str | None = None, write: bool = False
    ) -> list[object]:
        path = os.pathsep.join([PYTHON_PATH, str(self.folder), *map(str, paths)])
        environment = {**os.environ, "PYTHONPATH": path, "AFRESH_DIR": str(self.store), "PYTHONHASHSEED": "random"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        done = subprocess.run(
            [sys.executable, *([] if write else ["-B"]), *arguments],
            cwd=cwd or self.folder,
            env=environment,
            capture_output=True,
            text=True,
            input=text,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: list[object] = json.loads(done.stdout.splitlines()[-1])
        return answer


def test_however_it_is_started(tmp_path: Path) -> None:
    project = Project(tmp_path / "one", etl=MODULE + "if __name__ == '__main__': show()\n")
    other = "import importlib.util as u; s = u.spec_from_file_location('other', 'etl.py')"
    other += "; m = u.module_from_spec(s); s.loader.exec_module(m); m.show()"
    path = str(project.folder / "etl.py")
    assert project.run(["etl.py"]) == [6, RAN]
    assert project.run([path], cwd=tmp_path) == [6, HIT]
    assert project.run(IMPORT) == [6, HIT]
    assert project.run(["-m", "etl"]) == [6, HIT]
    assert project.run(["-O", "etl.py"]) == [6, HIT]
    assert project.run(["-c", "import runpy; runpy.run_path('etl.py')['show']()"]) == [6, HIT]
    assert project.run(["-c", other]) == [6, HIT]
    for name in ("<ipython-input-1-abc>", "<ipython-input-2-def>", "/tmp/ipykernel_1/2.py"):
        assert project.run(["-c", CELL.format(path=path, name=name)]) == [6, HIT]
    (tmp_path / "link").symlink_to(project.folder)
    assert project.run(["etl.py"], cwd=tmp_path / "link") == [6, HIT]
    shutil.move(project.folder, tmp_path / "two")
    moved = Project(tmp_path / "two")
    assert moved.run(["etl.py"]) == [6, HIT]
    moved.write("etl.py", EDITED)
    assert moved.run(IMPORT) == [5, RAN]
    moved.write("etl.py", MODULE)
    assert moved.run(IMPORT) == [6, HIT]


def test_without_a_file(tmp_path: Path) -> None:
    made = "text = {text!r}\nspace = {space}\nexec(text, space)\nspace['show']()"
    for number, (before, again, after) in enumerate((
        (["-c", MODULE + "show()"], ["-c", "#\n" + MODULE + "show()"], ["-c", EDITED + "show()"]),
        *(
            [["-c", made.format(text=text, space=space)] for text in (MODULE, "#\n" + MODULE, EDITED)]
            for space in ({}, {"__name__": "made"})
        ),
    )):
        project = Project(tmp_path / str(number), unused="")
        assert project.run(before) == [6, RAN]
        assert project.run(again) == [6, HIT]
        assert project.run(after) == [5, RAN]
    project = Project(tmp_path / "stdin", unused="")
    assert project.run(["-"], text=MODULE + "show()\n") == [6, RAN]
    assert project.run(["-"], text="#\n\n" + MODULE + "show()\n") == [6, HIT]
    assert project.run(["-"], text=EDITED + "show()\n") == [5, RAN]


def test_text_that_was_changed_on_its_way(tmp_path: Path) -> None:
    program = "text = open('etl.py').read().replace('x * N', 'x {} N')\nspace = {}\n"
    program += "exec(compile(text, space.get('__file__', 'etl.py'), 'exec'), space)\nspace['show']()"
    for space in ("{'__name__': 'etl'}", "{'__name__': 'etl', '__file__': __import__('os').path.abspath('etl.py')}"):
        project = Project(tmp_path / str(len(space)), etl=MODULE)
        for operator, answer in (("*", 6), ("+", 5)):
            assert project.run(["-c", program.format(operator, space)]) == [answer, RAN]


def test_bytecode_of_an_older_text(tmp_path: Path) -> None:
    """Python does not notice a second edit within a second; what it then runs must not count as the new text."""
    project = Project(tmp_path / "p", etl="")
    for operator in "*+-":
        project.write("etl.py", MODULE.replace("x * N", f"x {operator} N"))
        project.run(["-c", "import etl; assert etl.f(3) == etl.h(3); etl.show()"], write=True)
    shutil.rmtree(project.folder / "__pycache__")
    for operator, answer in (("*", 6), ("+", 5), ("-", 1)):
        project.write("etl.py", MODULE.replace("x * N", f"x {operator} N"))
        assert project.run(IMPORT)[0] == answer


def test_bytecode_without_source(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    project.write("source/etl.py", MODULE)
    (project.folder / "out").mkdir()
    make = ["-c", "import py_compile; py_compile.compile('source/etl.py', 'out/etl.pyc'); print('[]')"]
    out = project.folder / "out"
    project.run(make)
    assert project.run(IMPORT, out) == [6, RAN]
    project.write("source/etl.py", EDITED)
    assert project.run(IMPORT, out) == [6, HIT]
    project.run(make)
    assert project.run(IMPORT, out) == [5, RAN]
    (project.folder / "source" / "etl.py").unlink()
    assert project.run(IMPORT, out) == [5, HIT]


def test_an_import_in_the_body_from_an_archive(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", unused="")
    module = FUNCTION.replace("return h(x)", "from pkg.sub import k\n    return k(x)") + SHOW

    def run(sub: str) -> list[object]:
        with zipfile.ZipFile(project.folder / "lib.zip", "w") as archive:
            archive.writestr("etl.py", module)
            archive.writestr("pkg/__init__.py", "")
            archive.writestr("pkg/sub.py", sub)
        return project.run(IMPORT, project.folder / "lib.zip")

    assert run("def k(x): return x + 1\n") == [4, RAN]
    assert run("# one more\ndef k(x): return x + 1\n") == [4, HIT]
    assert run("def k(x): return x + 2\n") == [5, RAN]


def test_debug_is_a_value(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", etl=MODULE.replace("return h(x)", "return h(x) if __debug__ else 0"))
    assert project.run(IMPORT) == [6, RAN]
    assert project.run(["-O", *IMPORT]) == [0, RAN]


def test_names_that_are_looked_up_keep_modules_apart(tmp_path: Path) -> None:
    text = "import afresh\nK = {}\n@afresh.memo\ndef f(x): return globals()['K']\n"
    project = Project(tmp_path / "p", one=text.format(1), two=text.format(2))
    assert project.run(["-c", "import json, one, two; print(json.dumps([one.f(0), two.f(0)]))"]) == [1, 2]


def test_clear_takes_back_what_another_module_computed(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", etl=MODULE, far=MODULE.replace("N = 2", "N = 4"))
    assert project.run(["-c", "import far; far.show()"]) == [12, RAN]
    assert project.run(["-c", "import etl; etl.show()"]) == [6, RAN]
    assert project.run(["-c", CELL.format(path="etl.py", name="<ipython-input-1-a>")]) == [6, HIT]
    clear = CELL.format(path="etl.py", name="<ipython-input-1-a>").replace("show()", "f.clear(); show()")
    assert project.run(["-c", clear]) == [6, RAN]
    assert project.run(["-c", "import far; far.show()"]) == [12, HIT]


def test_a_patched_library_does_not_break_it(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", etl=MODULE)
    patched = "import etl, json; old = json.dumps; json.dumps = None; etl.f(3); json.dumps = old; etl.show()"
    assert project.run(["-c", patched]) == [6, HIT]


def test_awkward_neighbours_do_not_matter(tmp_path: Path) -> None:
    awkward = """
class M(type):
    def __getattribute__(cls, name): raise RuntimeError(name)
class Closed(metaclass=M): pass
class Liar:
    __class__ = property(lambda self: 1 / 0)
liar = Liar()
"""
    project = Project(tmp_path / "p", etl=awkward + MODULE)
    assert project.run(IMPORT) == [6, RAN]
    project.write("etl.py", awkward + EDITED)
    assert project.run(IMPORT) == [5, RAN]
