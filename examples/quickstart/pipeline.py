"""Four steps over the source of a library: list its modules, parse each, measure each, report.

Plain functions: nothing here knows that their results are remembered.
"""

import ast
from pathlib import Path

SKIP = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.BoolOp, ast.comprehension, ast.Assert)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def list_modules(folder, python, limit=None):
    """Step 1: the modules of the library, by file name.

    The files of an installed library change with its version only, so `python` stands for their content.
    """
    names = [str(path.relative_to(folder)) for path in Path(folder).rglob("*.py")]
    names = sorted(name for name in names if not SKIP.intersection(Path(name).parts))
    return names[:limit]


def parse(name, folder):
    """Step 2: what a module consists of."""
    source = Path(folder, name).read_bytes()
    try:
        tree = ast.parse(source)
    except SyntaxError:  # written for another version of Python
        tree = ast.Module(body=[], type_ignores=[])
    functions = []
    collect(tree, "", functions)
    return {"module": name, "lines": source.count(b"\n"), "functions": functions}


def collect(node, prefix, found):
    """Every function below a node: its name, lines, arguments, branches and deepest nesting."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FUNCTIONS):
            name = f"{prefix}{child.name}"
            branches = sum(isinstance(part, BRANCHES) for part in ast.walk(child))
            found.append(
                {
                    "name": name,
                    "lines": child.end_lineno - child.lineno + 1,
                    "arguments": len(child.args.posonlyargs + child.args.args + child.args.kwonlyargs),
                    "branches": branches,
                    "depth": depth(child),
                }
            )
            collect(child, f"{name}.", found)
        elif isinstance(child, ast.ClassDef):
            collect(child, f"{prefix}{child.name}.", found)
        else:
            collect(child, prefix, found)


def depth(node):
    """How deeply branches are nested."""
    below = max((depth(child) for child in ast.iter_child_nodes(node)), default=0)
    return below + isinstance(node, BRANCHES)


def measure(facts):
    """Step 3: how hard a module is to read."""
    scores = {function["name"]: difficulty(function) for function in facts["functions"]}
    hardest = max(scores, key=scores.get, default=None)
    return {
        "module": facts["module"],
        "lines": facts["lines"],
        "functions": len(scores),
        "score": sum(scores.values()),
        "hardest": hardest,
        "hardest_score": scores.get(hardest, 0),
    }


def difficulty(function):
    """How hard one function is to read."""
    return function["branches"] + function["depth"] ** 2 + function["lines"] // 20


def report(measures):
    """Step 4: the library in a few lines."""
    hardest = sorted(measures, key=lambda m: (-m["hardest_score"], m["module"]))[:5]
    total = {key: sum(m[key] for m in measures) for key in ("lines", "functions", "score")}
    functions, lines, score = (f"{total[key]:,}" for key in ("functions", "lines", "score"))
    text = [
        f"{len(measures)} modules, {functions} functions, {lines} lines, difficulty {score}",
        "hardest functions:",
    ]
    text += [f"  {m['hardest_score']:>6,}  {m['module']}: {m['hardest']}" for m in hardest]
    return "\n".join(text)
