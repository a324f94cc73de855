//! Entries of a store kept in this process, in front of it.
//!
//! Invariant: what is given from here is what the store would give now. Every change of an entry is counted before it is
//! made and after (see [`Generation`]), by whatever process makes it; what is kept here is used only while the count of its
//! slot is what it was before the entry was read. So nobody is told anything, and there is nothing that could be lost,
//! come late, or be taken for one's own. Locks are never kept. What is not there is kept for tags only, most of which
//! were never taken back.
//!
//! A store whose folder is removed under running programs is the exception: its counters go with it. So one look in a
//! while goes to the store itself, which notices, and what was kept by other counters is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh::{Generation, Stamp, Vacancy, When};
use pyo3::prelude::*;
use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::backend::{Area, Backend, Change, Datum, Found, Marks, New, Page, Place, Placed};
use super::journal::{Journal, Noted};
use super::key::{Key, Query};
use super::stored::Stored;
use crate::attached::Attached;
use crate::errors::OrRaise;

/// What an entry costs beside its bytes.
const OVERHEAD: u64 = 200;

/// How long nothing but memory is looked at.
const TRUST: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) struct Front {
    store: Stored,
    generation: Generation,
    kept: Arc<Attached<Table>>,
    bytes: u64,
    /// Where a command that is run again for each answer notes what was kept, and by which counters it reads.
    journal: Option<Arc<Journal>>,
}

struct Table {
    cache: Cache<Key, Kept, Weigh>,
    /// Where the counters were by which everything in here was read.
    place: usize,
    /// When the store itself was looked at last.
    looked: Instant,
}

impl Table {
    fn new(bytes: u64, place: usize) -> Self {
        let entries = usize::try_from(bytes / (4 * OVERHEAD)).unwrap_or(usize::MAX).min(1 << 20);
        Self { cache: Cache::with_weighter(entries, bytes, Weigh), place, looked: Instant::now() }
    }
}

/// By which counters an entry is going to be read.
#[derive(Clone, Copy)]
struct Reading {
    stamp: Stamp,
    place: usize,
    /// When it began: what is left of a lifetime is counted from here.
    began: Instant,
}

/// What is known here of an entry: all of it, or how it is going to be read.
enum Look {
    Here(Option<Found>),
    Store(Option<Reading>),
}

impl Noted for Look {
    fn again(&self, py: Python<'_>) -> Self {
        match self {
            Self::Here(found) => Self::Here(found.again(py)),
            Self::Store(reading) => Self::Store(*reading),
        }
    }
}

/// An entry, or that there is none, as long as its stamp holds.
struct Kept {
    entry: Option<(Datum, Option<Marks>, u64)>,
    size: u64,
    end: Option<Instant>,
    stamp: Stamp,
}

impl Front {
    /// In front of a store whose changes are counted, with room for so many bytes.
    pub(crate) fn new(store: Stored, generation: Generation, bytes: u64) -> Self {
        let kept = Arc::new(Attached::new(Table::new(bytes, generation.place())));
        Self { store, generation, kept, bytes, journal: None }
    }

    /// What is kept and still so: an entry, or that there is none.
    fn here(&self, py: Python<'_>, area: Area, name: &str) -> Option<Option<Found>> {
        self.kept.with(py, |table| {
            let place = self.generation.place();
            if table.place != place {
                *table = Table::new(self.bytes, place);
            }
            let kept = table.cache.get(&Query { area, name })?;
            if !self.generation.holds(kept.stamp) {
                return None;
            }
            let now = Instant::now();
            if self.store.near() && now.duration_since(table.looked) > TRUST {
                table.looked = now;
                return None;
            }
            let Some((datum, marks, version)) = &kept.entry else { return Some(None) };
            let left = match kept.end {
                Some(end) => Some(end.checked_duration_since(now).filter(|left| !left.is_zero())?),
                None => None,
            };
            Some(Some(Found {
                datum: datum.clone_ref(py),
                marks: marks.clone(),
                left,
                pinned: false,
                version: *version,
                size: kept.size,
            }))
        })?
    }

    /// To be asked before the store is.
    fn reading(&self, py: Python<'_>, area: Area, name: &str) -> PyResult<Option<Reading>> {
        if area == Area::Lock {
            return Ok(None);
        }
        let place = self.generation.place();
        let stamp = self.generation.stamp_of(&self.store.key(area, name).or_raise(py)?);
        Ok(stamp.map(|stamp| Reading { stamp, place, began: Instant::now() }))
    }

