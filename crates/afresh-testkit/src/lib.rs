//! What the tests of every store share: one conformance suite, a clock that is moved by hand, a store that
//! fails on command, a model comparison for property tests, and a harness that kills writers.
//!
//! A store's test is a few lines: see [`conformance::run`]. The crate is a dev-dependency only; it panics
//! where something does not hold, as tests do.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this library is test code: a panic is its way to report"
)]

mod clock;
pub mod conformance;
pub mod crash;
mod faulty;
mod hosts;
pub mod model;
pub mod servers;

pub use clock::ManualClock;
pub use faulty::{Fault, FaultyStore};
pub use hosts::SharedStore;
