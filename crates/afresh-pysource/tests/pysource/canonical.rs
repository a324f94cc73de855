//! What counts as the same definition and what does not.

use afresh_pysource::{Source, Style};

use crate::f;

fn same(one: &str, two: &str) {
    assert_eq!(f(one).digest, f(two).digest, "{one}\n---\n{two}");
}

fn differ(one: &str, two: &str) {
    assert_ne!(f(one).digest, f(two).digest, "{one}\n---\n{two}");
}

#[test]
fn spelling_does_not_matter() {
    for (one, two) in [
        ("'a'", "\"a\""),
        ("'ab'", "'a' 'b'"),
        ("'ab'", "f'ab'"),
        ("''", "f''"),
        ("f'a{x}b'", "'a' f'{x}' 'b'"),
        ("f'{x=}'", "f'x={x!r}'"),
        ("f'{x = }'", "f'x = {x!r}'"),
        ("f'{x=:3}'", "f'x={x:3}'"),
        ("r'\\d'", "'\\\\d'"),
        ("b'ab'", "b'a' b'b'"),
        ("16", "0x10"),
        ("16", "0b1_0000"),
        ("340282366920938463463374607431768211456", "0x1_00000000_00000000_00000000_00000000"),
        ("0o7777777777777777777777777", "0x7ffffffffffffffffff"),
        ("0.5", "5e-1"),
        ("1e3j", "1000j"),
        ("(x)", "x"),
        ("x + 1", "(x+(1))"),
        ("x,", "(x,)"),
        ("g(x, y)", "g(\n  x,  # first\n  y,\n)"),
        ("[a for a in x]", "[ a for a in (x) ]"),
        ("lambda: 0", "(lambda : 0)"),
        ("not x", "(not (x))"),
    ] {
        same(&format!("def f(x): return {one}"), &format!("def f(x): return {two}"));
    }
}

#[test]
fn statements_that_do_nothing_do_not_matter() {
    let plain = "def f(x):\n    return x\n";
    for other in [
        "def f(x):\n    'Doc.'\n    return x\n",
        "def f(x):\n    pass\n    ...\n    1\n    None\n    b'x'\n    return x\n",
        "# before\ndef f(x) :\n\n\n        return x  # after\n",
        "def f(x):\n    y: int\n    return x\n",
        "def f(x: int = ...) -> str: return x",
        "@memo\ndef f(x): return x",
        "def f[T](x: T) -> T: return x",
    ] {
        if other.contains("= ...") {
            differ(plain, other);
        } else if other.starts_with('@') {
            let source = Source::parse(other).unwrap();
            let found = source.function("f", 1, &Style::default()).unwrap();
            assert_eq!(found.digest, f(plain).digest);
        } else {
            same(plain, other);
        }
    }
    same("def f(): ...", "def f():\n    '''Doc.'''");
    same("def f(x):\n    x: int = 1", "def f(x):\n    x = 1");
    same(
        "def f(x):\n    if x: a()\n    elif y: b()\n    else: c()",
        "def f(x):\n    if x: a()\n    else:\n        if y: b()\n        else: c()",
    );
    same("def f():\n    global b, a", "def f():\n    global a, b");
}

