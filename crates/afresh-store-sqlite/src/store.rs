//! The store: each operation of the contract, handed to the module that knows about it.
//!
//! Invariant: nothing here awaits, so every future is ready on first poll. It holds no state but the
//! slot.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Capabilities, Entry, Error, Generation, Key, Kind, ObjectId, ObjectInfo,
    Page, Removed, Result, Scan, Store, StoreInfo, Usage,
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::config::SqliteOptions;
use crate::folder::Folder;
use crate::slot::Slot;
use crate::stage::stage;
use crate::write::End;
use crate::{entry, fold, inventory, object, scan};

/// A store in a folder, shared by all processes of this machine that open it.
///
/// ```
/// # fn main() -> afresh_core::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("afresh-doc-{}", std::process::id()));
/// use afresh_store_sqlite::{SqliteOptions, SqliteStore};
///
/// let store = SqliteStore::open(&folder, SqliteOptions::default())?;
/// # drop(store);
/// # let _ = std::fs::remove_dir_all(folder);
/// # Ok(())
/// # }
/// ```
pub struct SqliteStore {
    info: StoreInfo,
    slot: Slot,
}

impl SqliteStore {
    /// Opens the store in the folder `path`, and makes it if it is not there.
    ///
    /// A damaged database is set aside (see [`notices`](Self::notices)). A folder that may not be written
    /// but holds a store is opened for reading; writes are then [`Kind::Denied`].
    ///
    /// # Errors
    /// [`Kind::Config`] where the folder holds something else or a newer format, [`Kind::Denied`] or
    /// [`Kind::Unavailable`] where it cannot be used.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self> {
        // A process that changes its working directory goes on with the same store.
        let root: PathBuf = std::path::absolute(path).map_err(|error| {
            Error::new(Kind::Config, "not a path").with_source(error).with_op("open")
        })?;
        let address = format!("sqlite:{}", path.display());
        let info = StoreInfo {
            scheme: "sqlite",
            address: address.clone(),
            capabilities: Capabilities {
                near: true,
                shared: true,
                atomic: true,
                ordered: true,
                indexed: true,
                expires: true,
                max_object: None,
            },
            lock_dir: Some(root.clone()),
        };
        let slot = Slot::new(Arc::new(Folder::new(root)), options, address);
        slot.ensure()?;
        Ok(Self { info, slot })
    }

    /// What a user should be told, such as that a damaged database was set aside. Each notice is
    /// returned once.
    pub fn notices(&self) -> Vec<String> {
        self.slot.notices()
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("address", &self.info.address).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.slot.run("get", |database| {
            let found = entry::get(database, keys)?;
            // What is absent may be so because the store was removed; a hit needs no such look.
            if found.iter().any(Option::is_none) {
                database.check_absence()?;
            }
            Ok(found)
        })
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        self.slot.run("apply", |database| {
            // On the counters of the very file that is open now.
            let changing = self.slot.shared.generation().announce(&batch);
            let applied = fold::apply(database, &batch);
            drop(changing);
            applied
        })
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.slot.run("scan", |database| {
            database.settle()?;
            let page = database.read(|reader| scan::page(database, reader, scan))?;
            if page.entries.is_empty() {
                database.check_identity()?;
            }
            Ok(page)
        })
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        self.slot.run("read", |database| object::read(database, id))
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.slot.run("write", |database| {
            let mut staged = stage(database, id, &blob)?;
            database.write(|write| write.keep(&mut staged).map(End::Commit))
        })
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        self.slot.run("remove", |database| inventory::remove(database, ids, idle))
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        self.slot.run("quarantine", |database| object::quarantine(database, id))
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        self.slot.run("list", |database| inventory::list(database, after, limit))
    }

    async fn usage(&self) -> Result<Usage> {
        self.slot.run("usage", |database| {
            database.settle()?;
            let usage = database.read(|reader| scan::usage(database, reader))?;
            database.check_identity()?;
            let disk_bytes = database.folder.database_bytes() + usage.file_bytes;
            Ok(Usage { disk_bytes, ..usage })
        })
    }

    fn generation(&self) -> Option<Generation> {
        Some(self.slot.shared.generation())
    }

    fn counts_entries(&self) -> bool {
        true
    }

    fn suspend(&self) {
        self.slot.suspend();
    }

    fn resume(&self) {
        self.slot.resume();
    }
}
