//! An entry as bytes, for servers that have no columns for it. Format 1: one byte, then postcard.
//!
//! What a server keeps by itself (when an entry was used, how long it has left) is not in it. A later format gets another
//! first byte; what cannot be read is [`Kind::Corrupt`], for the engine a miss.

use std::time::Duration;

use crate::{
    Bytes, Entry, Error, Kind, Labels, NewEntry, ObjectRef, Result, Status, Tag, Timestamp, Value,
    Version,
};
use serde::{Deserialize, Serialize};

/// The first byte.
const FORMAT: u8 = 1;

/// An entry on its way to or from a server.
///
/// ```
/// use afresh_core::{NewEntry, Stored, Timestamp, Version};
///
/// let stored = Stored::new(NewEntry::record("42"), Version(7), Timestamp::from_millis(0));
/// let again = Stored::decode(&stored.encode()?)?;
/// assert_eq!(again.version(), Version(7));
/// # Ok::<(), afresh_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    version: u64,
    record: Option<Vec<u8>>,
    count: i64,
    object: Option<ObjectRef>,
    function: Option<String>,
    status: Option<Status>,
    tags: Vec<Tag>,
    group: Option<u64>,
    time: Timestamp,
}

impl Stored {
    /// What `entry` is stored as. `now` is the server's time, for an entry that brings none.
    pub fn new(entry: NewEntry, version: Version, now: Timestamp) -> Self {
        let Labels { function, status, mut tags, group, time } = entry.labels;
        tags.sort();
        tags.dedup();
        let (record, count) = match entry.value {
            Value::Record(bytes) => (Some(bytes.to_vec()), 0),
            Value::Count(count) => (None, count),
        };
        Self {
            version: version.0,
            record,
            count,
            object: entry.object,
            function,
            status,
            tags,
            group,
            time: time.unwrap_or(now),
        }
    }

    /// Which write this is.
    pub fn version(&self) -> Version {
        Version(self.version)
    }

    /// The entry as the rest of afresh knows it.
    pub fn entry(self, used: Timestamp, ttl: Option<Duration>) -> Entry {
        Entry {
            version: Version(self.version),
            value: self
                .record
                .map_or(Value::Count(self.count), |record| Value::Record(record.into())),
            object: self.object,
            attached: None,
            labels: Labels {
                function: self.function,
                status: self.status,
                tags: self.tags,
                group: self.group,
                time: Some(self.time),
            },
            used,
            ttl,
        }
    }

    /// The stored bytes.
    ///
    /// # Errors
    /// [`Kind::Codec`] if the encoder refuses, which it does not for these types.
    pub fn encode(&self) -> Result<Bytes> {
        postcard::to_extend(self, vec![FORMAT]).map(Bytes::from).map_err(|error| {
            Error::new(Kind::Codec, "an entry could not be encoded").with_source(error)
        })
    }

    /// Reads the stored bytes.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where they are not an entry of a known format.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let corrupt = |why: String| {
            Error::new(Kind::Corrupt, format!("a stored entry cannot be read: {why}"))
        };
        match bytes.split_first() {
            Some((&FORMAT, rest)) => {
                postcard::from_bytes(rest).map_err(|error| corrupt(error.to_string()))
            }
            Some((format, _)) => Err(corrupt(format!("format {format} is not known"))),
            None => Err(corrupt("it is empty".to_owned())),
        }
    }
}
