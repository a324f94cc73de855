//! The store in MongoDB, or in what speaks its protocol.
//!
//! | to … | see |
//! |---|---|
//! | know which options an address has | `config` |
//! | see the document of an entry, and how it changes | `entry`; what is made of it: [`afresh_remote::cells`] |
//! | see how objects are kept | `object` |
//! | see how scans are asked | `scan` |
//! | follow a driver's error to ours | `error` |
//!
//! Invariant: an entry's document changes only under the condition that it is still the one that was read. Batches are not
//! atomic, on any server: `afresh_remote::cells` orders their writes so that no wrong answer comes of it.
#![forbid(unsafe_code)]

mod config;
mod entry;
mod error;
mod object;
mod scan;
mod store;

pub use config::open;
pub use store::MongoStore;
