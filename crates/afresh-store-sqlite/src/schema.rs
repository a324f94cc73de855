//! The tables, and whether a database is one of ours.
//!
//! Invariant: a database is either empty, or has our mark and a format that this code knows, or is refused
//! unchanged. A new format gets a new file name; this one is never altered in place.
//!
//! Rows of `entry` and `object` are appended under a number of their own, with a unique index on
//! the key, rather than `WITHOUT ROWID`: keys are digests, and wide rows inserted at random places leave a third
//! of each page empty, while the narrow index does not mind. The number of an `entry` begins with its time, so the
//! table itself is the index by time, and a row is written to the page that was written last: each page that a
//! commit touches costs it some ten microseconds. Measured figures: `docs/format-store-sqlite.md`.

use afresh_core::{Error, Kind};
use rusqlite::Connection;

use crate::error::Outcome;

/// `afsh`, in the header of the file.
const MARK: i32 = 0x6166_7368;

/// What a new database has.
const FORMAT: i32 = 2;

/// What a database may have that is used as it is: the same but for `recent`.
const BEFORE: i32 = 1;

const TABLES: &str = "
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
CREATE TABLE entry (
  id INTEGER PRIMARY KEY,
  space INTEGER NOT NULL, key BLOB NOT NULL,
  version INTEGER NOT NULL, checksum INTEGER NOT NULL,
  value ANY NOT NULL,
  object BLOB, length INTEGER,
  function INTEGER, status INTEGER, grouped INTEGER, tagged INTEGER,
  time INTEGER NOT NULL, used INTEGER NOT NULL, expires INTEGER
) STRICT;
CREATE UNIQUE INDEX entry_key ON entry (space, key);
CREATE INDEX entry_function ON entry (function) WHERE space = 2 AND function IS NOT NULL;
CREATE INDEX entry_expires ON entry (expires) WHERE expires IS NOT NULL;
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
";

fn number(conn: &Connection, pragma: &str) -> Outcome<i32> {
    Ok(conn.pragma_query_value(None, pragma, |row| row.get(0))?)
}

/// Makes the tables of a new database; refuses one that is not ours. Whether changes may wait in `recent`.
pub(crate) fn ensure(conn: &Connection, writable: bool) -> Outcome<bool> {
    let (mark, format) = (number(conn, "application_id")?, number(conn, "user_version")?);
    let tables = || -> Outcome<i64> {
        Ok(conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?)
    };
    match (mark, format) {
        (MARK, FORMAT | BEFORE) => {
            // Reads the one row without which nothing works, so that damage shows at once.
            conn.query_row("SELECT 1 FROM meta WHERE id = 1", [], |_| Ok(()))?;
            Ok(format == FORMAT)
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
            Ok(true)
        }
        (0, 0) if tables()? == 0 => Err(Error::new(Kind::Unavailable, "the store is empty")
            .with_hint("make its folder writable")
            .into()),
        _ => Err(Error::new(Kind::Config, "the folder holds a database of something else")
            .with_hint("choose another folder")
            .into()),
    }
}
