//! What a command has learnt so far, so that it can be run again from its beginning.
//!
//! A command is plain code that asks its store a few times and goes by the answers. Code like that cannot wait for an
//! event loop. So it is run until it asks something that has no answer yet, and stops there; the question is put to the
//! store, and once there is an answer it is run again ([`errand`](super::errand)). Operations that are done are not done
//! again: what they came to is noted here, in their order. Within the one that is on its way, parts of it are.
//!
//! Invariant: between two operations a command depends on nothing but its arguments and what was noted, and changes
//! nothing that it could not change twice.

use std::any::Any;
use std::sync::Arc;

use afresh::{Applied, Batch, Engine, Entry, Error, Key, Page, Scan};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::attached::Attached;

/// What a store is asked.
#[derive(Clone)]
pub(crate) enum Question {
    Get(Vec<Key>),
    Apply(Batch),
    Scan(Scan),
}

/// What it says.
#[derive(Clone)]
pub(crate) enum Answer {
    Found(Vec<Option<Entry>>),
    Applied(Applied),
    Page(Page),
}

/// An answer, or why there is none.
pub(crate) type Answered = Result<Answer, Arc<Error>>;

impl Question {
    /// Puts it to the store of an engine.
    pub(crate) async fn put_to(self, engine: &Engine) -> Answered {
        let answer = match self {
            Self::Get(keys) => engine.store().get(&keys).await.map(Answer::Found),
            Self::Apply(batch) => engine.apply(batch).await.map(Answer::Applied),
            Self::Scan(scan) => engine.store().scan(&scan).await.map(Answer::Page),
        };
        answer.map_err(Arc::new)
    }

    /// Whether the answer to `other` is one to this. A change was made, whatever would be changed now.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Get(keys), Self::Get(others)) => keys == others,
            (Self::Apply(_), Self::Apply(_)) => true,
            (Self::Scan(one), Self::Scan(other)) => {
                one.prefix == other.prefix && one.cursor == other.cursor
            }
            _ => false,
        }
    }
}

/// Something that can be noted: given as often as it is asked for.
pub(crate) trait Noted: Send + 'static {
    fn again(&self, py: Python<'_>) -> Self;
}

/// See the module.
#[derive(Default)]
pub(crate) struct Journal(Attached<State>);

#[derive(Default)]
struct State {
    /// Operations that are done.
    done: Notes,
    /// Parts of the one that is on its way.
    parts: Notes,
    wanted: Option<(Question, Engine)>,
}

#[derive(Default)]
struct Notes {
    list: Vec<Box<dyn Any + Send>>,
    next: usize,
}

impl Notes {
    fn recall<T: Noted>(&mut self, py: Python<'_>) -> Option<T> {
        let noted = self.list.get(self.next)?.downcast_ref::<T>()?.again(py);
        self.next += 1;
        Some(noted)
    }

    fn note(&mut self, one: impl Any + Send) {
        // Nothing that would follow is about the way that is taken now.
        self.list.truncate(self.next);
        self.list.push(Box::new(one));
        self.next += 1;
    }
}

/// A question with its answer.
struct Told {
    question: Question,
    answer: Answered,
}

impl Noted for Told {
    fn again(&self, _: Python<'_>) -> Self {
        Self { question: self.question.clone(), answer: self.answer.clone() }
    }
}

impl Journal {
    fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&mut State) -> R) -> PyResult<R> {
        self.0
            .with(py, work)
            .ok_or_else(|| PyRuntimeError::new_err("the command is running already"))
    }

    /// From the beginning again.
    pub(crate) fn rewind(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |state| {
            state.done.next = 0;
            state.parts.next = 0;
        })
    }

    /// An operation as a whole: what it came to, or what it comes to now.
    pub(crate) fn operation<T: Noted>(
        &self,
        py: Python<'_>,
        work: impl FnOnce() -> PyResult<T>,
    ) -> PyResult<T> {
        if let Some(noted) = self.with(py, |state| state.done.recall(py))? {
            return Ok(noted);
        }
        let value = work()?;
        let noted = value.again(py);
        self.with(py, |state| {
            state.done.note(noted);
            state.parts = Notes::default();
        })?;
        Ok(value)
    }

    /// The same for a part of one.
    pub(crate) fn part<T: Noted>(
        &self,
        py: Python<'_>,
        work: impl FnOnce() -> PyResult<T>,
    ) -> PyResult<T> {
        if let Some(noted) = self.with(py, |state| state.parts.recall(py))? {
            return Ok(noted);
        }
        let value = work()?;
        let noted = value.again(py);
        self.with(py, |state| state.parts.note(noted))?;
        Ok(value)
    }

    /// The answer to a question; an error that ends this run where there is none yet.
    pub(crate) fn ask(
        &self,
        py: Python<'_>,
        engine: &Engine,
        question: Question,
    ) -> PyResult<Answered> {
        self.with(py, |state| {
            let at = state.parts.next;
            match state.parts.recall::<Told>(py) {
                Some(told) if question.is(&told.question) => Ok(told.answer),
                _ => {
                    state.parts.next = at;
                    state.wanted = Some((question, engine.clone()));
                    Err(PyRuntimeError::new_err("a command waits for its store"))
                }
            }
        })?
    }

    /// What the run has ended with asking.
    pub(crate) fn wanted(&self, py: Python<'_>) -> PyResult<Option<(Question, Engine)>> {
        self.with(py, |state| state.wanted.take())
    }

    /// There is an answer, to what was asked last.
    pub(crate) fn told(
        &self,
        py: Python<'_>,
        question: Question,
        answer: Answered,
    ) -> PyResult<()> {
        self.with(py, |state| state.parts.note(Told { question, answer }))
    }
}
