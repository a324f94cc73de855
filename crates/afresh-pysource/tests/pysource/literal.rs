//! Literals by value, and definitions by qualified name.

use afresh_pysource::{Literal, Source, Style};

#[test]
fn what_is_written_out_is_read() {
    let int = Literal::Int;
    let text = |text: &str| Literal::Text(text.into());
    let cases = [
        ("None", Literal::None),
        (" 0x10 ", int(16)),
        ("-3", int(-3)),
        ("60 * 60 + 1", int(3601)),
        ("1 << 20", int(1 << 20)),
        ("10 ** 6", int(1_000_000)),
        ("1e3 / 2", Literal::Float(500.0)),
        ("'a' \"b\"", text("ab")),
        ("b'x'", Literal::Data(b"x".to_vec())),
        ("(1, [True])", Literal::Tuple(vec![int(1), Literal::List(vec![Literal::Bool(true)])])),
        ("{'a', 'a'}", Literal::Set(vec![text("a")])),
        ("{'a': 1, 'a': 2}", Literal::Dict(vec![(text("a"), int(2))])),
    ];
    for (written, value) in cases {
        assert_eq!(Literal::parse(written), Some(value), "{written}");
    }
}

#[test]
fn what_could_come_out_otherwise_is_not() {
    let deep = format!("{}1{}", "(".repeat(150), ",)".repeat(150));
    assert!(Literal::parse(&deep).is_some());
    for written in [
        "x",
        "f()",
        "f'{x}'",
        "1j",
        "{1: 2, True: 3}",
        "{1.0}",
        "{**x}",
        "1 / 0",
        "2 ** 200",
        "1 if x else 2",
        "\"\\ud800\"",
        "not 1",
        "'a' + 'b'",
        "1 +",
        "99999999999999999999999",
    ] {
        assert_eq!(Literal::parse(written), None, "{written}");
    }
}

#[test]
fn functions_are_found_by_qualified_name() {
    let text = "class C:\n    def f(self): return 1\n    class D:\n        def f(self): return 2\n\
                def make():\n    def f(): return 3\n    return f\n\
                if x:\n    def f(): return 4\nelse:\n    def f(): return 5\ng = lambda a: a\n";
    let source = Source::parse(text).unwrap();
    let lines = |name: &str| -> Vec<u32> {
        let found = source.functions(name, &Style::default()).unwrap();
        found.iter().map(|one| one.first_line).collect()
    };
    assert_eq!(lines("C.f"), [2]);
    assert_eq!(lines("C.D.f"), [4]);
    assert_eq!(lines("make.<locals>.f"), [6]);
    assert_eq!(lines("f"), [9, 11]);
    assert_eq!(lines("C.g"), [] as [u32; 0]);
    let lambdas = source.lambdas(&Style::default()).unwrap();
    assert_eq!(lambdas.iter().map(|one| one.first_line).collect::<Vec<_>>(), [12]);
    let style = Style::default();
    assert_eq!(source.digest(&style).unwrap(), source.module(&style).unwrap().digest);
}
