//! Which answers were used, and how often: gathered in memory, written in batches that nobody waits long for, lossy.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use afresh_core::{CommitId, Fingerprint, Head, Key, Op, Timestamp};

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
    /// When it was used, and when it was made.
    used: HashMap<Fingerprint, (Instant, Timestamp)>,
    hits: i64,
    saved_us: i64,
    since: Option<Instant>,
}

impl Access {
    pub(crate) fn hit(&self, fingerprint: &Fingerprint, head: &Head) {
        self.hits(fingerprint, 1, head.created, head.took_us);
    }

    pub(crate) fn hits(
        &self,
        fingerprint: &Fingerprint,
        times: u32,
        created: Timestamp,
        took_us: u64,
    ) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used.insert(*fingerprint, (now, created));
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

    /// Changes to write now, along with something else: none unless there are many or they are old, and never more than
    /// whoever writes that something can wait for.
    pub(crate) fn due(&self) -> Vec<Op> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let many = state.used.len() >= MANY;
        if !many && state.since.is_none_or(|since| since.elapsed() <= OLD) {
            return Vec::new();
        }
        let taken = State {
            used: state.used.extract_if(|_, _| true).take(MANY).collect(),
            hits: mem::take(&mut state.hits),
            saved_us: mem::take(&mut state.saved_us),
            since: state.since,
        };
        if state.used.is_empty() {
            state.since = None;
        }
        drop(state);
        Self::ops(taken)
    }

    /// All changes to write.
    pub(crate) fn drain(&self) -> Vec<Op> {
        Self::ops(mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// In the order in which answers were made: so do stores tend to keep them, and neighbours are written together.
    fn ops(state: State) -> Vec<Op> {
        let mut used: Vec<_> = state.used.into_iter().collect();
        used.sort_unstable_by_key(|(_, (_, created))| *created);
        let mut ops: Vec<Op> = used
            .iter()
            .map(|(fingerprint, (when, _))| Op::Touch {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(ops: &[Op]) -> Vec<Fingerprint> {
        let touch = |op: &Op| match op {
            Op::Touch { key, .. } => Fingerprint::from_slice(key.bytes()),
            _ => None,
        };
        ops.iter().filter_map(touch).collect()
    }

    /// The answer that was made `number` milliseconds after 1970.
    fn answer(number: u16) -> (Fingerprint, Timestamp) {
        let [a, b] = number.to_be_bytes();
        let mut bytes = [0; 32];
        (bytes[30], bytes[31]) = (a, b);
        (Fingerprint::new(bytes), Timestamp::from_millis(number.into()))
    }

    #[test]
    fn who_writes_takes_no_more_along_than_he_can_wait_for_and_nothing_is_forgotten() {
        let access = Access::default();
        let many = u16::try_from(MANY).unwrap();
        for number in (0..5 * many).rev() {
            let (fingerprint, created) = answer(number);
            access.hits(&fingerprint, 2, created, 10);
        }
        let due = access.due();
        let mut seen = touched(&due);
        assert_eq!(seen.len(), MANY);
        let count = |ops: &[Op], name| {
            let by = |op: &Op| match op {
                Op::Add { key, by, .. } if *key == Key::count(name) => Some(*by),
                _ => None,
            };
            ops.iter().filter_map(by).sum::<i64>()
        };
        assert_eq!(count(&due, HITS), 10 * i64::from(many));
        assert_eq!(count(&due, SAVED_US), 100 * i64::from(many));
        let rest = access.drain();
        let order = touched(&rest);
        assert!(order.is_sorted(), "in the order in which they were made");
        assert_eq!(count(&rest, HITS), 0);
        seen.extend(order);
        seen.sort_unstable();
        assert_eq!(seen, (0..5 * many).map(|number| answer(number).0).collect::<Vec<_>>());
        assert!(access.due().is_empty() && access.drain().is_empty());
    }
}
