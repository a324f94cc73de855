//! Stores in real servers, which the tests start for themselves: PostgreSQL and MariaDB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bounds;
mod engine;
mod faults;
mod suite;
mod support;
mod told;
