//! Objects: a document each, with the bytes in it or, of large ones, in chunks beside it. They
//! are compressed where that pays.
//!
//! Invariant: chunks carry the random name of one upload and are written before the document that names it, so that a
//! document has all its chunks; whoever removes a document removes the chunks of that upload only. Age is checked again in the
//! command that removes a document.

use std::time::Duration;

use afresh_core::{Blob, Bytes, Error, Kind, ObjectId, ObjectInfo, Removed, Result, Timestamp};
use afresh_remote::packed;
use futures_util::TryStreamExt;
use mongodb::bson::oid::ObjectId as Unique;
use mongodb::bson::{DateTime, Document, doc};

use crate::entry::{binary, date};
use crate::error::{corrupt, error, is_duplicate};
use crate::store::MongoStore;

/// The most objects of one list.
const LISTED: usize = 1000;

/// The most bytes in one document.
const CHUNK: usize = 8 << 20;

fn hex(id: &ObjectId) -> String {
    id.to_string()
}

/// A number that a document has; 0 where it has none.
fn number(document: &Document, field: &str) -> u64 {
    document.get_i64(field).map_or(0, i64::unsigned_abs)
}

fn written(document: &Document) -> Result<Timestamp> {
    let at: &DateTime = document.get_datetime("written").map_err(|_| corrupt())?;
    Ok(Timestamp::from_millis(at.timestamp_millis()))
}

impl MongoStore {
    pub(crate) async fn write_object(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        if self.touched(id, blob.len()).await? {
            return Ok(());
        }
        let len = blob.len();
        let packed = packed::pack(blob).await;
        let bytes = packed.blob.to_bytes();
        let mut document = doc! {
            "_id": hex(id),
            "length": len as i64,
            "stored": bytes.len() as i64,
            "zstd": packed.zipped,
        };
        if bytes.len() > CHUNK {
            let upload = Unique::new();
            for (number, part) in bytes.chunks(CHUNK).enumerate() {
                let chunk = doc! {
                    "_id": format!("{upload}:{number:06}"),
                    "upload": upload,
                    "bytes": binary(part),
                };
                self.chunks.insert_one(chunk).await.map_err(error)?;
            }
            document.insert("upload", upload);
        } else {
            document.insert("bytes", binary(bytes));
        }
        document.insert("written", date(self.now()));
        match self.objects.insert_one(&document).await {
            Ok(_) => Ok(()),
            // Somebody else was first: our chunks are nobody's.
            Err(driver) if is_duplicate(&driver) => {
                self.drop_chunks(&document).await?;
                self.touched(id, len).await.map(|_| ())
            }
            Err(driver) => Err(error(driver)),
        }
    }

    /// Makes an object young. Whether it was there.
    async fn touched(&self, id: &ObjectId, len: usize) -> Result<bool> {
        let same = doc! { "_id": hex(id), "length": len as i64 };
        let young = doc! { "$set": { "written": date(self.now()) } };
        let touched = self.objects.update_one(same, young).await.map_err(error)?;
        Ok(touched.matched_count > 0)
    }

    async fn drop_chunks(&self, document: &Document) -> Result<()> {
        if let Ok(upload) = document.get_object_id("upload") {
            self.chunks.delete_many(doc! { "upload": upload }).await.map_err(error)?;
        }
        Ok(())
    }

    pub(crate) async fn read_object(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        let found = self.objects.find_one(doc! { "_id": hex(id) }).await.map_err(error)?;
        let Some(document) = found else { return Ok(None) };
        let bytes = match document.get_object_id("upload") {
            Ok(upload) => {
                let chunks = self.chunks.find(doc! { "upload": upload }).sort(doc! { "_id": 1 });
                let mut chunks = chunks.await.map_err(error)?;
                let mut bytes = Vec::new();
                while let Some(chunk) = chunks.try_next().await.map_err(error)? {
                    let part = chunk.get_binary_generic("bytes").map_err(|_| corrupt())?;
                    bytes.extend_from_slice(part);
                }
                bytes
            }
            Err(_) => document.get_binary_generic("bytes").map_err(|_| corrupt())?.clone(),
        };
        let zipped = document.get_bool("zstd").unwrap_or(false);
        let zipped = zipped.then(|| number(&document, "length"));
        packed::open(*id, bytes.into(), zipped).await.map(Some).ok_or_else(|| {
            let message = "the bytes of an object are not those that were written";
            Error::new(Kind::Corrupt, message).with_key(id.short())
        })
    }

    pub(crate) async fn remove_objects(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        let mut removed = Removed::default();
        for id in ids {
            let old = doc! { "_id": hex(id), "written": { "$lte": date(self.now().before(idle)) } };
            let found = self.objects.find_one(old).projection(doc! { "bytes": 0 });
            let Some(document) = found.await.map_err(error)? else { continue };
            // Whoever relied on it meanwhile made it young.
            let same = doc! { "_id": hex(id), "written": date(written(&document)?) };
            if self.objects.delete_one(same).await.map_err(error)?.deleted_count > 0 {
                removed.objects += 1;
                removed.bytes += number(&document, "stored");
                self.drop_chunks(&document).await?;
            }
        }
        Ok(removed)
    }

    /// Moves a document aside; its chunks stay where they are, and are named by it there.
    pub(crate) async fn set_aside(&self, id: &ObjectId) -> Result<()> {
        let found = self.objects.find_one_and_delete(doc! { "_id": hex(id) });
        if let Some(mut document) = found.await.map_err(error)? {
            document.insert("_id", format!("{id}:{}", Unique::new()));
            self.aside.insert_one(document).await.map_err(error)?;
        }
        Ok(())
    }

    pub(crate) async fn list_objects(
        &self,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>> {
        let filter = after.map_or_else(Document::new, |id| doc! { "_id": { "$gt": hex(id) } });
        let found = self.objects.find(filter).sort(doc! { "_id": 1 });
        let found = found.projection(doc! { "bytes": 0 });
        let limit = i64::try_from(limit.min(LISTED)).unwrap_or(i64::MAX);
        let found: Vec<Document> =
            found.limit(limit).await.map_err(error)?.try_collect().await.map_err(error)?;
        let now = self.now();
        // Of a damaged one all that is sure is that it is there.
        let info = |document: Document| {
            let id = document.get_str("_id").ok()?.parse().ok()?;
            let (len, stored) = (number(&document, "length"), number(&document, "stored"));
            let idle = written(&document).map_or(Duration::ZERO, |written| now.since(written));
            Some(ObjectInfo { id, len, stored, idle })
        };
        Ok(found.into_iter().filter_map(info).collect())
    }

    /// How many objects there are, and their bytes. Added up here: FerretDB's `$sum` of a field is 0.
    pub(crate) async fn object_usage(&self) -> Result<(u64, u64)> {
        let lengths = self.objects.find(doc! {}).projection(doc! { "stored": 1 });
        let mut lengths = lengths.await.map_err(error)?;
        let (mut count, mut bytes) = (0, 0);
        while let Some(document) = lengths.try_next().await.map_err(error)? {
            (count, bytes) = (count + 1, bytes + number(&document, "stored"));
        }
        Ok((count, bytes))
    }
}
