//! Copying the write-ahead log into the database, on the keeper's thread, so that no caller ever waits for it.
//!
//! A passive checkpoint takes no lock that a reader or writer wants, but while others write it never
//! quite catches up, and the log can only begin again once it did. So beyond a hard limit passive rounds
//! shrink what is left, and the last few pages are copied and the database is synced while the write lock is
//! held: some ten milliseconds, once in about ten thousand small commits, and only while writers make no
//! pause at all. A small log is left alone on purpose: each time it begins again the next writer pays for a
//! sync.
//!
//! Invariant: its connections are used for nothing else.

use rusqlite::Connection;

use crate::config::{SqliteOptions, WAL_HARD};
use crate::connect::{Purpose, connect};
use crate::error::Outcome;
use crate::folder::Folder;

/// So few pages are copied while writers wait.
const REMAINDER: u64 = 256;

/// More rounds than this do not help against writers that are quicker than the copy.
const ROUNDS: usize = 4;

/// How long the log is, and how much of it is in the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    pub(crate) pages: u64,
    pub(crate) copied: u64,
}

impl Log {
    fn left(self) -> u64 {
        self.pages.saturating_sub(self.copied)
    }
}

/// Copies what can be copied without disturbing anyone (`mode` `PASSIVE`), or only looks (`NOOP`).
pub(crate) fn checkpoint(conn: &Connection, mode: &str) -> Outcome<Log> {
    let size = |number: i64| u64::try_from(number).unwrap_or(0);
    let mut statement = conn.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    Ok(statement
        .query_row([], |row| Ok(Log { pages: size(row.get(1)?), copied: size(row.get(2)?) }))?)
}

/// The connections that one checkpoint after another uses.
pub(crate) struct Connections {
    copy: Connection,
    /// Holds the write lock while `copy` finishes, which SQLite does not let one connection do.
    hold: Connection,
}

impl Connections {
    fn open(folder: &Folder, options: &SqliteOptions) -> Outcome<Self> {
        let _opening = folder.opening(false, options.patience)?;
        let open = || {
            let conn = connect(&folder.database(), Purpose::Checkpoint, options)?;
            conn.query_row("SELECT 1 FROM meta", [], |_| Ok(()))?;
            Outcome::Ok(conn)
        };
        Ok(Self { copy: open()?, hold: open()? })
    }
}

/// Copies what is in the log, if it is time.
pub(crate) fn pass(
    connections: &mut Option<Connections>,
    folder: &Folder,
    options: &SqliteOptions,
) -> Outcome<()> {
    let Connections { copy, hold } = match connections {
        Some(connections) => connections,
        none => none.insert(Connections::open(folder, options)?),
    };
    let mut log = checkpoint(copy, "PASSIVE")?;
    if log.pages < WAL_HARD {
        return Ok(());
    }
    // What came while a round was copying is what the next one copies; a round sees no more than that.
    for _ in 0..ROUNDS {
        let (copied, left) = (log.copied, log.left());
        log = checkpoint(copy, "PASSIVE")?;
        if log.copied == copied && log.left() > REMAINDER {
            // A reader holds an old snapshot. The next commits try again.
            return Ok(());
        }
        // Against writers that fill the log as quickly as it is copied more rounds do not help: they have to wait.
        if log.left() <= REMAINDER || log.left() >= left {
            break;
        }
    }
    hold.execute_batch("BEGIN IMMEDIATE")?;
    let finished = finish(copy);
    hold.execute_batch("ROLLBACK")?;
    log = finished?;
    tracing::debug!(?log, "finished a checkpoint under the write lock");
    Ok(())
}

/// The last round, while nobody writes; nothing to do where another process was quicker.
fn finish(copy: &Connection) -> Outcome<Log> {
    let log = checkpoint(copy, "NOOP")?;
    if log.pages < WAL_HARD { Ok(log) } else { checkpoint(copy, "PASSIVE") }
}
