//! A row of `entry`: how it becomes an [`Entry`], and the checksum that says whether it is what was written.
//!
//! Invariant: nothing of a row is believed before its checksum over space, key, version, value, object and
//! expiry was verified. A row that fails is absent: the value is computed again, and a warning
//! says so. Labels are not covered, they only find.

use afresh_core::{Entry, Key, Labels, ObjectId, ObjectRef, Space, Status, Tag, Timestamp, Value};
use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow};

use crate::database::{Database, Reader};
use crate::error::Outcome;
use crate::held::{Held, unsigned};
use crate::object;
use crate::overlay::{Known, Overlay};
use crate::schema::{Statement, either, mark, of};
use crate::table::began;

macro_rules! columns {
    () => {
        "e.id, e.version, e.checksum, e.value, e.object, e.length, e.function, \
         e.status, e.grouped, e.tagged, e.time, e.used, e.expires"
    };
}

/// The columns that [`Row::decode`] reads, in its order.
pub(crate) const COLUMNS: &str = columns!();

const GET: Statement = either!(("SELECT ", columns!(), ", o.form, o.data FROM ")(
    " e LEFT JOIN object o ON o.digest = e.object WHERE e.space = ?1 AND e.mark = ?2 AND e.key = ?3"
));

const FIND: Statement = either!(("SELECT ", columns!(), " FROM ")(
    " e WHERE e.space = ?1 AND e.mark = ?2 AND e.key = ?3"
));

/// The number of [`COLUMNS`].
pub(crate) const WIDTH: usize = 13;

/// Which of them is `expires`.
const EXPIRES: usize = WIDTH - 1;

/// What `expires` is in a row that was removed and still waits to be deleted: no entry ends then. A zero takes no room in
/// a row, so that to write it moves nothing.
pub(crate) const REMOVED: i64 = 0;

/// What there is in a row.
pub(crate) enum Content {
    Sound(Row),
    /// What its checksum does not say.
    Damaged,
    /// Nothing, see [`REMOVED`].
    Removed,
}

impl Content {
    /// The row, where it can be believed.
    pub(crate) fn sound(self) -> Option<Row> {
        match self {
            Self::Sound(row) => Some(row),
            Self::Damaged | Self::Removed => None,
        }
    }
}

/// A row whose checksum held.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) version: i64,
    pub(crate) value: Value,
    pub(crate) object: Option<ObjectRef>,
    pub(crate) function: Option<i64>,
    pub(crate) status: Option<Status>,
    pub(crate) group: Option<u64>,
    pub(crate) tagged: bool,
    pub(crate) time: Timestamp,
    pub(crate) used: Timestamp,
    pub(crate) end: Option<Timestamp>,
}

