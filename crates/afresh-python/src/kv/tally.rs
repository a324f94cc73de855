//! How often entries of caches were found, not found, written and removed, and how often a store failed: by the name
//! of the cache, for the life of the process.
//!
//! Touched only while attached, so that counting is a load and a store. There is a bound on the names; caches beyond it
//! are counted together.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use pyo3::prelude::*;

/// How many names are told apart.
const MOST: usize = 1024;

/// The name of all caches beyond that.
const REST: &str = "(other)";

/// See the module.
#[derive(Default)]
pub(crate) struct Tally {
    hits: AtomicU64,
    misses: AtomicU64,
    writes: AtomicU64,
    removals: AtomicU64,
    errors: AtomicU64,
}

/// In the order in which the names came.
type Named = Vec<(String, Arc<Tally>)>;

static TALLIES: LazyLock<Mutex<Named>> = LazyLock::new(Mutex::default);

fn add(count: &AtomicU64) {
    count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
}

impl Tally {
    /// The tally of the caches of that name.
    pub(crate) fn of(name: &str) -> Arc<Self> {
        let mut all = TALLIES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |all: &[(String, Arc<Self>)], name: &str| {
            all.iter().find(|(known, _)| known == name).map(|(_, tally)| Arc::clone(tally))
        };
        if let Some(tally) = known(&all, name) {
            return tally;
        }
        let name = if all.len() < MOST { name } else { REST };
        known(&all, name).unwrap_or_else(|| {
            let tally = Arc::new(Self::default());
            all.push((name.to_owned(), Arc::clone(&tally)));
            tally
        })
    }

    #[inline]
    pub(crate) fn looked(&self, found: bool) {
        add(if found { &self.hits } else { &self.misses });
    }

    pub(crate) fn wrote(&self) {
        add(&self.writes);
    }

    pub(crate) fn removed(&self) {
        add(&self.removals);
    }
}

/// A name and what was counted under it.
type Row = (String, [(&'static str, u64); 5]);

/// What all caches of this process have counted, by name, in the order in which the names came.
#[pyfunction]
pub(crate) fn cache_counts() -> Vec<Row> {
    let all = TALLIES.lock().unwrap_or_else(PoisonError::into_inner);
    let row = |(name, tally): &(String, Arc<Tally>)| {
        let Tally { hits, misses, writes, removals, errors } = &**tally;
        let counts = [
            ("hits", hits),
            ("misses", misses),
            ("writes", writes),
            ("removals", removals),
            ("errors", errors),
        ];
        (name.clone(), counts.map(|(what, count)| (what, count.load(Relaxed))))
    };
    all.iter().map(row).collect()
}

/// A cache of that name could not use its store.
#[pyfunction]
pub(crate) fn count_cache_error(name: &str) {
    add(&Tally::of(name).errors);
}
