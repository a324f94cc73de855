//! How processes that wait for each other learn at once that a computation has ended: counters in a file that all of
//! them have mapped, and a futex on one of them.
//!
//! It is an optimisation of asking for the lock again and again. Invariant: whoever lets go of a lock counts before it looks
//! for those who wait, and who waits says so before it looks at the counts; so nobody who sleeps is forgotten. A process
//! that is killed rings nothing and, if it waited, is counted as waiting for ever: the one costs the others a while, until
//! they ask for the lock again, the other a needless system call a computation. Where the file cannot be mapped there is
//! no bell.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use memmap2::{MmapOptions, MmapRaw};

/// The name of the file in the store's folder.
const FILE: &str = "landings-v1";

/// Computations that have ended, counted by the beginning of their fingerprint.
const SLOTS: usize = 1022;

/// The counters as they are mapped.
#[repr(C)]
struct Words {
    /// Processes that wait.
    waiting: AtomicU32,
    /// How often they were woken.
    rung: AtomicU32,
    landed: [AtomicU32; SLOTS],
}

/// The counters of one store.
#[derive(Debug)]
pub(crate) struct Bell {
    memory: MmapRaw,
}

/// Says, as long as it lives, that this process waits.
pub(crate) struct Waiting<'a>(&'a Words);

impl Bell {
    /// Maps the file in this folder, which is made if it is not there.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(dir.join(FILE))?;
        if file.metadata()?.len() < size_of::<Words>() as u64 {
            file.lock()?;
            let there = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
            let missing = size_of::<Words>().saturating_sub(there);
            // Written, not only made longer: where a full disk has no block for a page, writing to the mapping would
            // kill the process.
            let written = file.write_all_at(&vec![0; missing], there as u64);
            // Not left to the closing of the file: the mapping keeps it open, and with it the lock.
            file.unlock()?;
            written?;
        }
        Ok(Self { memory: MmapOptions::new().len(size_of::<Words>()).map_raw(&file)? })
    }

    #[allow(unsafe_code)]
    fn words(&self) -> &Words {
        // SAFETY: the mapping is that long, begins at a page, and is only ever used as atomic numbers, in this process and
        // in others. The folder is private to its owner; truncating the file by hand is editing the process's memory.
        unsafe { &*self.memory.as_ptr().cast::<Words>() }
    }

    fn slot(&self, offset: i64) -> Option<&AtomicU32> {
        let slot = usize::try_from(offset.rem_euclid(SLOTS as i64)).ok()?;
        self.words().landed.get(slot)
    }

    /// How many computations have ended that share the slot of this one.
    pub(crate) fn landed(&self, offset: i64) -> u32 {
        self.slot(offset).map_or(0, |slot| slot.load(Ordering::SeqCst))
    }

    /// A computation has ended, and its lock is free.
    pub(crate) fn ring(&self, offset: i64) {
        if let Some(slot) = self.slot(offset) {
            slot.fetch_add(1, Ordering::SeqCst);
        }
        let words = self.words();
        if words.waiting.load(Ordering::SeqCst) > 0 {
            words.rung.fetch_add(1, Ordering::SeqCst);
            futex::wake(&words.rung);
        }
    }

    /// From now on this process is woken.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        let words = self.words();
        words.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(words)
    }
}

impl Waiting<'_> {
    /// What `sleep` is to be told: taken before the counts are looked at.
    pub(crate) fn rung(&self) -> u32 {
        self.0.rung.load(Ordering::SeqCst)
    }

    /// Sleeps until somebody rings, unless somebody has since `rung`, and no longer than `limit`.
    pub(crate) fn sleep(&self, rung: u32, limit: Duration) {
        futex::wait(&self.0.rung, rung, limit);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(target_os = "linux")]
mod futex {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use rustix::thread::futex::{self, Flags};

    // Errors say that it was woken, that time is over, or that there was no reason to sleep.

    pub(super) fn wait(word: &AtomicU32, value: u32, limit: Duration) {
        let limit = limit.try_into().ok();
        let _ = futex::wait(word, Flags::empty(), value, limit.as_ref());
    }

    pub(super) fn wake(word: &AtomicU32) {
        let _ = futex::wake(word, Flags::empty(), i32::MAX.cast_unsigned());
    }
}

/// Elsewhere a word of shared memory cannot be slept on: it is looked at in short steps.
#[cfg(not(target_os = "linux"))]
mod futex {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    pub(super) fn wait(_: &AtomicU32, _: u32, limit: Duration) {
        std::thread::sleep(limit.min(Duration::from_micros(500)));
    }

    pub(super) fn wake(_: &AtomicU32) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_made_the_file_keeps_nobody_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let bell = Bell::open(dir.path()).unwrap();
        let file = std::fs::File::open(dir.path().join(FILE)).unwrap();
        assert!(file.try_lock().is_ok());
        drop(bell);
    }
}
