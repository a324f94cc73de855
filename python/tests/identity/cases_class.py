"""Classes of every kind, and instances."""

# fmt: off
from corpus import DIFFERENT, SAME, group

classes = group("classes")
C = """
class C:
    rate = 2
    def m(self, x): return x * self.rate
    @staticmethod
    def s(x): return x + 10
    @classmethod
    def c(cls, x): return x + 20
    @property
    def p(self): return 30
    def unrelated(self): return 40
def f(x): return C().m(x)
"""
classes.edit("a method", DIFFERENT, C, ("x * self", "x - self"))
classes.edit("a static method", DIFFERENT, C, ("x + 10", "x + 11"))
classes.edit("a class method", DIFFERENT, C, ("x + 20", "x + 21"))
classes.edit("a property", DIFFERENT, C, ("return 30", "return 31"))
classes.edit("an attribute", DIFFERENT, C, ("rate = 2", "rate = 3"))
classes.edit("a comment", SAME, C, ("rate = 2", "rate = 2  # twice"))
classes.edit("a docstring", SAME, C, ("class C:", 'class C:\n    """Doc."""'))
classes.edit("a method's docstring", SAME, C, ("return 40", '"Doc."\n        return 40'), ("def unrelated(self): ", "def unrelated(self):\n        "))
classes.edit("methods in another order", SAME, C, ("    def unrelated(self): return 40\n", ""), ("    rate = 2\n", "    rate = 2\n    def unrelated(self): return 40\n"))
classes.edit("a method more", DIFFERENT, C, ("def unrelated", "def __getattr__(self, n): return 1\n    def unrelated"))
classes.edit("a helper of a method", DIFFERENT, "def h(x): return x + 1\nclass C:\n    def m(self, x): return h(x)\ndef f(x): return C().m(x)", ("x + 1", "x + 2"))
classes.edit("a base class", DIFFERENT, "class B:\n    def m(self, x): return x + 1\nclass C(B): pass\ndef f(x): return C().m(x)", ("x + 1", "x + 2"))
classes.edit("a base class in another module", DIFFERENT, "from base import B\nclass C(B): pass\ndef f(x): return C().m(x)", ("base.py", "x + 1", "x + 2"), base="class B:\n    def m(self, x): return x + 1\n")
classes.edit("a base's base", DIFFERENT, "class A:\n    n = 1\nclass B(A): pass\nclass C(B): pass\ndef f(x): return C.n", ("n = 1", "n = 2"))
classes.edit("other bases", DIFFERENT, "class A: n = 1\nclass B: n = 2\nclass C(A): pass\ndef f(x): return C.n", ("C(A)", "C(B)"))
classes.edit("a metaclass", DIFFERENT, "class M(type):\n    def __call__(cls, *a): return 1\nclass C(metaclass=M): pass\ndef f(x): return C()", ("return 1", "return 2"))
classes.edit("super", DIFFERENT, "class B:\n    def m(self): return 1\nclass C(B):\n    def m(self): return super().m()\ndef f(x): return C().m()", ("return 1", "return 2"))
classes.edit("a cached property", DIFFERENT, "import functools\nclass C:\n    @functools.cached_property\n    def p(self): return 1\ndef f(x): return C().p", ("return 1", "return 2"))
classes.edit("a property's setter", DIFFERENT, "class C:\n    @property\n    def p(self): return self.v\n    @p.setter\n    def p(self, v): self.v = v + 1\ndef f(x):\n    c = C()\n    c.p = x\n    return c.p", ("v + 1", "v + 2"))
classes.edit("a decorated method", DIFFERENT, "import functools\ndef d(g):\n    @functools.wraps(g)\n    def w(self, x): return g(self, x) + 5\n    return w\nclass C:\n    @d\n    def m(self, x): return x + 1\ndef f(x): return C().m(x)", ("+ 5", "+ 6"))
classes.edit("what a decorated method wraps", DIFFERENT, "import functools\ndef d(g):\n    @functools.wraps(g)\n    def w(self, x): return g(self, x) + 5\n    return w\nclass C:\n    @d\n    def m(self, x): return x + 1\ndef f(x): return C().m(x)", ("x + 1", "x + 2"))
classes.edit("a dunder method", DIFFERENT, "class C:\n    def __add__(self, o): return 1\ndef f(x): return C() + x", ("return 1", "return 2"))
classes.edit("a nested class", DIFFERENT, "class C:\n    class D:\n        n = 1\ndef f(x): return C.D.n", ("n = 1", "n = 2"))
classes.edit("an attribute computed from a global", DIFFERENT, "N = 1\nclass C:\n    n = N + 1\ndef f(x): return C.n", ("N = 1", "N = 2"))
classes.edit("an annotation of a plain class", DIFFERENT, "class C:\n    n: int = 1\ndef f(x): return C.n", ("int", "float"))
classes.edit("a class keyword", DIFFERENT, "class B:\n    def __init_subclass__(cls, k=0): cls.k = k\nclass C(B, k=1): pass\ndef f(x): return C.k", ("k=1", "k=2"))
classes.edit("a custom descriptor", DIFFERENT, "class D:\n    def __get__(self, o, t): return 1\nclass C:\n    d = D()\ndef f(x): return C().d", ("return 1", "return 2"))
classes.edit("slots", DIFFERENT, "class C:\n    __slots__ = ('a',)\ndef f(x): return C()", ("('a',)", "('a', 'b')"))
classes.edit("class passed as a value", DIFFERENT, "class C:\n    n = 1\nT = [C]\ndef f(x): return T[0].n", ("n = 1", "n = 2"))
classes.edit("f is a static method", DIFFERENT, "class C:\n    @staticmethod\n    def s(x): return x + 1\nf = C.s", ("x + 1", "x + 2"))
classes.edit("f is a method, another method", SAME, "class C:\n    def m(self, x): return x + 1\n    def o(self): return 1\nf = C.m", ("return 1", "return 2"))
classes.edit("f is a class", DIFFERENT, "class f:\n    def __init__(self, x): self.x = x + 1", ("x + 1", "x + 2"))

