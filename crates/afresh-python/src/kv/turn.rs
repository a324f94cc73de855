//! The right to compute something, and waiting for it, for Python.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use afresh::{Busy, Hold, Holding, Vacancy};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use super::backend::Place;
use crate::attached::Attached;
use crate::later::{self, Later};

/// How long a thread waits before it looks whether it was interrupted.
const SLICE: Duration = Duration::from_millis(100);

/// The right to compute something. Ends with `release`, or with the object.
#[pyclass(frozen)]
pub(crate) struct Held(Attached<Option<Hold>>);

#[pymethods]
impl Held {
    fn release(&self, py: Python<'_>) {
        self.0.with(py, Option::take);
    }
}

/// A place in the queue for a right that somebody has.
#[pyclass(frozen)]
pub(crate) struct Queued(Mutex<Option<Arc<Turn>>>);

enum Turn {
    Computation(Busy),
    Lock(Vacancy),
}

impl Turn {
    fn wait_timeout(&self, limit: Duration) -> bool {
        match self {
            Self::Computation(busy) => busy.wait_timeout(limit),
            Self::Lock(vacancy) => vacancy.wait_timeout(limit),
        }
    }

    async fn wait(&self) {
        match self {
            Self::Computation(busy) => busy.wait().await,
            Self::Lock(vacancy) => vacancy.wait().await,
        }
    }
}

impl Queued {
    fn new(turn: Turn) -> Self {
        Self(Mutex::new(Some(Arc::new(turn))))
    }

    /// For a lock.
    pub(crate) fn lock(vacancy: Vacancy) -> Self {
        Self::new(Turn::Lock(vacancy))
    }

    fn turn(&self) -> Option<Arc<Turn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was waited for; `None` where somebody still waits for it, and the right is to be asked for anew.
    fn take(&self) -> Option<Busy> {
        let turn = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match turn.and_then(Arc::into_inner) {
            Some(Turn::Computation(busy)) => Some(busy),
            Some(Turn::Lock(_)) | None => None,
        }
    }
}

#[pymethods]
impl Queued {
    /// Waits up to so many seconds; whether it is time to ask again.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let Some(turn) = self.turn() else { return Ok(true) };
        let span = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
        let end = span.and_then(|span| Instant::now().checked_add(span));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if py.detach(|| turn.wait_timeout(left.map_or(SLICE, |left| left.min(SLICE)))) {
                return Ok(true);
            }
            py.check_signals()?;
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
        }
    }

    /// Waits for a loop.
    fn land(&self, py: Python<'_>, later: &Bound<'_, Later>) -> PyResult<Py<PyAny>> {
        let turn = self.turn();
        let work = async move {
            if let Some(turn) = turn {
                turn.wait().await;
            }
            Ok(())
        };
        later::run_for(py, Some(later), work, |py, ()| Ok(py.None()))
    }
}

/// Asks for the right to compute what has this place; where there is none, everybody has the right.
pub(crate) fn hold(
    py: Python<'_>,
    place: Option<Place>,
    after: Option<&Queued>,
    later: Option<&Bound<'_, Later>>,
) -> PyResult<Py<PyAny>> {
    let busy = after.and_then(Queued::take);
    let work: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = match place {
        None => Box::pin(async { Ok(None) }),
        Some((engine, fingerprint)) => Box::pin(async move {
            let holding = match busy {
                Some(busy) => engine.hold_after(busy).await,
                None => engine.hold(&fingerprint).await,
            };
            holding.map(Some)
        }),
    };
    later::run_for(py, later, work, |py, holding| match holding {
        None => Held(Attached::new(None)).into_py_any(py),
        Some(Holding::Mine(hold)) => Held(Attached::new(Some(hold))).into_py_any(py),
        Some(Holding::Busy(busy)) => Queued::new(Turn::Computation(busy)).into_py_any(py),
    })
}
