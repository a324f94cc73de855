//! What a transaction sees and means to change, over the home of entries that it is about.
//!
//! It is a home of entries itself, so every command means in a transaction what it means outside of one, and a
//! transaction within another is an overlay over an overlay. Nothing below changes before [`Overlay::commit`], which
//! makes one batch of everything: conditional on the versions that were read, as far as [`Checks`] asks for that.
//! Lifetimes run from the command on, not from the commit. Locks are not part of it: they are taken and given back at
//! once.
//!
//! Once it has ended it is the home below: whoever still holds it writes nothing into the void.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh::{Version, When};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::backend::{Area, Backend, Change, Datum, Found, Marks, New, Page, Placed, Write, stage};
use super::journal::Journal;
use super::table::footprint;
use crate::attached::Attached;
use crate::warnings;

/// Versions of what is not stored yet begin here, where no store's do.
const OWN: u64 = 1 << 62;

/// What must still be as it was read when a transaction commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    Nothing,
    /// What it read and then changes.
    Changed,
    /// Whatever it read.
    Everything,
}

/// See the module.
pub(crate) struct Overlay {
    base: Arc<dyn Backend>,
    checks: Checks,
    /// Nothing once the transaction has ended.
    state: Arc<Attached<Option<State>>>,
}

#[derive(Default)]
struct State {
    values: BTreeMap<String, Slot>,
    tags: BTreeMap<String, Slot>,
    sequence: u64,
}

#[derive(Default)]
struct Slot {
    /// What was there when it was first read.
    seen: Option<When>,
    write: Pending,
    /// Epochs that must not move, or the value is not stored.
    fences: Option<Marks>,
}

#[derive(Default)]
enum Pending {
    #[default]
    Nothing,
    Put {
        datum: Datum,
        marks: Option<Marks>,
        end: Option<Instant>,
        pinned: bool,
        version: u64,
        size: u64,
    },
    Delete,
    /// To what is there.
    Add {
        by: i64,
        end: Option<Instant>,
        version: u64,
    },
}

/// What the overlay itself knows of an entry.
enum Known {
    Entry(Found),
    Gone,
    /// What is below, and so much more.
    More {
        by: i64,
        end: Option<Instant>,
        version: u64,
    },
    Nothing,
}

impl State {
    fn area(&mut self, area: Area) -> &mut BTreeMap<String, Slot> {
        match area {
            Area::Tag => &mut self.tags,
            Area::Value | Area::Lock => &mut self.values,
        }
    }

    fn slot(&mut self, area: Area, name: &str) -> &mut Slot {
        self.area(area).entry(name.to_owned()).or_default()
    }

    /// Says what is to become of an entry.
    fn write(&mut self, area: Area, name: &str, write: Pending) {
        let slot = self.slot(area, name);
        slot.write = write;
        slot.fences = None;
    }

    fn version(&mut self) -> u64 {
        self.sequence += 1;
        OWN + self.sequence
    }
}

impl Slot {
    fn known(&self, py: Python<'_>) -> Known {
        match &self.write {
            Pending::Nothing => Known::Nothing,
            Pending::Delete => Known::Gone,
            Pending::Add { by, end, version } => {
                Known::More { by: *by, end: *end, version: *version }
            }
            Pending::Put { datum, marks, end, pinned, version, size } => {
                let Ok(left) = left(*end) else { return Known::Gone };
                Known::Entry(Found {
                    datum: datum.clone_ref(py),
                    marks: marks.clone(),
                    left,
                    pinned: *pinned,
                    version: *version,
                    size: *size,
                })
            }
        }
    }
}

impl Slot {
    /// What is to become of the entry, and what must be as it was for that.
    fn change(self, area: Area, name: String, checks: Checks) -> Option<Change> {
        let when = match (checks, &self.write) {
            (Checks::Nothing, _) | (Checks::Changed, Pending::Nothing) => When::Always,
            // Who else has counted meanwhile loses nothing.
            (Checks::Changed, _) if area == Area::Tag => When::Always,
            _ => self.seen.unwrap_or(When::Always),
        };
        let write = match self.write {
            Pending::Nothing if when == When::Always => return None,
            Pending::Nothing => Write::Nothing,
            Pending::Delete => Write::Delete,
            Pending::Add { by, end, .. } => {
                // One that would begin now and has ended already lasts for as little as there is.
                let ttl = left(end).unwrap_or(Some(Duration::from_millis(1)));
                Write::Add { by, ttl }
            }
            Pending::Put { datum, marks, end, pinned, .. } => match left(end) {
                Ok(ttl) => Write::Put(New { datum, marks, ttl, pinned }),
                Err(Over) => Write::Delete,
            },
        };
        Some(Change { area, name, when, write, fences: self.fences })
    }
}

