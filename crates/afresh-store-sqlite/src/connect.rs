//! Opening one connection, set up for its purpose.
//!
//! Invariant: no connection checkpoints by itself, neither after a commit nor when it is closed: that is
//! `checkpoint`'s affair, so that no caller pays for it. No connection gives up on a lock before the
//! store's patience is over.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::config::{PAGE, SqliteOptions, Sync, WAL_HARD};
use crate::error::Outcome;

/// Prepared statements kept by each connection; there are fewer kinds.
const STATEMENTS: usize = 64;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The one that writes.
    Write,
    /// One of several that read.
    Read,
    /// Copies the log into the database.
    Checkpoint,
    /// Reads where nothing may be written.
    Frozen,
}

/// A connection to the database at `path`.
pub(crate) fn connect(
    path: &Path,
    purpose: Purpose,
    options: &SqliteOptions,
) -> Outcome<Connection> {
    let flags = match purpose {
        Purpose::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Purpose::Read | Purpose::Checkpoint => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Purpose::Frozen => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let mut conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    wait_on_busy(&mut conn, options.patience)?;
    set_up(&conn, purpose, options)?;
    Ok(conn)
}

/// A connection that trusts that nobody writes: for a copy on read-only media, where not even the
/// shared index of the log can be made.
pub(crate) fn connect_immutable(path: &Path, options: &SqliteOptions) -> Outcome<Connection> {
    let text = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(
        format!("file:{text}?immutable=1"),
        flags | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    set_up(&conn, Purpose::Frozen, options)?;
    Ok(conn)
}

fn set_up(conn: &Connection, purpose: Purpose, options: &SqliteOptions) -> Outcome<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Or a bound value that might decide about a partial index has the statement prepared anew at each use.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "mmap_size", i64::try_from(options.mmap).unwrap_or(i64::MAX))?;
    conn.pragma_update(None, "temp_store", "memory")?;
    let level = match options.sync {
        Sync::Full => "full",
        Sync::Normal => "normal",
        Sync::Off => "off",
    };
    conn.pragma_update(None, "synchronous", level)?;
    match purpose {
        Purpose::Write => {
            conn.pragma_update(None, "page_size", i64::try_from(PAGE).unwrap_or(4096))?;
            conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
            conn.pragma_update(None, "cache_size", -8000)?;
            // Beyond the hard limit only: to cut the log and let it grow again costs writers more than room.
            let limit = i64::try_from(WAL_HARD * 2 * PAGE).unwrap_or(i64::MAX);
            conn.pragma_update_and_check(None, "journal_size_limit", limit, |_| Ok(()))?;
        }
        Purpose::Read | Purpose::Frozen => conn.pragma_update(None, "query_only", true)?,
        Purpose::Checkpoint => {}
    }
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    Ok(())
}

/// Has the connection wait for locks that others hold.
pub(crate) fn wait_on_busy(conn: &mut Connection, patience: Duration) -> Outcome<()> {
    let mut started = Instant::now();
    conn.busy_handler(Some(move |tries: i32| {
        if tries == 0 {
            started = Instant::now();
        }
        pause(started.elapsed(), patience)
    }))?;
    Ok(())
}

/// Pauses before the next try of somebody who has `waited`; `false` if that is out of patience. Steps grow
/// with the time that has passed: a write transaction takes some thirty microseconds, so a waiter that
/// looks often is served soon, and one that has waited for long no longer burns the processor.
pub(crate) fn pause(waited: Duration, patience: Duration) -> bool {
    match waited.as_micros() {
        _ if waited > patience => return false,
        0..100 => thread::yield_now(),
        100..100_000 => thread::sleep(Duration::from_micros(20)),
        100_000..1_000_000 => thread::sleep(Duration::from_micros(300)),
        _ => thread::sleep(Duration::from_millis(2)),
    }
    true
}
