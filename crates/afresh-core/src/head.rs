//! A fingerprint's current answer: the small mutable record that a look-up reads.
//!
//! Stored as one format byte ([`HEAD_FORMAT`]) and the postcard encoding of the fields in order.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{CommitId, Error, Kind, ObjectRef, Result, Timestamp, fp1};

/// The first byte of an encoded head.
pub const HEAD_FORMAT: u8 = 1;

/// What a head usually takes beside its bytes.
const USUAL: usize = 160;

/// Which commit answers for a fingerprint now, and what is needed to judge and load it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The commit.
    pub commit: CommitId,
    /// When the execution began; orders rival answers.
    pub started: Timestamp,
    /// When the answer was made; freshness is judged from here.
    pub created: Timestamp,
    /// How long the execution took, in microseconds.
    pub took_us: u64,
    /// How long the answer was meant to last, in milliseconds, where the writer said so.
    pub ttl_ms: Option<u64>,
    /// The codec of the output, such as `pickle`.
    pub codec: String,
    /// Keyed digest of fingerprint, codec and output; see `docs/format.md`.
    pub signature: Option<[u8; 32]>,
    /// The canonical digest of the value, as in its commit.
    pub value: Option<fp1::Digest>,
    /// The output.
    pub object: ObjectRef,
    /// The output's bytes, where they are few: then there is no object in the store.
    pub inline: Option<Vec<u8>>,
}

impl Head {
    /// The stored form.
    ///
    /// # Errors
    /// [`Kind::Codec`] if the encoder refuses, which it does not for these types.
    pub fn encode(&self) -> Result<Bytes> {
        let mut bytes = Vec::with_capacity(USUAL + self.inline.as_ref().map_or(0, Vec::len));
        bytes.push(HEAD_FORMAT);
        postcard::to_extend(self, bytes).map(Bytes::from).map_err(|error| {
            Error::new(Kind::Codec, "a head could not be encoded").with_source(error)
        })
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where the bytes are not a head of a known format.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        crate::commit::decode(bytes, HEAD_FORMAT, "head")
    }
}
