//! What a store can be told, and the figures it was tuned with.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use afresh_core::Timestamp;

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + std::marker::Sync>;

/// When bytes are forced to the disk. Whatever is chosen, a process that dies loses nothing; this is about
/// the machine losing power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// Every commit is on the disk before it is reported.
    Full,
    /// The last commits may be lost, the store stays whole. Object files are synced before they get their
    /// name.
    #[default]
    Normal,
    /// The store may be damaged, which is noticed: it is set aside and begun anew.
    Off,
}

/// How to open a store.
#[derive(Clone)]
pub struct SqliteOptions {
    /// When bytes are forced to the disk.
    pub sync: Sync,
    /// Objects up to this many bytes (as stored) live in the database, larger ones are files.
    pub inline_max: usize,
    /// How many bytes of the database are mapped at most.
    pub mmap: u64,
    /// How long to wait for other writers.
    pub patience: Duration,
    /// The store's clock.
    pub clock: Clock,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            sync: Sync::default(),
            inline_max: INLINE_MAX,
            mmap: MMAP,
            patience: Duration::from_secs(30),
            clock: Arc::new(|| {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }),
        }
    }
}

impl fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("sync", &self.sync)
            .field("inline_max", &self.inline_max)
            .field("mmap", &self.mmap)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// More than stores grow to: a page that is not mapped costs a system call and a copy, whatever
/// the size of the page cache: among two million results (1.5 GB) a look-up takes 9.8 µs, and 11 with half of them mapped.
/// It is room for addresses, not memory. That the file shrinks under it, which would kill the process, does not happen:
/// nobody vacuums it, and a damaged one is renamed. SQLite's own ceiling is 2 GiB, unless it is built as `.cargo/config.toml`
/// says; then it is this.
const MMAP: u64 = if cfg!(target_pointer_width = "64") { 1 << 40 } else { 1 << 30 };

/// Where a file begins to beat a row. Measured (`cargo bench -p afresh-store-sqlite --bench store -- crossover`, noise, p50): at
/// 16 KiB a row is read in 14 µs and a file in 19, at 32 KiB 27 and 24, at 64 KiB 47 and 34, at 256 KiB 180 and
/// 110; a row comes with its entry, which saves a file's reader another 6. A row of 64 KiB is written in
/// 0.16 ms, a synced file in 0.9 ms; they meet above 1 MiB. So 64 KiB gives up some seven microseconds a
/// read at the upper end for a write that is five times as quick.
pub(crate) const INLINE_MAX: usize = 64 << 10;

/// Bytes in a page of the database.
pub(crate) const PAGE: u64 = 4096;

/// Pages of write-ahead log after which a checkpoint is worth its two syncs.
pub(crate) const WAL_SOFT: u64 = 8 << 10;

/// Pages of write-ahead log after which a checkpoint is finished under the write lock.
pub(crate) const WAL_HARD: u64 = 32 << 10;

/// Rows of `recent` that are folded into the tables under one hold of the write lock: a third of a millisecond.
pub(crate) const FOLD: usize = 16;

/// The same when a store is closed: some milliseconds.
pub(crate) const FOLD_LAST: usize = 256;

/// More changes than this in a batch, and what it removes is only marked: to delete a row writes a page of the index at
/// a random place, to mark it the page where its neighbours in time are.
pub(crate) const REMOVED_AT_ONCE: usize = 64;

/// Rows of `recent` after which folding them is worth waking a thread.
pub(crate) const RECENT_SOFT: usize = 512;

/// Rows of `recent` after which whoever appends folds some himself: two megabytes, read in some milliseconds.
pub(crate) const RECENT_HARD: usize = 4096;

/// So few rows of `recent` are left when a store is closed.
pub(crate) const RECENT_LEFT: usize = 64;

/// So many pages of the log are left when a store is closed. The next process to open the store reads all of it, at 2.5 µs a
/// page, while to cut it off takes two syncs, 3 to 18 ms where this was measured: short programs, which leave some four
/// pages each, spend the least at about 180.
pub(crate) const WAL_LEFT: u64 = 192;

/// Bytes of changes that are better written to the tables at once.
pub(crate) const RECENT_MAX: usize = 32 << 10;
