//! Pickles that are one scalar, read without `pickle`.
//!
//! Most remembered values are a number or a text, and the first answer of a process waited for `pickle` to be imported.
//! Invariant: what is read here is what `pickle.loads` would give; whatever is not exactly one scalar of protocol 4 or 5, as
//! the C pickler writes it, is left to that.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The value of a pickle; `None` where it is for `pickle` to say.
pub(crate) fn read<'py>(py: Python<'py>, pickle: &[u8]) -> Option<Bound<'py, PyAny>> {
    let [0x80, 4 | 5, rest @ .., b'.'] = pickle else { return None };
    // A frame says how long it is, the end included.
    let rest = match rest {
        [0x95, rest @ ..] => {
            let (len, rest) = rest.split_first_chunk()?;
            (u64::from_le_bytes(*len) == rest.len() as u64 + 1).then_some(rest)?
        }
        rest => rest,
    };
    let [opcode, argument @ ..] = rest else { return None };
    let value = match (opcode, argument) {
        (b'N', []) => return Some(py.None().into_bound(py)),
        (0x88, []) => true.into_bound_py_any(py),
        (0x89, []) => false.into_bound_py_any(py),
        (b'K', [number]) => number.into_bound_py_any(py),
        (b'M', number) => u16::from_le_bytes(number.try_into().ok()?).into_bound_py_any(py),
        (b'J', number) => i32::from_le_bytes(number.try_into().ok()?).into_bound_py_any(py),
        (b'G', number) => f64::from_be_bytes(number.try_into().ok()?).into_bound_py_any(py),
        (0x8c, [len, text @ .., 0x94]) if text.len() == usize::from(*len) => {
            std::str::from_utf8(text).ok()?.into_bound_py_any(py)
        }
        (b'C', [len, bytes @ .., 0x94]) if bytes.len() == usize::from(*len) => {
            return Some(PyBytes::new(py, bytes).into_any());
        }
        _ => return None,
    };
    value.ok()
}
