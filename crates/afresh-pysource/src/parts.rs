//! A class statement and a call taken apart, as text: what a comparison of two versions looks at piece by piece.
//!
//! Pieces are text as written, so that equal pieces are equal code; different pieces may still mean the same.

use ruff_python_ast::{Expr, Stmt, StmtClassDef};
use ruff_python_parser::parse_expression;
use ruff_text_size::{Ranged, TextRange};

/// A class without the bodies of its methods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Its decorators.
    pub decorators: Vec<String>,
    /// Its bases.
    pub bases: Vec<String>,
    /// Its keywords, such as `metaclass=M`.
    pub keywords: Vec<String>,
    /// Each method from its decorators to its body.
    pub methods: Vec<String>,
    /// What else is in its body, without documentation.
    pub statements: Vec<Part>,
}

/// A statement in the body of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// All of it.
    pub text: String,
    /// The name, where it is `NAME = …` or `NAME: …`.
    pub name: Option<String>,
    /// The annotation.
    pub annotation: Option<String>,
    /// The value.
    pub value: Option<String>,
}

/// A call of something that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The dotted name of what is called.
    pub callee: Vec<String>,
    /// The arguments without a name.
    pub arguments: Vec<String>,
    /// The arguments with one.
    pub keywords: Vec<(String, String)>,
}

impl Parts {
    pub(crate) fn of(class: &StmtClassDef, text: &str) -> Self {
        let piece =
            |range: TextRange| text.get(range.to_std_range()).unwrap_or_default().to_owned();
        let mut parts = Self {
            decorators: class.decorator_list.iter().map(|one| piece(one.range())).collect(),
            bases: class.bases().iter().map(|one| piece(one.range())).collect(),
            keywords: class.keywords().iter().map(|one| piece(one.range())).collect(),
            ..Self::default()
        };
        for stmt in &class.body {
            match stmt {
                Stmt::FunctionDef(def) => {
                    let body = def.body.first().map_or(def.end(), Ranged::start);
                    parts.methods.push(piece(TextRange::new(def.start(), body)));
                }
                Stmt::Pass(_) => {}
                Stmt::Expr(one) if one.value.is_string_literal_expr() => {}
                other => parts.statements.push(part(other, &piece)),
            }
        }
        parts
    }
}

fn part(stmt: &Stmt, piece: &dyn Fn(TextRange) -> String) -> Part {
    let mut part = Part { text: piece(stmt.range()), ..Part::default() };
    match stmt {
        Stmt::Assign(one) => {
            if let [Expr::Name(name)] = one.targets.as_slice() {
                part.name = Some(name.id.to_string());
                part.value = Some(piece(one.value.range()));
            }
        }
        Stmt::AnnAssign(one) => {
            if let Expr::Name(name) = one.target.as_ref() {
                part.name = Some(name.id.to_string());
                part.annotation = Some(piece(one.annotation.range()));
                part.value = one.value.as_ref().map(|value| piece(value.range()));
            }
        }
        _ => {}
    }
    part
}

impl Call {
    /// The call that an expression is, without stars.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let parsed = parse_expression(text).ok()?;
        let Expr::Call(call) = parsed.expr() else { return None };
        let piece = |range: TextRange| text.get(range.to_std_range()).map(str::to_owned);
        let mut arguments = Vec::new();
        for one in &call.arguments.args {
            if one.is_starred_expr() {
                return None;
            }
            arguments.push(piece(one.range())?);
        }
        let mut keywords = Vec::new();
        for one in &call.arguments.keywords {
            keywords.push((one.arg.as_ref()?.to_string(), piece(one.value.range())?));
        }
        Some(Self { callee: dotted(&call.func)?, arguments, keywords })
    }
}

fn dotted(expr: &Expr) -> Option<Vec<String>> {
    let mut path = Vec::new();
    let mut expr = expr;
    loop {
        match expr {
            Expr::Attribute(one) => {
                path.push(one.attr.to_string());
                expr = &one.value;
            }
            Expr::Name(name) => {
                path.push(name.id.to_string());
                path.reverse();
                return Some(path);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::Source;

    #[test]
    fn a_class_comes_apart_into_what_can_be_compared() {
        let text = "@deco(1)\nclass C(A, k=2):\n    'Doc.'\n    n: int = 3\n    t.u = 4\n    m: str\n    pass\n    \
            @late\n    def f(self, x=5): return x\n";
        let parts = Source::parse(text).unwrap().class_parts("C").unwrap();
        assert_eq!(parts.decorators, ["@deco(1)"]);
        assert_eq!((parts.bases, parts.keywords), (vec!["A".to_owned()], vec!["k=2".to_owned()]));
        assert_eq!(parts.methods.len(), 1);
        assert!(parts.methods.iter().all(|one| one.contains("@late") && one.contains("x=5")));
        assert!(parts.methods.iter().all(|one| !one.contains("return")));
        let texts: Vec<_> = parts.statements.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, ["n: int = 3", "t.u = 4", "m: str"]);
        let values: Vec<_> = parts.statements.iter().map(|one| one.value.as_deref()).collect();
        assert_eq!(values, [Some("3"), None, None]);
        let names: Vec<_> = parts.statements.iter().map(|one| one.name.as_deref()).collect();
        assert_eq!(names, [Some("n"), None, Some("m")]);
    }

    #[test]
    fn only_calls_of_names_are_taken_apart() {
        let call = Call::parse(" a.b(1, x, k='v') ").unwrap();
        assert_eq!(
            (call.callee.join("."), call.arguments),
            ("a.b".into(), vec!["1".into(), "x".into()])
        );
        assert_eq!(call.keywords, [("k".to_owned(), "'v'".to_owned())]);
        for text in ["a", "a()()", "a(*b)", "a(**b)", "a[0](1)"] {
            assert_eq!(Call::parse(text), None, "{text}");
        }
    }
}
