//! A miss from its beginning to its end without Python's `miss.py`: for functions that run here and now and of which nothing
//! is asked beyond being remembered.
//!
//! It is the same life of a call: lease, run, keep. Invariant: whatever is not plain (somebody else's answer, a failure, a
//! value that is no pickle, a store that fails) is handed to `miss.py` as it stands, and said and decided there; no error of
//! the cache comes out of here in place of the user's value.

use std::time::{Duration, Instant};

use afresh::{Begun, Fingerprint, Output, fp1};
use pollster::block_on;
use pyo3::exceptions::PyException;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::call::Call;
use crate::digest::Digester;
use crate::errors::OrRaise;
use crate::frame;
use crate::memo::{Memo, imported, is_reference};
use crate::scalar;
use crate::ticket::Ticket;

/// A result larger than this is not digested as a value; as in `miss.py`.
const DIGEST_LIMIT: usize = 64 << 20;

/// The codec that this is about.
const CODEC: &str = "pickle";

static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static RAISED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static UNFIT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static UNSTORED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// What became of a call that may be plain.
pub(crate) enum Made<'py> {
    Value(Bound<'py, PyAny>),
    /// It is for Python: the call, and what beginning it came to (a hit, or an error of the store), if it was begun.
    Other(Bound<'py, Call>, Option<Bound<'py, PyAny>>),
}

/// Makes the call, with everything that goes with it. What is on the stack while the function runs is here, and is little: a
/// function may call itself some thousand times deep.
pub(crate) fn make<'py>(
    memo: &Bound<'py, Memo>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
    call: Box<Call>,
) -> PyResult<Made<'py>> {
    let run = match Run::begin(memo, args, kwargs, call)? {
        Ok(run) => run,
        Err(other) => return Ok(other),
    };
    let made = memo.get().function.bind(memo.py()).call(args, kwargs);
    run.end(memo, made).map(Made::Value)
}

/// A call that runs.
struct Run {
    call: Call,
    ticket: afresh::Ticket,
    /// Whose run it is.
    process: u32,
    mark: Mark,
    started: Instant,
}

impl Run {
    /// Waits for the right to run.
    #[inline(never)]
    fn begin<'py>(
        memo: &Bound<'py, Memo>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        call: Box<Call>,
    ) -> PyResult<Result<Box<Self>, Made<'py>>> {
        let py = memo.py();
        let call = *call;
        let other = |call, begun| Ok(Err(Made::Other(Bound::new(py, call)?, begun)));
        // References are loaded in Python, also those that are no part of the key.
        if refers(args, kwargs) {
            return other(call, None);
        }
        let Ok(running) = Running::of(py, &call.value) else { return other(call, None) };
        let began = Instant::now();
        let ticket = match call.wait(py, None) {
            Ok(Some(Begun::Run(ticket))) => ticket,
            Ok(Some(begun)) => {
                if matches!(begun, Begun::Hit(_)) {
                    memo.get().counters.coalesced(began.elapsed());
                }
                let call = Bound::new(py, call)?;
                let begun = Call::given(&call, begun)?.into_bound(py);
                return Ok(Err(Made::Other(call, Some(begun))));
            }
            Ok(None) => return other(call, None),
            Err(error) if error.is_instance_of::<PyException>(py) => {
                return other(call, Some(error.value(py).clone().into_any()));
            }
            Err(error) => return Err(error),
        };
        let Ok(ticket) = call.outlined(py, ticket) else { return other(call, None) };
        memo.get().counters.missed();
        let (process, mark) = (std::process::id(), running.enter()?);
        Ok(Ok(Box::new(Self { call, ticket, process, mark, started: Instant::now() })))
    }

    /// The function has returned, or raised: what the caller gets.
    #[inline(never)]
    fn end<'py>(
        self: Box<Self>,
        memo: &Bound<'py, Memo>,
        made: PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let took = self.started.elapsed();
        let run = *self;
        run.mark.leave(memo.py())?;
        match made {
            Ok(value) => {
                memo.get().counters.ran(took);
                // A child that was forked by the function comes back here too; the run is its parent's.
                if run.process == std::process::id() {
                    run.keep(memo, &value, took)?;
                } else {
                    std::mem::forget(run.ticket);
                }
                Ok(value)
            }
            Err(error) => run.raised(memo, error, took),
        }
    }

    /// Stores the value.
    #[inline(never)]
    fn keep<'py>(
        self,
        memo: &Bound<'py, Memo>,
        value: &Bound<'py, PyAny>,
        took: Duration,
    ) -> PyResult<()> {
        let py = memo.py();
        let packed = match scalar::write(value) {
            Some(pickle) => {
                let len = pickle.len();
                Ok((pickle.into(), len))
            }
            None => pickled(value),
        };
        let (blob, len) = match packed {
            Ok(packed) => packed,
            Err(error) => return self.unfit(memo, value, error, took),
        };
        let value = match digest(value, len) {
            Ok(digest) => digest,
            Err(error) if error.is_instance_of::<PyException>(py) => None,
            Err(error) => return Err(error),
        };
        let mut execution = self.call.into_execution();
        execution.took = Some(took);
        let output = Output::Bytes { codec: CODEC.to_owned(), blob, value };
        let ticket = self.ticket;
        match py.detach(|| block_on(ticket.finish(execution, output))).or_raise(py) {
            Ok(_) => {
                memo.get().counters.wrote(len);
                Ok(())
            }
            Err(error) => imported(py, &UNSTORED, "afresh.miss", "unstored")?
                .call1((memo, error.value(py)))
                .map(drop),
        }
    }

    /// The value is no pickle.
    #[inline(never)]
    fn unfit<'py>(
        self,
        memo: &Bound<'py, Memo>,
        value: &Bound<'py, PyAny>,
        error: PyErr,
        took: Duration,
    ) -> PyResult<()> {
        let py = memo.py();
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        let (_, ticket) = self.given(py)?;
        let told = (memo, value, error.value(py), ticket, took.as_secs_f64());
        imported(py, &UNFIT, "afresh.miss", "unfit")?.call1(told).map(drop)
    }

    /// The function raised: the value that stands in for that, or the failure.
    #[inline(never)]
    fn raised<'py>(
        self,
        memo: &Bound<'py, Memo>,
        error: PyErr,
        took: Duration,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = memo.py();
        let raised = error.value(py);
        if let Some(traceback) = error.traceback(py) {
            raised.setattr(intern!(py, "__traceback__"), traceback)?;
        }
        let (call, ticket) = self.given(py)?;
        let told = (memo, call, ticket, raised, took.as_secs_f64());
        let rescued = imported(py, &RAISED, "afresh.miss", "raised")?.call1(told)?;
        if rescued.is_none() { Err(error) } else { rescued.getattr(intern!(py, "value")) }
    }

    /// The call and its ticket, for Python.
    fn given(self, py: Python<'_>) -> PyResult<(Bound<'_, Call>, Bound<'_, Ticket>)> {
        let call = Bound::new(py, self.call)?;
        let ticket = Ticket::of(call.clone().unbind(), self.ticket, self.process);
        Ok((call, Bound::new(py, ticket)?))
    }
}