#[test]
fn meaning_matters() {
    for (one, two) in [
        ("1", "1.0"),
        ("1", "True"),
        ("0", "False"),
        ("0", "None"),
        ("0.0", "-0.0"),
        ("1", "1j"),
        ("'a'", "b'a'"),
        ("'a'", "a"),
        ("'\\ud800'", "'\\udc00'"),
        ("f'\\ud800{x}'", "f'\\udc00{x}'"),
        ("[1, 2]", "(1, 2)"),
        ("[1, 2]", "{1, 2}"),
        ("[1, 2]", "[12]"),
        ("[[1], 2]", "[[1, 2]]"),
        ("x + 1", "x - 1"),
        ("a + b + c", "a + (b + c)"),
        ("a - b + c", "a + b - c"),
        ("a and b or c", "a and (b or c)"),
        ("a < b < c", "(a < b) < c"),
        ("x is y", "x is not y"),
        ("x.a", "x.b"),
        ("x[1]", "x[1:]"),
        ("x[1:]", "x[:1]"),
        ("x[:1]", "x[::1]"),
        ("g(a=1)", "g(b=1)"),
        ("g(*a)", "g(**a)"),
        ("g(a)", "g(*a)"),
        ("f'{x}'", "f'{x!r}'"),
        ("f'{x}'", "f'{x:3}'"),
        ("f'{x}{y}'", "f'{x}' + f'{y}'"),
        ("f'{x}'", "'{x}'"),
        ("f'{x=}'", "f'{x = }'"),
        ("[a for a in x]", "(a for a in x)"),
        ("[a for a in x if a]", "[a for a in x]"),
        ("[a for a in x for b in a]", "[a for b in a for a in x]"),
        ("lambda a: a", "lambda b: b"),
        ("lambda a=1: a", "lambda a: a"),
        ("(yield)", "(yield None)"),
        ("(yield x)", "(yield from x)"),
        ("{**x}", "{x: x}"),
        ("{1: 2}", "{1, 2}"),
        ("(n := x)", "n == x"),
        ("a if b else c", "c if b else a"),
        ("123456789012345678901", "123456789012345678902"),
    ] {
        differ(&format!("def f(x): return {one}"), &format!("def f(x): return {two}"));
    }
    for (one, two) in [
        ("def f(a, b): pass", "def f(b, a): pass"),
        ("def f(a, b): pass", "def f(a, *, b): pass"),
        ("def f(a, b): pass", "def f(a, /, b): pass"),
        ("def f(a): pass", "def f(*a): pass"),
        ("def f(*a): pass", "def f(**a): pass"),
        ("def f(a): pass", "def f(a=1): pass"),
        ("def f(x): return x", "def f(x): x"),
        (
            "def f(x):\n    for i in x: a()\n    else: b()",
            "def f(x):\n    for i in x: a()\n    b()",
        ),
        ("def f(x):\n    while x: a()", "def f(x):\n    if x: a()"),
        ("def f(x):\n    try: a()\n    except E: b()", "def f(x):\n    try: a()\n    except: b()"),
        (
            "def f(x):\n    try: a()\n    except E: b()",
            "def f(x):\n    try: a()\n    except* E: b()",
        ),
        ("def f(x):\n    try: a()\n    finally: b()", "def f(x):\n    try: a()\n    except: b()"),
        ("def f(x):\n    with x as y: a()", "def f(x):\n    with x: a()"),
        ("def f(x):\n    import a.b", "def f(x):\n    import a.b as a"),
        ("def f(x):\n    from . import a", "def f(x):\n    from .. import a"),
        ("def f(x):\n    assert x", "def f(x):\n    assert x, 'no'"),
        ("def f(x):\n    raise x", "def f(x):\n    raise x from y"),
        ("def f(x):\n    del x.a", "def f(x):\n    x.a"),
        ("def f(x):\n    x += 1", "def f(x):\n    x = 1"),
        ("def f(x):\n    a = b = x", "def f(x):\n    a = x\n    b = x"),
        (
            "def f(x):\n    match x:\n        case [a]: pass",
            "def f(x):\n    match x:\n        case (a): pass",
        ),
        (
            "def f(x):\n    match x:\n        case {'a': a}: pass",
            "def f(x):\n    match x:\n        case {'a': a, **r}: pass",
        ),
        (
            "def f(x):\n    match x:\n        case A(a): pass",
            "def f(x):\n    match x:\n        case A(a=a): pass",
        ),
        ("def f(x):\n    class A:\n        a: int", "def f(x):\n    class A:\n        a: str"),
        ("def f(x):\n    @a\n    def g(): pass", "def f(x):\n    @b\n    def g(): pass"),
    ] {
        differ(one, two);
    }
}

#[test]
fn what_is_read_about_definitions_is_kept() {
    differ(
        "def f():\n    'One.'\n    return f.__doc__",
        "def f():\n    'Two.'\n    return f.__doc__",
    );
    differ("def f(x: int): pass\nf.__annotations__", "def f(x: str): pass\nf.__annotations__");
    let at = |text: &str| Source::parse(text).unwrap().function("f", 1, &Style::default()).unwrap();
    assert_ne!(at("@check\ndef f(x: int): pass").digest, at("@check\ndef f(x: str): pass").digest);
    assert_eq!(at("@cache\ndef f(x: int): pass").digest, at("@cache\ndef f(x: str): pass").digest);
}

#[test]
fn a_shell_leaves_methods_to_the_caller() {
    let class = |text: &str, whole: bool| {
        let style = Style { whole, ..Style::default() };
        Source::parse(text).unwrap().class("C", None, &style).unwrap().digest
    };
    let one = "class C:\n    a: int = 1\n    def m(self): return 1\n    def n(self): return 2\n";
    let order = "class C:\n    def n(self): return 2\n    def m(self): return 1\n    a: int = 1\n";
    let body = one.replace("return 1", "return 3");
    let field = one.replace("int", "str");
    assert_eq!(class(one, false), class(order, false));
    assert_eq!(class(one, false), class(&body, false));
    assert_ne!(class(one, false), class(&field, false));
    assert_ne!(class(one, true), class(&body, true));
    assert_ne!(class(one, true), class(one, false));
}

#[test]
fn ignored_decorators() {
    let style = Style { ignored_decorators: vec!["cache".into()], ..Style::default() };
    let at = |text: &str| Source::parse(text).unwrap().function("f", 1, &style).unwrap();
    let plain = "def f():\n    def g(): pass";
    let inside = "def f():\n    @cache.memo(ttl=3)\n    def g(): pass";
    let other = "def f():\n    @other.memo(ttl=3)\n    def g(): pass";
    assert_eq!(at(plain).digest, at(inside).digest);
    assert_eq!(at(plain).references, at(inside).references);
    assert_ne!(at(plain).digest, at(other).digest);
}

/// The form is stored: a change here is a new form, never an edit of these lines.
#[test]
fn the_form_does_not_change() {
    let hex =
        |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = "def f(a, /, b, *c, d=1, **e):\n    x = [g(i) for i in b if i > 0x10]\n    return f'{x!r:>{a}}', 1.5, b'z', None\n";
    assert_eq!(hex(f(text).digest), include_str!("form.txt").trim());
}
