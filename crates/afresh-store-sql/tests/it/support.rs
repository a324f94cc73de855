//! One server of each kind for all tests that leave it running, and stores with tables of their own there.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use afresh_core::Store;
use afresh_store_sql::{SqlOptions, open_with};
use afresh_testkit::ManualClock;
use afresh_testkit::servers::{Sql, skipped};

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Mariadb,
}

pub const KINDS: [Kind; 2] = [Kind::Postgres, Kind::Mariadb];

type Shared = OnceLock<Mutex<Option<Arc<Sql>>>>;

static POSTGRES: Shared = OnceLock::new();
static MARIADB: Shared = OnceLock::new();

/// Starts a server of its own; says so where there is none.
pub fn start(kind: Kind) -> Option<Sql> {
    let server = match kind {
        Kind::Postgres => Sql::postgres(),
        Kind::Mariadb => Sql::mariadb(),
    };
    if server.is_none() {
        skipped(&format!("{kind:?}"));
    }
    server
}

/// The server that tests share.
pub fn shared(kind: Kind) -> Option<Arc<Sql>> {
    let shared = match kind {
        Kind::Postgres => &POSTGRES,
        Kind::Mariadb => &MARIADB,
    };
    let mut shared =
        shared.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if shared.is_none() {
        *shared = start(kind).map(Arc::new);
    }
    shared.clone()
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
