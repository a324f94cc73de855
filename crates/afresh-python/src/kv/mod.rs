//! The key-value face: entries under names, with one meaning over every home of them.

mod backend;
mod direct;
mod errand;
mod face;
mod front;
mod glob;
mod guards;
mod journal;
mod key;
mod overlay;
mod ready;
mod record;
mod squeeze;
mod state;
mod stored;
mod table;
mod tally;
mod turn;
mod value;

use pyo3::prelude::*;

/// Adds the classes of this module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<face::Kv>()?;
    module.add_class::<turn::Held>()?;
    module.add_class::<turn::Queued>()?;
    module.add_class::<direct::Direct>()?;
    module.add_class::<direct::Hits>()?;
    module.add_function(wrap_pyfunction!(guards::admit, module)?)?;
    module.add_function(wrap_pyfunction!(guards::count_outcome, module)?)?;
    module.add_function(wrap_pyfunction!(squeeze::zstd, module)?)?;
    module.add_function(wrap_pyfunction!(squeeze::unzstd, module)?)?;
    module.add_function(wrap_pyfunction!(tally::cache_counts, module)?)?;
    module.add_function(wrap_pyfunction!(tally::count_cache_error, module)?)?;
    module.add_class::<ready::Ready>()?;
    crate::awaitable::install::<ready::Ready>(module.py());
    Ok(())
}
