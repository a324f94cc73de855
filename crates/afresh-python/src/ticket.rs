//! The right to run a call, for Python. Ended once; what is not ended is let go of when it is collected.
//!
//! It belongs to the process it was given to: a child forked in the middle of a run neither ends the ticket nor lets
//! go of it, for both would touch locks and connections of the parent.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use afresh::{Argument, CommitId, Execution, Failure, Finished, Output, Replay, fp1};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::call::Call;
use crate::engine::{Tags, tags};
use crate::frame;
use crate::later::{self, Later};
use crate::terms::span;

/// The longest text of a failure that is kept, in bytes.
const MOST: usize = 32 << 10;

/// The right to run a call.
#[pyclass(frozen)]
pub(crate) struct Ticket {
    call: Py<Call>,
    ticket: Mutex<Option<afresh::Ticket>>,
    process: u32,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.release();
    }
}

/// What the function was seen to read: name, digest, text for a person.
type Recorded = Vec<(String, [u8; 32], String)>;

impl Ticket {
    pub(crate) fn new(call: Py<Call>, ticket: afresh::Ticket) -> Self {
        Self::of(call, ticket, std::process::id())
    }

    /// As one that was given to this process.
    pub(crate) fn of(call: Py<Call>, ticket: afresh::Ticket, process: u32) -> Self {
        Self { call, ticket: Mutex::new(Some(ticket)), process }
    }

    /// The ticket, unless it has been taken before; in a forked child it is forgotten.
    fn mine(&self) -> Option<afresh::Ticket> {
        let ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        if self.process == std::process::id() {
            return Some(ticket);
        }
        std::mem::forget(ticket);
        None
    }

    fn take(&self) -> PyResult<afresh::Ticket> {
        self.mine().ok_or_else(|| {
            PyRuntimeError::new_err(
                "the run has been recorded, or belongs to the process that forked this one",
            )
        })
    }

    fn execution(
        &self,
        py: Python<'_>,
        took: f64,
        pairs: Tags,
        inputs: &[String],
        recorded: Recorded,
    ) -> PyResult<Execution> {
        let mut execution = self.call.get().execution();
        execution.arguments.extend(recorded.into_iter().map(|(name, digest, preview)| Argument {
            name,
            digest: fp1::Digest(digest),
            preview,
            source: None,
        }));
        execution.took = Duration::try_from_secs_f64(took).ok();
        execution.tags = tags(py, pairs)?;
        let more = inputs.iter().filter_map(|hash| hash.parse::<CommitId>().ok());
        execution.inputs.extend(more);
        execution.inputs.sort_unstable();
        execution.inputs.dedup();
        Ok(execution)
    }
}

/// Commit hash, object hash, object length, published.
fn report(py: Python<'_>, finished: Finished) -> PyResult<Py<PyAny>> {
    let Finished { commit, object, published } = finished;
    let (hash, len) = (object.map(|object| object.id.to_string()), object.map(|object| object.len));
    (commit.to_string(), hash, len.unwrap_or(0), published).into_py_any(py)
}

fn clip(mut text: String) -> String {
    if text.len() > MOST {
        let end = text.floor_char_boundary(MOST);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[pymethods]
impl Ticket {
    /// The function returned this value, as bytes of a codec with out-of-band buffers.
    #[pyo3(signature = (codec, data, buffers, *, took, tags, inputs, recorded=Vec::new(), value_digest=None, publish=true, ttl=None, later=None))]
    #[allow(clippy::too_many_arguments, reason = "named in Python")]
    fn finish(
        &self,
        py: Python<'_>,
        codec: String,
        data: &Bound<'_, PyBytes>,
        buffers: &Bound<'_, PyList>,
        took: f64,
        tags: Tags,
        inputs: Vec<String>,
        recorded: Recorded,
        value_digest: Option<[u8; 32]>,
        publish: bool,
        ttl: Option<f64>,
        later: Option<&Bound<'_, Later>>,
    ) -> PyResult<Py<PyAny>> {
        let mut execution = self.execution(py, took, tags, &inputs, recorded)?;
        execution.ttl = ttl.map(span).or(execution.ttl);
        let blob = frame::pack(data, buffers)?;
        let ticket = self.take()?;
        let output = Output::Bytes { codec, blob, value: value_digest.map(fp1::Digest) };
        let ticket = if publish { ticket } else { ticket.unpublished() };
        later::run_for(py, later, ticket.finish(execution, output), report)
    }

    /// The function returned, and its value is not kept.
    #[pyo3(signature = (reason, *, took, tags, inputs, recorded=Vec::new(), later=None))]
    #[allow(clippy::too_many_arguments, reason = "named in Python")]
    fn unkept(
        &self,
        py: Python<'_>,
        reason: String,
        took: f64,
        tags: Tags,
        inputs: Vec<String>,
        recorded: Recorded,
        later: Option<&Bound<'_, Later>>,
    ) -> PyResult<Py<PyAny>> {
        let execution = self.execution(py, took, tags, &inputs, recorded)?;
        let ticket = self.take()?;
        let output = Output::Unkept { reason: clip(reason) };
        later::run_for(py, later, ticket.finish(execution, output), report)
    }

    /// The function raised. `replay` is what callers get for so many seconds instead of a run: codec, bytes, seconds.
    #[pyo3(signature = (kind, message, traceback, *, took, tags, inputs, recorded=Vec::new(), replay=None, later=None))]
    #[allow(clippy::too_many_arguments, reason = "named in Python")]
    fn fail(
        &self,
        py: Python<'_>,
        kind: String,
        message: String,
        traceback: String,
        took: f64,
        tags: Tags,
        inputs: Vec<String>,
        recorded: Recorded,
        replay: Option<(String, Vec<u8>, f64)>,
        later: Option<&Bound<'_, Later>>,
    ) -> PyResult<Py<PyAny>> {
        let mut execution = self.execution(py, took, tags, &inputs, recorded)?;
        let replay = replay.map(|(codec, bytes, ttl)| {
            execution.ttl = Some(span(ttl));
            Replay { codec, bytes }
        });
        let ticket = self.take()?;
        let failure = Failure { kind, message: clip(message), traceback: clip(traceback) };
        later::run_for(py, later, ticket.fail(execution, failure, replay), report)
    }

    /// The look-up key of the call that it is for, in hexadecimal.
    #[getter]
    fn fingerprint(&self) -> String {
        self.call.get().value.to_string()
    }

    /// Whether it can be ended here: it has not been, and this is the process it was given to.
    #[getter]
    fn held(&self) -> bool {
        self.process == std::process::id()
            && self.ticket.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether others of this process wait for what comes of it.
    #[getter]
    fn awaited(&self) -> bool {
        let ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner);
        ticket.as_ref().is_some_and(afresh::Ticket::is_awaited)
    }

    /// Lets go without recording anything; others may run.
    fn release(&self) {
        drop(self.mine());
    }
}
