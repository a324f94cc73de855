//! What a store keeps under a key: a small versioned record, with labels to find it by.

use std::time::Duration;

use bytes::Bytes;

use crate::{ObjectRef, Status, Tag, Timestamp};

/// Tells two writes of one key apart. A store never hands out the same version twice, also not
/// after a delete, and later writes have greater ones: that is what makes it a fencing token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A small record.
    Record(Bytes),
    /// A counter.
    Count(i64),
}

/// What an entry can be found by. All of it is derivable from the record; stores may index it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The function's name.
    pub function: Option<String>,
    /// How the execution ended.
    pub status: Option<Status>,
    /// The tags.
    pub tags: Vec<Tag>,
    /// Entries that belong together, such as all commits of one fingerprint: the first eight
    /// bytes of what they share. Two groups may collide; whoever scans compares the whole.
    pub group: Option<u64>,
    /// When it happened; the store's own clock where absent.
    pub time: Option<Timestamp>,
}

/// An entry to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// What it holds.
    pub value: Value,
    /// The object it refers to: [`Store::get`](crate::Store::get) may attach its bytes.
    pub object: Option<ObjectRef>,
    /// What it can be found by.
    pub labels: Labels,
    /// After this long by the store's clock it is absent.
    pub ttl: Option<Duration>,
}

impl NewEntry {
    /// A record without labels, object or end.
    pub fn record(bytes: impl Into<Bytes>) -> Self {
        Self {
            value: Value::Record(bytes.into()),
            object: None,
            labels: Labels::default(),
            ttl: None,
        }
    }
}

/// An entry as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which write this is.
    pub version: Version,
    /// What it holds.
    pub value: Value,
    /// The object it refers to.
    pub object: Option<ObjectRef>,
    /// The object's bytes, unverified, where the store had them at hand. Their absence means nothing.
    pub attached: Option<Bytes>,
    /// What it can be found by; `time` is always there. A store without the `indexed` capability
    /// may leave the rest empty.
    pub labels: Labels,
    /// When it was last read or written, roughly: see [`Op::Touch`](crate::Op::Touch).
    pub used: Timestamp,
    /// How long it has left, where it ends at all.
    pub ttl: Option<Duration>,
}

impl Entry {
    /// The record's bytes; `None` for a counter.
    pub fn record(&self) -> Option<&Bytes> {
        match &self.value {
            Value::Record(bytes) => Some(bytes),
            Value::Count(_) => None,
        }
    }

    /// The count; `None` for a record.
    pub fn count(&self) -> Option<i64> {
        match self.value {
            Value::Record(_) => None,
            Value::Count(count) => Some(count),
        }
    }
}
