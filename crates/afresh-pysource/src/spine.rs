//! Walking what is long without descending as deep: `a + b + c + …` leans to the left as far as it is long.

use ruff_python_ast::{Expr, ExprBinOp};

/// How deeply nested a definition may be. CPython refuses much less inside brackets.
pub(crate) const DEPTH: usize = 400;

/// The operators of a chain, the last first, and its first operand.
pub(crate) fn spine(last: &ExprBinOp) -> (Vec<&ExprBinOp>, &Expr) {
    let mut chain = vec![last];
    let mut left = &*last.left;
    while let Expr::BinOp(inner) = left {
        chain.push(inner);
        left = &inner.left;
    }
    (chain, left)
}

/// The operands of a chain.
pub(crate) fn operands(last: &ExprBinOp) -> impl Iterator<Item = &Expr> {
    let (chain, first) = spine(last);
    std::iter::once(first).chain(chain.into_iter().rev().map(|one| &*one.right))
}
