//! Looking through entries: one statement a page, built from the conditions that are asked for.
//!
//! A cursor names the place where the last page ended: the key, or the time and the row's number. An entry that
//! is there throughout a scan is seen exactly once, whatever comes and goes meanwhile. Commits are found by time
//! through their numbers, of all functions or of one; a group is picked out of those.
//!
//! What waits in `recent` was folded before, where that can be; where it cannot, the overlay is merged in.

use std::cmp::Reverse;
use std::fmt::Write as _;

use afresh_core::{Entry, Error, Key, Kind, Order, Page, Result, Scan, Space, Usage, prefix_end};
use bytes::Bytes;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::database::{Database, Reader};
use crate::entry::{COLUMNS, Content, Row, WIDTH, find};
use crate::error::Outcome;
use crate::meta::Meta;
use crate::overlay::Overlay;
use crate::schema::{mark, of};
use crate::table::{first, number};

/// A statement under construction, with its parameters.
struct Query {
    text: String,
    values: Vec<Value>,
}

impl Query {
    /// Adds a condition; `?` in it stands for the value.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        let name = format!("?{}", self.values.len());
        self.text.push_str(" AND ");
        self.text.push_str(&condition.replace('?', &name));
    }
}

/// A place in the order of a scan: the key, or the number, the newest first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Key(Bytes),
    Newest(Reverse<i64>),
}

impl Place {
    fn cursor(&self) -> Bytes {
        match self {
            Self::Key(key) => key.clone(),
            Self::Newest(Reverse(id)) => id.to_be_bytes().to_vec().into(),
        }
    }

    fn from_cursor(order: Order, cursor: &Bytes) -> Result<Self> {
        Ok(match order {
            Order::Key => Self::Key(cursor.clone()),
            Order::Newest => Self::Newest(Reverse(decode(cursor)?)),
        })
    }
}

/// What there is at a place; nothing where it is damaged.
type Found = (Place, Option<(Key, Entry)>);

/// One page of what matches.
pub(crate) fn page(database: &Database, reader: &mut Reader, scan: &Scan) -> Outcome<Page> {
    let limit = scan.limit.max(1);
    let mut found = if database.overlay().covers_space(scan.space) || !database.watched() {
        reader.snapshot(database, |reader, overlay| merged(database, reader, scan, overlay))?
    } else {
        let nothing = Overlay::default();
        rows(database, reader, scan, limit, &nothing)?
    };
    let mut page = Page::default();
    if found.len() > limit {
        found.truncate(limit);
        page.next = found.last().map(|(place, _)| place.cursor());
    }
    page.entries = found.into_iter().filter_map(|(_, entry)| entry).collect();
    Ok(page)
}