/// An end that has passed.
struct Over;

/// What is left until then.
fn left(end: Option<Instant>) -> Result<Option<Duration>, Over> {
    match end {
        None => Ok(None),
        Some(end) => match end.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(Over),
        },
    }
}

fn end(ttl: Option<Duration>) -> Option<Instant> {
    ttl.and_then(|ttl| Instant::now().checked_add(ttl))
}

fn version(found: Option<&Found>) -> Option<Version> {
    found.map(|found| Version(found.version))
}

impl Overlay {
    pub(crate) fn new(base: Arc<dyn Backend>, checks: Checks) -> Self {
        Self { base, checks, state: Arc::new(Attached::new(Some(State::default()))) }
    }

    /// What `work` makes of the state; `None` once the transaction has ended.
    fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&mut State) -> R) -> PyResult<Option<R>> {
        self.state
            .with(py, |state| state.as_mut().map(work))
            .ok_or_else(|| PyRuntimeError::new_err("the transaction is in use already"))
    }

    fn take(&self, py: Python<'_>) -> PyResult<Option<State>> {
        self.state
            .with(py, Option::take)
            .ok_or_else(|| PyRuntimeError::new_err("the transaction is in use already"))
    }

    /// Entries as the transaction sees them. What is `noted` is checked when it commits, if it is changed.
    fn look(
        &self,
        py: Python<'_>,
        area: Area,
        names: &[&str],
        noted: bool,
    ) -> PyResult<Vec<Option<Found>>> {
        let known = self.with(py, |state| {
            let slots = state.area(area);
            let known =
                |name: &&str| slots.get(*name).map_or(Known::Nothing, |slot| slot.known(py));
            names.iter().map(known).collect::<Vec<_>>()
        })?;
        let Some(known) = known.filter(|_| area != Area::Lock) else {
            return self.base.many(py, area, names);
        };
        let below: Vec<&str> = names
            .iter()
            .zip(&known)
            .filter(|(_, known)| matches!(known, Known::Nothing | Known::More { .. }))
            .map(|(name, _)| *name)
            .collect();
        let noted = noted || self.checks == Checks::Everything;
        let mut found = match (below.is_empty(), noted) {
            (true, _) => Vec::new(),
            (false, true) => self.base.many(py, area, &below)?,
            (false, false) => self.base.glances(py, area, &below)?,
        }
        .into_iter();
        if noted && !below.is_empty() {
            let versions: Vec<_> =
                found.as_slice().iter().map(|one| version(one.as_ref())).collect();
            self.with(py, |state| {
                for (name, version) in below.iter().zip(versions) {
                    // Deletions are counted under names that nobody can give a tag; no value rests on them.
                    if area == Area::Tag && name.starts_with('\0') {
                        continue;
                    }
                    let when = version.map_or(When::Absent, When::Is);
                    state.slot(area, name).seen.get_or_insert(when);
                }
            })?;
        }
        let see = |known| match known {
            Known::Entry(found) => Some(found),
            Known::Gone => None,
            Known::Nothing => found.next().flatten(),
            Known::More { by, end, version } => more(found.next().flatten(), by, end, version),
        };
        Ok(known.into_iter().map(see).collect())
    }

    fn see(&self, py: Python<'_>, area: Area, name: &str, noted: bool) -> PyResult<Option<Found>> {
        Ok(self.look(py, area, &[name], noted)?.pop().flatten())
    }

    /// Has a value stored only if these epochs do not move before it is.
    pub(crate) fn fence(&self, py: Python<'_>, name: &str, fences: Marks) -> PyResult<()> {
        self.with(py, |state| state.slot(Area::Value, name).fences = Some(fences)).map(drop)
    }

    /// What a commit would do: whether it changes anything beside storing what was computed, and whether it does more
    /// than storing values.
    pub(crate) fn changes(&self, py: Python<'_>) -> PyResult<(bool, bool)> {
        let changes = self.with(py, |state| {
            let slots = || state.values.values().chain(state.tags.values());
            let own = slots()
                .any(|slot| !matches!(slot.write, Pending::Nothing) && slot.fences.is_none());
            let more =
                slots().any(|slot| matches!(slot.write, Pending::Delete | Pending::Add { .. }));
            (own, more)
        })?;
        Ok(changes.unwrap_or_default())
    }

    /// Forgets everything; from now on this is the home below.
    pub(crate) fn end(&self, py: Python<'_>) -> PyResult<()> {
        self.take(py).map(drop)
    }

    /// Makes all changes together and ends the transaction; whether everything that it rests on was still so. If not,
    /// nothing is changed.
    pub(crate) fn commit(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(state) = self.take(py)? else { return Ok(true) };
        let (computed, values): (Vec<_>, Vec<_>) =
            state.values.into_iter().partition(|(_, slot)| slot.fences.is_some());
        let tags = state.tags.into_iter().map(|slot| (Area::Tag, slot));
        let values = values.into_iter().map(|slot| (Area::Value, slot));
        let changes: Vec<_> = tags
            .chain(values)
            .filter_map(|(area, (name, slot))| slot.change(area, name, self.checks))
            .collect();
        if !changes.is_empty() && !self.base.apply(py, changes)? {
            return Ok(false);
        }
        // What was computed is worth storing and not worth a conflict.
        for (name, slot) in computed {
            if let Err(error) = self.store(py, name, slot) {
                warnings::push(format!("a computed value could not be stored: {error}"));
                break;
            }
        }
        Ok(true)
    }

    /// Stores a computed value, unless it was deleted meanwhile, or something else is there now.
    fn store(&self, py: Python<'_>, name: String, slot: Slot) -> PyResult<()> {
        let Some(fences) = slot.fences.clone() else { return Ok(()) };
        let base = self.base.as_ref();
        let Some(change) = slot.change(Area::Value, name.clone(), Checks::Everything) else {
            return Ok(());
        };
        // Whoever deletes counts first and deletes then. So a deletion is either seen here, before or after storing, or
        // comes after it and takes away what was stored.
        if holds(py, base, &fences)? && base.apply(py, vec![change])? && !holds(py, base, &fences)?
        {
            base.delete(py, Area::Value, &name, When::Always)?;
        }
        Ok(())
    }
}

