//! Private servers for tests of stores: started on free ports of the loopback in temporary folders, gone with the
//! test program whatever becomes of it.
//!
//! Invariant: never a default port, and never a server that was already there, unless an `AFRESH_TEST_…_URL` names it.
//! A server that is not installed is said to be missing; a test that needs it says `skipped`, and fails where
//! `AFRESH_TEST_SERVERS=required`.

mod mongodb;
mod process;
mod proxy;
pub mod redis;
mod s3;
mod sql;

pub use mongodb::Mongo;
pub use process::{Server, free_port};
pub use proxy::{Proxy, Wire};
pub use s3::S3;
pub use sql::Sql;

use std::path::{Path, PathBuf};

/// The program `name` from the path or from one of `folders`.
pub fn program(name: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = folders.iter().map(PathBuf::from);
    std::env::split_paths(&path).chain(known).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The address in an environment variable, of a server of the user's own.
pub fn named(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|address| !address.is_empty())
}

/// Says that a test is skipped, and why; fails instead where servers are required.
pub fn skipped(what: &str) {
    let required = std::env::var("AFRESH_TEST_SERVERS").is_ok_and(|value| value == "required");
    assert!(!required, "no {what} server, and AFRESH_TEST_SERVERS=required");
    eprintln!("skipped: no {what} server");
}

/// Whether this process is root, which some servers refuse to run as.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self").metadata().is_ok_and(|file| file.uid() == 0)
}
