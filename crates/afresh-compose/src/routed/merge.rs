//! One scan over several stores.
//!
//! Invariant: each entry that was there all the while is found once. Where the stores keep an order, so does the whole: an
//! entry is given out only when no store can still bring one that comes before it.

use std::cmp::{Ordering, Reverse};

use afresh_core::{Bytes, Entry, Error, Key, Kind, Order, Page, Result, Scan, Timestamp};

use super::Routed;

/// Where an entry stands in its order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Key(Bytes),
    Newest(Reverse<Option<Timestamp>>, Bytes),
}

fn rank(order: Order, key: &Key, entry: &Entry) -> Rank {
    match order {
        Order::Key => Rank::Key(key.bytes().clone()),
        Order::Newest => Rank::Newest(Reverse(entry.labels.time), key.bytes().clone()),
    }
}

/// One store after the other: a cursor is the number of the store and the store's own.
pub(super) async fn chained(routed: &Routed, places: &[usize], scan: &Scan) -> Result<Page> {
    let (at, cursor) = match &scan.cursor {
        None => (0, None),
        Some(cursor) => {
            let (at, rest) = cursor.split_first().ok_or_else(bad)?;
            (usize::from(*at), (!rest.is_empty()).then(|| cursor.slice(1..)))
        }
    };
    let place = *places.get(at).ok_or_else(bad)?;
    let page = routed.store(place).scan(&Scan { cursor, ..scan.clone() }).await?;
    let mut entries = page.entries;
    entries.retain(|(key, _)| routed.place(key) == place);
    let number = |at: usize| u8::try_from(at).map_err(|_| bad());
    let next = match page.next {
        Some(next) => Some([&[number(at)?], next.as_ref()].concat().into()),
        None if at + 1 < places.len() => Some(vec![number(at + 1)?].into()),
        None => None,
    };
    Ok(Page { entries, next })
}

/// What a page begins after, in each store: the last entry that was given out is the same for all.
struct Position {
    last: Option<Rank>,
    /// Where the store's own page begins, and whether it has none left.
    stores: Vec<(Option<Bytes>, bool)>,
}

/// In the order that the stores keep.
pub(super) async fn ordered(routed: &Routed, places: &[usize], scan: &Scan) -> Result<Page> {
    let mut position = match &scan.cursor {
        None => Position { last: None, stores: vec![(None, false); places.len()] },
        Some(cursor) => decode(cursor, scan.order, places.len()).ok_or_else(bad)?,
    };
    let mut found: Vec<(Rank, usize, (Key, Entry))> = Vec::new();
    // For each store: where its next page begins, and the rank of the last entry of this one.
    let mut pages = Vec::with_capacity(places.len());
    for (at, (place, (cursor, done))) in places.iter().zip(&position.stores).enumerate() {
        if *done {
            pages.push((None, None));
            continue;
        }
        let page =
            routed.store(*place).scan(&Scan { cursor: cursor.clone(), ..scan.clone() }).await?;
        let ranked =
            |(key, entry): (Key, Entry)| (rank(scan.order, &key, &entry), at, (key, entry));
        let entries: Vec<_> = page.entries.into_iter().map(ranked).collect();
        pages.push((page.next, entries.last().map(|(rank, ..)| rank.clone())));
        let fresh = |(rank, ..): &(Rank, usize, _)| {
            position.last.as_ref().is_none_or(|last| rank.cmp(last) == Ordering::Greater)
        };
        found.extend(
            entries
                .into_iter()
                .filter(fresh)
                .filter(|(_, _, (key, _))| routed.place(key) == *place),
        );
    }
    // Beyond the end of an unfinished page its store may have something that comes earlier. An empty page that is not
    // the last says nothing: then nothing is given out, and the scan goes on.
    let unfinished =
        |(next, last): &(Option<Bytes>, Option<Rank>)| next.is_some().then(|| last.clone());
    let bounds: Vec<Option<Rank>> = pages.iter().filter_map(unfinished).collect();
    let within =
        |rank: &Rank| bounds.iter().all(|bound| bound.as_ref().is_some_and(|bound| rank <= bound));
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found.retain(|(rank, ..)| within(rank));
    if found.len() > scan.limit {
        found.truncate(scan.limit);
        position.last = found.last().map(|(rank, ..)| rank.clone());
    } else if bounds.is_empty() {
        let entries = found.into_iter().map(|(.., entry)| entry).collect();
        return Ok(Page { entries, next: None });
    } else if let Some(Some(bound)) = bounds.into_iter().min() {
        position.last = position.last.max(Some(bound));
    }
    for ((next, end), store) in pages.into_iter().zip(&mut position.stores) {
        let used_up = match (&end, &position.last) {
            (None, _) => true,
            (Some(end), Some(last)) => end <= last,
            (Some(_), None) => false,
        };
        if used_up {
            *store = (next.clone(), next.is_none());
        }
    }
    let entries = found.into_iter().map(|(.., entry)| entry).collect();
    Ok(Page { entries, next: Some(encode(&position)) })
}

fn bad() -> Error {
    Error::new(Kind::Config, "the cursor is not one of this scan").with_op("scan")
}

/// Parts of a cursor, each with its length in front.
fn encode(position: &Position) -> Bytes {
    let mut parts: Vec<Option<Vec<u8>>> = Vec::new();
    match &position.last {
        None => parts.push(None),
        Some(Rank::Key(key)) => parts.push(Some(key.to_vec())),
        Some(Rank::Newest(Reverse(time), key)) => {
            let millis = time.map_or(i64::MIN, Timestamp::as_millis);
            parts.push(Some([&millis.to_le_bytes(), key.as_ref()].concat()));
        }
    }
    for (cursor, done) in &position.stores {
        parts.push(done.then(Vec::new));
        parts.push(cursor.as_ref().map(|cursor| cursor.to_vec()));
    }
    let mut bytes = Vec::new();
    for part in parts {
        let len = part.as_ref().map_or(0, |part| part.len() as u32 + 1);
        bytes.extend(len.to_le_bytes());
        bytes.extend(part.unwrap_or_default());
    }
    bytes.into()
}

fn decode(cursor: &Bytes, order: Order, stores: usize) -> Option<Position> {
    let mut rest = cursor.clone();
    let mut part = || -> Option<Option<Bytes>> {
        let len = u32::from_le_bytes(rest.first_chunk().copied()?);
        let after = rest.split_off(4);
        rest = after;
        let Some(len) = len.checked_sub(1) else { return Some(None) };
        let len = usize::try_from(len).ok()?;
        if len > rest.len() {
            return None;
        }
        Some(Some(rest.split_to(len)))
    };
    let last = match (part()?, order) {
        (None, _) => None,
        (Some(key), Order::Key) => Some(Rank::Key(key)),
        (Some(mut both), Order::Newest) => {
            let millis = i64::from_le_bytes(both.first_chunk().copied()?);
            let key = both.split_off(8);
            let time = (millis != i64::MIN).then(|| Timestamp::from_millis(millis));
            Some(Rank::Newest(Reverse(time), key))
        }
    };
    let mut places = Vec::with_capacity(stores);
    for _ in 0..stores {
        let done = part()?.is_some();
        places.push((part()?, done));
    }
    Some(Position { last, stores: places })
}
