//! A store written in Python: any object with `get`, `put`, `delete` and `keys` (`afresh.Store`).
//!
//! Everything that makes four such methods a store is here: versions, conditions, labels, ages. Changes are made
//! one after the other under one lock of this process, so the engine's single flight and fencing hold within it; the
//! store does not claim to be shared or atomic. The lock is only ever taken detached from the interpreter.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use afresh::{
    Applied, Batch, Blob, Bytes, Capabilities, Done, Entry, Error, Key, Kind, NewEntry, ObjectId,
    ObjectInfo, Op, Page, Removed, Result, Scan, Space, Store, StoreInfo, Stored, Timestamp, Usage,
    Value, Version, When,
};
use async_trait::async_trait;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use serde::{Deserialize, Serialize};

const FORMAT: u8 = 1;

/// The form of an entry in the user's store: one format byte and the postcard encoding.
#[derive(Serialize, Deserialize)]
struct Kept {
    stored: Stored,
    used: Timestamp,
    expires: Option<Timestamp>,
}

impl Kept {
    fn new(entry: NewEntry, version: Version) -> Self {
        let (now, ttl) = (now(), entry.ttl);
        let expires = ttl.map(|ttl| now.after(ttl));
        Self { stored: Stored::new(entry, version, now), used: now, expires }
    }

    fn entry(self) -> Entry {
        self.stored.entry(self.used, self.expires.map(|end| end.since(now())))
    }
}

/// The adapter.
#[derive(Debug)]
pub(crate) struct PyStore {
    object: Py<PyAny>,
    info: StoreInfo,
    last: Mutex<u64>,
}

/// What the user's store reads is not read by the tracked function that may be running here.
fn unseen<T>(py: Python<'_>, call: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    let block = py.import("afresh.miss")?.getattr("unseen")?.call0()?;
    block.call_method0("__enter__")?;
    let result = call();
    block.call_method1("__exit__", (py.None(), py.None(), py.None()))?;
    result
}

impl PyStore {
    pub(crate) fn new(py: Python<'_>, object: Py<PyAny>) -> PyResult<Self> {
        for method in ["get", "put", "delete", "keys"] {
            if !object.bind(py).hasattr(method)? {
                return Err(PyTypeError::new_err(format!(
                    "a store has the methods get, put, delete and keys; this one has no `{method}` (see afresh.Store)"
                )));
            }
        }
        let class = object.bind(py).get_type().name()?.to_string();
        Ok(Self {
            object,
            info: StoreInfo {
                scheme: "python",
                address: format!("python:{class}"),
                capabilities: Capabilities::default(),
                lock_dir: None,
            },
            last: Mutex::new(0),
        })
    }

