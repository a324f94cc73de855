//! A bucket (or folder) as the rest of this crate wants one: small bodies under conditions, pages in order.
//!
//! Invariant: a put that was refused and a put whose answer was lost are told apart: whoever is refused looks, and finds
//! his own bytes there or another's.

use std::fmt;
use std::sync::Arc;

use afresh_core::{Key, Result, Timestamp};
use afresh_remote::cells::{Body, Cell, Cells, Swapped};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};

use crate::entry::{folder, name, part};
use crate::error::{error, is_absent, is_refusal};
use crate::folder::Folder;
use crate::store::WIDTH;

/// What was found under a name.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) bytes: Bytes,
    tag: UpdateVersion,
}

impl Found {
    /// Files are compared by their bytes.
    fn local(bytes: Bytes) -> Self {
        Self { bytes, tag: UpdateVersion { e_tag: None, version: None } }
    }

    /// What was never there.
    pub(crate) fn elsewhere() -> Self {
        let tag = UpdateVersion {
            e_tag: Some("\"0x8D0000000000000\"".to_owned()),
            version: Some("1".to_owned()),
        };
        Self { bytes: Bytes::new(), tag }
    }
}

/// What became of a conditional put.
pub(crate) enum Put {
    /// It happened; this is there now.
    Done(Found),
    /// Something else was there, or nothing.
    Refused(Option<Found>),
}

/// Something that a list found.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// The last part of its path.
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) modified: Timestamp,
}

/// Where everything is. What the driver says of itself is not shown: it has the keys in it.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) driver: Arc<dyn ObjectStore>,
    base: Path,
    folder: Option<Folder>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.base.as_ref()).finish()
    }
}

impl Bucket {
    /// Everything under `base` of what `driver` reaches.
    pub(crate) fn new(driver: Arc<dyn ObjectStore>, base: Path, folder: Option<Folder>) -> Self {
        Self { driver, base, folder }
    }

    pub(crate) fn path(&self, folder: &str, name: &str) -> Path {
        let folder = self.folder_path(folder);
        match part(name) {
            "" => folder.join(name),
            part => folder.join(part).join(name),
        }
    }

    fn folder_path(&self, folder: &str) -> Path {
        self.base.clone().join(folder)
    }

    /// The bytes at `path`.
    pub(crate) async fn fetch(&self, path: &Path) -> Result<Option<Found>> {
        if let Some(folder) = &self.folder {
            return Ok(folder.read(vec![path.clone()]).await?.pop().flatten().map(Found::local));
        }
        let got = match self.driver.get(path).await {
            Ok(got) => got,
            Err(driver) if is_absent(&driver) => return Ok(None),
            Err(driver) => return Err(error(&driver)),
        };
        let tag =
            UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
        let bytes = got.bytes().await.map_err(|driver| error(&driver))?;
        Ok(Some(Found { bytes, tag }))
    }

    /// The bytes at each of `paths`, [`WIDTH`] at a time.
    pub(crate) async fn fetch_all(&self, paths: Vec<Path>) -> Result<Vec<Option<Found>>> {
        if let Some(folder) = &self.folder {
            let found = folder.read(paths).await?;
            return Ok(found.into_iter().map(|bytes| bytes.map(Found::local)).collect());
        }
        let fetch = |path: Path| async move { self.fetch(&path).await };
        stream::iter(paths).map(fetch).buffered(WIDTH).try_collect().await
    }

    /// Puts something empty at `path`, whatever is there.
    pub(crate) async fn mark(&self, path: &Path) -> Result<()> {
        let put = self.driver.put(path, PutPayload::default()).await;
        put.map(|_| ()).map_err(|driver| error(&driver))
    }

