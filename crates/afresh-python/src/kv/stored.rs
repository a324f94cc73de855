//! Entries in any store of afresh.
//!
//! Invariant: every operation is one call of the store, so what is atomic there is atomic here. What cannot be read (of
//! another format, damaged, not signed with our secret) is found as such, with a warning, and may be overwritten.

use std::sync::Arc;
use std::time::Duration;

use afresh::{
    Applied, Batch, Bytes, Entry, Error, Fingerprint, Generation, Key, Kind, NewEntry, Op, Result,
    Scan, Space, Vacancy, Value, Version, When,
};
use pollster::block_on;
use pyo3::prelude::*;

use super::backend::{Area, Backend, Change, Datum, Found, New, Page, Place, Placed, Write, stage};
use super::journal::{Answer, Answered, Journal, Question};
use super::record::{Record, Seal};
use crate::engine::Engine;
use crate::errors::{OrRaise, raise};
use crate::warnings;

/// The longest name that is part of a key. Keys of a store have at most 512 bytes; a longer name is in the record, and
/// its digest in the key.
const LONGEST: usize = 320;

/// What the locks for computations are made of, beside name and key.
const HOLD: &str = "afresh 2026-11-21 right to compute a key-value entry v1";

/// See the module.
pub(crate) struct Stored {
    engine: Py<Engine>,
    near: bool,
    atomic: bool,
    /// Whether its locks are leases: told of, and waited for.
    leases: bool,
    /// The name of the cache.
    name: String,
    seal: Option<Seal>,
    /// Where a command that is run again for each answer has them from.
    journal: Option<Arc<Journal>>,
}

impl Stored {
    pub(crate) fn new(
        py: Python<'_>,
        engine: Py<Engine>,
        name: String,
        seal: Option<Seal>,
    ) -> PyResult<Self> {
        let opened = engine.get().get(py)?;
        let capabilities = opened.store().info().capabilities;
        let (near, atomic, leases) = (capabilities.near, capabilities.atomic, opened.leases());
        Ok(Self { engine, near, atomic, leases, name, seal, journal: None })
    }

    /// The same, asked by a command that is run again for each answer; `None` where the store is none on a server.
    pub(crate) fn noted(&self, py: Python<'_>, journal: &Arc<Journal>) -> Option<Self> {
        self.engine.get().is_far().then(|| Self {
            engine: self.engine.clone_ref(py),
            name: self.name.clone(),
            seal: self.seal.clone(),
            journal: Some(Arc::clone(journal)),
            ..*self
        })
    }

    fn ask(&self, py: Python<'_>, question: Question) -> PyResult<Answered> {
        let engine = self.engine.get().get(py)?;
        match &self.journal {
            Some(journal) => journal.ask(py, &engine, question),
            None => Ok(py.detach(|| block_on(question.put_to(&engine)))),
        }
    }

    fn look(&self, py: Python<'_>, keys: Vec<Key>) -> PyResult<Vec<Option<Entry>>> {
        match self.ask(py, Question::Get(keys))?.map_err(|error| raise(py, &error))? {
            Answer::Found(found) => Ok(found),
            Answer::Applied(_) | Answer::Page(_) => Err(raise(py, &mixed_up())),
        }
    }

    fn scan(&self, py: Python<'_>, scan: &Scan) -> PyResult<afresh::Page> {
        match self.ask(py, Question::Scan(scan.clone()))?.map_err(|error| raise(py, &error))? {
            Answer::Page(page) => Ok(page),
            Answer::Applied(_) | Answer::Found(_) => Err(raise(py, &mixed_up())),
        }
    }

    /// Makes changes. `None` where something else is there than a counter, and `adds` to one is among them.
    fn make(&self, py: Python<'_>, ops: Vec<Op>, adds: bool) -> PyResult<Option<Applied>> {
        let batch = Batch { objects: Vec::new(), ops };
        match self.ask(py, Question::Apply(batch))? {
            Ok(Answer::Applied(applied)) => Ok(Some(applied)),
            Err(error) if adds && error.kind() == Kind::Config => Ok(None),
            Err(error) => Err(raise(py, &error)),
            Ok(_) => Err(raise(py, &mixed_up())),
        }
    }

    /// The counters of changes of the store, if they tell of all changes of entries.
    pub(crate) fn generation(&self, py: Python<'_>) -> PyResult<Option<Generation>> {
        let engine = self.engine.get().get(py)?;
        let store = engine.store();
        Ok(store.generation().filter(|_| store.counts_entries()))
    }

    /// What the keys of an area begin with. Names that are too long have a place of their own.
    fn folder(&self, area: Area, long: bool) -> String {
        let letter = match area {
            Area::Value => 'v',
            Area::Lock => 'l',
            Area::Tag => 't',
        };
        let long = if long { "#" } else { "" };
        format!("k{letter}{long}/{}/", self.name)
    }

