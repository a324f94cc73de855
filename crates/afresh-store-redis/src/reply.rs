//! Taking the server's answers apart.

use std::vec::IntoIter;

use afresh_core::Result;
use redis::Value;

use crate::error::odd;

/// The items of an array, one after the other.
pub(crate) struct Items {
    items: IntoIter<Value>,
    what: &'static str,
}

impl Items {
    /// The items of an answer to `what`.
    pub(crate) fn of(value: Value, what: &'static str) -> Result<Self> {
        match value {
            Value::Array(items) => Ok(Self { items: items.into_iter(), what }),
            _ => Err(odd(what)),
        }
    }

    fn odd<T>(&self, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| odd(self.what))
    }

    /// Whether there are any left.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.len() == 0
    }

    pub(crate) fn next(&mut self) -> Result<Value> {
        let value = self.items.next();
        self.odd(value)
    }

    pub(crate) fn array(&mut self) -> Result<Self> {
        Self::of(self.next()?, self.what)
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>> {
        let value = self.optional()?;
        self.odd(value)
    }

    /// Bytes, or nothing.
    pub(crate) fn optional(&mut self) -> Result<Option<Vec<u8>>> {
        match self.next()? {
            Value::BulkString(bytes) => Ok(Some(bytes)),
            Value::SimpleString(text) => Ok(Some(text.into_bytes())),
            Value::Nil => Ok(None),
            _ => self.odd(None),
        }
    }

    /// A number, also where it is written as text or not a whole one.
    pub(crate) fn number(&mut self) -> Result<i64> {
        let value = self.next()?;
        self.odd(number(&value))
    }

    /// A number where there is one: for what may be lost.
    pub(crate) fn roughly(&mut self) -> Result<Option<i64>> {
        Ok(number(&self.next()?))
    }
}

fn number(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Int(number) => return Some(*number),
        Value::Double(number) => return Some(*number as i64),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::SimpleString(text) => text,
        _ => return None,
    };
    text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as i64))
}
