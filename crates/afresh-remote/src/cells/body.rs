//! What is kept for an entry: the entry, or a tombstone with the version of its removal; and both as bytes.
//!
//! Invariant: a body of [`TOMBSTONE`] bytes is a tombstone, and nothing else has that length: a list, which tells only
//! lengths, can tell them apart. No two writes have the same bytes, so that a writer knows its own again. A tombstone
//! stays long enough that whoever writes next finds a version to be greater than; how long is the store's to know.

use std::hash::{BuildHasher, Hasher, RandomState};

use afresh_core::{
    Bytes, Entry, Error, Key, Kind, NewEntry, Result, Space, Timestamp, Value, Version,
};
use serde::{Deserialize, Serialize};

use crate::Stored;

/// The length of a tombstone: a byte, the version, the random bytes.
pub const TOMBSTONE: u64 = 1 + 8 + 16;

/// The entry holds only while this key has this version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    space: u8,
    key: Vec<u8>,
    version: Option<u64>,
}

impl Guard {
    /// That `key` has `version`, or is absent.
    pub fn new(key: &Key, version: Option<Version>) -> Self {
        Self {
            space: key.space().number(),
            key: key.bytes().to_vec(),
            version: version.map(|version| version.0),
        }
    }

    /// Which key.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where it was read from bytes that are none.
    pub fn key(&self) -> Result<Key> {
        let space = Space::from_number(self.space).ok_or_else(|| corrupt("an unknown space"))?;
        Key::new(space, self.key.clone())
    }

    /// Its version; `None` where it is absent.
    pub fn version(&self) -> Option<Version> {
        self.version.map(Version)
    }
}

/// What is there under a key.
#[allow(clippy::large_enum_variant, reason = "one at a time, on its way to a server")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// It was removed; this was the version of that.
    Tombstone(Version),
    /// An entry.
    Row(Row),
}

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Key,
    /// Version, value and labels.
    pub stored: Stored,
    /// When it was last used or written.
    pub used: Timestamp,
    /// From when on it is absent.
    pub end: Option<Timestamp>,
    /// Not empty only between the first write of an answer and its confirmation.
    pub guards: Vec<Guard>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    key: Vec<u8>,
    used: Timestamp,
    end: Option<Timestamp>,
    guards: Vec<Guard>,
    stored: Vec<u8>,
}

impl Row {
    /// The row of a new entry.
    pub(crate) fn new(key: &Key, mut entry: NewEntry, version: Version, now: Timestamp) -> Self {
        entry.labels.tags.sort();
        entry.labels.tags.dedup();
        let end = entry.ttl.map(|ttl| now.after(ttl));
        let stored = Stored::new(entry, version, now);
        Self { key: key.clone(), stored, used: now, end, guards: Vec::new() }
    }

    /// The same with another number.
    pub(crate) fn counted(&self, count: i64, version: Version, now: Timestamp) -> Self {
        let Entry { object, labels, .. } = self.entry(now);
        let entry = NewEntry { value: Value::Count(count), object, labels, ttl: None };
        Self { end: self.end, ..Self::new(&self.key, entry, version, now) }
    }

    /// Whether it is there at that time.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.end.is_none_or(|end| end > now)
    }

    /// The entry that a caller sees.
    pub fn entry(&self, now: Timestamp) -> Entry {
        self.stored.clone().entry(self.used, self.end.map(|end| end.since(now)))
    }
}

impl Body {
    /// Which write it is.
    pub fn version(&self) -> Version {
        match self {
            Self::Tombstone(version) => *version,
            Self::Row(row) => row.stored.version(),
        }
    }

    /// The row, unless it is over.
    pub fn live(&self, now: Timestamp) -> Option<&Row> {
        match self {
            Self::Row(row) if row.lives(now) => Some(row),
            _ => None,
        }
    }

