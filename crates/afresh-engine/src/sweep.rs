//! Going through a whole space, page by page.

use afresh_core::{Batch, Entry, Key, ObjectId, ObjectInfo, Op, Result, Scan, When};

use crate::access::FAILED;
use crate::begin::{EPOCH, SWEEP};
use crate::engine::Engine;

/// How many changes one batch holds, so that no other writer waits long.
pub(crate) const BATCH: usize = 256;

impl Engine {
    /// The entry under a key.
    pub(crate) async fn entry(&self, key: &Key) -> Result<Option<Entry>> {
        Ok(self.store().get(std::slice::from_ref(key)).await?.into_iter().next().flatten())
    }

    /// Calls `visit` with every entry that `scan` selects, in its order.
    pub(crate) async fn each(
        &self,
        mut scan: Scan,
        mut visit: impl FnMut(Key, Entry),
    ) -> Result<()> {
        loop {
            let page = self.store().scan(&scan).await?;
            for (key, entry) in page.entries {
                if scan.matches(&key, &entry) {
                    visit(key, entry);
                }
            }
            match page.next {
                Some(next) => scan.cursor = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Every object, page by page.
    pub(crate) async fn objects(&self) -> Result<Vec<ObjectInfo>> {
        let mut all: Vec<ObjectInfo> = Vec::new();
        loop {
            let page = self.store().list(all.last().map(|info| &info.id), 4096).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Applies changes that need not happen together, a bounded number at a time.
    pub(crate) async fn apply_all(&self, ops: Vec<Op>) -> Result<()> {
        let mut ops = ops.into_iter().peekable();
        while ops.peek().is_some() {
            let ops = ops.by_ref().take(BATCH).collect();
            self.apply(Batch { objects: Vec::new(), ops }).await?;
        }
        Ok(())
    }

    /// Tells everybody who is computing that answers were taken back: [`taken`](crate::taken) says which.
    pub(crate) async fn new_epoch(&self) -> Result<()> {
        self.count(EPOCH).await
    }

    /// Tells everybody who is computing that objects may be collected: what they refer to they write anew.
    pub(crate) async fn new_sweep(&self) -> Result<()> {
        self.count(SWEEP).await
    }

    async fn count(&self, name: &'static str) -> Result<()> {
        let op = Op::Add { key: Key::count(name), by: 1, ttl: None };
        self.apply(Batch { objects: Vec::new(), ops: vec![op] }).await.map(drop)
    }
}

/// Removes an entry for good; failed commits are counted apart.
pub(crate) fn delete(key: Key, failed: bool) -> impl Iterator<Item = Op> {
    let count = failed.then(|| Op::Add { key: Key::count(FAILED), by: -1, ttl: None });
    [Op::Delete { key, when: When::Always }].into_iter().chain(count)
}

/// The object an entry refers to.
pub(crate) fn object(entry: &Entry) -> Option<ObjectId> {
    entry.object.map(|object| object.id)
}
