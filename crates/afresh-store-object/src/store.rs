//! The store: batches carried out on a bucket.
//!
//! Invariant: nothing is written before all conditions of the batch were found to hold. Each entry is then written under
//! the condition that it is still what was read; one that is not is read again, and its operations done anew or refused.
//! An answer whose batch checks other entries is written together with what was checked, and confirmed once that has
//! been looked at again; who reads it before looks himself, and puts an end to it if it does not hold.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Capabilities, Done, Entry, Error, Key, Kind, ObjectId, ObjectInfo,
    Page, Removed, Result, Scan, Space, Store, StoreInfo, Usage, Version,
};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use tokio::sync::OnceCell;

use crate::bucket::{Bucket, Found, Swapped};
use crate::clock::Clock;
use crate::entry::{Body, Guard, Row, folder, name};
use crate::folder::Folder;
use crate::plan::{Fate, Step, Stop, Sum, Work, works};
use crate::queue::Queues;

/// How many requests of one operation are on their way at a time.
pub(crate) const WIDTH: usize = 16;

/// How often a write that others come before is tried.
const ATTEMPTS: u32 = 100;

/// What is written down in a bucket of this layout.
const FORMAT: &[u8] = b"{\"format\": 1}\n";

/// The folder of everything of this layout.
const LAYOUT: &str = "afresh-1";

/// A store in a bucket or a folder. Its futures need a runtime of tokio: see [`afresh_remote::Remote`].
#[derive(Debug)]
pub struct ObjectStore {
    info: StoreInfo,
    pub(crate) bucket: Bucket,
    pub(crate) clock: Clock,
    /// What a touch must be later by to be written.
    rough: Duration,
    ready: OnceCell<()>,
    queues: Queues,
}

/// What was found under a key.
#[derive(Clone, Debug, Default)]
struct Looked {
    found: Option<Found>,
    body: Option<Body>,
}

/// The place of the operation that was refused, and what was found there.
type Refusal = (usize, Option<Version>);

impl ObjectStore {
    /// A store under `prefix` of what `driver` reaches, with the clock that was told of its answers.
    pub fn new(
        scheme: &'static str,
        address: String,
        driver: Arc<dyn object_store::ObjectStore>,
        prefix: &str,
        clock: Clock,
    ) -> Self {
        Self::with(scheme, address, driver, prefix, clock, None)
    }

    /// A store in a local folder.
    pub(crate) fn local(
        address: String,
        driver: Arc<dyn object_store::ObjectStore>,
        root: PathBuf,
        sync: bool,
    ) -> Self {
        let folder = Folder::new(root.clone(), sync);
        let store = Self::with("file", address, driver, "", Clock::default(), Some(folder));
        Self { info: StoreInfo { lock_dir: Some(root), ..store.info }, ..store }
    }

    fn with(
        scheme: &'static str,
        address: String,
        driver: Arc<dyn object_store::ObjectStore>,
        prefix: &str,
        clock: Clock,
        folder: Option<Folder>,
    ) -> Self {
        let capabilities = Capabilities { shared: true, ..Capabilities::default() };
        Self {
            info: StoreInfo { scheme, address, capabilities, lock_dir: None },
            bucket: Bucket::new(driver, Path::from(prefix).join(LAYOUT), folder),
            clock,
            rough: Duration::from_secs(60),
            ready: OnceCell::new(),
            queues: Queues::default(),
        }
    }

    /// Once, before the first write: is this a layout that we know, and does the server heed conditions?
    async fn ready(&self) -> Result<()> {
        self.ready.get_or_try_init(|| self.set_up()).await.map(|()| ())
    }

    async fn set_up(&self) -> Result<()> {
        let marker = self.bucket.marker();
        let mut found = self.bucket.get(&marker).await?;
        if found.is_none() {
            found = match self.bucket.swap(&marker, None, Bytes::from_static(FORMAT)).await? {
                Swapped::Done(found) => {
                    self.probe(&marker).await?;
                    Some(found)
                }
                Swapped::Refused(found) => found,
            };
        }
        match found {
            Some(found) if found.bytes == FORMAT => Ok(()),
            _ => Err(Error::new(
                Kind::Unsupported,
                "the bucket holds a store of a format that is not known",
            )
            .with_hint("use a newer afresh, or another prefix")),
        }
    }