/// A counter that more was added to.
fn more(below: Option<Found>, by: i64, end: Option<Instant>, version: u64) -> Option<Found> {
    let Some(mut found) = below else {
        let left = left(end).ok()?;
        return Some(Found {
            datum: Datum::Count(by),
            marks: None,
            left,
            pinned: true,
            version,
            size: 8,
        });
    };
    if let Datum::Count(count) = found.datum {
        found.datum = Datum::Count(count.saturating_add(by));
        // Different from what is below, and from what it was before this transaction added to it again.
        found.version = version;
    }
    Some(found)
}

/// Whether epochs are as they were.
fn holds(py: Python<'_>, base: &dyn Backend, fences: &Marks) -> PyResult<bool> {
    let names: Vec<&str> = fences.iter().map(|(name, _)| name.as_str()).collect();
    let found = base.glances(py, Area::Tag, &names)?;
    Ok(fences.iter().zip(found).all(|((_, then), found)| {
        let now = match found.map(|found| found.datum) {
            Some(Datum::Count(epoch)) => epoch,
            _ => 0,
        };
        now == *then
    }))
}

impl Backend for Overlay {
    fn near(&self) -> bool {
        self.base.near()
    }

    fn shares(&self) -> bool {
        self.base.shares()
    }

    fn counts(&self, name: &str) -> bool {
        self.base.counts(name)
    }

    fn apart(&self, py: Python<'_>, journal: &Arc<Journal>) -> Option<Arc<dyn Backend>> {
        let base = self.base.apart(py, journal)?;
        Some(Arc::new(Self { base, checks: self.checks, state: Arc::clone(&self.state) }))
    }

    fn one(&self, py: Python<'_>, area: Area, name: &str) -> PyResult<Option<Found>> {
        self.see(py, area, name, true)
    }

    fn many(&self, py: Python<'_>, area: Area, names: &[&str]) -> PyResult<Vec<Option<Found>>> {
        self.look(py, area, names, true)
    }

    fn glances(&self, py: Python<'_>, area: Area, names: &[&str]) -> PyResult<Vec<Option<Found>>> {
        self.look(py, area, names, false)
    }

    fn put(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        new: New,
        when: When,
    ) -> PyResult<Placed> {
        let ended = self.with(py, |_| ())?.is_none();
        if area == Area::Lock || ended {
            return self.base.put(py, area, name, new, when);
        }
        if when != When::Always && !when.holds(version(self.see(py, area, name, true)?.as_ref())) {
            return Ok(Placed::Refused);
        }
        let New { datum, marks, ttl, pinned } = new;
        let size = footprint(py, &datum);
        self.with(py, |state| {
            let version = state.version();
            let put = Pending::Put { datum, marks, end: end(ttl), pinned, version, size };
            state.write(area, name, put);
        })?;
        Ok(Placed::Done)
    }

