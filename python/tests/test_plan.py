"""`afresh plan` and `afresh accept`: what an edit costs, told before anything runs, and spared where it does not matter."""

import json
import os

import pytest

import afresh

HELPERS = """\
RATE = 2
TABLE = {"a": (1, 2.5), "b": [None, True], "c": b"x"}
KINDS = {"x", "y"}


def clean(x):
    return x + RATE


class Model:
    weight = 3

    def fit(self, x):
        return self.scaled(x)

    def scaled(self, x):
        return x * self.weight
"""
ETL = """\
import afresh
import helpers
from helpers import KINDS, Model

HOURS = 60 * 60 * 24


@afresh.memo
def run(x, limit=3):
    return helpers.clean(x) + sum([limit, len(KINDS), len(helpers.TABLE), HOURS])


@afresh.memo
def fit(x):
    return Model().fit(x)
"""
ALL = "import etl; etl.run(1); etl.run(2); etl.fit(1)"


class Project:
    """Some files, edited and asked about from fresh processes."""

    def __init__(self, apart):
        self.apart = apart
        self.files = {"helpers.py": HELPERS, "etl.py": ETL}
        for name, text in self.files.items():
            self.write(name, text)

    def write(self, name, text):
        file = self.apart.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def edit(self, name, old, new):
        assert old in self.files[name]
        self.files[name] = self.files[name].replace(old, new)
        self.write(name, self.files[name])

    def ask(self, text):
        return self.apart.run("-c", text).stdout.splitlines()

    def afresh(self, *words, code=0):
        done = self.apart.run("-m", "afresh", *words, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def wide(self, *words):
        """What a person sees on a wide terminal."""
        env, self.apart.env = self.apart.env, {**self.apart.env, "COLUMNS": "240"}
        try:
            return self.afresh(*words).stdout
        finally:
            self.apart.env = env

    def plan(self, *words):
        document = json.loads(self.afresh("plan", "--json", *words).stdout)
        return {one["function"]: one for one in document["functions"]}

    def verdicts(self, *words):
        return {name: one["verdict"] for name, one in self.plan(*words).items()}


@pytest.fixture
def project(apart):
    made = Project(apart)
    made.ask(ALL)
    return made


def test_what_does_not_matter_changes_nothing(project):
    assert project.verdicts() == {"etl.fit": "unchanged", "etl.run": "unchanged"}
    project.edit("helpers.py", "    return x + RATE", '    """Adds."""\n\n    # the rate\n    return (x + RATE)')
    project.edit("helpers.py", "RATE = 2", "# two\nRATE = 0b10")
    project.edit("helpers.py", "(1, 2.5)", "(1, 2.50,)")
    project.edit("helpers.py", '{"x", "y"}', "{'y', 'x'}")
    project.edit("etl.py", "import helpers\n", "import os\nimport helpers\n\n\n")
    project.edit("etl.py", "@afresh.memo\ndef fit", "@afresh.memo(ttl='1d')\ndef fit")
    assert project.verdicts() == {"etl.fit": "unchanged", "etl.run": "unchanged"}
    assert project.ask("import etl; print(etl.run.cached(1), etl.fit.cached(1))") == ["True True"]


@pytest.mark.parametrize(
    ("name", "old", "new", "which", "label"),
    [
        ("helpers.py", "x + RATE", "x - RATE", "etl.run", "helper helpers.clean"),
        ("helpers.py", "RATE = 2", "RATE = 3", "etl.run", "data RATE"),
        ("helpers.py", 'b"x"', 'b"y"', "etl.run", "data helpers.TABLE"),
        ("etl.py", "60 * 24", "60 * 12", "etl.run", "data HOURS"),
        ("etl.py", "limit=3", "limit=4", "etl.run", "data default limit"),
        ("helpers.py", "x * self.weight", "x / self.weight", "etl.fit", "helper helpers.Model.scaled"),
        ("helpers.py", "weight = 3", "weight = 4", "etl.fit", "class helpers.Model"),
        ("etl.py", "Model().fit(x)", "Model().fit(x) + 1", "etl.fit", "function etl.fit"),
        ("etl.py", "HOURS = ", "def sum(x):\n    return 0\n\n\nHOURS = ", "etl.run", "name sum"),
    ],
)
def test_an_edit_is_named_with_what_it_costs(project, name, old, new, which, label):
    project.edit(name, old, new)
    plan = project.plan()
    lost = plan.pop(which)
    assert lost["verdict"] == "recompute" and [one["label"] for one in lost["changes"]] == [label]
    assert lost["changes"][0]["place"].startswith(name) and lost["answers"] == (2 if which == "etl.run" else 1)
    assert [one["verdict"] for one in plan.values()] == ["unchanged"]
    function = which.partition(".")[2]
    assert project.ask(f"import etl; print(etl.{function}.cached(1))") == ["False"]
    told = project.ask(f"import etl; etl.{function}._define(); print(etl.{function}._found[1].hex())")
    assert lost["digest"] in (None, told[0])


def test_what_is_gone_is_told(project):
    project.edit("helpers.py", "def clean", "def cleaned")
    project.edit("etl.py", "def fit", "def fitted")
    plan = project.plan()
    assert plan["etl.fit"]["verdict"] == "gone"
    (change,) = plan["etl.run"]["changes"]
    assert plan["etl.run"]["verdict"] == "recompute" and change["kind"] == "gone" and change["after"] is None
    (project.apart.folder / "etl.py").unlink()
    assert set(project.verdicts().values()) == {"gone"}


def test_what_only_running_tells_is_said_so(project):
    project.edit("helpers.py", "RATE = 2", "RATE = int('2')")
    plan = project.plan()
    assert plan["etl.run"]["verdict"] == "cannot-tell" and "`RATE` is computed" in plan["etl.run"]["untold"][0]
    project.edit("helpers.py", "RATE = int('2')", "RATE = (")
    assert set(project.verdicts().values()) == {"cannot-tell"}


def test_going_back_finds_the_earlier_answers(project):
    project.edit("helpers.py", "x + RATE", "x - RATE")
    project.ask("import etl; etl.run(1)")
    project.edit("helpers.py", "x - RATE", "x + RATE")
    one = project.plan()["etl.run"]
    assert (one["verdict"], one["answers"], one["found_again"]) == ("recompute", 1, 2)
    assert "; 2 answers of an earlier version found again" in project.wide("plan")


def test_nothing_of_the_project_runs(project):
    project.edit("etl.py", "import helpers\n", "import helpers\nopen('ran', 'w').close()\n")
    project.edit("helpers.py", "x + RATE", "x - RATE")
    assert project.verdicts()["etl.run"] == "recompute"
    project.afresh("accept", "etl.run")
    assert not (project.apart.folder / "ran").exists()


def test_a_part_can_be_asked_about(project):
    project.write("pkg/__init__.py", "")
    project.write("pkg/more.py", "import afresh\n\n\n@afresh.memo\ndef g(x):\n    return x\n")
    project.ask("from pkg import more; more.g(1)")
    assert set(project.plan("pkg")) == set(project.plan("pkg.more")) == set(project.plan("pkg/more.py")) == {"pkg.more.g"}
    assert set(project.plan("etl.py")) == set(project.plan("etl")) == {"etl.run", "etl.fit"}
    assert len(project.plan(".")) == len(project.plan()) == 3
    done = project.afresh("plan", "elt", code=1)
    assert "`elt` is no file, no folder, and no module" in done.stderr and "hint: " in done.stderr


def test_a_project_that_was_moved_is_found(project, tmp_path):
    there = tmp_path / "moved"
    there.mkdir()
    for name in project.files:
        os.rename(project.apart.folder / name, there / name)
    assert project.verdicts("moved") == {"etl.fit": "unchanged", "etl.run": "unchanged"}
    text = project.files["helpers.py"].replace("x + RATE", "x - RATE")
    (there / "helpers.py").write_text(text)
    assert project.verdicts("moved") == {"etl.fit": "unchanged", "etl.run": "recompute"}


def test_an_edit_is_accepted_from_the_files_before_it_runs(project):
    project.edit("helpers.py", "    return x + RATE", "    print('log')\n    return x + RATE")
    done = project.afresh("accept", "run", "--reason", "a log line")
    assert "the edit of helper `helpers.clean` (helpers.py:6)" in done.stderr
    assert project.verdicts() == {"etl.fit": "unchanged", "etl.run": "accepted"}
    assert ": a log line" in project.wide("plan")
    assert project.ask("import etl; print(etl.run.cached(1), etl.run(2))") == ["True 86412"]
    why = project.ask("import etl; print(etl.run.why(1))")
    assert why[0].startswith("hit: ") and why[1].startswith("  accepted: the edit of helper `helpers.clean` (helpers.py:6) on ")
    # The next edit is not covered.
    project.edit("helpers.py", "'log'", "'more'")
    assert project.verdicts()["etl.run"] == "recompute"
    assert project.ask("import etl; print(etl.run.cached(1))") == ["False"]


def test_an_accepted_edit_can_be_taken_back(project):
    project.edit("helpers.py", "    return x + RATE", "    print('log')\n    return x + RATE")
    project.afresh("accept", "run")
    project.ask("import etl; etl.run(5)")
    (one,) = json.loads(project.afresh("accept", "--list", "--json").stdout)["accepted"]
    assert one["function"] == "etl.run" and one["edits"][0]["label"] == "helper helpers.clean"
    shown = project.afresh("log", "--func", "run").stderr
    assert "accepted: `etl.run` answers as before the edit of helper `helpers.clean`" in shown
    newest = json.loads(project.afresh("log", "--json").stdout)[0]["hash"]
    assert "answers as this code: the edit of helper" in project.afresh("show", newest).stdout
    undone = json.loads(project.afresh("accept", "run", "--undo", "--json").stdout)
    assert undone["taken"] == 1 and undone["withdrawn"]["new"] == one["new"]
    assert project.verdicts()["etl.run"] == "recompute"
    assert project.ask("import etl; print(etl.run.cached(1), etl.run.cached(5))") == ["False False"]
    assert "nothing of that kind" in project.afresh("accept", "run", "--undo", code=1).stderr


def test_an_edit_that_has_run_is_accepted_as_the_version_before(project):
    project.edit("helpers.py", "    return x + RATE", "    print('log')\n    return x + RATE")
    project.ask("import etl; etl.run(1)")
    assert project.verdicts()["etl.run"] == "unchanged"
    done = project.afresh("accept", "etl.run")
    assert "helper `helpers.clean`" in done.stderr
    assert project.ask("import etl; print(etl.run.cached(2))") == ["True"]
    one = project.plan()["etl.run"]
    assert (one["verdict"], one["answers"]) == ("accepted", 2)


def test_python_and_the_command_mean_the_same(project):
    project.edit("etl.py", "import helpers\n", "import helpers\nimport time\n")
    project.edit("etl.py", "    return helpers", "    time.time()\n    return helpers")
    # A name more: what the function will be is not all told by its files.
    done = project.afresh("accept", "run", code=1)
    assert "the files alone do not tell what `etl.run` will be" in done.stderr and "`run.accept()`" in done.stderr
    project.ask("import etl; etl.run.accept('the time')")
    assert project.verdicts()["etl.run"] == "accepted"
    assert project.ask("import etl; print(etl.run.cached(1))") == ["True"]


def test_the_client_plans_too(project, monkeypatch):
    project.edit("helpers.py", "x + RATE", "x - RATE")
    monkeypatch.chdir(project.apart.folder)
    with afresh.Client(str(project.apart.folder / ".afresh")) as client:
        found = {one.function: one for one in client.plan()}
        assert [one.function for one in client.plan("etl")] == ["etl.fit", "etl.run"]
        assert client.plan("nowhere") == []
    run = found["etl.run"]
    assert (run.verdict, run.answers, run.changes[0].kind) == ("recompute", 2, "changed")
    assert "helper helpers.clean changed (helpers.py:6)" in str(run) and run.took >= 0
    assert str(found["etl.fit"]).startswith("etl.fit: unchanged (1 answer, ")


def test_mistakes_are_told(project):
    def said(*words, code=1):
        text = project.afresh("accept", *words, code=code).stderr
        assert "hint: " in text or code == 2
        return text

    assert "no function is called `walk`" in said("walk")
    assert "`etl.run` has no edit to accept" in said("run")
    project.edit("helpers.py", "x + RATE", "x - RATE")
    commits = json.loads(project.afresh("log", "--json").stdout)
    fit = next(one["hash"] for one in commits if one["function"] == "etl.fit")
    assert "is of `etl.fit`, not of `etl.run`" in said("run", "--of", fit, code=2)
    assert "no commit begins with" in said("run", "--of", "0" * 64)
    assert "required" in said(code=2)
    project.write("other.py", "import afresh\n\n\n@afresh.memo\ndef run(x):\n    return x\n")
    project.ask("import other; other.run(1)")
    assert "name one of these in full: etl.run, other.run" in said("run", code=2)


def test_a_class_whose_instances_are_arguments_is_not_overlooked(project):
    text = "import afresh\n\n\nclass C:\n    @afresh.memo\n    def m(self, x):\n        return x\n\n    def n(self):\n        return 1\n"
    project.write("made.py", text)
    project.ask("import made; made.C().m(1)")
    assert project.verdicts("made") == {"made.C.m": "unchanged"}
    project.write("made.py", text.replace("    def n", "    # more\n    def n"))
    assert project.verdicts("made") == {"made.C.m": "unchanged"}
    project.write("made.py", text.replace("return 1", "return 2"))
    one = project.plan("made")["made.C.m"]
    assert one["verdict"] == "cannot-tell" and "`C` is the class of an argument" in one["untold"][0]


def test_functions_that_are_not_identified_by_code(project):
    project.write(
        "named.py",
        "import afresh\n\n\n@afresh.memo(mode='name')\ndef f(x):\n    return x\n\n\n"
        "@afresh.memo(version='1')\ndef g(x):\n    return x\n",
    )
    project.ask("import named; named.f(1); named.g(1)")
    text = (project.apart.folder / "named.py").read_text().replace("return x", "return -x")
    project.write("named.py", text)
    assert project.verdicts("named") == {"named.f": "unchanged", "named.g": "unchanged"}
