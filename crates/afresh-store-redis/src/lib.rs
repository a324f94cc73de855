//! A store on Redis or Valkey: one server, a group watched by Sentinel, or a Cluster.
//!
//! | to … | see |
//! |---|---|
//! | know what is stored under which key | `docs/format-store-redis.md`, `layout.rs` |
//! | read an address | `config.rs` |
//! | see how a batch is judged and made | `lua/apply.lua`, `entry.rs` |
//! | see how entries are found, also after an eviction | `scan.rs`, `rebuild.rs`, `lua/page.lua` |
//! | know which server is asked, and what happens when it goes away | `nodes.rs`, `topology.rs` |
//! | know why an answer kept in a process is still right | `tracking.rs` |
//!
//! All records of a store share one hash tag and so one server: a batch is one script and atomic also on a Cluster.
//! Objects, most of the bytes, are spread over sixteen parts. Why: `docs/design/0009-redis.md`.
#![forbid(unsafe_code)]

mod config;
mod entry;
mod error;
mod layout;
mod look;
mod nodes;
mod object;
mod rebuild;
mod reply;
mod scan;
mod scripts;
mod store;
mod topology;
mod tracking;

use std::sync::Arc;

use afresh_core::{Result, Store};
use afresh_remote::Remote;

/// Opens the store at `address`, such as `redis://user:password@host:6379/0?prefix=team`. Does not connect: a server
/// that is away costs the first call a warning.
///
/// ```
/// let store = afresh_store_redis::open("redis://ada:s3cret@localhost/0")?;
/// assert_eq!(store.info().address, "redis://ada:***@localhost/0");
/// # Ok::<(), afresh_core::Error>(())
/// ```
///
/// # Errors
/// [`Kind::Config`](afresh_core::Kind::Config) for an address that is not understood.
pub fn open(address: &str) -> Result<Arc<dyn Store>> {
    let (config, options) = config::Config::parse(address)?;
    Ok(Arc::new(Remote::open(options, |_| Ok(store::RedisStore::new(config)))?.at_hand()))
}
