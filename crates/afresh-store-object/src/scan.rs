//! Looking through entries: a page of a list, and each entry of it fetched.
//!
//! Invariant: a page is at most [`LISTS`] list requests and as many gets as it found names that may match, at most
//! [`NAMES`]. Commits that are looked for by what they have are found by their labels, without a get for the others.
//! Tombstones are known by their length and not fetched. An entry that has been over for a day becomes a tombstone when
//! a scan comes by; a tombstone of a day goes, and so does a label of a day that leads to nothing.

use std::collections::HashSet;
use std::time::Duration;

use afresh_core::{Bytes, Entry, Error, Key, Kind, Page, Result, Scan, Space, Timestamp};
use afresh_remote::cells::{Body, TOMBSTONE, damaged};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use crate::bucket::{Found, Listed};
use crate::entry::{before, common, folder};
use crate::label::{self, Wanted};
use crate::store::{ObjectStore, WIDTH};

/// How many names a list tells, and how many entries a page fetches.
const NAMES: usize = 1000;

/// The most lists of labels for one page.
const LISTS: usize = 10;

/// How long a tombstone stays: no writer who saw the entry before it is still at work.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a page found: names of entries, and where it ended, unless that was the end.
type Names = (Vec<String>, Option<String>);

impl ObjectStore {
    pub(crate) async fn scan_page(&self, scan: &Scan) -> Result<Page> {
        let stem = common(&scan.prefix);
        let after = match &scan.cursor {
            Some(cursor) => std::str::from_utf8(cursor)
                .map_err(|_| {
                    Error::new(Kind::Config, "not a cursor of this store").with_op("scan")
                })?
                .to_owned(),
            None => before(&stem),
        };
        let limit = scan.limit.clamp(1, NAMES);
        let wanted = Wanted::new(scan).filter(|_| scan.space == Space::Commit);
        let (names, next) = match wanted {
            Some(wanted) => self.labelled(&wanted, &stem, after, limit).await?,
            None => self.listed(scan, &stem, &after, limit).await?,
        };
        let paths: Vec<Path> =
            names.iter().map(|name| self.bucket().path(folder(scan.space), name)).collect();
        let found = self.bucket().fetch_all(paths.clone()).await?;
        let now = self.now();
        let read = |(path, found): (Path, Option<Found>)| async move {
            match found {
                Some(found) => self.entry(scan.space, &path, found, now).await,
                None => Ok(None),
            }
        };
        let entries: Vec<Option<(Key, Entry)>> = stream::iter(paths.into_iter().zip(found))
            .map(read)
            .buffered(WIDTH)
            .try_collect()
            .await?;
        let entries =
            entries.into_iter().flatten().filter(|(key, entry)| scan.matches(key, entry)).collect();
        Ok(Page { entries, next: next.map(Bytes::from) })
    }

    /// Up to `limit` names of a space that begin with `stem`, after one.
    async fn listed(&self, scan: &Scan, stem: &str, after: &str, limit: usize) -> Result<Names> {
        let place = folder(scan.space);
        let names = self.bucket().page(place, Some(after), limit).await?;
        let next = names.last().filter(|_| names.len() == limit).map(|last| last.name.clone());
        let old = self.now().before(DAY);
        let (dead, names): (Vec<Listed>, Vec<Listed>) = names
            .into_iter()
            .filter(|listed| listed.name.starts_with(stem))
            .partition(|listed| listed.len == TOMBSTONE);
        for listed in dead.iter().filter(|listed| listed.modified <= old) {
            let path = self.bucket().path(place, &listed.name);
            // The list is of a moment ago.
            let found = self.bucket().fetch(&path).await?;
            if found.is_some_and(|found| found.bytes.len() as u64 == TOMBSTONE) {
                self.bucket().delete(&path).await?;
            }
        }
        let names: Vec<String> = names.into_iter().map(|listed| listed.name).collect();
        if scan.space == Space::Commit && scan.prefix.is_empty() {
            self.tidy(&names, after, next.as_deref(), old).await?;
        }
        // Names are in order: once one is past the prefix, the rest are.
        let over =
            next.as_ref().is_some_and(|next| !next.starts_with(stem) && next.as_str() > stem);
        Ok((names, next.filter(|_| !over)))
    }

    /// Removes the labels of that time or earlier between two names that lead to none of the names in between.
    async fn tidy(
        &self,
        names: &[String],
        after: &str,
        until: Option<&str>,
        old: Timestamp,
    ) -> Result<()> {
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let mut after = label::after(after);
        loop {
            let page = self.bucket().page(label::FOLDER, Some(&after), NAMES).await?;
            let (mut loose, mut over) = (Vec::new(), page.len() < NAMES);
            for Listed { name: label, modified, .. } in page {
                let Some((name, _)) = label::parts(&label) else { continue };
                if until.is_some_and(|until| name > until) {
                    over = true;
                    break;
                }
                if modified <= old && !names.contains(name) {
                    loose.push(self.bucket().path(label::FOLDER, &label));
                }
                after = label;
            }
            let delete = |path: Path| async move { self.bucket().delete(&path).await };
            stream::iter(loose).map(delete).buffer_unordered(WIDTH).try_collect::<()>().await?;
            if over {
                return Ok(());
            }
        }
    }

    /// Up to `limit` names of commits that may be wanted, after a name or a label.
    async fn labelled(
        &self,
        wanted: &Wanted,
        stem: &str,
        after: String,
        limit: usize,
    ) -> Result<Names> {
        let mut after = match label::parts(&after) {
            Some(_) => after,
            None => label::after(&after),
        };
        let mut found: Vec<String> = Vec::new();
        for _ in 0..LISTS {
            let page = self.bucket().page(label::FOLDER, Some(&after), NAMES).await?;
            let last = page.len() < NAMES;
            for Listed { name: label, .. } in page {
                let Some((name, said)) = label::parts(&label) else { continue };
                if !name.starts_with(stem) && name > stem {
                    return Ok((found, None));
                }
                let known = found.last().is_some_and(|last| last == name);
                if found.len() == limit && !known {
                    return Ok((found, Some(after)));
                }
                if !known && name.starts_with(stem) && wanted.may_be(said) {
                    found.push(name.to_owned());
                }
                // A commit with several labels is found once, also if they are on two pages.
                after = if found.last().is_some_and(|last| last == name) {
                    label::after(name)
                } else {
                    label
                };
            }
            if last {
                return Ok((found, None));
            }
        }
        Ok((found, Some(after)))
    }

    /// The entry in what was found, where it is there.
    async fn entry(
        &self,
        space: Space,
        path: &Path,
        found: Found,
        now: Timestamp,
    ) -> Result<Option<(Key, Entry)>> {
        let row = match Body::decode(space, &found.bytes) {
            Ok(Body::Row(row)) if !row.guards.is_empty() => {
                return Ok(self.entries.live(&row.key).await?.map(|entry| (row.key, entry)));
            }
            Ok(Body::Row(row)) => row,
            Ok(Body::Tombstone(_)) => return Ok(None),
            Err(error) => {
                damaged(&error);
                return Ok(None);
            }
        };
        if row.end.is_some_and(|end| end <= now.before(DAY)) {
            let end = Body::Tombstone(self.entries.clock().version(Some(row.stored.version())));
            self.bucket().put(path, Some(&found), end.encode()?).await?;
        }
        Ok(row.lives(now).then(|| (row.key.clone(), row.entry(now))))
    }
}
