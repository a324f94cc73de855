//! The one row that belongs to the store as a whole: the last version that the tables know, and counters that make
//! `usage` quick.
//!
//! Invariant: read and written under SQLite's write lock by whoever changes the tables, so that versions only grow and
//! counters match the rows. What waits in `recent` is not counted.

use afresh_core::{Space, Usage};
use rusqlite::{Connection, params};

use crate::error::Outcome;

/// The row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) sequence: i64,
    pub(crate) entries: [i64; 5],
    pub(crate) inline_objects: i64,
    pub(crate) inline_bytes: i64,
    pub(crate) file_objects: i64,
    pub(crate) file_bytes: i64,
}

impl Meta {
    pub(crate) fn load(conn: &Connection) -> Outcome<Self> {
        let mut statement = conn.prepare_cached(
            "SELECT sequence, heads, commits, leases, counts, names, \
             inline_objects, inline_bytes, file_objects, file_bytes FROM meta WHERE id = 1",
        )?;
        Ok(statement.query_row([], |row| {
            Ok(Self {
                sequence: row.get(0)?,
                entries: [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?],
                inline_objects: row.get(6)?,
                inline_bytes: row.get(7)?,
                file_objects: row.get(8)?,
                file_bytes: row.get(9)?,
            })
        })?)
    }

    pub(crate) fn save(&self, conn: &Connection) -> Outcome<()> {
        let [heads, commits, leases, counts, names] = self.entries;
        let mut statement = conn.prepare_cached(
            "UPDATE meta SET sequence = ?1, heads = ?2, commits = ?3, leases = ?4, counts = ?5, names = ?6, \
             inline_objects = ?7, inline_bytes = ?8, file_objects = ?9, file_bytes = ?10 WHERE id = 1",
        )?;
        statement.execute(params![
            self.sequence,
            heads,
            commits,
            leases,
            counts,
            names,
            self.inline_objects,
            self.inline_bytes,
            self.file_objects,
            self.file_bytes,
        ])?;
        Ok(())
    }

    /// Counts an entry that came (`1`) or went (`-1`).
    pub(crate) fn count(&mut self, space: Space, by: i64) {
        if let Some(count) = self.entries.get_mut(usize::from(space.number()) - 1) {
            *count += by;
        }
    }

    /// Counts an object that came or went.
    pub(crate) fn count_object(&mut self, file: bool, by: i64, bytes: i64) {
        let (objects, total) = if file {
            (&mut self.file_objects, &mut self.file_bytes)
        } else {
            (&mut self.inline_objects, &mut self.inline_bytes)
        };
        *objects += by;
        *total += by * bytes;
    }

    /// As the contract has it; the disk is for the caller to add.
    pub(crate) fn usage(&self) -> Usage {
        let clamp = |number: i64| u64::try_from(number).unwrap_or(0);
        Usage {
            entries: self.entries.map(clamp),
            inline_objects: clamp(self.inline_objects),
            inline_bytes: clamp(self.inline_bytes),
            file_objects: clamp(self.file_objects),
            file_bytes: clamp(self.file_bytes),
            disk_bytes: 0,
        }
    }
}
