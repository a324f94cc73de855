//! Looking through entries: one statement a page, built from the conditions that are asked for.
//!
//! A cursor names the place where the last page ended: the key, or the time and the row's number. An entry that
//! is there throughout a scan is seen exactly once, whatever comes and goes meanwhile. Commits are found by time
//! through their numbers, of all functions or of one; a group is picked out of those.

use std::fmt::Write as _;

use afresh_core::{Error, Key, Kind, Order, Page, Result, Scan, Space};
use bytes::Bytes;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::change::first;
use crate::database::{Database, Reader};
use crate::entry::{COLUMNS, Row, WIDTH};
use crate::error::Outcome;

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

/// One page of what matches.
pub(crate) fn page(database: &Database, reader: &Reader, scan: &Scan) -> Outcome<Page> {
    let Some(query) = query(database, reader, scan)? else { return Ok(Page::default()) };
    let now = database.now();
    let mut statement = reader.conn.prepare_cached(&query.text)?;
    let mut rows = statement.query(params_from_iter(&query.values))?;
    let limit = scan.limit.max(1);
    let mut page = Page::default();
    let mut seen = 0;
    let mut place = None;
    while let Some(row) = rows.next()? {
        if seen == limit {
            page.next = place;
            break;
        }
        seen += 1;
        let bytes: Vec<u8> = row.get(WIDTH)?;
        place = Some(match scan.order {
            Order::Key => Bytes::copy_from_slice(&bytes),
            Order::Newest => encode(row.get(10)?, row.get(0)?),
        });
        let Ok(key) = Key::new(scan.space, bytes) else { continue };
        let Some(found) = Row::decode(&key, row)? else { continue };
        let entry = found.entry(database, &reader.conn, None, now)?;
        page.entries.push((key, entry));
    }
    Ok(page)
}

/// The statement; `None` where a label does not exist, so that nothing can match.
fn query(database: &Database, reader: &Reader, scan: &Scan) -> Outcome<Option<Query>> {
    let number = |text: &str| database.labels.number(&reader.conn, text);
    // The space is written out, or the indexes that are partial to commits would not be considered.
    let space = scan.space.number();
    let by_number = scan.order == Order::Newest && scan.space == Space::Commit;
    let way = match (by_number, &scan.function) {
        (true, Some(_)) => "INDEXED BY entry_function",
        // The table itself, backwards.
        (true, None) => "NOT INDEXED",
        (false, _) => "",
    };
    let mut query = Query {
        text: format!("SELECT {COLUMNS}, e.key FROM entry e {way} WHERE e.space = {space}"),
        values: Vec::new(),
    };
    query.and("(e.expires IS NULL OR e.expires > ?)", database.now().as_millis());
    if !scan.prefix.is_empty() {
        query.and("e.key >= ?", scan.prefix.to_vec());
        if let Some(end) = successor(&scan.prefix) {
            query.and("e.key < ?", end);
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
        query.and("e.time >= ?", since.as_millis());
        if by_number {
            query.and("e.id >= ?", first(since));
        }
    }
    let order = match scan.order {
        Order::Key => {
            if let Some(cursor) = &scan.cursor {
                query.and("e.key > ?", cursor.to_vec());
            }
            "e.key"
        }
        Order::Newest => {
            if let Some(cursor) = &scan.cursor {
                let (time, id) = decode(cursor)?;
                if by_number {
                    query.and("e.id < ?", id);
                }
                query.and("(e.time, e.id) < (?", time);
                // The second half of the pair.
                query.values.push(id.into());
                let _ = write!(query.text, ", ?{})", query.values.len());
            }
            if by_number { "e.id DESC" } else { "e.time DESC, e.id DESC" }
        }
    };
    let more = i64::try_from(scan.limit.max(1)).unwrap_or(i64::MAX).saturating_add(1);
    query.values.push(more.into());
    let _ = write!(query.text, " ORDER BY {order} LIMIT ?{}", query.values.len());
    Ok(Some(query))
}

/// The first key after all that begin with `prefix`; `None` where there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

fn encode(time: i64, id: i64) -> Bytes {
    [time.to_be_bytes(), id.to_be_bytes()].concat().into()
}

fn decode(cursor: &[u8]) -> Result<(i64, i64)> {
    match cursor.as_chunks::<8>() {
        ([time, id], []) => Ok((i64::from_be_bytes(*time), i64::from_be_bytes(*id))),
        _ => Err(Error::new(Kind::Config, "not a cursor of this store")),
    }
}