made = group("made classes")
P = "from dataclasses import dataclass, field\nN = 3\n@dataclass\nclass P:\n    a: int = 1\n    b: list = field(default_factory=lambda: [1])\n    c: int = N\n    def m(self): return self.a\ndef f(x): return P().m()"
made.edit("a dataclass default", DIFFERENT, P, ("a: int = 1", "a: int = 2"))
made.edit("a dataclass factory", DIFFERENT, P, ("[1]", "[2]"))
made.edit("a dataclass default from a name", DIFFERENT, P, ("N = 3", "N = 4"))
made.edit("a dataclass field", DIFFERENT, P, ("c: int = N", "c: int = N\n    d: int = 0"))
made.edit("order of dataclass fields", DIFFERENT, "from dataclasses import dataclass\n@dataclass\nclass P:\n    a: int\n    b: int\ndef f(x): return P(1, 2)", ("a: int\n    b", "b: int\n    a"))
made.edit("a dataclass option", DIFFERENT, "from dataclasses import dataclass\n@dataclass(order=False)\nclass P:\n    a: int\ndef f(x): return P(1)", ("False", "True"))
made.edit("a dataclass method", DIFFERENT, P, ("return self.a", "return self.c"))
made.edit("a dataclass comment", SAME, P, ("a: int = 1", "a: int = 1  # one"))
EN = "import enum\nclass K(enum.Enum):\n    A = 1\n    B = 2\n    def m(self): return self.value\ndef f(x): return K.A.m()"
made.edit("an enum member", DIFFERENT, EN, ("A = 1", "A = 3"))
made.edit("an enum member more", DIFFERENT, EN, ("B = 2", "B = 2\n    C = 3"))
made.edit("an enum method", DIFFERENT, EN, ("return self.value", "return -self.value"))
made.edit("an enum comment", SAME, EN, ("A = 1", "A = 1  # first"))
NT = "from typing import NamedTuple\nclass P(NamedTuple):\n    a: int = 1\n    def m(self): return self.a\ndef f(x): return P().m()"
made.edit("a named tuple default", DIFFERENT, NT, ("int = 1", "int = 2"))
made.edit("a named tuple method", DIFFERENT, NT, ("return self.a", "return -self.a"))
made.edit("a namedtuple's fields", DIFFERENT, "from collections import namedtuple\nP = namedtuple('P', 'a b')\ndef f(x): return P(1, 2)", ("'a b'", "'b a'"))
made.edit("an abstract base", DIFFERENT, "import abc\nclass B(abc.ABC):\n    @abc.abstractmethod\n    def m(self): ...\n    def n(self): return 1\nclass C(B):\n    def m(self): return self.n()\ndef f(x): return C().m()", ("return 1", "return 2"))
made.edit("a class made by type()", DIFFERENT, "def m(self): return 1\nC = type('C', (), {'m': m})\ndef f(x): return C().m()", ("return 1", "return 2"))
made.edit("a class from a function", DIFFERENT, "def make(k):\n    class C:\n        n = k\n    return C\nC = make(1)\ndef f(x): return C.n", ("make(1)", "make(2)"))

