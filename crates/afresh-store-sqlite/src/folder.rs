//! The folder of a store: what lies where in it, and the two things that are done to it as a whole, opening
//! and setting a damaged database aside.
//!
//! ```text
//! .afresh/
//!   store-v2.sqlite (-wal, -shm)   entries, labels, small objects
//!   objects-v1/ab/<64 digits>      large objects
//!   tmp/                           files that are being written
//!   quarantine/                    what was found damaged
//!   opening-v1                     locked while a connection is opened or a database set aside
//!   writing-v1                     locked by the writer whose turn is next
//!   generation-v1                  counts changes of answers, for who keeps answers in memory
//!   locks-v1  landings-v1          the engine's
//!   .gitignore  CACHEDIR.TAG
//! ```
//!
//! Invariant: SQLite's files are never opened here, only looked at and renamed. To close a file that
//! SQLite has open would silently drop the process's locks on it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use afresh_core::{Error, Kind, ObjectId};

use crate::error::{Fault, Outcome, denied};

const DATABASE: &str = "store-v2.sqlite";
const CACHE_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder was made by afresh. It can be removed: what is needed is computed again.\n";

/// A file left in `tmp` by a process that died is removed after this long.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Tells a file from another that took its place under the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// Holds other processes off opening or setting aside.
pub(crate) struct Opening(#[allow(dead_code, reason = "dropping it gives the lock back")] File);

/// The folder.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    names: AtomicU64,
}

impl Folder {
    pub(crate) fn new(root: PathBuf) -> Self {
        // Two stores of one process on one folder must not choose the same names.
        let begin = RandomState::new().build_hasher().finish() >> 16;
        Self { root, names: AtomicU64::new(begin) }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join(DATABASE)
    }

    /// The database's companion with this ending.
    pub(crate) fn beside(&self, ending: &str) -> PathBuf {
        self.root.join(format!("{DATABASE}{ending}"))
    }

    pub(crate) fn shard(&self, first: u8) -> PathBuf {
        self.root.join("objects-v1").join(format!("{first:02x}"))
    }

    pub(crate) fn object(&self, id: &ObjectId) -> PathBuf {
        let [first, ..] = id.as_bytes();
        self.shard(*first).join(id.to_string())
    }

    /// A name in `tmp` that nobody else uses.
    pub(crate) fn temporary(&self, id: &ObjectId) -> PathBuf {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        self.root.join("tmp").join(format!("{}-{}-{number}", id.short(), std::process::id()))
    }

    /// A name in `quarantine` for `what`, made distinct by the moment.
    pub(crate) fn aside(&self, stem: &str, ending: &str) -> Outcome<PathBuf> {
        let folder = self.root.join("quarantine");
        fs::create_dir_all(&folder).map_err(Fault::io("create", &folder))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let stamp = format!("{}-{}-{number}", since.as_millis(), std::process::id());
        Ok(folder.join(format!("{stem}.{stamp}{ending}")))
    }

    /// Makes the folder and what belongs in it. `false` where it is there and must not be written.
    pub(crate) fn prepare(&self) -> Outcome<bool> {
        make_private(&self.root).map_err(Fault::io("create", &self.root))?;
        for (name, text) in [(".gitignore", "*\n"), ("CACHEDIR.TAG", CACHE_TAG)] {
            let path = self.root.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    file.write_all(text.as_bytes()).map_err(Fault::io("write", &path))?;
                }
                Err(error) if denied(&error) => return Ok(false),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Fault::Io("create", path, error)),
            }
        }
        let tmp = self.root.join("tmp");
        match fs::create_dir_all(&tmp) {
            Ok(()) => self.tidy(&tmp),
            Err(error) if denied(&error) => return Ok(false),
            Err(error) => return Err(Fault::Io("create", tmp, error)),
        }
        Ok(true)
    }

    /// Removes what processes that died left in `tmp`. Failure only leaves it for next time.
    fn tidy(&self, tmp: &Path) {
        for file in fs::read_dir(tmp).into_iter().flatten().flatten() {
            let modified = file.metadata().and_then(|about| about.modified());
            if modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED)) {
                let _ = fs::remove_file(file.path());
            }
        }
    }

    /// Waits its turn to open a connection (`alone`: to make or set aside a database). `None` where the
    /// folder must not be written, so that nobody can be making or setting aside.
    pub(crate) fn opening(&self, alone: bool, patience: Duration) -> Outcome<Option<Opening>> {
        let path = self.root.join("opening-v1");
        let file = match OpenOptions::new().write(true).create(true).truncate(false).open(&path) {
            Ok(file) => file,
            Err(error) if denied(&error) => return Ok(None),
            Err(error) => return Err(Fault::Io("open", path, error)),
        };
        let started = Instant::now();
        loop {
            let tried = if alone { file.try_lock() } else { file.try_lock_shared() };
            match tried {
                Ok(()) => return Ok(Some(Opening(file))),
                Err(fs::TryLockError::WouldBlock) if started.elapsed() < patience => {
                    thread::sleep(Duration::from_micros(500));
                }
                Err(fs::TryLockError::WouldBlock) => {
                    let message = "another process has been opening the store for too long";
                    return Err(Error::new(Kind::Unavailable, message).into());
                }
                Err(fs::TryLockError::Error(error)) => return Err(Fault::Io("lock", path, error)),
            }
        }
    }

    /// The file that writers queue at; `None` where it cannot be, and then there is no queue.
    pub(crate) fn queue(&self) -> Option<File> {
        let path = self.root.join("writing-v1");
        OpenOptions::new().write(true).create(true).truncate(false).open(path).ok()
    }

    /// The file of the counters that tell of changed answers.
    pub(crate) fn generation(&self) -> PathBuf {
        self.root.join("generation-v1")
    }

    /// Which file is the database now.
    pub(crate) fn identity(&self) -> Option<Identity> {
        fs::metadata(self.database()).ok().map(|about| identity(&about))
    }

    /// Sets the database aside, unless somebody else has done so; says where it went. To be called under
    /// [`opening`](Self::opening) alone. The log goes first: a new database beside an old log would be
    /// taken for one that needs recovery.
    pub(crate) fn set_aside(&self, damaged: Option<Identity>) -> Outcome<Option<PathBuf>> {
        if damaged.is_some() && self.identity() != damaged {
            return Ok(None);
        }
        let target = self.aside("store-v2", ".sqlite")?;
        for ending in ["-wal", "-shm", ""] {
            let from = self.beside(ending);
            let mut to = OsString::from(&target);
            to.push(ending);
            match fs::rename(&from, &to) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Fault::Io("set aside", from, error)),
            }
        }
        Ok(Some(target))
    }

    /// What the database's files take on disk.
    pub(crate) fn database_bytes(&self) -> u64 {
        ["", "-wal", "-shm"]
            .iter()
            .filter_map(|ending| fs::metadata(self.beside(ending)).ok())
            .map(|about| about.len())
            .sum()
    }

    /// The length of the write-ahead log, in bytes.
    pub(crate) fn log_bytes(&self) -> u64 {
        fs::metadata(self.beside("-wal")).map_or(0, |about| about.len())
    }
}

#[cfg(unix)]
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(std::io::ErrorKind::NotADirectory.into())
        }
        other => other,
    }
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(unix)]
pub(crate) fn identity(about: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity(about.dev(), about.ino())
}

/// Elsewhere an open file cannot be removed or replaced, so that being there is enough.
#[cfg(not(unix))]
pub(crate) fn identity(_: &fs::Metadata) -> Identity {
    Identity(0, 0)
}
