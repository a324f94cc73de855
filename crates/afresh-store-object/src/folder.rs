//! What the driver for local folders lacks: replacing a file under a condition, lists in order, and times that can be set.
//!
//! Invariant: of those who want to replace one file, one after the other looks and replaces, under a lock of the kernel
//! that goes with its owner. It compares whole bytes: inode and time of a file may repeat within a clock tick.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use afresh_core::{Error, Kind, Result};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use crate::entry::part;
use crate::error::local;
use crate::store::WIDTH;

/// How many lock files there are: who replaces different files seldom waits.
const LOCKS: usize = 64;

/// How many files one thread reads after the other.
const TOGETHER: usize = 64;

/// The root of a store in a local folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    /// Whether what is written is on the disk before it counts.
    sync: bool,
}

/// A file of a list.
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) modified: SystemTime,
}

impl Folder {
    pub(crate) fn new(root: PathBuf, sync: bool) -> Self {
        Self { root, sync }
    }

    fn file(&self, path: &Path) -> PathBuf {
        path.parts().fold(self.root.clone(), |file, part| file.join(part.as_ref()))
    }

    /// Replaces the file if it still holds `seen`. Whether it did.
    pub(crate) async fn swap(&self, path: &Path, seen: Bytes, bytes: Bytes) -> Result<bool> {
        let (file, locks, sync) = (self.file(path), self.root.join("locks"), self.sync);
        let lock = path
            .as_ref()
            .bytes()
            .fold(0usize, |sum, byte| sum.wrapping_mul(31) ^ usize::from(byte))
            % LOCKS;
        blocking(move || {
            fs::create_dir_all(&locks)?;
            let lock =
                File::options().create(true).append(true).open(locks.join(format!("{lock:02}")))?;
            lock.lock()?;
            match fs::read(&file) {
                Ok(found) if found == seen => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
            // No number in front of the `#`: lists and the driver pass over such names.
            let new = file.with_extension("new#0");
            let mut written = File::create(&new)?;
            written.write_all(&bytes)?;
            if sync {
                written.sync_all()?;
            }
            fs::rename(&new, &file)?;
            if let (true, Some(folder)) = (sync, file.parent()) {
                File::open(folder)?.sync_all()?;
            }
            Ok(true)
        })
        .await
    }

    /// The bytes of files, in that order; `None` for what is not there. Some at a time, for a disk may make each wait.
    pub(crate) async fn read(&self, paths: Vec<Path>) -> Result<Vec<Option<Bytes>>> {
        let files: Vec<PathBuf> = paths.iter().map(|path| self.file(path)).collect();
        let read = |files: &[PathBuf]| {
            let files = files.to_vec();
            let one = |file| Ok(there(fs::read(file))?.map(Bytes::from));
            blocking(move || files.into_iter().map(one).collect::<io::Result<Vec<_>>>())
        };
        let reads: Vec<_> = files.chunks(TOGETHER).map(read).collect();
        let found: Vec<_> = stream::iter(reads).buffered(WIDTH).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Up to `limit` files of the parts of a folder by name, after one.
    pub(crate) async fn page(
        &self,
        folder: &Path,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>> {
        let (folder, after) = (self.file(folder), after.unwrap_or_default().to_owned());
        blocking(move || {
            let mut page: Vec<Listed> = Vec::new();
            for part in names(&folder)?.into_iter().filter(|name| name.as_str() >= part(&after)) {
                if page.len() >= limit {
                    break;
                }
                let part = folder.join(part);
                let names = names(&part)?;
                let begun = names.partition_point(|name| *name <= after);
                for name in names.into_iter().skip(begun).take(limit - page.len()) {
                    // Removed meanwhile is not there.
                    if let Some(found) = there(fs::metadata(part.join(&name)))? {
                        page.push(Listed { len: found.len(), modified: found.modified()?, name });
                    }
                }
            }
            Ok(page)
        })
        .await
    }

    /// Makes a file young.
    pub(crate) async fn touch(&self, path: &Path) -> Result<()> {
        let file = self.file(path);
        blocking(move || File::options().append(true).open(file)?.set_modified(SystemTime::now()))
            .await
    }
}

/// What is in a folder, in order; nothing where there is none. A driver's files that are being written are passed over.
fn names(folder: &std::path::Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in there(fs::read_dir(folder))?.into_iter().flatten() {
        names.extend(entry?.file_name().into_string().ok().filter(|name| !name.contains('#')));
    }
    names.sort_unstable();
    Ok(names)
}

/// What is not there is no error.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether nothing of ours is there: a file that somebody put in the place of a folder is none.
fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Does what may wait for a disk or a lock where that stops nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        Error::new(Kind::Unavailable, "the operation was broken off").with_source(error)
    })?
    .map_err(local)
}
