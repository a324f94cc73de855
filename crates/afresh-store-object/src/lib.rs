//! The store in a bucket of S3 (and what speaks its language), Google Cloud Storage or Azure Blob Storage, or in a
//! local folder of the same layout.
//!
//! | to … | see |
//! |---|---|
//! | know which options an address has | `config` |
//! | see where the server's clock is heard | `connector` |
//! | know under what name an entry is | `entry` |
//! | know what commits are found by | `label` |
//! | know how changes are made under conditions | `bucket`; what is made of it: [`afresh_remote::cells`] |
//! | see how objects are streamed | `object` |
//! | follow a driver's error to ours | `error` |
//!
//! Invariant: an entry changes only by a put under the condition that nobody changed it since it was read.
#![forbid(unsafe_code)]

mod bucket;
mod config;
mod connector;
mod entry;
mod error;
mod folder;
mod label;
mod object;
mod scan;
mod store;

pub use afresh_remote::cells::Clock;
pub use config::open;
pub use store::ObjectStore;
