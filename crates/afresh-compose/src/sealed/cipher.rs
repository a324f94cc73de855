//! Keys, and what is done with them. The algorithm is fixed; stored bytes name none.

use std::fmt;

use afresh_core::{Error, Kind, Labels, ObjectId, Result, Scan, Tag};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key as CipherKey, XChaCha20Poly1305, XNonce};

use super::corrupt;

/// The first byte of what is sealed.
const FORMAT: u8 = 1;

/// Bytes of a nonce.
const NONCE: usize = 24;

/// How much longer sealed bytes are.
pub(super) const OVERHEAD: usize = 1 + NONCE + 16;

const RECORDS: &str = "afresh 2026-11-21 encryption of records v1";
const OBJECTS: &str = "afresh 2026-11-21 encryption of objects v1";
const NONCES: &str = "afresh 2026-11-21 nonces of objects v1";
const LABELS: &str = "afresh 2026-11-21 digests of labels v1";

/// Keys made of a secret text. The text itself is not kept.
#[derive(Clone)]
pub struct SealingKey {
    records: XChaCha20Poly1305,
    objects: XChaCha20Poly1305,
    nonces: [u8; 32],
    labels: [u8; 32],
}

impl SealingKey {
    /// The keys for `secret`.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        let cipher = |context| {
            let key: [u8; 32] = blake3::derive_key(context, secret.as_ref());
            XChaCha20Poly1305::new(&CipherKey::from(key))
        };
        Self {
            records: cipher(RECORDS),
            objects: cipher(OBJECTS),
            nonces: blake3::derive_key(NONCES, secret.as_ref()),
            labels: blake3::derive_key(LABELS, secret.as_ref()),
        }
    }

    /// A record, bound to its name, under a nonce of chance.
    pub(super) fn seal(&self, name: &[u8], record: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|error| {
            Error::new(Kind::Unavailable, "the system gives no random bytes").with_source(error)
        })?;
        encrypt(&self.records, nonce, name, record)
    }

    /// The record again.
    pub(super) fn open(&self, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        decrypt(&self.records, name, sealed)
    }

    /// An object. Its nonce is made of its digest: the same one occurs only with the same bytes.
    pub(super) fn seal_object(&self, id: &ObjectId, bytes: &[u8]) -> Result<Vec<u8>> {
        let digest = blake3::keyed_hash(&self.nonces, id.as_bytes());
        let nonce = digest.as_bytes().first_chunk::<NONCE>().copied().unwrap_or_default();
        encrypt(&self.objects, nonce, id.as_bytes(), bytes)
    }

    /// The object again.
    pub(super) fn open_object(&self, id: &ObjectId, sealed: &[u8]) -> Result<Vec<u8>> {
        decrypt(&self.objects, id.as_bytes(), sealed)
    }

    fn hidden(&self, kind: u8, text: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.labels).update(&[kind]).update(text).finalize()
    }

    fn text(&self, kind: u8, text: &str) -> String {
        self.hidden(kind, text.as_bytes()).to_hex().chars().take(32).collect()
    }

    fn group(&self, group: u64) -> u64 {
        let digest = self.hidden(b'g', &group.to_le_bytes());
        u64::from_le_bytes(digest.as_bytes().first_chunk().copied().unwrap_or_default())
    }

    fn tag(&self, tag: &Tag) -> Tag {
        let value = tag.value.as_ref().map(|value| self.text(b'v', value));
        Tag { key: self.text(b'k', &tag.key), value }
    }

    /// What the server may find an entry by.
    pub(super) fn labels(&self, labels: &Labels) -> Labels {
        Labels {
            function: labels.function.as_ref().map(|name| self.text(b'f', name)),
            status: labels.status,
            tags: labels.tags.iter().map(|tag| self.tag(tag)).collect(),
            group: labels.group.map(|group| self.group(group)),
            time: labels.time,
        }
    }

    /// The scan that finds them.
    pub(super) fn scan(&self, scan: &Scan) -> Scan {
        let mut hidden = scan.clone();
        hidden.function = scan.function.as_ref().map(|name| self.text(b'f', name));
        hidden.tags = scan.tags.iter().map(|tag| self.tag(tag)).collect();
        hidden.group = scan.group.map(|group| self.group(group));
        hidden
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey")
    }
}

fn encrypt(
    cipher: &XChaCha20Poly1305,
    nonce: [u8; NONCE],
    name: &[u8],
    bytes: &[u8],
) -> Result<Vec<u8>> {
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), Payload { msg: bytes, aad: name })
        .map_err(|_| Error::new(Kind::TooLarge, "more bytes than can be encrypted at once"))?;
    Ok([&[FORMAT], nonce.as_slice(), &sealed].concat())
}

fn decrypt(cipher: &XChaCha20Poly1305, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
    let Some((&FORMAT, rest)) = sealed.split_first() else {
        return Err(corrupt("it is not sealed in a known format"));
    };
    let Some((nonce, sealed)) = rest.split_first_chunk::<NONCE>() else {
        return Err(corrupt("it is too short to be sealed"));
    };
    let opened = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: name });
    opened.map_err(|_| corrupt("it was not sealed with our secret, or was changed"))
}
