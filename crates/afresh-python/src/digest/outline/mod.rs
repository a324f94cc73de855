//! What is inside an argument, in little: see [`afresh_core::Outline`].
//!
//! Made when a call runs and when somebody asks why, never on a hit and never of a value without an inside. It takes
//! values apart as the digest does, reads long sequences once more for a sketch, and stops at a bound: of nodes, of
//! bytes, of depth. What cannot be outlined has none; nothing raises out of here but what is meant to stop the
//! program.

mod arrow;
mod containers;
mod objects;
mod rows;
mod tables;
mod tree;

use std::cell::RefCell;
use std::collections::HashMap;

use afresh_core::fp1::Digest;
use afresh_core::{Bytes, Inside};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyComplex, PyFloat, PyInt, PyString};

/// How many outlines a thread keeps for calls with the same argument.
const RECENT: usize = 32;

thread_local! {
    static KNOWN: RefCell<HashMap<(Digest, String), Option<Bytes>>> = RefCell::default();
}

/// Whether a value may have an inside. What is a scalar by its exact type has none.
pub(crate) fn has_inside(value: &Bound<'_, PyAny>) -> bool {
    !(value.is_none()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyComplex>())
}

/// The encoded outline of the argument `name`, which has this digest; `None` where there is nothing to be told.
///
/// # Errors
/// What is meant to stop the program, such as `KeyboardInterrupt`.
pub(crate) fn outline(
    name: &str,
    value: &Bound<'_, PyAny>,
    digest: &Digest,
) -> PyResult<Option<Bytes>> {
    let key = (*digest, name.to_owned());
    let known = KNOWN.with_borrow(|known| known.get(&key).cloned());
    if let Some(known) = known {
        return Ok(known);
    }
    let made = match tree::Maker::new(value.py(), digest).outline(name, value) {
        Ok(outline) if matches!(outline.inside, Inside::Leaf(_)) => None,
        Ok(outline) => outline.encode().ok().map(Bytes::from),
        Err(error) if error.is_instance_of::<PyException>(value.py()) => None,
        Err(error) => return Err(error),
    };
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= RECENT {
            known.clear();
        }
        known.insert(key, made.clone());
    });
    Ok(made)
}
