//! Commands on entries under names: what each of them means, once for all backends.
//!
//! Overwriting sets the lifetime as given (or keeps it, where that is asked for); a lifetime of nothing is not stored;
//! a counter's lifetime is set when it begins. A change that rests on what is there is made under the condition that it
//! still is, and tried again if not.
//!
//! Tags are epochs: a value remembers the epoch of each of its tags, and is absent once one of them has moved on. So
//! taking back a tag is one addition, and there is no list of a tag's keys that could expire or be evicted.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use afresh::{Bytes, Error, Version, When};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use super::backend::{Area, Backend, Datum, Found, Marks, New, Placed};
use super::errand::{Errand, Noting};
use super::front::Front;
use super::glob::Glob;
use super::journal::Journal;
use super::overlay::{Checks, Overlay};
use super::record::Seal;
use super::state::{self, Kind, Next};
use super::stored::Stored;
use super::table::Memory;
use super::tally::Tally;
use super::turn::{self, Queued};
use super::value::Codec;
use crate::engine::Engine;
use crate::errors::raise;
use crate::later::Later;

/// Entries under names.
#[pyclass(frozen)]
pub(crate) struct Kv {
    backend: Arc<dyn Backend>,
    codec: Arc<Codec>,
    tally: Arc<Tally>,
    /// The same as `backend`, in a transaction.
    overlay: Option<Arc<Overlay>>,
    /// What a command has learnt that is run again for each answer of its store.
    journal: Option<Arc<Journal>>,
}

/// A value, its version, and the seconds that it has left.
type Read<'py> = (Bound<'py, PyAny>, u64, Option<f64>);

/// How long something is to last.
enum Ttl {
    For(Option<Duration>),
    /// Nothing is to be stored.
    Nothing,
}

impl Ttl {
    fn new(seconds: Option<f64>) -> Self {
        match seconds {
            None => Self::For(None),
            Some(seconds) if seconds <= 0.0 => Self::Nothing,
            // Stores count milliseconds: less than one is one, and more than there are is for ever.
            Some(seconds) => Self::For(
                Duration::try_from_secs_f64(seconds)
                    .ok()
                    .map(|ttl| ttl.max(Duration::from_millis(1))),
            ),
        }
    }
}

fn when(found: Option<&Found>) -> When {
    found.map_or(When::Absent, |found| When::Is(Version(found.version)))
}

