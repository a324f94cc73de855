//! The store on a server that speaks MongoDB's protocol.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod faults;
mod server;
