//! All counters of the process, by the name of the function: what metrics are made of.
//!
//! A function is enrolled at its first call. What is counted under a name never goes down: when a function is collected,
//! its counts stay with the name. There is a bound on the names; functions beyond it are counted together.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::counters::{Counters, ENDS, Totals};

/// How many names are told apart.
const MOST: usize = 4096;

/// The name of all functions beyond that.
const REST: &str = "(other)";

#[derive(Default)]
struct Family {
    name: String,
    /// What those have counted that are no more.
    gone: Totals,
    alive: HashMap<usize, Weak<Counters>>,
}

/// In the order in which the names came.
#[derive(Default)]
struct Census {
    families: Vec<Family>,
    places: HashMap<String, usize>,
}

static CENSUS: LazyLock<Mutex<Census>> = LazyLock::new(Mutex::default);

fn census() -> MutexGuard<'static, Census> {
    CENSUS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(counters: &Counters) -> usize {
    std::ptr::from_ref(counters) as usize
}

impl Census {
    fn place(&mut self, name: &str) -> usize {
        let full = self.families.len() >= MOST;
        let name = if full && !self.places.contains_key(name) { REST } else { name };
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.families.len();
        self.families.push(Family { name: name.to_owned(), ..Family::default() });
        self.places.insert(name.to_owned(), place);
        place
    }
}

pub(crate) fn enroll(counters: &Arc<Counters>, name: &str) {
    let mut census = census();
    let place = census.place(name);
    if counters.place.set(place).is_ok()
        && let Some(family) = census.families.get_mut(place)
    {
        family.alive.insert(key(counters), Arc::downgrade(counters));
    }
}

/// Counters go; what they say stays.
pub(crate) fn retire(counters: &Counters) {
    let Some(place) = counters.place.get() else { return };
    if let Some(family) = census().families.get_mut(*place) {
        family.gone.add(counters);
        family.alive.remove(&key(counters));
    }
}

/// A name, what was counted under it, and what was timed.
type Row<'py> = (String, Bound<'py, PyDict>, Bound<'py, PyDict>);

/// What all functions of this process have counted, by name, in the order of their first calls.
#[pyfunction]
fn counted(py: Python<'_>) -> PyResult<Vec<Row<'_>>> {
    // Held until the census is let go of: the last hold on a counter needs it too.
    let mut held: Vec<Arc<Counters>> = Vec::new();
    let mut rows = Vec::new();
    {
        let census = census();
        for family in &census.families {
            let mut totals = family.gone.clone();
            for counters in family.alive.values().filter_map(Weak::upgrade) {
                totals.add(&counters);
                held.push(counters);
            }
            rows.push((family.name.clone(), totals));
        }
    }
    drop(held);
    rows.into_iter().map(|(name, totals)| Ok((name, totals.dict(py)?, totals.times(py)?))).collect()
}

/// The upper ends of the buckets of what is timed, in seconds, but for the last, which has none.
#[pyfunction]
fn timing_ends() -> Vec<f64> {
    ENDS.iter().map(|us| *us as f64 / 1e6).collect()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(counted, module)?)?;
    module.add_function(wrap_pyfunction!(timing_ends, module)?)
}
