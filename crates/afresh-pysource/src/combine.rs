//! `id1`: how the digests of components are joined to the digest of a function.

/// The digest of a kind and some parts, each preceded by its length.
///
/// ```
/// use afresh_pysource::combine;
/// assert_ne!(combine("source", [&b"ab"[..], b"c"]), combine("source", [&b"a"[..], b"bc"]));
/// ```
pub fn combine<'a>(kind: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"afresh/id1\n");
    hasher.update(&(kind.len() as u64).to_le_bytes());
    hasher.update(kind.as_bytes());
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
