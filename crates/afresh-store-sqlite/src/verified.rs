//! Which files were found to be what their names say, so that mapping a large result again costs no digest.
//!
//! Invariant: a file counts as verified only while it is the same file with the same length, and nothing was written to
//! it since, by the times that the file system keeps (the time of the last change cannot be set back). What is not known
//! is verified again, so forgetting is always allowed.

use std::collections::HashMap;
use std::fs::Metadata;
use std::sync::{Mutex, PoisonError};

use afresh_core::ObjectId;

/// More than this many are forgotten together.
const MOST: usize = 4096;

/// Tells a state of a file from any later one: device, number, length, times of modification and change.
pub(crate) type State = [i64; 7];

/// The files that were verified.
#[derive(Default)]
pub(crate) struct Verified(Mutex<HashMap<ObjectId, State>>);

impl Verified {
    pub(crate) fn knows(&self, id: &ObjectId, state: &State) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id) == Some(state)
    }

    pub(crate) fn remember(&self, id: &ObjectId, state: State) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(*id, state);
    }
}

/// The state of a file; `None` where the system does not tell enough.
#[cfg(unix)]
pub(crate) fn state(about: &Metadata) -> Option<State> {
    use std::os::unix::fs::MetadataExt;
    let (dev, ino, len) =
        (about.dev().cast_signed(), about.ino().cast_signed(), about.size().cast_signed());
    Some([dev, ino, len, about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()])
}

#[cfg(not(unix))]
pub(crate) fn state(_: &Metadata) -> Option<State> {
    None
}
