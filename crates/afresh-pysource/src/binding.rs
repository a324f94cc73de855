//! What a module binds a name to, read from its text: the way to look into a module that has not been
//! imported, without running it.

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{Expr, Stmt};
use ruff_text_size::{Ranged, TextRange};

use crate::bound::Bound;
use crate::definition::Definition;
use crate::spine::{DEPTH, operands};

/// What a module binds a name to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A function, by its first line (decorators included).
    Function(u32),
    /// A class, by its first line.
    Class(u32),
    /// An import.
    Import {
        /// The number of leading dots.
        level: u32,
        /// The module.
        module: String,
        /// The name taken from it.
        name: Option<String>,
    },
    /// A value: the statements that assign it.
    Value(Box<Statements>),
}

/// The statements that give a name its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statements {
    /// All of them, as one definition.
    pub definition: Definition,
    /// The text of the value, where the name is assigned once, alone.
    pub value: Option<String>,
}

/// The module-level statements that bind a name, in order.
pub(crate) fn binders<'a>(body: &'a [Stmt], name: &str) -> Vec<&'a Stmt> {
    body.iter()
        .filter(|stmt| {
            let bound = Bound::of_stmt(stmt);
            bound.names.contains(name) || changes(stmt, name)
        })
        .collect()
}

/// `TABLE["a"] = 1`, `TABLE.append(1)`: statements at module level that change the value of a name.
fn changes(stmt: &Stmt, name: &str) -> bool {
    let mentions = |expr: &Expr| {
        let mut search = Mentions { name, depth: 0, found: false };
        search.visit_expr(expr);
        search.found
    };
    match stmt {
        Stmt::Expr(one) => mentions(&one.value),
        Stmt::Assign(one) => one.targets.iter().any(mentions),
        Stmt::AugAssign(one) => mentions(&one.target),
        Stmt::Delete(one) => one.targets.iter().any(mentions),
        _ => false,
    }
}

struct Mentions<'s> {
    name: &'s str,
    depth: usize,
    found: bool,
}

impl<'a> Visitor<'a> for Mentions<'_> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        if self.depth > DEPTH {
            return;
        }
        self.depth += 1;
        match expr {
            Expr::Name(one) => self.found |= one.id.as_str() == self.name,
            Expr::BinOp(one) => operands(one).for_each(|it| self.visit_expr(it)),
            _ => visitor::walk_expr(self, expr),
        }
        self.depth -= 1;
    }
}

/// The value of `NAME = value`, where that is the only binder.
pub(crate) fn single_value(binders: &[&Stmt]) -> Option<TextRange> {
    match binders {
        [Stmt::Assign(one)] => match one.targets.as_slice() {
            [Expr::Name(_)] => Some(one.value.range()),
            _ => None,
        },
        [Stmt::AnnAssign(one)] => one.value.as_ref().map(|value| value.range()),
        _ => None,
    }
}