    fn call<T>(
        &self,
        op: &'static str,
        call: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<T> {
        Python::attach(|py| {
            unseen(py, || call(self.object.bind(py))).map_err(|error| {
                Error::new(Kind::Unavailable, format!("the store raised {error}"))
                    .with_store(&self.info.address)
                    .with_op(op)
            })
        })
    }

    fn fetch(&self, key: &str) -> Result<Option<Bytes>> {
        self.call("get", |store| {
            let found = store.call_method1("get", (key,))?;
            if found.is_none() {
                return Ok(None);
            }
            Ok(Some(Bytes::copy_from_slice(found.cast::<PyBytes>()?.as_bytes())))
        })
    }

    fn place(&self, key: &str, value: &[u8]) -> Result<()> {
        self.call("put", |store| {
            store.call_method1("put", (key, PyBytes::new(store.py(), value))).map(drop)
        })
    }

    fn discard(&self, key: &str) -> Result<()> {
        self.call("delete", |store| store.call_method1("delete", (key,)).map(drop))
    }

    fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names = self.call("keys", |store| {
            let mut names = Vec::new();
            for name in store.call_method1("keys", (prefix,))?.try_iter()? {
                names.push(name?.cast::<PyString>()?.to_string_lossy().into_owned());
            }
            Ok(names)
        })?;
        names.retain(|name| name.starts_with(prefix));
        names.sort_unstable();
        Ok(names)
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry, if it is there, readable and not expired.
    fn load(&self, name: &str) -> Result<Option<Kept>> {
        let kept = self.fetch(name)?.and_then(|bytes| match bytes.split_first() {
            Some((&FORMAT, rest)) => postcard::from_bytes::<Kept>(rest).ok(),
            _ => None,
        });
        Ok(kept.filter(|kept| kept.expires.is_none_or(|end| end > now())))
    }

    fn save(&self, name: &str, kept: &Kept) -> Result<()> {
        let bytes = postcard::to_extend(kept, vec![FORMAT]).map_err(|error| {
            Error::new(Kind::Codec, "an entry could not be encoded").with_source(error)
        })?;
        self.place(name, &bytes)
    }

    /// Versions grow with the clock, so that they stay unique over restarts, and never repeat.
    fn version(last: &mut u64) -> Version {
        let clock = u64::try_from(now().as_millis()).unwrap_or(0) << 20;
        *last = clock.max(*last + 1);
        Version(*last)
    }

    fn step(&self, op: &Op, last: &mut u64) -> Result<Done> {
        let name = entry_name(op.key());
        let done = |version| Done { version, count: None };
        match op {
            Op::Put { entry, .. } => {
                let version = Self::version(last);
                self.save(&name, &Kept::new(entry.clone(), version))?;
                Ok(done(Some(version)))
            }
            Op::Add { by, ttl, .. } => {
                let version = Self::version(last);
                let found = self.load(&name)?.map(|kept| (kept.used, kept.expires, kept.entry()));
                let (count, kept) = match found {
                    Some((_, _, Entry { value: Value::Record(_), .. })) => {
                        return Err(Error::new(
                            Kind::Config,
                            "the entry holds a record, not a counter",
                        )
                        .with_op("apply"));
                    }
                    Some((used, expires, Entry { value: Value::Count(count), labels, .. })) => {
                        let count = count.saturating_add(*by);
                        let entry = NewEntry { labels, ..counter(count) };
                        (count, Kept { used, expires, ..Kept::new(entry, version) })
                    }
                    None => {
                        let entry = NewEntry { ttl: *ttl, ..counter(*by) };
                        (*by, Kept::new(entry, version))
                    }
                };
                self.save(&name, &kept)?;
                Ok(Done { version: Some(version), count: Some(count) })
            }
            Op::Check { .. } => Ok(done(self.load(&name)?.map(|kept| kept.stored.version()))),
            Op::Delete { .. } => self.discard(&name).map(|()| done(None)),
            Op::Touch { ago, .. } => {
                let found = self.load(&name)?;
                let version = found.as_ref().map(|kept| kept.stored.version());
                if let Some(mut kept) = found {
                    kept.used = kept.used.max(now().before(*ago));
                    self.save(&name, &kept)?;
                }
                Ok(done(version))
            }
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().as_chunks::<2>().0;
    digits.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn folder(space: Space) -> String {
    format!("entries/{}/", space.number())
}

fn entry_name(key: &Key) -> String {
    folder(key.space()) + &hex(key.bytes())
}

fn counter(count: i64) -> NewEntry {
    NewEntry { value: Value::Count(count), ..NewEntry::record(Bytes::new()) }
}

#[async_trait]
impl Store for PyStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        keys.iter().map(|key| Ok(self.load(&entry_name(key))?.map(Kept::entry))).collect()
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        let mut last = self.lock();
        for (id, blob) in &batch.objects {
            self.keep(id, blob)?;
        }
        let mut done = Vec::with_capacity(batch.ops.len());
        for (index, op) in batch.ops.iter().enumerate() {
            if op.when() != When::Always {
                let found = self.load(&entry_name(op.key()))?.map(|kept| kept.stored.version());
                if !op.when().holds(found) {
                    return Ok(Applied::Refused { index, found });
                }
            }
            done.push(self.step(op, &mut last)?);
        }
        Ok(Applied::All(done))
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        let folder = folder(scan.space);
        let after = scan.cursor.as_deref().map(hex);
        let mut page = Page::default();
        for name in self.names(&(folder.clone() + &hex(&scan.prefix)))? {
            let Some(key) = name.strip_prefix(&folder) else { continue };
            if after.as_deref().is_some_and(|after| key <= after) {
                continue;
            }
            let (Some(bytes), Some(kept)) = (unhex(key), self.load(&name)?) else { continue };
            let (key, entry) = (Key::new(scan.space, bytes)?, kept.entry());
            if scan.matches(&key, &entry) {
                page.entries.push((key, entry));
                if page.entries.len() >= scan.limit.max(1) {
                    page.next = page.entries.last().map(|(key, _)| key.bytes().clone());
                    break;
                }
            }
        }
        Ok(page)
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        match self.fetch(&format!("objects/{id}"))? {
            Some(bytes) if ObjectId::of(&bytes) == *id => Ok(Some(bytes)),
            Some(_) => Err(Error::new(Kind::Corrupt, "an object is not what was written")
                .with_store(&self.info.address)
                .with_key(id.short())),
            None => Ok(None),
        }
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        let _guard = self.lock();
        self.keep(id, &blob)
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        let _guard = self.lock();
        let mut removed = Removed::default();
        for id in ids {
            if let Some(info) = self.about(id)?
                && info.idle >= idle
            {
                self.discard(&format!("objects/{id}"))?;
                self.discard(&format!("ages/{id}"))?;
                removed.objects += 1;
                removed.bytes += info.stored;
            }
        }
        Ok(removed)
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        let _guard = self.lock();
        let name = format!("objects/{id}");
        if let Some(bytes) = self.fetch(&name)? {
            self.place(&format!("quarantine/{id}"), &bytes)?;
        }
        self.discard(&name)?;
        self.discard(&format!("ages/{id}"))
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        let after = after.map(ToString::to_string);
        let mut found = Vec::new();
        for name in self.names("ages/")? {
            let id = name.trim_start_matches("ages/");
            if found.len() < limit
                && after.as_deref().is_none_or(|after| id > after)
                && let Ok(id) = id.parse()
            {
                found.extend(self.about(&id)?);
            }
        }
        Ok(found)
    }

    async fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        for (count, space) in usage.entries.iter_mut().zip(Space::ALL) {
            *count = self.names(&folder(space))?.len() as u64;
        }
        for name in self.names("ages/")? {
            if let Ok(id) = name.trim_start_matches("ages/").parse()
                && let Some(info) = self.about(&id)?
            {
                usage.inline_objects += 1;
                usage.inline_bytes += info.stored;
            }
        }
        Ok(usage)
    }
}

impl PyStore {
    /// Objects lie beside a small record of their length and age, so that neither needs them read.
    fn keep(&self, id: &ObjectId, blob: &Blob) -> Result<()> {
        let mut about = Vec::with_capacity(16);
        about.extend_from_slice(&(blob.len() as u64).to_le_bytes());
        about.extend_from_slice(&now().as_millis().to_le_bytes());
        let name = format!("objects/{id}");
        // Looked at, not believed: the user's store may let go of keys by itself.
        if self.about(id)?.is_none()
            || self.fetch(&name)?.is_none_or(|bytes| ObjectId::of(&bytes) != *id)
        {
            self.place(&name, &blob.to_bytes())?;
        }
        self.place(&format!("ages/{id}"), &about)
    }

    fn about(&self, id: &ObjectId) -> Result<Option<ObjectInfo>> {
        let Some(about) = self.fetch(&format!("ages/{id}"))? else { return Ok(None) };
        let Ok([len, written]) = <[[u8; 8]; 2]>::try_from(about.as_chunks::<8>().0) else {
            return Ok(None);
        };
        let len = u64::from_le_bytes(len);
        let written = Timestamp::from_millis(i64::from_le_bytes(written));
        Ok(Some(ObjectInfo { id: *id, len, stored: len, idle: now().since(written) }))
    }
}
