//! The store itself: each operation as its commands.
//!
//! Invariant: nothing here keeps state that matters; what a process knows of the server is in [`Nodes`] and
//! [`Tracking`]. No command works on more than a few hundred places of an index, but for a batch, which is as long as
//! whoever made it wants it to happen together: a caller who does not makes batches of some dozens.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Capabilities, Done, Entry, Generation, Key, ObjectId, ObjectInfo,
    Op, Page, Removed, Result, Scan, Space, Store, StoreInfo, Usage, Watcher,
};
use async_trait::async_trait;
use redis::Value;

use crate::config::Config;
use crate::entry::{self, Encoded};
use crate::layout::{Layout, letter};
use crate::look;
use crate::nodes::Nodes;
use crate::object;
use crate::reply::Items;
use crate::scan;
use crate::scripts::Name;
use crate::tracking::Tracking;

/// A store on Redis. Its futures need the runtime of a `Remote`.
pub(crate) struct RedisStore {
    info: StoreInfo,
    layout: Layout,
    nodes: Arc<Nodes>,
    tracking: Arc<Tracking>,
    /// Whether it was looked whether the server holds anything.
    begun: AtomicBool,
}

/// How many uses of entries one command writes down. They hang together with nothing, and may be lost.
const USES: usize = 64;

impl RedisStore {
    pub(crate) fn new(config: Config) -> Self {
        let capabilities = Capabilities {
            near: false,
            shared: true,
            // All records are in one slot, and a batch is one script.
            atomic: true,
            ordered: true,
            indexed: true,
            expires: true,
            max_object: Some(object::LARGEST),
        };
        let info = StoreInfo {
            scheme: config.scheme,
            address: config.redacted.clone(),
            capabilities,
            lock_dir: None,
        };
        let layout = Layout::new(&config.prefix);
        let tracking = Arc::new(Tracking::new(layout.clone()));
        let nodes = Arc::new(Nodes::new(config, &layout, Arc::clone(&tracking)));
        Self { info, layout, nodes, tracking, begun: AtomicBool::new(false) }
    }

    /// Before this process writes its first object: where the server holds nothing yet the store says so, so that no scan
    /// has to go through everything first. Once there are objects, a batch could not tell.
    async fn begin(&self) {
        if self.begun.swap(true, Ordering::Relaxed) {
            return;
        }
        let meta = &self.layout.meta();
        let begun = self.nodes.run(self.nodes.records(), true, |node| async move {
            let mut call = node.scripts.call(Name::Begin, 1);
            call.arg(meta);
            call.query_async::<Value>(&mut node.handle()).await
        });
        if let Err(error) = begun.await {
            // What is to be written says so itself.
            tracing::debug!(%error, "whether the server is empty is not known");
        }
    }

    /// Makes a batch with many uses in it: first the rest, then those, a few at a time.
    async fn apart(&self, batch: Batch) -> Result<Applied> {
        let mut done = vec![Done { version: None, count: None }; batch.ops.len()];
        let ops = batch.ops.into_iter().enumerate();
        let (uses, rest): (Vec<_>, Vec<_>) =
            ops.partition(|(_, op)| matches!(op, Op::Touch { .. }));
        let (places, ops): (Vec<usize>, Vec<Op>) = rest.into_iter().unzip();
        let alone = ops.is_empty() && batch.objects.is_empty();
        let rest = Batch { objects: batch.objects, ops };
        let mut parts = vec![(places, rest)];
        for some in uses.chunks(USES) {
            let (places, ops) = some.iter().cloned().unzip();
            parts.push((places, Batch { objects: Vec::new(), ops }));
        }
        for (number, (places, part)) in parts.into_iter().enumerate() {
            let applied = match self.make(&part).await {
                Ok(Applied::All(applied)) => applied,
                Ok(Applied::Refused { index, found }) => {
                    let index = places.get(index).copied().unwrap_or(index);
                    return Ok(Applied::Refused { index, found });
                }
                // What counts was made.
                Err(_) if number > 0 && !alone => break,
                Err(error) => return Err(error),
            };
            for (place, one) in places.into_iter().zip(applied) {
                if let Some(done) = done.get_mut(place) {
                    *done = one;
                }
            }
        }
        Ok(Applied::All(done))
    }

    /// Makes a batch's changes; its objects go with them where one server has all.
    async fn make(&self, batch: &Batch) -> Result<Applied> {
        if batch.ops.is_empty() && batch.objects.is_empty() {
            return Ok(Applied::All(Vec::new()));
        }
        if !batch.objects.is_empty() {
            self.begin().await;
        }
        let (layout, together) = (&self.layout, self.nodes.together() && !batch.objects.is_empty());
        let mut objects: Vec<(ObjectId, Bytes)> = Vec::new();
        for (id, blob) in &batch.objects {
            object::check(id, blob)?;
            if together {
                objects.push((*id, blob.to_bytes()));
            } else {
                object::write(&self.nodes, layout, id, blob).await?;
            }
        }
        let (objects, encoded) = (&objects, &Encoded::new(batch, layout)?);
        let made = self
            .nodes
            .run(self.nodes.records(), false, |node| async move {
                let call = encoded.call(&node.scripts);
                if !together {
                    return call.query_async::<Value>(&mut node.handle()).await;
                }
                let mut pipe = redis::pipe();
                pipe.atomic();
                for (id, data) in objects {
                    object::add(&mut pipe, &node, layout, id, data);
                }
                pipe.add_command(call);
                let mut answers: Vec<Value> = pipe.query_async(&mut node.handle()).await?;
                Ok(answers.pop().unwrap_or_default())
            })
            .await?;
        entry::applied(made, batch)
    }
}

#[async_trait]
impl Store for RedisStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        look::get(&self.nodes, &self.layout, keys).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        let uses = batch.ops.iter().filter(|op| matches!(op, Op::Touch { .. })).count();
        if uses > USES { self.apart(batch).await } else { self.make(&batch).await }
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        scan::page(&self.nodes, &self.layout, scan).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        object::read(&self.nodes, &self.layout, id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.begin().await;
        object::write(&self.nodes, &self.layout, id, &blob).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        object::remove(&self.nodes, &self.layout, ids, idle).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        object::quarantine(&self.nodes, &self.layout, id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        object::list(&self.nodes, &self.layout, after, limit).await
    }

    async fn usage(&self) -> Result<Usage> {
        let (layout, nodes) = (&self.layout, &self.nodes);
        let answer = nodes
            .run(nodes.records(), true, |node| async move {
                let mut call = node.scripts.call(Name::Usage, 1);
                call.arg(layout.meta()).arg(layout.records.as_str());
                call.arg(&Space::ALL.map(letter));
                call.query_async::<Value>(&mut node.handle()).await
            })
            .await?;
        let mut answer = Items::of(answer, "a count of entries")?;
        let mut usage = Usage::default();
        for entries in &mut usage.entries {
            *entries = u64::try_from(answer.number()?).unwrap_or(0);
            usage.disk_bytes += u64::try_from(answer.number()?).unwrap_or(0);
        }
        object::usage(&self.nodes, &self.layout, &mut usage).await?;
        Ok(usage)
    }

    fn generation(&self) -> Option<Generation> {
        self.nodes.config().track.then(|| self.tracking.generation().clone())
    }

    fn counts_entries(&self) -> bool {
        if self.nodes.config().track {
            self.nodes.tell_of_entries();
        }
        self.nodes.config().track
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        if self.nodes.config().track {
            self.tracking.watch(watcher);
            self.nodes.keep();
        }
        self.nodes.config().track
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("address", &self.info.address).finish_non_exhaustive()
    }
}
