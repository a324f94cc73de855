//! The store in a bucket of S3 (and what speaks its language), Google Cloud Storage or Azure Blob Storage, or in a
//! local folder of the same layout.
//!
//! | to … | see |
//! |---|---|
//! | know which options an address has | `config` |
//! | know what time it is by the server's clock | `clock`, fed by `connector` |
//! | see what is stored for an entry, and what its version is | `entry` |
//! | see how a batch becomes conditional puts | `plan` (what should be), `store` (doing it) |
//! | see how objects are streamed | `object` |
//! | follow a driver's error to ours | `error` |
//!
//! Invariant: an entry changes only by a put under the condition that nobody changed it since it was read. A batch is
//! not atomic: what could lead to wrong answers is written last, and an answer whose conditions could have changed
//! meanwhile is written together with them (`entry::Guard`).
#![forbid(unsafe_code)]

mod bucket;
mod clock;
mod config;
mod connector;
mod entry;
mod error;
mod folder;
mod object;
mod plan;
mod queue;
mod scan;
mod store;

pub use clock::Clock;
pub use config::open;
pub use store::ObjectStore;