    /// Puts `bytes` where `seen` is, or where nothing is.
    pub(crate) async fn put(&self, path: &Path, seen: Option<&Found>, bytes: Bytes) -> Result<Put> {
        let mode = match (seen, &self.folder) {
            (Some(seen), Some(folder)) => {
                if folder.swap(path, seen.bytes.clone(), bytes.clone()).await? {
                    return Ok(Put::Done(Found::local(bytes)));
                }
                return Ok(Put::Refused(self.fetch(path).await?));
            }
            (Some(seen), None) => PutMode::Update(seen.tag.clone()),
            (None, _) => PutMode::Create,
        };
        match self.driver.put_opts(path, PutPayload::from(bytes.clone()), mode.into()).await {
            Ok(put) => Ok(Put::Done(Found { bytes, tag: put.into() })),
            Err(driver) if is_refusal(&driver) => match self.fetch(path).await? {
                Some(found) if found.bytes == bytes => Ok(Put::Done(found)),
                found => Ok(Put::Refused(found)),
            },
            Err(driver) => Err(error(&driver)),
        }
    }

    /// Removes what is at `path`, whatever it is. Nothing is no error.
    pub(crate) async fn delete(&self, path: &Path) -> Result<()> {
        match self.driver.delete(path).await {
            Err(driver) if !is_absent(&driver) => Err(error(&driver)),
            _ => Ok(()),
        }
    }

    /// Makes what is at `path` young, where that can be done without sending it again. Whether it could.
    pub(crate) async fn touch(&self, path: &Path) -> Result<bool> {
        match &self.folder {
            Some(folder) => folder.touch(path).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Up to `limit` of what is in a folder, by name, after a name.
    pub(crate) async fn page(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>> {
        let path = self.folder_path(folder);
        if let Some(local) = &self.folder {
            let page = local.page(&path, after, limit).await?.into_iter();
            return Ok(page
                .map(|file| Listed {
                    name: file.name,
                    len: file.len,
                    modified: Timestamp::from_millis(
                        chrono::DateTime::<chrono::Utc>::from(file.modified).timestamp_millis(),
                    ),
                })
                .collect());
        }
        let mut list = match after {
            Some(after) => self.driver.list_with_offset(Some(&path), &self.path(folder, after)),
            None => self.driver.list(Some(&path)),
        };
        let mut page = Vec::new();
        while page.len() < limit
            && let Some(meta) = list.try_next().await.map_err(|driver| error(&driver))?
        {
            page.push(Listed {
                name: meta.location.filename().unwrap_or_default().to_owned(),
                len: meta.size,
                modified: Timestamp::from_millis(meta.last_modified.timestamp_millis()),
            });
        }
        Ok(page)
    }

    /// Where the layout of the store is written down.
    pub(crate) fn marker(&self) -> Path {
        self.base.clone().join("format")
    }
}

impl Bucket {
    /// Where an entry is.
    fn entry(&self, key: &Key) -> Path {
        self.path(folder(key.space()), &name(key.bytes()))
    }
}

/// The cell in what was found under a key.
fn cell(key: &Key, found: Found) -> Cell<Found> {
    Cell { body: Body::found(key, &found.bytes), token: found }
}

#[async_trait]
impl Cells for Bucket {
    type Token = Found;

    async fn get(&self, key: &Key) -> Result<Option<Cell<Found>>> {
        Ok(self.fetch(&self.entry(key)).await?.map(|found| cell(key, found)))
    }

    async fn swap(
        &self,
        key: &Key,
        seen: Option<&Cell<Found>>,
        body: &Body,
    ) -> Result<Swapped<Found>> {
        let seen = seen.map(|cell| &cell.token);
        Ok(match self.put(&self.entry(key), seen, body.encode()?).await? {
            Put::Done(found) => Swapped::Done(Cell { body: body.clone(), token: found }),
            Put::Refused(found) => Swapped::Refused(found.map(|found| cell(key, found))),
        })
    }

    async fn erase(&self, key: &Key) -> Result<()> {
        self.delete(&self.entry(key)).await
    }
}
