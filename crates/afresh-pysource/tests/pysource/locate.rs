//! Finding definitions by name, line and column.

use afresh_pysource::{Error, Source, Style};

fn parse(text: &str) -> Source {
    Source::parse(text).unwrap()
}

#[test]
fn functions_by_line() {
    let source = parse(
        "@a\n@b(\n  1)\ndef f(): return 1\n\nclass C:\n    def f(self): return 2\nif x:\n    def f(): return 3\n",
    );
    let style = Style::default();
    for line in [1, 2, 4] {
        assert_eq!(source.function("f", line, &style).unwrap().last_line, 4);
    }
    assert_eq!(source.function("f", 7, &style).unwrap().text, "    def f(self): return 2");
    assert_eq!(source.function("f", 9, &style).unwrap().first_line, 9);
    assert_eq!(source.function("f", 6, &style), Err(Error::NotFound));
    assert_eq!(source.function("g", 4, &style), Err(Error::NotFound));
    assert_eq!(source.function("f", 0, &style), Err(Error::NotFound));
    assert_eq!(source.function("f", u32::MAX, &style), Err(Error::NotFound));
}

#[test]
fn line_endings() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["x = 1", "y = '''", "'''", "def f(): return 1"].join(end);
        assert_eq!(parse(&text).function("f", 4, &Style::default()).unwrap().first_line, 4);
    }
}

#[test]
fn lambdas() {
    let text = "a, b, c = lambda x: x + 1, lambda x: x + 2, lambda y: y\nd = [lambda: 0, lambda: 0]\ne = lambda x: (lambda x: x)\n";
    let source = parse(text);
    let style = Style::default();
    let digest =
        |line, names: &[&str], at| source.lambda(line, names, at, &style).map(|one| one.text);
    assert_eq!(digest(1, &["y"], None).unwrap(), "lambda y: y");
    assert_eq!(digest(1, &["x"], None), Err(Error::Ambiguous));
    let column = |what: &str| Some((1, u32::try_from(text.find(what).unwrap()).unwrap()));
    assert_eq!(digest(1, &["x"], column("x + 1")).unwrap(), "lambda x: x + 1");
    assert_eq!(digest(1, &["x"], column("x + 2")).unwrap(), "lambda x: x + 2");
    assert_eq!(digest(2, &[], None).unwrap(), "lambda: 0");
    assert_eq!(digest(3, &["x"], Some((3, 25))).unwrap(), "lambda x: x");
    assert_eq!(digest(3, &["x"], Some((3, 15))).unwrap(), "lambda x: (lambda x: x)");
    assert_eq!(digest(9, &["x"], Some((99, 15))), Err(Error::NotFound));
}

#[test]
fn classes_by_qualified_name() {
    let text = "class A:\n    class B:\n        x = 1\ndef m():\n    class A:\n        x = 2\nclass D: x = 1\nclass D: x = 2\n";
    let source = parse(text);
    let style = Style::default();
    assert_eq!(source.class("A.B", None, &style).unwrap().first_line, 2);
    assert_eq!(source.class("m.<locals>.A", None, &style).unwrap().first_line, 5);
    assert_eq!(source.class("D", None, &style), Err(Error::Ambiguous));
    assert_eq!(source.class("D", Some(8), &style).unwrap().first_line, 8);
    assert_eq!(source.class("B", None, &style), Err(Error::NotFound));
    assert_eq!(source.class("", None, &style), Err(Error::NotFound));
}

#[test]
fn parameters_and_decorators_are_reported() {
    let source = parse("@a.b(1)\n@c\n@d[0]\ndef f(a, b=1 + 1, *c, d='x', **e): pass\n");
    let found = source.function("f", 1, &Style::default()).unwrap();
    let parameters: Vec<_> =
        found.parameters.iter().map(|one| (one.name.as_str(), one.default.as_deref())).collect();
    let expected =
        [("a", None), ("b", Some("1 + 1")), ("d", Some("'x'")), ("c", None), ("e", None)];
    assert_eq!(parameters, expected);
    assert_eq!(found.decorators, ["a.b", "c", ""]);
}
