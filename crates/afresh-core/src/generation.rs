//! Counters that say whether an answer may have been replaced or taken back since it was read.
//!
//! Whoever keeps answers in front of a store takes a [`Stamp`] before reading one, and may go on using it for as
//! long as the stamp [holds](Generation::holds). Whoever changes answers announces it ([`Generation::change`])
//! before, and says so once it is done. Answers share a fixed number of slots by fingerprint, so a change may spoil
//! stamps of others: that costs a look at the store and no truth. A process that dies in the middle of a
//! change leaves its slot unusable: answers of that slot are then always looked up.
//!
//! Named entries and counts have slots of their own. They are changed by many, so it is the store that counts them
//! ([`Generation::announce`]), and says that it does
//! ([`Store::counts_entries`](crate::Store::counts_entries)).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Batch, Fingerprint, Key, Op, Space, When};

/// How many slots there are for answers, and then for entries under names.
const SLOTS: usize = 4096;

/// Memory that holds the counters: of this process, or of all that share the store.
pub trait Words: Send + Sync + 'static {
    /// The counters; always the same ones, [`Generation::WORDS`] of them.
    fn words(&self) -> &[AtomicU32];
}

impl Words for Box<[AtomicU32]> {
    fn words(&self) -> &[AtomicU32] {
        self
    }
}

/// The counters of one store.
#[derive(Clone)]
pub struct Generation {
    words: Arc<dyn Words>,
}

/// What the counters of a slot were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    slot: u16,
    changes: u32,
}

/// Changes on their way. Dropping it says that they are done, or were not made.
#[derive(Debug)]
#[must_use]
pub struct Changing {
    generation: Generation,
    slots: Vec<u16>,
}

impl Generation {
    /// How many counters there are: for each slot, changes begun and changes done.
    pub const WORDS: usize = 2 * 2 * SLOTS;

    /// Over this memory.
    pub fn new(words: impl Words) -> Self {
        Self { words: Arc::new(words) }
    }

    /// For a store that no other process sees.
    pub fn local() -> Self {
        let words: Box<[AtomicU32]> = (0..Self::WORDS).map(|_| AtomicU32::new(0)).collect();
        Self::new(words)
    }

    fn slot(fingerprint: &[u8]) -> u16 {
        let [low, high] = fingerprint.first_chunk().copied().unwrap_or_default();
        u16::from_le_bytes([low, high]) % SLOTS as u16
    }

    /// Which slot an entry under a name has: FNV-1a of the space's number and the key's bytes, the same in every process.
    pub fn slot_of(key: &Key) -> u16 {
        let bytes = [key.space().number()].into_iter().chain(key.bytes().iter().copied());
        let hash = bytes
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        SLOTS as u16 + (hash ^ hash >> 16) as u16 % SLOTS as u16
    }

    fn pair(&self, slot: u16) -> Option<(&AtomicU32, &AtomicU32)> {
        let at = 2 * usize::from(slot);
        match self.words.words().get(at..at + 2) {
            Some([begun, done]) => Some((begun, done)),
            _ => None,
        }
    }

    /// To be taken before an answer is read; `None` while it is being changed.
    pub fn stamp(&self, fingerprint: &Fingerprint) -> Option<Stamp> {
        self.stamp_slot(Self::slot(fingerprint.as_bytes()))
    }

    /// The same for an entry under a name.
    pub fn stamp_of(&self, key: &Key) -> Option<Stamp> {
        self.stamp_slot(Self::slot_of(key))
    }

    fn stamp_slot(&self, slot: u16) -> Option<Stamp> {
        let (begun, done) = self.pair(slot)?;
        let changes = done.load(Ordering::Acquire);
        (begun.load(Ordering::Acquire) == changes).then_some(Stamp { slot, changes })
    }

    /// Whether nothing was changed since the stamp was taken, and nothing is being changed.
    #[inline]
    pub fn holds(&self, stamp: Stamp) -> bool {
        self.pair(stamp.slot)
            .is_some_and(|(begun, _)| begun.load(Ordering::Acquire) == stamp.changes)
    }

    /// Announces what a batch will do to answers. `None` where it changes none that anybody could have read.
    pub fn change(&self, batch: &Batch) -> Option<Changing> {
        let slots: Vec<u16> = batch
            .ops
            .iter()
            .filter_map(|op| match (op.key().space(), op) {
                (Space::Head, Op::Put { when: When::Absent, .. }) => None,
                (Space::Head, Op::Put { .. } | Op::Delete { .. }) => {
                    Some(Self::slot(op.key().bytes()))
                }
                _ => None,
            })
            .collect();
        (!slots.is_empty()).then(|| self.begin(slots))
    }

    /// Announces what a batch will do to named entries and counts. `None` where it changes none.
    pub fn announce(&self, batch: &Batch) -> Option<Changing> {
        let slots: Vec<u16> = batch
            .ops
            .iter()
            .filter(|op| matches!(op.key().space(), Space::Named | Space::Count))
            .filter(|op| !matches!(op, Op::Check { .. } | Op::Touch { .. }))
            .map(|op| Self::slot_of(op.key()))
            .collect();
        (!slots.is_empty()).then(|| self.begin(slots))
    }

    /// Where the counters are now; 0 where there are none yet. They are elsewhere once the store was removed and made
    /// again: then what was announced before was announced to nobody.
    pub fn place(&self) -> usize {
        match self.words.words() {
            [] => 0,
            words => words.as_ptr().addr(),
        }
    }

    /// An answer was changed by somebody who does not count here: what a store does that learns of it.
    pub fn changed(&self, fingerprint: &[u8]) {
        drop(self.begin(vec![Self::slot(fingerprint)]));
    }

    /// The same of an entry under a name, which has this [slot](Self::slot_of).
    pub fn changed_slot(&self, slot: u16) {
        drop(self.begin(vec![slot]));
    }

    /// Until this is dropped nothing is known to be right: what a store holds while it is not told of changes.
    pub fn blind(&self) -> Changing {
        self.begin((0..2 * SLOTS as u16).collect())
    }

    fn begin(&self, mut slots: Vec<u16>) -> Changing {
        slots.sort_unstable();
        slots.dedup();
        for (begun, _) in slots.iter().filter_map(|slot| self.pair(*slot)) {
            begun.fetch_add(1, Ordering::AcqRel);
        }
        Changing { generation: self.clone(), slots }
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        for (_, done) in self.slots.iter().filter_map(|slot| self.generation.pair(*slot)) {
            done.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation").finish_non_exhaustive()
    }
}
