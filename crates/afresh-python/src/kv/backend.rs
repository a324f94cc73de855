//! What a home of entries can do: the few primitives over which [`Kv`](super::face::Kv) has one meaning for all.
//!
//! An expired entry is absent to all of them. Tags are only carried here; whether they still hold is judged above.

use std::sync::Arc;
use std::time::Duration;

use afresh::{Bytes, Engine, Fingerprint, Vacancy, When};
use pyo3::prelude::*;

use super::journal::Journal;

/// What kind of thing a name is the name of. Names of different areas never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Area {
    Value,
    Lock,
    /// The epochs of tags.
    Tag,
}

/// A value as it is kept.
pub(crate) enum Datum {
    /// An immutable object that everybody may have. In memory only.
    Shared(Py<PyAny>),
    Count(i64),
    /// What the named codec made of it.
    Encoded {
        codec: Arc<str>,
        bytes: Bytes,
    },
    /// Something is there that is not for us.
    Unreadable,
}

/// What became of an entry to be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    Done,
    /// The condition does not hold.
    Refused,
    /// The value is larger than the whole; what was there before is gone.
    NoRoom,
}

impl Datum {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Shared(value) => Self::Shared(value.clone_ref(py)),
            Self::Count(count) => Self::Count(*count),
            Self::Unreadable => Self::Unreadable,
            Self::Encoded { codec, bytes } => {
                Self::Encoded { codec: codec.clone(), bytes: bytes.clone() }
            }
        }
    }
}

/// Tags, each with the epoch under which the value was written.
pub(crate) type Marks = Arc<[(String, i64)]>;

/// An entry to be put.
pub(crate) struct New {
    pub(crate) datum: Datum,
    pub(crate) marks: Option<Marks>,
    pub(crate) ttl: Option<Duration>,
    /// Never evicted: a counter, a lock, an epoch.
    pub(crate) pinned: bool,
}

/// What is to become of one entry, in a batch.
pub(crate) enum Write {
    /// It is only to be as the condition says.
    Nothing,
    Put(New),
    Delete,
    /// To a counter, which begins with `ttl`.
    Add {
        by: i64,
        ttl: Option<Duration>,
    },
}

/// One change of a batch.
pub(crate) struct Change {
    pub(crate) area: Area,
    pub(crate) name: String,
    pub(crate) when: When,
    pub(crate) write: Write,
    /// For a transaction around this one: epochs that must not move until it commits.
    pub(crate) fences: Option<Marks>,
}

/// An entry as it was found.
pub(crate) struct Found {
    pub(crate) datum: Datum,
    pub(crate) marks: Option<Marks>,
    pub(crate) left: Option<Duration>,
    pub(crate) pinned: bool,
    pub(crate) version: u64,
    /// Bytes that it takes, roughly.
    pub(crate) size: u64,
}

/// An engine, and what stands for a computation in it.
pub(crate) type Place = (Engine, Fingerprint);

/// Some of the names looked for, and where to go on.
pub(crate) type Page = (Vec<(String, Found)>, Option<Vec<u8>>);

/// Of a cursor over names of two kinds, one after the other: whether the second has begun, and where its own cursor is.
pub(crate) fn stage(cursor: Option<&[u8]>) -> (bool, Option<&[u8]>) {
    match cursor.and_then(<[u8]>::split_first) {
        Some((stage, rest)) => (*stage == 1, (!rest.is_empty()).then_some(rest)),
        None => (false, None),
    }
}

pub(crate) trait Backend: Send + Sync {
    /// Whether its operations are ready at once.
    fn near(&self) -> bool;

    /// Whether a shared object may be kept as it is.
    fn shares(&self) -> bool;

    /// Whether a number under this name may be kept as a counter.
    fn counts(&self, name: &str) -> bool;

    fn one(&self, py: Python<'_>, area: Area, name: &str) -> PyResult<Option<Found>>;

    fn many(&self, py: Python<'_>, area: Area, names: &[&str]) -> PyResult<Vec<Option<Found>>>;

    /// As [`many`](Self::many), for a look that nothing rests on: a transaction does not remember it.
    fn glances(&self, py: Python<'_>, area: Area, names: &[&str]) -> PyResult<Vec<Option<Found>>> {
        self.many(py, area, names)
    }

    /// Where those are kept out who would compute what a name stands for at the same time; `None` where there is nobody
    /// to keep out.
    fn place(&self, py: Python<'_>, name: &str) -> PyResult<Option<Place>> {
        let _ = (py, name);
        Ok(None)
    }

    /// Where it can be waited for that nobody has a lock; `None` where it has to be asked for again and again.
    fn vacancy(&self, py: Python<'_>, name: &str) -> PyResult<Option<Vacancy>> {
        let _ = (py, name);
        Ok(None)
    }

    /// The same entries for a command that is run again for each answer; `None` where nothing has to be waited for, or
    /// nothing can be.
    fn apart(&self, py: Python<'_>, journal: &Arc<Journal>) -> Option<Arc<dyn Backend>> {
        let _ = (py, journal);
        None
    }

    /// Puts an entry, if the condition holds.
    fn put(&self, py: Python<'_>, area: Area, name: &str, new: New, when: When)
    -> PyResult<Placed>;

    /// Adds to a counter, which begins with `ttl`; `None` where something else is there.
    fn add(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> PyResult<Option<i64>>;

    /// Whether the condition held.
    fn delete(&self, py: Python<'_>, area: Area, name: &str, when: When) -> PyResult<bool>;

    /// Some entries of the area [`Area::Value`] whose names begin so.
    fn page(
        &self,
        py: Python<'_>,
        prefix: &str,
        cursor: Option<&[u8]>,
        limit: usize,
    ) -> PyResult<Page>;

    /// Makes changes together, or none of them where one of their conditions does not hold; whether all did.
    fn apply(&self, py: Python<'_>, changes: Vec<Change>) -> PyResult<bool>;

    /// Removes all values. Locks stay with their owners, and epochs never go back.
    fn clear(&self, py: Python<'_>) -> PyResult<()>;
}
