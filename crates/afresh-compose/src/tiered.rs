//! Outputs that were read or written here before, kept on this machine, before a store that is far away.
//!
//! Invariant: what may change (entries) is always asked of the far store; what is kept near is only what never changes
//! (objects), so a near copy cannot be out of date. A near store that is full, damaged or gone costs time and no truth.
//! It decides nothing about answers in memory: those are the [tier](Generation) of a front end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Entry, Generation, Key, ObjectId, ObjectInfo, Page, Removed,
    Result, Scan, Store, StoreInfo, Usage, Watcher,
};
use async_trait::async_trait;

/// The near copies are counted each time that a part of the budget has been written.
const PART: u64 = 8;

/// How many objects a page of a list has.
const PAGE: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct Tiered {
    near: Arc<dyn Store>,
    far: Arc<dyn Store>,
    budget: u64,
    written: AtomicU64,
    info: StoreInfo,
}

impl Tiered {
    /// `near` before `far`, with at most about `budget` bytes of outputs in it: those written longest ago go first.
    pub fn new(near: Arc<dyn Store>, far: Arc<dyn Store>, budget: u64) -> Self {
        let info = far.info().clone();
        Self { near, far, budget, written: AtomicU64::new(0), info }
    }

    async fn keep(&self, id: &ObjectId, blob: Blob) {
        let len = blob.len() as u64;
        if len > self.budget {
            return;
        }
        if let Err(error) = self.near.write(id, blob).await {
            tracing::warn!("an output could not be kept on this machine: {error}");
            return;
        }
        let before = self.written.fetch_add(len, Ordering::Relaxed);
        if before + len >= self.budget / PART {
            self.written.store(0, Ordering::Relaxed);
            if let Err(error) = self.shrink().await {
                tracing::warn!("outputs kept on this machine could not be removed: {error}");
            }
        }
    }

    /// Removes the oldest copies above the budget.
    async fn shrink(&self) -> Result<()> {
        let mut copies: Vec<ObjectInfo> = Vec::new();
        loop {
            let page = self.near.list(copies.last().map(|copy| &copy.id), PAGE).await?;
            let last = page.len() < PAGE;
            copies.extend(page);
            if last {
                break;
            }
        }
        let mut total: u64 = copies.iter().map(|copy| copy.stored).sum();
        copies.sort_by_key(|copy| std::cmp::Reverse(copy.idle));
        let mut gone = Vec::new();
        for copy in copies {
            if total <= self.budget {
                break;
            }
            total = total.saturating_sub(copy.stored);
            gone.push(copy.id);
        }
        for ids in gone.chunks(256) {
            self.near.remove(ids, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// A copy that cannot be had is one that is not there.
    async fn copy(&self, id: &ObjectId) -> Option<Bytes> {
        match self.near.read(id).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!("an output kept on this machine cannot be read: {error}");
                // So that it can be written anew.
                drop(self.near.quarantine(id).await);
                None
            }
        }
    }
}

#[async_trait]
impl Store for Tiered {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.far.get(keys).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        let objects = batch.objects.clone();
        let applied = self.far.apply(batch).await?;
        for (id, blob) in objects {
            self.keep(&id, blob).await;
        }
        Ok(applied)
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.far.scan(scan).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        if let Some(bytes) = self.copy(id).await {
            return Ok(Some(bytes));
        }
        let found = self.far.read(id).await?;
        if let Some(bytes) = &found {
            self.keep(id, bytes.clone().into()).await;
        }
        Ok(found)
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.far.write(id, blob.clone()).await?;
        self.keep(id, blob).await;
        Ok(())
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        let removed = self.far.remove(ids, idle).await?;
        // Of those that stay the copies go as well, which costs a read.
        if let Err(error) = self.near.remove(ids, Duration::ZERO).await {
            tracing::warn!("outputs kept on this machine could not be removed: {error}");
        }
        Ok(removed)
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        drop(self.near.quarantine(id).await);
        self.far.quarantine(id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        self.far.list(after, limit).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.far.usage().await
    }

    fn generation(&self) -> Option<Generation> {
        self.far.generation()
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.far.watch(watcher)
    }

    fn suspend(&self) {
        self.near.suspend();
        self.far.suspend();
    }

    fn resume(&self) {
        self.far.resume();
        self.near.resume();
    }
}
