//! A store that fails or dawdles on command, and otherwise is the one it wraps.
//!
//! Invariant: without a plan nothing differs from the wrapped store, which is why it passes the same suite.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Entry, Error, Generation, Key, Kind, ObjectId, ObjectInfo, Page, Removed,
    Result, Scan, Store, StoreInfo, Usage, Watcher,
};
use async_trait::async_trait;
use bytes::Bytes;

/// What is to go wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The operation fails and nothing happens.
    Fail(Kind),
    /// The operation happens, and yet fails: an answer lost on the way.
    FailAfter(Kind),
    /// The operation takes this much longer.
    Delay(Duration),
    /// The operation is never answered.
    Hang,
}

#[derive(Debug, Default)]
struct Plans {
    next: HashMap<&'static str, Vec<(usize, Fault)>>,
    calls: HashMap<&'static str, u64>,
}

/// See the module. Clones share their plans.
#[derive(Debug)]
pub struct FaultyStore<S: ?Sized> {
    plans: Arc<Mutex<Plans>>,
    inner: Arc<S>,
}

impl<S: ?Sized> Clone for FaultyStore<S> {
    fn clone(&self) -> Self {
        Self { plans: self.plans.clone(), inner: self.inner.clone() }
    }
}

impl<S: Store + ?Sized> FaultyStore<S> {
    /// `inner`, with nothing planned.
    pub fn new(inner: Arc<S>) -> Self {
        Self { plans: Arc::default(), inner }
    }

    /// The next `times` operations called `op` (a method's name, or `*` for any) suffer `fault`.
    pub fn plan(&self, op: &'static str, times: usize, fault: Fault) {
        self.plans.lock().unwrap().next.entry(op).or_default().push((times, fault));
    }

    /// Forgets what is planned.
    pub fn heal(&self) {
        self.plans.lock().unwrap().next.clear();
    }

    /// How often `op` was called.
    pub fn calls(&self, op: &str) -> u64 {
        self.plans.lock().unwrap().calls.get(op).copied().unwrap_or(0)
    }

    async fn begin(&self, op: &'static str) -> Result<Option<Error>> {
        let fault = {
            let mut plans = self.plans.lock().unwrap();
            *plans.calls.entry(op).or_default() += 1;
            [op, "*"].into_iter().find_map(|name| {
                let (left, fault) =
                    plans.next.get_mut(name)?.iter_mut().find(|(left, _)| *left > 0)?;
                *left -= 1;
                Some(*fault)
            })
        };
        let error = |kind| Error::new(kind, "a fault was planned").with_op(op);
        match fault {
            None => Ok(None),
            Some(Fault::Fail(kind)) => Err(error(kind)),
            Some(Fault::FailAfter(kind)) => Ok(Some(error(kind))),
            Some(Fault::Delay(time)) => {
                std::thread::sleep(time);
                Ok(None)
            }
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}

fn end<T>(after: Option<Error>, answer: Result<T>) -> Result<T> {
    match after {
        Some(error) => answer.and(Err(error)),
        None => answer,
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for FaultyStore<S> {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let after = self.begin("get").await?;
        end(after, self.inner.get(keys).await)
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        let after = self.begin("apply").await?;
        end(after, self.inner.apply(batch).await)
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        let after = self.begin("scan").await?;
        end(after, self.inner.scan(scan).await)
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        let after = self.begin("read").await?;
        end(after, self.inner.read(id).await)
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        let after = self.begin("write").await?;
        end(after, self.inner.write(id, blob).await)
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        let after = self.begin("remove").await?;
        end(after, self.inner.remove(ids, idle).await)
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        let after = self.begin("quarantine").await?;
        end(after, self.inner.quarantine(id).await)
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        let failing = self.begin("list").await?;
        end(failing, self.inner.list(after, limit).await)
    }

    async fn usage(&self) -> Result<Usage> {
        let after = self.begin("usage").await?;
        end(after, self.inner.usage().await)
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
