//! Where a mutable record lives: a space and a short byte string.

use std::fmt;

use bytes::Bytes;

use crate::{CommitId, Error, Fingerprint, Kind, Result};

/// The longest key, in bytes. Every backend can hold a key of this length in an index.
pub const MAX_KEY: usize = 512;

/// The kinds of record. A key means something only within its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Space {
    /// A fingerprint's current answer.
    Head = 1,
    /// The record of one execution, by commit id.
    Commit = 2,
    /// The right to compute one fingerprint.
    Lease = 3,
    /// A number.
    Count = 4,
    /// A named value.
    Named = 5,
}

impl Space {
    /// Every space, in the order of its number.
    pub const ALL: [Self; 5] = [Self::Head, Self::Commit, Self::Lease, Self::Count, Self::Named];

    /// The space's number in stored formats.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The space with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|space| space.number() == number)
    }
}

/// The name of an entry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    space: Space,
    bytes: Bytes,
}

impl Key {
    /// The key `bytes` in `space`.
    ///
    /// # Errors
    /// [`Kind::TooLarge`] above [`MAX_KEY`] bytes.
    pub fn new(space: Space, bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.len() > MAX_KEY {
            return Err(Error::new(
                Kind::TooLarge,
                format!("a key of {} bytes; keys have at most {MAX_KEY}", bytes.len()),
            ));
        }
        Ok(Self { space, bytes })
    }

    /// The key of a fingerprint's current answer.
    pub fn head(fingerprint: &Fingerprint) -> Self {
        Self { space: Space::Head, bytes: Bytes::copy_from_slice(fingerprint.as_bytes()) }
    }

    /// The key of a commit.
    pub fn commit(id: &CommitId) -> Self {
        Self { space: Space::Commit, bytes: Bytes::copy_from_slice(id.as_bytes()) }
    }

    /// The key of the right to compute a fingerprint.
    pub fn lease(fingerprint: &Fingerprint) -> Self {
        Self { space: Space::Lease, bytes: Bytes::copy_from_slice(fingerprint.as_bytes()) }
    }

    /// The counter with this (short, constant) name.
    pub fn count(name: &'static str) -> Self {
        Self { space: Space::Count, bytes: Bytes::from_static(name.as_bytes()) }
    }

    /// The space.
    pub fn space(&self) -> Space {
        self.space
    }

    /// The bytes within the space.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/", self.space)?;
        match std::str::from_utf8(&self.bytes) {
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => f.write_str(text),
            _ => self.bytes.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}
