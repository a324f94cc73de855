//! Which answers were used, and how often: gathered in memory, written in batches, lossy.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use afresh_core::{CommitId, Fingerprint, Key, Op};

/// Counter of hits over the store's life.
pub(crate) const HITS: &str = "hits";
/// Counter of microseconds of computation that hits made unnecessary.
pub(crate) const SAVED_US: &str = "saved-us";
/// Counter of failed commits.
pub(crate) const FAILED: &str = "failed";

const MANY: usize = 512;
const MOST_COUNTED: usize = 1 << 16;
const OLD: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct Access {
    state: Mutex<State>,
    /// Uses of an answer in this process, where a policy asks for that.
    counted: Mutex<HashMap<Fingerprint, (CommitId, u32)>>,
}

#[derive(Debug, Default)]
struct State {
    used: HashMap<Fingerprint, Instant>,
    hits: i64,
    saved_us: i64,
    since: Option<Instant>,
}

impl Access {
    pub(crate) fn hit(&self, fingerprint: &Fingerprint, took_us: u64) {
        self.hits(fingerprint, 1, took_us);
    }

    pub(crate) fn hits(&self, fingerprint: &Fingerprint, times: u32, took_us: u64) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used.insert(*fingerprint, now);
        state.hits += i64::from(times);
        let saved = took_us.saturating_mul(u64::from(times));
        state.saved_us = state.saved_us.saturating_add(i64::try_from(saved).unwrap_or(i64::MAX));
        state.since.get_or_insert(now);
    }

    /// Counts a use of the answer by `commit` in this process, and says how many there were before.
    pub(crate) fn uses(&self, fingerprint: &Fingerprint, commit: &CommitId) -> u32 {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= MOST_COUNTED {
            counted.clear();
        }
        let (known, uses) = counted.entry(*fingerprint).or_insert((*commit, 0));
        if known != commit {
            (*known, *uses) = (*commit, 0);
        }
        let before = *uses;
        *uses = uses.saturating_add(1);
        before
    }

    /// The changes to write now, along with something else: none unless there are many or they are old.
    pub(crate) fn due(&self) -> Vec<Op> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let due =
            state.used.len() >= MANY || state.since.is_some_and(|since| since.elapsed() > OLD);
        drop(state);
        if due { self.drain() } else { Vec::new() }
    }

    /// All changes to write.
    pub(crate) fn drain(&self) -> Vec<Op> {
        let state = mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner));
        let mut ops: Vec<Op> = state
            .used
            .iter()
            .map(|(fingerprint, when)| Op::Touch {
                key: Key::head(fingerprint),
                ago: when.elapsed(),
            })
            .collect();
        for (name, by) in [(HITS, state.hits), (SAVED_US, state.saved_us)] {
            if by != 0 {
                ops.push(Op::Add { key: Key::count(name), by, ttl: None });
            }
        }
        ops
    }
}
