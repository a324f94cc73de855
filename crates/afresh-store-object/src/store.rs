//! The store: entries in a bucket, objects beside them.
//!
//! Invariant: nothing is written into a bucket whose layout is not known or whose server passes over conditions.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Capabilities, Entry, Error, Key, Kind, Labels, ObjectId,
    ObjectInfo, Op, Page, Removed, Result, Scan, Space, Store, StoreInfo, Timestamp, Usage,
};
use afresh_remote::cells::{Clock, Entries};
use async_trait::async_trait;
use futures_util::future::{try_join, try_join_all};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use tokio::sync::OnceCell;

use crate::bucket::{Bucket, Found, Put};
use crate::entry::{folder, name};
use crate::folder::Folder;
use crate::{label, object};

/// How many requests of one operation are on their way at a time.
pub(crate) const WIDTH: usize = 16;

/// What is written down in a bucket of this layout.
const FORMAT: &[u8] = b"{\"format\": 2}\n";

/// The folder of everything of this layout.
const LAYOUT: &str = "afresh-2";

/// A store in a bucket or a folder. Its futures need a runtime of tokio: see [`afresh_remote::Remote`].
#[derive(Debug)]
pub struct ObjectStore {
    info: StoreInfo,
    pub(crate) entries: Entries<Bucket>,
    ready: OnceCell<()>,
}

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
        let bucket = Bucket::new(driver, Path::from(prefix).join(LAYOUT), folder);
        let capabilities = Capabilities { shared: true, ..Capabilities::default() };
        Self {
            info: StoreInfo { scheme, address, capabilities, lock_dir: None },
            entries: Entries::new(bucket, clock),
            ready: OnceCell::new(),
        }
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        self.entries.cells()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.entries.clock().now()
    }

    /// Once, before the first write: is this a layout that we know, and does the server heed conditions?
    async fn ready(&self) -> Result<()> {
        self.ready.get_or_try_init(|| self.set_up()).await.copied()
    }

    async fn set_up(&self) -> Result<()> {
        let marker = self.bucket().marker();
        let mut found = self.bucket().fetch(&marker).await?;
        if found.is_none() {
            found = match self.bucket().put(&marker, None, Bytes::from_static(FORMAT)).await? {
                Put::Done(found) => {
                    self.probe(&marker).await?;
                    Some(found)
                }
                Put::Refused(found) => found,
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

    /// Writes down what the commits that a batch puts are found by, before they are there.
    async fn label(&self, ops: &[Op]) -> Result<()> {
        let none = Labels::default();
        let label = |op: &Op| {
            let labels = match op {
                Op::Put { entry, .. } => &entry.labels,
                Op::Add { .. } => &none,
                Op::Check { .. } | Op::Delete { .. } | Op::Touch { .. } => return None,
            };
            let random = RandomState::new().build_hasher().finish() as u32;
            let commit = op.key().space() == Space::Commit;
            let label = || label::label(&name(op.key().bytes()), labels, random);
            commit.then(|| self.bucket().path(label::FOLDER, &label()))
        };
        let labels: Vec<Path> = ops.iter().filter_map(label).collect();
        let mark = |path: Path| async move { self.bucket().mark(&path).await };
        stream::iter(labels).map(mark).buffer_unordered(WIDTH).try_collect().await
    }

    /// What is certainly wrong must be refused. A server that passes over conditions would lose answers.
    async fn probe(&self, marker: &Path) -> Result<()> {
        for seen in [None, Some(Found::elsewhere())] {
            let wrong = Bytes::from_static(b"a server that passes over conditions\n");
            if let Put::Done(_) = self.bucket().put(marker, seen.as_ref(), wrong).await? {
                if let Err(error) = self.bucket().delete(marker).await {
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
}

#[async_trait]
impl Store for ObjectStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.entries.get(keys).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        self.ready().await?;
        try_join(self.write_all(batch.objects), self.label(&batch.ops)).await?;
        self.entries.apply(batch.ops).await
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
        let spaces = Space::ALL.map(|space| self.count(folder(space)));
        let ((spaces, objects), aside) = try_join(
            try_join(try_join_all(spaces), self.count(object::FOLDER)),
            self.count(object::ASIDE),
        )
        .await?;
        let mut usage =
            Usage { file_objects: objects.0, file_bytes: objects.1, ..Usage::default() };
        usage.disk_bytes = objects.1 + aside.1;
        for (count, (entries, bytes)) in usage.entries.iter_mut().zip(spaces) {
            *count = entries;
            usage.disk_bytes += bytes;
        }
        Ok(usage)
    }
}
