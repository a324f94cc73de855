//! An object on its way in from an archive: in memory while small, in an unlinked temporary file when large, so
//! that importing takes the memory of a buffer whatever the size of the results.

use std::io::{self, Read, Write};

use afresh_core::Bytes;

/// From this size on an object is spooled through a file.
const LARGE: u64 = 8 << 20;

/// Reads `len` bytes.
pub(crate) fn read(mut from: impl Read, len: u64) -> io::Result<Bytes> {
    if len < LARGE {
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
        from.take(len).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        return Ok(bytes.into());
    }
    let mut file = tempfile::tempfile()?;
    if io::copy(&mut (&mut from).take(len), &mut file)? != len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.flush()?;
    map(&file).map(Bytes::from_owner)
}

#[allow(unsafe_code, reason = "mapping a file is unsafe in general and safe for this one")]
fn map(file: &std::fs::File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the file was made by us, has no name, and nobody writes to it any more: its bytes
    // cannot change or be cut off while they are mapped.
    unsafe { memmap2::Mmap::map(file) }
}
