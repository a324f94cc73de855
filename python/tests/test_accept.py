"""Accepted edits: results survive an edit that somebody says does not matter, until that is taken back."""

import re

import pytest

import afresh

HELPERS = """\
def clean(x):
    return x + 1
"""
ETL = """\
import afresh
import helpers

RATE = 2


@afresh.memo(tags="nightly")
def run(x, limit=3):
    print("running", x)
    return helpers.clean(x) * RATE
"""
ASK = "import etl; print(etl.run({}))"


@pytest.fixture
def project(apart):
    """A project in a folder of its own, asked from fresh processes."""

    class Project:
        def write(self, etl=ETL, helpers=HELPERS):
            apart.write("helpers.py", helpers)
            apart.write("etl.py", etl)

        def ask(self, text):
            return apart.run("-c", text).stdout.splitlines()

        def command(self, *args, check=True):
            return apart.run("-m", "afresh", *args, check=check)

    made = Project()
    made.write()
    return made


def edited():
    return HELPERS.replace("    return", "    print('log')\n    return")


def test_results_survive_an_accepted_edit_in_every_process(project):
    assert project.ask(ASK.format(1)) == ["running 1", "4"]
    project.write(helpers=edited())
    said = project.ask("import etl; print(etl.run.accept('only a log line')); print(etl.run(1)); print(etl.run(2))")
    assert re.match(
        r"the edit of helper `helpers.clean` \(helpers.py:1\) on \d{4}-\d\d-\d\d( by .+)?: only a log line$", said[0]
    )
    assert said[1:] == ["4", "running 2", "log", "6"]
    # A fresh process: what was computed before and since.
    assert project.ask("import etl; print(etl.run(1), etl.run(2))") == ["4 6"]
    why = project.ask("import etl; print(etl.run.why(1))")
    assert why[0].startswith("hit: computed ") and why[1].startswith("  accepted: the edit of helper `helpers.clean`")
    assert why[1].endswith(": only a log line")


def test_the_record_is_of_the_code_that_ran(project):
    project.ask(ASK.format(1))
    project.write(helpers=edited())
    project.ask("import etl; etl.run.accept(); etl.run(2)")
    text = "import afresh; c = afresh.Client(); a, b = c.log(); print(a.function_hash == b.function_hash)"
    assert project.ask(text) == ["True"]
    text = "import afresh; c = afresh.Client(); print('log' in c.engine.function_record(c.log()[0].hash))"
    assert project.ask(text) == ["True"]


def test_withdrawing_brings_back_what_was_and_takes_back_what_the_edit_gave(project):
    project.ask(ASK.format(1))
    project.write(helpers=edited())
    project.ask("import etl; etl.run.accept(); etl.run(2)")
    said = project.ask("import etl; print(etl.run.unaccept(), etl.run.cached(1)); print(etl.run(1))")
    assert said == ["True False", "running 1", "log", "4"]
    assert project.ask("import etl; print(etl.run.unaccept())") == ["False"]
    # The old code finds what it computed, and nothing that the edited code did.
    project.write()
    assert project.ask("import etl; print(etl.run.cached(1), etl.run.cached(2))") == ["True False"]


def test_a_further_edit_is_not_covered_and_can_be_accepted_too(project):
    project.ask(ASK.format(1))
    project.write(helpers=edited())
    project.ask("import etl; etl.run.accept()")
    project.write(helpers=edited().replace("'log'", "'more'"))
    assert project.ask(ASK.format(1)) == ["running 1", "more", "4"]
    # Its answer under a digest of its own is no longer asked for.
    assert project.ask("import etl; etl.run.accept(); print(etl.run(1))") == ["4"]
    project.write(helpers=edited())
    assert project.ask(ASK.format(1)) == ["4"]


def test_an_edit_can_be_accepted_as_an_older_commit(project):
    project.ask(ASK.format(1))
    first = project.ask("import afresh; print(afresh.Client().log()[0].hash)")[0]
    project.write(etl=ETL.replace("RATE = 2", "RATE = 5"))
    assert project.ask(ASK.format(1)) == ["running 1", "10"]
    project.write(helpers=edited())
    assert project.ask(f"import etl; etl.run.accept(of={first[:10]!r}); print(etl.run(1))") == ["4"]


def test_statements_travel_with_an_archive(project):
    project.ask(ASK.format(1))
    project.write(helpers=edited())
    project.ask("import etl, afresh; etl.run.accept(); afresh.Client().export('all')")
    text = "import etl, afresh; c = afresh.Client('other'); c.import_archive('all'); print(c.submit(etl.run, 1).load())"
    assert project.ask(text) == ["4"]


