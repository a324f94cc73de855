//! What an execution was and gave: the parts of a commit that the caller knows.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use afresh_core::{Argument, Blob, CommitId, Function, ObjectId, Tag, Version, fp1};

/// What was executed. Needed only when something was: a hit does not pay for it.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The function.
    pub function: Arc<Function>,
    /// The bound arguments.
    pub arguments: Vec<Argument>,
    /// Executions whose outputs went in.
    pub inputs: Vec<CommitId>,
    /// Labels.
    pub tags: Vec<Tag>,
    /// How long the answer is meant to last.
    pub ttl: Option<Duration>,
    /// How long the function itself took, where the caller measured it; otherwise the ticket's age.
    pub took: Option<Duration>,
}

/// What it gave.
#[derive(Clone, Debug)]
pub enum Output {
    /// Bytes made by a codec.
    Bytes {
        /// The codec's name.
        codec: String,
        /// The bytes.
        blob: Blob,
        /// The canonical digest of the value, where the codec gives back exactly what it was given.
        value: Option<fp1::Digest>,
    },
    /// A value that is not kept.
    Unkept {
        /// Why, for a person.
        reason: String,
    },
}

/// Which function records this engine has already written, so that a miss does not write them again.
#[derive(Debug, Default)]
pub(crate) struct Records {
    known: Mutex<(Option<Version>, HashSet<ObjectId>)>,
}

impl Records {
    /// Whether the record was written since the last sweep, which may have taken it.
    pub(crate) fn knows(&self, sweep: Option<Version>, id: &ObjectId) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.0 == sweep && known.1.contains(id)
    }

    pub(crate) fn remember(&self, sweep: Option<Version>, id: ObjectId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != sweep {
            *known = (sweep, HashSet::new());
        }
        known.1.insert(id);
    }
}
