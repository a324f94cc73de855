//! Something to await that is ready at once: awaiting it makes the call and gives its answer, without a task, a frame
//! or a turn of the event loop.
//!
//! It behaves as a coroutine: nothing happens before it is awaited, it can be awaited once, and event loops take it for
//! one.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::attached::Attached;
use crate::awaitable::{Step, Stepped, stop, thrown};

/// See the module.
#[pyclass(frozen, freelist = 64)]
pub(crate) struct Ready {
    call: Attached<Option<(Py<PyAny>, Py<PyTuple>)>>,
}

impl Ready {
    fn answer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Some(Some((call, args))) = self.call.with(py, Option::take) else {
            return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"));
        };
        call.bind(py).call1(args.bind(py))
    }
}

impl Stepped for Ready {
    fn step<'py>(&self, py: Python<'py>, _: Option<Bound<'py, PyAny>>) -> PyResult<Step<'py>> {
        self.answer(py).map(Step::Ended)
    }
}

#[pymethods]
impl Ready {
    #[new]
    #[pyo3(signature = (call, *args))]
    fn new(call: Py<PyAny>, args: Py<PyTuple>) -> Self {
        Self { call: Attached::new(Some((call, args))) }
    }

    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Nothing, with the exception set: it always ends.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        stop(&self.answer(py)?);
        Ok(None)
    }

    /// Makes the call; what it gives ends the awaiting.
    fn send(slf: &Bound<'_, Self>, value: Bound<'_, PyAny>) -> PyResult<()> {
        let _ = value;
        stop(&slf.get().answer(slf.py())?);
        Err(PyErr::fetch(slf.py()))
    }

    /// Ends it with an exception.
    #[pyo3(signature = (typ, val=None, tb=None))]
    fn throw(
        slf: &Bound<'_, Self>,
        typ: Bound<'_, PyAny>,
        val: Option<Bound<'_, PyAny>>,
        tb: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        slf.get().call.with(slf.py(), Option::take);
        Err(thrown(typ, val, tb)?)
    }

    /// Ends it without making the call.
    fn close(&self, py: Python<'_>) {
        self.call.with(py, Option::take);
    }
}
