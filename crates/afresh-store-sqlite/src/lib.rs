//! The embedded default: entries and small objects in one SQLite file, large objects as files beside it.
//!
//! Any number of processes of one machine share a folder. Readers never wait for writers, writers wait for
//! each other in microseconds, and what one process wrote the next one sees.
//!
//! | to … | see |
//! |---|---|
//! | open a store | [`SqliteStore::open`], [`SqliteOptions`] |
//! | know what is on disk | `docs/format-store-sqlite.md` |
//! | follow a look-up | `slot` (may it run?) → `entry` → `overlay`, else `database` (which connection?) |
//! | follow a change | `slot` → `fold` → `write`, `change` (may it be?) → `held` (appended), or `table` |
//! | see why look-ups in a row are cheap | `watch`, `hold` |
//! | see the rest | `object`, `inventory`, `scan` |
//! | see why writers don't stall | `keeper`, `checkpoint` |
//! | see what happens to a damaged or removed store | `slot`, `folder` |
//!
//! Invariants: a committed entry refers to objects that are there; stored bytes are checked before
//! they are handed out as an object; nothing is deleted because it is damaged, it is set aside.

mod change;
mod checkpoint;
mod config;
mod connect;
mod database;
mod entry;
mod error;
mod file;
mod fold;
mod folder;
mod generation;
mod held;
mod hold;
mod inventory;
mod keeper;
mod label;
mod meta;
mod object;
mod overlay;
mod scan;
mod schema;
mod slot;
mod stage;
mod store;
mod table;
mod verified;
mod watch;
mod write;

pub use config::{Clock, SqliteOptions, Sync};
pub use store::SqliteStore;
