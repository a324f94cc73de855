//! A store that plays one that several hosts share: no folder for locks, and, if asked to, news of leases.
//!
//! Invariant: what it holds is what the wrapped store holds. Each host of a test gets a [`FaultyStore`] over one of
//! these, so that it can be cut off by itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Capabilities, Entry, Generation, Key, ObjectId, ObjectInfo, Page,
    Removed, Result, Scan, Space, Store, StoreInfo, Usage, Watcher,
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::FaultyStore;

/// See the module.
pub struct SharedStore {
    info: StoreInfo,
    inner: Arc<dyn Store>,
    watchers: Option<Mutex<Vec<Arc<dyn Watcher>>>>,
}

impl SharedStore {
    /// `inner` as a store that hosts share; with `tells` it tells of leases.
    pub fn new(inner: Arc<dyn Store>, tells: bool) -> Arc<Self> {
        let mut info = inner.info().clone();
        info.lock_dir = None;
        info.capabilities = Capabilities { shared: true, ..info.capabilities };
        Arc::new(Self { info, inner, watchers: tells.then(Mutex::default) })
    }

    /// A host's way to it.
    pub fn link(self: &Arc<Self>) -> FaultyStore<Self> {
        FaultyStore::new(Arc::clone(self))
    }

    fn tell(&self, keys: &[Key]) {
        let Some(watchers) = &self.watchers else { return };
        let watchers = watchers.lock().unwrap().clone();
        for key in keys {
            watchers.iter().for_each(|watcher| watcher.changed(key));
        }
    }
}

impl std::fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SharedStore").field(&self.inner).finish()
    }
}

#[async_trait]
impl Store for SharedStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.inner.get(keys).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        let keys = batch.ops.iter().map(|op| op.key().clone());
        let leases: Vec<_> = keys.filter(|key| key.space() == Space::Lease).collect();
        let applied = self.inner.apply(batch).await?;
        if matches!(applied, Applied::All(_)) {
            self.tell(&leases);
        }
        Ok(applied)
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.inner.scan(scan).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        self.inner.read(id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.inner.write(id, blob).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        self.inner.remove(ids, idle).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        self.inner.quarantine(id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        self.inner.list(after, limit).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.inner.usage().await
    }

    fn generation(&self) -> Option<Generation> {
        self.inner.generation()
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        let Some(watchers) = &self.watchers else { return false };
        watchers.lock().unwrap().push(watcher);
        true
    }
}
