//! Literals by value: what `NAME = 3 * 60` or `TABLE = {"a": (1, 2)}` gives, told without running Python.
//!
//! Its invariant: a literal is read only where Python would make exactly that value of it. Whatever could come out
//! otherwise (names, calls, f-strings, keys that Python may find equal though they are written differently, numbers
//! beyond 128 bits) is none.

use ruff_python_ast::{Expr, Number, Operator, UnaryOp};
use ruff_python_parser::parse_expression;

use crate::spine::DEPTH;

/// The sign that stands for lone surrogates, which the parser cannot hold.
const REPLACEMENT: char = '\u{fffd}';
/// Integers below this are binary64 numbers too.
const EXACT: u128 = 1 << 53;

/// A value that is written out.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A binary64 number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Data(Vec<u8>),
    /// A tuple.
    Tuple(Vec<Literal>),
    /// A list.
    List(Vec<Literal>),
    /// A set; no member twice.
    Set(Vec<Literal>),
    /// A dict; no key twice.
    Dict(Vec<(Literal, Literal)>),
}

impl Literal {
    /// The value of an expression, where it is a literal.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = parse_expression(text.trim()).ok()?;
        of(parsed.expr(), 0)
    }
}

fn of(expr: &Expr, depth: usize) -> Option<Literal> {
    if depth > DEPTH {
        return None;
    }
    let all = |list: &[Expr]| list.iter().map(|one| of(one, depth + 1)).collect::<Option<Vec<_>>>();
    Some(match expr {
        Expr::NoneLiteral(_) => Literal::None,
        Expr::BooleanLiteral(one) => Literal::Bool(one.value),
        Expr::NumberLiteral(one) => match &one.value {
            Number::Int(value) => Literal::Int(value.as_u64()?.into()),
            Number::Float(value) => Literal::Float(*value),
            Number::Complex { .. } => return None,
        },
        Expr::StringLiteral(one) => {
            let text = one.value.to_str();
            if text.contains(REPLACEMENT) {
                return None;
            }
            Literal::Text(text.to_owned())
        }
        Expr::BytesLiteral(one) => Literal::Data(one.value.bytes().collect()),
        Expr::Tuple(one) => Literal::Tuple(all(&one.elts)?),
        Expr::List(one) => Literal::List(all(&one.elts)?),
        Expr::Set(one) => {
            let mut members: Vec<Literal> = Vec::new();
            for member in all(&one.elts)? {
                if !is_plain(&member) {
                    return None;
                }
                if !members.contains(&member) {
                    members.push(member);
                }
            }
            Literal::Set(members)
        }
        Expr::Dict(one) => {
            let mut items: Vec<(Literal, Literal)> = Vec::new();
            for item in &one.items {
                let key = of(item.key.as_ref()?, depth + 1)?;
                let value = of(&item.value, depth + 1)?;
                if !is_plain(&key) {
                    return None;
                }
                match items.iter_mut().find(|(known, _)| *known == key) {
                    Some(known) => known.1 = value,
                    None => items.push((key, value)),
                }
            }
            Literal::Dict(items)
        }
        Expr::UnaryOp(one) => match (one.op, of(&one.operand, depth + 1)?) {
            (UnaryOp::USub, Literal::Int(value)) => Literal::Int(value.checked_neg()?),
            (UnaryOp::USub, Literal::Float(value)) => Literal::Float(-value),
            (UnaryOp::UAdd, number @ (Literal::Int(_) | Literal::Float(_))) => number,
            _ => return None,
        },
        Expr::BinOp(one) => {
            arithmetic(one.op, &of(&one.left, depth + 1)?, &of(&one.right, depth + 1)?)?
        }
        _ => return None,
    })
}

fn arithmetic(op: Operator, left: &Literal, right: &Literal) -> Option<Literal> {
    if let (Literal::Int(left), Literal::Int(right)) = (left, right) {
        let count = u32::try_from(*right).ok();
        return Some(Literal::Int(match op {
            Operator::Add => left.checked_add(*right)?,
            Operator::Sub => left.checked_sub(*right)?,
            Operator::Mult => left.checked_mul(*right)?,
            Operator::Pow => left.checked_pow(count?)?,
            Operator::LShift => left.checked_mul(2_i128.checked_pow(count?)?)?,
            _ => return None,
        }));
    }
    let (left, right) = (float(left)?, float(right)?);
    let value = match op {
        Operator::Add => left + right,
        Operator::Sub => left - right,
        Operator::Mult => left * right,
        Operator::Div if right != 0.0 => left / right,
        _ => return None,
    };
    Some(Literal::Float(value))
}

fn float(number: &Literal) -> Option<f64> {
    match number {
        Literal::Float(value) => Some(*value),
        Literal::Int(value) if value.unsigned_abs() < EXACT => Some(*value as f64),
        _ => None,
    }
}

/// Whether Python finds two such keys equal only if they are written alike: `1`, `1.0` and `True` are one key.
fn is_plain(key: &Literal) -> bool {
    match key {
        Literal::None | Literal::Int(_) | Literal::Text(_) | Literal::Data(_) => true,
        Literal::Tuple(members) => members.iter().all(is_plain),
        _ => false,
    }
}
