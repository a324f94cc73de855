//! Objects under the digests of their sealed bytes, and the links that lead there.
//!
//! Invariant: an object and its link are written in one batch, and a link is removed only if it is still the one that was
//! seen; so a writer that comes between keeps both.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use afresh_core::{
    Batch, Blob, Bytes, Key, NewEntry, ObjectId, ObjectInfo, Op, Removed, Result, Scan, Space,
    Version, When,
};

use super::{Sealed, corrupt, name};

/// What the keys of links begin with; no key of a program does.
const LINK: &[u8] = b"\0sealed\0";

/// How many objects or links a page has.
const PAGE: usize = 4096;

pub(super) fn is_link(key: &Key) -> bool {
    key.space() == Space::Named && key.bytes().starts_with(LINK)
}

fn link(id: &ObjectId) -> Result<Key> {
    Key::new(Space::Named, [LINK, id.as_bytes()].concat())
}

/// Where an object is, and which write of the link says so.
struct Place {
    sealed: ObjectId,
    len: u64,
    version: Version,
}

impl Sealed {
    pub(super) async fn write_objects(&self, objects: Vec<(ObjectId, Blob)>) -> Result<()> {
        let mut batch = Batch::default();
        for (id, blob) in objects {
            let sealed = Bytes::from(self.key.seal_object(&id, &blob.to_bytes())?);
            let place = ObjectId::of(&sealed);
            let key = link(&id)?;
            let content =
                [place.as_bytes().as_slice(), &(blob.len() as u64).to_le_bytes()].concat();
            let record = self.key.seal(&name(&key), &content)?;
            batch.objects.push((place, Blob::from(sealed).raw()));
            batch.ops.push(Op::Put { key, entry: NewEntry::record(record), when: When::Always });
        }
        self.inner.apply(batch).await?;
        Ok(())
    }

    pub(super) async fn read_object(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        let Some(place) = self.place(id).await? else { return Ok(None) };
        let Some(sealed) = self.inner.read(&place.sealed).await? else { return Ok(None) };
        let bytes = Bytes::from(self.key.open_object(id, &sealed)?);
        if ObjectId::of(&bytes) == *id {
            Ok(Some(bytes))
        } else {
            Err(corrupt("its digest differs"))
        }
    }

    pub(super) async fn remove_objects(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        let mut sum = Removed::default();
        for id in ids {
            let Some(place) = self.place(id).await? else { continue };
            let removed = self.inner.remove(&[place.sealed], idle).await?;
            if removed.objects > 0 {
                self.unlink(id, place.version).await?;
            }
            sum.objects += removed.objects;
            sum.bytes += removed.bytes;
        }
        Ok(sum)
    }

    pub(super) async fn quarantine_object(&self, id: &ObjectId) -> Result<()> {
        let Some(place) = self.place(id).await? else { return Ok(()) };
        self.inner.quarantine(&place.sealed).await?;
        self.unlink(id, place.version).await
    }

    /// By id, as the store beneath cannot give them: all are read when the first page is asked for.
    pub(super) async fn list_objects(
        &self,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>> {
        let known = || Arc::clone(&self.listed.lock().unwrap_or_else(PoisonError::into_inner));
        let listed = match after.map(|_| known()).filter(|known| !known.is_empty()) {
            Some(known) => known,
            None => self.all_objects().await?.into(),
        };
        let from = after.map_or(0, |after| listed.partition_point(|object| object.id <= *after));
        let page: Vec<ObjectInfo> = listed.iter().skip(from).take(limit).copied().collect();
        let kept = if from + page.len() < listed.len() { listed } else { Arc::new([]) };
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(page)
    }

    async fn all_objects(&self) -> Result<Vec<ObjectInfo>> {
        let mut beneath: HashMap<ObjectId, ObjectInfo> = HashMap::new();
        let mut after = None;
        loop {
            let page = self.inner.list(after.as_ref(), PAGE).await?;
            after = page.last().map(|object| object.id);
            beneath.extend(page.into_iter().map(|object| (object.id, object)));
            if after.is_none() {
                break;
            }
        }
        let mut objects = Vec::new();
        let mut scan =
            Scan { prefix: Bytes::from_static(LINK), limit: PAGE, ..Scan::new(Space::Named) };
        loop {
            let page = self.inner.scan(&scan).await?;
            for (key, entry) in page.entries.iter().filter(|(key, _)| is_link(key)) {
                let id = key.bytes().get(LINK.len()..).and_then(|bytes| bytes.try_into().ok());
                let place =
                    entry.record().and_then(|record| self.follow(key, record, entry.version));
                if let (Some(id), Some(place)) = (id, place)
                    && let Some(object) = beneath.get(&place.sealed)
                {
                    objects.push(ObjectInfo { id: ObjectId::new(id), len: place.len, ..*object });
                }
            }
            match page.next {
                Some(next) => scan.cursor = Some(next),
                None => break,
            }
        }
        objects.sort_by_key(|object| object.id);
        Ok(objects)
    }

    async fn place(&self, id: &ObjectId) -> Result<Option<Place>> {
        let key = link(id)?;
        let found = self.inner.get(std::slice::from_ref(&key)).await?.pop().flatten();
        Ok(found.and_then(|entry| self.follow(&key, entry.record()?, entry.version)))
    }

    /// A link that was not written with our secret leads nowhere.
    fn follow(&self, key: &Key, record: &[u8], version: Version) -> Option<Place> {
        let content = self.key.open(&name(key), record).ok()?;
        let (sealed, len) = content.split_first_chunk::<32>()?;
        let len = u64::from_le_bytes(len.try_into().ok()?);
        Some(Place { sealed: ObjectId::new(*sealed), len, version })
    }

    async fn unlink(&self, id: &ObjectId, seen: Version) -> Result<()> {
        let delete = Op::Delete { key: link(id)?, when: When::Is(seen) };
        self.inner.apply(Batch { objects: Vec::new(), ops: vec![delete] }).await?;
        Ok(())
    }
}
