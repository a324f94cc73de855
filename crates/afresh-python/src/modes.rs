//! Two numbers of the process that every call looks at: whether calls are to be looked at by Python one by one
//! (somewhere caching is off, or somebody listens), and how often the defaults were changed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use pyo3::prelude::*;

static WATCHED: AtomicBool = AtomicBool::new(false);
static CONFIGURED: AtomicU64 = AtomicU64::new(0);

/// Whether Python is asked about each call.
#[inline]
pub(crate) fn watched() -> bool {
    WATCHED.load(Relaxed)
}

/// How often the defaults were changed.
#[inline]
pub(crate) fn configured() -> u64 {
    CONFIGURED.load(Relaxed)
}

/// From now on Python is asked about each call, or is not.
#[pyfunction]
pub(crate) fn set_watched(watched: bool) {
    WATCHED.store(watched, Relaxed);
}

/// The defaults were changed: what functions made of them is made anew at their next call.
#[pyfunction]
pub(crate) fn reconfigured() {
    CONFIGURED.fetch_add(1, Relaxed);
}
