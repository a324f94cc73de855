//! Effects in the tables: rows of `entry` with their tags, and the removal of what has ended.
//!
//! Invariant: a row that had ended or was damaged by the time of a change is replaced by a row with a number of its own
//! rather than overwritten, so that rows keep the order in which entries began. There is at most one row of a key: nothing
//! is inserted before it was looked for. It judges nothing: see `change`.

use afresh_core::{Key, Space, Tag, Timestamp, Value};
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{OptionalExtension, ToSql, params};

use crate::entry::{REMOVED, Row, checksum, find, found_by, space};
use crate::error::Outcome;
use crate::held::{Effect, Held, signed};
use crate::schema::{Statement, either, of};
use crate::write::Write;

/// Bits of a row's number below the time.
const BELOW: u32 = 20;

/// The bits themselves.
const LAST: i64 = (1 << BELOW) - 1;

/// Milliseconds that a number can be away from 1970.
const END: i64 = 1 << (62 - BELOW);

/// The number of a row: whether it is of a commit, its time, then the version that it began with, of which the last bits
/// tell apart what happened within a millisecond. A million writes later they repeat, so an imported row of the same
/// millisecond might meet its like: [`Write::free`] sees to that.
pub(crate) fn number(space: Space, time: Timestamp, version: i64) -> i64 {
    first(space, time) | (version & LAST)
}

/// The least number of a row of this time. Times beyond some hundred years are not told apart.
pub(crate) fn first(space: Space, time: Timestamp) -> i64 {
    let number = (time.as_millis().clamp(-END, END - 1) + END) << BELOW;
    if space == Space::Commit { number } else { number | i64::MIN }
}

/// The time that a row's number says.
pub(crate) fn began(number: i64) -> Timestamp {
    Timestamp::from_millis(((number & i64::MAX) >> BELOW) - END)
}

/// Rows of what has ended or was removed that are deleted at a time: some milliseconds.
const SWEPT: i64 = 200;

/// Notes a use.
const USED: Statement = either!(("UPDATE ")(" SET used = max(used, ?2) WHERE id = ?1"));

const INSERT: Statement = either!(("INSERT INTO ")(
    " (id, space, key, version, checksum, value, object, length, function, status, grouped, tagged, time, used, \
      expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
));

