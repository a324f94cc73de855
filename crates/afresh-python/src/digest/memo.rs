//! Containers that were read already and can be met again.
//!
//! Consulted only where exactly the same tokens would be written again, so it never shows in a
//! digest; without it, values that share their parts many times over would take exponential time.
//! What is remembered is kept alive, so that no address means two things.

use super::address::ByAddress;

use afresh_core::fp1::{Digest, Encoder};
use pyo3::ffi;
use pyo3::prelude::*;

#[derive(Default)]
pub(super) struct Memo<'py> {
    known: ByAddress<(Bound<'py, PyAny>, Content)>,
}

enum Content {
    /// The digest of a value that is too long to stand inside others.
    Long(Digest),
    /// The tokens of any other.
    Short(Box<[u8]>),
}

impl<'py> Memo<'py> {
    /// Writes what was written for a value before; whether there is such.
    pub(super) fn write(&self, address: usize, encoder: &mut Encoder) -> bool {
        match self.known.get(&address) {
            Some((_, Content::Long(digest))) => encoder.hashed(digest),
            Some((_, Content::Short(tokens))) => encoder.again(tokens),
            None => return false,
        }
        true
    }

    /// Remembers the container that was written just now, beginning at `position` inside `depth`
    /// others.
    pub(super) fn keep(
        &mut self,
        value: Bound<'py, PyAny>,
        encoder: &Encoder,
        position: usize,
        depth: usize,
    ) {
        if !is_shared(&value) {
            return;
        }
        let content = if let Some(digest) = encoder.collapsed(depth) {
            Content::Long(digest)
        } else if depth == 0 && encoder.is_long() {
            Content::Long(encoder.finish())
        } else {
            let Some(tokens) = encoder.tokens(position, depth) else { return };
            Content::Short(tokens.into())
        };
        self.known.insert(value.as_ptr() as usize, (value, content));
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

/// Whether something other than its container and this walk refers to a value: only then can it be
/// met again.
fn is_shared(value: &Bound<'_, PyAny>) -> bool {
    // SAFETY: reading the count of a live object.
    unsafe { ffi::Py_REFCNT(value.as_ptr()) > 2 }
}
