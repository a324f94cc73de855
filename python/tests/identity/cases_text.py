"""Edits of the function's own text, and of how it is written."""

# fmt: off
from corpus import DIFFERENT, SAME, group

own = group("own source")
F = """
def f(x):
    y = x + 1
    return y * 2
"""
own.edit("a constant", DIFFERENT, F, ("+ 1", "+ 2"))
own.edit("an operator", DIFFERENT, F, ("* 2", "// 2"))
own.edit("a statement more", DIFFERENT, F, ("    return", "    y += 1\n    return"))
own.edit("a condition", DIFFERENT, F, ("return y * 2", "return y * 2 if x else 0"))
own.edit("1 becomes True", DIFFERENT, F, ("+ 1", "+ True"))
own.edit("1 becomes 1.0", DIFFERENT, F, ("+ 1", "+ 1.0"))
own.edit("is becomes ==", DIFFERENT, "def f(x): return x is 1", ("is", "=="))
own.edit("text becomes bytes", DIFFERENT, "def f(x): return 'a'", ("'a'", "b'a'"))
own.edit("an annotation becomes a default", DIFFERENT, "def f(x: int): return x", ("x: int", "x: int = 0"))
own.edit("order of statements", DIFFERENT, "def f(x):\n    x += 1\n    x *= 2\n    return x", ("x += 1\n    x *= 2", "x *= 2\n    x += 1"))
own.edit("a keyword argument's name", DIFFERENT, "def f(x): return dict(a=x)", ("a=", "b="))
own.edit("parameter kinds", DIFFERENT, "def f(x, y=1): return x", ("x, y", "x, *, y"))
own.edit("async", DIFFERENT, "def f(x): return x", ("def", "async def"))
own.edit("yield for return", DIFFERENT, "def f(x): return x", ("return", "yield"))
own.edit("an f-string's format", DIFFERENT, "def f(x): return f'{x:.2f}'", (".2f", ".3f"))
own.edit("an f-string's conversion", DIFFERENT, "def f(x): return f'{x!r}'", ("!r", "!s"))
own.edit("lone surrogates", DIFFERENT, 'def f(x): return "\\ud800"', ("ud800", "udc00"))
own.edit("a big number", DIFFERENT, "def f(x): return 123456789012345678901234567890", ("7890", "7891"))
own.edit("a match pattern", DIFFERENT, "def f(x):\n    match x:\n        case [1, *r]: return r", ("[1,", "[2,"))
own.edit("exception caught", DIFFERENT, "def f(x):\n    try: return 1 / x\n    except ValueError: return 0", ("ValueError", "ZeroDivisionError"))
own.edit("a nested function", DIFFERENT, "def f(x):\n    def g(y): return y + 1\n    return g(x)", ("y + 1", "y + 2"))
own.edit("a nested lambda", DIFFERENT, "def f(x): return sorted(x, key=lambda v: v)", ("lambda v: v", "lambda v: -v"))
own.edit("a nested class", DIFFERENT, "def f(x):\n    class A:\n        n = 1\n    return A.n", ("n = 1", "n = 2"))
own.edit("a comprehension's filter", DIFFERENT, "def f(x): return [v for v in x if v]", ("if v", "if not v"))
own.edit("a nested decorator", DIFFERENT, "import functools\ndef f(x):\n    @functools.lru_cache(1)\n    def g(): return 1\n    return g()", ("lru_cache(1)", "lru_cache(2)"))
own.edit("a star", DIFFERENT, "def f(x): return max(x, 1)", ("max(x, 1)", "max(*x, 1)"))

