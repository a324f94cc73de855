//! What calling a remembered coroutine function gives: something to await that answers by itself when the answer is
//! there, without a task, a frame or a turn of the event loop.
//!
//! It behaves as a coroutine: nothing happens before it is awaited, `send`, `throw` and `close` work, and event loops
//! take it for one. Where there is no answer at hand, a coroutine of `afresh.memo` takes over, and everything is passed
//! on to that.

use std::panic::AssertUnwindSafe;

use pyo3::PyClass;
use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::attached::Attached;
use crate::memo::Memo;

/// See the module.
#[pyclass(frozen)]
pub(crate) struct Awaitable {
    memo: Py<Memo>,
    state: Attached<State>,
}

enum State {
    /// Not awaited yet.
    Call(Py<PyTuple>, Option<Py<PyDict>>),
    /// A coroutine computes, or waits for whoever does.
    Coroutine(Py<PyAny>),
    Done,
}

impl Awaitable {
    pub(crate) fn new(memo: Py<Memo>, args: Py<PyTuple>, kwargs: Option<Py<PyDict>>) -> Self {
        Self { memo, state: Attached::new(State::Call(args, kwargs)) }
    }

    fn state(&self, py: Python<'_>, next: State) -> PyResult<State> {
        self.state
            .with(py, |state| std::mem::replace(state, next))
            .ok_or_else(|| PyRuntimeError::new_err("the awaitable is in use already"))
    }

    fn of_function<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.memo.bind(py).getattr(intern!(py, "__wrapped__"))?.getattr(name)
    }

    fn of_coroutine<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let coroutine = self.state.with(py, |state| match state {
            State::Coroutine(coroutine) => Some(coroutine.clone_ref(py)),
            State::Call(..) | State::Done => None,
        });
        match coroutine.flatten() {
            Some(coroutine) => coroutine.bind(py).getattr(name),
            None => Ok(py.None().into_bound(py)),
        }
    }

    /// One step; what is awaited next, or the value that it ends with.
    #[allow(unsafe_code, reason = "a coroutine is sent to by a C function")]
    fn step<'py>(&self, py: Python<'py>, value: Option<Bound<'py, PyAny>>) -> PyResult<Step<'py>> {
        let coroutine = match self.state(py, State::Done)? {
            State::Call(args, kwargs) => {
                let args = args.into_bound(py);
                let kwargs = kwargs.map(|kwargs| kwargs.into_bound(py));
                match Memo::awaited(self.memo.bind(py), &args, kwargs.as_ref())? {
                    Ok(value) => return Ok(Step::Ended(value)),
                    Err(coroutine) => coroutine,
                }
            }
            State::Coroutine(coroutine) => coroutine.into_bound(py),
            State::Done => {
                return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"));
            }
        };
        let value = value.unwrap_or_else(|| py.None().into_bound(py));
        let mut result = std::ptr::null_mut();
        // SAFETY: attached; both are objects, and the result is a new reference unless there was an error.
        let how = unsafe { ffi::PyIter_Send(coroutine.as_ptr(), value.as_ptr(), &raw mut result) };
        // SAFETY: as above; null stands for an error that is set.
        let result = unsafe { Bound::from_owned_ptr_or_err(py, result) }?;
        if matches!(how, ffi::PySendResult::PYGEN_RETURN) {
            return Ok(Step::Ended(result));
        }
        self.state(py, State::Coroutine(coroutine.unbind()))?;
        Ok(Step::Awaits(result))
    }
}

/// What is awaited step by step.
pub(crate) trait Stepped: PyClass<Frozen = True> + Sync {
    /// One step; what is awaited next, or the value that it ends with.
    fn step<'py>(&self, py: Python<'py>, value: Option<Bound<'py, PyAny>>) -> PyResult<Step<'py>>;
}

impl Stepped for Awaitable {
    fn step<'py>(&self, py: Python<'py>, value: Option<Bound<'py, PyAny>>) -> PyResult<Step<'py>> {
        Self::step(self, py, value)
    }
}

/// What a step comes to.
pub(crate) enum Step<'py> {
    Awaits(Bound<'py, PyAny>),
    Ended(Bound<'py, PyAny>),
}

/// Sets the end of a coroutine with this value as the current exception: `StopIteration`, not made an object before
/// somebody looks at it.
#[allow(unsafe_code, reason = "an exception that is not an object yet has no safe form")]
pub(crate) fn stop(value: &Bound<'_, PyAny>) {
    // SAFETY: attached. A tuple would be taken for the arguments and an exception for the exception itself:
    // those become the one argument.
    unsafe {
        let raw = value.as_ptr();
        if ffi::PyTuple_Check(raw) == 0 && ffi::PyExceptionInstance_Check(raw) == 0 {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, raw);
        } else if let Ok(one) = PyTuple::new(value.py(), [value]) {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, one.as_ptr());
        }
    }
}

