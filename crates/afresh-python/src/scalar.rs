//! Pickles that are one scalar, read and written without `pickle`.
//!
//! Most remembered values are a number or a text, and the first answer of a process waited for `pickle` to be imported.
//! Invariant: what is read here is what `pickle.loads` would give; whatever is not exactly one scalar of protocol 4 or 5, as
//! the C pickler writes it, is left to that. What is written here is what `pickle.dumps` gives, byte for byte.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};

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

/// The pickle of a value, protocol 5; `None` where it is for `pickle` to write.
pub(crate) fn write(value: &Bound<'_, PyAny>) -> Option<Vec<u8>> {
    let mut body = Vec::with_capacity(64);
    if value.is_none() {
        body.push(b'N');
    } else if let Ok(value) = value.cast_exact::<PyBool>() {
        body.push(if value.is_true() { 0x88 } else { 0x89 });
    } else if let Ok(number) = value.cast_exact::<PyInt>() {
        let number: i32 = number.extract().ok()?;
        match (u8::try_from(number), u16::try_from(number)) {
            (Ok(number), _) => body.extend([b'K', number]),
            (_, Ok(number)) => {
                body.push(b'M');
                body.extend(number.to_le_bytes());
            }
            _ => {
                body.push(b'J');
                body.extend(number.to_le_bytes());
            }
        }
    } else if let Ok(number) = value.cast_exact::<PyFloat>() {
        body.push(b'G');
        body.extend(number.value().to_be_bytes());
    } else if let Ok(text) = value.cast_exact::<PyString>() {
        short(&mut body, 0x8c, text.to_str().ok()?.as_bytes())?;
    } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        short(&mut body, b'C', bytes.as_bytes())?;
    } else {
        return None;
    }
    body.push(b'.');
    let mut pickle = Vec::with_capacity(HEAD + body.len());
    pickle.extend([0x80, 5]);
    if body.len() >= FRAMED {
        pickle.push(0x95);
        pickle.extend((body.len() as u64).to_le_bytes());
    }
    pickle.extend(body);
    Some(pickle)
}

/// Bytes before the body of a pickle, at most.
const HEAD: usize = 11;

/// From how many bytes on a body gets a frame.
const FRAMED: usize = 4;

/// A short text or short bytes, which the pickler remembers.
fn short(body: &mut Vec<u8>, opcode: u8, bytes: &[u8]) -> Option<()> {
    body.extend([opcode, u8::try_from(bytes.len()).ok()?]);
    body.extend(bytes);
    body.push(0x94);
    Some(())
}
