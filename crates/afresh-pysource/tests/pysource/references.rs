//! The names a definition reaches.

use afresh_pysource::{Source, Style};

use crate::{f, shown};

fn reaches(body: &str, expected: &[&str]) {
    let text = format!("def f(p, *args, **kw):\n{body}\n");
    assert_eq!(shown(&f(&text)), expected, "{text}");
}

#[test]
fn plain_names_and_chains() {
    reaches("    return a", &["a"]);
    reaches("    return p.a + args[0] + kw['a']", &[]);
    reaches("    return a.b.c(p)", &["a.b.c"]);
    reaches("    return a.b().c", &["a.b"]);
    reaches("    return a[0].b", &["a"]);
    reaches("    return getattr(a, 'b')", &["a.b", "getattr"]);
    reaches("    return f'{a:{b}}'", &["a", "b"]);
    reaches("    a = 1\n    return a", &[]);
    reaches("    return a\n    a = 1", &[]);
    reaches("    global a\n    a = 1\n    return a", &["a"]);
}

#[test]
fn bindings_of_every_kind() {
    reaches("    for a, (b, *c) in p: d(a, b, c)", &["d"]);
    reaches("    with p as (a, b): return a, b", &[]);
    reaches("    try: pass\n    except E as a: return a", &["E"]);
    reaches("    if (a := p): return a", &[]);
    reaches("    return [a for b in p if (a := b)], a", &[]);
    reaches("    del a", &[]);
    reaches("    a: T = 1\n    return a", &[]);
    reaches("    def a(): pass\n    return a", &[]);
    reaches("    class a: pass\n    return a", &[]);
    reaches("    match p:\n        case {'k': a, **b} | [a, *b] | C(a, k=b): return a, b", &["C"]);
    reaches("    match p:\n        case K.A | 1 as a: return a", &["K.A"]);
}

#[test]
fn scopes() {
    reaches("    return [a for a in a]", &["a"]);
    reaches("    return [a for b in p for a in a]", &[]);
    reaches("    return {k: v for k, v in p}, k", &["k"]);
    reaches("    return lambda a, b=c: a + b + d", &["c", "d"]);
    reaches("    def g(a=b): return a + c + p\n    return g", &["b", "c"]);
    reaches("    def g():\n        nonlocal p\n        p = 1", &[]);
    reaches("    def g():\n        global p\n        return p", &["p"]);
    reaches(
        "    class A(B, m=c):\n        d = e\n        e = d\n        def m(self): return d",
        &["B", "c", "d", "e"],
    );
    reaches("    @deco(a)\n    def g(): pass", &["a", "deco"]);
    reaches("    def g(x: T) -> T: pass", &[]);
}

#[test]
fn imports_inside() {
    reaches("    import m\n    return m.a.b", &["m a.b"]);
    reaches("    import m.n\n    return m.n.a", &["m n.a"]);
    reaches("    import m.n as o\n    return o.a", &["m.n a"]);
    reaches("    from m import a as b\n    return b.c", &["m:a c"]);
    reaches("    from ..m import a\n    return a", &["..m:a"]);
    reaches("    from . import a\n    def g(): return a.b", &[".:a b"]);
    reaches("    import m\n    m.a = 1", &["~m"]);
    reaches("    return importlib.import_module('m.n').a", &["importlib.import_module", "m.n"]);
}

#[test]
fn what_is_only_written() {
    reaches("    a.append(p)", &["~a"]);
    reaches("    a.b.append(c)", &["~a.b", "c"]);
    reaches("    x = a.append(p)", &["a.append"]);
    reaches("    a.append(p)\n    return a", &["a"]);
    reaches("    a.append(p)\n    return a.b", &["~a", "a.b"]);
    reaches("    a[p] = 1", &["~a"]);
    reaches("    a[b][c] += 1", &["~a", "b", "c"]);
    reaches("    a.b = 1", &["~a"]);
    reaches("    del a[p]", &["~a"]);
    reaches("    global a\n    a += 1", &["~a"]);
    reaches("    global a\n    a += 1\n    return a", &["a"]);
    reaches("    a.unknown(p)", &["a.unknown"]);
}

#[test]
fn names_computed_at_run_time() {
    let found = f("def f(x):\n    return getattr(m, x), eval('x')\n");
    let what: Vec<_> = found.dynamic.iter().map(|one| (one.what.as_str(), one.line)).collect();
    assert_eq!(what, [("getattr", 2), ("eval", 2)]);
    assert!(f("def f(x, eval): return eval('x')").dynamic.is_empty());
}

#[test]
fn defaults_and_decorators_belong_to_the_caller() {
    let text = "@deco(a)\ndef f(x=b): return c\n";
    let source = Source::parse(text).unwrap();
    let style = Style { whole: true, ..Style::default() };
    assert_eq!(shown(&source.function("f", 1, &Style::default()).unwrap()), ["c"]);
    assert_eq!(shown(&source.function("f", 1, &style).unwrap()), ["a", "b", "c", "deco"]);
}