fn token(text: &str) -> Datum {
    Datum::Encoded { codec: "token".into(), bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

/// What is there of a kind, or nothing.
fn of_kind(key: &str, kind: Kind, found: Option<&Found>) -> PyResult<Bytes> {
    match found.map(|found| &found.datum) {
        None => Ok(Bytes::new()),
        Some(Datum::Encoded { codec, bytes }) if **codec == *kind.codec() => Ok(bytes.clone()),
        Some(_) => Err(PyTypeError::new_err(format!("what {key:?} has is not {}", kind.words()))),
    }
}

impl Kv {
    fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    fn datum(
        &self,
        name: &str,
        value: &Bound<'_, PyAny>,
        tagged: bool,
        raw: bool,
    ) -> PyResult<Datum> {
        if raw {
            let bytes = Bytes::copy_from_slice(value.cast::<PyBytes>()?.as_bytes());
            return Ok(Datum::Encoded { codec: Kind::Raw.codec().into(), bytes });
        }
        let datum = || self.codec.datum(self.backend(), name, value, tagged);
        // A codec is not asked twice.
        self.journal.as_ref().map_or_else(datum, |journal| journal.operation(value.py(), datum))
    }

    /// The epochs of tags; one that nobody took back is at zero.
    fn epochs(&self, py: Python<'_>, tags: &[&str]) -> PyResult<Vec<i64>> {
        let found = self.backend.many(py, Area::Tag, tags)?;
        let epoch = |found: Option<Found>| match found.map(|found| found.datum) {
            Some(Datum::Count(epoch)) => epoch,
            _ => 0,
        };
        Ok(found.into_iter().map(epoch).collect())
    }

    fn mark(&self, py: Python<'_>, tags: &[String]) -> PyResult<Option<Marks>> {
        if tags.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = tags.iter().map(String::as_str).collect();
        let epochs = self.epochs(py, &names)?;
        Ok(Some(tags.iter().cloned().zip(epochs).collect()))
    }

    /// Whether an entry is readable and none of its tags was taken back.
    fn holds(&self, py: Python<'_>, found: &Found) -> PyResult<bool> {
        if matches!(found.datum, Datum::Unreadable) {
            return Ok(false);
        }
        let Some(marks) = &found.marks else { return Ok(true) };
        let names: Vec<&str> = marks.iter().map(|(tag, _)| tag.as_str()).collect();
        let epochs = self.epochs(py, &names)?;
        Ok(marks.iter().zip(epochs).all(|((_, then), now)| *then == now))
    }

    /// Which of several entries are, with one look at all their tags.
    fn holding<'a>(
        &self,
        py: Python<'_>,
        found: impl Iterator<Item = Option<&'a Found>> + Clone,
    ) -> PyResult<Vec<bool>> {
        let marks = found.clone().flatten().filter_map(|found| found.marks.as_deref()).flatten();
        let tags: BTreeSet<&str> = marks.map(|(tag, _)| tag.as_str()).collect();
        let tags: Vec<&str> = tags.into_iter().collect();
        let epochs = if tags.is_empty() { Vec::new() } else { self.epochs(py, &tags)? };
        let now: HashMap<&str, i64> = tags.into_iter().zip(epochs).collect();
        let stands = |(tag, then): &(String, i64)| now.get(tag.as_str()) == Some(then);
        let holds = |found: &Found| {
            !matches!(found.datum, Datum::Unreadable)
                && found.marks.as_deref().is_none_or(|marks| marks.iter().all(stands))
        };
        Ok(found.map(|found| found.is_some_and(holds)).collect())
    }

    #[inline]
    fn live(&self, py: Python<'_>, name: &str) -> PyResult<Option<Found>> {
        match self.backend.one(py, Area::Value, name)? {
            Some(found) => Ok(self.holds(py, &found)?.then_some(found)),
            None => Ok(None),
        }
    }

    /// What is live, for a change of it; and the condition that nobody else changed it meanwhile.
    fn present(&self, py: Python<'_>, key: &str) -> PyResult<(When, Option<Found>)> {
        let found = self.backend.one(py, Area::Value, key)?;
        let condition = when(found.as_ref());
        let live = match found {
            Some(found) if self.holds(py, &found)? => Some(found),
            _ => None,
        };
        Ok((condition, live))
    }

    /// The value under a key, not counted yet: see [`hit`](Self::hit).
    #[inline]
    pub(crate) fn at_hand<'py>(
        &self,
        key: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.live(key.py(), key.to_str()?)? {
            Some(found) => self.codec.value(key.py(), found.datum),
            None => Ok(None),
        }
    }

    /// What was at hand is used.
    pub(crate) fn hit(&self) {
        self.tally.looked(true);
    }

    fn written(&self, placed: Placed) -> bool {
        if placed == Placed::Done {
            self.tally.wrote();
        }
        placed == Placed::Done
    }

    /// Removes what is there; whether it was alive.
    fn remove(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        loop {
            let found = self.backend.glances(py, Area::Value, &[name])?.pop().flatten();
            let Some(found) = found else {
                // In a transaction also what comes until it commits is to go.
                if let Some(overlay) = &self.overlay {
                    overlay.delete(py, Area::Value, name, When::Always)?;
                }
                return Ok(false);
            };
            let alive = self.holds(py, &found)?;
            if self.backend.delete(py, Area::Value, name, when(Some(&found)))? {
                self.tally.removed();
                return Ok(alive);
            }
        }
    }

    /// Changes what a name stands for beside values, in one step: what is there to what becomes of it, and an answer.
    /// A lifetime is that of one that begins; later it may only become longer.
    fn change<R>(
        &self,
        py: Python<'_>,
        key: &str,
        kind: Kind,
        ttl: Option<f64>,
        alter: impl Fn(&[u8]) -> PyResult<(Next, R)>,
    ) -> PyResult<R> {
        let ttl = Ttl::new(ttl);
        loop {
            let (condition, alive) = self.present(py, key)?;
            let (next, answer) = alter(&of_kind(key, kind, alive.as_ref())?)?;
            let bytes = match next {
                Next::Same => return Ok(answer),
                Next::Gone if self.backend.delete(py, Area::Value, key, condition)? => {
                    return Ok(answer);
                }
                Next::Gone => continue,
                Next::Is(bytes) if bytes.len() > state::MOST => {
                    return Err(PyOverflowError::new_err(format!(
                        "{} holds {} bytes at most, and {key:?} would be larger",
                        kind.words(),
                        state::MOST
                    )));
                }
                Next::Is(bytes) => bytes,
            };
            let (ttl, marks) = match (alive, &ttl) {
                (Some(Found { left: Some(left), marks, .. }), Ttl::For(Some(ttl))) => {
                    (Some(left.max(*ttl)), marks)
                }
                (Some(Found { left, marks, .. }), _) => (left, marks),
                (None, Ttl::For(ttl)) => (*ttl, None),
                (None, Ttl::Nothing) => return Ok(answer),
            };
            let datum = Datum::Encoded { codec: kind.codec().into(), bytes: bytes.into() };
            let new = New { datum, marks, ttl, pinned: true };
            if self.backend.put(py, Area::Value, key, new, condition)? != Placed::Refused {
                return Ok(answer);
            }
        }
    }

    /// An integer in an entry that is alive.
    fn number(&self, py: Python<'_>, name: &str, datum: Datum) -> PyResult<i64> {
        let value = self.codec.value(py, datum)?;
        match value.as_ref().filter(|value| value.is_exact_instance_of::<PyInt>()) {
            Some(value) => value.extract(),
            None => Err(PyTypeError::new_err(format!("the value of {name:?} is not an integer"))),
        }
    }
}

