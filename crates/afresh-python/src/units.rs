//! Durations and sizes as people write them, for the Python package.

use afresh::{Tag, units};
use pyo3::prelude::*;

use crate::errors::OrRaise;

/// Seconds in a duration such as `2h5m`.
#[pyfunction]
fn parse_duration(py: Python<'_>, text: &str) -> PyResult<f64> {
    units::duration(text).map(|span| span.as_secs_f64()).or_raise(py)
}

/// Bytes in a size such as `200MB`.
#[pyfunction]
fn parse_size(py: Python<'_>, text: &str) -> PyResult<u64> {
    units::size(text).or_raise(py)
}

/// Key and value of a tag such as `team=a` or `draft`.
#[pyfunction]
fn parse_tag(py: Python<'_>, text: &str) -> PyResult<(String, Option<String>)> {
    text.parse::<Tag>().map(|tag| (tag.key, tag.value)).or_raise(py)
}

/// Adds the functions of this module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(parse_duration, module)?)?;
    module.add_function(wrap_pyfunction!(parse_size, module)?)?;
    module.add_function(wrap_pyfunction!(parse_tag, module)?)
}
