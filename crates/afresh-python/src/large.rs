//! Copying a large stored buffer without holding it in memory twice.
//!
//! The pages of a mapped file count as memory of the process once they have been read. What has been copied is given
//! back while the copy goes on; the kernel keeps it cached as long as it likes. Only read-only mappings of files
//! are treated so: of any other memory the contents would be lost.

use pyo3::prelude::*;
use pyo3::types::PyByteArray;

/// Smaller ones are copied as they are.
const LARGE: usize = 64 << 20;

/// How much is copied before it is given back.
const STEP: usize = 16 << 20;

/// A writable copy.
pub(crate) fn copy<'py>(py: Python<'py>, source: &[u8]) -> PyResult<Bound<'py, PyByteArray>> {
    if source.len() < LARGE {
        return Ok(PyByteArray::new(py, source));
    }
    let copy = PyByteArray::new(py, &[]);
    copy.resize(source.len())?;
    let mapped = is_mapped_file(source);
    #[allow(unsafe_code, reason = "writing into a bytearray")]
    // SAFETY: the bytearray was made here and nobody else knows of it until it is returned.
    let target = unsafe { copy.as_bytes_mut() };
    py.detach(|| {
        for (to, from) in target.chunks_mut(STEP).zip(source.chunks(STEP)) {
            to.copy_from_slice(from);
            if mapped {
                give_back(from);
            }
        }
    });
    Ok(copy)
}

/// Whether all of it lies in one read-only mapping of a file.
fn is_mapped_file(bytes: &[u8]) -> bool {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return false };
    let (start, end) = (bytes.as_ptr() as usize, bytes.as_ptr() as usize + bytes.len());
    maps.lines().any(|line| {
        // address, permissions, offset, device, inode, path
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(permissions), Some(inode)) =
            (fields.next(), fields.next(), fields.nth(2))
        else {
            return false;
        };
        let Some((from, to)) = range.split_once('-') else { return false };
        let address = |text| usize::from_str_radix(text, 16).ok();
        permissions.starts_with("r-")
            && inode != "0"
            && address(from).is_some_and(|from| from <= start)
            && address(to).is_some_and(|to| end <= to)
    })
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "a system call")]
fn give_back(bytes: &[u8]) {
    use nix::libc;

    /// A multiple of every page size in use.
    const PAGE: usize = 64 << 10;
    let start = (bytes.as_ptr() as usize).next_multiple_of(PAGE);
    let len = (bytes.as_ptr() as usize + bytes.len()).saturating_sub(start);
    // SAFETY: the range is within a read-only mapping of a file, whose pages the kernel reads again when they are
    // asked for. A refusal changes nothing.
    unsafe { libc::madvise(start as *mut libc::c_void, len, libc::MADV_DONTNEED) };
}

#[cfg(not(target_os = "linux"))]
fn give_back(_: &[u8]) {}
