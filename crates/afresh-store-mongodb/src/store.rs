//! The store: its collections, what it can do, and the server's clock.
//!
//! Invariant: `batches are not atomic` is said of every server, although a replica set has transactions: what a store says
//! of itself is constant, and what is built of single documents is right on all of them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Capabilities, Entry, Error, Key, Kind, ObjectId, ObjectInfo, Page,
    Removed, Result, Scan, Space, Store, StoreInfo, Timestamp, Usage,
};
use afresh_remote::cells::{Clock, Entries};
use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Collection, Database, IndexModel};
use tokio::sync::OnceCell;

use crate::entry::Documents;
use crate::error::{error, is_duplicate};

/// How often the server is asked what time it is, in milliseconds.
const ASK: i64 = 60_000;

/// A store in a database of MongoDB. Its futures need a runtime of tokio: see [`afresh_remote::Remote`].
#[derive(Debug)]
pub struct MongoStore {
    info: StoreInfo,
    database: Database,
    pub(crate) entries: Entries<Documents>,
    pub(crate) objects: Collection<Document>,
    pub(crate) chunks: Collection<Document>,
    pub(crate) aside: Collection<Document>,
    meta: Collection<Document>,
    ready: OnceCell<()>,
    asked: AtomicI64,
}

impl MongoStore {
    /// A store in `database`, shown as `address`, by the time of `clock` and what the server says of it.
    pub fn new(address: String, database: &Database, clock: Clock) -> Self {
        let capabilities = Capabilities {
            shared: true,
            ordered: true,
            indexed: true,
            expires: true,
            ..Capabilities::default()
        };
        let collection = database.collection("afresh_v2_entries");
        Self {
            info: StoreInfo { scheme: "mongodb", address, capabilities, lock_dir: None },
            database: database.clone(),
            entries: Entries::new(Documents { collection, clock: clock.clone() }, clock),
            objects: database.collection("afresh_v2_objects"),
            chunks: database.collection("afresh_v2_chunks"),
            aside: database.collection("afresh_v2_quarantine"),
            meta: database.collection("afresh_v2_meta"),
            ready: OnceCell::new(),
            asked: AtomicI64::new(i64::MIN / 2),
        }
    }

    pub(crate) fn documents(&self) -> &Documents {
        self.entries.cells()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.entries.clock().now()
    }

    /// Before each operation: the server's time is known, and the collections are as we know them.
    async fn ready(&self) -> Result<()> {
        let here = self.entries.clock().here();
        let asked = self.asked.load(Ordering::Relaxed);
        if (here.as_millis() - asked).abs() > ASK {
            self.asked.store(here.as_millis(), Ordering::Relaxed);
            if let Err(error) = self.ask().await {
                self.asked.store(asked, Ordering::Relaxed);
                return Err(error);
            }
        }
        self.ready.get_or_try_init(|| self.set_up()).await.copied()
    }

    /// What time is it there?
    async fn ask(&self) -> Result<()> {
        let clock = self.entries.clock();
        let asked = clock.here();
        let hello = self.database.run_command(doc! { "hello": 1 }).await.map_err(error)?;
        if let Ok(time) = hello.get_datetime("localTime") {
            let moment = Timestamp::from_millis(time.timestamp_millis());
            clock.heard(asked, clock.here(), moment, Duration::from_millis(1));
        }
        Ok(())
    }

    /// Makes indexes where they are missing. Any number of programs may do so at once.
    async fn set_up(&self) -> Result<()> {
        match self.meta.insert_one(doc! { "_id": "format", "format": 2 }).await {
            Err(driver) if !is_duplicate(&driver) => return Err(error(driver)),
            _ => {}
        }
        let found = self.meta.find_one(doc! { "_id": "format" }).await.map_err(error)?;
        if found.and_then(|found| found.get_i32("format").ok()) != Some(2) {
            let message = "the database holds a store of a format that is not known";
            return Err(Error::new(Kind::Unsupported, message)
                .with_hint("use a newer afresh, or another database"));
        }
        let entries = &self.documents().collection;
        for keys in [
            doc! { "space": 1, "time": -1, "made": -1 },
            doc! { "tags": 1 },
            doc! { "group": 1 },
            doc! { "function": 1 },
        ] {
            let index = IndexModel::builder().keys(keys).build();
            entries.create_index(index).await.map_err(error)?;
        }
        self.chunks
            .create_index(IndexModel::builder().keys(doc! { "upload": 1 }).build())
            .await
            .map_err(error)?;
        let at_once = IndexOptions::builder().expire_after(Duration::ZERO).build();
        let sweeper = IndexModel::builder().keys(doc! { "gone": 1 }).options(at_once).build();
        if let Err(driver) = entries.create_index(sweeper).await {
            // What is over is absent all the same; it only stays.
            tracing::debug!(error = %error(driver), "the server does not sweep");
        }
        Ok(())
    }
}

#[async_trait]
impl Store for MongoStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.ready().await?;
        self.entries.get(keys).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        self.ready().await?;
        for (id, blob) in batch.objects {
            self.write_object(&id, blob).await?;
        }
        self.entries.apply(batch.ops).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.ready().await?;
        self.scan_page(scan).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        self.ready().await?;
        self.read_object(id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.ready().await?;
        self.write_object(id, blob).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        self.ready().await?;
        self.remove_objects(ids, idle).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        self.ready().await?;
        self.set_aside(id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        self.ready().await?;
        self.list_objects(after, limit).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.ready().await?;
        let mut usage = Usage::default();
        for (count, space) in usage.entries.iter_mut().zip(Space::ALL) {
            let those = doc! { "space": i32::from(space.number()), "there": true };
            let entries = &self.documents().collection;
            *count = entries.count_documents(those).await.map_err(error)?;
        }
        (usage.file_objects, usage.file_bytes) = self.object_usage().await?;
        Ok(usage)
    }
}
