"""Where there is no file: the REPL, `python -c`, notebook cells, exec."""

import linecache
import types

import afresh

REPL = """\
import afresh
@afresh.memo(store="store")
def f(x):
    print("run")
    return x + {n}

f(1)
f(1)
"""


def test_the_repl(apart):
    for n, runs in ((1, 1), (1, 0), (2, 1), (1, 0)):
        done = apart.run("-i", "-q", input=REPL.format(n=n))
        assert done.stdout.split() == ["run"] * runs + [str(1 + n)] * 2, done.stderr
        assert "Warning" not in done.stderr


def test_redefining_in_the_repl(apart):
    text = REPL.format(n=1) + REPL.format(n=2) + REPL.format(n=1)
    done = apart.run("-i", "-q", input=text)
    assert done.stdout.split() == ["run", "2", "2", "run", "3", "3", "2", "2"], done.stderr


def test_python_c(apart):
    for n, runs in ((1, 1), (1, 0), (2, 1)):
        code = REPL.format(n=n).replace("f(1)\n", "print(f(1))\n")
        done = apart.run("-c", code)
        assert done.stdout.split() == ["run"] * runs + [str(1 + n)] * 2, done.stderr


def test_standard_input(apart):
    for runs in (1, 0):
        done = apart.run("-", input=REPL.format(n=1).replace("f(1)\n", "print(f(1))\n"))
        assert done.stdout.split() == ["run"] * runs + ["2", "2"], done.stderr


class Notebook:
    """Runs cells as IPython does: each compiled under a name of its own, its source in linecache."""

    def __init__(self):
        self.module = types.ModuleType("__main__")
        self.count = 0

    def cell(self, text):
        self.count += 1
        name = f"/tmp/ipykernel_1/{self.count}.py"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), self.module.__dict__)
        return self.module.__dict__


def test_a_cell_run_again_a_cell_edited_and_edited_back(store, runs):
    notebook = Notebook()
    names = notebook.cell("import afresh")
    names.update(store=store, mark=types.SimpleNamespace(run=runs.mark))

    def run(helper, comment=""):
        notebook.cell(f"def helper(x):\n    # {comment}\n    return x + {helper}\n")
        names = notebook.cell("\n@afresh.memo(store=store)\ndef f(x):\n    mark.run()\n    return helper(x)\n")
        return names["f"](1)

    assert run(1) == 2 and runs.count == 1
    assert run(1) == 2 and runs.count == 1
    assert run(1, "the same") == 2 and runs.count == 1
    assert run(2) == 3 and runs.count == 2
    assert run(1) == 2 and runs.count == 2


def test_a_helper_redefined_in_a_later_cell_is_seen_by_the_old_function(store):
    notebook = Notebook()
    notebook.cell("import afresh").update(store=store)
    notebook.cell("def helper():\n    return 1\n")
    names = notebook.cell("@afresh.memo(store=store)\ndef f():\n    return helper()\n")
    assert names["f"]() == 1
    notebook.cell("def helper():\n    return 2\n")
    assert names["f"]() == 2


def test_a_restarted_kernel_finds_the_answers(store, runs):
    for _ in range(2):
        notebook = Notebook()
        notebook.cell("import afresh").update(store=store, mark=types.SimpleNamespace(run=runs.mark))
        for _ in range(notebook.count * 3):
            notebook.cell("pass")
        names = notebook.cell("@afresh.memo(store=store)\ndef f():\n    mark.run()\n    return 1\n")
        assert names["f"]() == 1
    assert runs.count == 1


def test_functions_without_any_source(store):
    one, two = {}, {}
    exec("def f(x):\n    return x + 1\n", one)
    exec("def f(x):\n    return x + 2\n", two)
    assert afresh.memo(one["f"], store=store)(1) == 2
    assert afresh.memo(two["f"], store=store)(1) == 3
    assert afresh.memo(one["f"], store=store).cached(1)


def test_lambdas_are_told_apart(store):
    plus, minus = (lambda x: x + 1), (lambda x: x - 1)
    assert [afresh.memo(f, store=store)(1) for f in (plus, minus)] == [2, 0]


def test_a_script_and_its_import_share_answers(apart, runs):
    apart.write(
        "work.py",
        """
        import afresh
        @afresh.memo(store="store")
        def f(x):
            open("runs", "a").write("x")
            return x
        if __name__ == "__main__":
            print(f(1))
        """,
    )
    assert apart.run("work.py").stdout == "1\n"
    assert apart.run("-c", "import work; print(work.f(1))").stdout == "1\n"
    assert apart.run("-m", "work").stdout == "1\n"
    assert runs.count == 1


def test_warnings_point_at_the_users_own_line(apart):
    script = apart.write("work.py", 'import afresh\nf = afresh.memo(lambda: (x for x in ""), store="store")\nf()\n')
    done = apart.run(str(script))
    assert f"{script}:3: CacheWarning" in done.stderr
    assert apart.run("-W", "error", str(script), check=False).returncode == 1
    assert apart.run("-W", "ignore", str(script)).stderr == ""


def test_a_compiled_function_of_a_library_is_what_it_was_after_it_was_used(store, runs):
    import numpy as np

    def draw(seed):
        runs.mark()
        return np.random.default_rng(seed).normal()

    first = afresh.memo(draw, store=store)
    assert first(1) == afresh.memo(draw, store=store)(1)
    assert runs.count == 1
