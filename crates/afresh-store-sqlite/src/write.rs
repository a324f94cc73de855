//! A write transaction, under SQLite's write lock.
//!
//! Invariant: it checks first that the file it writes is still the one under the store's name, and either commits with
//! its counters or leaves nothing, neither rows nor renamed files. The overlay learns of it when it has committed. It
//! does not know what is written: see `fold`, `table` and `object`.

use std::path::PathBuf;
use std::sync::Arc;

use afresh_core::Timestamp;
use rusqlite::Connection;

use crate::config::{PAGE, RECENT_SOFT};
use crate::database::Database;
use crate::error::Outcome;
use crate::held::Effect;
use crate::label::assign;
use crate::meta::Meta;
use crate::watch::Stamp;

/// A write transaction.
pub(crate) struct Write<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) database: &'a Database,
    pub(crate) now: Timestamp,
    /// The last version given out, once [`look`](Self::look) has seen it.
    pub(crate) sequence: i64,
    /// What it was then.
    pub(crate) began: i64,
    /// Files that have got their name and lose it if this is rolled back.
    pub(crate) named: Vec<PathBuf>,
    /// Bytes written, for the checkpoint's reckoning.
    pub(crate) bytes: u64,
    /// The row that was appended to `recent`.
    pub(crate) laid: Option<(i64, Vec<Effect>)>,
    /// What the tables know now, and whether that came from `recent` only.
    pub(crate) entered: Option<(i64, bool)>,
    /// The row of `meta`, as it was and as it is to be.
    meta: Option<(Meta, Meta)>,
    /// The log as the transaction found it.
    stamp: Option<Stamp>,
    labels: Vec<(i64, Arc<str>)>,
}

/// What a write transaction ends in.
pub(crate) enum End<T> {
    Commit(T),
    Rollback(T),
}

impl<'a> Write<'a> {
    /// The transaction that `conn` has begun, with the write lock.
    pub(crate) fn new(conn: &'a Connection, database: &'a Database) -> Self {
        Self {
            conn,
            database,
            now: database.now(),
            sequence: 0,
            began: 0,
            named: Vec::new(),
            bytes: 0,
            laid: None,
            entered: None,
            meta: None,
            stamp: database.stamp(),
            labels: Vec::new(),
        }
    }

    /// Does `work` and ends the transaction.
    pub(crate) fn transact<T>(
        mut self,
        work: impl FnOnce(&mut Self) -> Outcome<End<T>>,
    ) -> Outcome<T> {
        match self.run(work) {
            Ok(End::Commit(answer)) => {
                self.publish();
                Ok(answer)
            }
            Ok(End::Rollback(answer)) => {
                self.undo();
                Ok(answer)
            }
            Err(fault) => {
                self.undo();
                Err(fault)
            }
        }
    }

    fn run<T>(&mut self, work: impl FnOnce(&mut Self) -> Outcome<End<T>>) -> Outcome<End<T>> {
        self.database.check_identity()?;
        let end = work(self)?;
        if matches!(end, End::Commit(_)) {
            if let Some((before, meta)) = &self.meta
                && before != meta
            {
                meta.save(self.conn)?;
            }
            self.conn.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(end)
    }

    /// Catches up with what others have committed. Everything that judges or numbers begins with this.
    pub(crate) fn look(&mut self) -> Outcome<()> {
        if self.stamp.is_none() || !self.database.overlay().is_current(self.stamp) {
            let mut overlay = self.database.overlay_mut();
            overlay.refresh(self.conn)?;
            overlay.stamped(self.stamp);
        }
        self.sequence = self.database.overlay().last();
        self.began = self.sequence;
        Ok(())
    }

    /// The next version.
    pub(crate) fn next(&mut self) -> i64 {
        self.sequence += 1;
        self.sequence
    }

    /// The row of `meta`, to be changed.
    pub(crate) fn meta(&mut self) -> Outcome<&mut Meta> {
        let (_, meta) = match &mut self.meta {
            Some(both) => both,
            none => {
                let meta = Meta::load(self.conn)?;
                none.insert((meta, meta))
            }
        };
        Ok(meta)
    }

    /// After the commit: what was written is what the overlay says. A reader may have been quicker and read it.
    fn publish(&mut self) {
        let database = self.database;
        for (number, text) in self.labels.drain(..) {
            database.labels.learn(number, text);
        }
        let mut wanted = false;
        if self.laid.is_some() || self.entered.is_some() {
            let mut overlay = database.overlay_mut();
            if let Some((sequence, folded)) = self.entered {
                overlay.advance(sequence, folded);
            }
            if let Some((id, effects)) = self.laid.take() {
                overlay.lay(id, effects);
            }
            let after = database.stamp();
            // Where somebody has committed since, what he did is not known.
            let ours = self.stamp.zip(after).is_some_and(|(before, after)| before.precedes(&after));
            overlay.stamped(after.filter(|_| ours));
            let old = database.bell.is_old(self.now);
            wanted = overlay.backlog() >= RECENT_SOFT || overlay.backlog() > 0 && old;
        }
        if wanted {
            database.bell.fold();
        }
        database.bell.wrote(2 + self.bytes / PAGE);
    }

    fn undo(&mut self) {
        // Before the lock is let go: afterwards another writer may have given the same name.
        for path in self.named.drain(..) {
            let _ = std::fs::remove_file(path);
        }
        // SQLite may have rolled back by itself, when the disk was full.
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a transaction could not be rolled back");
        }
    }

    /// The number of a label, which may begin with this transaction.
    pub(crate) fn label(&mut self, text: &str) -> Outcome<i64> {
        if let Some((number, _)) = self.labels.iter().find(|(_, known)| **known == *text) {
            return Ok(*number);
        }
        if let Some(number) = self.database.labels.number(self.conn, text)? {
            return Ok(number);
        }
        let number = assign(self.conn, text)?;
        self.labels.push((number, Arc::from(text)));
        Ok(number)
    }
}