    fn keep(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        reading: Option<Reading>,
        found: Option<&Found>,
    ) {
        let Some(Reading { stamp, place, began }) = reading else { return };
        if found.is_none() && area != Area::Tag {
            return;
        }
        let kept = Kept {
            entry: found
                .map(|found| (found.datum.clone_ref(py), found.marks.clone(), found.version)),
            size: found.map_or(0, |found| found.size),
            end: found.and_then(|found| found.left).and_then(|left| began.checked_add(left)),
            stamp,
        };
        self.kept.with(py, |table| {
            if table.place == place && self.generation.place() == place {
                table.cache.insert(Key { area, name: name.into() }, kept);
            }
        });
    }
}

impl Front {
    fn look(&self, py: Python<'_>, area: Area, names: &[&str]) -> PyResult<Vec<Look>> {
        let look = |name: &&str| match self.here(py, area, name) {
            Some(found) => Ok(Look::Here(found)),
            None => self.reading(py, area, name).map(Look::Store),
        };
        names.iter().map(look).collect()
    }
}

impl Backend for Front {
    fn near(&self) -> bool {
        self.store.near()
    }

    fn shares(&self) -> bool {
        false
    }

    fn counts(&self, name: &str) -> bool {
        self.store.counts(name)
    }

    fn one(&self, py: Python<'_>, area: Area, name: &str) -> PyResult<Option<Found>> {
        if self.journal.is_some() {
            return Ok(self.many(py, area, &[name])?.pop().flatten());
        }
        if let Some(found) = self.here(py, area, name) {
            return Ok(found);
        }
        let reading = self.reading(py, area, name)?;
        let found = self.store.one(py, area, name)?;
        self.keep(py, area, name, reading, found.as_ref());
        Ok(found)
    }

    fn many(&self, py: Python<'_>, area: Area, names: &[&str]) -> PyResult<Vec<Option<Found>>> {
        let looks = match &self.journal {
            Some(journal) => journal.part(py, || self.look(py, area, names))?,
            None => self.look(py, area, names)?,
        };
        let mut found = Vec::with_capacity(names.len());
        let mut missing = Vec::new();
        for (at, (name, look)) in names.iter().zip(looks).enumerate() {
            found.push(match look {
                Look::Here(found) => found,
                Look::Store(reading) => {
                    missing.push((at, *name, reading));
                    None
                }
            });
        }
        if !missing.is_empty() {
            let asked: Vec<&str> = missing.iter().map(|(_, name, _)| *name).collect();
            let given = self.store.many(py, area, &asked)?;
            for ((at, name, reading), entry) in missing.into_iter().zip(given) {
                self.keep(py, area, name, reading, entry.as_ref());
                if let Some(place) = found.get_mut(at) {
                    *place = entry;
                }
            }
        }
        Ok(found)
    }

    fn put(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        new: New,
        when: When,
    ) -> PyResult<Placed> {
        self.store.put(py, area, name, new, when)
    }

    fn add(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> PyResult<Option<i64>> {
        self.store.add(py, area, name, by, ttl)
    }

    fn delete(&self, py: Python<'_>, area: Area, name: &str, when: When) -> PyResult<bool> {
        self.store.delete(py, area, name, when)
    }

    fn page(
        &self,
        py: Python<'_>,
        prefix: &str,
        cursor: Option<&[u8]>,
        limit: usize,
    ) -> PyResult<Page> {
        self.store.page(py, prefix, cursor, limit)
    }

    fn place(&self, py: Python<'_>, name: &str) -> PyResult<Option<Place>> {
        self.store.place(py, name)
    }

    fn vacancy(&self, py: Python<'_>, name: &str) -> PyResult<Option<Vacancy>> {
        self.store.vacancy(py, name)
    }

    fn apart(&self, py: Python<'_>, journal: &Arc<Journal>) -> Option<Arc<dyn Backend>> {
        Some(Arc::new(Self {
            store: self.store.noted(py, journal)?,
            generation: self.generation.clone(),
            kept: Arc::clone(&self.kept),
            bytes: self.bytes,
            journal: Some(Arc::clone(journal)),
        }))
    }

    fn apply(&self, py: Python<'_>, changes: Vec<Change>) -> PyResult<bool> {
        self.store.apply(py, changes)
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.store.clear(py)
    }
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Key, Kept> for Weigh {
    fn weight(&self, key: &Key, kept: &Kept) -> u64 {
        OVERHEAD + key.name.len() as u64 + kept.size
    }
}
