//! What a module binds a name to, from its text alone.

use afresh_pysource::{Binding, Source, Style};

use crate::shown;

fn binding(text: &str, name: &str) -> Option<Binding> {
    Source::parse(text).unwrap().binding(name, &Style::default()).unwrap()
}

#[test]
fn kinds() {
    let text = "import a.b\nimport c.d as e\nfrom .g import h as i\n@z\ndef f(): pass\nclass C: pass\nN = 1\n";
    let import = |level, module: &str, name: Option<&str>| {
        Some(Binding::Import { level, module: module.into(), name: name.map(Into::into) })
    };
    assert_eq!(binding(text, "a"), import(0, "a", None));
    assert_eq!(binding(text, "e"), import(0, "c.d", None));
    assert_eq!(binding(text, "i"), import(1, "g", Some("h")));
    assert_eq!(binding(text, "f"), Some(Binding::Function(4)));
    assert_eq!(binding(text, "C"), Some(Binding::Class(6)));
    assert_eq!(binding(text, "h"), None);
}

#[test]
fn values() {
    let value = |text: &str| match binding(text, "N") {
        Some(Binding::Value(one)) => (one.value, shown(&one.definition)),
        other => panic!("{other:?}"),
    };
    assert_eq!(value("N = [1, g(2)]\nM = 3\n"), (Some("[1, g(2)]".into()), vec!["g".to_owned()]));
    assert_eq!(value("N: int = 5\n").0.as_deref(), Some("5"));
    assert_eq!(value("N = 1\nN = 2\n").0, None);
    assert_eq!(value("N = []\nN.append(g)\n"), (None, vec!["~N".to_owned(), "g".to_owned()]));
    assert_eq!(value("if x:\n    N = 1\nelse:\n    N = 2\n").0, None);
    assert_eq!(value("def N(): pass\nN = g(N)\n").0, None);
}

#[test]
fn star_imports_and_names() {
    let source =
        Source::parse("from a import *\nfrom .b import *\nx = 1\ndef y(): z = 1\n").unwrap();
    assert_eq!(source.star_imports(), [(0, "a".to_owned()), (1, "b".to_owned())]);
    assert_eq!(source.names(), ["x", "y"]);
}
