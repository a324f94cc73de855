//! A command for an event loop, on a store that has to be waited for: run in the loop's thread as often as it asks the
//! store something, which is asked between the runs.
//!
//! Dropping it stops between two operations. Each is one request, so what was asked for has happened or has not.

use std::sync::Arc;
use std::time::Duration;

use afresh::When;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::backend::{Area, Backend, Change, Datum, Found, New, Page, Place, Placed};
use super::face::Kv;
use super::journal::{Journal, Noted};
use crate::later::{self, Later};

/// See the module.
pub(crate) struct Errand {
    pub(crate) kv: Py<Kv>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) method: Py<PyString>,
    pub(crate) args: Py<PyTuple>,
    pub(crate) kwargs: Option<Py<PyDict>>,
}

impl Errand {
    /// Runs it from its beginning; what it gives, if it asked nothing that is not answered yet.
    pub(crate) fn run(self, later: &Bound<'_, Later>) -> PyResult<Option<Py<PyAny>>> {
        let py = later.py();
        self.journal.rewind(py)?;
        let kwargs = self.kwargs.as_ref().map(|kwargs| kwargs.bind(py));
        let (method, args) = (self.method.bind(py), self.args.bind(py));
        let given = self.kv.bind(py).call_method(method, args, kwargs);
        let Some((question, engine)) = self.journal.wanted(py)? else {
            return given.map(|given| Some(given.unbind()));
        };
        let asked = question.clone();
        later::go_on(later, async move { asked.put_to(&engine).await }, move |later, answer| {
            self.journal.told(later.py(), question, answer)?;
            self.run(later)
        })?;
        Ok(None)
    }
}

/// A home of entries, each operation of which is done once however often the command is run.
pub(crate) struct Noting {
    pub(crate) inner: Arc<dyn Backend>,
    pub(crate) journal: Arc<Journal>,
}

impl Backend for Noting {
    fn near(&self) -> bool {
        self.inner.near()
    }

    fn shares(&self) -> bool {
        self.inner.shares()
    }

    fn counts(&self, name: &str) -> bool {
        self.inner.counts(name)
    }

    fn place(&self, py: Python<'_>, name: &str) -> PyResult<Option<Place>> {
        self.inner.place(py, name)
    }

    fn one(&self, py: Python<'_>, area: Area, name: &str) -> PyResult<Option<Found>> {
        self.journal.operation(py, || self.inner.one(py, area, name))
    }

    fn many(&self, py: Python<'_>, area: Area, names: &[&str]) -> PyResult<Vec<Option<Found>>> {
        self.journal.operation(py, || self.inner.many(py, area, names))
    }

    fn glances(&self, py: Python<'_>, area: Area, names: &[&str]) -> PyResult<Vec<Option<Found>>> {
        self.journal.operation(py, || self.inner.glances(py, area, names))
    }

    fn put(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        new: New,
        when: When,
    ) -> PyResult<Placed> {
        self.journal.operation(py, || self.inner.put(py, area, name, new, when))
    }

    fn add(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> PyResult<Option<i64>> {
        self.journal.operation(py, || self.inner.add(py, area, name, by, ttl))
    }

    fn delete(&self, py: Python<'_>, area: Area, name: &str, when: When) -> PyResult<bool> {
        self.journal.operation(py, || self.inner.delete(py, area, name, when))
    }

    fn page(
        &self,
        py: Python<'_>,
        prefix: &str,
        cursor: Option<&[u8]>,
        limit: usize,
    ) -> PyResult<Page> {
        self.journal.operation(py, || self.inner.page(py, prefix, cursor, limit))
    }

    fn apply(&self, py: Python<'_>, changes: Vec<Change>) -> PyResult<bool> {
        self.journal.operation(py, || self.inner.apply(py, changes))
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.journal.operation(py, || self.inner.clear(py))
    }
}

impl Noted for Datum {
    fn again(&self, py: Python<'_>) -> Self {
        self.clone_ref(py)
    }
}

impl Noted for Found {
    fn again(&self, py: Python<'_>) -> Self {
        Self { datum: self.datum.clone_ref(py), marks: self.marks.clone(), ..*self }
    }
}

impl<T: Noted> Noted for Option<T> {
    fn again(&self, py: Python<'_>) -> Self {
        self.as_ref().map(|one| one.again(py))
    }
}

impl<T: Noted> Noted for Vec<T> {
    fn again(&self, py: Python<'_>) -> Self {
        self.iter().map(|one| one.again(py)).collect()
    }
}

impl<A: Noted, B: Noted> Noted for (A, B) {
    fn again(&self, py: Python<'_>) -> Self {
        (self.0.again(py), self.1.again(py))
    }
}

/// What is the same each time.
macro_rules! plain {
    ($($kind:ty),*) => {$(
        impl Noted for $kind {
            fn again(&self, _: Python<'_>) -> Self {
                self.clone()
            }
        }
    )*};
}

plain!(Placed, bool, i64, u8, (), String);
