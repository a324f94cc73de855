//! Objects by their digest, each with the time it was last written.
//!
//! Invariant: an object never changes; writing it again only makes it young. Bytes are trusted, as nothing
//! else can reach them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use afresh_core::{Blob, ObjectId, ObjectInfo, Removed, Timestamp};
use bytes::Bytes;

#[derive(Debug)]
struct Kept {
    data: Bytes,
    written: Timestamp,
}

/// All objects.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    kept: BTreeMap<ObjectId, Kept>,
    aside: Vec<(ObjectId, Bytes)>,
    bytes: u64,
}

fn len(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

impl Objects {
    pub(crate) fn read(&self, id: &ObjectId) -> Option<Bytes> {
        self.kept.get(id).map(|kept| kept.data.clone())
    }

    pub(crate) fn write(&mut self, id: &ObjectId, blob: &Blob, now: Timestamp) {
        match self.kept.get_mut(id) {
            Some(kept) => kept.written = now,
            None => {
                let data = blob.to_bytes();
                self.bytes += len(&data);
                self.kept.insert(*id, Kept { data, written: now });
            }
        }
    }

    pub(crate) fn remove(&mut self, ids: &[ObjectId], idle: Duration, now: Timestamp) -> Removed {
        let mut removed = Removed::default();
        for id in ids {
            if self.kept.get(id).is_some_and(|kept| now.since(kept.written) >= idle) {
                removed.objects += 1;
                removed.bytes += self.take(id).as_ref().map_or(0, len);
            }
        }
        removed
    }

    fn take(&mut self, id: &ObjectId) -> Option<Bytes> {
        let kept = self.kept.remove(id)?;
        self.bytes -= len(&kept.data);
        Some(kept.data)
    }

    pub(crate) fn quarantine(&mut self, id: &ObjectId) {
        if let Some(data) = self.take(id) {
            self.aside.push((*id, data));
        }
    }

    pub(crate) fn list(
        &self,
        after: Option<&ObjectId>,
        limit: usize,
        now: Timestamp,
    ) -> Vec<ObjectInfo> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.kept
            .range((from, Bound::Unbounded))
            .take(limit)
            .map(|(id, kept)| ObjectInfo {
                id: *id,
                len: len(&kept.data),
                stored: len(&kept.data),
                idle: now.since(kept.written),
            })
            .collect()
    }

    /// How many there are, and their bytes.
    pub(crate) fn usage(&self) -> (u64, u64) {
        (u64::try_from(self.kept.len()).unwrap_or(u64::MAX), self.bytes)
    }
}
