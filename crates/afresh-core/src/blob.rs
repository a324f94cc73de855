//! The bytes of an object to be written, in parts, so that a large array is never copied together.

use bytes::Bytes;

use crate::ObjectId;

/// Bytes in parts.
#[derive(Clone, Debug, Default)]
pub struct Blob {
    parts: Vec<Bytes>,
    raw: bool,
}

impl Blob {
    /// The concatenation of `parts`.
    pub fn new(parts: Vec<Bytes>) -> Self {
        Self { parts, raw: false }
    }

    /// Asks the store to keep the bytes as they are, uncompressed, so that they can be mapped.
    #[must_use]
    pub fn raw(mut self) -> Self {
        self.raw = true;
        self
    }

    /// Whether the bytes should be kept as they are.
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// The parts in order.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(Bytes::is_empty)
    }

    /// The name of the bytes.
    pub fn id(&self) -> ObjectId {
        match self.parts.as_slice() {
            [one] => ObjectId::of(one),
            parts => ObjectId::of_parts(parts.iter().map(Bytes::as_ref)),
        }
    }

    /// All bytes in one piece; copies only where there is more than one part.
    pub fn to_bytes(&self) -> Bytes {
        match self.parts.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            parts => parts.concat().into(),
        }
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self::new(vec![bytes])
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}
