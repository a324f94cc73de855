//! Why a value has no digest.
//!
//! Whatever a value's own code raises is caught and degraded; only what is no error but a wish to
//! stop (`KeyboardInterrupt`, `SystemExit`, `GeneratorExit`) passes through. The one error that
//! leaves this module is [`Undigestable`], which the caller answers by running the call uncached.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;

pyo3::create_exception!(
    _afresh,
    Undigestable,
    PyTypeError,
    "A value that cannot be told apart from others; its arguments are the type's name and the reason."
);

/// Why the digest of a value stopped.
pub(super) enum Failure {
    /// Nothing tells this value apart.
    Undigestable { type_name: String, reason: String },
    /// Python code raised.
    Raised(PyErr),
    /// The value is a graph that must be numbered; see the walk.
    Graph,
}

pub(super) type Fallible<T> = Result<T, Failure>;

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<pyo3::CastError<'_, '_>> for Failure {
    fn from(error: pyo3::CastError<'_, '_>) -> Self {
        Self::Raised(error.into())
    }
}

impl Failure {
    pub(super) fn undigestable(value: &Bound<'_, PyAny>, reason: impl Into<String>) -> Self {
        Self::Undigestable { type_name: type_name(value), reason: reason.into() }
    }

    pub(super) fn into_error(self) -> PyErr {
        match self {
            Self::Undigestable { type_name, reason } => Undigestable::new_err((type_name, reason)),
            Self::Raised(error) => error,
            Self::Graph => Undigestable::new_err(("graph", "it refers to itself in too many ways")),
        }
    }
}

/// `None` where an error was raised; what must not be swallowed passes.
pub(super) fn attempt<T>(py: Python<'_>, result: PyResult<T>) -> Fallible<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(error) => Err(Failure::Raised(error)),
    }
}

/// The module and name of a value's type, for people.
pub(super) fn type_name(value: &Bound<'_, PyAny>) -> String {
    let ty = value.get_type();
    ty.fully_qualified_name().map_or_else(|_| "object".into(), |name| name.to_string())
}
