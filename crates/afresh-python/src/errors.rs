//! Errors of the engine as Python exceptions, one class a kind (`afresh.errors`).

use afresh::{Error, Kind};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule};

static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// The module of exception classes.
pub(crate) fn module(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    MODULE
        .get_or_try_init(py, || PyModule::import(py, "afresh.errors").map(Bound::unbind))
        .map(|module| module.bind(py))
}

/// The exception for `error`.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error.kind() {
        Kind::Config => "ConfigError",
        Kind::Denied => "DeniedError",
        Kind::Unavailable => "UnavailableError",
        Kind::Conflict => "ConflictError",
        Kind::TooLarge => "TooLargeError",
        Kind::Corrupt => "CorruptError",
        Kind::Codec => "CodecError",
        Kind::Unsupported => "UnsupportedError",
        _ => "AfreshError",
    };
    let build = || -> PyResult<PyErr> {
        let fields = PyDict::new(py);
        fields.set_item("hint", error.hint())?;
        fields.set_item("store", error.store())?;
        fields.set_item("op", error.op())?;
        let made = module(py)?.getattr(class)?.call((error.to_string(),), Some(&fields))?;
        Ok(PyErr::from_value(made))
    };
    build().unwrap_or_else(|error| error)
}

/// Turns results of the engine into results of Python.
pub(crate) trait OrRaise<T> {
    /// The value, or the exception.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raise(py, &error))
    }
}
