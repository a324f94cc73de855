//! What a remembered function did in this process: hits, misses, what they saved, how long things took.
//!
//! Only touched while attached to the interpreter, so that counting is a load and a store. Shared by a function and what
//! is the same function with other options. A hit from memory is counted and not timed: a look at the clock costs as
//! much as a third of the hit.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use afresh::Verdict;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::census;

/// What is counted, by name.
const NAMES: [&str; 14] = [
    "hits",
    "stale",
    "early",
    "saved_us",
    "read_bytes",
    "written_bytes",
    "misses",
    "refreshes",
    "refresh_errors",
    "replays",
    "rescues",
    "errors",
    "coalesced",
    "store_errors",
];

/// What is timed, by name: runs of the function, look-ups that found the answer in the store, waiting for others.
const TIMED: [&str; 3] = ["run", "lookup", "wait"];

/// Upper ends of the buckets of a histogram, in microseconds; one more bucket is for all above.
pub(crate) const ENDS: [u64; 13] = [
    10,
    50,
    250,
    1_000,
    5_000,
    25_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    30_000_000,
    120_000_000,
    600_000_000,
];

/// The buckets, and the sum in microseconds.
const CELLS: usize = ENDS.len() + 2;

/// See the module.
#[derive(Default)]
pub(crate) struct Counters {
    counts: [AtomicU64; NAMES.len()],
    times: [[AtomicU64; CELLS]; TIMED.len()],
    /// Where the census has it, once the function has a name.
    pub(crate) place: OnceLock<usize>,
}

/// The sum of what some counters say.
#[derive(Clone, Default)]
pub(crate) struct Totals {
    counts: [u64; NAMES.len()],
    times: [[u64; CELLS]; TIMED.len()],
}

#[inline]
fn add(to: &AtomicU64, by: u64) {
    to.store(to.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Counters {
    /// An answer was handed out that took so long to compute.
    #[inline]
    pub(crate) fn hit(&self, verdict: Verdict, took_us: u64) {
        let [hits, _, _, saved, ..] = &self.counts;
        add(hits, 1);
        add(saved, took_us);
        if verdict != Verdict::Fresh {
            self.aged(verdict);
        }
    }

    /// A function runs.
    pub(crate) fn missed(&self) {
        let [_, _, _, _, _, _, misses, ..] = &self.counts;
        add(misses, 1);
    }

    /// A result of so many bytes was stored.
    pub(crate) fn wrote(&self, bytes: usize) {
        let [_, _, _, _, _, written, ..] = &self.counts;
        add(written, bytes as u64);
    }

    /// A function ran so long.
    pub(crate) fn ran(&self, took: Duration) {
        let [run, ..] = &self.times;
        time(run, took);
    }

    /// Somebody else's run was waited for.
    pub(crate) fn coalesced(&self, took: Duration) {
        let [.., coalesced, _] = &self.counts;
        add(coalesced, 1);
        let [_, _, wait] = &self.times;
        time(wait, took);
    }

    #[inline(never)]
    fn aged(&self, verdict: Verdict) {
        let [_, stale, early, ..] = &self.counts;
        add(if verdict == Verdict::Stale { stale } else { early }, 1);
    }

    /// The store has given so many bytes for a hit, after so long.
    pub(crate) fn looked_up(&self, bytes: usize, took: Duration) {
        let [_, _, _, _, read, ..] = &self.counts;
        add(read, bytes as u64);
        let [_, lookup, _] = &self.times;
        time(lookup, took);
    }

    pub(crate) fn count(&self, name: &str, by: u64) -> PyResult<()> {
        add(find(&NAMES, &self.counts, name)?, by);
        Ok(())
    }

    pub(crate) fn time(&self, name: &str, seconds: f64) -> PyResult<()> {
        time(
            find(&TIMED, &self.times, name)?,
            Duration::try_from_secs_f64(seconds).unwrap_or_default(),
        );
        Ok(())
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        totals.add(self);
        totals
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        census::retire(self);
    }
}

fn find<'a, T>(names: &[&str], all: &'a [T], name: &str) -> PyResult<&'a T> {
    let at = names.iter().position(|known| *known == name).and_then(|at| all.get(at));
    at.ok_or_else(|| PyValueError::new_err(format!("nothing is called {name}")))
}

fn time(cells: &[AtomicU64; CELLS], took: Duration) {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let at = ENDS.iter().position(|end| us <= *end).unwrap_or(ENDS.len());
    let [buckets @ .., sum] = cells;
    add(sum, us);
    if let Some(bucket) = buckets.get(at) {
        add(bucket, 1);
    }
}

impl Totals {
    pub(crate) fn add(&mut self, counters: &Counters) {
        let own = self.counts.iter_mut().chain(self.times.iter_mut().flatten());
        for (own, more) in own.zip(counters.counts.iter().chain(counters.times.iter().flatten())) {
            *own = own.wrapping_add(more.load(Relaxed));
        }
    }

    /// The counts by name.
    pub(crate) fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, count) in NAMES.iter().zip(&self.counts) {
            dict.set_item(name, count)?;
        }
        Ok(dict)
    }

    /// What was timed, by name: how many there were in each bucket, and their sum in seconds.
    pub(crate) fn times<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, [buckets @ .., sum]) in TIMED.iter().zip(&self.times) {
            dict.set_item(name, (buckets.to_vec(), Duration::from_micros(*sum).as_secs_f64()))?;
        }
        Ok(dict)
    }
}

/// Makes the counters of a function known under its name, the first time that it has one.
pub(crate) fn enroll(counters: &Arc<Counters>, name: &str) {
    if counters.place.get().is_none() {
        census::enroll(counters, name);
    }
}
