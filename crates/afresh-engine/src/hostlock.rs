//! Leases between the processes of one host: kernel locks that are gone the moment their owner dies.
//!
//! One file a store, one byte a fingerprint: an open-file-description lock on the byte at the fingerprint's
//! first 62 bits. Taking one costs a system call and no file. Two fingerprints that share a byte merely
//! wait for each other. Every engine opens the file anew, so two engines of one process exclude each other
//! as two processes do; within an engine the flights see to it that a byte is asked for once.
//!
//! Who lets go of a lock rings the [`Bell`], and all who waited for it look for the answer, without the lock. Whoever is
//! killed rings nothing: the lock is asked for now and then all the same.
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

use crate::bell::{Bell, Waiting};
use crate::flight::Signal;

/// The name of the lock file in the store's folder.
const FILE: &str = "locks-v1";

/// How long the file is taken to be the one in the folder.
const CHECKED: Duration = Duration::from_millis(10);

/// How often the lock is asked for where there is a bell.
const PATIENT: Duration = Duration::from_millis(5);

/// The kernel locks of one engine.
#[derive(Debug)]
pub(crate) struct HostLocks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    opened: Mutex<Option<(Arc<Opened>, Instant)>>,
    /// The descriptor of its file, readable without its mutex: a forked child may find the mutex held.
    descriptor: AtomicI32,
    waits: Mutex<Waits>,
}

#[derive(Debug)]
struct Opened {
    file: File,
    bell: Option<Bell>,
}

#[derive(Debug, Default)]
struct Waits {
    list: Vec<Waiter>,
    watched: bool,
}

#[derive(Debug)]
struct Waiter {
    offset: i64,
    /// How many computations had ended when it began to wait.
    landed: u32,
    wait: Weak<HostWait>,
}

/// The exclusive right to compute one fingerprint on this host.
#[derive(Debug)]
pub(crate) struct HostLock {
    opened: Arc<Opened>,
    offset: i64,
}

/// Waiting for another process to let go. What came of it is in `slot`.
#[derive(Debug, Default)]
pub(crate) struct HostWait {
    pub(crate) got: Signal,
    slot: Mutex<Option<Landing>>,
}

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Landing {
    /// The lock was free, and is ours.
    Lock(HostLock),
    /// Whoever had it has ended. Others may have it again.
    Ended,
}

impl HostWait {
    /// What came of it; nothing where there is no waiting for the lock.
    pub(crate) fn take(&self) -> Option<Landing> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn end(&self, landing: Option<Landing>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = landing;
        self.got.raise();
    }
}

impl HostLocks {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            shared: Arc::new(Shared {
                dir: dir.to_owned(),
                opened: Mutex::default(),
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
        let offset = offset(fingerprint);
        let landed = self.shared.landed(offset);
        // It may have been let go of before that was counted, and then nobody rings.
        match self.shared.try_lock(offset) {
            Ok(Some(lock)) => {
                wait.end(Some(Landing::Lock(lock)));
                return wait;
            }
            Ok(None) => {}
            Err(_) => {
                wait.end(None);
                return wait;
            }
        }
        let mut waits = self.shared.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.list.push(Waiter { offset, landed, wait: Arc::downgrade(&wait) });
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
                    wait.end(None);
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
        let opened = self.opened()?;
        match set(&opened.file, offset, libc::F_WRLCK) {
            Ok(()) => Ok(Some(HostLock { opened, offset })),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn landed(&self, offset: i64) -> u32 {
        let opened = self.opened().ok();
        opened.and_then(|opened| Some(opened.bell.as_ref()?.landed(offset))).unwrap_or_default()
    }

    /// The open file; opened anew where its folder was removed meanwhile.
    fn opened(&self) -> io::Result<Arc<Opened>> {
        let mut slot = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((opened, checked)) = slot.as_mut() {
            if checked.elapsed() < CHECKED {
                return Ok(Arc::clone(opened));
            }
            if opened.file.metadata()?.nlink() > 0 {
                *checked = Instant::now();
                return Ok(Arc::clone(opened));
            }
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.dir.join(FILE))?;
        let descriptor: RawFd = file.as_raw_fd();
        let bell = Bell::open(&self.dir);
        if let Err(error) = &bell {
            // Only speed is lost.
            tracing::debug!("processes that wait ask for the lock in short steps: {error}");
        }
        let opened = Arc::new(Opened { file, bell: bell.ok() });
        self.descriptor.store(descriptor, Ordering::Release);
        *slot = Some((Arc::clone(&opened), Instant::now()));
        Ok(opened)
    }

    /// Sees to all who wait until nobody does: whoever had the lock has ended, or the lock is free because its owner was
    /// killed. The kernel offers no way to be told of that which could also be cancelled; asking costs a microsecond.
    fn watch(&self) {
        let begun = Instant::now();
        let opened = self.opened().ok();
        let bell = opened.as_ref().and_then(|opened| opened.bell.as_ref()).map(Bell::wait);
        loop {
            let rung = bell.as_ref().map(Waiting::rung);
            {
                let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
                waits.list.retain(|waiter| self.waits_on(waiter));
                if waits.list.is_empty() {
                    waits.watched = false;
                    return;
                }
            }
            match (&bell, rung) {
                (Some(bell), Some(rung)) => bell.sleep(rung, PATIENT),
                _ => std::thread::sleep(pause(begun.elapsed())),
            }
        }
    }

    /// Whether there is still something to wait for.
    fn waits_on(&self, waiter: &Waiter) -> bool {
        let Some(wait) = waiter.wait.upgrade() else { return false };
        if self.landed(waiter.offset) != waiter.landed {
            wait.end(Some(Landing::Ended));
            return false;
        }
        match self.try_lock(waiter.offset) {
            Ok(Some(lock)) => wait.end(Some(Landing::Lock(lock))),
            Ok(None) => return true,
            Err(_) => wait.end(None),
        }
        false
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
        let _ = set(&self.opened.file, self.offset, libc::F_UNLCK);
        if let Some(bell) = &self.opened.bell {
            bell.ring(self.offset);
        }
    }
}
