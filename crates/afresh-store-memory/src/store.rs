//! The store itself: one lock around entries and objects.
//!
//! Invariant: a batch that is refused or fails puts back the rows it touched before the lock is
//! let go. Nothing waits: every future is ready on first poll.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Capabilities, Entry, Generation, Key, ObjectId, ObjectInfo, Page,
    Removed, Result, Scan, Space, Store, StoreInfo, Timestamp, Usage,
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::config::{Clock, system_clock};
use crate::entry::{Entries, Outcome};
use crate::object::Objects;
use crate::scan;

/// A store in this process's memory.
///
/// ```
/// use afresh_store_memory::MemoryStore;
///
/// let store = MemoryStore::new();
/// ```
pub struct MemoryStore {
    info: StoreInfo,
    clock: Clock,
    generation: Generation,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: Entries,
    objects: Objects,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_clock(system_clock())
    }

    /// An empty store that asks `clock` for the time.
    pub fn with_clock(clock: Clock) -> Self {
        let capabilities = Capabilities {
            near: true,
            shared: false,
            atomic: true,
            ordered: true,
            indexed: true,
            expires: true,
            max_object: None,
        };
        let info = StoreInfo {
            scheme: "memory",
            address: "memory:".to_owned(),
            capabilities,
            lock_dir: None,
        };
        Self { info, clock, generation: Generation::local(), state: Mutex::default() }
    }

    /// The state and the time. A panic elsewhere leaves nothing half done, so a poisoned lock is as good
    /// as any.
    fn open(&self) -> (MutexGuard<'_, State>, Timestamp) {
        (self.state.lock().unwrap_or_else(PoisonError::into_inner), (self.clock)())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl State {
    fn apply(&mut self, batch: &Batch, now: Timestamp) -> Result<Applied> {
        for (id, blob) in &batch.objects {
            self.objects.write(id, blob, now);
        }
        self.entries.sweep(now);
        // A lone change happens or does not; only several need something to go back to.
        let before = (batch.ops.len() > 1).then(|| self.entries.keep(&batch.ops));
        let mut done = Vec::with_capacity(batch.ops.len());
        for (index, op) in batch.ops.iter().enumerate() {
            let outcome = self.entries.change(op, now);
            if let Ok(Outcome::Done(one)) = outcome {
                done.push(one);
                continue;
            }
            if let Some(before) = before {
                self.entries.restore(before);
            }
            return outcome.map(|outcome| match outcome {
                Outcome::Refused(found) => Applied::Refused { index, found },
                Outcome::Done(_) => Applied::All(done),
            });
        }
        Ok(Applied::All(done))
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let (state, now) = self.open();
        let attach = |entry: Entry| {
            let attached = entry.object.and_then(|object| state.objects.read(&object.id));
            Entry { attached, ..entry }
        };
        let found = |key| state.entries.live(key, now).map(|row| attach(row.entry(now)));
        Ok(keys.iter().map(found).collect())
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        let changing = self.generation.announce(&batch);
        let (mut state, now) = self.open();
        let applied = state.apply(&batch, now);
        drop(changing);
        applied
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        let (state, now) = self.open();
        scan::page(&state.entries, scan, now)
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        Ok(self.open().0.objects.read(id))
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        let (mut state, now) = self.open();
        state.objects.write(id, &blob, now);
        Ok(())
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        let (mut state, now) = self.open();
        Ok(state.objects.remove(ids, idle, now))
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        self.open().0.objects.quarantine(id);
        Ok(())
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        let (state, now) = self.open();
        Ok(state.objects.list(after, limit, now))
    }

    async fn usage(&self) -> Result<Usage> {
        let (state, _) = self.open();
        let (objects, bytes) = state.objects.usage();
        Ok(Usage {
            entries: Space::ALL.map(|space| state.entries.count(space)),
            inline_objects: objects,
            inline_bytes: bytes,
            ..Usage::default()
        })
    }

    fn generation(&self) -> Option<Generation> {
        Some(self.generation.clone())
    }

    fn counts_entries(&self) -> bool {
        true
    }
}