    pub(crate) fn key(&self, area: Area, name: &str) -> Result<Key> {
        let space = match area {
            Area::Tag => Space::Count,
            Area::Lock if self.leases => Space::Lease,
            Area::Lock | Area::Value => Space::Named,
        };
        let mut key = self.folder(area, is_long(name)).into_bytes();
        if is_long(name) {
            key.extend_from_slice(blake3::hash(name.as_bytes()).as_bytes());
        } else {
            key.extend_from_slice(name.as_bytes());
        }
        Key::new(space, key)
    }

    /// The entry and the name in its record.
    fn found(&self, key: &Key, entry: Entry) -> (Found, Option<String>) {
        let Entry { version: Version(version), value, ttl: left, .. } = entry;
        let found = |datum, marks, size| Found { datum, marks, left, pinned: false, version, size };
        let bytes = match value {
            Value::Count(count) if self.seal.is_none() || key.space() == Space::Count => {
                return (found(Datum::Count(count), None, 8), None);
            }
            Value::Record(bytes) => bytes,
            // With a secret none is written where values are, as a number cannot be signed.
            Value::Count(_) => Bytes::new(),
        };
        let Some(record) = Record::decode(key.bytes(), &bytes, self.seal.as_ref()) else {
            warnings::push(
                "a stored value is damaged, of another format, or not signed with our secret; it is taken as absent"
                    .to_owned(),
            );
            return (found(Datum::Unreadable, None, bytes.len() as u64), None);
        };
        let marks = (!record.marks.is_empty()).then(|| record.marks.clone().into());
        let datum =
            Datum::Encoded { codec: record.codec.into(), bytes: bytes.slice_ref(record.data) };
        let name = record.name.map(str::to_owned);
        (found(datum, marks, bytes.len() as u64), name)
    }

    /// What is put under a key; `None` for what only memory can keep.
    fn entry(&self, key: &Key, name: &str, new: &New) -> Result<Option<NewEntry>> {
        let value = match &new.datum {
            Datum::Count(count) => Value::Count(*count),
            Datum::Encoded { codec, bytes } => {
                let record = Record {
                    codec,
                    name: is_long(name).then_some(name),
                    marks: new.marks.as_ref().map_or_else(Vec::new, |marks| marks.to_vec()),
                    signature: None,
                    data: bytes,
                };
                Value::Record(record.encode(key.bytes(), self.seal.as_ref())?)
            }
            Datum::Shared(_) | Datum::Unreadable => return Ok(None),
        };
        Ok(Some(NewEntry { value, ttl: new.ttl, ..NewEntry::record(Bytes::new()) }))
    }

    /// The operations of a batch: where it may stop in the middle, all conditions are looked at first.
    fn ops(&self, changes: Vec<Change>) -> Result<Vec<Op>> {
        let (mut checks, mut ops) = (Vec::new(), Vec::new());
        for Change { area, name, when, write, .. } in changes {
            let key = self.key(area, &name)?;
            let carries = matches!(write, Write::Put(_) | Write::Delete);
            if when != When::Always && !(carries && self.atomic) {
                checks.push(Op::Check { key: key.clone(), when });
            }
            match write {
                Write::Nothing => {}
                Write::Put(new) => {
                    if let Some(entry) = self.entry(&key, &name, &new)? {
                        ops.push(Op::Put { key, entry, when });
                    }
                }
                Write::Delete => ops.push(Op::Delete { key, when }),
                Write::Add { by, ttl } => ops.push(Op::Add { key, by, ttl }),
            }
        }
        checks.append(&mut ops);
        Ok(checks)
    }

    /// Makes one change; whether its condition held.
    fn change(&self, py: Python<'_>, op: Op) -> PyResult<bool> {
        Ok(matches!(self.make(py, vec![op], false)?, Some(Applied::All(_))))
    }
}

fn mixed_up() -> Error {
    Error::new(Kind::Corrupt, "the store has answered another question")
}

fn is_long(name: &str) -> bool {
    name.len() > LONGEST
}

impl Backend for Stored {
    fn near(&self) -> bool {
        self.near
    }

    fn shares(&self) -> bool {
        false
    }

    fn counts(&self, name: &str) -> bool {
        // A counter has no room for a signature, nor for a name that is not its key.
        self.seal.is_none() && !is_long(name)
    }

    fn one(&self, py: Python<'_>, area: Area, name: &str) -> PyResult<Option<Found>> {
        Ok(self.many(py, area, &[name])?.pop().flatten())
    }