const CHANGE: Statement = either!(("UPDATE ")(
    " SET space = ?2, key = ?3, version = ?4, checksum = ?5, value = ?6, object = ?7, length = ?8, function = ?9, \
      status = ?10, grouped = ?11, tagged = ?12, time = ?13, used = ?14, expires = ?15 WHERE id = ?1"
));

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
    /// Brings an effect into the tables, as of the moment `at` when it happened.
    pub(crate) fn store(&mut self, effect: &Effect, at: Timestamp) -> Outcome<()> {
        let key = effect.key();
        let there = find(self.conn, key)?;
        match effect {
            Effect::Set(key, held) => {
                let id = there.as_ref().map(|(id, _)| *id);
                let row = there.and_then(|(_, row)| row.sound()).filter(|row| row.lives(at));
                self.put(key, held, id, row)
            }
            Effect::Gone(key) => there.map_or(Ok(()), |(id, _)| self.take(key.space(), id)),
            Effect::Used(_, used) => {
                if let Some((id, _)) = there {
                    self.conn
                        .prepare_cached(of(key.space(), USED))?
                        .execute([id, used.as_millis()])?;
                }
                Ok(())
            }
        }
    }

    fn put(&mut self, key: &Key, held: &Held, id: Option<i64>, row: Option<Row>) -> Outcome<()> {
        let labels = &held.labels;
        let function = match &labels.function {
            Some(name) => Some(self.label(name)?),
            None => None,
        };
        let object = held.object.as_ref();
        if let (Some(id), None) = (id, &row) {
            self.take(key.space(), id)?;
        }
        // A row with tags has them anew below.
        if row.as_ref().is_some_and(|row| row.tagged)
            && let Some(id) = id
        {
            self.conn.prepare_cached("DELETE FROM tag WHERE entry = ?1")?.execute([id])?;
        }
        let time = held.time();
        // The number says when, and the order in which entries began: one that moves in time gets another that ends so.
        let moved = row.as_ref().filter(|row| row.time != time).map(|row| row.id);
        if let Some(id) = moved {
            self.take(key.space(), id)?;
        }
        let begun = moved.map_or(held.version, |id| id & LAST);
        let there = row.filter(|_| moved.is_none()).map(|row| row.id);
        let id = match there {
            Some(id) => id,
            None => self.free(key.space(), number(key.space(), time, begun))?,
        };
        let values = params![
            id,
            key.space().number(),
            key.bytes().as_ref(),
            held.version,
            checksum(key, held.version, &held.value, object, held.end),
            Stored(&held.value),
            object.map(|object| object.id.as_bytes().as_slice()),
            object.map(|object| signed(object.len)),
            function,
            labels.status.map(|status| status.number()),
            labels.group.map(u64::cast_signed),
            (!labels.tags.is_empty()).then_some(1),
            (began(id) != time).then_some(time.as_millis()),
            held.used.as_millis(),
            held.end.map(Timestamp::as_millis),
        ];
        match there {
            Some(_) => {
                self.conn.prepare_cached(of(key.space(), CHANGE))?.execute(values)?;
            }
            None => {
                let mut insert = self.conn.prepare_cached(of(key.space(), INSERT))?;
                insert.execute(values)?;
                self.meta()?.count(key.space(), 1);
            }
        }
        self.tag(id, &labels.tags)?;
        if let Value::Record(bytes) = &held.value {
            self.bytes += u64::try_from(bytes.len()).unwrap_or(0);
        }
        Ok(())
    }

    /// The first free number from `number` on.
    fn free(&self, space: Space, mut number: i64) -> Outcome<i64> {
        const THERE: Statement = either!(("SELECT 1 FROM ")(" WHERE id = ?1"));
        let mut taken = self.conn.prepare_cached(of(space, THERE))?;
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

    /// Removes a row with its tags, whether or not it was marked as having any: the mark may be what is
    /// damaged.
    fn take(&mut self, space: Space, id: i64) -> Outcome<()> {
        const TAKE: Statement = either!(("DELETE FROM ")(" WHERE id = ?1 RETURNING expires"));
        let marked = self
            .conn
            .prepare_cached(of(space, TAKE))?
            .query_row([id], |row| Ok(matches!(row.get_ref(0)?, ValueRef::Integer(REMOVED))))
            .optional()?;
        self.conn.prepare_cached("DELETE FROM tag WHERE entry = ?1")?.execute([id])?;
        // What is marked was counted then.
        if marked != Some(true) {
            self.meta()?.count(space, -1);
        }
        Ok(())
    }

    /// Removes an entry and leaves its row to be deleted later, with its place in the index.
    pub(crate) fn mark(&mut self, key: &Key) -> Outcome<()> {
        const MARK: Statement = either!(("UPDATE ")(
            " SET expires = ?4 WHERE space = ?1 AND mark = ?2 AND key = ?3 AND expires IS NOT ?4"
        ));
        let (space, mark, bytes) = found_by(key);
        let marked = self
            .conn
            .prepare_cached(of(key.space(), MARK))?
            .execute(params![space, mark, bytes, REMOVED])?;
        if marked > 0 {
            self.meta()?.count(key.space(), -1);
        }
        Ok(())
    }

    /// Deletes some of the rows that were marked; whether there may be more.
    pub(crate) fn clean(&mut self) -> Outcome<bool> {
        self.delete_ended(REMOVED)
    }

    /// Removes some of the expired, if they were not looked for a moment ago. To be called when everything is in the
    /// tables: what a row's change that waits in `recent` begins from must not go.
    pub(crate) fn sweep(&mut self) -> Outcome<()> {
        if !self.database.sweep_due(self.now) {
            return Ok(());
        }
        // More of what was removed than a sweep takes is for the keeper.
        if self.delete_ended(self.now.as_millis())? {
            self.database.bell.clean();
        }
        Ok(())
    }

    /// Deletes some rows whose time was up at `now`; whether there may be more.
    fn delete_ended(&mut self, now: i64) -> Outcome<bool> {
        const ENDED: &str = "SELECT id, space FROM entry WHERE expires <= ?1 UNION ALL \
                             SELECT id, 2 FROM commits WHERE expires <= ?1 LIMIT ?2";
        let ended: Vec<(i64, i64)> = self
            .conn
            .prepare_cached(ENDED)?
            .query_map([now, SWEPT], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let more = i64::try_from(ended.len()) == Ok(SWEPT);
        for (id, number) in ended {
            // A damaged number is not that of commits; the number of a row that is damaged is not counted right.
            self.take(space(number).unwrap_or(Space::Head), id)?;
        }
        Ok(more)
    }
}
