//! What a file says, as a digest: for dependencies that are declared or recorded.
//!
//! Contents are digested once and remembered for as long as the file looks the same from outside, so that asking
//! again costs a `stat`. A file looks the same also when it is written twice within one tick of the file system's
//! clock; so what is remembered is only the digest of a file that had been left alone for a while when it was
//! read. Nothing here waits: pipes and devices are not read. It knows nothing of paths but how to open them.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// How long a file must have been left alone, in nanoseconds: the coarsest clock of a file system in use.
const SETTLED: i128 = 2_000_000_000;

/// How many digests are remembered.
const MOST: usize = 1 << 18;

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// How a file looks from outside.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    blocks: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            place: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            blocks: metadata.blocks(),
        }
    }

    /// Whether a later change is sure to show. The time of a change, unlike that of a modification, cannot be set;
    /// files without blocks are made up by the kernel as they are read.
    fn settled(&self, at: i128) -> bool {
        let (seconds, nanos) = self.changed;
        let changed = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        self.blocks > 0 && changed + SETTLED <= at
    }
}

/// What is there.
enum State {
    Content([u8; 32]),
    Absent,
    Folder,
    /// A pipe, a socket, a device.
    Special,
    /// It is there and cannot be read; how it looks from outside.
    Unreadable([u8; 32]),
}

type Known = Mutex<HashMap<PathBuf, (Stamp, [u8; 32])>>;

/// Only ever locked while attached to the interpreter, as a fork is, so that a child never finds it locked.
static KNOWN: PyOnceLock<Known> = PyOnceLock::new();

/// What a file says: `"content"` and its digest, or `"absent"`, `"folder"`, `"special"` (a pipe, a device), or
/// `"unreadable"` and a digest of how it looks from outside. Never raises for what is on the disk.
#[pyfunction]
pub(crate) fn digest_file(
    py: Python<'_>,
    path: PathBuf,
) -> PyResult<(&'static str, Bound<'_, PyBytes>)> {
    let known = KNOWN.get_or_init(py, Known::default);
    let seen = py.detach(|| std::fs::metadata(&path));
    if let Ok(metadata) = &seen {
        let stamp = Stamp::of(metadata);
        let known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, digest)) = known.get(&path)
            && *then == stamp
        {
            return Ok(("content", PyBytes::new(py, digest)));
        }
    }
    let (state, stamp) = py.detach(|| look(&path, seen));
    if let (State::Content(digest), Some(stamp)) = (&state, stamp) {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(path, (stamp, *digest));
    }
    Ok(match state {
        State::Content(digest) => ("content", PyBytes::new(py, &digest)),
        State::Absent => ("absent", PyBytes::new(py, b"")),
        State::Folder => ("folder", PyBytes::new(py, b"")),
        State::Special => ("special", PyBytes::new(py, b"")),
        State::Unreadable(digest) => ("unreadable", PyBytes::new(py, &digest)),
    })
}

/// What is there, and how it looks where that may be remembered.
fn look(path: &Path, seen: std::io::Result<Metadata>) -> (State, Option<Stamp>) {
    let metadata = match seen {
        Ok(metadata) => metadata,
        Err(error) => return (failed(&error, None), None),
    };
    if metadata.is_dir() {
        return (State::Folder, None);
    }
    if !metadata.is_file() {
        return (State::Special, None);
    }
    let began =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as i128);
    match read(path) {
        Ok(Some((digest, before, after))) => {
            let same = before == after && before.settled(began);
            (State::Content(digest), same.then_some(before))
        }
        Ok(None) => (State::Special, None),
        Err(error) => (failed(&error, Some(&metadata)), None),
    }
}

fn failed(error: &std::io::Error, metadata: Option<&Metadata>) -> State {
    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
        return State::Absent;
    }
    let mut hasher = blake3::Hasher::new();
    if let Some(metadata) = metadata {
        for number in [metadata.dev(), metadata.ino(), metadata.size()] {
            hasher.update(&number.to_le_bytes());
        }
        for number in [metadata.mtime(), metadata.mtime_nsec()] {
            hasher.update(&number.to_le_bytes());
        }
    }
    State::Unreadable(*hasher.finalize().as_bytes())
}

/// The digest of a file and how it looked before and after; `None` where it has become something else meanwhile.
fn read(path: &Path) -> std::io::Result<Option<([u8; 32], Stamp, Stamp)>> {
    // A pipe that takes the file's place must not make us wait.
    let mut file: File =
        OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let before = Stamp::of(&metadata);
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK.min(usize::try_from(before.size).unwrap_or(CHUNK).max(4096))];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(chunk.get(..count).unwrap_or_default());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let after = Stamp::of(&file.metadata()?);
    Ok(Some((*hasher.finalize().as_bytes(), before, after)))
}
