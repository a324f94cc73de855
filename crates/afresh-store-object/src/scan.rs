//! Looking through entries: a page of a list, and each entry of it fetched.
//!
//! Invariant: a page is one list request and as many gets as it found names, however few of them match. Tombstones are
//! known by their length and not fetched. An entry that has been over for a day
//! becomes a tombstone when a scan comes by, and a tombstone of a day goes.

use std::time::Duration;

use afresh_core::{Bytes, Error, Key, Kind, Page, Result, Scan};
use afresh_remote::cells::{Body, TOMBSTONE};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::bucket::Listed;
use crate::entry::{before, common, folder};
use crate::store::{ObjectStore, WIDTH};

/// How many names a page looks at.
const NAMES: usize = 1000;

/// How long a tombstone stays: no writer who saw the entry before it is still at work.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl ObjectStore {
    pub(crate) async fn scan_page(&self, scan: &Scan) -> Result<Page> {
        let (place, stem) = (folder(scan.space), common(&scan.prefix));
        let after = match &scan.cursor {
            Some(cursor) => std::str::from_utf8(cursor)
                .map_err(|_| {
                    Error::new(Kind::Config, "not a cursor of this store").with_op("scan")
                })?
                .to_owned(),
            None => before(&stem),
        };
        let limit = scan.limit.clamp(1, NAMES);
        let names = self.bucket().page(place, Some(&after), limit).await?;
        let next = names.last().filter(|_| names.len() == limit).map(|last| last.name.clone());
        let (now, old) = (self.now(), self.now().before(DAY));
        let (dead, names): (Vec<Listed>, Vec<Listed>) = names
            .into_iter()
            .filter(|listed| listed.name.starts_with(&stem))
            .partition(|listed| listed.len == TOMBSTONE);
        let fetch = |listed: Listed| async move {
            let path = self.bucket().path(place, &listed.name);
            let Some(found) = self.bucket().fetch(&path).await? else {
                return Ok::<_, Error>(None);
            };
            let row = match Body::decode(scan.space, &found.bytes) {
                Ok(Body::Row(row)) if !row.guards.is_empty() => {
                    return Ok(self.entries.live(&row.key).await?.map(|entry| (row.key, entry)));
                }
                Ok(Body::Row(row)) => row,
                Ok(Body::Tombstone(_)) => return Ok(None),
                Err(error) => {
                    tracing::warn!(%error, name = listed.name, "passed over in a scan");
                    return Ok(None);
                }
            };
            if row.end.is_some_and(|end| end <= old) {
                let end = Body::Tombstone(self.entries.clock().version(Some(row.stored.version())));
                self.bucket().put(&path, Some(&found), end.encode()?).await?;
            }
            Ok(row.lives(now).then(|| (row.key.clone(), row.entry(now))))
        };
        let found: Vec<Option<(Key, _)>> =
            stream::iter(names).map(fetch).buffered(WIDTH).try_collect().await?;
        for listed in dead.iter().filter(|listed| listed.modified <= old) {
            let path = self.bucket().path(place, &listed.name);
            // The list is of a moment ago.
            if self
                .bucket()
                .fetch(&path)
                .await?
                .is_some_and(|found| found.bytes.len() as u64 == TOMBSTONE)
            {
                self.bucket().delete(&path).await?;
            }
        }
        let entries =
            found.into_iter().flatten().filter(|(key, entry)| scan.matches(key, entry)).collect();
        // Names are in order: once one is past the prefix, the rest are.
        let over = next.as_ref().is_some_and(|next| !next.starts_with(&stem) && *next > stem);
        Ok(Page { entries, next: next.filter(|_| !over).map(Bytes::from) })
    }
}
