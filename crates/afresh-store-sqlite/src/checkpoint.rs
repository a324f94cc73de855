//! Copying the write-ahead log into the database, on a thread of its own, so that no caller ever waits for it.
//!
//! A passive checkpoint takes no lock that a reader or writer wants, but while others write it never
//! quite catches up, and the log can only begin again once it did. So beyond a hard limit passive rounds
//! shrink what is left, and the last few pages are copied and the database is synced while the write lock is
//! held: some ten milliseconds, once in about ten thousand small commits, and only while writers make no
//! pause at all. A small log is left alone on purpose: each time it begins again the next writer pays for a
//! sync.
//!
//! Invariant: the thread owns its connections and nothing else; when a [`Checkpointer`] has been
//! dropped they are closed, so that the process may fork.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use crate::config::{SqliteOptions, WAL_HARD, WAL_SOFT};
use crate::connect::{Purpose, connect};
use crate::error::Outcome;
use crate::folder::Folder;

/// So few pages are copied while writers wait.
const REMAINDER: u64 = 256;

/// More rounds than this do not help against writers that are quicker than the copy.
const ROUNDS: usize = 4;

#[derive(Default)]
struct Wish {
    due: bool,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    wish: Mutex<Wish>,
    wake: Condvar,
}

/// Keeps the log of one open database short.
pub(crate) struct Checkpointer {
    folder: Arc<Folder>,
    options: SqliteOptions,
    /// Pages written since the log was last looked at, roughly.
    pages: AtomicU64,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpointer {
    /// `pages`: how long the log is already.
    pub(crate) fn new(folder: Arc<Folder>, options: SqliteOptions, pages: u64) -> Self {
        Self {
            folder,
            options,
            pages: AtomicU64::new(pages),
            shared: Arc::default(),
            thread: Mutex::default(),
        }
    }

    /// To be told after each commit how many pages it wrote, roughly.
    pub(crate) fn note(&self, pages: u64) {
        if self.pages.fetch_add(pages, Ordering::Relaxed) + pages < WAL_SOFT {
            return;
        }
        self.pages.store(0, Ordering::Relaxed);
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (shared, folder) = (self.shared.clone(), self.folder.clone());
            let options = self.options.clone();
            let started = thread::Builder::new()
                .name("afresh-checkpoint".to_owned())
                .spawn(move || run(&shared, &folder, &options));
            match started {
                Ok(handle) => *thread = Some(handle),
                Err(error) => tracing::warn!(%error, "no checkpoint thread: the log will grow"),
            }
        }
        self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner).due = true;
        self.shared.wake.notify_one();
    }

    /// Pages written since the log was last looked at, roughly.
    pub(crate) fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.shared.wake.notify_one();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

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

fn run(shared: &Shared, folder: &Folder, options: &SqliteOptions) {
    let mut connections = None;
    loop {
        let mut wish = shared.wish.lock().unwrap_or_else(PoisonError::into_inner);
        while !wish.due && !wish.stop {
            wish = shared.wake.wait(wish).unwrap_or_else(PoisonError::into_inner);
        }
        if wish.stop {
            return;
        }
        wish.due = false;
        drop(wish);
        if let Err(fault) = pass(&mut connections, folder, options) {
            // Whatever it is, the next writer meets it too and reports it; here a shorter log was lost.
            tracing::debug!(?fault, "a checkpoint failed");
            connections = None;
        }
    }
}

struct Connections {
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

fn pass(
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
        // Writers that fill the log as quickly as it is copied have to wait, or it would never end.
        if log.pages > WAL_HARD * 3 / 2 {
            break;
        }
        let before = log.copied;
        log = checkpoint(copy, "PASSIVE")?;
        if log.copied.saturating_sub(before) <= REMAINDER {
            break;
        }
    }
    if log.left() > REMAINDER {
        // A reader holds an old snapshot. The next commits try again.
        return Ok(());
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
