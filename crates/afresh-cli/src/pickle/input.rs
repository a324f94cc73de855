//! Bytes from front to back. Every read says where it failed.

use super::Malformed;

pub(super) struct Input<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }

    /// How far we are.
    pub(super) fn at(&self) -> usize {
        self.len - self.rest.len()
    }

    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let split = usize::try_from(count).ok().and_then(|count| self.rest.split_at_checked(count));
        let Some((taken, rest)) = split else { return Err(self.ended()) };
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.ended());
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// An unsigned number of `N` bytes, at most eight, little endian.
    pub(super) fn number<const N: usize>(&mut self) -> Result<u64, Malformed> {
        let bytes = self.array::<N>()?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Bytes after a length of `N` bytes.
    pub(super) fn counted<const N: usize>(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.number::<N>()?;
        self.take(count)
    }

    /// Up to the end of the line, which is passed.
    pub(super) fn line(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let Some((line, rest)) = end.and_then(|end| self.rest.split_at_checked(end)) else {
            return Err(self.ended());
        };
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(line)
    }

    /// A line of digits.
    pub(super) fn digits(&mut self) -> Result<u64, Malformed> {
        let at = self.at();
        let line = self.line()?;
        let text = std::str::from_utf8(line).ok();
        text.and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| Malformed::new("a line that should be a number", at))
    }

    fn ended(&self) -> Malformed {
        Malformed::new("the pickle ends too early", self.at())
    }
}
