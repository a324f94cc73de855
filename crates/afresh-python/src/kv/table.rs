//! Entries in this process's memory.
//!
//! Bounded by entries and bytes at once: an entry weighs what it takes, and at least its share of the bytes, so that
//! neither bound can be passed. What is used once does not drive out what is used often (S3-FIFO, by `quick_cache`);
//! counters, locks and epochs weigh nothing and are never driven out. Expiry is judged at each look, by a clock that
//! nobody sets. What has expired and is not asked for is given back by a hand that goes over a few rows with each
//! write: no thread, no work while idle, no pause.
//!
//! Invariant: `index` has exactly the rows of `rows`. A value is an immutable scalar, a tuple of those, or bytes, so that
//! dropping one never runs code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh::{Version, When};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

use super::backend::{Area, Backend, Change, Datum, Found, Marks, New, Page, Placed, Write};
use super::key::{Key, Query};
use crate::attached::Attached;

/// What an entry costs beside its name and value: a row, a place in the index, allocations.
const OVERHEAD: u64 = 200;

/// Rows that the hand passes with each write.
const STEP: usize = 4;

/// Room that is asked for at once, so that a growing table is never copied. It costs nothing until it is used.
const READY: usize = 2 << 20;

/// Rows that one page looks at.
const LOOKS: usize = 4096;

/// See the module.
pub(crate) struct Memory(Attached<Table>);

impl Memory {
    pub(crate) fn new(entries: u64, bytes: u64) -> Self {
        Self(Attached::new(Table::new(entries, bytes)))
    }

    fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&mut Table) -> R) -> PyResult<R> {
        self.0.with(py, work).ok_or_else(|| PyRuntimeError::new_err("the cache is in use already"))
    }
}

struct Row {
    name: Arc<str>,
    area: Area,
    datum: Datum,
    marks: Option<Marks>,
    version: u64,
    end: Option<Instant>,
    size: u64,
    pinned: bool,
    /// Which place in the index is its own.
    stamp: u64,
}

impl Row {
    fn lives(&self, now: impl FnOnce() -> Instant) -> bool {
        self.end.is_none_or(|end| end > now())
    }

    fn found(&self, py: Python<'_>) -> Option<Found> {
        let left = match self.end {
            Some(end) => Some(end.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())?),
            None => None,
        };
        Some(Found {
            datum: self.datum.clone_ref(py),
            marks: self.marks.clone(),
            left,
            pinned: self.pinned,
            version: self.version,
            size: self.size,
        })
    }
}

struct Table {
    index: Cache<Key, Place, Weigh, DefaultHashBuilder, Gone>,
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
    hand: usize,
    sequence: u64,
    entries: u64,
    bytes: u64,
}

impl Table {
    fn new(entries: u64, bytes: u64) -> Self {
        let (entries, bytes) = (entries.max(1), bytes.max(1));
        let expected = usize::try_from(entries).unwrap_or(usize::MAX).min(READY);
        let mut index = Cache::with(expected, bytes, Weigh, DefaultHashBuilder::default(), Gone);
        // Twice what there will be: names of the evicted are remembered for a while, and a table that is half
        // empty never has to be made anew.
        index.reserve(expected * 2);
        Self {
            index,
            rows: Vec::with_capacity(expected),
            free: Vec::new(),
            hand: 0,
            sequence: 0,
            entries,
            bytes,
        }
    }

    fn find(&self, area: Area, name: &str) -> Option<&Row> {
        let place = self.index.get(&Query { area, name })?;
        self.rows.get(place.row as usize)?.as_ref()
    }

    fn live(&self, area: Area, name: &str) -> Option<&Row> {
        self.find(area, name).filter(|row| row.lives(Instant::now))
    }

    fn take(&mut self, area: Area, name: &str) {
        if let Some((_, place)) = self.index.remove(&Query { area, name }) {
            self.release(place);
        }
    }

    fn release(&mut self, place: Place) {
        // The index also tells of places that it has just replaced; the row is not theirs any more.
        if let Some(slot) = self.rows.get_mut(place.row as usize)
            && slot.as_ref().is_some_and(|row| row.stamp == place.stamp)
        {
            *slot = None;
            self.free.push(place.row);
        }
    }

