//! Looking through entries in either order, a page at a time.
//!
//! A cursor names the place where the last page ended, not a number of entries to skip: whatever comes and
//! goes meanwhile, an entry that is there throughout is seen once.

use std::cmp::Reverse;
use std::ops::Bound;

use afresh_core::{Error, Key, Kind, Order, Page, Result, Scan, Timestamp};
use bytes::Bytes;

use crate::entry::{Entries, Place};

/// One page of what matches.
pub(crate) fn page(entries: &Entries, scan: &Scan, now: Timestamp) -> Result<Page> {
    match scan.order {
        Order::Key => by_key(entries, scan, now),
        Order::Newest => newest(entries, scan, now),
    }
}

fn by_key(entries: &Entries, scan: &Scan, now: Timestamp) -> Result<Page> {
    let from = match &scan.cursor {
        Some(cursor) => Bound::Excluded(Key::new(scan.space, cursor.clone())?),
        None => Bound::Included(Key::new(scan.space, scan.prefix.clone())?),
    };
    let mut page = Page::default();
    for (key, row) in entries.rows.range((from, Bound::Unbounded)) {
        if key.space() != scan.space || !key.bytes().starts_with(&scan.prefix) {
            break;
        }
        if !row.lives(now) {
            continue;
        }
        let entry = row.entry(now);
        if scan.matches(key, &entry) {
            if page.entries.len() == scan.limit.max(1) {
                page.next = page.entries.last().map(|(key, _)| key.bytes().clone());
                break;
            }
            page.entries.push((key.clone(), entry));
        }
    }
    Ok(page)
}

fn newest(entries: &Entries, scan: &Scan, now: Timestamp) -> Result<Page> {
    let from: Bound<Place> = match &scan.cursor {
        Some(cursor) => Bound::Excluded((scan.space, Reverse(decode(cursor)?))),
        None => {
            Bound::Included((scan.space, Reverse((Timestamp::from_millis(i64::MAX), u64::MAX))))
        }
    };
    let mut page = Page::default();
    let mut last = None;
    for ((space, Reverse(place)), key) in entries.times.range((from, Bound::Unbounded)) {
        if *space != scan.space || scan.since.is_some_and(|since| place.0 < since) {
            break;
        }
        let Some(row) = entries.live(key, now) else { continue };
        let entry = row.entry(now);
        if scan.matches(key, &entry) {
            if page.entries.len() == scan.limit.max(1) {
                page.next = last.map(encode);
                break;
            }
            page.entries.push((key.clone(), entry));
            last = Some(*place);
        }
    }
    Ok(page)
}

fn encode((time, made): (Timestamp, u64)) -> Bytes {
    [time.as_millis().to_be_bytes(), made.to_be_bytes()].concat().into()
}

fn decode(cursor: &[u8]) -> Result<(Timestamp, u64)> {
    match cursor.as_chunks::<8>() {
        ([time, made], []) => {
            Ok((Timestamp::from_millis(i64::from_be_bytes(*time)), u64::from_be_bytes(*made)))
        }
        _ => Err(Error::new(Kind::Config, "not a cursor of this store").with_op("scan")),
    }
}
