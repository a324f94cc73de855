"""Defects of cashet, one test each."""

from __future__ import annotations

import threading
import tracemalloc

import pytest

import afresh


def test_large_arrays_that_differ_are_two_arguments(store):
    """Large numpy arguments collide, as their repr is elided: a wrong answer."""
    np = pytest.importorskip("numpy")
    total = afresh.memo(lambda a: float(a.sum()), store=store)
    one, other = np.zeros(100_000), np.zeros(100_000)
    other[50_000] = 1
    assert (total(one), total(other), total(np.zeros((1000, 100)))) == (0.0, 1.0, 0.0)


def test_a_frame_is_one_argument_in_every_process(project):
    """DataFrame arguments never hit in another process."""
    pytest.importorskip("pandas")
    project.write("def f(frame): return len(frame)")
    call = "f(__import__('pandas').DataFrame({'a': [1, 2], 'b': ['x', None]}))"
    assert project.call(call) == ["2", "ran"]
    assert project.call(call) == ["2", "kept"]


def test_a_keyword_is_the_same_call(client, runs):
    """``g(1)`` and ``g(x=1)`` are different calls."""

    def g(x, y=2):
        runs.mark()
        return x

    client.submit(g, 1), client.submit(g, x=1), client.submit(g, 1, 2), client.submit(g, y=2, x=1)
    assert runs.count == 1


EDITS = {
    "module attribute": (
        "import other\ndef f(x): return x + other.N", "other.py", "N = 1", "N = 2",
    ),
    "import in the body": (
        "def f(x):\n    from other import h\n    return h(x)", "other.py", "def h(x): return x + 1", "def h(x): return x + 2",
    ),
    "class": (
        "from other import A\ndef f(x): return A().m(x)",
        "other.py", "class A:\n    def m(self, x): return x + 1", "class A:\n    def m(self, x): return x + 2",
    ),
    "base class": (
        "from other import A\nclass B(A): pass\ndef f(x): return B().m(x)",
        "other.py", "class A:\n    def m(self, x): return x + 1", "class A:\n    def m(self, x): return x + 2",
    ),
    "property": (
        "from other import A\ndef f(x): return x + A().p",
        "other.py", "class A:\n    @property\n    def p(self): return 1", "class A:\n    @property\n    def p(self): return 2",
    ),
    "dispatch table": (
        "from other import T\ndef f(x): return T['a'](x)",
        "other.py", "def h(x): return x + 1\nT = {'a': h}", "def h(x): return x + 2\nT = {'a': h}",
    ),
    "partial": (
        "from other import p\ndef f(x): return p(x)",
        "other.py", "import functools, operator\np = functools.partial(operator.add, 1)",
        "import functools, operator\np = functools.partial(operator.add, 2)",
    ),
    "decorator": (
        "from other import deco\n@deco\ndef f(x): return x",
        "other.py", "def deco(g): return lambda x: g(x) + 1", "def deco(g): return lambda x: g(x) + 2",
    ),
    "closure": (
        "from other import make\nh = make()\ndef f(x): return h(x)",
        "other.py", "def make(n=1):\n    return lambda x: x + n", "def make(n=2):\n    return lambda x: x + n",
    ),
    "regex": (
        "from other import R\ndef f(x): return 1 + len(R.findall('ab'))",
        "other.py", "import re\nR = re.compile('a')", "import re\nR = re.compile('[ab]')",
    ),
    "instance": (
        "from other import a\ndef f(x): return x + a.n",
        "other.py", "class A:\n    def __init__(self, n): self.n = n\na = A(1)",
        "class A:\n    def __init__(self, n): self.n = n\na = A(2)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_that_matters_is_seen(project, kind):
    """31 of 93 edits that matter give stale results."""
    main, file, before, after = EDITS[kind]
    project.write(main)
    project.write(before, file)
    assert project.call() == ["2", "ran"]
    assert project.call() == ["2", "kept"]
    project.write(after, file)
    assert project.call() == ["3", "ran"]


def test_a_large_result_is_not_copied_several_times(store):
    """Results larger than memory are copied several times on their way."""
    np = pytest.importorskip("numpy")
    size = 8 << 20
    made = afresh.memo(lambda n: np.full(size, n, "u1"), store=store)
    made(0)  # What is imported and opened only once is not what is measured.
    tracemalloc.start()
    try:
        made(1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * size


def test_a_plain_call_starts_no_thread_and_no_loop(store):
    """The sync path is the async path behind two thread hops."""
    seen = []
    f = afresh.memo(lambda: seen.append(threading.get_ident()) or 1, store=store, mode="name")
    before = threading.active_count()
    assert f() == f() == 1
    assert seen == [threading.get_ident()] and threading.active_count() == before