/// What the tables hold and what is not in them yet, together in order.
fn merged(
    database: &Database,
    reader: &Reader,
    scan: &Scan,
    overlay: &Overlay,
) -> Outcome<Vec<Found>> {
    let now = database.now();
    let after = scan.cursor.as_ref().map(|cursor| Place::from_cursor(scan.order, cursor));
    let after = after.transpose()?;
    let mut covered = 0;
    let mut recent = Vec::new();
    for (key, held) in overlay.entries().filter(|(key, _)| key.space() == scan.space) {
        covered += 1;
        let Some(held) = held.filter(|held| held.lives(now)) else { continue };
        let entry = held.clone().entry(None, now);
        let place = match scan.order {
            Order::Key => Place::Key(key.bytes().clone()),
            Order::Newest => Place::Newest(Reverse(number(scan.space, held.time(), held.version))),
        };
        if scan.matches(key, &entry) && after.as_ref().is_none_or(|after| place > *after) {
            recent.push((place, Some((key.clone(), entry))));
        }
    }
    let limit = scan.limit.max(1).saturating_add(covered);
    let mut found = rows(database, reader, scan, limit, overlay)?;
    found.append(&mut recent);
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// Up to one more than `limit` of the rows that match, without those that the overlay covers.
fn rows(
    database: &Database,
    reader: &Reader,
    scan: &Scan,
    limit: usize,
    overlay: &Overlay,
) -> Outcome<Vec<Found>> {
    let Some(query) = query(database, reader, scan, limit)? else { return Ok(Vec::new()) };
    let now = database.now();
    let mut statement = reader.conn.prepare_cached(&query.text)?;
    let mut rows = statement.query(params_from_iter(&query.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = Bytes::from(row.get::<_, Vec<u8>>(WIDTH)?);
        let place = match scan.order {
            Order::Key => Place::Key(bytes.clone()),
            Order::Newest => Place::Newest(Reverse(row.get(0)?)),
        };
        let entry = match Key::new(scan.space, bytes) {
            Ok(key) if overlay.covers(&key) => continue,
            Ok(key) => match Row::decode(&key, row)? {
                Content::Sound(row) => {
                    let entry = row.held(database, &reader.conn)?.entry(None, now);
                    Some((key, entry))
                }
                Content::Damaged | Content::Removed => None,
            },
            Err(_) => None,
        };
        found.push((place, entry));
    }
    Ok(found)
}

/// What there is, from the counters; what is not in the tables yet is looked at one by one.
pub(crate) fn usage(database: &Database, reader: &mut Reader) -> Outcome<Usage> {
    reader.snapshot(database, |reader, overlay| {
        let mut meta = Meta::load(&reader.conn)?;
        for (key, held) in overlay.entries() {
            let there = find(&reader.conn, key)?;
            let there = there.is_some_and(|(_, content)| !matches!(content, Content::Removed));
            meta.count(key.space(), i64::from(held.is_some()) - i64::from(there));
        }
        Ok(meta.usage())
    })
}

/// The statement; `None` where a label does not exist, so that nothing can match.
fn query(
    database: &Database,
    reader: &Reader,
    scan: &Scan,
    limit: usize,
) -> Outcome<Option<Query>> {
    let number = |text: &str| database.labels.number(&reader.conn, text);
    let space = scan.space.number();
    let table = of(scan.space, ["entry", "commits"]);
    let way = match (scan.order, scan.space, &scan.function) {
        (Order::Newest, Space::Commit, Some(_)) => "INDEXED BY commits_function",
        // The table itself, backwards.
        (Order::Newest, Space::Commit | Space::Head, _) => "NOT INDEXED",
        _ => "",
    };
    let mut query = Query {
        text: format!("SELECT {COLUMNS}, e.key FROM {table} e {way} WHERE e.space = {space}"),
        values: Vec::new(),
    };
    query.and("(e.expires IS NULL OR e.expires > ?)", database.now().as_millis());
    if !scan.prefix.is_empty() {
        query.and("e.mark >= ?", mark(scan.space, &scan.prefix).to_vec());
        query.and("e.key >= ?", scan.prefix.to_vec());
        if let Some(end) = prefix_end(&scan.prefix) {
            query.and("e.mark <= ?", mark(scan.space, &end).to_vec());
            query.and("e.key < ?", end.to_vec());
        }
    }
    if let Some(name) = &scan.function {
        let Some(number) = number(name)? else { return Ok(None) };
        query.and("e.function = ?", number);
    }
    if let Some(status) = scan.status {
        query.and("e.status = ?", i64::from(status.number()));
    }
    for tag in &scan.tags {
        let Some(number) = number(&tag.key)? else { return Ok(None) };
        match &tag.value {
            None => query.and("e.id IN (SELECT entry FROM tag WHERE key = ?)", number),
            Some(value) => {
                query.and("e.id IN (SELECT entry FROM tag WHERE key = ?", number);
                query.and("value = ?)", value.clone());
            }
        }
    }
    if let Some(group) = scan.group {
        query.and("e.grouped = ?", group.cast_signed());
    }
    if let Some(since) = scan.since {
        query.and("e.id >= ?", first(scan.space, since));
        query.and("(e.time IS NULL OR e.time >= ?)", since.as_millis());
    }
    let order = match scan.order {
        Order::Key => {
            if let Some(cursor) = &scan.cursor {
                query.and("e.mark >= ?", mark(scan.space, cursor).to_vec());
                query.and("e.key > ?", cursor.to_vec());
            }
            "e.mark, e.key"
        }
        Order::Newest => {
            if let Some(cursor) = &scan.cursor {
                query.and("e.id < ?", decode(cursor)?);
            }
            "e.id DESC"
        }
    };
    let more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    query.values.push(more.into());
    let _ = write!(query.text, " ORDER BY {order} LIMIT ?{}", query.values.len());
    Ok(Some(query))
}

fn decode(cursor: &[u8]) -> Result<i64> {
    let id = cursor.try_into().map(i64::from_be_bytes);
    id.map_err(|_| Error::new(Kind::Config, "not a cursor of this store"))
}
