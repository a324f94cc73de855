//! `fp1`: the canonical digest of values and calls, the same in every language.
//!
//! A value is written as a sequence of *tokens* into an [`Encoder`]; the digest is BLAKE3 over the
//! domain line `afresh/fp1/value\n` and the tokens. Every token begins with a tag byte, and everything
//! of variable length is preceded by its length, so neither nesting nor concatenation nor type can
//! collide. Unordered containers are written as the sorted digests of their members. A nested value
//! whose tokens are longer than [`INLINE`] is written as its digest: so the memory needed does not
//! grow with the value, and what is shared need be digested only once without being told apart from
//! copies. The [`Encoder`] counts the values that were announced and does this by itself. The
//! encoding is specified, with test vectors, in `docs/format.md`; a change is a new scheme, never an
//! edit.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::hexadecimal;
use crate::{Fingerprint, FunctionId};

/// What precedes the tokens of a value in the input of its digest.
pub const VALUE: &[u8] = b"afresh/fp1/value\n";
/// The longest that the tokens of a nested value may be; a longer one is written as its digest.
pub const INLINE: usize = 1024;
/// Tokens waiting to be hashed beyond this are hashed.
const WAITING: usize = 1 << 16;
const CALL: &[u8] = b"afresh/fp1/call\n";

/// The digest of a value under `fp1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(")?;
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// The tag bytes of the tokens.
pub mod tag {
    #![allow(missing_docs, reason = "the table in docs/format.md says what each means")]
    pub const NONE: u8 = b'N';
    pub const FALSE: u8 = b'F';
    pub const TRUE: u8 = b'T';
    pub const INT: u8 = b'i';
    pub const FLOAT: u8 = b'f';
    pub const COMPLEX: u8 = b'c';
    pub const STR: u8 = b's';
    pub const BYTES: u8 = b'b';
    pub const LIST: u8 = b'[';
    pub const TUPLE: u8 = b'(';
    pub const SET: u8 = b'{';
    pub const FROZENSET: u8 = b'<';
    pub const DICT: u8 = b'd';
    pub const ARRAY: u8 = b'a';
    pub const NODE: u8 = b'#';
    pub const BACK: u8 = b'^';
    pub const DIGEST: u8 = b'=';
    pub const OPAQUE: u8 = b'?';
}

/// Writes a value's tokens.
///
/// ```
/// use afresh_core::fp1::Encoder;
/// let mut one = Encoder::new();
/// one.int(1);
/// let mut text = Encoder::new();
/// text.str("1");
/// assert_ne!(one.finish(), text.finish());
/// ```
#[derive(Clone, Debug)]
pub struct Encoder {
    buffer: Vec<u8>,
    open: Vec<Open>,
    whole: Option<Digest>,
    collapsed: Vec<(usize, Digest)>,
}

/// A container of which not all announced values were written yet.
#[derive(Clone, Debug)]
struct Open {
    start: usize,
    remaining: usize,
    hashed: Option<Box<blake3::Hasher>>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder at the start of a value.
    pub fn new() -> Self {
        let mut buffer = Vec::with_capacity(128);
        buffer.extend_from_slice(VALUE);
        Self { buffer, open: Vec::new(), whole: None, collapsed: Vec::new() }
    }

    /// The digest of what was written.
    #[inline]
    pub fn finish(&self) -> Digest {
        match self.whole {
            Some(digest) => digest,
            None => Digest(*blake3::hash(&self.buffer).as_bytes()),
        }
    }

    /// Begins a new value in the same memory.
    #[inline]
    pub fn clear(&mut self) {
        self.buffer.truncate(VALUE.len());
        self.open.clear();
        self.whole = None;
        self.collapsed.clear();
    }

    /// Whether what was written is too long to stand inside another value.
    pub fn is_long(&self) -> bool {
        self.whole.is_some() || self.buffer.len() - VALUE.len() > INLINE
    }

    /// How many containers are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The digest that was written for the value just completed inside `depth` containers, if it
    /// was too long to stand there.
    pub fn collapsed(&self, depth: usize) -> Option<Digest> {
        self.collapsed.iter().find(|(at, _)| *at == depth).map(|(_, digest)| *digest)
    }

    /// A value that was digested elsewhere and is too long to stand inside another; the same as
    /// writing it.
    pub fn hashed(&mut self, digest: &Digest) {
        if self.open.is_empty() {
            self.whole = Some(*digest);
        } else {
            self.digest(digest);
        }
    }

    /// Where the next token begins.
    pub fn position(&self) -> usize {
        self.buffer.len()
    }

    /// The tokens of the value that was completed just now, began at `position` and stands inside
    /// `depth` containers; nothing if it is too long to stand inside another value or is part of
    /// one that was.
    pub fn tokens(&self, position: usize, depth: usize) -> Option<&[u8]> {
        let gone = self.whole.is_some() || self.collapsed.iter().any(|(at, _)| *at <= depth);
        let tokens = self.buffer.get(position..).filter(|_| !gone)?;
        (tokens.len() <= INLINE).then_some(tokens)
    }

