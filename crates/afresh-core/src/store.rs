//! The contract of every store. What a store lacks, the engine makes up for; what it claims, the
//! conformance suite of `afresh-testkit` checks.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Applied, Batch, Blob, Entry, Generation, Key, ObjectId, Page, Result, Scan, Space};

/// What a store can do. An absent ability is made up for by the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Every future is ready on first poll: no network, no other thread.
    pub near: bool,
    /// Other processes see what is written.
    pub shared: bool,
    /// A batch happens altogether or not at all.
    pub atomic: bool,
    /// [`Order::Newest`](crate::Order::Newest) is kept.
    pub ordered: bool,
    /// Scans return exactly what matches, without reading the rest.
    pub indexed: bool,
    /// Expired entries take no room for long.
    pub expires: bool,
    /// The largest object, in bytes.
    pub max_object: Option<u64>,
}

/// What a store is.
#[derive(Clone, Debug)]
pub struct StoreInfo {
    /// The scheme of its address, such as `sqlite`.
    pub scheme: &'static str,
    /// Its address without secrets.
    pub address: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// A folder that all processes of this host that use this store share, for kernel locks.
    pub lock_dir: Option<PathBuf>,
}

/// An object that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub id: ObjectId,
    /// Its length in bytes, before any compression; a store without the `indexed` capability may know no more than
    /// [`stored`](Self::stored), and says that.
    pub len: u64,
    /// What it takes in the store, in bytes.
    pub stored: u64,
    /// How long ago it was last written, by the store's clock.
    pub idle: Duration,
}

/// What [`Store::remove`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Objects removed.
    pub objects: u64,
    /// Bytes freed.
    pub bytes: u64,
}

/// What a store holds, roughly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Entries by space, in the order of [`Space::ALL`]; expired ones may count until they are swept.
    pub entries: [u64; 5],
    /// Objects kept beside small records, such as rows of a table.
    pub inline_objects: u64,
    /// Their bytes.
    pub inline_bytes: u64,
    /// Objects kept on their own, such as files.
    pub file_objects: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// What the whole store takes where it is kept, roughly: on disk, or in the memory of a server; 0 where that is not
    /// known.
    pub disk_bytes: u64,
}

impl Usage {
    /// How many entries a space holds.
    pub fn entries(&self, space: Space) -> u64 {
        self.entries.get(usize::from(space.number()) - 1).copied().unwrap_or(0)
    }
}

/// Is told what happens in a store.
pub trait Watcher: Send + Sync + 'static {
    /// The entry under this key was put or removed, by anybody.
    fn changed(&self, key: &Key);

    /// There may have been changes that we were not told of: whoever waits should look for himself.
    fn missed(&self);
}

/// Where objects and entries live.
///
/// Absent is not an error; expired is absent, by the store's own clock; durations go in, callers
/// never send "now". `scan` may return too much, never too little. Dropping a future leaves the store
/// consistent. A store that is `near` is ready on first poll. Objects are immutable: writing one
/// that is there changes nothing but its age.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// What this store is and can do. Constant for its life.
    fn info(&self) -> &StoreInfo;

    /// The entries under `keys`, in that order. An object that an entry refers to may be attached.
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>>;

    /// Makes changes together. A condition that does not hold is [`Applied::Refused`], not an error.
    async fn apply(&self, batch: Batch) -> Result<Applied>;

    /// One page of the entries that match.
    async fn scan(&self, scan: &Scan) -> Result<Page>;

    /// The bytes of an object, or `None`.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) where something is there that is not what was written.
    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>>;

    /// Keeps an object. `id` is the digest of the bytes; the store relies on it.
    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()>;

    /// Removes those of the objects that were not written for at least `idle`. Each is checked and removed
    /// in one step, so that a writer who refers to an old object at this moment keeps it.
    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed>;

    /// Sets a damaged object aside: it is absent afterwards, may be written anew, and what was there is
    /// kept where a person can look at it, as far as the store can.
    async fn quarantine(&self, id: &ObjectId) -> Result<()>;

    /// Up to `limit` objects, by id, after one.
    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>>;

    /// What the store holds. Quick, at the price of being rough.
    async fn usage(&self) -> Result<Usage>;

    /// Counters by which answers kept in front of the store are known to be still right: shared by all who use
    /// the store at the same time. A store that has none must be asked each time. The engine counts; the store
    /// only has the memory.
    fn generation(&self) -> Option<Generation> {
        None
    }

    /// Whether those counters tell of every change of a named entry or a count too, whoever makes it and through whatever
    /// other store: nothing of them is kept in front of a store that cannot say so. Whoever asks is going to rely on it, so
    /// a server is asked to tell of them from then on.
    fn counts_entries(&self) -> bool {
        false
    }

    /// Tells `watcher` of every lease ([`Space::Lease`]) that is put or removed from now on, within milliseconds; of
    /// entries of other spaces it may. Whether the store does: one that cannot is asked again and again instead.
    fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        drop(watcher);
        false
    }

    /// Closes connections and waits for running operations, so that the process may be forked. Operations
    /// that begin meanwhile wait for [`resume`](Self::resume). Does nothing by default.
    fn suspend(&self) {}

    /// Lets operations go on after [`suspend`](Self::suspend).
    fn resume(&self) {}
}
