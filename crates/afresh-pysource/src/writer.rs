//! The bytes of the canonical form. Every token starts with a tag and everything of variable length
//! is preceded by its length, so that neither nesting nor concatenation can make two trees equal.

/// The domain line of the form. A change of the encoding is a new name.
const DOMAIN: &[u8] = b"afresh/src1\n";

/// Collects the tokens of one definition.
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(DOMAIN);
        Self { bytes }
    }

    /// The digest of everything written.
    pub(crate) fn finish(&self) -> [u8; 32] {
        *blake3::hash(&self.bytes).as_bytes()
    }

    fn sized(&mut self, tag: u8, content: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(content);
    }

    /// Begins a node; the kind fixes the number of fields that follow.
    pub(crate) fn node(&mut self, kind: &str) {
        self.sized(b'#', kind.as_bytes());
    }

    /// Begins a list of this many elements.
    pub(crate) fn list(&mut self, length: usize) {
        self.bytes.push(b'[');
        self.bytes.extend_from_slice(&(length as u64).to_le_bytes());
    }

    /// A field that is not there.
    pub(crate) fn absent(&mut self) {
        self.bytes.push(b'-');
    }

    /// An identifier, operator or keyword.
    pub(crate) fn name(&mut self, name: &str) {
        self.sized(b'n', name.as_bytes());
    }

    /// A truth value.
    pub(crate) fn flag(&mut self, value: bool) {
        self.bytes.push(if value { b'T' } else { b'F' });
    }

    /// Text.
    pub(crate) fn text(&mut self, text: &str) {
        self.sized(b's', text.as_bytes());
    }

    /// Bytes.
    pub(crate) fn data(&mut self, data: &[u8]) {
        self.sized(b'b', data);
    }

    /// A non-negative whole number, least significant byte first, without leading zeros.
    pub(crate) fn int(&mut self, little_endian: &[u8]) {
        self.sized(b'i', little_endian);
    }

    /// A floating point number by its bits.
    pub(crate) fn float(&mut self, value: f64) {
        self.bytes.push(b'f');
        self.bytes.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}