    /// What is certainly wrong must be refused. A server that passes over conditions would lose answers.
    async fn probe(&self, marker: &Path) -> Result<()> {
        for seen in [None, Some(Found::elsewhere())] {
            let wrong = Bytes::from_static(b"a server that passes over conditions\n");
            if let Swapped::Done(_) = self.bucket.swap(marker, seen.as_ref(), wrong).await? {
                if let Err(error) = self.bucket.delete(marker).await {
                    tracing::debug!(%error, "what tried the server out stays behind");
                }
                return Err(Error::new(
                    Kind::Unsupported,
                    "the server passes over the conditions of puts (`If-None-Match`, `If-Match`)",
                )
                .with_hint("use a newer server, or another kind of store for entries"));
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self, key: &Key) -> Path {
        self.bucket.path(folder(key.space()), &name(key.bytes()))
    }

    /// What is under a key. An answer that turns out not to hold is put an end to.
    async fn look(&self, key: &Key) -> Result<Looked> {
        let path = self.path(key);
        for _ in 0..ATTEMPTS {
            let Some(found) = self.bucket.get(&path).await? else { return Ok(Looked::default()) };
            let body = Body::decode(key.space(), &found.bytes)?;
            let holds = match &body {
                Body::Row(row) if !row.guards.is_empty() => {
                    self.broken(&row.guards).await?.is_none()
                }
                _ => true,
            };
            if holds {
                return Ok(Looked { found: Some(found), body: Some(body) });
            }
            let end = Body::Tombstone(self.clock.version(Some(body.version())));
            if let Swapped::Done(found) =
                self.bucket.swap(&path, Some(&found), end.encode()?).await?
            {
                return Ok(Looked { found: Some(found), body: Some(end) });
            }
        }
        Err(crowded(key))
    }

    /// The entry under a key, where there is one now.
    pub(crate) async fn live(&self, key: &Key) -> Result<Option<Entry>> {
        let looked = self.look(key).await?;
        let now = self.clock.now();
        Ok(looked.body.as_ref().and_then(|body| body.live(now)).map(|row| row.entry(now)))
    }

    /// The first of the guards that does not hold, and what is there instead.
    async fn broken(&self, guards: &[Guard]) -> Result<Option<(Guard, Option<Version>)>> {
        for guard in guards {
            let key = guard.key()?;
            let found = self.bucket.get(&self.path(&key)).await?;
            let body = found.map(|found| Body::decode(key.space(), &found.bytes)).transpose()?;
            let now = self.clock.now();
            let version =
                body.as_ref().and_then(|body| body.live(now)).map(|row| row.stored.version());
            if version != guard.version() {
                return Ok(Some((guard.clone(), version)));
            }
        }
        Ok(None)
    }

    /// The entries under `keys` as they are.
    async fn looks(&self, keys: Vec<Option<Key>>) -> Result<Vec<Looked>> {
        let look = |key: Option<Key>| async move {
            match key {
                Some(key) => self.look(&key).await,
                None => Ok(Looked::default()),
            }
        };
        stream::iter(keys).map(look).buffered(WIDTH).try_collect().await
    }

    /// What the operations on a key come to with what was found; the outer error is a failure, the inner a refusal.
    fn sum(&self, work: &Work, looked: &Looked) -> Result<std::result::Result<Sum, Refusal>> {
        match work.sum(looked.body.as_ref(), &self.clock, self.rough) {
            Ok(sum) => Ok(Ok(sum)),
            Err((index, Stop::Refused(found))) => Ok(Err((index, found))),
            Err((_, Stop::Failed(error))) => Err(error),
        }
    }

    /// Writes what the operations on a key came to, or come to with what is there by then.
    async fn carry_out(
        &self,
        work: Work,
        mut looked: Looked,
        mut sum: Sum,
        guards: Vec<Guard>,
    ) -> Result<std::result::Result<Vec<(usize, Done)>, Refused>> {
        let path = self.path(&work.key);
        for attempt in 0..ATTEMPTS {
            let body = match sum.fate {
                Fate::Kept => return Ok(Ok(sum.done)),
                Fate::Erase => return self.bucket.delete(&path).await.map(|()| Ok(sum.done)),
                Fate::Write(Body::Row(row)) if work.answers() => {
                    Body::Row(Row { guards: guards.clone(), ..row })
                }
                Fate::Write(body) => body,
            };
            match self.bucket.swap(&path, looked.found.as_ref(), body.encode()?).await? {
                Swapped::Done(found) => {
                    return match body {
                        Body::Row(row) if work.answers() && !row.guards.is_empty() => {
                            Ok(self.confirm(&path, found, row).await?.map_or(Ok(sum.done), Err))
                        }
                        _ => Ok(Ok(sum.done)),
                    };
                }
                Swapped::Refused(_) => {
                    pause(attempt).await;
                    looked = self.look(&work.key).await?;
                    sum = match self.sum(&work, &looked)? {
                        Ok(sum) => sum,
                        Err((index, found)) => return Ok(Err(Refused::Here(index, found))),
                    };
                }
            }
        }
        Err(crowded(&work.key))
    }

    /// Takes the guards off an answer if they hold now, after it was written; otherwise the answer goes.
    async fn confirm(&self, path: &Path, mut found: Found, row: Row) -> Result<Option<Refused>> {
        let (key, guards, version) = (row.key.clone(), row.guards.clone(), row.stored.version());
        let plain = Body::Row(Row { guards: Vec::new(), ..row });
        for attempt in 0..ATTEMPTS {
            let broken = self.broken(&guards).await?;
            let body = match &broken {
                None => plain.clone(),
                Some(_) => Body::Tombstone(self.clock.version(Some(version))),
            };
            let there = match self.bucket.swap(path, Some(&found), body.encode()?).await? {
                Swapped::Done(_) => return Ok(broken.map(Refused::Guard)),
                Swapped::Refused(there) => there,
            };
            // Others may end it, replace it, or note that they used it.
            match there
                .map(|there| Ok((Body::decode(key.space(), &there.bytes)?, there)))
                .transpose()?
            {
                Some((Body::Row(other), there)) if other.stored.version() == version => {
                    found = there
                }
                _ => return Ok(self.broken(&guards).await?.map(Refused::Guard)),
            }
            pause(attempt).await;
        }
        Err(crowded(&key))
    }
}

/// Why a write did not happen after all.
enum Refused {
    /// An operation on this very key.
    Here(usize, Option<Version>),
    /// Something that it rests on changed.
    Guard((Guard, Option<Version>)),
}

impl Refused {
    /// As the batch tells it.
    fn place(self, works: &[Work]) -> Result<Refusal> {
        match self {
            Self::Here(index, found) => Ok((index, found)),
            Self::Guard((guard, found)) => {
                let key = guard.key()?;
                let ops = works.iter().filter(|work| work.key == key).flat_map(|work| &work.ops);
                let first = ops.into_iter().find(|(_, op)| !op.when().holds(found));
                Ok((first.map_or(0, |(index, _)| *index), found))
            }
        }
    }
}

fn crowded(key: &Key) -> Error {
    Error::new(Kind::Conflict, "others kept changing the entry").with_key(format!("{key:?}"))
}

/// Lets others go first for a while, longer each time.
async fn pause(attempt: u32) {
    let most = 1u64 << attempt.min(6);
    let share = crate::entry::random() % most.max(1);
    tokio::time::sleep(Duration::from_millis(share)).await;
}

#[async_trait]
impl Store for ObjectStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let live = |key: Key| async move { self.live(&key).await };
        stream::iter(keys.to_vec()).map(live).buffered(WIDTH).try_collect().await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        self.ready().await?;
        let count = batch.ops.len();
        self.write_all(batch.objects).await?;
        let works = works(batch.ops);
        let _turn = self.queues.turn(&works).await;
        let keys = works.iter().map(|work| (!work.is_blind()).then(|| work.key.clone())).collect();
        let looked = self.looks(keys).await?;
        let mut plans = Vec::with_capacity(works.len());
        let mut guards = Vec::new();
        let mut stop: Option<(usize, Stop)> = None;
        for (work, looked) in works.iter().zip(looked) {
            match work.sum(looked.body.as_ref(), &self.clock, self.rough) {
                Ok(sum) => {
                    let found = sum.done.first().and_then(|(_, done)| done.version);
                    guards.extend(work.guard(found));
                    plans.push((work.step(&sum.fate), work.clone(), looked, sum));
                }
                Err(this) if stop.as_ref().is_none_or(|stop| this.0 < stop.0) => stop = Some(this),
                Err(_) => {}
            }
        }
        match stop {
            Some((index, Stop::Refused(found))) => return Ok(Applied::Refused { index, found }),
            Some((_, Stop::Failed(error))) => return Err(error),
            None => {}
        }
        let mut done = vec![Done { version: None, count: None }; count];
        for step in Step::ALL {
            let (now, later): (Vec<_>, Vec<_>) =
                plans.into_iter().partition(|(when, ..)| *when == step);
            plans = later;
            let carry = |(_, work, looked, sum)| self.carry_out(work, looked, sum, guards.clone());
            let came: Vec<_> =
                stream::iter(now).map(carry).buffer_unordered(WIDTH).try_collect().await?;
            let mut refused: Option<Refusal> = None;
            for what in came {
                match what {
                    Ok(these) => {
                        for (index, this) in these {
                            if let Some(place) = done.get_mut(index) {
                                *place = this;
                            }
                        }
                    }
                    Err(why) => {
                        let place = why.place(&works)?;
                        refused = Some(refused.filter(|first| first.0 < place.0).unwrap_or(place));
                    }
                }
            }
            if let Some((index, found)) = refused {
                return Ok(Applied::Refused { index, found });
            }
        }
        Ok(Applied::All(done))
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.scan_page(scan).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        self.read_object(id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.write_all(vec![(*id, blob)]).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        self.remove_objects(ids, idle).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        self.set_aside(id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        self.list_objects(after, limit).await
    }

    async fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        for (count, space) in usage.entries.iter_mut().zip(Space::ALL) {
            let (entries, bytes) = self.count(folder(space)).await?;
            *count = entries;
            usage.disk_bytes += bytes;
        }
        (usage.file_objects, usage.file_bytes) = self.count(crate::object::FOLDER).await?;
        usage.disk_bytes += usage.file_bytes;
        Ok(usage)
    }
}
