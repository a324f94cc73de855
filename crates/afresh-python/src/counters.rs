//! What a remembered function did in this process: hits, misses, and what they saved.
//!
//! Only touched while attached to the interpreter, so that counting is a load and a store. Shared by a function and what
//! is the same function with other options.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use afresh::Verdict;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What is counted, by name.
const NAMES: [&str; 7] = ["hits", "stale", "misses", "refreshes", "replays", "rescues", "errors"];

/// See the module.
#[derive(Default)]
pub(crate) struct Counters {
    counts: [AtomicU64; NAMES.len()],
    saved_us: AtomicU64,
}

#[inline]
fn add(to: &AtomicU64, by: u64) {
    to.store(to.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Counters {
    /// An answer was handed out that took so long to compute.
    #[inline]
    pub(crate) fn hit(&self, verdict: Verdict, took_us: u64) {
        let [hits, stale, ..] = &self.counts;
        add(hits, 1);
        if verdict == Verdict::Stale {
            add(stale, 1);
        }
        add(&self.saved_us, took_us);
    }

    /// A function runs.
    pub(crate) fn missed(&self) {
        let [_, _, misses, ..] = &self.counts;
        add(misses, 1);
    }

    pub(crate) fn count(&self, name: &str) -> PyResult<()> {
        let at = NAMES.iter().position(|known| *known == name);
        let count = at.and_then(|at| self.counts.get(at));
        add(count.ok_or_else(|| PyValueError::new_err(format!("nothing is called {name}")))?, 1);
        Ok(())
    }

    pub(crate) fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, count) in NAMES.iter().zip(&self.counts) {
            dict.set_item(name, count.load(Relaxed))?;
        }
        dict.set_item("saved_us", self.saved_us.load(Relaxed))?;
        Ok(dict)
    }
}
