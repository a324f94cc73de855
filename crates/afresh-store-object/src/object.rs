//! Objects: each one body, named by the digest of its bytes: these bytes, or a frame of zstd of them.
//!
//! Invariant: bytes are checked against their name when they are read. What is large is sent and fetched in parts, a few
//! at a time. An object that is written again becomes young by being sent again, unless it is still young.

use std::time::Duration;

use afresh_core::{Blob, Bytes, Error, Kind, ObjectId, ObjectInfo, Removed, Result, Timestamp};
use afresh_remote::cells::TOMBSTONE;
use afresh_remote::packed;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, MultipartUpload, ObjectMeta, ObjectStoreExt, PutMode, PutPayload};

use crate::bucket::Listed;
use crate::entry::hex;
use crate::error::{error, is_absent, is_refusal};
use crate::store::{ObjectStore, WIDTH};

/// The folder of objects.
pub(crate) const FOLDER: &str = "object";

/// The folder of objects that were damaged.
pub(crate) const ASIDE: &str = "quarantine";

/// Above this, in parts of this.
const PART: usize = 8 << 20;

/// The most parts that an upload may have is 10,000.
const PARTS: usize = 9000;

/// How many parts are on their way at a time.
const PARALLEL: usize = 4;

/// How many names are counted together.
const COUNTED: usize = 10_000;

/// What was written within this time is young enough.
const YOUNG: Duration = Duration::from_secs(60);

impl ObjectStore {
    fn object(&self, id: &ObjectId) -> Path {
        self.bucket().path(FOLDER, &hex(id.as_bytes()))
    }

    /// What is known of an object.
    async fn head(&self, path: &Path) -> Result<Option<ObjectMeta>> {
        match self.bucket().driver.head(path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(driver) if is_absent(&driver) => Ok(None),
            Err(driver) => Err(error(&driver)),
        }
    }

    fn idle(&self, meta: &ObjectMeta) -> Duration {
        self.now().since(Timestamp::from_millis(meta.last_modified.timestamp_millis()))
    }

