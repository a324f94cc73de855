//! Stored results as Python sees them: a pickle alone, or a frame of a pickle and the large buffers it
//! refers to (protocol 5), written without copying them together and read in place.
//!
//! A frame is `afresh1\n`, the number of buffers (u32), zero (u32), the lengths of the pickle and of each
//! buffer (u64), then each of them at the next multiple of 64; all numbers little-endian. See docs/format.md.

use std::os::raw::c_int;

use afresh::Blob as Parts;
use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList};

use crate::large;

pub(crate) const MAGIC: &[u8; 8] = b"afresh1\n";
const ALIGN: usize = 64;

/// A plain pickle up to this size is copied into a `bytes`; more is read in place.
const SMALL: usize = 64 << 10;

/// Bytes of a store, for Python to read in place.
#[pyclass(frozen)]
pub(crate) struct Blob {
    bytes: Bytes,
}

impl Blob {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }
}

#[pymethods]
impl Blob {
    fn __len__(&self) -> usize {
        self.bytes.len()
    }

    #[allow(unsafe_code, reason = "the buffer protocol is a C interface")]
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view"));
        }
        let bytes = &slf.get().bytes;
        let len = bytes.len() as ffi::Py_ssize_t;
        // SAFETY: the view is valid (checked above); it borrows from the object, which it keeps alive and whose
        // bytes never change; it is filled in as read-only.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                bytes.as_ptr().cast_mut().cast(),
                len,
                1,
                flags,
            )
        };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// Memory of a Python object, kept alive while the store reads it.
struct Owned(PyBuffer<u8>);

impl AsRef<[u8]> for Owned {
    #[allow(unsafe_code, reason = "reading the memory of a Python object")]
    fn as_ref(&self) -> &[u8] {
        if self.0.len_bytes() == 0 {
            return &[];
        }
        // SAFETY: the buffer is contiguous (checked when it was taken) and held; nobody is
        // told to leave it alone, so a function that hands out its array and changes it from another thread while it
        // is being stored gets a digest that does not match, which a later read finds.
        unsafe { std::slice::from_raw_parts(self.0.buf_ptr().cast(), self.0.len_bytes()) }
    }
}

/// The bytes of a Python object: small ones copied, large ones in place.
fn shared(bytes: &Bound<'_, PyBytes>) -> Bytes {
    if bytes.as_bytes().len() <= SMALL {
        Bytes::copy_from_slice(bytes.as_bytes())
    } else {
        Bytes::from_owner(PyBackedBytes::from(bytes.clone()))
    }
}

/// The bytes to store for a pickle and its buffers.
pub(crate) fn pack(pickle: &Bound<'_, PyBytes>, buffers: &Bound<'_, PyList>) -> PyResult<Parts> {
    // What looks like a frame is framed, so that it is not taken for one.
    if buffers.is_empty() && !pickle.as_bytes().starts_with(MAGIC) {
        return Ok(shared(pickle).into());
    }
    let mut bodies = vec![shared(pickle)];
    for buffer in buffers.iter() {
        // A picklable buffer that is contiguous in any order is handed out flat by `raw`.
        let flat = buffer.call_method0("raw")?;
        let buffer = PyBuffer::<u8>::get(&flat)?;
        if !buffer.is_c_contiguous() {
            return Err(PyValueError::new_err("an out-of-band buffer is not contiguous"));
        }
        bodies.push(Bytes::from_owner(Owned(buffer)));
    }
    let count =
        u32::try_from(buffers.len()).map_err(|_| PyValueError::new_err("too many buffers"))?;
    let mut header = Vec::with_capacity(16 + 8 * bodies.len());
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&count.to_le_bytes());
    header.extend_from_slice(&0u32.to_le_bytes());
    for body in &bodies {
        header.extend_from_slice(&(body.len() as u64).to_le_bytes());
    }
    let mut at = header.len();
    let mut parts = vec![Bytes::from(header)];
    for body in bodies {
        let padding = at.next_multiple_of(ALIGN) - at;
        parts.push(Bytes::from_static(&[0; ALIGN]).slice(..padding));
        at += padding + body.len();
        parts.push(body);
    }
    Ok(Parts::new(parts).raw())
}

/// The pickle and the buffers in stored bytes; `None` where a frame is not whole.
pub(crate) fn unpack(bytes: &Bytes) -> Option<(Bytes, Vec<Bytes>)> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else { return Some((bytes.clone(), Vec::new())) };
    let count = u32::from_le_bytes(*rest.first_chunk()?) as usize;
    let lengths = rest.get(8..8usize.checked_add(count.checked_add(1)?.checked_mul(8)?)?)?;
    let mut at = 16 + lengths.len();
    let mut bodies = Vec::new();
    for length in lengths.as_chunks::<8>().0 {
        let start = at.checked_next_multiple_of(ALIGN)?;
        let end = start.checked_add(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        if end > bytes.len() {
            return None;
        }
        bodies.push(bytes.slice(start..end));
        at = end;
    }
    let pickle = bodies.remove(0);
    Some((pickle, bodies))
}

/// The pickle as something `pickle.loads` takes, and its buffers: mapped read-only, or copied into writable memory.
pub(crate) fn parts<'py>(
    py: Python<'py>,
    bytes: &Bytes,
    mapped: bool,
) -> PyResult<(Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>)> {
    let Some((pickle, buffers)) = unpack(bytes) else {
        return Err(PyValueError::new_err("a stored frame is not whole"));
    };
    let pickle = if pickle.len() <= SMALL {
        PyBytes::new(py, &pickle).into_any()
    } else {
        Bound::new(py, Blob::new(pickle))?.into_any()
    };
    let buffers = buffers
        .into_iter()
        .map(|buffer| {
            if mapped {
                Ok(Bound::new(py, Blob::new(buffer))?.into_any())
            } else {
                Ok(large::copy(py, &buffer)?.into_any())
            }
        })
        .collect::<PyResult<_>>()?;
    Ok((pickle, buffers))
}

/// The pickle and the buffers in the stored bytes of a result.
#[pyfunction]
pub(crate) fn unframe<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyBytes>,
) -> PyResult<(Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>)> {
    parts(py, &Bytes::copy_from_slice(data.as_bytes()), false)
}
