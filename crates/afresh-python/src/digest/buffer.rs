//! Reading memory at its own speed.
//!
//! Bytes are hashed where they lie, without the interpreter's lock above some KB, and above a few MB by several threads,
//! each a subtree of BLAKE3's tree. Floating-point elements are looked through for NaN in blocks, right after a block
//! was hashed and while it is in the cache: one that holds a NaN other than the canonical one is hashed again, from a
//! copy in which every NaN is that one.

use std::sync::OnceLock;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Above this, the interpreter's lock is released.
const RELEASE: usize = 1 << 16;
/// Above this, several threads hash.
const PARALLEL: usize = 4 << 20;
/// The subtree that one thread hashes: a power of two.
const SUBTREE: usize = 1 << 20;
/// Hashed, then looked through.
const BLOCK: usize = 1 << 17;

/// What the elements of a buffer are, as far as NaN is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Floats {
    /// No floating-point numbers.
    None,
    /// binary16.
    Half,
    /// binary32.
    Single,
    /// binary64.
    Double,
}

/// The digest of little-endian elements.
pub(super) fn digest(py: Python<'_>, bytes: &[u8], floats: Floats) -> [u8; 32] {
    if bytes.len() >= PARALLEL && may_be_parallel() {
        return *py.detach(|| root(bytes, floats)).as_bytes();
    }
    let mut hasher = blake3::Hasher::new();
    update(py, &mut hasher, bytes, floats);
    *hasher.finalize().as_bytes()
}

/// Hashes little-endian elements, one part of several.
pub(super) fn update(py: Python<'_>, hasher: &mut blake3::Hasher, bytes: &[u8], floats: Floats) {
    if bytes.len() >= PARALLEL && may_be_parallel() {
        py.detach(|| {
            absorb(hasher, bytes, floats, PARALLEL, |hasher, block| {
                hasher.update_rayon(block);
            });
        });
    } else if bytes.len() > RELEASE {
        py.detach(|| alone(hasher, bytes, floats));
    } else {
        alone(hasher, bytes, floats);
    }
}

/// Hashes in this thread.
fn alone(hasher: &mut blake3::Hasher, bytes: &[u8], floats: Floats) {
    absorb(hasher, bytes, floats, BLOCK, |hasher, block| {
        hasher.update(block);
    });
}

/// Whether several threads may hash. The threads of the pool belong to the process that first used it: in a child
/// that was forked from it they are not there, and waiting for them would never end.
fn may_be_parallel() -> bool {
    static OWNER: OnceLock<u32> = OnceLock::new();
    let here = std::process::id();
    *OWNER.get_or_init(|| here) == here
}

/// The digest of what is longer than a subtree.
fn root(bytes: &[u8], floats: Floats) -> blake3::Hash {
    let (left, right) = halves(bytes, 0, floats);
    merge_subtrees_root(&left, &right, Mode::Hash)
}

/// The subtree of `bytes`, which begin at `offset`.
fn subtree(bytes: &[u8], offset: u64, floats: Floats) -> ChainingValue {
    if bytes.len() <= SUBTREE {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(offset);
        alone(&mut hasher, bytes, floats);
        return hasher.finalize_non_root();
    }
    let (left, right) = halves(bytes, offset, floats);
    merge_subtrees_non_root(&left, &right, Mode::Hash)
}

fn halves(bytes: &[u8], offset: u64, floats: Floats) -> (ChainingValue, ChainingValue) {
    let len = left_subtree_len(bytes.len() as u64);
    let (left, right) = bytes.split_at(usize::try_from(len).unwrap_or(bytes.len()));
    rayon_core::join(|| subtree(left, offset, floats), || subtree(right, offset + len, floats))
}

fn absorb(
    hasher: &mut blake3::Hasher,
    bytes: &[u8],
    floats: Floats,
    block: usize,
    hash: impl Fn(&mut blake3::Hasher, &[u8]),
) {
    if floats == Floats::None {
        hash(hasher, bytes);
        return;
    }
    for block in bytes.chunks(block) {
        let before = hasher.clone();
        hash(hasher, block);
        if has_odd_nan(block, floats) {
            *hasher = before;
            hasher.update(&canonical(block, floats));
        }
    }
}