/// Sixty-four bits over what must not change unnoticed.
pub(crate) fn checksum(
    key: &Key,
    version: i64,
    value: &Value,
    object: Option<&ObjectRef>,
    end: Option<Timestamp>,
) -> i64 {
    let mut hasher = blake3::Hasher::new();
    let lengths = |len: usize| u64::try_from(len).unwrap_or(u64::MAX).to_le_bytes();
    hasher.update(&[key.space().number()]);
    hasher.update(&lengths(key.bytes().len()));
    hasher.update(key.bytes());
    hasher.update(&version.to_le_bytes());
    match value {
        Value::Record(bytes) => {
            hasher.update(&[0]);
            hasher.update(&lengths(bytes.len()));
            hasher.update(bytes);
        }
        Value::Count(count) => {
            hasher.update(&[1]);
            hasher.update(&count.to_le_bytes());
        }
    }
    if let Some(object) = object {
        hasher.update(&[1]);
        hasher.update(object.id.as_bytes());
        hasher.update(&object.len.to_le_bytes());
    }
    if let Some(end) = end {
        hasher.update(&[2]);
        hasher.update(&end.as_millis().to_le_bytes());
    }
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

impl Row {
    /// What is in the row; a warning where it is damaged.
    pub(crate) fn decode(key: &Key, row: &SqlRow<'_>) -> Outcome<Content> {
        if matches!(row.get_ref(EXPIRES)?, ValueRef::Integer(REMOVED)) {
            return Ok(Content::Removed);
        }
        let decoded = Self::parts(row)?;
        let decoded = decoded.filter(|(stored, row)| {
            *stored == checksum(key, row.version, &row.value, row.object.as_ref(), row.end)
        });
        Ok(match decoded {
            Some((_, row)) => Content::Sound(row),
            None => {
                tracing::warn!(?key, "a damaged entry counts as absent");
                Content::Damaged
            }
        })
    }

    fn parts(row: &SqlRow<'_>) -> Outcome<Option<(i64, Self)>> {
        let number = |column| match row.get_ref(column) {
            Ok(ValueRef::Integer(number)) => Some(number),
            _ => None,
        };
        let value = match row.get_ref(3)? {
            ValueRef::Blob(bytes) => Value::Record(Bytes::copy_from_slice(bytes)),
            ValueRef::Integer(count) => Value::Count(count),
            _ => return Ok(None),
        };
        let object = match (row.get_ref(4)?, number(5)) {
            (ValueRef::Blob(id), Some(len)) => match ObjectId::from_slice(id) {
                Some(id) => Some(ObjectRef { id, len: unsigned(len) }),
                None => return Ok(None),
            },
            (ValueRef::Null, _) => None,
            _ => return Ok(None),
        };
        let (Some(id), Some(version), Some(stored)) = (number(0), number(1), number(2)) else {
            return Ok(None);
        };
        let status = number(7).and_then(|n| u8::try_from(n).ok()).and_then(Status::from_number);
        let moment = |column| number(column).map(Timestamp::from_millis);
        Ok(Some((
            stored,
            Self {
                id,
                version,
                value,
                object,
                function: number(6),
                status,
                group: number(8).map(i64::cast_unsigned),
                tagged: number(9).is_some(),
                time: moment(10).unwrap_or_else(|| began(id)),
                used: moment(11).unwrap_or_default(),
                end: moment(EXPIRES),
            },
        )))
    }

    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        self.end.is_none_or(|end| end > now)
    }

    /// The entry in full. Fetches tags and labels that are not at hand.
    pub(crate) fn held(self, database: &Database, conn: &Connection) -> Outcome<Held> {
        let function = match self.function {
            Some(number) => database.labels.text(conn, number)?.map(|text| text.to_string()),
            None => None,
        };
        let tags = if self.tagged { tags(database, conn, self.id)? } else { Vec::new() };
        Ok(Held {
            version: self.version,
            value: self.value,
            object: self.object,
            labels: Labels {
                function,
                status: self.status,
                tags,
                group: self.group,
                time: Some(self.time),
            },
            used: self.used,
            end: self.end,
        })
    }
}

fn tags(database: &Database, conn: &Connection, entry: i64) -> Outcome<Vec<Tag>> {
    let mut statement = conn.prepare_cached("SELECT key, value FROM tag WHERE entry = ?1")?;
    let mut rows = statement.query([entry])?;
    let mut tags = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(key) = database.labels.text(conn, row.get(0)?)? {
            let value = match row.get_ref(1)? {
                ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                _ => None,
            };
            tags.push(Tag { key: key.to_string(), value });
        }
    }
    tags.sort();
    Ok(tags)
}

