//! Digest functions for types one does not own: `register_digest(type, fn)`.
//!
//! A function applies to the type and to those derived from it, the most derived registration
//! first; what it returns is digested in the value's place, together with the value's class. It is
//! not asked about exact built-in scalars. A registration holds for the process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::context::Context;
use super::failure::Fallible;
use super::node::Part;

type Table = Vec<(Py<PyType>, Py<PyAny>)>;

static REGISTERED: Mutex<Table> = Mutex::new(Vec::new());
static EPOCH: AtomicUsize = AtomicUsize::new(0);

fn table() -> MutexGuard<'static, Table> {
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes with every registration.
pub(super) fn epoch() -> usize {
    EPOCH.load(Ordering::Acquire)
}

/// Makes `fn(value)` stand for the values of `type` and of types derived from it in digests.
///
/// The function returns anything that can be digested, such as a tuple of what tells two values
/// apart. It replaces an earlier registration for the same type.
#[pyfunction]
pub(super) fn register_digest(r#type: Bound<'_, PyType>, r#fn: Bound<'_, PyAny>) -> PyResult<()> {
    if !r#fn.is_callable() {
        return Err(PyTypeError::new_err("the second argument of register_digest is a function"));
    }
    let mut table = table();
    let replaced = table.iter().position(|(known, _)| known.is(&r#type));
    let replaced = replaced.map(|place| table.swap_remove(place));
    table.push((r#type.unbind(), r#fn.unbind()));
    drop(table);
    EPOCH.fetch_add(1, Ordering::Release);
    // Freed only now: its end may run Python code, which may register.
    drop(replaced);
    Ok(())
}

/// The function for a type.
pub(super) fn find<'py>(class: &Bound<'py, PyType>) -> Option<Bound<'py, PyAny>> {
    if epoch() == 0 {
        return None;
    }
    let mro = class.mro();
    let table = table();
    mro.iter().find_map(|base| {
        let (_, function) = table.iter().find(|(known, _)| known.is(&base))?;
        Some(function.bind(class.py()).clone())
    })
}

/// A value as its registered function describes it.
pub(super) fn registered<'py>(
    context: &mut Context<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Fallible<Part<'py>> {
    let class = value.get_type();
    let described = match find(&class) {
        Some(function) => Part::Value(function.call1((value,))?),
        None => Part::None,
    };
    Ok(Part::node("registered", [context.class(&class)?, described]))
}
