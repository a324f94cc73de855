//! What calling a remembered coroutine function gives: something to await that answers by itself when the answer is
//! there, without a task, a frame or a turn of the event loop.
//!
//! It behaves as a coroutine: nothing happens before it is awaited, `send`, `throw` and `close` work, and event loops
//! take it for one. Where there is no answer at hand, a coroutine of `afresh.memo` takes over, and everything is passed
//! on to that.

use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyStopIteration};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::attached::Attached;
use crate::memo::Memo;

/// See the module.
#[pyclass(frozen, freelist = 64)]
pub(crate) struct Awaitable {
    state: Attached<State>,
}

enum State {
    /// Not awaited yet.
    Call(Py<Memo>, Py<PyTuple>, Option<Py<PyDict>>),
    /// A coroutine computes, or waits for whoever does.
    Coroutine(Py<PyAny>),
    Done,
}

impl Awaitable {
    pub(crate) fn new(memo: Py<Memo>, args: Py<PyTuple>, kwargs: Option<Py<PyDict>>) -> Self {
        Self { state: Attached::new(State::Call(memo, args, kwargs)) }
    }

    fn state(&self, py: Python<'_>, next: State) -> PyResult<State> {
        self.state
            .with(py, |state| std::mem::replace(state, next))
            .ok_or_else(|| PyRuntimeError::new_err("the awaitable is in use already"))
    }

    /// One step; what is awaited next.
    fn step<'py>(
        &self,
        py: Python<'py>,
        value: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let coroutine = match self.state(py, State::Done)? {
            State::Call(memo, args, kwargs) => {
                let kwargs = kwargs.as_ref().map(|kwargs| kwargs.bind(py));
                match Memo::awaited(memo.bind(py), args.bind(py), kwargs)? {
                    Ok(value) => return Err(stop(value)),
                    Err(coroutine) => coroutine.unbind(),
                }
            }
            State::Coroutine(coroutine) => coroutine,
            State::Done => {
                return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"));
            }
        };
        let coroutine = coroutine.into_bound(py);
        let value = value.unwrap_or_else(|| py.None().into_bound(py));
        self.pass(coroutine, |coroutine| coroutine.call_method1(intern!(py, "send"), (value,)))
    }

    /// Lets the coroutine go on; it stays in charge until it ends.
    fn pass<'py>(
        &self,
        coroutine: Bound<'py, PyAny>,
        how: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = coroutine.py();
        let awaited = how(&coroutine)?;
        self.state(py, State::Coroutine(coroutine.unbind()))?;
        Ok(awaited)
    }
}

/// The end of a coroutine with this value.
#[allow(unsafe_code, reason = "two checks of types")]
fn stop(value: Bound<'_, PyAny>) -> PyErr {
    // SAFETY: attached.
    let taken_apart = unsafe {
        ffi::PyTuple_Check(value.as_ptr()) != 0
            || ffi::PyExceptionInstance_Check(value.as_ptr()) != 0
    };
    if taken_apart {
        // As an argument a tuple would be the arguments, an exception the exception itself.
        PyStopIteration::new_err((value.unbind(),))
    } else {
        PyStopIteration::new_err(value.unbind())
    }
}

#[pymethods]
impl Awaitable {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.step(py, None)
    }

    /// Goes on with a value.
    fn send<'py>(slf: &Bound<'py, Self>, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().step(slf.py(), Some(value))
    }

    /// Goes on with an exception.
    #[pyo3(signature = (typ, val=None, tb=None))]
    fn throw<'py>(
        slf: &Bound<'py, Self>,
        typ: Bound<'py, PyAny>,
        val: Option<Bound<'py, PyAny>>,
        tb: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let State::Coroutine(coroutine) = slf.get().state(py, State::Done)? {
            return slf.get().pass(coroutine.into_bound(py), |coroutine| {
                coroutine.call_method1(intern!(py, "throw"), (typ, val, tb))
            });
        }
        let raised = match val {
            Some(val) if val.is_instance_of::<PyBaseException>() => val,
            Some(val) => typ.call1((val,))?,
            None if typ.is_instance_of::<PyBaseException>() => typ,
            None => typ.call0()?,
        };
        if let Some(tb) = tb {
            raised.setattr(intern!(py, "__traceback__"), tb)?;
        }
        Err(PyErr::from_value(raised))
    }

    /// Ends it.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.state(py, State::Done)? {
            State::Coroutine(coroutine) => {
                coroutine.call_method0(py, intern!(py, "close")).map(drop)
            }
            State::Call(..) | State::Done => Ok(()),
        }
    }
}
