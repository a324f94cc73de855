//! Constants by value: `0x10` is `16`, `"a" "b"` is `"ab"`, an f-string is its parts whatever the quotes.
//!
//! The parser replaces lone surrogates (`"\ud800"`) by U+FFFD; where that sign occurs the spelling is
//! written as well, so that two different strings never become one.

use ruff_python_ast::{
    Expr, ExprBytesLiteral, ExprFString, ExprStringLiteral, ExprTString, FStringPart, Int,
    InterpolatedElement, InterpolatedStringElement, Number,
};
use ruff_text_size::Ranged;

use crate::encode::Encoder;
use crate::error::{Error, Result};

const REPLACEMENT: char = '\u{fffd}';

impl Encoder<'_> {
    pub(crate) fn number(&mut self, number: &Number) -> Result<()> {
        match number {
            Number::Int(value) => {
                let bytes = match value.as_u64() {
                    Some(small) => trimmed(small.to_le_bytes().to_vec()),
                    None => big(value)?,
                };
                self.writer.int(&bytes);
            }
            Number::Float(value) => self.writer.float(*value),
            Number::Complex { real, imag } => {
                self.writer.node("complex");
                self.writer.float(*real);
                self.writer.float(*imag);
            }
        }
        Ok(())
    }

    pub(crate) fn string(&mut self, literal: &ExprStringLiteral) {
        let mut text = String::new();
        literal.value.iter().for_each(|part| text.push_str(&part.value));
        self.piece(&text, literal);
    }

    fn piece(&mut self, text: &str, at: &impl Ranged) {
        self.writer.text(text);
        if text.contains(REPLACEMENT) {
            let spelling = self.source.get(at.range().to_std_range()).unwrap_or_default();
            self.writer.node("spelled");
            self.writer.text(spelling);
        }
    }

    pub(crate) fn byte_string(&mut self, literal: &ExprBytesLiteral) {
        let data: Vec<u8> = literal.value.bytes().collect();
        self.writer.data(&data);
    }

    pub(crate) fn f_string(&mut self, literal: &ExprFString) -> Result<()> {
        let mut parts = Parts::default();
        for part in literal.value.iter() {
            match part {
                FStringPart::Literal(text) => parts.text(&text.value),
                FStringPart::FString(string) => parts.elements(string.elements.iter()),
            }
        }
        // Without a hole it is the same constant as a plain string.
        if let [] | [Part::Text(_)] = parts.list.as_slice() {
            let text = match parts.list.as_slice() {
                [Part::Text(text)] => text.clone(),
                _ => String::new(),
            };
            self.piece(&text, literal);
            return Ok(());
        }
        self.writer.node("fstring");
        self.parts(parts, literal)
    }

    pub(crate) fn t_string(&mut self, literal: &ExprTString) -> Result<()> {
        let mut parts = Parts { template: true, ..Parts::default() };
        parts.elements(literal.value.elements());
        self.writer.node("tstring");
        self.parts(parts, literal)
    }

    fn parts(&mut self, parts: Parts<'_>, at: &impl Ranged) -> Result<()> {
        let template = parts.template;
        self.writer.list(parts.list.len());
        for part in parts.list {
            match part {
                Part::Text(text) => self.piece(&text, at),
                Part::Hole(hole) => self.hole(hole, template)?,
            }
        }
        Ok(())
    }

    fn hole(&mut self, hole: &InterpolatedElement, template: bool) -> Result<()> {
        self.writer.node("hole");
        self.expr(&hole.expression)?;
        let mut conversion = hole.conversion.to_byte();
        if hole.debug_text.is_some() && conversion.is_none() && hole.format_spec.is_none() {
            conversion = Some(b'r');
        }
        self.writer.data(conversion.as_slice());
        // A template keeps the text of the expression as an attribute.
        if template {
            let text = self.source.get(hole.expression.range().to_std_range()).unwrap_or_default();
            self.writer.text(text);
        }
        match &hole.format_spec {
            None => {
                self.writer.absent();
                Ok(())
            }
            Some(spec) => {
                let mut parts = Parts { template, ..Parts::default() };
                parts.elements(spec.elements.iter());
                self.parts(parts, hole)
            }
        }
    }

    /// Whether a statement made of this expression does nothing at all.
    pub(crate) fn is_idle(expr: &Expr) -> bool {
        matches!(
            expr,
            Expr::StringLiteral(_)
                | Expr::BytesLiteral(_)
                | Expr::NumberLiteral(_)
                | Expr::BooleanLiteral(_)
                | Expr::NoneLiteral(_)
                | Expr::EllipsisLiteral(_)
        )
    }
}

enum Part<'a> {
    Text(String),
    Hole(&'a InterpolatedElement),
}

/// The parts of an interpolated string with adjacent text joined.
#[derive(Default)]
struct Parts<'a> {
    list: Vec<Part<'a>>,
    template: bool,
}

impl<'a> Parts<'a> {
    fn text(&mut self, more: &str) {
        if let Some(Part::Text(text)) = self.list.last_mut() {
            text.push_str(more);
        } else if !more.is_empty() {
            self.list.push(Part::Text(more.to_owned()));
        }
    }

    fn elements(&mut self, elements: impl Iterator<Item = &'a InterpolatedStringElement>) {
        for element in elements {
            match element {
                InterpolatedStringElement::Literal(text) => self.text(&text.value),
                InterpolatedStringElement::Interpolation(hole) => {
                    if let Some(debug) = &hole.debug_text {
                        self.text(debug.as_str());
                    }
                    self.list.push(Part::Hole(hole));
                }
            }
        }
    }
}

fn trimmed(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// A number beyond 64 bits, from its spelling.
fn big(value: &Int) -> Result<Vec<u8>> {
    let spelling: String = value.to_string().chars().filter(|sign| *sign != '_').collect();
    let lower = spelling.to_ascii_lowercase();
    let (radix, digits) = match lower.split_at_checked(2) {
        Some(("0x", rest)) => (16, rest),
        Some(("0o", rest)) => (8, rest),
        Some(("0b", rest)) => (2, rest),
        _ => (10, lower.as_str()),
    };
    let mut bytes: Vec<u8> = Vec::new();
    for digit in digits.chars() {
        let mut carry = digit.to_digit(radix).ok_or(Error::Unsupported("number"))?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * radix;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push((carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    Ok(trimmed(bytes))
}
