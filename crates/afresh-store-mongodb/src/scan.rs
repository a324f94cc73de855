//! Looking through entries: the server filters and sorts by what documents have beside their bodies.
//!
//! Invariant: a page ends at a place, not after a number of entries: what is there throughout is seen once. What is over is
//! left out here, so that a page may be shorter than it could be.

use afresh_core::{Bytes, Entry, Error, Key, Kind, Order, Page, Result, Scan};
use afresh_remote::cells::{Body, damaged};
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};

use crate::entry::{body, name, tagged};
use crate::error::{corrupt, error};
use crate::store::MongoStore;

impl MongoStore {
    pub(crate) async fn scan_page(&self, scan: &Scan) -> Result<Page> {
        let low = name(scan.space, &scan.prefix);
        // Greater than every digit.
        let mut range = doc! { "$gte": &low, "$lt": format!("{low}g") };
        let mut filter = doc! { "there": true };
        if let Some(function) = &scan.function {
            filter.insert("function", function);
        }
        if let Some(status) = scan.status {
            filter.insert("status", i32::from(status.number()));
        }
        if let Some(group) = scan.group {
            filter.insert("group", group.cast_signed());
        }
        if !scan.tags.is_empty() {
            filter
                .insert("tags", doc! { "$all": scan.tags.iter().map(tagged).collect::<Vec<_>>() });
        }
        if let Some(since) = scan.since {
            filter.insert("time", doc! { "$gte": since.as_millis() });
        }
        let sort = match scan.order {
            Order::Key => {
                if let Some(cursor) = &scan.cursor {
                    range.insert("$gt", text(cursor)?);
                }
                doc! { "_id": 1 }
            }
            Order::Newest => {
                if let Some(cursor) = &scan.cursor {
                    filter.insert("$or", later(text(cursor)?)?);
                }
                filter.insert("space", i32::from(scan.space.number()));
                doc! { "time": -1, "made": -1, "_id": 1 }
            }
        };
        filter.insert("_id", range);
        let limit = scan.limit.clamp(1, 1000);
        let found = self.documents().collection.find(filter).sort(sort);
        let found = found.limit(i64::try_from(limit).unwrap_or(1000)).await.map_err(error)?;
        let found: Vec<Document> = found.try_collect().await.map_err(error)?;
        let last = found.last().filter(|_| found.len() == limit);
        let next = last.map(|last| place(last, scan.order)).transpose()?;
        let mut page = Page { entries: Vec::with_capacity(found.len()), next };
        for document in found {
            if let Some((key, entry)) = self.living(scan, &document).await?
                && scan.matches(&key, &entry)
            {
                page.entries.push((key, entry));
            }
        }
        Ok(page)
    }

    async fn living(&self, scan: &Scan, document: &Document) -> Result<Option<(Key, Entry)>> {
        let now = self.now();
        match Body::decode(scan.space, body(document)) {
            Ok(Body::Row(row)) if !row.guards.is_empty() => {
                Ok(self.entries.live(&row.key).await?.map(|entry| (row.key, entry)))
            }
            Ok(Body::Row(row)) => Ok(row.lives(now).then(|| (row.key.clone(), row.entry(now)))),
            Ok(Body::Tombstone(_)) => Ok(None),
            Err(error) => {
                damaged(&error);
                Ok(None)
            }
        }
    }
}

fn text(cursor: &Bytes) -> Result<&str> {
    std::str::from_utf8(cursor).map_err(|_| unknown())
}

fn unknown() -> Error {
    Error::new(Kind::Config, "not a cursor of this store").with_op("scan")
}

/// Where a page ended.
fn place(last: &Document, order: Order) -> Result<Bytes> {
    let id = last.get_str("_id").map_err(|_| corrupt())?;
    Ok(match order {
        Order::Key => id.to_owned().into(),
        Order::Newest => {
            let time = last.get_i64("time").map_err(|_| corrupt())?;
            let made = last.get_i64("made").map_err(|_| corrupt())?;
            format!("{time} {made} {id}").into()
        }
    })
}

/// What comes after that place, newest first.
fn later(cursor: &str) -> Result<Vec<Document>> {
    let mut parts = cursor.splitn(3, ' ');
    let mut part = || parts.next().ok_or_else(unknown);
    let (time, made, id) = (part()?, part()?, part()?);
    let time: i64 = time.parse().map_err(|_| unknown())?;
    let made: i64 = made.parse().map_err(|_| unknown())?;
    Ok(vec![
        doc! { "time": { "$lt": time } },
        doc! { "time": time, "made": { "$lt": made } },
        doc! { "time": time, "made": made, "_id": { "$gt": id } },
    ])
}
