//! What the store holds and what it was good for, without counting through it.

use afresh_core::{Entry, Key, Result, Space};

use crate::access::{FAILED, HITS, SAVED_US};
use crate::engine::Engine;

/// The figures. Hits are flushed in batches and may lag a little behind in other processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Executions on record.
    pub commits: u64,
    /// Those that returned.
    pub completed: u64,
    /// Those that raised.
    pub failed: u64,
    /// Current answers.
    pub answers: u64,
    /// Calls answered without running.
    pub hits: u64,
    /// Microseconds of computation that hits made unnecessary.
    pub saved_us: u64,
    /// Objects kept beside small records.
    pub inline_objects: u64,
    /// Their bytes.
    pub inline_bytes: u64,
    /// Objects kept as files.
    pub file_objects: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// What the store takes where it is kept, on disk or in the memory of a server; 0 where that is not known.
    pub disk_bytes: u64,
}

impl Engine {
    /// The figures.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn stats(&self) -> Result<Stats> {
        // A store that cannot be written can still be counted.
        if let Err(error) = self.flush().await {
            tracing::debug!("hits could not be written down: {error}");
        }
        let usage = self.store().usage().await?;
        let counts = self.store().get(&[FAILED, HITS, SAVED_US].map(Key::count)).await?;
        let mut counts = counts.iter().map(|entry| {
            let count = entry.as_ref().and_then(Entry::count).unwrap_or(0);
            u64::try_from(count).unwrap_or(0)
        });
        let commits = usage.entries(Space::Commit);
        let failed = counts.next().unwrap_or(0).min(commits);
        Ok(Stats {
            commits,
            completed: commits - failed,
            failed,
            answers: usage.entries(Space::Head),
            hits: counts.next().unwrap_or(0),
            saved_us: counts.next().unwrap_or(0),
            inline_objects: usage.inline_objects,
            inline_bytes: usage.inline_bytes,
            file_objects: usage.file_objects,
            file_bytes: usage.file_bytes,
            disk_bytes: usage.disk_bytes,
        })
    }
}
