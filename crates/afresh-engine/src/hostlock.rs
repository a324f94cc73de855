//! Leases between the processes of one host: kernel locks that are gone the moment their owner dies.
//!
//! One file a store, one byte a fingerprint: an open-file-description lock on the byte at the fingerprint's
//! first 62 bits. Taking one costs a system call and no file. Two fingerprints that share a byte merely
//! wait for each other. Every engine opens the file anew, so two engines of one process exclude each other
//! as two processes do; within an engine the flights see to it that a byte is asked for once.
//!
//! Where the file cannot be opened (a read-only folder) there is no exclusion between processes, only
//! within one: a needless run, never a wrong answer.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use afresh_core::Fingerprint;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::flight::Signal;

/// The name of the lock file in the store's folder.
const FILE: &str = "locks-v1";

/// The kernel locks of one engine.
#[derive(Debug)]
pub(crate) struct HostLocks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    file: Mutex<Option<Arc<File>>>,
    /// The descriptor of `file`, readable without its mutex: a forked child may find the mutex held.
    descriptor: AtomicI32,
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    list: Vec<(i64, Weak<HostWait>)>,
    watched: bool,
}

/// The exclusive right to compute one fingerprint on this host.
#[derive(Debug)]
pub(crate) struct HostLock {
    file: Arc<File>,
    offset: i64,
}

/// Waiting for another process to let go. The lock, once there, is in `slot`.
#[derive(Debug, Default)]
pub(crate) struct HostWait {
    pub(crate) got: Signal,
    slot: Mutex<Option<HostLock>>,
}

impl HostWait {
    pub(crate) fn take(&self) -> Option<HostLock> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl HostLocks {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            shared: Arc::new(Shared {
                path: dir.join(FILE),
                file: Mutex::default(),
                descriptor: AtomicI32::new(-1),
                waits: Mutex::default(),
            }),
        }
    }

    /// The lock, or `None` while another process holds it.
    pub(crate) fn try_lock(&self, fingerprint: &Fingerprint) -> io::Result<Option<HostLock>> {
        self.shared.try_lock(offset(fingerprint))
    }

    /// Begins to wait for the lock.
    pub(crate) fn wait(&self, fingerprint: &Fingerprint) -> Arc<HostWait> {
        let wait = Arc::<HostWait>::default();
        let mut waits = self.shared.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.list.push((offset(fingerprint), Arc::downgrade(&wait)));
        if !waits.watched {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new()
                .name("afresh-locks".into())
                .spawn(move || shared.watch());
            match started {
                Ok(_) => waits.watched = true,
                // Without a watcher the waiter is let through: it runs without the lock.
                Err(_) => {
                    waits.list.pop();
                    wait.got.raise();
                }
            }
        }
        wait
    }

    /// Closes the file in a forked child, without touching any lock another thread may have held.
    pub(crate) fn abandon(&self) {
        let descriptor = self.shared.descriptor.swap(-1, Ordering::AcqRel);
        if descriptor >= 0 {
            // The engine is forgotten after this, so nothing closes the descriptor again.
            let _ = nix::unistd::close(descriptor);
        }
    }
}

impl Shared {
    fn try_lock(&self, offset: i64) -> io::Result<Option<HostLock>> {
        let file = self.file()?;
        match set(&file, offset, libc::F_WRLCK) {
            Ok(()) => Ok(Some(HostLock { file, offset })),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The open file; opened anew where its folder was removed meanwhile.
    fn file(&self) -> io::Result<Arc<File>> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = slot.as_ref()
            && file.metadata()?.nlink() > 0
        {
            return Ok(Arc::clone(file));
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)?;
        let descriptor: RawFd = file.as_raw_fd();
        let file = Arc::new(file);
        self.descriptor.store(descriptor, Ordering::Release);
        *slot = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Asks for every waited-for lock in turn until nobody waits. The kernel offers no way to be told of a
    /// released byte that could also be cancelled; asking costs a microsecond.
    fn watch(&self) {
        let begun = Instant::now();
        loop {
            {
                let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
                waits.list.retain(|(offset, wait)| {
                    let Some(wait) = wait.upgrade() else { return false };
                    match self.try_lock(*offset) {
                        Ok(Some(lock)) => {
                            *wait.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
                            wait.got.raise();
                            false
                        }
                        Ok(None) => true,
                        Err(_) => {
                            wait.got.raise();
                            false
                        }
                    }
                });
                if waits.list.is_empty() {
                    waits.watched = false;
                    return;
                }
            }
            std::thread::sleep(pause(begun.elapsed()));
        }
    }
}

/// Short waits are answered fast, long ones cost little.
fn pause(waited: Duration) -> Duration {
    match waited.as_millis() {
        0..100 => Duration::from_micros(500),
        100..5_000 => Duration::from_millis(1),
        _ => Duration::from_micros(1500),
    }
}

fn offset(fingerprint: &Fingerprint) -> i64 {
    let first = fingerprint.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
    // 62 bits: the byte after it must have an offset too.
    (u64::from_le_bytes(first) >> 2).cast_signed()
}

fn set(file: &File, offset: i64, kind: libc::c_int) -> Result<(), Errno> {
    let range = libc::flock {
        l_type: libc::c_short::try_from(kind).map_err(|_| Errno::EINVAL)?,
        l_whence: libc::c_short::try_from(libc::SEEK_SET).map_err(|_| Errno::EINVAL)?,
        l_start: offset,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&range)).map(drop)
}

impl Drop for HostLock {
    fn drop(&mut self) {
        // A failure leaves the lock to the kernel, which drops it with the file.
        let _ = set(&self.file, self.offset, libc::F_UNLCK);
    }
}
