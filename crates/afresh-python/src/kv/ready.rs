//! Something to await that is ready at once: awaiting it makes the call and gives its answer, without a task, a frame
//! or a turn of the event loop.
//!
//! It behaves as a coroutine: nothing happens before it is awaited, it can be awaited once, and event loops take it for
//! one.

use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::attached::Attached;

/// See the module.
#[pyclass(frozen, freelist = 64)]
pub(crate) struct Ready {
    call: Attached<Option<(Py<PyAny>, Py<PyTuple>)>>,
}

impl Ready {
    fn step(&self, py: Python<'_>) -> PyErr {
        let Some(Some((call, args))) = self.call.with(py, Option::take) else {
            return PyRuntimeError::new_err("cannot reuse already awaited coroutine");
        };
        // As a tuple, so that an answer that is a tuple or an exception is not taken apart.
        match call.bind(py).call1(args.bind(py)) {
            Ok(value) => PyStopIteration::new_err((value.unbind(),)),
            Err(error) => error,
        }
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

    fn __next__(&self, py: Python<'_>) -> PyResult<()> {
        Err(self.step(py))
    }

    /// Makes the call; what it gives ends the awaiting.
    fn send(slf: &Bound<'_, Self>, value: Bound<'_, PyAny>) -> PyResult<()> {
        let _ = value;
        Err(slf.get().step(slf.py()))
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
        let raised = match val {
            Some(val) if val.is_instance_of::<PyBaseException>() => val,
            Some(val) => typ.call1((val,))?,
            None if typ.is_instance_of::<PyBaseException>() => typ,
            None => typ.call0()?,
        };
        if let Some(tb) = tb {
            raised.setattr("__traceback__", tb)?;
        }
        Err(PyErr::from_value(raised))
    }

    /// Ends it without making the call.
    fn close(&self, py: Python<'_>) {
        self.call.with(py, Option::take);
    }
}
