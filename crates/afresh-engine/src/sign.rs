//! Signing answers, so that nothing is loaded that a holder of the secret did not publish.
//!
//! The algorithm is fixed (BLAKE3 keyed mode under a key derived from the secret), never named by stored
//! data. What is signed is *which output answers which fingerprint through which codec*: an output cannot be
//! swapped for another signed one. An old signed answer of the same fingerprint can be put back; that is
//! what a ttl is for.

use std::fmt;

use afresh_core::{Fingerprint, FunctionId, ObjectId, fp1};

use crate::accepted::Accept;

/// What the signature of a statement about an edit begins with, where that of an answer has a fingerprint.
const ACCEPT: &[u8] = b"afresh/accept/1\n";
const CONTEXT: &str = "afresh 2026-11-21 signature of an answer v1";

/// A key made of a secret text. The text itself is not kept.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The key for `secret`.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self(blake3::derive_key(CONTEXT, secret.as_ref()))
    }

    /// A key for another purpose, which `context` names.
    pub fn derive(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.0)
    }

    pub(crate) fn sign(&self, claim: &Claim<'_>) -> [u8; 32] {
        *self.mac(claim).as_bytes()
    }

    pub(crate) fn verifies(&self, signature: Option<&[u8; 32]>, claim: &Claim<'_>) -> bool {
        // The comparison of `blake3::Hash` takes the same time for all inputs.
        signature.is_some_and(|found| self.mac(claim) == *found)
    }

    /// Signs that a function under one digest answers as under another.
    pub(crate) fn sign_accept(
        &self,
        function: &str,
        new: &FunctionId,
        old: &FunctionId,
    ) -> [u8; 32] {
        *self.mac_accept(function, new, old).as_bytes()
    }

    pub(crate) fn verifies_accept(&self, function: &str, accept: &Accept) -> bool {
        let found = accept.signature.as_ref();
        found.is_some_and(|found| self.mac_accept(function, &accept.new, &accept.old) == *found)
    }

    fn mac_accept(&self, function: &str, new: &FunctionId, old: &FunctionId) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(ACCEPT);
        hasher.update(&(function.len() as u64).to_le_bytes());
        hasher.update(function.as_bytes());
        hasher.update(new.as_bytes());
        hasher.update(old.as_bytes());
        hasher.finalize()
    }

    fn mac(&self, claim: &Claim<'_>) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(claim.fingerprint.as_bytes());
        hasher.update(&(claim.codec.len() as u64).to_le_bytes());
        hasher.update(claim.codec.as_bytes());
        hasher.update(claim.output.as_bytes());
        if let Some(value) = claim.value {
            hasher.update(&value.0);
        }
        hasher.finalize()
    }
}

/// What is signed: this output, which is this value, answers this fingerprint through this codec.
pub(crate) struct Claim<'a> {
    pub(crate) fingerprint: &'a Fingerprint,
    pub(crate) codec: &'a str,
    pub(crate) output: &'a ObjectId,
    pub(crate) value: Option<&'a fp1::Digest>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
