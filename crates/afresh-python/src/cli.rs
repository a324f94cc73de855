//! The `afresh` command of the wheel: the same program as the binary, and able to show pickled values.

use afresh_cli::Host;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Runs the command with these arguments (the program's name first) and returns the exit code. `show` turns a codec's
/// name and stored bytes into text, for `--unpickle`.
#[pyfunction(name = "main")]
pub(crate) fn main(py: Python<'_>, args: Vec<String>, show: Py<PyAny>) -> u8 {
    py.detach(|| {
        let mut host = Host::from_env();
        host.show_value = Some(Box::new(move |codec, bytes| {
            Python::attach(|py| {
                let shown = show.call1(py, (codec, PyBytes::new(py, bytes)));
                let text = shown.and_then(|text| text.extract::<String>(py));
                text.map_err(|error| error.to_string())
            })
        }));
        afresh_cli::run(args, host)
    })
}
