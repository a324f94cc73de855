//! One server of each kind for all tests that leave it running, and stores with tables of their own there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use afresh_core::Store;
use afresh_store_sql::{SqlOptions, open_with};
use afresh_testkit::ManualClock;
use afresh_testkit::servers::{self, Site, Sql, skipped};

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Mariadb,
}

pub const KINDS: [Kind; 2] = [Kind::Postgres, Kind::Mariadb];

impl Kind {
    pub fn site(self) -> Option<Site> {
        Site::open(self.server())
    }

    fn server(self) -> servers::Kind {
        match self {
            Self::Postgres => servers::Kind::Postgresql,
            Self::Mariadb => servers::Kind::Mysql,
        }
    }
}

/// Starts a server of its own; says so where there is none.
pub fn start(kind: Kind) -> Option<Sql> {
    let server = match kind {
        Kind::Postgres => Sql::postgres(),
        Kind::Mariadb => Sql::mariadb(),
    };
    if server.is_none() {
        skipped(kind.server());
    }
    server
}

/// The server that tests share, to be configured but not stopped.
pub fn shared(kind: Kind) -> Option<Arc<Sql>> {
    let server = kind.site()?.private_sql();
    if server.is_none() {
        skipped(kind.server());
    }
    server
}

/// A beginning of names that no other test has.
pub fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A store without anything in it.
pub fn empty(server: &Sql, clock: Option<&ManualClock>) -> Arc<dyn Store> {
    at(server, &prefix(), clock)
}

/// The store whose tables begin so.
pub fn at(server: &Sql, prefix: &str, clock: Option<&ManualClock>) -> Arc<dyn Store> {
    let options = SqlOptions { clock: clock.map(ManualClock::function), ..SqlOptions::default() };
    open_with(&server.url(prefix), options).unwrap()
}