/// The bytes to store, and how many of them are the value's.
fn pickled(value: &Bound<'_, PyAny>) -> PyResult<(afresh::Blob, usize)> {
    let py = value.py();
    // What `pickle.dumps` is; `pickle` itself takes two milliseconds to import.
    let dumps = imported(py, &DUMPS, "_pickle", "dumps")?;
    let buffers = PyList::empty(py);
    let named = PyDict::new(py);
    named.set_item(intern!(py, "buffer_callback"), buffers.getattr(intern!(py, "append"))?)?;
    let data = dumps.call((value, 5), Some(&named))?.cast_into::<PyBytes>()?;
    let mut len = data.as_bytes().len();
    for buffer in buffers.iter() {
        let raw = buffer.call_method0(intern!(py, "raw"))?;
        len += raw.getattr(intern!(py, "nbytes"))?.extract::<usize>()?;
    }
    Ok((frame::pack(&data, &buffers)?, len))
}

/// The canonical digest of a result, where there is one and it is not huge.
fn digest(value: &Bound<'_, PyAny>, len: usize) -> PyResult<Option<fp1::Digest>> {
    if len > DIGEST_LIMIT {
        return Ok(None);
    }
    let mut digester = Digester::new();
    let digest = digester.digest(value)?;
    Ok(digester.take_notes().is_empty().then_some(digest))
}

/// Whether an argument is a reference to a result.
fn refers(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> bool {
    args.iter_borrowed().any(|value| is_reference(&value))
        || kwargs.is_some_and(|kwargs| kwargs.iter().any(|(_, value)| is_reference(&value)))
}

/// The calls that run in this context, as `miss.py` marks them, and one that is to be added.
struct Running<'py> {
    variable: &'py Bound<'py, PyAny>,
    calls: Bound<'py, PyTuple>,
}

/// A call that is marked as running. It stays so where `leave` is not reached, as with a panic.
struct Mark {
    token: Py<PyAny>,
}

impl<'py> Running<'py> {
    /// An error where the call itself is running here, or that cannot be known.
    #[allow(unsafe_code, reason = "context variables are a C interface")]
    fn of(py: Python<'py>, fingerprint: &Fingerprint) -> PyResult<Self> {
        let variable = imported(py, &RUNNING, "afresh.miss", "_running")?;
        let mut found = std::ptr::null_mut();
        // SAFETY: attached; the variable is one (its type is checked by the function), `found` becomes a new reference
        // or stays null, which `from_owned_ptr_or_opt` tells apart.
        let found = unsafe {
            if ffi::PyContextVar_Get(variable.as_ptr(), std::ptr::null_mut(), &raw mut found) < 0 {
                return Err(PyErr::fetch(py));
            }
            Bound::from_owned_ptr_or_opt(py, found)
        };
        let outer = match found {
            Some(found) => found.cast_into::<PyTuple>()?,
            None => PyTuple::empty(py),
        };
        let own = PyString::new(py, &fingerprint.to_string());
        if !outer.is_empty() && outer.contains(&own)? {
            return Err(PyException::new_err("it waits for itself"));
        }
        let mut calls: Vec<_> = outer.iter().collect();
        calls.push(own.into_any());
        let calls = PyTuple::new(py, calls)?;
        Ok(Self { variable, calls })
    }

    #[allow(unsafe_code, reason = "context variables are a C interface")]
    fn enter(self) -> PyResult<Mark> {
        let py = self.calls.py();
        // SAFETY: attached; both are objects. The token is a new reference, or null with an exception set.
        let token = unsafe {
            let token = ffi::PyContextVar_Set(self.variable.as_ptr(), self.calls.as_ptr());
            Bound::from_owned_ptr_or_err(py, token)?
        };
        Ok(Mark { token: token.unbind() })
    }
}

impl Mark {
    #[allow(unsafe_code, reason = "context variables are a C interface")]
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        let variable = imported(py, &RUNNING, "afresh.miss", "_running")?;
        // SAFETY: attached; both are objects.
        let left = unsafe { ffi::PyContextVar_Reset(variable.as_ptr(), self.token.as_ptr()) };
        if left < 0 {
            // In another context, as a function might leave one: there is nothing to undo there.
            drop(PyErr::take(py));
        }
        Ok(())
    }
}