/// The exception that the arguments of `throw` stand for.
pub(crate) fn thrown(
    typ: Bound<'_, PyAny>,
    val: Option<Bound<'_, PyAny>>,
    tb: Option<Bound<'_, PyAny>>,
) -> PyResult<PyErr> {
    let raised = match val {
        Some(val) if val.is_instance_of::<PyBaseException>() => val,
        Some(val) => typ.call1((val,))?,
        None if typ.is_instance_of::<PyBaseException>() => typ,
        None => typ.call0()?,
    };
    if let Some(tb) = tb {
        raised.setattr(intern!(raised.py(), "__traceback__"), tb)?;
    }
    Ok(PyErr::from_value(raised))
}

#[pymethods]
impl Awaitable {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Nothing, with the exception set, when it ends: that is what the interpreter asks of an iterator.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(match self.step(py, None)? {
            Step::Awaits(next) => Some(next),
            Step::Ended(value) => {
                stop(&value);
                None
            }
        })
    }

    /// For `inspect.iscoroutine` and whoever else asks before awaiting.
    #[getter]
    fn __class__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static COROUTINE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        COROUTINE.import(py, "types", "CoroutineType").cloned()
    }

    #[getter]
    fn __name__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_function(py, intern!(py, "__name__"))
    }

    #[getter]
    fn __qualname__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_function(py, intern!(py, "__qualname__"))
    }

    /// The function's code.
    #[getter]
    fn cr_code<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_function(py, intern!(py, "__code__"))
    }

    /// The frame of the coroutine that took over, if any has.
    #[getter]
    fn cr_frame<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_coroutine(py, intern!(py, "cr_frame"))
    }

    /// What that waits for.
    #[getter]
    fn cr_await<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.of_coroutine(py, intern!(py, "cr_await"))
    }

    /// Whether it is running just now.
    #[getter]
    fn cr_running(&self, py: Python<'_>) -> bool {
        self.state.with(py, |_| ()).is_none()
    }

    /// Where it was made is not recorded.
    #[getter]
    #[allow(clippy::unused_self, reason = "an attribute")]
    fn cr_origin(&self) -> Option<bool> {
        None
    }

    /// Goes on with a value.
    fn send<'py>(slf: &Bound<'py, Self>, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match slf.get().step(slf.py(), Some(value))? {
            Step::Awaits(next) => Ok(next),
            Step::Ended(value) => {
                stop(&value);
                Err(PyErr::fetch(slf.py()))
            }
        }
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
            let next = coroutine.call_method1(py, intern!(py, "throw"), (typ, val, tb))?;
            slf.get().state(py, State::Coroutine(coroutine))?;
            return Ok(next.into_bound(py));
        }
        Err(thrown(typ, val, tb)?)
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

/// Gives the type two slots that PyO3 has none for: with them an interpreter that sends (an event loop always, `await`
/// up to 3.11) gets the value without an exception being made of it, and both without the layers of a method.
#[allow(unsafe_code, reason = "slots of a type are filled in place")]
pub(crate) fn install<T: Stepped>(py: Python<'_>) {
    let class = py.get_type::<T>();
    // SAFETY: attached; it is our own type, made just now, and has the structure because it has `__await__`.
    unsafe {
        let class = class.as_ptr().cast::<ffi::PyTypeObject>();
        if let Some(slots) = (*class).tp_as_async.as_mut() {
            slots.am_await = Some(await_itself);
            slots.am_send = Some(send::<T>);
        }
    }
}

#[allow(unsafe_code, reason = "a slot")]
unsafe extern "C" fn await_itself(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls with an object of ours.
    unsafe {
        ffi::Py_INCREF(slf);
        slf
    }
}

#[allow(unsafe_code, reason = "a slot")]
unsafe extern "C" fn send<T: Stepped>(
    slf: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: the interpreter calls attached, with an object of ours, a value and a place for the result.
    let (slf, value) = unsafe {
        let py = Python::assume_attached();
        let slf = Borrowed::from_ptr(py, slf);
        (slf.cast_unchecked::<T>(), Borrowed::from_ptr(py, value).to_owned())
    };
    let stepped =
        std::panic::catch_unwind(AssertUnwindSafe(|| slf.get().step(slf.py(), Some(value))));
    let stepped = stepped.unwrap_or_else(|_| Err(PyRuntimeError::new_err("afresh has panicked")));
    let (object, how) = match stepped {
        Ok(Step::Awaits(next)) => (next.into_ptr(), ffi::PySendResult::PYGEN_NEXT),
        Ok(Step::Ended(value)) => (value.into_ptr(), ffi::PySendResult::PYGEN_RETURN),
        Err(error) => {
            error.restore(slf.py());
            (std::ptr::null_mut(), ffi::PySendResult::PYGEN_ERROR)
        }
    };
    // SAFETY: as above.
    unsafe { *result = object };
    how
}
