//! Changes that are made together: all of them, or (where the store is `atomic`) none.

use std::time::Duration;

use crate::{Blob, Key, NewEntry, ObjectId, Version};

/// What must be true of a key for an operation to happen. An expired entry is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing.
    Always,
    /// There is no entry.
    Absent,
    /// The entry is this very write.
    Is(Version),
}

impl When {
    /// Whether it holds where `found` is there.
    pub fn holds(self, found: Option<Version>) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => found.is_none(),
            Self::Is(version) => found == Some(version),
        }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub enum Op {
    /// Set an entry.
    Put {
        /// Which.
        key: Key,
        /// To what.
        entry: NewEntry,
        /// If.
        when: When,
    },
    /// Add to a counter; an absent one is zero. The ttl is set when the counter begins.
    Add {
        /// Which.
        key: Key,
        /// How much.
        by: i64,
        /// How long a counter that begins now lasts.
        ttl: Option<Duration>,
    },
    /// Change nothing; refuse the batch unless the condition holds. Under `When::Always` it tells which write is there:
    /// at least what was there when the batch's own puts found their place free, also where batches are not atomic.
    Check {
        /// Of which key.
        key: Key,
        /// The condition.
        when: When,
    },
    /// Remove an entry. Removing what is absent under `When::Always` succeeds.
    Delete {
        /// Which.
        key: Key,
        /// If.
        when: When,
    },
    /// Remember that the entry was used, roughly and without a new version. May be lost; an
    /// absent entry stays absent, and `used` never goes back.
    Touch {
        /// Which.
        key: Key,
        /// How long ago.
        ago: Duration,
    },
}

impl Op {
    /// The key it works on.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. }
            | Self::Add { key, .. }
            | Self::Check { key, .. }
            | Self::Delete { key, .. }
            | Self::Touch { key, .. } => key,
        }
    }

    /// What must be true for it to happen.
    pub fn when(&self) -> When {
        match self {
            Self::Put { when, .. } | Self::Check { when, .. } | Self::Delete { when, .. } => *when,
            Self::Add { .. } | Self::Touch { .. } => When::Always,
        }
    }
}

/// Objects to be written, then changes to be made, in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Written before any change is visible. Objects already there are left alone and count as young
    /// again. They may stay behind when the batch is refused.
    pub objects: Vec<(ObjectId, Blob)>,
    /// The changes. A later one sees what an earlier one did.
    pub ops: Vec<Op>,
}

/// What became of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// The version written, or found by a check; `None` where there is no entry now.
    pub version: Option<Version>,
    /// The counter's new value, after [`Op::Add`].
    pub count: Option<i64>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Everything happened; one answer an operation.
    All(Vec<Done>),
    /// A condition did not hold and nothing happened (on a store that is not `atomic`: nothing
    /// from this operation on).
    Refused {
        /// The position of the operation.
        index: usize,
        /// The version found there instead.
        found: Option<Version>,
    },
}
