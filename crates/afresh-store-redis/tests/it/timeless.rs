//! A store whose answers tell no times, so that two stores with clocks of their own can be compared.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Entry, Key, ObjectId, ObjectInfo, Page, Removed, Result, Scan,
    Store, StoreInfo, Timestamp, Usage,
};

#[derive(Debug)]
pub(crate) struct Timeless(pub(crate) Arc<dyn Store>);

const HOUR: Duration = Duration::from_secs(3600);

/// Times that were handed in stay; the clock's become zero, and what is left of hours becomes whole hours.
fn timeless(mut entry: Entry) -> Entry {
    entry.used = Timestamp::from_millis(0);
    let old = Timestamp::from_millis(1_000_000);
    entry.labels.time = entry.labels.time.map(|time| time.min(old));
    entry.ttl = entry.ttl.map(|left| HOUR * (left.as_secs_f64() / 3600.0).round() as u32);
    entry
}

#[async_trait::async_trait]
impl Store for Timeless {
    fn info(&self) -> &StoreInfo {
        self.0.info()
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let found = self.0.get(keys).await?;
        // Attached or not is each store's affair.
        let plain = |entry| Entry { attached: None, ..timeless(entry) };
        Ok(found.into_iter().map(|entry| entry.map(plain)).collect())
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        self.0.apply(batch).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        let Page { entries, next } = self.0.scan(scan).await?;
        let entries = entries.into_iter().map(|(key, entry)| (key, timeless(entry))).collect();
        Ok(Page { entries, next })
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        self.0.read(id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.0.write(id, blob).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        self.0.remove(ids, idle).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        self.0.quarantine(id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        let listed = self.0.list(after, limit).await?;
        Ok(listed.into_iter().map(|info| ObjectInfo { idle: Duration::ZERO, ..info }).collect())
    }

    async fn usage(&self) -> Result<Usage> {
        self.0.usage().await
    }
}
