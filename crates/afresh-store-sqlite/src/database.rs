//! An open database: one connection that writes, some that read, and the overlay of what is not in the tables yet.
//!
//! Invariant: a write transaction runs on the one writer: see `write`. It does not know what is written or read: see
//! `fold`, `object`, `entry`, `scan`.
//!
//! Locks are taken in this order: writer, SQLite's, overlay. A reader of the database may hold the overlay, as readers
//! wait for nobody.

use std::fs::{File, TryLockError};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use afresh_core::{Key, Timestamp, zip::LEVEL};
use rusqlite::Connection;
use zstd::bulk::Compressor;

use crate::checkpoint::checkpoint;
use crate::config::{PAGE, RECENT_LEFT, RECENT_SOFT, SqliteOptions, WAL_LEFT};
use crate::connect::{Purpose, connect, connect_immutable, pause, wait_on_busy};
use crate::error::{Fault, Outcome, read_only};
use crate::fold;
use crate::folder::{Folder, Identity};
use crate::held::Held;
use crate::hold::Hold;
use crate::keeper::Bell;
use crate::label::Labels;
use crate::object::Unzip;
use crate::overlay::Overlay;
use crate::schema;
use crate::verified::Verified;
use crate::watch::{Stamp, Watch};
use crate::write::{End, Write};

/// Idle readers beyond this are closed.
const IDLE_READERS: usize = 16;

/// How long to wait for a turn.
const FAIR: Duration = Duration::from_millis(5);

/// How long what is absent is believed to be so in the right file, in microseconds.
const CHECKED: u64 = 1000;

/// How long work waits that can be done another time.
const SOON: Duration = Duration::from_millis(100);

/// How often the expired are looked for, in milliseconds.
const SWEEP: i64 = 1000;

/// A connection, with what it needs to make bytes of what it finds.
pub(crate) struct Reader {
    pub(crate) conn: Connection,
    pub(crate) unzip: Unzip,
    hold: Hold,
}

/// The right to be the next writer.
struct Turn<'a>(&'a File);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// See the module.
pub(crate) struct Database {
    pub(crate) folder: Arc<Folder>,
    pub(crate) options: SqliteOptions,
    pub(crate) labels: Labels,
    identity: Option<Identity>,
    writer: Option<Mutex<Reader>>,
    queue: Option<File>,
    readers: Mutex<Vec<Reader>>,
    zips: Mutex<Vec<Compressor<'static>>>,
    pub(crate) verified: Verified,
    overlay: RwLock<Overlay>,
    /// The log that `writer` reads.
    watch: Option<Watch>,
    /// What the keeper is wanted for.
    pub(crate) bell: Bell,
    swept: AtomicI64,
    opened: Instant,
    /// Microseconds after that when the file was last seen to be the one under the store's name.
    checked: AtomicU64,
    immutable: bool,
}

impl Database {
    /// Opens the database in `folder`, which was prepared. To be called under `Folder::opening` alone,
    /// unless not `writable`.
    pub(crate) fn open(
        folder: Arc<Folder>,
        options: SqliteOptions,
        writable: bool,
    ) -> Outcome<Self> {
        let path = folder.database();
        let mut immutable = false;
        let opened = |conn| schema::ensure(&conn, writable).map(|()| conn);
        let first = if writable {
            opened(connect(&path, Purpose::Write, &options)?)?
        } else {
            match connect(&path, Purpose::Frozen, &options).and_then(opened) {
                Ok(opened) => opened,
                Err(fault) if fault.is_damage() => return Err(fault),
                // Without its log and index, which cannot be made here, the database has to be whole.
                Err(fault) if folder.log_bytes() > 0 => return Err(fault),
                Err(_) => {
                    immutable = true;
                    opened(connect_immutable(&path, &options)?)?
                }
            }
        };
        let frozen = !writable || first.is_readonly("main")?;
        let pages = folder.log_bytes() / PAGE;
        let watch = if frozen { None } else { Watch::new(&first) };
        let (writer, readers) = if frozen {
            (None, vec![Reader::new(first)])
        } else {
            (Some(Mutex::new(Reader::new(first))), Vec::new())
        };
        Ok(Self {
            queue: writer.is_some().then(|| folder.queue()).flatten(),
            identity: folder.identity(),
            bell: Bell::new(pages, (options.clock)()),
            overlay: RwLock::default(),
            watch,
            labels: Labels::default(),
            writer,
            readers: Mutex::new(readers),
            zips: Mutex::default(),
            verified: Verified::default(),
            swept: AtomicI64::new(0),
            opened: Instant::now(),
            checked: AtomicU64::new(0),
            immutable,
            folder,
            options,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.options.clock)()
    }

    /// As [`check_identity`](Self::check_identity), for what is absent: the second look of a call need not ask again.
    pub(crate) fn check_absence(&self) -> Outcome<()> {
        let now = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        if now < self.checked.load(Ordering::Relaxed) + CHECKED {
            return Ok(());
        }
        self.check_identity()?;
        self.checked.store(now, Ordering::Relaxed);
        Ok(())
    }

    /// What the log's header is now, where it can be seen.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        self.watch.as_ref().map(Watch::stamp)
    }

