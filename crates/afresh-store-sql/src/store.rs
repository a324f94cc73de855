//! The store itself: each operation handed to its module.
//!
//! Invariant: opening does not wait for the server. What runs beside (listening, sweeping) ends with the store, and
//! nothing depends on it for being right.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Capabilities, Entry, Generation, Key, ObjectId, ObjectInfo, Page,
    Removed, Result, Scan, Store, StoreInfo, Usage, Watcher,
};
use afresh_remote::Remote;
use async_trait::async_trait;

use crate::config::{Config, Server, SqlOptions};
use crate::database::Database;
use crate::listen::{self, Watchers};
use crate::sql::Sql;
use crate::{entry, object, scan, sweep, usage};

/// What the names of tables have after the prefix: the version of the schema.
const SCHEMA: &str = "_v2_";

/// A store in a SQL database.
struct SqlStore {
    info: StoreInfo,
    database: Arc<Database>,
    /// Where the server tells of changes.
    told: Option<(Generation, Arc<Watchers>)>,
}

/// Opens the store at `address`, such as `postgresql://user:password@host/database`, without connecting.
///
/// ```
/// let store = afresh_store_sql::open("mysql://ada:secret@localhost/cache")?;
/// assert_eq!(store.info().address, "mysql://ada:***@localhost/cache");
/// # Ok::<(), afresh_core::Error>(())
/// ```
///
/// # Errors
/// [`Kind::Config`](afresh_core::Kind::Config) for an address that is not understood.
pub fn open(address: &str) -> Result<Arc<dyn Store>> {
    open_with(address, SqlOptions::default())
}

/// Like [`open`], with what no address can say.
///
/// # Errors
/// Like [`open`].
pub fn open_with(address: &str, options: SqlOptions) -> Result<Arc<dyn Store>> {
    let config = Config::parse(address)?;
    let (remote, pause) = (config.remote, options.sweep);
    let store = Remote::open(remote, |handle| {
        let store = SqlStore::new(config, options);
        let database = Arc::downgrade(&store.database);
        if let Some((generation, watchers)) = &store.told {
            // From before anybody can ask, until it listens.
            let blind = generation.blind();
            let (generation, watchers) = (generation.clone(), Arc::clone(watchers));
            handle.spawn(listen::run(database.clone(), generation, blind, watchers));
        }
        handle.spawn(sweep::run(database, pause));
        Ok(store)
    })?;
    Ok(Arc::new(store))
}

impl SqlStore {
    fn new(config: Config, options: SqlOptions) -> Self {
        let capabilities = Capabilities {
            near: false,
            shared: true,
            atomic: true,
            ordered: true,
            indexed: true,
            expires: true,
            max_object: Some(object::LARGEST),
        };
        let server = config.server;
        let info = StoreInfo {
            scheme: match server {
                Server::Postgres => "postgresql",
                Server::Mysql => "mysql",
            },
            address: config.address.clone(),
            capabilities,
            lock_dir: None,
        };
        let tables = format!("{}{SCHEMA}", config.prefix);
        let sql = Sql { server, tables, clock: options.clock };
        let database = Arc::new(Database::new(config, sql));
        let told = (server == Server::Postgres).then(|| (Generation::local(), Arc::default()));
        Self { info, database, told }
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqlStore").field(&self.info.address).finish()
    }
}

#[async_trait]
impl Store for SqlStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        entry::get(&self.database, keys).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        entry::apply(&self.database, batch).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        scan::page(&self.database, scan).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        object::read(&self.database, id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        object::write(&self.database, id, blob).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        object::remove(&self.database, ids, idle).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        object::quarantine(&self.database, id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        object::list(&self.database, after, limit).await
    }

    async fn usage(&self) -> Result<Usage> {
        usage::usage(&self.database).await
    }

    fn generation(&self) -> Option<Generation> {
        self.told.as_ref().map(|(generation, _)| generation.clone())
    }

    fn counts_entries(&self) -> bool {
        self.told.is_some()
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        match &self.told {
            Some((_, watchers)) => {
                watchers.add(watcher);
                true
            }
            None => false,
        }
    }
}
