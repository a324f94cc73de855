//! The digests of classes and functions met in arguments, remembered while everything they rest on stays as it was.
//!
//! A method call digests its instance, and that the class: to ask `afresh.identity` for it in Python each time took
//! longer than everything else. Invariant: an entry is used only for the very object it was made for, and only while its
//! [`Validity`] stands. What refers to mutable data is asked for in Python, each time. Only whoever digests the arguments
//! of a call looks here: within a walk of an identity the digest of code is another one.

use std::collections::HashMap;

use afresh_core::fp1::Digest;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyWeakref, PyWeakrefMethods, PyWeakrefReference};

use crate::attached::Attached;
use crate::validity::Validity;

/// More than this many are forgotten together.
const MOST: usize = 4096;

/// A class or function by name and digest.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) digest: Digest,
}

struct Entry {
    object: Py<PyWeakref>,
    validity: Py<Validity>,
    code: Code,
}

static KNOWN: PyOnceLock<Attached<HashMap<usize, Entry>>> = PyOnceLock::new();

fn known(py: Python<'_>) -> &Attached<HashMap<usize, Entry>> {
    KNOWN.get_or_init(py, || Attached::new(HashMap::new()))
}

/// What is remembered of an object, if it still holds.
pub(super) fn recall(value: &Bound<'_, PyAny>) -> Option<Code> {
    let py = value.py();
    known(py)
        .with(py, |entries| {
            let entry = entries.get(&(value.as_ptr() as usize))?;
            let alive = entry.object.bind(py).upgrade()?.is(value);
            let stands = alive && entry.validity.get().stands(py).unwrap_or(false);
            stands.then(|| entry.code.clone())
        })
        .flatten()
}

/// The digest of an object's code by `afresh.identity`, to be remembered under these names; `None` where it is not
/// for remembering.
pub(super) fn learn(value: &Bound<'_, PyAny>, module: &str, name: &str) -> PyResult<Option<Code>> {
    static CACHED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let Ok(reference) = PyWeakrefReference::new(value) else { return Ok(None) };
    let identity = CACHED.import(py, "afresh.identity._walk", "_cached")?.call1((value,))?;
    if identity.getattr("mutable")?.is_truthy()? {
        return Ok(None);
    }
    let digest = identity.getattr("digest")?;
    let Ok(digest) = digest.cast::<PyBytes>()?.as_bytes().try_into() else { return Ok(None) };
    let validity = identity.getattr("_validity")?.cast_into::<Validity>()?.unbind();
    let code = Code { module: module.to_owned(), name: name.to_owned(), digest: Digest(digest) };
    let entry = Entry {
        object: reference.cast_into::<PyWeakref>()?.unbind(),
        validity,
        code: code.clone(),
    };
    let gone = known(py).with(py, |entries| {
        let gone = if entries.len() >= MOST { std::mem::take(entries) } else { HashMap::new() };
        (gone, entries.insert(value.as_ptr() as usize, entry))
    });
    // Freed outside: that may run anything.
    drop(gone);
    Ok(Some(code))
}