    fn add(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> PyResult<Option<i64>> {
        if self.with(py, |_| ())?.is_none() {
            return self.base.add(py, area, name, by, ttl);
        }
        let found = self.see(py, area, name, false)?;
        if found.as_ref().is_some_and(|found| found.marks.is_some()) {
            return Ok(None);
        }
        let (count, left) = match found.map(|found| (found.datum, found.left)) {
            None => (by, ttl),
            Some((Datum::Count(count), left)) => (count.saturating_add(by), left),
            Some(_) => return Ok(None),
        };
        self.with(py, |state| {
            let version = state.version();
            let write = match state.slot(area, name).write {
                // Whatever is there below is added to.
                Pending::Nothing => Pending::Add { by, end: end(ttl), version },
                Pending::Add { by: before, end, .. } => {
                    Pending::Add { by: before.saturating_add(by), end, version }
                }
                Pending::Put { .. } | Pending::Delete => Pending::Put {
                    datum: Datum::Count(count),
                    marks: None,
                    end: end(left),
                    pinned: true,
                    version,
                    size: 8,
                },
            };
            state.write(area, name, write);
        })?;
        Ok(Some(count))
    }

    fn delete(&self, py: Python<'_>, area: Area, name: &str, when: When) -> PyResult<bool> {
        let ended = self.with(py, |_| ())?.is_none();
        if area == Area::Lock || ended {
            return self.base.delete(py, area, name, when);
        }
        if when != When::Always && !when.holds(version(self.see(py, area, name, false)?.as_ref())) {
            return Ok(false);
        }
        self.with(py, |state| state.write(area, name, Pending::Delete))?;
        Ok(true)
    }

    /// First what is below and not changed here, then what is.
    fn page(
        &self,
        py: Python<'_>,
        prefix: &str,
        cursor: Option<&[u8]>,
        limit: usize,
    ) -> PyResult<Page> {
        let (own, cursor) = stage(cursor);
        if !own {
            let (found, next) = self.base.page(py, prefix, cursor, limit)?;
            let found = self.with(py, |state| {
                let mut kept = Vec::with_capacity(found.len());
                for (name, entry) in found {
                    let slot = state.slot(Area::Value, &name);
                    if matches!(slot.write, Pending::Nothing) {
                        slot.seen.get_or_insert(When::Is(Version(entry.version)));
                        kept.push((name, entry));
                    }
                }
                kept
            })?;
            let Some(found) = found else {
                return Err(PyRuntimeError::new_err("the transaction ended within a scan"));
            };
            let next = next.map_or_else(|| vec![1], |next| [&[0], next.as_slice()].concat());
            return Ok((found, Some(next)));
        }
        let after = cursor.map(|cursor| String::from_utf8_lossy(cursor).into_owned());
        let names = self.with(py, |state| {
            let from = after.as_ref().map_or(Unbounded, Excluded);
            let changed = state.values.range::<String, _>((from, Unbounded));
            let changed = changed.filter(|(name, slot)| {
                name.starts_with(prefix) && !matches!(slot.write, Pending::Nothing)
            });
            changed.map(|(name, _)| name.clone()).take(limit).collect::<Vec<_>>()
        })?;
        let names = names.unwrap_or_default();
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = self.look(py, Area::Value, &texts, true)?;
        let next = match names.last() {
            Some(last) if names.len() == limit => Some([&[1], last.as_bytes()].concat()),
            _ => None,
        };
        let found = names.into_iter().zip(found);
        Ok((found.filter_map(|(name, found)| Some((name, found?))).collect(), next))
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let mut cursor = None;
        loop {
            let (found, next) = self.page(py, "", cursor.as_deref(), 1000)?;
            for (name, _) in found {
                self.delete(py, Area::Value, &name, When::Always)?;
            }
            match next {
                Some(_) => cursor = next,
                None => return Ok(()),
            }
        }
    }

    /// What a transaction within this one has done.
    fn apply(&self, py: Python<'_>, changes: Vec<Change>) -> PyResult<bool> {
        if self.with(py, |_| ())?.is_none() {
            return self.base.apply(py, changes);
        }
        for change in &changes {
            let found = self.see(py, change.area, &change.name, change.when != When::Always)?;
            if !change.when.holds(version(found.as_ref())) {
                return Ok(false);
            }
        }
        for Change { area, name, write, fences, .. } in changes {
            match write {
                Write::Nothing => continue,
                Write::Put(new) => {
                    self.put(py, area, &name, new, When::Always)?;
                }
                Write::Delete => {
                    self.delete(py, area, &name, When::Always)?;
                }
                Write::Add { by, ttl } => {
                    self.add(py, area, &name, by, ttl)?;
                }
            }
            if let Some(fences) = fences {
                self.fence(py, &name, fences)?;
            }
        }
        Ok(true)
    }
}