def test_accept_takes_effect_in_this_process_at_once(store, runs):
    space = {"afresh": afresh, "store": store, "runs": runs, "__name__": "made"}

    def define(body):
        text = f"@afresh.memo(store=store, name='made.f')\ndef f(x):\n    runs.mark()\n    {body}\n    return x\n"
        exec(text, space)
        return space["f"]

    first = define("pass")
    assert (first(1), runs.count) == (1, 1)
    second = define("y = 1")
    assert not second.cached(1)
    said = second.accept("a name")
    assert (second(1), runs.count) == (1, 1)
    assert said.function == "made.f" and said.reason == "a name" and said.edits
    # Chains: the third answers as the second, which answers as the first.
    third = define("z = 1")
    third.accept()
    assert (third(1), runs.count) == (1, 1)
    assert third.unaccept() and not third.cached(1) and second.cached(1)
    assert afresh.Client(store).verify() == []


def test_versions_can_be_accepted(store):
    def double(x):
        return 2 * x

    afresh.memo(store=store, version="1")(double)(1)
    second = afresh.memo(store=store, version="2")(double)
    assert not second.cached(1)
    second.accept("nothing but a number")
    assert second.cached(1)


def test_a_client_accepts_for_its_store(store, client, runs):
    def make(text):
        space = {"__name__": "made"}
        exec(f"def f(x):\n    return {text}\n", space)
        return space["f"]

    client.submit(make("x * 2"), 4)
    again = make("x + x")
    said = client.accept(again, "the same")
    assert said.user == client.log()[0].user and client.submit(again, 4).load() == 8
    assert [commit.status for commit in client.log()] == ["completed"]
    assert client.unaccept(again) and not client.unaccept(again)


def test_with_a_secret_statements_are_signed(project):
    text = ETL.replace("tags=", "secret='s', tags=")
    project.write(etl=text)
    project.ask(ASK.format(1))
    project.write(etl=text, helpers=edited())
    refused = project.command("accept", "run", check=False)
    assert refused.returncode == 1 and "are signed, and the secret is not here" in refused.stderr
    project.ask("import etl; etl.run.accept()")
    assert project.ask(ASK.format(1)) == ["4"]
    # Said by somebody without the secret.
    forge = (
        "import afresh, etl; etl.run._define(); name, new, code, _ = etl.run._own; etl.run.unaccept(); c = afresh.Client();"
        "old = c.log()[0].function_hash; c.engine.accept(name, new, old, code, [])"
    )
    project.ask(forge)
    done = project.ask("import etl; print(etl.run.cached(1))")
    assert done == ["False"]


def test_mistakes_are_told(store):
    @afresh.memo(store=store)
    def one(x):
        return x

    @afresh.memo(store=store)
    def two(x):
        return -x

    with pytest.raises(afresh.ConfigError, match=r"no execution of other code is on record.*renamed"):
        one.accept()
    one(1)
    two(1)
    hashes = {commit.function: commit.hash for commit in afresh.Client(store).log()}
    with pytest.raises(afresh.ConfigError, match="there is no edit to accept"):
        one.accept(of=hashes[one.name])
    with pytest.raises(afresh.ConfigError, match=r"is of .*two, not of .*one"):
        one.accept(of=hashes[two.name])
    with pytest.raises(afresh.ConfigError, match="no commit begins with"):
        one.accept(of="0" * 64)
    with pytest.raises(afresh.ConfigError, match="int is not a hash"):
        one.accept(of=7)
    assert one.unaccept() is False


def test_a_definition_costs_one_look_up(store):
    class Counting(dict):
        """A store that counts who asks for statements."""

        asked = 0

        def get(self, key, default=None):
            Counting.asked += key.startswith("entries/5/")
            return super().get(key, default)

        def put(self, key, value):
            self[key] = value

        def delete(self, key):
            self.pop(key, None)

        def keys(self, prefix=""):
            return [key for key in self if key.startswith(prefix)]

    @afresh.memo(store=Counting())
    def double(x):
        return 2 * x

    assert [double(n) for n in (1, 2, 1, 2)] == [2, 4, 2, 4]
    assert Counting.asked == 1


def test_a_store_that_fails_costs_the_statement_only(tmp_path, said):
    class Broken:
        """Says nothing about names."""

        def __init__(self):
            self.data = {}

        def get(self, key):
            if key.startswith("entries/5/"):
                raise OSError("unplugged")
            return self.data.get(key)

        def put(self, key, value):
            self.data[key] = value

        def delete(self, key):
            self.data.pop(key, None)

        def keys(self, prefix):
            return [key for key in self.data if key.startswith(prefix)]

    store = Broken()

    @afresh.memo(store=store)
    def double(x):
        return 2 * x

    with said:
        assert double(2) == 4 and double.cached(2)
    assert not said
