//! A store whose server can neither read nor change unnoticed what it keeps.
//!
//! Records and outputs are encrypted and authenticated (XChaCha20-Poly1305) under keys derived from a secret; what an
//! entry can be found by is replaced by keyed digests (counters have no labels). A record is bound to its key and an output to its name, so
//! neither can be put in another's place. What the server still sees: names of entries (fingerprints, and names that a
//! program gave), counters, sizes, times, whether an execution failed, and which of them share a label. It can put an
//! older record of an entry back, and it can lose things: a ttl is for the one, computing anew for the other.
//!
//! An output is encrypted the same way each time, so that equal outputs are kept once. The store beneath names objects by
//! the digest of what it keeps, which is not the digest of the output: a named entry leads from the one to the other.
//!
//! Invariant: nothing is answered that was not written by a holder of the secret. An entry that cannot be opened has an
//! empty record, which is a miss for whoever asks for it and can be replaced; a scan leaves it out.

mod cipher;
mod objects;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Entry, Error, Generation, Key, Kind, Labels, NewEntry, ObjectId,
    ObjectInfo, Op, Page, Removed, Result, Scan, Space, Store, StoreInfo, Stored, Timestamp, Usage,
    Value, Version, Watcher,
};
use async_trait::async_trait;

pub use cipher::SealingKey;

/// See the module.
#[derive(Debug)]
pub struct Sealed {
    inner: Arc<dyn Store>,
    key: SealingKey,
    info: StoreInfo,
    /// The objects as they were when the first page of them was asked for.
    listed: Mutex<Arc<[ObjectInfo]>>,
}

impl Sealed {
    /// `inner`, sealed with `key`.
    pub fn new(inner: Arc<dyn Store>, key: SealingKey) -> Self {
        let mut info = inner.info().clone();
        info.capabilities.max_object =
            info.capabilities.max_object.map(|most| most.saturating_sub(cipher::OVERHEAD as u64));
        Self { inner, key, info, listed: Mutex::new(Arc::new([])) }
    }

    fn seal(&self, op: Op) -> Result<Op> {
        let Op::Put { key, entry, when } = op else { return Ok(op) };
        let NewEntry { value: Value::Record(_), ttl, .. } = &entry else {
            let (value, labels) = (entry.value, Labels::default());
            return Ok(Op::Put {
                key,
                entry: NewEntry { value, object: None, labels, ttl: entry.ttl },
                when,
            });
        };
        let (ttl, labels) = (*ttl, self.key.labels(&entry.labels));
        // Time and version are the store's own.
        let stored = Stored::new(entry, Version(0), Timestamp::from_millis(0)).encode()?;
        let record = self.key.seal(&name(&key), &stored)?;
        let entry = NewEntry { labels, ttl, ..NewEntry::record(record) };
        Ok(Op::Put { key, entry, when })
    }

    /// An entry as it was written; `None` where nobody who holds the secret wrote it.
    fn open(&self, key: &Key, entry: &Entry) -> Option<Entry> {
        let Some(record) = entry.record() else { return Some(entry.clone()) };
        let stored = self.key.open(&name(key), record).and_then(|bytes| Stored::decode(&bytes));
        let stored = stored
            .inspect_err(|error| {
                tracing::warn!(
                    "{key:?} was not written with our secret and is passed over: {error}"
                );
            })
            .ok()?;
        let mut opened = stored.entry(entry.used, entry.ttl);
        opened.version = entry.version;
        opened.labels.time = entry.labels.time;
        Some(opened)
    }
}

/// What a record is bound to: the space and the key of its entry.
fn name(key: &Key) -> Vec<u8> {
    [&[key.space().number()], key.bytes().as_ref()].concat()
}

#[async_trait]
impl Store for Sealed {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let found = self.inner.get(keys).await?;
        // The conditions of a batch see what we cannot open. Who took it for absent would try for ever to put something
        // where nothing is, so it is there, without what it says.
        let unknown = |entry: Entry| Entry {
            value: Value::Record(Bytes::new()),
            object: None,
            attached: None,
            labels: Labels { time: entry.labels.time, ..Labels::default() },
            ..entry
        };
        let open = |(key, entry): (&Key, Option<Entry>)| {
            let entry = entry?;
            Some(self.open(key, &entry).unwrap_or_else(|| unknown(entry)))
        };
        Ok(keys.iter().zip(found).map(open).collect())
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        if !batch.objects.is_empty() {
            self.write_objects(batch.objects).await?;
        }
        if batch.ops.is_empty() {
            return Ok(Applied::All(Vec::new()));
        }
        let ops = batch.ops.into_iter().map(|op| self.seal(op)).collect::<Result<_>>()?;
        self.inner.apply(Batch { objects: Vec::new(), ops }).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        let page = self.inner.scan(&self.key.scan(scan)).await?;
        let ours = |(key, _): &(Key, _)| !objects::is_link(key);
        let open = |(key, entry): (Key, Entry)| {
            let entry = self.open(&key, &entry)?;
            Some((key, entry))
        };
        let entries = page.entries.into_iter().filter(ours).filter_map(open).collect();
        Ok(Page { entries, next: page.next })
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        self.read_object(id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.write_objects(vec![(*id, blob)]).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        self.remove_objects(ids, idle).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        self.quarantine_object(id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        self.list_objects(after, limit).await
    }

    async fn usage(&self) -> Result<Usage> {
        let mut usage = self.inner.usage().await?;
        let links = usage.inline_objects + usage.file_objects;
        if let Some(named) = usage.entries.get_mut(usize::from(Space::Named.number()) - 1) {
            *named = named.saturating_sub(links);
        }
        Ok(usage)
    }

    fn generation(&self) -> Option<Generation> {
        self.inner.generation()
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.inner.watch(watcher)
    }

    fn suspend(&self) {
        self.inner.suspend();
    }

    fn resume(&self) {
        self.inner.resume();
    }
}

fn corrupt(why: &str) -> Error {
    Error::new(Kind::Corrupt, why)
}
