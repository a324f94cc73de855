//! Accepted edits as plain dictionaries; `afresh.accepts` makes typed records of them.

use afresh::Accept;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Label, place and digest of an edited component.
pub(crate) type Edit = (String, Option<String>, Option<String>);

/// One statement.
pub(crate) fn dict<'py>(
    py: Python<'py>,
    function: &str,
    accept: &Accept,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("function", function)?;
    dict.set_item("new", accept.new.to_string())?;
    dict.set_item("old", accept.old.to_string())?;
    let edits: Vec<_> =
        accept.edits.iter().map(|edit| (&edit.label, &edit.place, &edit.digest)).collect();
    dict.set_item("edits", edits)?;
    dict.set_item("at", accept.at.as_millis())?;
    dict.set_item("user", &accept.who.user)?;
    dict.set_item("host", &accept.who.host)?;
    dict.set_item("reason", accept.reason.as_deref())?;
    Ok(dict)
}
