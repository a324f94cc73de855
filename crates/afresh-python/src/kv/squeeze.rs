//! Zstandard for values of a cache.

use std::io;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

const LEVEL: i32 = 3;

/// Compresses.
#[pyfunction]
pub(crate) fn zstd<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    given(py, py.detach(|| ::zstd::stream::encode_all(data, LEVEL)))
}

/// Undoes it.
#[pyfunction]
pub(crate) fn unzstd<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    given(py, py.detach(|| ::zstd::stream::decode_all(data)))
}

fn given(py: Python<'_>, made: io::Result<Vec<u8>>) -> PyResult<Bound<'_, PyBytes>> {
    match made {
        Ok(bytes) => Ok(PyBytes::new(py, &bytes)),
        Err(error) => Err(PyValueError::new_err(error.to_string())),
    }
}
