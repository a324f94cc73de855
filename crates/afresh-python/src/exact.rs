//! The arguments of a call as they are, when all of them are exact immutable scalars: a key that needs no digest.
//!
//! Invariant: two keys are equal only if their digests would be: `1`, `1.0`, `True` differ, and so do `0.0` and `-0.0`.
//! Whatever is not exactly an int, float, str, bytes, bool, None or Ellipsis (a subclass, a tuple) has no such
//! key.

#![allow(
    unsafe_code,
    reason = "types of Python objects are compared in place, see the comments there"
)]

use std::hash::{Hash, Hasher};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The most arguments that a key has.
pub(crate) const MOST: usize = 8;

/// One argument. The objects are kept alive by whoever has the key.
#[derive(Clone, Copy)]
enum Scalar {
    /// An int of 64 bits.
    Int(i64),
    /// The bits of a float.
    Float(u64),
    /// The one object of its kind.
    Single(*mut ffi::PyObject),
    /// A str, a bytes or a larger int.
    Object(*mut ffi::PyObject),
}

/// The bound arguments of a call, borrowed from the caller.
pub(crate) struct Bound<'a> {
    objects: &'a [*mut ffi::PyObject],
    scalars: [Scalar; MOST],
    definition: u64,
    hash: u64,
}

/// A key that keeps its objects alive.
pub(crate) struct Exact {
    scalars: Box<[Scalar]>,
    definition: u64,
    hash: u64,
    _objects: Py<PyTuple>,
}

// SAFETY: the pointers are to objects that `_objects` keeps alive; they are only looked at while attached.
unsafe impl Send for Exact {}

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Scalar {
    #[inline]
    fn of(object: *mut ffi::PyObject) -> Option<(Self, u64)> {
        // SAFETY: attached, and the caller holds the object. None of this runs Python code or fails
        // for exact scalars.
        unsafe {
            let kind = ffi::Py_TYPE(object);
            if kind == &raw mut ffi::PyLong_Type {
                let mut overflow = 0;
                let number = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
                if overflow == 0 {
                    return Some((Self::Int(number), number as u64));
                }
            } else if kind == &raw mut ffi::PyFloat_Type {
                let bits = ffi::PyFloat_AS_DOUBLE(object).to_bits();
                return Some((Self::Float(bits), bits ^ 1));
            } else if kind == &raw mut ffi::PyBool_Type
                || object == ffi::Py_None()
                || object == ffi::Py_Ellipsis()
            {
                return Some((Self::Single(object), object as u64));
            } else if kind != &raw mut ffi::PyUnicode_Type && kind != &raw mut ffi::PyBytes_Type {
                return None;
            }
            Some((Self::Object(object), ffi::PyObject_Hash(object) as u64))
        }
    }

    #[inline]
    fn same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Single(a), Self::Single(b)) => a == b,
            // SAFETY: attached, and both are alive. Exact scalars of one type compare without running
            // Python code.
            (Self::Object(a), Self::Object(b)) => unsafe {
                a == b
                    || (ffi::Py_TYPE(a) == ffi::Py_TYPE(b)
                        && ffi::PyObject_RichCompareBool(a, b, ffi::Py_EQ) == 1)
            },
            _ => false,
        }
    }
}

impl<'a> Bound<'a> {
    /// The key of these arguments of a definition; `None` where one of them is not an exact scalar.
    #[inline]
    pub(crate) fn new(definition: u64, objects: &'a [*mut ffi::PyObject]) -> Option<Self> {
        if objects.len() > MOST {
            return None;
        }
        let mut scalars = [Scalar::Int(0); MOST];
        let mut hash = definition;
        for (place, object) in scalars.iter_mut().zip(objects) {
            let (scalar, word) = Scalar::of(*object)?;
            *place = scalar;
            hash = mix(hash, word);
        }
        Some(Self { objects, scalars, definition, hash: hash ^ (hash >> 32) })
    }

    /// The same key for keeping.
    #[allow(unsafe_code, reason = "the objects are borrowed")]
    pub(crate) fn keep(&self, py: Python<'_>) -> PyResult<Exact> {
        // SAFETY: the caller holds the objects.
        let objects =
            self.objects.iter().map(|object| unsafe { Borrowed::from_ptr(py, *object) }.to_owned());
        Ok(Exact {
            scalars: self.scalars.iter().take(self.objects.len()).copied().collect(),
            definition: self.definition,
            hash: self.hash,
            _objects: PyTuple::new(py, objects.collect::<Vec<_>>())?.unbind(),
        })
    }

    #[inline]
    pub(crate) fn is(&self, key: &Exact) -> bool {
        self.hash == key.hash
            && self.definition == key.definition
            && self.objects.len() == key.scalars.len()
            && self.scalars.iter().zip(&key.scalars).all(|(a, b)| a.same(*b))
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.definition == other.definition
            && self.scalars.len() == other.scalars.len()
            && self.scalars.iter().zip(&other.scalars).all(|(a, b)| a.same(*b))
    }
}

impl Eq for Exact {}

impl Hash for Exact {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for Bound<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}
