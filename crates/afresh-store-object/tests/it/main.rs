//! The store on a driver in memory whose time is moved by hand, in a folder, and on a server that speaks S3.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod faults;
mod folder;
mod labels;
mod manual;
mod s3;
mod unfinished;