    /// The [`tokens`](Self::tokens) of a value that was written before.
    pub fn again(&mut self, tokens: &[u8]) {
        self.buffer.extend_from_slice(tokens);
        self.wrote();
    }

    fn sized(&mut self, tag: u8, bytes: &[u8]) {
        let nested = !self.open.is_empty();
        if bytes.len() > if nested { INLINE - 9 } else { WAITING } {
            let mut hasher = blake3::Hasher::new();
            hasher.update(VALUE).update(&[tag]).update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
            return self.hashed(&Digest(*hasher.finalize().as_bytes()));
        }
        self.buffer.push(tag);
        self.length(bytes.len());
        self.buffer.extend_from_slice(bytes);
        self.wrote();
    }

    fn length(&mut self, length: usize) {
        self.buffer.extend_from_slice(&(length as u64).to_le_bytes());
    }

    /// Announces `len` values of a container that began at `start`.
    fn announce(&mut self, start: usize, len: usize) {
        if len == 0 {
            return self.long(start);
        }
        let start = if self.open.is_empty() { 0 } else { start };
        self.open.push(Open { start, remaining: len, hashed: None });
    }

    /// A value was completed that began at `start` and may be too long.
    fn long(&mut self, start: usize) {
        if !self.open.is_empty() && self.buffer.len() - start > INLINE {
            let collapsed = self.collapse(start, None);
            self.wrote();
            self.collapsed.push(collapsed);
        } else {
            self.wrote();
        }
    }

    /// Replaces what was written since `start` by its digest; says how deep that was.
    fn collapse(&mut self, start: usize, hashed: Option<Box<blake3::Hasher>>) -> (usize, Digest) {
        let mut hasher = hashed.unwrap_or_else(|| {
            let mut hasher = Box::new(blake3::Hasher::new());
            hasher.update(VALUE);
            hasher
        });
        hasher.update(self.buffer.get(start..).unwrap_or_default());
        let digest = Digest(*hasher.finalize().as_bytes());
        self.buffer.truncate(start);
        self.buffer.push(tag::DIGEST);
        self.buffer.extend_from_slice(&digest.0);
        (self.open.len(), digest)
    }

    /// A value was completed.
    #[inline]
    fn wrote(&mut self) {
        if !self.open.is_empty() {
            self.count();
        }
    }

    /// One value less is awaited. Whatever is completed by that is itself a value of what it stands in, and so on: a
    /// loop, because values may be nested deeper than the stack is.
    fn count(&mut self) {
        self.collapsed.clear();
        loop {
            let Some(open) = self.open.last_mut() else { return };
            open.remaining = open.remaining.saturating_sub(1);
            if open.remaining > 0 {
                if self.buffer.len() - open.start > WAITING {
                    let nested = open.start > 0;
                    let hasher = open.hashed.get_or_insert_with(|| {
                        let mut hasher = Box::new(blake3::Hasher::new());
                        if nested {
                            hasher.update(VALUE);
                        }
                        hasher
                    });
                    hasher.update(self.buffer.get(open.start..).unwrap_or_default());
                    self.buffer.truncate(open.start);
                }
                return;
            }
            let Some(Open { start, hashed, .. }) = self.open.pop() else { return };
            if self.open.is_empty() {
                if let Some(mut hasher) = hashed {
                    hasher.update(&self.buffer);
                    self.whole = Some(Digest(*hasher.finalize().as_bytes()));
                    self.buffer.clear();
                    self.buffer.extend_from_slice(VALUE);
                }
                return;
            }
            if hashed.is_some() || self.buffer.len() - start > INLINE {
                let collapsed = self.collapse(start, hashed);
                self.collapsed.push(collapsed);
            }
        }
    }

    /// Nothing.
    pub fn none(&mut self) {
        self.buffer.push(tag::NONE);
        self.wrote();
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.buffer.push(if value { tag::TRUE } else { tag::FALSE });
        self.wrote();
    }

    /// An integer of machine size; the same token as [`big_int`](Self::big_int) for the same number.
    pub fn int(&mut self, value: i64) {
        self.big_int(&value.to_le_bytes());
    }

    /// An integer of any size: little-endian two's complement, shortened to the fewest bytes
    /// (none for zero) here.
    pub fn big_int(&mut self, little_endian: &[u8]) {
        self.sized(tag::INT, minimal(little_endian));
    }

    /// A binary64 number. Every NaN is one NaN; `0.0` and `-0.0` differ.
    pub fn float(&mut self, value: f64) {
        self.buffer.push(tag::FLOAT);
        self.bits(value);
        self.wrote();
    }

    /// A complex number, real part first.
    pub fn complex(&mut self, real: f64, imaginary: f64) {
        self.buffer.push(tag::COMPLEX);
        self.bits(real);
        self.bits(imaginary);
        self.wrote();
    }