    /// Whether a stamp says when the overlay is right.
    pub(crate) fn watched(&self) -> bool {
        self.watch.is_some()
    }

    pub(crate) fn overlay(&self) -> RwLockReadGuard<'_, Overlay> {
        self.overlay.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn overlay_mut(&self) -> RwLockWriteGuard<'_, Overlay> {
        self.overlay.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what a write transaction found in the tables.
    pub(crate) fn learn(&self, key: &Key, held: Option<Held>) {
        self.overlay_mut().learn(key, held);
    }

    /// Whether it is time to look for the expired; the next time is a while later.
    pub(crate) fn sweep_due(&self, now: Timestamp) -> bool {
        let due = now.as_millis() >= self.swept.load(Ordering::Relaxed) + SWEEP;
        if due {
            self.swept.store(now.as_millis(), Ordering::Relaxed);
        }
        due
    }

    /// Has everything in the tables that was applied until now, for those who look there only. Where that cannot be,
    /// because nothing can be written, the overlay holds the rest.
    pub(crate) fn settle(&self) -> Outcome<()> {
        if !self.overlay().is_current(self.stamp()) {
            self.read(|reader| reader.snapshot(self, |_, _| Ok(())))?;
        }
        if self.overlay().backlog() == 0 || self.writer.is_none() {
            return Ok(());
        }
        match fold::all(self) {
            Err(fault @ Fault::Replaced) => Err(fault),
            Err(fault) if fault.is_damage() => Err(fault),
            Err(fault) => {
                tracing::debug!(?fault, "recent changes stay where they are");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Which file this is.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Fails if another file, or none, has taken this one's name.
    pub(crate) fn check_identity(&self) -> Outcome<()> {
        if self.folder.identity() == self.identity { Ok(()) } else { Err(Fault::Replaced) }
    }

    /// Runs `work` on the writer if nobody writes, else on a reader. What this process writes stays in the
    /// writer's page cache, while it makes a reader forget all of its own: measured, a look-up right after a write
    /// takes 7 µs on the one and 19 µs on the other.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&mut Reader) -> Outcome<T>) -> Outcome<T> {
        if let Some(Ok(mut writer)) = self.writer.as_ref().map(Mutex::try_lock) {
            writer.free()?;
            return work(&mut writer);
        }
        self.read_aside(work)
    }

    /// As [`read`](Self::read), for a single look-up that has to be right for this stamp. It may share its transaction
    /// with others.
    pub(crate) fn look_up<T>(
        &self,
        stamp: Option<Stamp>,
        work: impl FnOnce(&mut Reader) -> Outcome<T>,
    ) -> Outcome<T> {
        let Some(Ok(mut writer)) = self.writer.as_ref().map(Mutex::try_lock) else {
            return self.read_aside(work);
        };
        let Reader { conn, hold, .. } = &mut *writer;
        if hold.enter(conn, stamp, || self.stamp())? {
            self.bell.hold();
        }
        work(&mut writer)
    }

    /// Ends a transaction that look-ups share.
    pub(crate) fn let_go(&self) -> Outcome<()> {
        match &self.writer {
            Some(writer) => writer.lock().unwrap_or_else(PoisonError::into_inner).free(),
            None => Ok(()),
        }
    }

    /// Runs `work` on a connection that only reads.
    fn read_aside<T>(&self, work: impl FnOnce(&mut Reader) -> Outcome<T>) -> Outcome<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => self.new_reader()?,
        };
        let outcome = work(&mut reader);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
        outcome
    }

    fn new_reader(&self) -> Outcome<Reader> {
        let path = self.folder.database();
        if self.immutable {
            return Ok(Reader::new(connect_immutable(&path, &self.options)?));
        }
        // Held until the connection has opened the log too, so that nobody swaps one of the two.
        let _opening = self.folder.opening(false, self.options.patience)?;
        self.check_identity()?;
        let purpose = if self.writer.is_some() { Purpose::Read } else { Purpose::Frozen };
        let conn = connect(&path, purpose, &self.options)?;
        conn.query_row("SELECT 1 FROM meta", [], |_| Ok(()))?;
        self.check_identity()?;
        Ok(Reader::new(conn))
    }

