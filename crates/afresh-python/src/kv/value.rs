//! Python values as they are kept, and back.
//!
//! Invariant: who gets a value may change it without anyone else seeing it. What cannot be changed is shared, anything
//! else is made anew of its bytes each time.

use std::sync::Arc;

use afresh::Bytes;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyTuple};

use super::backend::{Backend, Datum};
use super::state::Kind;
use crate::tier::is_immutable;
use crate::{errors, frame, warnings};

/// The codec that was configured; what is stored never chooses another. It says with each value under which name it is
/// to be stored.
pub(crate) struct Codec {
    object: Py<PyAny>,
    /// The usual one.
    name: Arc<str>,
    /// It gives back what it was given, so that a value that never went through it is no different.
    exact: bool,
}

impl Codec {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name: String = object.getattr("name")?.extract()?;
        let exact = object.getattr("exact").and_then(|exact| exact.extract()).unwrap_or(false);
        Ok(Self { object: object.clone().unbind(), name: name.into(), exact })
    }

    /// The value as a backend keeps it.
    pub(crate) fn datum(
        &self,
        backend: &dyn Backend,
        name: &str,
        value: &Bound<'_, PyAny>,
        tagged: bool,
    ) -> PyResult<Datum> {
        // What carries tags is a record.
        if !tagged
            && backend.counts(name)
            && value.is_exact_instance_of::<PyInt>()
            && let Ok(count) = value.extract()
        {
            return Ok(Datum::Count(count));
        }
        if self.exact && backend.shares() && is_immutable(value) {
            return Ok(Datum::Shared(value.clone().unbind()));
        }
        self.encode(value)
    }

    fn encode(&self, value: &Bound<'_, PyAny>) -> PyResult<Datum> {
        let py = value.py();
        let encoded = self
            .object
            .bind(py)
            .call_method1(intern!(py, "encode"), (value,))
            .and_then(|parts| parts.extract::<(Bound<'_, PyBytes>, Bound<'_, PyList>, String)>())
            .and_then(|(data, buffers, name)| Ok((frame::pack(&data, &buffers)?, name)));
        match encoded {
            Ok((parts, name)) => {
                let codec = if *name == *self.name { self.name.clone() } else { name.into() };
                Ok(Datum::Encoded { codec, bytes: parts.to_bytes() })
            }
            Err(error) if error.is_instance_of::<PyException>(py) => Err(refused(py, value, error)),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a value, as they are or would be stored; `None` where it cannot be read.
    pub(crate) fn raw(&self, py: Python<'_>, datum: Datum) -> PyResult<Option<Bytes>> {
        Ok(match datum {
            Datum::Encoded { bytes, .. } => Some(bytes),
            Datum::Count(count) => Some(count.to_string().into()),
            Datum::Unreadable => None,
            Datum::Shared(value) => match self.encode(value.bind(py))? {
                Datum::Encoded { bytes, .. } => Some(bytes),
                _ => None,
            },
        })
    }

    /// The value; `None`, with a warning, where it cannot be read.
    pub(crate) fn value<'py>(
        &self,
        py: Python<'py>,
        datum: Datum,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (codec, bytes) = match datum {
            Datum::Shared(value) => return Ok(Some(value.into_bound(py))),
            Datum::Count(count) => return Ok(Some(count.into_pyobject(py)?.into_any())),
            Datum::Unreadable => return Ok(None),
            Datum::Encoded { codec, bytes } => (codec, bytes),
        };
        if let Some(kind) = Kind::named(&codec) {
            return kind.value(py, &bytes);
        }
        let decoded = frame::parts(py, &bytes, false).and_then(|(pickle, buffers)| {
            let arguments: Bound<'_, PyTuple> = (&*codec, pickle, buffers).into_pyobject(py)?;
            self.object.bind(py).call_method1(intern!(py, "decode"), arguments)
        });
        match decoded {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_instance_of::<PyException>(py) => {
                warnings::push(format!(
                    "a stored value cannot be loaded and is taken as absent: {error}"
                ));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The exception for a value that the codec does not take.
fn refused(py: Python<'_>, value: &Bound<'_, PyAny>, cause: PyErr) -> PyErr {
    let build = || -> PyResult<PyErr> {
        let kind = value.get_type().qualname()?;
        let fields = PyDict::new(py);
        fields.set_item("hint", "store something that the codec takes, or set up another codec")?;
        let text = format!("a value of type {kind} cannot be stored: {cause}");
        let class = errors::module(py)?.getattr("CodecError")?;
        Ok(PyErr::from_value(class.call((text,), Some(&fields))?))
    };
    let error = build().unwrap_or_else(|error| error);
    error.set_cause(py, Some(cause));
    error
}