    fn bits(&mut self, value: f64) {
        let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() };
        self.buffer.extend_from_slice(&bits.to_le_bytes());
    }

    /// Text.
    pub fn str(&mut self, text: &str) {
        self.sized(tag::STR, text.as_bytes());
    }

    /// Text that may hold lone surrogates, as generalised UTF-8 (WTF-8).
    pub fn wtf8(&mut self, bytes: &[u8]) {
        self.sized(tag::STR, bytes);
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.sized(tag::BYTES, bytes);
    }

    /// Begins a list of `len` values, to be written next.
    pub fn list(&mut self, len: usize) {
        let start = self.buffer.len();
        self.buffer.push(tag::LIST);
        self.length(len);
        self.announce(start, len);
    }

    /// Begins a tuple of `len` values, to be written next.
    pub fn tuple(&mut self, len: usize) {
        let start = self.buffer.len();
        self.buffer.push(tag::TUPLE);
        self.length(len);
        self.announce(start, len);
    }

    /// A set with members of these digests, in any order.
    pub fn set(&mut self, frozen: bool, mut members: Vec<Digest>) {
        members.sort_unstable();
        let start = self.buffer.len();
        self.buffer.push(if frozen { tag::FROZENSET } else { tag::SET });
        self.length(members.len());
        for member in &members {
            self.buffer.extend_from_slice(&member.0);
        }
        self.long(start);
    }

    /// A mapping with keys and values of these digests, in any order.
    pub fn dict(&mut self, mut items: Vec<(Digest, Digest)>) {
        items.sort_unstable();
        let start = self.buffer.len();
        self.buffer.push(tag::DICT);
        self.length(items.len());
        for (key, value) in &items {
            self.buffer.extend_from_slice(&key.0);
            self.buffer.extend_from_slice(&value.0);
        }
        self.long(start);
    }

    /// An array of fixed-size elements: the name of the element type, the shape, and the BLAKE3
    /// digest of the elements in row-major order, little-endian.
    pub fn array(&mut self, dtype: &str, shape: &[u64], content: &[u8; 32]) {
        let start = self.buffer.len();
        self.header(tag::ARRAY, dtype);
        self.length(shape.len());
        for extent in shape {
            self.buffer.extend_from_slice(&extent.to_le_bytes());
        }
        self.buffer.extend_from_slice(content);
        self.long(start);
    }

    /// Begins a node of another kind (`date`, `enum`, a class …) with `fields` values, to be written next.
    pub fn node(&mut self, kind: &str, fields: usize) {
        let start = self.buffer.len();
        self.header(tag::NODE, kind);
        self.length(fields);
        self.announce(start, fields);
    }

    /// A container that is being written further out: the number of containers between.
    pub fn back(&mut self, distance: usize) {
        self.buffer.push(tag::BACK);
        self.length(distance);
        self.wrote();
    }

    /// A value of which only the digest is at hand.
    pub fn digest(&mut self, digest: &Digest) {
        self.buffer.push(tag::DIGEST);
        self.buffer.extend_from_slice(&digest.0);
        self.wrote();
    }

    /// A value that can be told apart only by these bytes, of a kind.
    pub fn opaque(&mut self, kind: &str, bytes: &[u8]) {
        let start = self.buffer.len();
        self.header(tag::OPAQUE, kind);
        self.length(bytes.len());
        self.buffer.extend_from_slice(bytes);
        self.long(start);
    }

    fn header(&mut self, tag: u8, text: &str) {
        self.buffer.push(tag);
        self.length(text.len());
        self.buffer.extend_from_slice(text.as_bytes());
    }
}

/// Drops sign bytes that say nothing.
fn minimal(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes {
        let next_is_negative = rest.last().is_some_and(|byte| byte & 0x80 != 0);
        let redundant = (*last == 0 && !next_is_negative) || (*last == 0xff && next_is_negative);
        if !redundant {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// The fingerprint of a call: the function's name and digest and the arguments by name, in the
/// order of the signature.
pub fn fingerprint<'a>(
    name: &str,
    function: &FunctionId,
    arguments: impl ExactSizeIterator<Item = (&'a str, &'a Digest)>,
) -> Fingerprint {
    let mut buffer = Vec::with_capacity(192);
    buffer.extend_from_slice(CALL);
    buffer.extend_from_slice(&(name.len() as u64).to_le_bytes());
    buffer.extend_from_slice(name.as_bytes());
    buffer.extend_from_slice(function.as_bytes());
    buffer.extend_from_slice(&(arguments.len() as u64).to_le_bytes());
    for (name, digest) in arguments {
        buffer.extend_from_slice(&(name.len() as u64).to_le_bytes());
        buffer.extend_from_slice(name.as_bytes());
        buffer.extend_from_slice(&digest.0);
    }
    Fingerprint::new(*blake3::hash(&buffer).as_bytes())
}
