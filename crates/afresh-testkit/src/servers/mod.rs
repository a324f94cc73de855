//! Servers for tests of stores: private ones, started on free ports of the loopback in temporary folders, gone with the
//! test program whatever becomes of it; or the user's own, named by a variable.
//!
//! | variable | such as |
//! |---|---|
//! | `AFRESH_TEST_REDIS_URL` | `redis://:password@host:6379/3`, `redis+cluster://host:7000` |
//! | `AFRESH_TEST_POSTGRESQL_URL` | `postgresql://user:password@host/database` |
//! | `AFRESH_TEST_MYSQL_URL` | `mysql://user:password@host/database` |
//! | `AFRESH_TEST_MONGODB_URL` | `mongodb://user:password@host:27017/?authSource=admin` |
//! | `AFRESH_TEST_S3_URL` | `s3://bucket/prefix?endpoint=http://host:9000&access_key=…&secret_key=…` |
//!
//! Each is an address as afresh takes it. On a server of the user's the conformance suite and the drills of that store
//! run, and whatever else leaves it as it is, at names of their own ([`Site`]) that are removed afterwards (with
//! `redis-cli`, `psql` or `mariadb`, where it is one of those); a run that is killed leaves them there. Tests that stop, fill or configure a server are skipped
//! and say so.
//!
//! Invariant: never a default port, and never a server that was already there, unless a variable names it. A server that
//! is not installed is said to be missing; a test that needs it says `skipped`, and fails where
//! `AFRESH_TEST_SERVERS=required`.

mod folder;
mod mongodb;
mod process;
mod proxy;
pub mod redis;
mod s3;
mod site;
mod sql;

pub use mongodb::Mongo;
pub use process::{Server, free_port};
pub use proxy::{Proxy, Wire};
pub use s3::S3;
pub use site::Site;
pub use sql::Sql;

use std::path::{Path, PathBuf};

use url::Url;

/// What speaks one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Redis or Valkey.
    Redis,
    /// PostgreSQL.
    Postgresql,
    /// MariaDB or MySQL.
    Mysql,
    /// MongoDB, or what speaks its protocol.
    Mongodb,
    /// A server with buckets.
    S3,
}

impl Kind {
    /// What names a server of the user's own.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Redis => "AFRESH_TEST_REDIS_URL",
            Self::Postgresql => "AFRESH_TEST_POSTGRESQL_URL",
            Self::Mysql => "AFRESH_TEST_MYSQL_URL",
            Self::Mongodb => "AFRESH_TEST_MONGODB_URL",
            Self::S3 => "AFRESH_TEST_S3_URL",
        }
    }

    /// The server of the user's own, where one is named.
    pub fn named(self) -> Option<Url> {
        let text = std::env::var(self.variable()).ok().filter(|text| !text.is_empty())?;
        // The message does not repeat it: it may hold a password.
        let url = Url::parse(&text).unwrap_or_else(|why| panic!("{}: {why}", self.variable()));
        let known: &[&str] = match self {
            Self::Redis => &["redis", "rediss", "redis+cluster", "rediss+cluster"],
            Self::Postgresql => &["postgresql", "postgres"],
            Self::Mysql => &["mysql", "mariadb"],
            Self::Mongodb => &["mongodb"],
            Self::S3 => &["s3"],
        };
        let scheme = url.scheme();
        assert!(known.contains(&scheme), "{}: {scheme} is none of {known:?}", self.variable());
        Some(url)
    }
}

/// The program `name` from the path or from one of `folders`.
pub fn program(name: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = folders.iter().map(PathBuf::from);
    std::env::split_paths(&path).chain(known).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Says that a test is skipped, and why: it would not leave the user's server as it is, or there is none. Fails instead
/// where servers are required and there is none.
pub fn skipped(kind: Kind) {
    if kind.named().is_some() {
        eprintln!("skipped: it needs a {kind:?} of its own, not the one of {}", kind.variable());
        return;
    }
    let required = std::env::var("AFRESH_TEST_SERVERS").is_ok_and(|value| value == "required");
    assert!(!required, "no {kind:?} server, and AFRESH_TEST_SERVERS=required");
    eprintln!("skipped: no {kind:?} server");
}

/// Whether this process is root, which some servers refuse to run as.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self").metadata().is_ok_and(|file| file.uid() == 0)
}
