//! Whether everything a function's identity rests on is still the same: pointer compares, made on every call.
//!
//! Names are looked at by namespace: as long as a dictionary's version has not moved, nothing in it can have changed, so
//! that a function with five globals costs one compare. Where there is no version (CPython 3.14), or it moved because of
//! something else, each name is looked up. Mutable data that the function refers to is digested again.

#![allow(
    unsafe_code,
    reason = "fields of Python objects are read in place, see the comments there"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use afresh::fp1;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::digest::Digester;

/// Dictionary, key and the very object that must be there.
pub(crate) type Watch = (Py<PyDict>, Py<PyAny>, Py<PyAny>);
/// Dictionary and key that must not be there: it would hide a builtin.
pub(crate) type Absent = (Py<PyDict>, Py<PyAny>);
/// Object, attribute and what it must be: the contents of a cell, the code of a function.
pub(crate) type Attribute = (Py<PyAny>, Py<PyString>, Py<PyAny>);
/// Dictionary of a class and how many names must be in it: a new one hides what is inherited.
pub(crate) type Size = (Py<PyDict>, usize);
/// Referenced mutable data and the digest it had.
pub(crate) type Mutable = (Py<PyAny>, [u8; 32]);

/// What an identity rests on.
#[pyclass(frozen)]
pub(crate) struct Validity {
    namespaces: Vec<Namespace>,
    attributes: Vec<(Place, Py<PyAny>, Py<PyAny>)>,
    mutable: Vec<(Py<PyAny>, fp1::Digest)>,
}

struct Namespace {
    dict: Py<PyDict>,
    /// The dictionary's version when all of this was last found to hold; 0 for never.
    version: AtomicU64,
    present: Vec<(Py<PyAny>, Py<PyAny>)>,
    absent: Vec<Py<PyAny>>,
    size: Option<usize>,
}

/// Where an attribute is.
enum Place {
    Code,
    Defaults,
    KeywordDefaults,
    Cell,
    Ancestors,
    Named(Py<PyString>),
}

impl Validity {
    pub(crate) fn new(
        py: Python<'_>,
        watch: Vec<Watch>,
        absent: Vec<Absent>,
        attributes: Vec<Attribute>,
        sizes: Vec<Size>,
        mutable: Vec<Mutable>,
    ) -> PyResult<Self> {
        let mut namespaces = Namespaces::default();
        for (dict, key, expected) in watch {
            namespaces.of(dict).present.push((key, expected));
        }
        for (dict, key) in absent {
            namespaces.of(dict).absent.push(key);
        }
        for (dict, size) in sizes {
            namespaces.of(dict).size = Some(size);
        }
        let attributes = attributes
            .into_iter()
            .map(|(object, name, expected)| {
                Ok((Place::of(object.bind(py), name.bind(py))?, object, expected))
            })
            .collect::<PyResult<_>>()?;
        let mutable =
            mutable.into_iter().map(|(object, digest)| (object, fp1::Digest(digest))).collect();
        Ok(Self { namespaces: namespaces.0, attributes, mutable })
    }

    #[inline]
    pub(crate) fn stands(&self, py: Python<'_>) -> PyResult<bool> {
        for namespace in &self.namespaces {
            if !namespace.holds(py)? {
                return Ok(false);
            }
        }
        for (place, object, expected) in &self.attributes {
            if !place.holds(object.bind(py), expected.bind(py)) {
                return Ok(false);
            }
        }
        if self.mutable.is_empty() { Ok(true) } else { self.contents(py) }
    }