    /// The stored bytes, other ones each time.
    ///
    /// # Errors
    /// [`Kind::Codec`] if the encoder refuses, which it does not for these types.
    pub fn encode(&self) -> Result<Bytes> {
        let mut bytes = vec![u8::from(matches!(self, Self::Row(_)))];
        bytes.extend(self.version().0.to_be_bytes());
        for _ in 0..2 {
            bytes.extend(random().to_be_bytes());
        }
        let Self::Row(row) = self else { return Ok(bytes.into()) };
        let written = Written {
            key: row.key.bytes().to_vec(),
            used: row.used,
            end: row.end,
            guards: row.guards.clone(),
            stored: row.stored.encode()?.to_vec(),
        };
        let bytes = postcard::to_extend(&written, bytes).map_err(|error| {
            Error::new(Kind::Codec, "an entry could not be encoded").with_source(error)
        })?;
        Ok(bytes.into())
    }

    /// What the bytes that are stored under `key` are. What cannot be read, or is another key's, counts as removed: it is
    /// absent to everybody, and whoever puts an entry puts it over this.
    pub fn found(key: &Key, bytes: &[u8]) -> Self {
        let body = match Self::decode(key.space(), bytes) {
            Ok(Self::Row(row)) if row.key != *key => Err(corrupt("it is another key's")),
            body => body,
        };
        body.unwrap_or_else(|error| {
            damaged(&error);
            Self::Tombstone(Version(0))
        })
    }

    /// Reads the stored bytes of an entry of `space`.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where they are not a body of a known format.
    pub fn decode(space: Space, bytes: &[u8]) -> Result<Self> {
        let (kind, rest) = bytes.split_first().ok_or_else(|| corrupt("it is empty"))?;
        let (version, rest) =
            rest.split_first_chunk::<8>().ok_or_else(|| corrupt("it is short"))?;
        let rest = rest.get(16..).ok_or_else(|| corrupt("it is short"))?;
        match kind {
            0 => Ok(Self::Tombstone(Version(u64::from_be_bytes(*version)))),
            1 => {
                let written: Written =
                    postcard::from_bytes(rest).map_err(|error| corrupt(&error.to_string()))?;
                Ok(Self::Row(Row {
                    key: Key::new(space, written.key)?,
                    stored: Stored::decode(&written.stored)?,
                    used: written.used,
                    end: written.end,
                    guards: written.guards,
                }))
            }
            kind => Err(corrupt(&format!("format {kind} is not known"))),
        }
    }
}

/// Eight bytes that nobody else has.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Says that there is something that nobody can read: always in the same words, so that a person is told once.
pub fn damaged(error: &Error) {
    tracing::warn!(%error, "what cannot be read counts as absent");
}

fn corrupt(why: &str) -> Error {
    Error::new(Kind::Corrupt, format!("a stored entry cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back_and_tombstones_have_their_length() {
        let key = Key::new(Space::Named, "k").unwrap();
        let now = Timestamp::from_millis(5);
        let row = Row::new(&key, NewEntry::record(""), Version(9), now);
        let guards = vec![Guard::new(&Key::count("n"), Some(Version(3)))];
        for body in
            [Body::Tombstone(Version(7)), Body::Row(row.clone()), Body::Row(Row { guards, ..row })]
        {
            let bytes = body.encode().unwrap();
            assert_eq!(Body::decode(Space::Named, &bytes).unwrap(), body);
            assert_eq!(bytes.len() as u64 == TOMBSTONE, matches!(body, Body::Tombstone(_)));
            assert_ne!(body.encode().unwrap(), bytes, "no two writes are the same");
        }
        assert_eq!(Body::decode(Space::Named, b"\x07 what?").unwrap_err().kind(), Kind::Corrupt);
    }

    #[test]
    fn what_is_not_this_key_s_counts_as_removed() {
        let (key, other) = (Key::count("n"), Key::count("m"));
        let row = Row::new(&key, NewEntry::record(""), Version(9), Timestamp::from_millis(5));
        let bytes = Body::Row(row.clone()).encode().unwrap();
        let removed = Body::Tombstone(Version(0));
        assert_eq!(Body::found(&key, &bytes), Body::Row(row));
        assert_eq!(Body::found(&other, &bytes), removed);
        for garbage in [&b""[..], b"what?", &[1; 300], &bytes[..bytes.len() - 1]] {
            assert_eq!(Body::found(&key, garbage), removed);
        }
    }
}
