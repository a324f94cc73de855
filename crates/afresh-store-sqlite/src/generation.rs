//! The counters of [`Generation`], in a file that all processes that use the store have mapped.
//!
//! Invariant: what [`Words::words`] returned once stays mapped for as long as anybody can look at it, so that it may be read without a lock. A
//! folder that was removed and made again has a file of its own, which is then mapped too: that happens rarely, and
//! the old mapping of some pages is left behind. Where the file cannot be mapped there are no counters,
//! and nobody keeps answers in front of the store.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use afresh_core::{Generation, Words};
use memmap2::MmapRaw;

use crate::folder::{Identity, identity};

/// Where the counters are now.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Current>);

#[derive(Default)]
struct Current(AtomicPtr<Mapped>);

struct Mapped {
    memory: MmapRaw,
    identity: Identity,
}

impl Shared {
    pub(crate) fn generation(&self) -> Generation {
        Generation::new(self.clone())
    }

    /// Maps the file, unless it is mapped already.
    #[allow(unsafe_code)]
    pub(crate) fn attach(&self, path: &Path) -> std::io::Result<()> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let about = file.metadata()?;
        let identity = identity(&about);
        // SAFETY: a mapping is not freed as long as we are here.
        let known = unsafe { self.0.0.load(Ordering::Acquire).as_ref() };
        if known.is_some_and(|known| known.identity == identity) {
            return Ok(());
        }
        let len = Generation::WORDS * size_of::<AtomicU32>();
        let there = usize::try_from(about.len()).unwrap_or(usize::MAX);
        if there < len {
            // Written, not only made longer: where a full disk has no block for a page, writing to the mapping would
            // kill the process. Others who open the store wait meanwhile.
            file.write_all_at(&vec![0; len - there], about.len())?;
        }
        let memory = memmap2::MmapOptions::new().len(len).map_raw(&file)?;
        let mapped = Box::into_raw(Box::new(Mapped { memory, identity }));
        self.0.0.store(mapped, Ordering::Release);
        Ok(())
    }
}

impl Drop for Current {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        let mapped = *self.0.get_mut();
        if !mapped.is_null() {
            // SAFETY: it came out of a box, and whoever could look at it is gone.
            drop(unsafe { Box::from_raw(mapped) });
        }
    }
}

impl Words for Shared {
    #[allow(unsafe_code)]
    fn words(&self) -> &[AtomicU32] {
        let mapped = self.0.0.load(Ordering::Acquire);
        if mapped.is_null() {
            return &[];
        }
        // SAFETY: a mapping is not freed as long as we are here, is that long, begins at a page, and is only ever
        // used as atomic numbers, in this process and in others. The folder is private to its owner;
        // truncating the file by hand is editing the process's memory.
        unsafe { std::slice::from_raw_parts((*mapped).memory.as_ptr().cast(), Generation::WORDS) }
    }
}
