//! A store that is looked at and never changed.
//!
//! Invariant: nothing reaches the store that could change it. That an entry was used is a courtesy and is dropped in
//! silence; everything else is refused.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Done, Entry, Error, Generation, Key, Kind, ObjectId, ObjectInfo,
    Op, Page, Removed, Result, Scan, Store, StoreInfo, Usage, Watcher,
};
use async_trait::async_trait;

/// See the module.
#[derive(Debug)]
pub struct ReadOnly {
    inner: Arc<dyn Store>,
    info: StoreInfo,
}

impl ReadOnly {
    /// `inner`, without what changes it.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        // Without a lock: whoever computes here keeps nobody else from it.
        let info = StoreInfo { lock_dir: None, ..inner.info().clone() };
        Self { inner, info }
    }

    fn refuse(&self, op: &'static str) -> Error {
        Error::new(Kind::Denied, "the store is used read-only")
            .with_hint("open it without `readonly` to keep what is computed")
            .with_store(self.info.address.clone())
            .with_op(op)
    }
}

#[async_trait]
impl Store for ReadOnly {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.inner.get(keys).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        let idle = |op: &Op| matches!(op, Op::Touch { .. });
        if batch.objects.is_empty() && batch.ops.iter().all(idle) {
            return Ok(Applied::All(vec![Done { version: None, count: None }; batch.ops.len()]));
        }
        Err(self.refuse("apply"))
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.inner.scan(scan).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        self.inner.read(id).await
    }

    async fn write(&self, _: &ObjectId, _: Blob) -> Result<()> {
        Err(self.refuse("write"))
    }

    async fn remove(&self, _: &[ObjectId], _: Duration) -> Result<Removed> {
        Err(self.refuse("remove"))
    }

    async fn quarantine(&self, _: &ObjectId) -> Result<()> {
        Err(self.refuse("quarantine"))
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
        self.inner.watch(watcher)
    }

    fn suspend(&self) {
        self.inner.suspend();
    }

    fn resume(&self) {
        self.inner.resume();
    }
}