    #[cold]
    fn contents(&self, py: Python<'_>) -> PyResult<bool> {
        let mut digester = Digester::new();
        for (object, digest) in &self.mutable {
            if digester.digest(object.bind(py))? != *digest {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[pymethods]
impl Validity {
    #[new]
    fn py_new(
        py: Python<'_>,
        watch: Vec<Watch>,
        absent: Vec<Absent>,
        attributes: Vec<Attribute>,
        sizes: Vec<Size>,
    ) -> PyResult<Self> {
        Self::new(py, watch, absent, attributes, sizes, Vec::new())
    }

    /// Whether every name and attribute is still what it was.
    fn holds(&self, py: Python<'_>) -> PyResult<bool> {
        self.stands(py)
    }
}

#[derive(Default)]
struct Namespaces(Vec<Namespace>);

impl Namespaces {
    fn of(&mut self, dict: Py<PyDict>) -> &mut Namespace {
        let at = self.0.iter().position(|known| known.dict.is(&dict)).unwrap_or_else(|| {
            self.0.push(Namespace {
                dict,
                version: AtomicU64::new(0),
                present: Vec::new(),
                absent: Vec::new(),
                size: None,
            });
            self.0.len() - 1
        });
        #[allow(clippy::indexing_slicing, reason = "found or made just now")]
        &mut self.0[at]
    }
}

impl Namespace {
    #[inline]
    fn holds(&self, py: Python<'_>) -> PyResult<bool> {
        let version = version(self.dict.bind(py));
        if version != 0 && version == self.version.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let holds = self.look(py)?;
        if holds {
            // Read before looking: what changed meanwhile is looked at again.
            self.version.store(version, Ordering::Relaxed);
        }
        Ok(holds)
    }

    fn look(&self, py: Python<'_>) -> PyResult<bool> {
        let dict = self.dict.bind(py);
        for (key, expected) in &self.present {
            match dict.get_item(key.bind(py))? {
                Some(found) if found.is(expected.bind(py)) => {}
                _ => return Ok(false),
            }
        }
        for key in &self.absent {
            if dict.contains(key.bind(py))? {
                return Ok(false);
            }
        }
        Ok(self.size.is_none_or(|size| dict.len() == size))
    }
}

/// A number that changes whenever the dictionary does, and is never used twice; 0 where there is none.
#[cfg(not(Py_3_14))]
#[inline]
fn version(dict: &Bound<'_, PyDict>) -> u64 {
    // SAFETY: a dictionary has this layout up to CPython 3.13, and the field is kept up (PEP 509).
    #[allow(deprecated, reason = "kept up through 3.13; not used from 3.14 on")]
    unsafe {
        (*dict.as_ptr().cast::<ffi::PyDictObject>()).ma_version_tag
    }
}

#[cfg(Py_3_14)]
#[inline]
fn version(_: &Bound<'_, PyDict>) -> u64 {
    0
}

impl Place {
    fn of(object: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<Self> {
        // SAFETY: checks of types.
        let (function, cell) = unsafe {
            (ffi::PyFunction_Check(object.as_ptr()) != 0, ffi::PyCell_Check(object.as_ptr()) != 0)
        };
        let text = name.to_str()?;
        Ok(match text {
            "__code__" if function => Self::Code,
            "__defaults__" if function => Self::Defaults,
            "__kwdefaults__" if function => Self::KeywordDefaults,
            "cell_contents" if cell => Self::Cell,
            "__mro__" if object.is_instance_of::<PyType>() => Self::Ancestors,
            _ => Self::Named(name.clone().unbind()),
        })
    }

    /// Whether the attribute is still that object. What cannot be read, such as an empty cell, is not.
    #[inline]
    fn holds(&self, object: &Bound<'_, PyAny>, expected: &Bound<'_, PyAny>) -> bool {
        let (raw, expected_raw) = (object.as_ptr(), expected.as_ptr());
        // SAFETY: attached; `of` has made sure of the types; these functions lend and never fail for them.
        unsafe {
            match self {
                Self::Code => ffi::PyFunction_GetCode(raw) == expected_raw,
                Self::Defaults => same(ffi::PyFunction_GetDefaults(raw), expected),
                Self::KeywordDefaults => same(ffi::PyFunction_GetKwDefaults(raw), expected),
                Self::Cell => {
                    let found = Bound::from_owned_ptr_or_opt(object.py(), ffi::PyCell_Get(raw));
                    found.is_some_and(|found| found.is(expected))
                }
                Self::Ancestors => (*raw.cast::<ffi::PyTypeObject>()).tp_mro == expected_raw,
                Self::Named(name) => {
                    object.getattr(name.bind(object.py())).is_ok_and(|found| found.is(expected))
                }
            }
        }
    }
}

/// Whether it is that object; nothing stands for None.
#[inline]
fn same(found: *mut ffi::PyObject, expected: &Bound<'_, PyAny>) -> bool {
    if found.is_null() { expected.is_none() } else { found == expected.as_ptr() }
}