    /// Puts an entry whose value takes so many bytes.
    fn put(&mut self, area: Area, name: &str, new: New, value: u64) -> Placed {
        self.sweep();
        self.sequence += 1;
        let version = self.sequence;
        let New { datum, marks, ttl, pinned } = new;
        let end = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        let size = OVERHEAD + 2 * name.len() as u64 + value;
        let weight = if pinned { 0 } else { size.max(self.bytes.div_ceil(self.entries)) };
        let old = self.index.get(&Query { area, name }).copied();
        let at = match old {
            Some(place) => place.row,
            None => self.free.pop().unwrap_or_else(|| {
                self.rows.push(None);
                // Rows of more than 32 bits would be hundreds of gigabytes.
                u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
            }),
        };
        let Some(slot) = self.rows.get_mut(at as usize) else { return Placed::NoRoom };
        let name: Arc<str> = slot.as_ref().map_or_else(|| name.into(), |row| row.name.clone());
        let same = old.filter(|place| place.weight == weight);
        let stamp = same.map_or(version, |place| place.stamp);
        *slot =
            Some(Row { name: name.clone(), area, datum, marks, version, end, size, pinned, stamp });
        if same.is_none() {
            self.insert(Key { area, name }, Place { row: at, weight, stamp });
        }
        match self.rows.get(at as usize) {
            Some(Some(_)) => Placed::Done,
            _ => Placed::NoRoom,
        }
    }

    fn insert(&mut self, key: Key, place: Place) {
        let mut gone = Vec::new();
        self.index.insert_with_lifecycle(key, place, &mut gone);
        for place in gone {
            self.release(place);
        }
    }

    /// Adds to a counter, which begins with `ttl`; `None` where something else is there.
    fn add(&mut self, area: Area, name: &str, by: i64, ttl: Option<Duration>) -> Option<i64> {
        let Some(row) = self.live(area, name) else {
            let new = New { datum: Datum::Count(by), marks: None, ttl, pinned: true };
            self.put(area, name, new, 0);
            return Some(by);
        };
        let Datum::Count(count) = row.datum else { return None };
        if row.marks.is_some() {
            return None;
        }
        let count = count.saturating_add(by);
        let place = self.index.get(&Query { area, name }).copied()?;
        let name = row.name.clone();
        self.sequence += 1;
        if let Some(Some(row)) = self.rows.get_mut(place.row as usize) {
            row.datum = Datum::Count(count);
            row.version = self.sequence;
            row.pinned = true;
            if place.weight != 0 {
                let stamp = row.version;
                row.stamp = stamp;
                self.insert(Key { area, name }, Place { row: place.row, weight: 0, stamp });
            }
        }
        Some(count)
    }

    /// Whether a change may be made: its condition holds, and a counter is added to.
    fn admits(&self, change: &Change) -> bool {
        let row = self.live(change.area, &change.name);
        let counts = |row: &Row| matches!(row.datum, Datum::Count(_)) && row.marks.is_none();
        change.when.holds(row.map(|row| Version(row.version)))
            && (!matches!(change.write, Write::Add { .. }) || row.is_none_or(counts))
    }

    /// Moves the hand on.
    fn sweep(&mut self) {
        let mut now = None;
        for _ in 0..STEP.min(self.rows.len()) {
            self.hand = if self.hand + 1 < self.rows.len() { self.hand + 1 } else { 0 };
            let Some(Some(row)) = self.rows.get(self.hand) else { continue };
            if !row.lives(|| *now.get_or_insert_with(Instant::now)) {
                let (area, name) = (row.area, row.name.clone());
                self.take(area, &name);
            }
        }
    }
}

impl Backend for Memory {
    fn near(&self) -> bool {
        true
    }

    fn shares(&self) -> bool {
        true
    }

    fn counts(&self, _: &str) -> bool {
        true
    }

    #[inline]
    fn one(&self, py: Python<'_>, area: Area, name: &str) -> PyResult<Option<Found>> {
        self.with(py, |table| table.find(area, name).and_then(|row| row.found(py)))
    }

    fn many(&self, py: Python<'_>, area: Area, names: &[&str]) -> PyResult<Vec<Option<Found>>> {
        names.iter().map(|name| self.one(py, area, name)).collect()
    }

