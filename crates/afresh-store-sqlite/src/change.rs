//! The changes that a batch makes to entries, within a write transaction.
//!
//! Invariant: an expired or damaged row is absent to every condition, and is replaced by a row with a number of its
//! own rather than overwritten, so that rows keep the order in which they began. Every write takes
//! the next version of the store.

use std::time::Duration;

use afresh_core::{Done, Error, Key, Kind, NewEntry, Op, Space, Tag, Timestamp, Value, Version};
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{ToSql, params};

use crate::database::Write;
use crate::entry::{Row, checksum, find, signed, space, unsigned};
use crate::error::Outcome;

/// Bits of a row's number below the time.
const BELOW: u32 = 20;

/// The number of a row: its time, then its version, of which the last bits tell apart what happened within a
/// millisecond. A million writes later they repeat, so an imported row of the same millisecond might meet its like:
/// [`Write::free`] sees to that.
pub(crate) fn number(time: Timestamp, version: i64) -> i64 {
    first(time) | (version & ((1 << BELOW) - 1))
}

/// The least number of a row of this time. Times beyond some hundred years are not told apart.
pub(crate) fn first(time: Timestamp) -> i64 {
    const END: i64 = 1 << (62 - BELOW);
    time.as_millis().clamp(-END, END - 1) << BELOW
}

/// Expired rows removed at a time.
const SWEPT: i64 = 200;

/// What an operation came to.
pub(crate) enum Change {
    Done(Done),
    Refused(Option<Version>),
}

struct Stored<'a>(&'a Value);

impl ToSql for Stored<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Record(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Count(count) => ToSqlOutput::Owned(SqlValue::Integer(*count)),
        })
    }
}

/// A row's tag value: text, or zero for a bare key, as part of a primary key cannot be null.
pub(crate) fn tag_value(tag: &Tag) -> ToSqlOutput<'_> {
    match &tag.value {
        Some(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        None => ToSqlOutput::Owned(SqlValue::Integer(0)),
    }
}

