//! What the engine promises, on the reference store and on the embedded one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]
#![allow(missing_docs, reason = "tests are named by what they say")]

mod accept;
mod archive;
mod calls;
mod explain;
mod fencing;
mod flight;
mod freshness;
mod gc;
mod generation;
mod guard;
mod history;
mod inside;
mod lease;
mod readings;
mod support;
mod trust;
mod verify;