    fn put(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        new: New,
        when: When,
    ) -> PyResult<Placed> {
        // Asked while the table is not in use: it may run code of Python's.
        let value = footprint(py, &new.datum);
        self.with(py, |table| {
            let holds = when == When::Always
                || when.holds(table.live(area, name).map(|row| Version(row.version)));
            if holds { table.put(area, name, new, value) } else { Placed::Refused }
        })
    }

    fn add(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> PyResult<Option<i64>> {
        self.with(py, |table| table.add(area, name, by, ttl))
    }

    fn apply(&self, py: Python<'_>, changes: Vec<Change>) -> PyResult<bool> {
        // Asked while the table is not in use, as in `put`.
        let size = |change: &Change| match &change.write {
            Write::Put(new) => footprint(py, &new.datum),
            _ => 0,
        };
        let sizes: Vec<u64> = changes.iter().map(size).collect();
        self.with(py, |table| {
            if !changes.iter().all(|change| table.admits(change)) {
                return false;
            }
            for (Change { area, name, write, .. }, size) in changes.into_iter().zip(sizes) {
                match write {
                    Write::Nothing => {}
                    Write::Put(new) => {
                        table.put(area, &name, new, size);
                    }
                    Write::Delete => table.take(area, &name),
                    Write::Add { by, ttl } => {
                        table.add(area, &name, by, ttl);
                    }
                }
            }
            true
        })
    }

    fn delete(&self, py: Python<'_>, area: Area, name: &str, when: When) -> PyResult<bool> {
        self.with(py, |table| {
            let holds = when.holds(table.live(area, name).map(|row| Version(row.version)));
            if holds {
                table.take(area, name);
            }
            holds
        })
    }

    fn page(
        &self,
        py: Python<'_>,
        prefix: &str,
        cursor: Option<&[u8]>,
        limit: usize,
    ) -> PyResult<Page> {
        let start = cursor.and_then(|at| at.first_chunk()).map_or(0, |at| u64::from_le_bytes(*at));
        let mut at = usize::try_from(start).unwrap_or(usize::MAX);
        self.with(py, |table| {
            let mut found = Vec::new();
            let end = at.saturating_add(LOOKS);
            while found.len() < limit && at < end {
                let Some(row) = table.rows.get(at) else { return (found, None) };
                at += 1;
                if let Some(row) = row
                    && row.area == Area::Value
                    && row.name.starts_with(prefix)
                    && let Some(entry) = row.found(py)
                {
                    found.push((row.name.to_string(), entry));
                }
            }
            (found, Some((at as u64).to_le_bytes().to_vec()))
        })
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let names = self.with(py, |table| {
            let values = table.rows.iter().flatten().filter(|row| row.area == Area::Value);
            values.map(|row| row.name.clone()).collect::<Vec<_>>()
        })?;
        self.with(py, |table| names.iter().for_each(|name| table.take(Area::Value, name)))
    }
}

/// Bytes that a value takes, roughly.
pub(crate) fn footprint(py: Python<'_>, datum: &Datum) -> u64 {
    let size = match datum {
        Datum::Count(_) | Datum::Unreadable => 0,
        Datum::Encoded { bytes, .. } => bytes.len(),
        Datum::Shared(value) => {
            let value = value.bind(py);
            if value.is_exact_instance_of::<PyString>() || value.is_exact_instance_of::<PyBytes>() {
                match value.len().unwrap_or(0) {
                    // Long ones say how wide their characters are.
                    len @ 65.. => value
                        .call_method0(intern!(py, "__sizeof__"))
                        .and_then(|size| size.extract())
                        .unwrap_or(len * 4),
                    len => 48 + len,
                }
            } else {
                value.cast_exact::<PyTuple>().map_or(32, |tuple| 64 + 64 * tuple.len())
            }
        }
    };
    size as u64
}

#[derive(Clone, Copy)]
struct Place {
    row: u32,
    weight: u64,
    stamp: u64,
}

struct Weigh;

impl Weighter<Key, Place> for Weigh {
    fn weight(&self, _: &Key, place: &Place) -> u64 {
        place.weight
    }
}

/// Gathers what had to go.
struct Gone;

impl Lifecycle<Key, Place> for Gone {
    type RequestState = Vec<Place>;

    fn on_evict(&self, gone: &mut Vec<Place>, _: Key, place: Place) {
        gone.push(place);
    }
}
