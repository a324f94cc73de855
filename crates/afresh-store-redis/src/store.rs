//! The store itself: each operation as its commands.
//!
//! Invariant: nothing here keeps state; what a process knows of the server is in [`Nodes`] and [`Tracking`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Capabilities, Entry, Generation, Key, ObjectId, ObjectInfo, Page,
    Removed, Result, Scan, Space, Store, StoreInfo, Usage, Watcher,
};
use async_trait::async_trait;
use redis::Value;

use crate::config::Config;
use crate::entry::{self, Encoded};
use crate::layout::Layout;
use crate::nodes::Nodes;
use crate::object;
use crate::reply::Items;
use crate::scan;
use crate::tracking::Tracking;

/// A store on Redis. Its futures need the runtime of a `Remote`.
pub(crate) struct RedisStore {
    info: StoreInfo,
    layout: Layout,
    nodes: Arc<Nodes>,
    tracking: Arc<Tracking>,
}

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
        Self { info, layout, nodes, tracking }
    }

    /// Makes a batch's changes; its objects go with them where one server has all.
    async fn make(&self, batch: &Batch) -> Result<Value> {
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
        self.nodes
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
            .await
    }
}

#[async_trait]
impl Store for RedisStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        pipe.cmd("TIME");
        let mget = pipe.cmd("MGET");
        for key in keys {
            mget.arg(self.layout.entry(key));
        }
        let mut spaces: Vec<Space> = keys.iter().map(Key::space).collect();
        spaces.sort_unstable();
        spaces.dedup();
        for space in &spaces {
            let used = pipe.cmd("ZMSCORE").arg(self.layout.used(*space));
            for key in keys.iter().filter(|key| key.space() == *space) {
                used.arg(&key.bytes()[..]);
            }
        }
        let pipe = &pipe;
        let answer = self
            .nodes
            .run(self.nodes.records(), true, |node| async move {
                pipe.query_async::<Value>(&mut node.handle()).await
            })
            .await?;
        let mut answer = Items::of(answer, "MGET")?;
        let mut time = answer.array()?;
        let now = time.number()? * 1000 + time.number()? / 1000;
        let mut values = answer.array()?;
        let mut used = Vec::with_capacity(spaces.len());
        for space in &spaces {
            used.push((*space, answer.array()?));
        }
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let value = values.optional()?;
            let of_space = used.iter_mut().find(|(space, _)| *space == key.space());
            let used = of_space.map_or(Ok(None), |(_, used)| used.perhaps())?;
            found.push(match value {
                Some(value) => entry::read(&value.into(), used, now, true)
                    .map_err(|error| error.with_key(format!("{key:?}")))?,
                None => None,
            });
        }
        Ok(found)
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        if batch.ops.is_empty() && batch.objects.is_empty() {
            return Ok(Applied::All(Vec::new()));
        }
        entry::applied(self.make(&batch).await?, &batch)
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        scan::page(&self.nodes, &self.layout, scan).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        object::read(&self.nodes, &self.layout, id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
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
        let mut pipe = redis::pipe();
        for space in Space::ALL {
            pipe.cmd("ZLEXCOUNT").arg(self.layout.index(space)).arg("[k").arg("(l");
        }
        let pipe = &pipe;
        let counts = self
            .nodes
            .run(self.nodes.records(), true, |node| async move {
                pipe.query_async::<Vec<u64>>(&mut node.handle()).await
            })
            .await?;
        let mut usage = Usage::default();
        for (entries, count) in usage.entries.iter_mut().zip(counts) {
            *entries = count;
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
