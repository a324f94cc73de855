//! The canonical digest of Python values.
//!
//! [`Digester`] writes a value in the tokens of `afresh_core::fp1`: exact about types, complete
//! about content, independent of identity, hash seed, process and platform. Nothing a value does
//! raises out of here but [`Undigestable`], which says that no digest can tell it apart, and what
//! is meant to stop the program. What is identified by less than its content is written down in
//! notes. `docs/format-fp1.md` specifies the result; `objects` and `opaque` say what becomes of
//! values that no module here was written for.
#![allow(unsafe_code, reason = "memory of Python objects is read in place, see the comments there")]

mod address;
mod arrays;
mod arrow;
mod buffer;
mod callables;
mod cdata;
mod code;
mod column;
mod containers;
mod context;
mod failure;
mod frame;
mod kind;
mod layout;
mod memo;
mod node;
mod objects;
mod opaque;
pub(crate) mod outline;
mod pandas;
mod path;
mod registry;
mod scalars;
mod stdlib;
mod tensors;
mod walk;

use std::cell::Cell;
use std::mem;

use afresh_core::fp1::{Digest, Encoder};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

pub use failure::Undigestable;

use context::Context;
use kind::Kinds;
use walk::Walk;

/// Dicts up to this size are tried without a walk.
const SMALL: usize = 64;

/// Digests values; keeps the memory it needs. What is learnt about types is kept per thread, so
/// making one costs next to nothing.
#[derive(Default)]
pub struct Digester {
    encoder: Encoder,
    member: Option<Encoder>,
    notes: Vec<String>,
    /// Whether these are the arguments of a call.
    arguments: bool,
}

impl Digester {
    /// A digester for the arguments of a call.
    pub fn of_arguments() -> Self {
        Self { arguments: true, ..Self::default() }
    }

    /// A digester without notes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The digest of a value.
    ///
    /// # Errors
    /// [`Undigestable`] if nothing tells the value apart; `KeyboardInterrupt` and its like, if they
    /// were raised by the value's own code.
    #[inline]
    pub fn digest(&mut self, value: &Bound<'_, PyAny>) -> PyResult<Digest> {
        self.encoder.clear();
        if scalars::write(&mut self.encoder, value)? || self.flat(value)? {
            return Ok(self.encoder.finish());
        }
        self.walk(value)
    }

    /// What was identified by less than its content since this was last asked.
    pub fn take_notes(&mut self) -> Vec<String> {
        mem::take(&mut self.notes)
    }

    /// Writes a tuple, list or dict of scalars, which need no walk.
    fn flat(&mut self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            self.encoder.tuple(tuple.len());
            for item in tuple.iter_borrowed() {
                if !scalars::write(&mut self.encoder, &item)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            let len = list.len();
            self.encoder.list(len);
            for place in 0..len {
                // A list that another thread shortens meanwhile is the walk's to refuse.
                let Ok(item) = list.get_item(place) else { return Ok(false) };
                if !scalars::write(&mut self.encoder, &item)? {
                    return Ok(false);
                }
            }
            return Ok(list.len() == len);
        }
        if let Ok(dict) = value.cast_exact::<PyDict>()
            && dict.len() <= SMALL
        {
            return self.flat_dict(dict);
        }
        Ok(false)
    }

    fn flat_dict(&mut self, dict: &Bound<'_, PyDict>) -> PyResult<bool> {
        let member = self.member.get_or_insert_with(Encoder::new);
        let mut pairs = Vec::with_capacity(dict.len());
        for (key, value) in dict {
            member.clear();
            if !scalars::write(member, &key)? {
                return Ok(false);
            }
            let key = member.finish();
            member.clear();
            if !scalars::write(member, &value)? {
                return Ok(false);
            }
            pairs.push((key, member.finish()));
        }
        self.encoder.dict(pairs);
        Ok(true)
    }

    #[cold]
    fn walk(&mut self, value: &Bound<'_, PyAny>) -> PyResult<Digest> {
        let py = value.py();
        // Taken, not borrowed: code of the value may digest another value on this thread.
        let mut kinds = KINDS.take().unwrap_or_default();
        let mut context = Context::new(py, &mut kinds, &mut self.notes);
        context.arguments = self.arguments;
        let result = Walk::new(context).digest(value);
        KINDS.set(Some(kinds));
        result.map_err(|failure| match failure {
            failure::Failure::Raised(error) if error.is_instance_of::<PyException>(py) => {
                failure::Failure::undigestable(value, format!("reading it failed: {error}"))
                    .into_error()
            }
            failure => failure.into_error(),
        })
    }
}

thread_local! {
    static KINDS: Cell<Option<Box<Kinds>>> = const { Cell::new(None) };
}

/// The digest of a value, and what of it is identified by less than its content.
///
/// Raises `Undigestable` for a value that cannot be told apart from others.
#[pyfunction]
fn digest_value<'py>(
    py: Python<'py>,
    value: Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyTuple>)> {
    let mut digester = Digester::new();
    let digest = digester.digest(&value)?;
    Ok((PyBytes::new(py, &digest.0), PyTuple::new(py, digester.take_notes())?))
}

/// Adds `digest_value`, `register_digest` and `Undigestable` to the module.
///
/// # Errors
/// If the module does not take them.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(digest_value, module)?)?;
    module.add_function(wrap_pyfunction!(registry::register_digest, module)?)?;
    module.add("Undigestable", module.py().get_type::<Undigestable>())
}