#[pymethods]
impl Kv {
    /// Entries in an engine's store (with `front` bytes of them kept in the process), or in memory where there is none.
    #[new]
    #[pyo3(signature = (codec, *, engine=None, name="", secret=None, entries=1_000_000, size=256_000_000, front=None))]
    #[allow(clippy::too_many_arguments, reason = "named in Python")]
    fn new(
        py: Python<'_>,
        codec: &Bound<'_, PyAny>,
        engine: Option<Py<Engine>>,
        name: &str,
        secret: Option<&[u8]>,
        entries: u64,
        size: u64,
        front: Option<u64>,
    ) -> PyResult<Self> {
        let backend: Arc<dyn Backend> = match engine {
            Some(engine) => {
                let stored = Stored::new(py, engine, name.to_owned(), secret.map(Seal::new))?;
                match (front, stored.generation(py)?) {
                    (Some(bytes), Some(counters)) => Arc::new(Front::new(stored, counters, bytes)),
                    (Some(_), None) => {
                        return Err(raise(
                            py,
                            &Error::new(
                                afresh::Kind::Unsupported,
                                "this store does not tell of its changes, so nothing of it can be kept in the process",
                            )
                            .with_hint("leave `client_side` out, and each command asks the store"),
                        ));
                    }
                    (None, _) => Arc::new(stored),
                }
            }
            None => Arc::new(Memory::new(entries, size)),
        };
        Ok(Self {
            backend,
            codec: Arc::new(Codec::new(codec)?),
            tally: Tally::of(name),
            overlay: None,
            journal: None,
        })
    }

    /// Whether commands are done at once, without a network.
    #[getter]
    fn near(&self) -> bool {
        self.backend.near()
    }

    /// Whether commands can be awaited: the store is on a server.
    #[getter]
    fn far(&self, py: Python<'_>) -> bool {
        self.backend.apart(py, &Arc::default()).is_some()
    }