/// Whether there is a NaN that is not the canonical one.
fn has_odd_nan(bytes: &[u8], floats: Floats) -> bool {
    match floats {
        Floats::None => false,
        Floats::Half => chunks(bytes).any(|x| half_is_nan(x) && x != HALF),
        Floats::Single => {
            // What carries into the sign bit is a NaN; without a branch for each element, so that
            // compilers make vectors of it.
            let carry = |x| (u32::from_le_bytes(x) & 0x7fff_ffff) + 0x007f_ffff;
            chunks(bytes).fold(0, |any, x| any | carry(x)) >> 31 == 1
                && chunks(bytes).any(|x| f32::from_le_bytes(x).is_nan() && x != SINGLE)
        }
        Floats::Double => {
            let carry = |x| (u64::from_le_bytes(x) & (u64::MAX >> 1)) + (u64::MAX >> 12);
            chunks(bytes).fold(0, |any, x| any | carry(x)) >> 63 == 1
                && chunks(bytes).any(|x| f64::from_le_bytes(x).is_nan() && x != DOUBLE)
        }
    }
}

const HALF: [u8; 2] = 0x7e00_u16.to_le_bytes();
const SINGLE: [u8; 4] = 0x7fc0_0000_u32.to_le_bytes();
const DOUBLE: [u8; 8] = 0x7ff8_0000_0000_0000_u64.to_le_bytes();

fn half_is_nan(bytes: [u8; 2]) -> bool {
    u16::from_le_bytes(bytes) & 0x7fff > 0x7c00
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// A copy in which every NaN is the canonical one.
fn canonical(bytes: &[u8], floats: Floats) -> Vec<u8> {
    fn replace<const N: usize>(copy: &mut [u8], nan: [u8; N], is_nan: impl Fn([u8; N]) -> bool) {
        for element in copy.as_chunks_mut::<N>().0 {
            if is_nan(*element) {
                *element = nan;
            }
        }
    }
    let mut copy = bytes.to_vec();
    match floats {
        Floats::None => {}
        Floats::Half => replace(&mut copy, HALF, half_is_nan),
        Floats::Single => replace(&mut copy, SINGLE, |x| f32::from_le_bytes(x).is_nan()),
        Floats::Double => replace(&mut copy, DOUBLE, |x| f64::from_le_bytes(x).is_nan()),
    }
    copy
}

/// The memory of an object that exports one contiguous block, released when dropped.
pub(super) struct View {
    raw: Box<ffi::Py_buffer>,
}

impl View {
    pub(super) fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut raw = Box::new(ffi::Py_buffer::new());
        // SAFETY: `raw` is a valid place for a buffer, and is released once, in `drop`.
        let status =
            unsafe { ffi::PyObject_GetBuffer(value.as_ptr(), &raw mut *raw, ffi::PyBUF_SIMPLE) };
        if status == 0 { Ok(Self { raw }) } else { Err(PyErr::fetch(value.py())) }
    }

    pub(super) fn bytes(&self) -> PyResult<&[u8]> {
        let len = usize::try_from(self.raw.len)
            .map_err(|_| PyBufferError::new_err("the buffer has a negative length"))?;
        if len == 0 || self.raw.buf.is_null() {
            return Ok(&[]);
        }
        // SAFETY: the exporter keeps `len` bytes at `buf` until the buffer is released. Another
        // thread may write to them meanwhile, as it may while any function reads an argument: the
        // digest is then of neither value, and no reference to them outlives the hashing.
        Ok(unsafe { std::slice::from_raw_parts(self.raw.buf.cast::<u8>().cast_const(), len) })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: it was filled by `PyObject_GetBuffer`, and the lock is held: a `View` lives in
        // functions that have it.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.raw) }
    }
}