impl Write<'_> {
    /// Makes one change.
    pub(crate) fn change(&mut self, op: &Op) -> Outcome<Change> {
        let key = op.key();
        let there = find(self.conn, key)?;
        let id = there.as_ref().map(|(id, _)| *id);
        let row = there.and_then(|(_, row)| row).filter(|row| row.lives(self.now));
        let found = row.as_ref().map(|row| Version(unsigned(row.version)));
        if !op.when().holds(found) {
            return Ok(Change::Refused(found));
        }
        let done = match op {
            Op::Put { key, entry, .. } => {
                Done { version: Some(self.put(key, entry, id, row)?), count: None }
            }
            Op::Add { key, by, ttl } => self.add(key, *by, *ttl, id, row)?,
            Op::Check { .. } => Done { version: found, count: None },
            Op::Delete { key, .. } => {
                if let Some(id) = id {
                    self.take(key, id)?;
                }
                Done { version: None, count: None }
            }
            Op::Touch { ago, .. } => {
                if let Some(row) = row {
                    let used = row.used.max(self.now.before(*ago));
                    self.conn
                        .prepare_cached("UPDATE entry SET used = ?2 WHERE id = ?1")?
                        .execute([row.id, used.as_millis()])?;
                }
                Done { version: found, count: None }
            }
        };
        Ok(Change::Done(done))
    }

    fn put(
        &mut self,
        key: &Key,
        entry: &NewEntry,
        id: Option<i64>,
        row: Option<Row>,
    ) -> Outcome<Version> {
        let labels = &entry.labels;
        let function = match &labels.function {
            Some(name) => Some(self.label(name)?),
            None => None,
        };
        let version = self.meta.next();
        let end = entry.ttl.map(|ttl| self.now.after(ttl));
        let object = entry.object.as_ref();
        if let (Some(id), None) = (id, &row) {
            self.take(key, id)?;
        }
        // A row with tags has them anew below.
        if row.as_ref().is_some_and(|row| row.tagged)
            && let Some(id) = id
        {
            self.conn.prepare_cached("DELETE FROM tag WHERE entry = ?1")?.execute([id])?;
        }
        let time = labels.time.unwrap_or(self.now);
        // The number of a commit says when: one that moves in time gets another.
        let moved =
            key.space() == Space::Commit && row.as_ref().is_some_and(|row| row.time != time);
        if let Some(row) = row.as_ref().filter(|_| moved) {
            self.take(key, row.id)?;
        }
        let id = row.filter(|_| !moved).map(|row| row.id);
        let values = params![
            match id {
                Some(id) => id,
                None => self.free(number(time, version))?,
            },
            key.space().number(),
            key.bytes().as_ref(),
            version,
            checksum(key, version, &entry.value, object, end),
            Stored(&entry.value),
            object.map(|object| object.id.as_bytes().as_slice()),
            object.map(|object| signed(object.len)),
            function,
            labels.status.map(|status| status.number()),
            labels.group.map(u64::cast_signed),
            (!labels.tags.is_empty()).then_some(1),
            time.as_millis(),
            self.now.as_millis(),
            end.map(Timestamp::as_millis),
        ];
        let id = match id {
            Some(id) => {
                self.conn
                    .prepare_cached(
                        "UPDATE entry SET space = ?2, key = ?3, version = ?4, checksum = ?5, value = ?6, \
                         object = ?7, length = ?8, function = ?9, status = ?10, grouped = ?11, \
                         tagged = ?12, time = ?13, used = ?14, expires = ?15 WHERE id = ?1",
                    )?
                    .execute(values)?;
                id
            }
            None => {
                let mut insert = self.conn.prepare_cached(
                    "INSERT INTO entry (id, space, key, version, checksum, value, object, length, \
                     function, status, grouped, tagged, time, used, expires) VALUES \
                     (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
                )?;
                insert.execute(values)?;
                self.meta.count(key.space(), 1);
                self.conn.last_insert_rowid()
            }
        };
        self.tag(id, &labels.tags)?;
        if let Value::Record(bytes) = &entry.value {
            self.bytes += u64::try_from(bytes.len()).unwrap_or(0);
        }
        Ok(Version(unsigned(version)))
    }

    /// The first free number from `number` on.
    fn free(&self, mut number: i64) -> Outcome<i64> {
        let mut taken = self.conn.prepare_cached("SELECT 1 FROM entry WHERE id = ?1")?;
        while taken.exists([number])? {
            number += 1;
        }
        Ok(number)
    }

    fn tag(&mut self, id: i64, tags: &[Tag]) -> Outcome<()> {
        for tag in tags {
            let key = self.label(&tag.key)?;
            self.conn
                .prepare_cached(
                    "INSERT OR IGNORE INTO tag (entry, key, value) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![id, key, tag_value(tag)])?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
        id: Option<i64>,
        row: Option<Row>,
    ) -> Outcome<Done> {
        let count = match row.as_ref().map(|row| &row.value) {
            None => by,
            Some(Value::Count(count)) => count.saturating_add(by),
            Some(Value::Record(_)) => {
                return Err(Error::new(Kind::Config, "the entry holds a record, not a counter")
                    .with_key(format!("{key:?}"))
                    .into());
            }
        };
        let value = Value::Count(count);
        let Some(row) = row else {
            let entry = NewEntry { value, ttl, ..NewEntry::record("") };
            let version = self.put(key, &entry, id, None)?;
            return Ok(Done { version: Some(version), count: Some(count) });
        };
        let version = self.meta.next();
        self.conn
            .prepare_cached(
                "UPDATE entry SET version = ?2, checksum = ?3, value = ?4, used = ?5 WHERE id = ?1",
            )?
            .execute([
                row.id,
                version,
                checksum(key, version, &value, row.object.as_ref(), row.end),
                count,
                self.now.as_millis(),
            ])?;
        Ok(Done { version: Some(Version(unsigned(version))), count: Some(count) })
    }

    /// Removes a row with its tags, whether or not it was marked as having any: the mark may be what is
    /// damaged.
    fn take(&mut self, key: &Key, id: i64) -> Outcome<()> {
        self.conn.prepare_cached("DELETE FROM entry WHERE id = ?1")?.execute([id])?;
        self.conn.prepare_cached("DELETE FROM tag WHERE entry = ?1")?.execute([id])?;
        self.meta.count(key.space(), -1);
        Ok(())
    }

    /// Removes some of the expired.
    pub(crate) fn sweep(&mut self) -> Outcome<()> {
        let mut statement =
            self.conn.prepare_cached("SELECT id, space FROM entry WHERE expires <= ?1 LIMIT ?2")?;
        let expired: Vec<(i64, i64)> = statement
            .query_map([self.now.as_millis(), SWEPT], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (id, number) in expired {
            self.conn.prepare_cached("DELETE FROM entry WHERE id = ?1")?.execute([id])?;
            self.conn.prepare_cached("DELETE FROM tag WHERE entry = ?1")?.execute([id])?;
            if let Some(space) = space(number) {
                self.meta.count(space, -1);
            }
        }
        Ok(())
    }
}
