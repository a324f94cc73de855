//! Looking through entries: one statement a page, built from the conditions that are asked for.
//!
//! A cursor names the place where the last page ended: the key, or the time and the place among rows of that time. An
//! entry that is there throughout a scan is seen exactly once, whatever comes and goes meanwhile. Labels are found by
//! 64 bits of their digest and then compared, so a page may be shorter than it was asked to be.

use afresh_core::{
    Bytes, Entry, Error, Key, Kind, Order, Page, Result, Scan, Timestamp, prefix_end,
};

use crate::database::Database;
use crate::row::{self, COLUMNS, Slot, WIDTH};
use crate::sql::Value;

/// A statement under construction, with its values.
struct Query {
    text: String,
    values: Vec<Value>,
}

impl Query {
    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
        self.values.extend(values);
    }
}

/// One page of what matches.
pub(crate) async fn page(database: &Database, scan: &Scan) -> Result<Page> {
    let limit = scan.limit.max(1);
    let query = query(scan, limit)?;
    let rows = database.rows(database.sql.with(&query.text, query.values)).await?;
    let mut page = Page::default();
    for (index, cells) in rows.iter().enumerate() {
        if index == limit {
            // There is more: go on after the last row of this page, whether or not it was one of those looked for.
            page.next = rows.get(index - 1).map(|last| cursor(scan.order, last)).transpose()?;
            break;
        }
        let now = Timestamp::from_millis(cells.number(WIDTH)?);
        if let Some((key, Slot::Live(row))) = row::found(cells, now)? {
            let entry: Entry = row.entry;
            if scan.matches(&key, &entry) {
                page.entries.push((key, entry));
            }
        }
    }
    Ok(page)
}

fn query(scan: &Scan, limit: usize) -> Result<Query> {
    let mut query = Query {
        text: format!(
            "SELECT {COLUMNS}, {{now}}, e.moment FROM {{p}}entry e
             WHERE (e.expires IS NULL OR e.expires > {{now}})"
        ),
        values: Vec::new(),
    };
    // The key's first byte is its space.
    let prefix: Bytes = [&[scan.space.number()], scan.prefix.as_ref()].concat().into();
    if scan.order == Order::Key || !scan.prefix.is_empty() {
        if let Some(end) = prefix_end(&prefix) {
            query.and("e.id < ?", [end.into()]);
        }
        query.and("e.id >= ?", [prefix.into()]);
    }
    if let Some(name) = &scan.function {
        query.and("e.func = ?", [row::hash(name.as_bytes()).into()]);
    }
    if let Some(status) = scan.status {
        query.and("e.status = ?", [i64::from(status.number()).into()]);
    }
    for tag in &scan.tags {
        let hash = row::tag_hash(tag);
        query.and("e.id IN (SELECT t.id FROM {p}tag t WHERE t.hash = ?)", [hash.into()]);
    }
    if let Some(group) = scan.group {
        query.and("e.grouped = ?", [group.cast_signed().into()]);
    }
    if let Some(since) = scan.since {
        query.and("e.moment >= ?", [since.as_millis().into()]);
    }
    let order = match scan.order {
        Order::Key => {
            if let Some(cursor) = &scan.cursor {
                let id = row::id(&Key::new(scan.space, cursor.clone())?);
                query.and("e.id > ?", [id.into()]);
            }
            "e.id"
        }
        Order::Newest => {
            query.and("e.space = ?", [i64::from(scan.space.number()).into()]);
            if let Some(cursor) = &scan.cursor {
                let (moment, made) = decode(cursor)?;
                // Said twice, because not every server finds the range in a comparison of pairs.
                query.and("e.moment <= ?", [moment.into()]);
                query.and("(e.moment, e.made) < (?, ?)", [moment.into(), made.into()]);
            }
            "e.moment DESC, e.made DESC"
        }
    };
    let more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    query.text.push_str(&format!(" ORDER BY {order} LIMIT ?"));
    query.values.push(more.into());
    Ok(query)
}

/// Where a page ends that ends with this row.
fn cursor(order: Order, cells: &crate::session::Cells) -> Result<Bytes> {
    let damaged = || Error::new(Kind::Corrupt, "a row without a key");
    Ok(match order {
        Order::Key => cells.bytes(0).filter(|id| !id.is_empty()).ok_or_else(damaged)?.slice(1..),
        Order::Newest => {
            let (moment, made) = (cells.number(WIDTH + 1)?, cells.number(1)?);
            [moment.to_be_bytes(), made.to_be_bytes()].concat().into()
        }
    })
}

fn decode(cursor: &[u8]) -> Result<(i64, i64)> {
    match cursor.as_chunks::<8>() {
        ([moment, made], []) => Ok((i64::from_be_bytes(*moment), i64::from_be_bytes(*made))),
        _ => Err(Error::new(Kind::Config, "not a cursor of this store").with_op("scan")),
    }
}
