//! Commands on a store on a server for event loops, without a thread each: a command is made as if every answer of the
//! store were known already. Where one is not, the command breaks off there, the answer is awaited, and the command is made
//! again from its beginning, with that answer known.
//!
//! Invariant: an answer is used where it was asked for, for the store is asked in the same order each time. So only what
//! does the same each time may be made like this: nothing that looks at what other tasks change meanwhile.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use afresh::{Error, Result};
use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::attached::Attached;
use crate::errors;
use crate::later::{self, Later};

pyo3::create_exception!(_afresh, Unanswered, PyBaseException, "Breaks a command off.");

/// A `Result` of the store.
type Answer = Arc<dyn Any + Send + Sync>;

type Question = Pin<Box<dyn Future<Output = Answer> + Send>>;

#[derive(Default)]
struct State {
    answers: Vec<Answer>,
    /// How many of them this time has used.
    used: usize,
    /// What has to be asked next.
    question: Option<Question>,
}

/// See the module.
#[pyclass(frozen)]
pub(crate) struct Attempt {
    state: Attached<State>,
}

thread_local! {
    /// What is being attempted in this thread.
    static CURRENT: RefCell<Option<Py<Attempt>>> = const { RefCell::new(None) };
}

/// What is being attempted here.
pub(super) fn current(py: Python<'_>) -> Option<Py<Attempt>> {
    CURRENT.with_borrow(|current| current.as_ref().map(|current| current.clone_ref(py)))
}

impl Attempt {
    /// What the store has answered to this; where it has not, an exception that breaks the command off.
    pub(super) fn answer<T: Clone + Send + Sync + 'static>(
        &self,
        py: Python<'_>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> PyResult<T> {
        let known = self.state.with(py, |state| {
            let known = state.answers.get(state.used).cloned();
            match known {
                Some(_) => state.used += 1,
                None => state.question = Some(Box::pin(async { Arc::new(work.await) as Answer })),
            }
            known
        });
        let Some(known) = known.flatten() else { return Err(Unanswered::new_err(())) };
        match known.downcast_ref::<Result<T, Error>>() {
            Some(Ok(value)) => Ok(value.clone()),
            Some(Err(error)) => Err(errors::raise(py, error)),
            None => Err(PyRuntimeError::new_err("a command did not do the same again")),
        }
    }
}

#[pymethods]
impl Attempt {
    #[new]
    fn new() -> Self {
        Self { state: Attached::new(State::default()) }
    }

    /// Makes the command: whether it is done, and its value. Where it is not, `later` is settled when to make it again.
    #[pyo3(signature = (later, call, *args))]
    fn make<'py>(
        slf: &Bound<'py, Self>,
        later: &Bound<'py, Later>,
        call: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<(bool, Bound<'py, PyAny>)> {
        let py = slf.py();
        let state = &slf.get().state;
        state.with(py, |state| state.used = 0);
        let outer = CURRENT.replace(Some(slf.clone().unbind()));
        let made = call.call1(args);
        CURRENT.set(outer);
        let Some(question) = state.with(py, |state| state.question.take()).flatten() else {
            return Ok((true, made?));
        };
        let slf = slf.clone().unbind();
        let asked = async { Ok(question.await) };
        later::run_for(py, Some(later), asked, move |py, answer| {
            slf.get().state.with(py, |state| state.answers.push(answer));
            Ok(py.None())
        })?;
        Ok((false, py.None().into_bound(py)))
    }
}
