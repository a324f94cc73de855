//! `afresh._afresh`: the engine for Python.
//!
//! What costs time on a hit is here: binding arguments, digesting them, the look-up, the decoding. What only a
//! miss or a person pays for is in the Python package around it. The module never prints and never lets
//! an error of the cache out in place of the user's value: callers get Python exceptions that mirror
//! the kinds of [`afresh::Error`], and `afresh.memo` turns those into computing.

mod accept;
mod attached;
mod awaitable;
mod binder;
mod call;
mod census;
mod cli;
mod commit;
mod counters;
mod digest;
mod engine;
mod errors;
mod exact;
mod explain;
mod files;
mod frame;
mod kv;
mod large;
mod later;
mod memo;
mod modes;
mod plain;
mod preview;
mod scalar;
mod source;
mod store;
mod terms;
mod ticket;
mod tier;
mod units;
mod validity;
mod warnings;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
fn _afresh(module: &Bound<'_, PyModule>) -> PyResult<()> {
    warnings::install();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<awaitable::Awaitable>()?;
    awaitable::install::<awaitable::Awaitable>(module.py());
    module.add_class::<call::Call>()?;
    module.add_class::<call::Hit>()?;
    module.add_class::<ticket::Ticket>()?;
    module.add_class::<later::Later>()?;
    module.add_class::<memo::Memo>()?;
    module.add_class::<frame::Blob>()?;
    module.add_class::<validity::Validity>()?;
    module.add_function(wrap_pyfunction!(memo::set_reference_class, module)?)?;
    module.add_function(wrap_pyfunction!(modes::set_watched, module)?)?;
    module.add_function(wrap_pyfunction!(modes::reconfigured, module)?)?;
    module.add_function(wrap_pyfunction!(warnings::drain_warnings, module)?)?;
    module.add_function(wrap_pyfunction!(files::digest_file, module)?)?;
    module.add_function(wrap_pyfunction!(frame::unframe, module)?)?;
    module.add_function(wrap_pyfunction!(cli::main, module)?)?;
    census::register(module)?;
    kv::register(module)?;
    units::register(module)?;
    digest::register(module)?;
    source::register(module)
}