    fn many(&self, py: Python<'_>, area: Area, names: &[&str]) -> PyResult<Vec<Option<Found>>> {
        let keys: Vec<Key> =
            names.iter().map(|name| self.key(area, name)).collect::<Result<_>>().or_raise(py)?;
        let found = self.look(py, keys.clone())?;
        Ok(keys.iter().zip(found).map(|(key, entry)| Some(self.found(key, entry?).0)).collect())
    }

    fn place(&self, py: Python<'_>, name: &str) -> PyResult<Option<Place>> {
        let mut hasher = blake3::Hasher::new_derive_key(HOLD);
        hasher.update(self.folder(Area::Value, false).as_bytes()).update(name.as_bytes());
        let fingerprint = Fingerprint::new(*hasher.finalize().as_bytes());
        Ok(Some((self.engine.get().get(py)?, fingerprint)))
    }

    fn vacancy(&self, py: Python<'_>, name: &str) -> PyResult<Option<Vacancy>> {
        if !self.leases {
            return Ok(None);
        }
        let key = self.key(Area::Lock, name).or_raise(py)?;
        Ok(self.engine.get().get(py)?.vacancy(&key))
    }

    fn apart(&self, py: Python<'_>, journal: &Arc<Journal>) -> Option<Arc<dyn Backend>> {
        Some(Arc::new(self.noted(py, journal)?))
    }

    fn put(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        new: New,
        when: When,
    ) -> PyResult<Placed> {
        let key = self.key(area, name).or_raise(py)?;
        let Some(entry) = self.entry(&key, name, &new).or_raise(py)? else {
            return Ok(Placed::Refused);
        };
        let done = self.change(py, Op::Put { key, entry, when })?;
        Ok(if done { Placed::Done } else { Placed::Refused })
    }

    fn add(
        &self,
        py: Python<'_>,
        area: Area,
        name: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> PyResult<Option<i64>> {
        let key = self.key(area, name).or_raise(py)?;
        Ok(match self.make(py, vec![Op::Add { key, by, ttl }], true)? {
            Some(Applied::All(done)) => done.first().and_then(|done| done.count),
            _ => None,
        })
    }

    fn delete(&self, py: Python<'_>, area: Area, name: &str, when: When) -> PyResult<bool> {
        let key = self.key(area, name).or_raise(py)?;
        self.change(py, Op::Delete { key, when })
    }

    fn page(
        &self,
        py: Python<'_>,
        prefix: &str,
        cursor: Option<&[u8]>,
        limit: usize,
    ) -> PyResult<Page> {
        // First the names that are their own keys, then the long ones.
        let (long, cursor) = stage(cursor);
        let folder = self.folder(Area::Value, long);
        let mut scan = Scan::new(Space::Named);
        scan.prefix = match long {
            true => folder.clone().into(),
            false => {
                let most = prefix.floor_char_boundary(LONGEST);
                format!("{folder}{}", prefix.get(..most).unwrap_or("")).into()
            }
        };
        scan.limit = limit;
        scan.cursor = cursor.map(Bytes::copy_from_slice);
        let page = self.scan(py, &scan)?;
        let next = match page.next {
            Some(next) => Some([&[u8::from(long)], next.as_ref()].concat()),
            None => (!long).then(|| vec![1]),
        };
        let mut found = Vec::new();
        for (key, entry) in page.entries {
            // A store may return too much.
            let Some(name) = key.bytes().strip_prefix(folder.as_bytes()) else { continue };
            let name = std::str::from_utf8(name).map(str::to_owned).ok();
            let (entry, named) = self.found(&key, entry);
            if let Some(name) = if long { named } else { name }
                && name.starts_with(prefix)
            {
                found.push((name, entry));
            }
        }
        Ok((found, next))
    }

    fn apply(&self, py: Python<'_>, changes: Vec<Change>) -> PyResult<bool> {
        let adds = changes.iter().any(|change| matches!(change.write, Write::Add { .. }));
        let ops = self.ops(changes).or_raise(py)?;
        Ok(matches!(self.make(py, ops, adds)?, Some(Applied::All(_))))
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        for long in [false, true] {
            let mut scan = Scan::new(Space::Named);
            scan.prefix = self.folder(Area::Value, long).into();
            // A page is deleted in one batch, and nobody's clients should wait long for a server.
            scan.limit = if self.near { scan.limit } else { 128 };
            loop {
                let page = self.scan(py, &scan)?;
                let doomed = page.entries.into_iter().map(|(key, _)| key);
                let doomed = doomed.filter(|key| key.bytes().starts_with(&scan.prefix));
                let ops = doomed.map(|key| Op::Delete { key, when: When::Always }).collect();
                self.make(py, ops, false)?;
                scan.cursor = page.next;
                if scan.cursor.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }
}
