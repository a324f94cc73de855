//! Records in one store, outputs in another: SQL or Redis for what is small and changes, S3 for what is large and does
//! not.
//!
//! Invariant: an object is in its store before a record that refers to it is in the other. A crash between the two
//! leaves bytes that nothing refers to, which a gc finds; never a record that leads nowhere.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Entry, Generation, Key, ObjectId, ObjectInfo, Page, Removed,
    Result, Scan, Store, StoreInfo, Usage, Watcher,
};
use async_trait::async_trait;

/// See the module.
#[derive(Debug)]
pub struct Split {
    entries: Arc<dyn Store>,
    objects: Arc<dyn Store>,
    info: StoreInfo,
}

impl Split {
    /// Entries in the one, objects in the other.
    pub fn new(entries: Arc<dyn Store>, objects: Arc<dyn Store>) -> Self {
        let (records, outputs) = (entries.info(), objects.info());
        let mut info = records.clone();
        info.scheme = "split";
        info.address = format!("{} + {}", records.address, outputs.address);
        info.capabilities.near &= outputs.capabilities.near;
        info.capabilities.shared &= outputs.capabilities.shared;
        info.capabilities.max_object = outputs.capabilities.max_object;
        Self { entries, objects, info }
    }
}

#[async_trait]
impl Store for Split {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.entries.get(keys).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        if !batch.objects.is_empty() {
            self.objects.apply(Batch { objects: batch.objects, ops: Vec::new() }).await?;
        }
        if batch.ops.is_empty() {
            return Ok(Applied::All(Vec::new()));
        }
        self.entries.apply(Batch { objects: Vec::new(), ops: batch.ops }).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.entries.scan(scan).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        self.objects.read(id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.objects.write(id, blob).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        self.objects.remove(ids, idle).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        self.objects.quarantine(id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        self.objects.list(after, limit).await
    }

    async fn usage(&self) -> Result<Usage> {
        let (entries, objects) = (self.entries.usage().await?, self.objects.usage().await?);
        Ok(Usage {
            entries: entries.entries,
            disk_bytes: entries.disk_bytes + objects.disk_bytes,
            ..objects
        })
    }

    fn generation(&self) -> Option<Generation> {
        self.entries.generation()
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.entries.watch(watcher)
    }

    fn suspend(&self) {
        self.entries.suspend();
        self.objects.suspend();
    }

    fn resume(&self) {
        self.objects.resume();
        self.entries.resume();
    }
}
