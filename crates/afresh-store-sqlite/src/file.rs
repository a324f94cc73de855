//! Objects as files: written under a temporary name, renamed, read or mapped, never modified.
//!
//! Invariant: a file under an object's name is complete, and its bytes never change while it has the name. A
//! [`Temporary`] that is not renamed is removed when it is dropped. What belongs in which file is for
//! `stage` and `object` to know.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use afresh_core::{Blob, ObjectId, zip::LEVEL};
use bytes::Bytes;
use memmap2::Mmap;

use crate::config::Sync;
use crate::error::{Fault, Outcome};
use crate::folder::Folder;
use crate::verified::{State, state};

/// Below this, copying a file is quicker than mapping it.
const MAP_MIN: u64 = 256 << 10;

/// A file on its way to becoming an object.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    /// Writes the parts of `blob` one after the other, compressed if asked; says how long the file is.
    pub(crate) fn write(
        folder: &Folder,
        id: &ObjectId,
        blob: &Blob,
        compress: bool,
        sync: Sync,
    ) -> Outcome<(Self, u64)> {
        let path = folder.temporary(id);
        let open = || OpenOptions::new().write(true).create_new(true).open(&path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder.root().is_dir() => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(Fault::io("create", parent))?;
                }
                open()
            }
            other => other,
        };
        let file = file.map_err(Fault::io("create", &path))?;
        let temporary = Self { path, renamed: false };
        let stored = fill(file, blob, compress, sync)
            .map_err(Fault::io("write an object to", &temporary.path))?;
        Ok((temporary, stored))
    }

    /// Gives the file its name.
    pub(crate) fn rename(&mut self, to: &Path, sync: Sync) -> Outcome<()> {
        let parent = to.parent().unwrap_or(to);
        let mut renamed = fs::rename(&self.path, to);
        if renamed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            fs::create_dir_all(parent).map_err(Fault::io("create", parent))?;
            renamed = fs::rename(&self.path, to);
        }
        renamed.map_err(Fault::io("name an object", to))?;
        self.renamed = true;
        if sync == Sync::Full {
            File::open(parent)
                .and_then(|folder| folder.sync_all())
                .map_err(Fault::io("sync", parent))?;
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn fill(file: File, blob: &Blob, compress: bool, sync: Sync) -> io::Result<u64> {
    let file = if compress {
        let mut zip = zstd::stream::write::Encoder::new(file, LEVEL)?;
        zip.set_pledged_src_size(u64::try_from(blob.len()).ok())?;
        for part in blob.parts() {
            zip.write_all(part)?;
        }
        zip.finish()?
    } else {
        let mut file = file;
        for part in blob.parts() {
            file.write_all(part)?;
        }
        file
    };
    match sync {
        Sync::Full => file.sync_all()?,
        Sync::Normal => file.sync_data()?,
        Sync::Off => {}
    }
    Ok(file.metadata()?.len())
}

/// The bytes of a file as they are, mapped where it is large, and then with the state that the file is in. `None`
/// where there is no such file.
pub(crate) fn read(path: &Path) -> io::Result<Option<(Bytes, Option<State>)>> {
    let Some((file, about)) = open(path)? else { return Ok(None) };
    if about.len() < MAP_MIN {
        let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
        { file }.read_to_end(&mut bytes)?;
        return Ok(Some((bytes.into(), None)));
    }
    map(&file).map(|bytes| Some((bytes, state(&about))))
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<Bytes> {
    // SAFETY: the mapping is sound as long as nobody changes or truncates the file. Files under an object's
    // name were complete before they got it and are only ever renamed, replaced by a rename, or unlinked, by
    // this store in any process; none of this touches the bytes behind an existing mapping. The folder
    // is private to its owner (0700), and ignoring all this by hand is editing the process's memory.
    let map = unsafe { Mmap::map(file)? };
    Ok(Bytes::from_owner(map))
}

/// The bytes of a compressed file, which must come to `len`. An outer `None` means no such file, an inner
/// one that it is not what was written.
pub(crate) fn unzip(path: &Path, len: u64) -> io::Result<Option<Option<Bytes>>> {
    let Some((file, about)) = open(path)? else { return Ok(None) };
    // No compressor makes this much of so little: the length is what is damaged.
    let plausible = len / 100_000 <= about.len();
    let mut bytes = Vec::new();
    let room = usize::try_from(len).is_ok_and(|len| bytes.try_reserve_exact(len).is_ok());
    if !plausible || !room {
        return Ok(Some(None));
    }
    let read = zstd::stream::read::Decoder::new(file)
        .and_then(|unzip| unzip.take(len).read_to_end(&mut bytes));
    let whole = read.is_ok() && u64::try_from(bytes.len()) == Ok(len);
    Ok(Some(whole.then(|| bytes.into())))
}

fn open(path: &Path) -> io::Result<Option<(File, fs::Metadata)>> {
    match File::open(path) {
        Ok(file) => {
            let about = file.metadata()?;
            Ok(Some((file, about)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The length of a file, where there is one.
pub(crate) fn len(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|about| about.len())
}
