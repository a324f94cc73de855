//! Values as records of a store: see "Key-value entries" in docs/format.md.
//!
//! With a secret a record says nothing unless it is signed: for this name, these tags, this codec and these bytes.

use afresh::{Bytes, Error, Kind, Result};
use serde::{Deserialize, Serialize};

const FORMAT: u8 = 1;
const CONTEXT: &str = "afresh 2026-11-21 signature of a key-value entry v1";

/// A record, its bytes borrowed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record<'a> {
    pub(crate) codec: &'a str,
    /// The name, where the key has only its digest.
    pub(crate) name: Option<&'a str>,
    pub(crate) marks: Vec<(String, i64)>,
    pub(crate) signature: Option<[u8; 32]>,
    pub(crate) data: &'a [u8],
}

/// The key for signatures, made of a secret.
#[derive(Clone)]
pub(crate) struct Seal([u8; 32]);

impl Seal {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(blake3::derive_key(CONTEXT, secret))
    }

    fn mac(&self, key: &[u8], record: &Record<'_>) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(key);
        part(record.codec.as_bytes());
        part(record.name.unwrap_or("").as_bytes());
        for (tag, epoch) in &record.marks {
            part(tag.as_bytes());
            part(&epoch.to_le_bytes());
        }
        part(record.data);
        hasher.finalize()
    }
}

impl<'a> Record<'a> {
    pub(crate) fn encode(mut self, key: &[u8], seal: Option<&Seal>) -> Result<Bytes> {
        self.signature = seal.map(|seal| *seal.mac(key, &self).as_bytes());
        let bytes = postcard::to_extend(&self, vec![FORMAT]).map_err(|error| {
            Error::new(Kind::Codec, "a value could not be put into a record").with_source(error)
        })?;
        Ok(bytes.into())
    }

    /// The record; `None` where it is of another format, damaged, or not signed with our secret.
    pub(crate) fn decode(key: &[u8], bytes: &'a [u8], seal: Option<&Seal>) -> Option<Self> {
        let Some((&FORMAT, rest)) = bytes.split_first() else { return None };
        let record: Self = postcard::from_bytes(rest).ok()?;
        let trusted = seal.is_none_or(|seal| {
            // The comparison of `blake3::Hash` takes the same time for all inputs.
            record.signature.is_some_and(|found| seal.mac(key, &record) == found)
        });
        trusted.then_some(record)
    }
}