/// The entries under `keys`, all of one moment.
pub(crate) fn get(database: &Database, keys: &[Key]) -> Outcome<Vec<Option<Entry>>> {
    let now = database.now();
    let stamp = database.stamp();
    let overlay = database.overlay();
    let current = overlay.is_current(stamp);
    if current && let Some(found) = overlay.answers(keys, now) {
        return Ok(found);
    }
    let recent = match keys {
        [key] if current => overlay.entry(key),
        _ => None,
    };
    drop(overlay);
    match keys {
        // A lone statement is a snapshot by itself. One that is later than the overlay does no harm to one key.
        [key] if current => database.look_up(stamp, |reader| {
            let (entry, absent) = match recent {
                Some(held) => (shown(reader, held, now)?, false),
                None => alone(database, reader, key, now)?,
            };
            if absent {
                database.overlay_mut().learn_if(stamp, key);
            }
            Ok(vec![entry])
        }),
        _ => database.read(|reader| {
            reader.snapshot(database, |reader, overlay| {
                keys.iter().map(|key| together(database, reader, overlay, key, now)).collect()
            })
        }),
    }
}

/// An entry that the tables need not be asked for, with its object's bytes where they are at hand.
fn shown(reader: &mut Reader, held: Held, now: Timestamp) -> Outcome<Option<Entry>> {
    if !held.lives(now) {
        return Ok(None);
    }
    let attached = match &held.object {
        Some(object) => object::at_hand(reader, object)?,
        None => None,
    };
    Ok(Some(held.entry(attached, now)))
}

/// The entry under one of several keys, in a transaction.
fn together(
    database: &Database,
    reader: &mut Reader,
    overlay: &mut Overlay,
    key: &Key,
    now: Timestamp,
) -> Outcome<Option<Entry>> {
    match overlay.find(key) {
        Known::Nothing => return Ok(None),
        Known::Entry(held) => return shown(reader, held.clone(), now),
        Known::Unknown => {}
    }
    if key.space() != Space::Count {
        let (entry, absent) = alone(database, reader, key, now)?;
        if absent {
            overlay.learn(key, None);
        }
        return Ok(entry);
    }
    // Counters are few, and asked for at every beginning.
    let held = match find(&reader.conn, key)? {
        Some((_, Content::Sound(row))) => Some(row.held(database, &reader.conn)?),
        Some(_) => return Ok(None),
        None => None,
    };
    overlay.learn(key, held.clone());
    held.map_or(Ok(None), |held| shown(reader, held, now))
}

/// The entry in the tables, and whether there is no row at all.
fn alone(
    database: &Database,
    reader: &mut Reader,
    key: &Key,
    now: Timestamp,
) -> Outcome<(Option<Entry>, bool)> {
    let Reader { conn, unzip, .. } = reader;
    let mut statement = conn.prepare_cached(of(key.space(), GET))?;
    let mut rows = statement.query(found_by(key))?;
    let Some(row) = rows.next()? else { return Ok((None, true)) };
    let Some(found) = Row::decode(key, row)?.sound().filter(|row| row.lives(now)) else {
        return Ok((None, false));
    };
    let attached = match (&found.object, row.get_ref(WIDTH)?, row.get_ref(WIDTH + 1)?) {
        (Some(object), ValueRef::Integer(form), ValueRef::Blob(data)) => {
            object::unpack(unzip, form, data, object.len)
        }
        _ => None,
    };
    Ok((Some(found.held(database, conn)?.entry(attached, now)), false))
}

/// The parameters of a statement that finds a key's row.
pub(crate) fn found_by(key: &Key) -> (u8, &[u8], &[u8]) {
    (key.space().number(), mark(key.space(), key.bytes()), key.bytes())
}

/// The number of the row under a key within a transaction, and what is in it, expired or not.
pub(crate) fn find(conn: &Connection, key: &Key) -> Outcome<Option<(i64, Content)>> {
    let mut statement = conn.prepare_cached(of(key.space(), FIND))?;
    let found = statement
        .query_row(found_by(key), |row| Ok((row.get(0)?, Row::decode(key, row))))
        .optional()?;
    match found {
        Some((id, content)) => Ok(Some((id, content?))),
        None => Ok(None),
    }
}

/// The space with this number in a row.
pub(crate) fn space(number: i64) -> Option<Space> {
    u8::try_from(number).ok().and_then(Space::from_number)
}
