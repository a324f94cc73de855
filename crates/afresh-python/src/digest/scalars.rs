//! Values that are one token: `None`, truth values, numbers, text, bytes, by exact type.
//!
//! This is the path of almost every argument, so it compares type pointers and reads the objects in
//! place: no attribute look-ups, no Python code. Subclasses are not written here, they carry the
//! identity of their class; the functions that read a number or text also work for them.

use afresh_core::fp1::{Encoder, VALUE, tag};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyComplex, PyDict, PyFloat, PyInt, PyString};

use super::buffer::{self, Floats};

/// Above this, hashing is worth leaving the interpreter for.
const LARGE: usize = 1 << 16;

/// Writes `value` if it is exactly of a scalar type.
#[inline]
pub(super) fn write(encoder: &mut Encoder, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let ty = value.get_type_ptr();
    // SAFETY: these are the addresses of static type objects; nothing is read through them.
    let (int, text, float, bytes, complex, truth, none) = unsafe {
        (
            &raw mut ffi::PyLong_Type,
            &raw mut ffi::PyUnicode_Type,
            &raw mut ffi::PyFloat_Type,
            &raw mut ffi::PyBytes_Type,
            &raw mut ffi::PyComplex_Type,
            &raw mut ffi::PyBool_Type,
            ffi::Py_TYPE(ffi::Py_None()),
        )
    };
    if ty == int {
        write_int(encoder, value)?;
    } else if ty == text {
        // SAFETY: its type is exactly `str`.
        write_str(encoder, unsafe { value.cast_unchecked::<PyString>() })?;
    } else if ty == float {
        // SAFETY: its type is exactly `float`.
        encoder.float(unsafe { value.cast_unchecked::<PyFloat>() }.value());
    } else if ty == none {
        encoder.none();
    } else if ty == truth {
        // SAFETY: the address of the constant `True`.
        encoder.bool(value.as_ptr() == unsafe { ffi::Py_True() });
    } else if ty == bytes {
        // SAFETY: its type is exactly `bytes`.
        let bytes = unsafe { value.cast_unchecked::<PyBytes>() };
        write_bytes(encoder, value.py(), bytes.as_bytes());
    } else if ty == complex {
        // SAFETY: its type is exactly `complex`.
        let complex = unsafe { value.cast_unchecked::<PyComplex>() };
        encoder.complex(complex.real(), complex.imag());
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Writes the number in an `int` or in an instance of a subclass.
#[inline]
pub(super) fn write_int(encoder: &mut Encoder, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let mut overflow = 0;
    // SAFETY: `value` is an int, so that no Python code runs and no error is set.
    let small = unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &raw mut overflow) };
    if overflow == 0 {
        encoder.int(small);
        return Ok(());
    }
    let py = value.py();
    let int = py.get_type::<PyInt>();
    let bits: usize = int.call_method1("bit_length", (value,))?.extract()?;
    let signed = PyDict::new(py);
    signed.set_item("signed", true)?;
    let bytes = int.call_method("to_bytes", (value, bits / 8 + 1, "little"), Some(&signed))?;
    encoder.big_int(bytes.cast::<PyBytes>()?.as_bytes());
    Ok(())
}

/// Writes the text in a `str` or in an instance of a subclass.
#[inline]
pub(super) fn write_str(encoder: &mut Encoder, value: &Bound<'_, PyString>) -> PyResult<()> {
    let py = value.py();
    let Ok(text) = value.to_str() else {
        // Lone surrogates.
        let method = py.get_type::<PyString>().getattr("encode")?;
        let bytes = method.call1((value, "utf-8", "surrogatepass"))?;
        encoder.wtf8(bytes.cast::<PyBytes>()?.as_bytes());
        return Ok(());
    };
    if text.len() > LARGE {
        large(encoder, py, tag::STR, text.as_bytes());
    } else {
        encoder.str(text);
    }
    Ok(())
}

/// Writes bytes that nothing can change or free meanwhile.
pub(super) fn write_bytes(encoder: &mut Encoder, py: Python<'_>, bytes: &[u8]) {
    if bytes.len() > LARGE {
        large(encoder, py, tag::BYTES, bytes);
    } else {
        encoder.bytes(bytes);
    }
}

/// Writes a long token, hashed by several threads where that pays.
fn large(encoder: &mut Encoder, py: Python<'_>, tag: u8, bytes: &[u8]) {
    let mut hasher = blake3::Hasher::new();
    hasher.update(VALUE).update(&[tag]).update(&(bytes.len() as u64).to_le_bytes());
    buffer::update(py, &mut hasher, bytes, Floats::None);
    encoder.hashed(&afresh_core::fp1::Digest(*hasher.finalize().as_bytes()));
}