    pub(crate) async fn write_all(&self, objects: Vec<(ObjectId, Blob)>) -> Result<()> {
        let write =
            |(id, blob): (ObjectId, Blob)| async move { self.write_object(&id, blob).await };
        stream::iter(objects).map(write).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn write_object(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        let (path, plain) = (self.object(id), blob.len() as u64);
        let blob = &packed::pack(blob).await.blob;
        let large = blob.len() > PART;
        if !large {
            match self.put(&path, blob, PutMode::Create).await {
                Err(driver) if is_refusal(&driver) => {}
                done => return done.map_err(|driver| error(&driver)),
            }
        }
        if let Some(there) = self.head(&path).await?
            && [blob.len() as u64, plain].contains(&there.size)
            && (self.idle(&there) < YOUNG || self.bucket().touch(&path).await?)
        {
            return Ok(());
        }
        if large {
            return self.upload(&path, blob).await;
        }
        self.put(&path, blob, PutMode::Overwrite).await.map_err(|driver| error(&driver))
    }

    async fn put(&self, path: &Path, blob: &Blob, mode: PutMode) -> object_store::Result<()> {
        let payload: PutPayload = blob.parts().iter().cloned().collect();
        self.bucket().driver.put_opts(path, payload, mode.into()).await.map(|_| ())
    }

    /// Sends a large object in parts. What was sent of one that fails is given back.
    async fn upload(&self, path: &Path, blob: &Blob) -> Result<()> {
        let mut upload =
            self.bucket().driver.put_multipart(path).await.map_err(|driver| error(&driver))?;
        match self.send(upload.as_mut(), blob).await {
            Ok(()) => Ok(()),
            Err(driver) => {
                if let Err(also) = upload.abort().await {
                    tracing::debug!(error = %error(&also), "parts of an upload stay behind");
                }
                Err(error(&driver))
            }
        }
    }

    async fn send(
        &self,
        upload: &mut dyn MultipartUpload,
        blob: &Blob,
    ) -> object_store::Result<()> {
        let size = PART.max(blob.len().div_ceil(PARTS));
        let mut parts = parts(blob, size).into_iter();
        loop {
            // The requests begin when they are polled.
            let some: Vec<_> =
                parts.by_ref().take(PARALLEL).map(|part| upload.put_part(part)).collect();
            if some.is_empty() {
                break;
            }
            futures_util::future::try_join_all(some).await?;
        }
        upload.complete().await.map(|_| ())
    }

    pub(crate) async fn read_object(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        let path = self.object(id);
        let got = match self.bucket().driver.get(&path).await {
            Ok(got) => got,
            Err(driver) if is_absent(&driver) => return Ok(None),
            Err(driver) => return Err(error(&driver)),
        };
        let bytes = if got.meta.size > PART as u64 {
            let meta = got.meta.clone();
            drop(got);
            self.fetch(&path, &meta).await
        } else {
            got.bytes().await
        };
        let bytes = bytes.map_err(|driver| error(&driver))?;
        let zipped = packed::claimed(&bytes);
        packed::open(*id, bytes, zipped).await.map(Some).ok_or_else(|| {
            Error::new(Kind::Corrupt, "the bytes of an object are not those that were written")
                .with_key(id.short())
        })
    }

    /// Fetches a large object in parts, all of the same write.
    async fn fetch(&self, path: &Path, meta: &ObjectMeta) -> object_store::Result<Bytes> {
        let part = |from: u64| {
            let range = from..(from + PART as u64).min(meta.size);
            let options = GetOptions {
                range: Some(range.into()),
                if_match: meta.e_tag.clone(),
                ..GetOptions::default()
            };
            async move { self.bucket().driver.get_opts(path, options).await?.bytes().await }
        };
        let mut parts = stream::iter((0..meta.size).step_by(PART)).map(part).buffered(PARALLEL);
        let mut all = Vec::with_capacity(usize::try_from(meta.size).unwrap_or(0));
        while let Some(part) = parts.try_next().await? {
            all.extend_from_slice(&part);
        }
        Ok(all.into())
    }

    pub(crate) async fn remove_objects(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        let remove = |id: ObjectId| async move {
            let path = self.object(&id);
            match self.head(&path).await? {
                Some(meta) if self.idle(&meta) >= idle => {
                    self.bucket().delete(&path).await?;
                    Ok::<_, Error>(Removed { objects: 1, bytes: meta.size })
                }
                _ => Ok(Removed::default()),
            }
        };
        let sum = |sum: Removed, one: Removed| async move {
            Ok(Removed { objects: sum.objects + one.objects, bytes: sum.bytes + one.bytes })
        };
        let mut once = ids.to_vec();
        once.sort_unstable();
        once.dedup();
        stream::iter(once)
            .map(remove)
            .buffer_unordered(WIDTH)
            .try_fold(Removed::default(), sum)
            .await
    }

    pub(crate) async fn set_aside(&self, id: &ObjectId) -> Result<()> {
        let (from, now) = (self.object(id), self.now().as_millis());
        let to = self.bucket().path(ASIDE, &format!("{}-{now}", hex(id.as_bytes())));
        match self.bucket().driver.copy(&from, &to).await {
            Ok(()) => self.bucket().delete(&from).await,
            Err(driver) if is_absent(&driver) => Ok(()),
            Err(driver) => Err(error(&driver)),
        }
    }

    pub(crate) async fn list_objects(
        &self,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>> {
        let after = after.map(|id| hex(id.as_bytes()));
        let (page, now) = (self.bucket().page(FOLDER, after.as_deref(), limit).await?, self.now());
        let info = |listed: Listed| {
            let id = listed.name.parse().ok()?;
            Some(ObjectInfo {
                id,
                len: listed.len,
                stored: listed.len,
                idle: now.since(listed.modified),
            })
        };
        Ok(page.into_iter().filter_map(info).collect())
    }

    /// How many there are in a folder, tombstones aside, and their bytes.
    pub(crate) async fn count(&self, folder: &str) -> Result<(u64, u64)> {
        let (mut count, mut bytes) = (0, 0);
        let mut after: Option<String> = None;
        loop {
            let page = self.bucket().page(folder, after.as_deref(), COUNTED).await?;
            for listed in &page {
                bytes += listed.len;
                count += u64::from(folder == FOLDER || listed.len != TOMBSTONE);
            }
            match page.into_iter().nth(COUNTED - 1) {
                Some(last) => after = Some(last.name),
                None => return Ok((count, bytes)),
            }
        }
    }
}

/// The bytes in pieces of `size`, without copying them together.
fn parts(blob: &Blob, size: usize) -> Vec<PutPayload> {
    let mut parts = Vec::new();
    let mut part: Vec<Bytes> = Vec::new();
    let mut room = size;
    for bytes in blob.parts() {
        let mut bytes = bytes.clone();
        while !bytes.is_empty() {
            let some = bytes.split_to(bytes.len().min(room));
            room -= some.len();
            part.push(some);
            if room == 0 {
                parts.push(part.drain(..).collect());
                room = size;
            }
        }
    }
    if !part.is_empty() {
        parts.push(part.into_iter().collect());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_one_size_and_add_up() {
        let pieces: Vec<Bytes> =
            [3usize, 0, 10, 1, 7].iter().map(|len| Bytes::from(vec![*len as u8; *len])).collect();
        let blob = Blob::new(pieces);
        let parts = parts(&blob, 4);
        let lens: Vec<usize> = parts.iter().map(PutPayload::content_length).collect();
        assert_eq!(lens, [4, 4, 4, 4, 4, 1]);
        let all: Vec<u8> =
            parts.iter().flat_map(|part| part.iter().flat_map(|bytes| bytes.to_vec())).collect();
        assert_eq!(all, blob.to_bytes());
    }
}
