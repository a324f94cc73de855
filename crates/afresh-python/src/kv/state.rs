//! What a name can stand for beside a value: bits, moments, a set of texts, and bytes that no codec made.
//!
//! Each is one record, changed as a whole under the condition that it is still the one that was read, so that a change is
//! atomic on every store. That bounds it: at most [`MOST`] bytes. The functions here are pure; `face` reads and writes.

use std::collections::BTreeSet;

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySet};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of one record.
pub(crate) const MOST: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Unsigned numbers of a few bits each.
    Bits,
    /// Points in time, in order.
    Moments,
    /// Texts.
    Members,
    /// Bytes as they were given.
    Raw,
}

impl Kind {
    /// What stands in the record in the place of a codec's name. No codec of a user's has a name like it.
    pub(crate) const fn codec(self) -> &'static str {
        match self {
            Self::Bits => "afresh/bits",
            Self::Moments => "afresh/moments",
            Self::Members => "afresh/members",
            Self::Raw => "afresh/raw",
        }
    }

    pub(crate) fn named(codec: &str) -> Option<Self> {
        [Self::Bits, Self::Moments, Self::Members, Self::Raw]
            .into_iter()
            .find(|kind| kind.codec() == codec)
    }

    /// What it is called in messages.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Bits => "a field of bits",
            Self::Moments => "a slice of moments",
            Self::Members => "a set of texts",
            Self::Raw => "raw bytes",
        }
    }

    /// As a Python value; `None` where the bytes are not what they should be.
    pub(crate) fn value<'py>(
        self,
        py: Python<'py>,
        bytes: &[u8],
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(match self {
            Self::Bits | Self::Raw => Some(PyBytes::new(py, bytes).into_any()),
            Self::Moments => match read::<Vec<f64>>(bytes) {
                Some(moments) => Some(PyList::new(py, moments)?.into_any()),
                None => None,
            },
            Self::Members => match read::<Vec<String>>(bytes) {
                Some(members) => Some(PySet::new(py, members)?.into_any()),
                None => None,
            },
        })
    }
}

/// What becomes of a record.
pub(crate) enum Next {
    Same,
    /// Nothing is left in it, and it goes.
    Gone,
    Is(Vec<u8>),
}

fn read<T: DeserializeOwned + Default>(bytes: &[u8]) -> Option<T> {
    if bytes.is_empty() { Some(T::default()) } else { postcard::from_bytes(bytes).ok() }
}

/// What cannot be read is as good as nothing, and is written anew.
fn known<T: DeserializeOwned + Default>(bytes: &[u8]) -> T {
    read(bytes).unwrap_or_default()
}

fn written(value: &impl Serialize) -> Vec<u8> {
    // Plain lists of numbers or texts always have a form.
    postcard::to_stdvec(value).unwrap_or_default()
}

/// The position of a field's first bit; an error beyond what a record holds.
fn first(index: u64, size: u32) -> PyResult<usize> {
    let past = index.checked_add(1).and_then(|next| next.checked_mul(u64::from(size)));
    match past.map(|past| (past - u64::from(size), past)) {
        Some((first, past)) if (1..=32).contains(&size) && past <= 8 * MOST as u64 => {
            Ok(usize::try_from(first).unwrap_or(usize::MAX))
        }
        _ => Err(PyOverflowError::new_err(format!(
            "a field of bits holds {} fields of {size} bits at most (of 1 to 32 bits each), and none at {index}",
            8 * MOST as u64 / u64::from(size.max(1))
        ))),
    }
}

/// The number in a field; what was never written is zero.
pub(crate) fn bits(bytes: &[u8], index: u64, size: u32) -> PyResult<u64> {
    let first = first(index, size)?;
    Ok((0..size as usize).fold(0, |number, bit| {
        let at = first + bit;
        let byte = bytes.get(at / 8).copied().unwrap_or(0);
        number | u64::from(byte >> (at % 8) & 1) << bit
    }))
}

/// Adds to fields, which stay within what they can hold; their new numbers.
pub(crate) fn add_bits(
    bytes: &[u8],
    indexes: &[u64],
    size: u32,
    by: i64,
) -> PyResult<(Next, Vec<u64>)> {
    let mut after = bytes.to_vec();
    let mut numbers = Vec::with_capacity(indexes.len());
    for index in indexes {
        let most = (1_i64 << size.min(32)) - 1;
        let before = i64::try_from(bits(&after, *index, size)?).unwrap_or(i64::MAX);
        let number = before.saturating_add(by).clamp(0, most).unsigned_abs();
        let first = first(*index, size)?;
        let last = (first + size as usize - 1) / 8;
        if after.len() <= last && number != 0 {
            after.resize(last + 1, 0);
        }
        for bit in 0..size as usize {
            let at = first + bit;
            if let Some(byte) = after.get_mut(at / 8) {
                let mask = 1 << (at % 8);
                *byte = if number >> bit & 1 == 1 { *byte | mask } else { *byte & !mask };
            }
        }
        numbers.push(number);
    }
    let next = if after == bytes { Next::Same } else { Next::Is(after) };
    Ok((next, numbers))
}

/// Forgets the moments before `start`, and adds `end` where fewer than `most` are within the two; how many are then.
pub(crate) fn slide(bytes: &[u8], start: f64, end: f64, most: usize) -> (Next, usize) {
    let mut moments: Vec<f64> = known(bytes);
    moments.retain(|moment| *moment >= start);
    let within = moments.iter().filter(|moment| **moment <= end).count();
    if within >= most {
        // What has gone goes with the next that is added.
        return (Next::Same, within);
    }
    moments.push(end);
    moments.sort_by(f64::total_cmp);
    (Next::Is(written(&moments)), within + 1)
}

/// Adds members; how many are new.
pub(crate) fn join(bytes: &[u8], members: &[String]) -> (Next, usize) {
    let mut set: BTreeSet<String> = known(bytes);
    let before = set.len();
    set.extend(members.iter().cloned());
    let new = set.len() - before;
    (if new == 0 { Next::Same } else { Next::Is(written(&set)) }, new)
}

/// Removes members; how many there were.
pub(crate) fn leave(bytes: &[u8], members: &[String]) -> (Next, usize) {
    let mut set: BTreeSet<String> = known(bytes);
    let gone = members.iter().filter(|member| set.remove(*member)).count();
    (rest(&set, gone), gone)
}

/// Takes out up to so many members.
pub(crate) fn pop(bytes: &[u8], count: usize) -> (Next, Vec<String>) {
    let mut set: BTreeSet<String> = known(bytes);
    let mut taken = Vec::new();
    while taken.len() < count
        && let Some(member) = set.pop_first()
    {
        taken.push(member);
    }
    (rest(&set, taken.len()), taken)
}

fn rest(set: &BTreeSet<String>, gone: usize) -> Next {
    match (gone, set.is_empty()) {
        (0, _) => Next::Same,
        (_, true) => Next::Gone,
        (_, false) => Next::Is(written(set)),
    }
}
