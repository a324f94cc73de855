//! Looking through entries by their places in the index of their space: a few hundred in one command, so that nobody
//! waits for it.
//!
//! The index gives the order and the narrowest label; the other conditions are compared here. A cursor is the place
//! where the last page ended. An index that is not whole is made anew first ([`crate::rebuild`]).

use std::sync::Arc;

use afresh_core::{Bytes, Error, Key, Kind, Order, Page, Result, Scan};
use redis::Value;

use crate::entry;
use crate::error::odd;
use crate::layout::{Layout, letter, moment, term_of};
use crate::look::aside;
use crate::nodes::Nodes;
use crate::rebuild::rebuild;
use crate::reply::Items;
use crate::scripts::Name;

/// How many entries one command looks at.
const STEP: usize = 128;

/// How many commands one page may take. One that found little says where to go on.
const STEPS: usize = 80;

/// How many bytes of entries are enough for one command.
const ENOUGH: usize = 256 << 10;

/// Which places to look at.
struct Way {
    from: Vec<u8>,
    to: Vec<u8>,
    back: bool,
    /// How many bytes of a place stand before the key.
    before: usize,
}

/// What comes after everything that begins so.
fn after(start: &[u8]) -> Vec<u8> {
    let mut end = start.to_vec();
    while end.pop_if(|byte| *byte == 0xff).is_some() {}
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

fn bound(mark: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    [mark, &parts.concat()].concat()
}

fn way(scan: &Scan) -> Result<Way> {
    let term = term_of(scan);
    let newest = scan.order == Order::Newest;
    let mut start = match (newest, term) {
        (false, None) => b"k".to_vec(),
        (false, Some(_)) => b"K".to_vec(),
        (true, None) => b"t".to_vec(),
        (true, Some(_)) => b"T".to_vec(),
    };
    start.extend_from_slice(term.as_ref().map_or(&[][..], |term| &term[..]));
    let base = start.len();
    if newest {
        let from = match scan.since {
            Some(since) => bound(b"[", &[&start, &moment(since)]),
            None => bound(b"[", &[&start]),
        };
        let to = match &scan.cursor {
            Some(cursor) if cursor.len() == 16 => bound(b"(", &[&start, cursor]),
            Some(_) => return Err(bad_cursor()),
            None => bound(b"(", &[&after(&start)]),
        };
        return Ok(Way { from, to, back: true, before: base + 16 });
    }
    let from = match &scan.cursor {
        Some(cursor) => bound(b"(", &[&start, cursor]),
        None => bound(b"[", &[&start, &scan.prefix]),
    };
    let to = bound(b"(", &[&after(&[&start[..], &scan.prefix].concat())]);
    Ok(Way { from, to, back: false, before: base })
}

fn bad_cursor() -> Error {
    Error::new(Kind::Config, "not a cursor of this store")
}

/// One page.
pub(crate) async fn page(nodes: &Arc<Nodes>, layout: &Layout, scan: &Scan) -> Result<Page> {
    let mut way = way(scan)?;
    let wanted = scan.limit.max(1);
    let mut page = Page::default();
    for _ in 0..STEPS {
        // Where labels are compared here, more have to be looked at.
        let limit = (wanted - page.entries.len()).clamp(32, STEP);
        let mut found = look(nodes, layout, scan, &way, limit).await?;
        let (now, last, all) = (found.number()?, found.bytes()?, found.number()? == 1);
        while !found.is_empty() {
            let (place, value, used) = (found.bytes()?, found.bytes()?, found.roughly()?);
            let key = place.get(way.before..).ok_or_else(|| odd("a page"))?;
            let key = Key::new(scan.space, Bytes::copy_from_slice(key))?;
            let value = Bytes::from(value);
            match entry::read(&value, used, now, false) {
                Ok(Some(entry)) if scan.matches(&key, &entry) => page.entries.push((key, entry)),
                Ok(_) => {}
                Err(error) => aside(nodes, layout, &key, &value, &error).await?,
            }
            if page.entries.len() == wanted {
                let more = !all || !found.is_empty();
                page.next = more.then(|| cursor(&place, &way)).transpose()?;
                return Ok(page);
            }
        }
        if all {
            page.next = None;
            return Ok(page);
        }
        page.next = Some(cursor(&last, &way)?);
        let end = bound(b"(", &[&last]);
        if way.back { way.to = end } else { way.from = end }
    }
    Ok(page)
}

/// What a page that ended at this place goes on from.
fn cursor(place: &[u8], way: &Way) -> Result<Bytes> {
    let part = match way.back {
        true => place.get(way.before - 16..way.before),
        false => place.get(way.before..),
    };
    part.map(Bytes::copy_from_slice).ok_or_else(|| odd("a page"))
}

/// Some entries; the index is whole when this returns.
async fn look(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    scan: &Scan,
    way: &Way,
    limit: usize,
) -> Result<Items> {
    for _ in 0..3 {
        let answer = nodes
            .run(nodes.records(), true, |node| async move {
                let mut call = node.scripts.call(Name::Page, 1);
                call.arg(layout.meta()).arg(layout.records.as_str()).arg(letter(scan.space));
                call.arg(&way.from[..]).arg(&way.to[..]).arg(if way.back { "1" } else { "0" });
                call.arg(limit).arg(way.before).arg(ENOUGH);
                call.query_async::<Value>(&mut node.handle()).await
            })
            .await?;
        let mut items = Items::of(answer, "a page")?;
        if items.number()? == 1 {
            return Ok(items);
        }
        rebuild(nodes, layout).await?;
    }
    Err(Error::new(Kind::Unavailable, "the server evicts indexes faster than they can be made")
        .with_hint("give it more memory, or an eviction policy that spares keys without an end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after() {
        assert_eq!(after(b"k"), b"l");
        assert_eq!(after(b"ka\xff\xff"), b"kb");
        assert_eq!(after(b"k\xff"), b"l");
    }
}
