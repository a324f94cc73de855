//! The tables, and whether a database is one of ours.
//!
//! Invariant: a database is either empty, or has our mark and a format that this code knows, or is refused
//! unchanged. A new format gets a new file name; this one is never altered in place.
//!
//! Rows of `entry` and `object` are appended under a number of their own, with an index on
//! the key, rather than `WITHOUT ROWID`: keys are digests, and wide rows inserted at random places leave a third
//! of each page empty, while the narrow index does not mind. The number of an `entry` begins with its time, so the
//! table itself is the index by time, and a row is written to the page that was written last: each page that a
//! commit touches costs it some ten microseconds. Commits have a table of their own, `commits`: they are as many as all
//! others and seldom read, so what is read is near each other. A row's number says by its sign in which table it is.
//!
//! The index holds what tells keys apart, in `mark`: of a digest eight bytes do, and an index of half the size is
//! in memory that is near. That a key is there once is for the writer to see to, see `table`.
//! Measured figures: `docs/format-store-sqlite.md`.

use afresh_core::{Error, Kind, Space};
use rusqlite::Connection;

use crate::error::Outcome;

/// `afsh`, in the header of the file.
const MARK: i32 = 0x6166_7368;

/// What a database has. The tables before had names of files of their own.
const FORMAT: i32 = 3;

/// One of the two tables of entries, with its indexes.
macro_rules! entries {
    ($name:literal) => {
        concat!(
            "CREATE TABLE ", $name, " (
  id INTEGER PRIMARY KEY,
  space INTEGER NOT NULL, key BLOB NOT NULL,
  mark BLOB AS (CASE WHEN space > 2 OR length(key) < 8 THEN key ELSE substr(key, 1, 8) END) VIRTUAL,
  version INTEGER NOT NULL, checksum INTEGER NOT NULL,
  value ANY NOT NULL,
  object BLOB, length INTEGER,
  function INTEGER, status INTEGER, grouped INTEGER, tagged INTEGER,
  time INTEGER, used INTEGER NOT NULL, expires INTEGER
) STRICT;
CREATE INDEX ", $name, "_mark ON ", $name, " (space, mark);
CREATE INDEX ", $name, "_expires ON ", $name, " (expires) WHERE expires IS NOT NULL;
"
        )
    };
}

const TABLES: &str = concat!(
    "
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  sequence INTEGER NOT NULL,
  heads INTEGER NOT NULL, commits INTEGER NOT NULL, leases INTEGER NOT NULL,
  counts INTEGER NOT NULL, names INTEGER NOT NULL,
  inline_objects INTEGER NOT NULL, inline_bytes INTEGER NOT NULL,
  file_objects INTEGER NOT NULL, file_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
CREATE TABLE label (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
",
    entries!("entry"),
    entries!("commits"),
    "
CREATE INDEX commits_function ON commits (function) WHERE function IS NOT NULL;
CREATE TABLE tag (
  entry INTEGER NOT NULL, key INTEGER NOT NULL, value ANY NOT NULL,
  PRIMARY KEY (entry, key, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_find ON tag (key, value);
CREATE TABLE object (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  length INTEGER NOT NULL, stored INTEGER NOT NULL,
  written INTEGER NOT NULL,
  form INTEGER NOT NULL,
  data BLOB
) STRICT;
CREATE TABLE recent (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
"
);

fn number(conn: &Connection, pragma: &str) -> Outcome<i32> {
    Ok(conn.pragma_query_value(None, pragma, |row| row.get(0))?)
}

/// A statement in two forms: for the table of most spaces, and for that of commits.
pub(crate) type Statement = [&'static str; 2];

/// The form for a space.
pub(crate) fn of(space: Space, [entry, commits]: Statement) -> &'static str {
    if space == Space::Commit { commits } else { entry }
}

/// Both forms of a [`Statement`]: what comes before the name of the table, and what comes after it.
macro_rules! either {
    (($($before:tt)*) ($($after:tt)*)) => {
        [concat!($($before)*, "entry", $($after)*), concat!($($before)*, "commits", $($after)*)]
    };
}
pub(crate) use either;

/// What of a key is in its row's `mark`.
pub(crate) fn mark(space: Space, key: &[u8]) -> &[u8] {
    match space {
        Space::Head | Space::Commit => key.get(..8).unwrap_or(key),
        _ => key,
    }
}

/// Makes the tables of a new database; refuses one that is not ours.
pub(crate) fn ensure(conn: &Connection, writable: bool) -> Outcome<()> {
    let (mark, format) = (number(conn, "application_id")?, number(conn, "user_version")?);
    let tables = || -> Outcome<i64> {
        Ok(conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?)
    };
    match (mark, format) {
        (MARK, FORMAT) => {
            // Reads the one row without which nothing works, so that damage shows at once.
            conn.query_row("SELECT 1 FROM meta WHERE id = 1", [], |_| Ok(()))?;
            Ok(())
        }
        (MARK, newer) => Err(Error::new(
            Kind::Config,
            format!("the store has format {newer}; this version of afresh knows format {FORMAT}"),
        )
        .with_hint("upgrade afresh, or choose another folder")
        .into()),
        (0, 0) if tables()? == 0 && writable => {
            conn.execute_batch(&format!(
                "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {MARK}; PRAGMA user_version = {FORMAT}; COMMIT;"
            ))?;
            Ok(())
        }
        (0, 0) if tables()? == 0 => Err(Error::new(Kind::Unavailable, "the store is empty")
            .with_hint("make its folder writable")
            .into()),
        _ => Err(Error::new(Kind::Config, "the folder holds a database of something else")
            .with_hint("choose another folder")
            .into()),
    }
}
