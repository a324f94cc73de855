//! An entry as a row: what it is found by in columns, all of it as [`Stored`] bytes.
//!
//! A key is one column: the number of its space, then its bytes. Labels are indexed by 64 bits of their digest; two may
//! collide, so whoever scans compares the whole. A row that has ended, or whose bytes cannot be read, is
//! [`Slot::Dead`]: absent to everybody, and written over.

use afresh_core::{Bytes, Entry, Key, NewEntry, ObjectId, Result, Space, Tag, Timestamp, Version};
use afresh_remote::Stored;

use crate::session::Cells;
use crate::sql::{Sql, Statement, Value};

/// What a row is read from.
pub(crate) const COLUMNS: &str = "e.id, e.made, e.used, e.expires, e.tagged, e.data";

/// How many those are.
pub(crate) const WIDTH: usize = 6;

/// What there is under a key.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    /// No row.
    Vacant,
    /// A row that does not count, and whether it has tags.
    Dead { tagged: bool },
    /// An entry.
    Live(Box<Row>),
}

/// A row that counts.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its place among rows of the same time; kept when the row is written again.
    pub(crate) made: i64,
    pub(crate) entry: Entry,
    pub(crate) expires: Option<i64>,
}

/// A key as a column.
pub(crate) fn id(key: &Key) -> Bytes {
    let mut id = Vec::with_capacity(1 + key.bytes().len());
    id.push(key.space().number());
    id.extend_from_slice(key.bytes());
    id.into()
}

/// The key of a column.
pub(crate) fn key(id: &Bytes) -> Option<Key> {
    let space = Space::from_number(*id.first()?)?;
    Key::new(space, id.slice(1..)).ok()
}

/// What a label is found by.
pub(crate) fn hash(label: &[u8]) -> i64 {
    let digest = ObjectId::of(label);
    digest.as_bytes().first_chunk().copied().map_or(0, i64::from_be_bytes)
}

/// What a tag is found by: with its value where `tag` has one, otherwise by its key.
pub(crate) fn tag_hash(tag: &Tag) -> i64 {
    match &tag.value {
        None => hash(format!("k{}", tag.key).as_bytes()),
        Some(value) => hash(format!("v{}={value}", tag.key).as_bytes()),
    }
}

/// Reads [`COLUMNS`] that begin a row.
pub(crate) fn slot(cells: &Cells, now: Timestamp) -> Result<Slot> {
    let (expires, tagged) = (cells.int(3), cells.int(4) != Some(0));
    if expires.is_some_and(|expires| expires <= now.as_millis()) {
        return Ok(Slot::Dead { tagged });
    }
    let (made, used) = (cells.number(1)?, Timestamp::from_millis(cells.number(2)?));
    let data = cells.bytes(5).unwrap_or_default();
    let ttl = expires.map(|expires| Timestamp::from_millis(expires).since(now));
    Ok(match Stored::decode(&data) {
        Ok(stored) => Slot::Live(Box::new(Row { made, entry: stored.entry(used, ttl), expires })),
        Err(error) => {
            tracing::warn!(%error, "a row that cannot be read counts as absent");
            Slot::Dead { tagged }
        }
    })
}

/// A key and what there is under it, of one row.
pub(crate) fn found(cells: &Cells, now: Timestamp) -> Result<Option<(Key, Slot)>> {
    match cells.bytes(0).as_ref().and_then(key) {
        Some(key) => Ok(Some((key, slot(cells, now)?))),
        None => Ok(None),
    }
}

impl Row {
    /// The entry as it would be put.
    fn new_entry(&self) -> NewEntry {
        NewEntry {
            value: self.entry.value.clone(),
            object: self.entry.object,
            labels: self.entry.labels.clone(),
            ttl: None,
        }
    }

    /// The statements that write it, over a row that is there or as a new one.
    pub(crate) fn write(&self, sql: &Sql, key: &Key, over: bool) -> Result<Vec<Statement>> {
        let id = id(key);
        let (labels, Version(version)) = (&self.entry.labels, self.entry.version);
        let moment = labels.time.unwrap_or_default();
        let data = Stored::new(self.new_entry(), self.entry.version, moment).encode()?;
        let object = self.entry.object.map(|object| Bytes::copy_from_slice(object.id.as_bytes()));
        let mut values: Vec<Value> = vec![
            version.cast_signed().into(),
            self.made.into(),
            moment.as_millis().into(),
            self.entry.used.as_millis().into(),
            self.expires.into(),
            labels.function.as_ref().map(|name| hash(name.as_bytes())).into(),
            labels.group.map(u64::cast_signed).into(),
            labels.status.map(|status| i64::from(status.number())).into(),
            object.into(),
            i64::from(!labels.tags.is_empty()).into(),
            data.into(),
            id.clone().into(),
        ];
        let mut statements = Vec::with_capacity(1 + 2 * labels.tags.len());
        statements.push(if over {
            sql.with(
                "UPDATE {p}entry SET version = ?, made = ?, moment = ?, used = ?, expires = ?, func = ?,
                 grouped = ?, status = ?, object = ?, tagged = ?, data = ? WHERE id = ?",
                values,
            )
        } else {
            values.push(i64::from(key.space().number()).into());
            sql.with(
                "INSERT INTO {p}entry (version, made, moment, used, expires, func, grouped, status, object,
                 tagged, data, id, space) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        });
        let bare = |tag: &Tag| Tag { key: tag.key.clone(), value: None };
        let mut hashes: Vec<i64> =
            labels.tags.iter().flat_map(|tag| [tag_hash(tag), tag_hash(&bare(tag))]).collect();
        hashes.sort_unstable();
        hashes.dedup();
        statements.extend(hashes.into_iter().map(|hash| {
            sql.with(
                "INSERT INTO {p}tag (id, hash) VALUES (?, ?)",
                vec![id.clone().into(), hash.into()],
            )
        }));
        Ok(statements)
    }
}
