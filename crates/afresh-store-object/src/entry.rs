//! What is stored for an entry, and under what name. Specified in `docs/format-store-object.md`.
//!
//! A removed entry leaves a tombstone with its version, so that whoever writes next has a greater one; every body has
//! random bytes of its own, so that no two writes have the same entity tag and a writer knows its own again.
//!
//! Invariant: a body of [`TOMBSTONE`] bytes is a tombstone, and nothing else has that length: a list, which tells only
//! lengths, can tell them apart.

use std::hash::{BuildHasher, Hasher, RandomState};

use afresh_core::{
    Bytes, Entry, Error, Key, Kind, NewEntry, ObjectId, Result, Space, Timestamp, Value, Version,
};
use afresh_remote::Stored;
use serde::{Deserialize, Serialize};

/// The length of a tombstone: a byte, the version, the random bytes.
pub(crate) const TOMBSTONE: u64 = 1 + 8 + 16;

/// Keys up to this length are spelled out in the name; of longer ones only their beginning is.
const SPELLED: usize = 100;

/// How much of a longer key is spelled out.
const BEGINNING: usize = 80;

/// The entry holds only while this key has this version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guard {
    space: u8,
    key: Vec<u8>,
    version: Option<u64>,
}

impl Guard {
    pub(crate) fn new(key: &Key, version: Option<Version>) -> Self {
        Self {
            space: key.space().number(),
            key: key.bytes().to_vec(),
            version: version.map(|version| version.0),
        }
    }

    pub(crate) fn key(&self) -> Result<Key> {
        let space = Space::from_number(self.space).ok_or_else(|| corrupt("an unknown space"))?;
        Key::new(space, self.key.clone())
    }

    pub(crate) fn version(&self) -> Option<Version> {
        self.version.map(Version)
    }
}

/// What is there under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// It was removed; this was the version of that.
    Tombstone(Version),
    /// An entry.
    Row(Row),
}

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) stored: Stored,
    pub(crate) used: Timestamp,
    pub(crate) end: Option<Timestamp>,
    /// Not empty only between the first write of an answer and its confirmation.
    pub(crate) guards: Vec<Guard>,
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

    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        self.end.is_none_or(|end| end > now)
    }

    /// The entry that a caller sees.
    pub(crate) fn entry(&self, now: Timestamp) -> Entry {
        self.stored.clone().entry(self.used, self.end.map(|end| end.since(now)))
    }
}

impl Body {
    pub(crate) fn version(&self) -> Version {
        match self {
            Self::Tombstone(version) => *version,
            Self::Row(row) => row.stored.version(),
        }
    }

    /// The row, unless it is over.
    pub(crate) fn live(&self, now: Timestamp) -> Option<&Row> {
        match self {
            Self::Row(row) if row.lives(now) => Some(row),
            _ => None,
        }
    }

    /// The stored bytes, other ones each time.
    pub(crate) fn encode(&self) -> Result<Bytes> {
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

    /// Reads the stored bytes of an entry of `space`.
    pub(crate) fn decode(space: Space, bytes: &[u8]) -> Result<Self> {
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

fn corrupt(why: &str) -> Error {
    Error::new(Kind::Corrupt, format!("a stored entry cannot be read: {why}"))
}

/// The folder of a space.
pub(crate) fn folder(space: Space) -> &'static str {
    match space {
        Space::Head => "head",
        Space::Commit => "commit",
        Space::Lease => "lease",
        Space::Count => "count",
        Space::Named => "named",
    }
}

/// The name of a key within its folder.
pub(crate) fn name(key: &[u8]) -> String {
    match key.get(..BEGINNING) {
        Some(beginning) if key.len() > SPELLED => {
            let digest = ObjectId::of(key);
            format!("k{}-{}", hex(beginning), hex(digest.as_bytes()))
        }
        _ => format!("k{}", hex(key)),
    }
}

/// What the names of all keys that begin with `prefix` begin with.
pub(crate) fn common(prefix: &[u8]) -> String {
    format!("k{}", hex(prefix.get(..BEGINNING).unwrap_or(prefix)))
}

/// A text that is not less than the names before those that begin with `stem`, and less than those.
pub(crate) fn before(stem: &str) -> String {
    let mut text = stem.to_owned();
    // After all digits there is room up to the next one.
    match text.pop() {
        None | Some('0') => {}
        Some('a') => text.push_str("9z"),
        Some(last) => {
            text.extend(char::from_u32(u32::from(last).saturating_sub(1)));
            text.push('z');
        }
    }
    text
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_prefixes_and_fit_in_a_file_name() {
        for len in [0, 1, 79, 80, 81, 100, 101, 512] {
            let key: Vec<u8> = (0..len).map(|n| (n % 256) as u8).collect();
            assert!(name(&key).len() <= 240, "{len}");
            for prefix in 0..=len {
                let common = common(&key[..prefix]);
                assert!(name(&key).starts_with(&common), "{prefix} of {len}");
                assert!(before(&common) < name(&key));
            }
        }
        assert!(before("k62") > name(b"a\xff\xff"));
        assert!(before("k6a") > name(b"\x69\xff") && before("k6a") < name(b"\x6a"));
        assert!(before("k60") > name(b"\x5f\xff") && before("k60") < name(b"\x60"));
        assert_ne!(name(&[1; 101]), name(&[1; 102]));
    }

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
}
