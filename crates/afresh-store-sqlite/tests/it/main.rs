//! The SQLite store: the common suite, the comparison with the memory store, and what only it has to survive.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a panic is their way to report"
)]

mod crash;
mod damage;
mod fixture;
mod look_ups;
mod places;
mod recent;
mod removed;
mod suite;
mod support;