    /// Runs `work` in a write transaction.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&mut Write<'_>) -> Outcome<End<T>>,
    ) -> Outcome<T> {
        let writer = self.writer.as_ref().ok_or_else(read_only)?;
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.free()?;
        self.begin(&writer.conn)?;
        Write::new(&writer.conn, self).transact(work)
    }

    /// As [`write`](Self::write), for what can as well be done another time: it does not wait for long.
    pub(crate) fn write_soon<T>(
        &self,
        work: impl FnOnce(&mut Write<'_>) -> Outcome<End<T>>,
    ) -> Outcome<T> {
        let writer = self.writer.as_ref().ok_or_else(read_only)?;
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.free()?;
        wait_on_busy(&mut writer.conn, self.options.patience.min(SOON))?;
        let begun = self.begin(&writer.conn);
        wait_on_busy(&mut writer.conn, self.options.patience)?;
        begun?;
        Write::new(&writer.conn, self).transact(work)
    }

    fn begin(&self, conn: &Connection) -> Outcome<()> {
        let _turn = self.queue();
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    /// Waits for this process's turn to write. Whoever waits for SQLite's write lock holds the turn, so that
    /// one who has just written and wants to write again comes after, rather than taking the lock back
    /// before the others have looked. It is only for fairness: who gets no turn, because a process that has
    /// it is stopped, goes on without.
    fn queue(&self) -> Option<Turn<'_>> {
        let queue = self.queue.as_ref()?;
        let started = Instant::now();
        loop {
            match queue.try_lock() {
                Ok(()) => return Some(Turn(queue)),
                Err(TryLockError::WouldBlock) if pause(started.elapsed(), FAIR) => {}
                Err(_) => return None,
            }
        }
    }

    /// Lends a compressor; making one costs as much as using it.
    pub(crate) fn zip<T>(&self, work: impl FnOnce(&mut Compressor<'static>) -> T) -> Outcome<T> {
        let idle = self.zips.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut zip = match idle {
            Some(zip) => zip,
            None => Compressor::new(LEVEL)
                .map_err(Fault::io("compress an object for", self.folder.root()))?,
        };
        let answer = work(&mut zip);
        self.zips.lock().unwrap_or_else(PoisonError::into_inner).push(zip);
        Ok(answer)
    }
}

impl Drop for Database {
    /// Leaves little to the next process: a few recent rows and a short log, which are read in a millisecond. More is
    /// folded, copied and cut off now, as far as that can be done without waiting long for anybody.
    fn drop(&mut self) {
        if self.writer.is_some()
            && self.overlay().backlog() > RECENT_LEFT
            && let Err(fault) = fold::rest(self)
        {
            tracing::debug!(?fault, "recent changes are left to the next process");
        }
        if self.folder.log_bytes() / PAGE > WAL_LEFT
            && let Some(writer) = &mut self.writer
        {
            // A reader's snapshot would keep the log.
            self.readers.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
            let writer = writer.get_mut().unwrap_or_else(PoisonError::into_inner);
            let done = writer.free().and_then(|()| {
                writer.conn.busy_timeout(Duration::ZERO)?;
                checkpoint(&writer.conn, "TRUNCATE")
            });
            if let Err(fault) = done {
                tracing::debug!(?fault, "no checkpoint at the end");
            }
        }
    }
}

impl Reader {
    fn new(conn: Connection) -> Self {
        Self { conn, unzip: Unzip::default(), hold: Hold::default() }
    }

    /// Has the connection in no transaction.
    fn free(&mut self) -> Outcome<()> {
        self.hold.leave(&self.conn)
    }

    /// Runs `work` in a transaction that reads, with an overlay that is right for it.
    pub(crate) fn snapshot<T>(
        &mut self,
        database: &Database,
        work: impl FnOnce(&mut Self, &mut Overlay) -> Outcome<T>,
    ) -> Outcome<T> {
        // Nobody moves the overlay on meanwhile, and the transaction begins after the stamp was taken.
        let mut overlay = database.overlay_mut();
        let stamp = database.stamp();
        self.conn.prepare_cached("BEGIN")?.execute([])?;
        let done = overlay.refresh(&self.conn).and_then(|()| {
            overlay.stamped(stamp);
            work(self, &mut overlay)
        });
        let ended = self.conn.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        let wanted = overlay.backlog() >= RECENT_SOFT && database.writer.is_some();
        drop(overlay);
        if wanted {
            database.bell.fold();
        }
        let done = done?;
        ended?;
        Ok(done)
    }
}