    #[pyo3(signature = (key, default=None))]
    pub(crate) fn get<'py>(
        &self,
        key: &Bound<'py, PyString>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        let found = self.live(py, key.to_str()?)?;
        self.tally.looked(found.is_some());
        match found {
            Some(found) => Ok(self.codec.value(py, found.datum)?.or(default)),
            None => Ok(default),
        }
    }

    #[pyo3(signature = (keys, default=None))]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        keys: Vec<String>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let values = PyList::empty(py);
        let found = self.backend.many(py, Area::Value, &names)?;
        let holding = self.holding(py, found.iter().map(Option::as_ref))?;
        for (found, holds) in found.into_iter().zip(holding) {
            let value = match found.filter(|_| holds) {
                Some(found) => self.codec.value(py, found.datum)?,
                None => None,
            };
            self.tally.looked(value.is_some());
            values.append(value.or_else(|| default.clone()))?;
        }
        Ok(values)
    }

    /// The value, its version, and the seconds that it has left; `None` where there is none.
    fn read<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Option<Read<'py>>> {
        let found = self.live(py, key)?;
        self.tally.looked(found.is_some());
        let Some(found) = found else { return Ok(None) };
        let (version, left) = (found.version, found.left.map(|left| left.as_secs_f64()));
        let value = self.codec.value(py, found.datum)?;
        Ok(value.map(|value| (value, version, left)))
    }

    /// Sets a value; whether it is there now. `marks` are tags with their epochs as they were when the value began to
    /// be made; `version` is what must be there still (0: nothing).
    #[pyo3(signature = (key, value, ttl=None, *, keep=false, exist=None, tags=None, marks=None, version=None, raw=false))]
    #[allow(clippy::too_many_arguments, reason = "named in Python")]
    pub(crate) fn set(
        &self,
        key: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
        ttl: Option<f64>,
        keep: bool,
        exist: Option<bool>,
        tags: Option<Vec<String>>,
        marks: Option<Vec<(String, i64)>>,
        version: Option<u64>,
        raw: bool,
    ) -> PyResult<bool> {
        let (py, name) = (key.py(), key.to_str()?);
        let marks = match marks {
            Some(marks) => (!marks.is_empty()).then(|| marks.into()),
            None => self.mark(py, &tags.unwrap_or_default())?,
        };
        let ttl = Ttl::new(ttl);
        if let (Ttl::For(ttl), None, None, false) = (&ttl, exist, version, keep) {
            let datum = self.datum(name, value, marks.is_some(), raw)?;
            let new = New { datum, marks, ttl: *ttl, pinned: false };
            let placed = self.backend.put(py, Area::Value, name, new, When::Always)?;
            return Ok(self.written(placed));
        }
        loop {
            let found = self.backend.one(py, Area::Value, name)?;
            let alive = match &found {
                Some(found) if self.holds(py, found)? => Some(found),
                _ => None,
            };
            if exist.is_some_and(|exist| exist != alive.is_some())
                || version.is_some_and(|version| version != alive.map_or(0, |found| found.version))
            {
                return Ok(false);
            }
            let ttl = match (&ttl, alive) {
                (_, Some(alive)) if keep => alive.left,
                (Ttl::For(ttl), _) => *ttl,
                (Ttl::Nothing, _) => {
                    let gone = found.is_none()
                        || self.backend.delete(py, Area::Value, name, when(found.as_ref()))?;
                    if gone {
                        return Ok(false);
                    }
                    continue;
                }
            };
            let datum = self.datum(name, value, marks.is_some(), raw)?;
            let new = New { datum, marks: marks.clone(), ttl, pinned: false };
            match self.backend.put(py, Area::Value, name, new, when(found.as_ref()))? {
                Placed::Refused => {}
                placed => return Ok(self.written(placed)),
            }
        }
    }

    #[pyo3(signature = (key, by=1, ttl=None, tags=None))]
    fn incr(
        &self,
        py: Python<'_>,
        key: &str,
        by: i64,
        ttl: Option<f64>,
        tags: Option<Vec<String>>,
    ) -> PyResult<i64> {
        let tags = tags.unwrap_or_default();
        let ttl = Ttl::new(ttl);
        if let (Ttl::For(ttl), true, true) = (&ttl, tags.is_empty(), self.backend.counts(key))
            && let Some(count) = self.backend.add(py, Area::Value, key, by, *ttl)?
        {
            return Ok(count);
        }
        loop {
            let (condition, alive) = self.present(py, key)?;
            let (count, ttl, marks) = match (alive, &ttl) {
                (Some(found), _) => {
                    (self.number(py, key, found.datum)?.saturating_add(by), found.left, found.marks)
                }
                (None, Ttl::For(ttl)) => (by, *ttl, None),
                (None, Ttl::Nothing) => return Ok(by),
            };
            let marks = if tags.is_empty() { marks } else { self.mark(py, &tags)? };
            let value = count.into_pyobject(py)?.into_any();
            let datum = self.datum(key, &value, marks.is_some(), false)?;
            let new = New { datum, marks, ttl, pinned: true };
            if self.backend.put(py, Area::Value, key, new, condition)? != Placed::Refused {
                return Ok(count);
            }
        }
    }

    fn exists(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        Ok(self.live(py, key)?.is_some())
    }

    fn delete(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        self.remove(py, key)
    }

    /// Sets how long an entry lasts from now on; whether there is one.
    fn expire(&self, py: Python<'_>, key: &str, ttl: Option<f64>) -> PyResult<bool> {
        let Ttl::For(ttl) = Ttl::new(ttl) else { return self.remove(py, key) };
        loop {
            let Some(found) = self.live(py, key)? else { return Ok(false) };
            let condition = when(Some(&found));
            let Found { datum, marks, pinned, .. } = found;
            let new = New { datum, marks, ttl, pinned };
            if self.backend.put(py, Area::Value, key, new, condition)? != Placed::Refused {
                return Ok(true);
            }
        }
    }

    /// Seconds that an entry has left: -1 where it has no end, -2 where there is none.
    fn left(&self, py: Python<'_>, key: &str) -> PyResult<f64> {
        Ok(match self.live(py, key)? {
            Some(found) => found.left.map_or(-1.0, |left| left.as_secs_f64()),
            None => -2.0,
        })
    }

    /// Bytes that an entry takes, roughly; 0 where there is none.
    fn size(&self, py: Python<'_>, key: &str) -> PyResult<u64> {
        Ok(self.live(py, key)?.map_or(0, |found| found.size))
    }

    /// Some of the entries that match, as names or with their values, and where to go on.
    #[pyo3(signature = (pattern, cursor=None, limit=1000, values=false))]
    fn page<'py>(
        &self,
        py: Python<'py>,
        pattern: &str,
        cursor: Option<&[u8]>,
        limit: usize,
        values: bool,
    ) -> PyResult<(Bound<'py, PyList>, Option<Bound<'py, PyBytes>>)> {
        let glob = Glob::new(pattern);
        let (entries, next) = self.backend.page(py, glob.prefix(), cursor, limit.max(1))?;
        let list = PyList::empty(py);
        let entries: Vec<_> = entries.into_iter().filter(|(name, _)| glob.matches(name)).collect();
        let holding = self.holding(py, entries.iter().map(|(_, found)| Some(found)))?;
        for ((name, found), holds) in entries.into_iter().zip(holding) {
            if !holds {
                continue;
            }
            if !values {
                list.append(name)?;
            } else if let Some(value) = self.codec.value(py, found.datum)? {
                list.append((name, value))?;
            }
        }
        Ok((list, next.map(|next| PyBytes::new(py, &next))))
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.backend.clear(py)
    }

    /// Tags with their epochs, to be given to `set` when a value is made that they are about.
    fn marks(&self, py: Python<'_>, tags: Vec<String>) -> PyResult<Vec<(String, i64)>> {
        Ok(self.mark(py, &tags)?.map_or_else(Vec::new, |marks| marks.to_vec()))
    }

    /// Takes back everything with this tag.
    fn bump(&self, py: Python<'_>, tag: &str) -> PyResult<()> {
        self.backend.add(py, Area::Tag, tag, 1, None).map(drop)
    }

    /// The tags of an entry.
    fn tags<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyTuple>> {
        let marks = self.live(py, key)?.and_then(|found| found.marks);
        PyTuple::new(
            py,
            marks.iter().flat_map(|marks| marks.iter()).map(|(tag, _)| tag).collect::<Vec<_>>(),
        )
    }

    /// Numbers of `size` bits each; what was never written is zero.
    fn get_bits(
        &self,
        py: Python<'_>,
        key: &str,
        indexes: Vec<u64>,
        size: u32,
    ) -> PyResult<Vec<u64>> {
        let bytes = of_kind(key, Kind::Bits, self.live(py, key)?.as_ref())?;
        indexes.iter().map(|index| state::bits(&bytes, *index, size)).collect()
    }

    /// Adds to such numbers, which stay within what they can hold; the new ones.
    fn incr_bits(
        &self,
        py: Python<'_>,
        key: &str,
        indexes: Vec<u64>,
        size: u32,
        by: i64,
    ) -> PyResult<Vec<u64>> {
        self.change(py, key, Kind::Bits, None, |before| state::add_bits(before, &indexes, size, by))
    }

    /// Adds the moment `end` to a slice, if fewer than `most` are between `start` and it; how many are then.
    fn slice_incr(
        &self,
        py: Python<'_>,
        key: &str,
        start: f64,
        end: f64,
        most: usize,
        ttl: Option<f64>,
    ) -> PyResult<usize> {
        self.change(py, key, Kind::Moments, ttl, |before| {
            Ok(state::slide(before, start, end, most))
        })
    }

    /// Adds to a set of texts; how many are new.
    fn set_add(
        &self,
        py: Python<'_>,
        key: &str,
        values: Vec<String>,
        ttl: Option<f64>,
    ) -> PyResult<usize> {
        self.change(py, key, Kind::Members, ttl, |before| Ok(state::join(before, &values)))
    }

    /// Removes from a set of texts; how many there were.
    fn set_remove(&self, py: Python<'_>, key: &str, values: Vec<String>) -> PyResult<usize> {
        self.change(py, key, Kind::Members, None, |before| Ok(state::leave(before, &values)))
    }

    /// Takes up to so many out of a set of texts.
    fn set_pop(&self, py: Python<'_>, key: &str, count: usize) -> PyResult<Vec<String>> {
        self.change(py, key, Kind::Members, None, |before| Ok(state::pop(before, count)))
    }

    /// The bytes of a value as they are stored.
    fn get_raw<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some(found) = self.live(py, key)? else { return Ok(None) };
        Ok(self.codec.raw(py, found.datum)?.map(|bytes| PyBytes::new(py, &bytes)))
    }

    /// Takes a lock for an owner; whether nobody has it.
    fn lock(&self, py: Python<'_>, key: &str, owner: &str, ttl: f64) -> PyResult<bool> {
        let Ttl::For(ttl) = Ttl::new(Some(ttl)) else { return Ok(false) };
        let new = New { datum: token(owner), marks: None, ttl, pinned: true };
        Ok(self.backend.put(py, Area::Lock, key, new, When::Absent)? == Placed::Done)
    }

    /// Gives a lock back, if it is this owner's; whether it was.
    fn unlock(&self, py: Python<'_>, key: &str, owner: &str) -> PyResult<bool> {
        let Some(found) = self.backend.one(py, Area::Lock, key)? else { return Ok(false) };
        let condition = when(Some(&found));
        match found.datum {
            Datum::Encoded { bytes, .. } if *bytes == *owner.as_bytes() => {
                self.backend.delete(py, Area::Lock, key, condition)
            }
            _ => Ok(false),
        }
    }

    /// Seconds until a lock expires by itself; `None` where nobody has it.
    fn locked(&self, py: Python<'_>, key: &str) -> PyResult<Option<f64>> {
        let found = self.backend.one(py, Area::Lock, key)?;
        Ok(found.map(|found| found.left.map_or(f64::INFINITY, |left| left.as_secs_f64())))
    }

    /// The right to compute what is kept under a key, alone among all who share the store; or a place in the queue for
    /// it, to be given as `after` once it was waited for.
    #[pyo3(signature = (key, after=None, *, later=None))]
    fn hold(
        &self,
        py: Python<'_>,
        key: &str,
        after: Option<&Queued>,
        later: Option<&Bound<'_, Later>>,
    ) -> PyResult<Py<PyAny>> {
        turn::hold(py, self.backend.place(py, key)?, after, later)
    }

    /// A place in the queue for a lock; `None` where there is no queue, and it is to be asked for again and again.
    fn queue(&self, py: Python<'_>, key: &str) -> PyResult<Option<Queued>> {
        Ok(self.backend.vacancy(py, key)?.map(Queued::lock))
    }

    /// Carries out a command for `later`. Where nothing has to be waited for it is done at once.
    #[pyo3(signature = (method, args, kwargs=None, *, later))]
    fn errand(
        &self,
        py: Python<'_>,
        method: Py<PyString>,
        args: Py<PyTuple>,
        kwargs: Option<Py<PyDict>>,
        later: &Bound<'_, Later>,
    ) -> PyResult<()> {
        let journal = Arc::<Journal>::default();
        let inner = self.backend.apart(py, &journal).unwrap_or_else(|| self.backend.clone());
        let kv = Self {
            backend: Arc::new(Noting { inner, journal: Arc::clone(&journal) }),
            codec: self.codec.clone(),
            tally: self.tally.clone(),
            overlay: self.overlay.clone(),
            journal: Some(Arc::clone(&journal)),
        };
        let errand = Errand { kv: Py::new(py, kv)?, journal, method, args, kwargs };
        match errand.run(later).transpose() {
            Some(given) => later.get().settle(py, given),
            None => Ok(()),
        }
    }

    /// The entries as a transaction sees and changes them. What must be as it was read when that commits: `nothing`,
    /// what it has `changed`, or `everything`.
    fn begin(&self, checks: &str) -> PyResult<Self> {
        let checks = match checks {
            "nothing" => Checks::Nothing,
            "changed" => Checks::Changed,
            "everything" => Checks::Everything,
            _ => return Err(PyValueError::new_err("nothing, changed or everything")),
        };
        let overlay = Arc::new(Overlay::new(self.backend.clone(), checks));
        let backend: Arc<dyn Backend> = overlay.clone();
        Ok(Self {
            backend,
            codec: self.codec.clone(),
            tally: self.tally.clone(),
            overlay: Some(overlay),
            journal: None,
        })
    }

    /// Whether the transaction changes anything beside storing what was computed, and whether it does more than storing
    /// values.
    fn changes(&self, py: Python<'_>) -> PyResult<(bool, bool)> {
        self.overlay.as_ref().map_or(Ok((false, false)), |overlay| overlay.changes(py))
    }

    /// Has a value that the transaction sets stored only if these epochs do not move before it commits.
    fn fence(&self, py: Python<'_>, key: &str, fences: Vec<(String, i64)>) -> PyResult<()> {
        match &self.overlay {
            Some(overlay) if !fences.is_empty() => overlay.fence(py, key, fences.into()),
            _ => Ok(()),
        }
    }

    /// Makes the changes of the transaction, all together, and ends it; false, and nothing is changed, where what it
    /// rests on is not so any more.
    fn commit(&self, py: Python<'_>) -> PyResult<bool> {
        self.overlay.as_ref().map_or(Ok(true), |overlay| overlay.commit(py))
    }

    /// Ends the transaction without changing anything.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        self.overlay.as_ref().map_or(Ok(()), |overlay| overlay.end(py))
    }
}