instances = group("instances")
I = "class C:\n    def __init__(self, n): self.n = n\n    def m(self, x): return x + self.n\nc = C(1)\ndef f(x): return c.m(x)"
instances.edit("state", DIFFERENT, I, ("C(1)", "C(2)"))
instances.edit("class", DIFFERENT, I, ("x + self.n", "x - self.n"))
instances.edit("comment in the class", SAME, I, ("x + self.n", "x + self.n  # sum"))
instances.edit("slots", DIFFERENT, "class C:\n    __slots__ = ('n',)\n    def __init__(self, n): self.n = n\nc = C(1)\ndef f(x): return c.n", ("C(1)", "C(2)"))
instances.edit("in a module", DIFFERENT, "import conf\ndef f(x): return conf.c.n", ("conf.py", "C(1)", "C(2)"), conf="class C:\n    def __init__(self, n): self.n = n\nc = C(1)\n")
instances.edit("in a list", DIFFERENT, "class C:\n    def __init__(self, n): self.n = n\nL = [C(1)]\ndef f(x): return L[0].n", ("C(1)", "C(2)"))
instances.edit("a callable instance", DIFFERENT, "class C:\n    def __call__(self, x): return x + 1\nc = C()\ndef f(x): return c(x)", ("x + 1", "x + 2"))
instances.edit("an instance that holds a function", DIFFERENT, "class C:\n    def __init__(self, g): self.g = g\ndef h(x): return x + 1\nc = C(h)\ndef f(x): return c.g(x)", ("x + 1", "x + 2"))
instances.edit("two that hold each other", DIFFERENT, "class C: pass\na, b = C(), C()\na.o, b.o, b.n = b, a, 1\ndef f(x): return a.o.n", ("b, a, 1", "b, a, 2"))
instances.edit("a class that uses its instance", DIFFERENT, "class C:\n    def m(self): return c.n\nc = C()\nc.n = 1\ndef f(x): return c.m()", ("c.n = 1", "c.n = 2"))
instances.edit("a dict subclass", DIFFERENT, "class D(dict):\n    def get(self, k): return 1\nd = D(a=1)\ndef f(x): return d.get('a')", ("return 1", "return 2"))
instances.edit("SimpleNamespace", DIFFERENT, "import types\nn = types.SimpleNamespace(a=1)\ndef f(x): return n.a", ("a=1", "a=2"))

CASES = [*classes.cases, *made.cases, *instances.cases]