layout = group("layout")
layout.edit("a comment", SAME, F, ("y = x + 1", "y = x + 1  # one more"))
layout.edit("a docstring added", SAME, F, ("def f(x):", 'def f(x):\n    """Says what it does."""'))
layout.edit("a docstring changed", SAME, 'def f(x):\n    """One."""\n    return x', ("One", "Two"))
layout.edit("only a docstring", SAME, 'def f(x):\n    """One."""', ('"""One."""', "pass"))
layout.edit("a docstring that is read", DIFFERENT, 'def f(x):\n    """One."""\n    return f.__doc__', ("One", "Two"))
layout.edit("blank lines", SAME, F, ("    return", "\n\n    return"))
layout.edit("moved down", SAME, F, ("def f", "\n\n\n# far\n\ndef f"))
layout.edit("indentation", SAME, F, ("    y", "  y"), ("    return", "  return"))
layout.edit("quotes", SAME, "def f(x): return 'a'", ("'a'", '"a"'))
layout.edit("raw string of the same value", SAME, r"def f(x): return '\\d'", (r"'\\d'", r"r'\d'"))
layout.edit("implicit concatenation", SAME, "def f(x): return 'ab'", ("'ab'", "'a' 'b'"))
layout.edit("an f-string without holes", SAME, "def f(x): return 'ab'", ("'ab'", "f'ab'"))
layout.edit("an f-string in two pieces", SAME, "def f(x): return f'a{x}b'", ("f'a{x}b'", "'a' f'{x}' 'b'"))
layout.edit("hexadecimal", SAME, "def f(x): return 16", ("16", "0x10"))
layout.edit("underscores in numbers", SAME, "def f(x): return 1000000", ("1000000", "1_000_000"))
layout.edit("a float's spelling", SAME, "def f(x): return 0.5", ("0.5", "5e-1"))
layout.edit("parentheses", SAME, F, ("y * 2", "(y * (2))"))
layout.edit("a broken line", SAME, F, ("y = x + 1", "y = (x +\n         1)"))
layout.edit("trailing comma", SAME, "def f(x): return max(x, 1)", ("x, 1)", "x, 1,)"))
layout.edit("semicolons", SAME, F, ("y = x + 1\n    return", "y = x + 1; return"))
layout.edit("elif for else-if", SAME, "def f(x):\n    if x: return 1\n    elif x is None: return 2", ("elif x is None: return 2", "else:\n        if x is None: return 2"))
layout.edit("pass beside other statements", SAME, F, ("    return", "    pass\n    return"))
layout.edit("a parameter's annotation", SAME, F, ("f(x)", "f(x: int) -> int"))
layout.edit("a local's annotation", SAME, F, ("y = x", "y: int = x"))
layout.edit("another annotation", SAME, "def f(x: int): return x", ("int", "float"))
layout.edit("<> spacing in a slice", SAME, "def f(x): return x[1:2]", ("1:2", "1 : 2"))
layout.edit("line endings", SAME, F, ("\n", "\r\n"))
layout.edit("an annotation that a decorator reads", DIFFERENT, """
def check(g):
    kinds = tuple(g.__annotations__.values())
    def w(x): return kinds[0](x)
    return w
@check
def f(x: int): return x
""", ("x: int", "x: float"))

around = group("around it")
A = """
import os
UNUSED = 1
def other(x): return x
def f(x): return x + 1
"""
around.edit("an unrelated function", SAME, A, ("return x\n", "return -x\n"))
around.edit("an unrelated global", SAME, A, ("UNUSED = 1", "UNUSED = 2"))
around.edit("an unrelated import", SAME, A, ("import os", "import os, sys"))
around.edit("an unrelated class", SAME, A, ("UNUSED", "class Z: pass\nUNUSED"))
around.edit("order in the file", SAME, A, ("def other(x): return x\n", ""), ("x + 1", "x + 1\ndef other(x): return x"))
around.edit("a local of the name of a global", SAME, "n = 1\ndef f(x):\n    n = 3\n    return n + x", ("n = 1", "n = 2"))
around.edit("a parameter of the name of a global", SAME, "n = 1\ndef f(n): return n", ("n = 1", "n = 2"))
around.edit("a comprehension's variable", SAME, "v = 1\ndef f(x): return [v for v in x]", ("v = 1", "v = 2"))
around.edit("an attribute of the name of a global", SAME, "n = 1\ndef f(x): return x.n", ("n = 1", "n = 2"))
around.edit("a keyword of the name of a global", SAME, "n = 1\ndef f(x): return dict(n=x)", ("n = 1", "n = 2"))
around.edit("a walrus of the name of a global", SAME, "n = 1\ndef f(x):\n    if (n := x): return n", ("n = 1", "n = 2"))
around.edit("a comprehension before it shadows", DIFFERENT, "v = [1]\ndef f(x): return [v for v in v]", ("[1]", "[2]"))

CASES = [*own.cases, *layout.cases, *around.cases]
