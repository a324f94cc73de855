//! Binding arguments to a signature, so that `g(1)`, `g(x=1)` and `g(1, y=<default>)` are one call.
//!
//! A call that does not fit the signature is not bound: the function itself then raises the error that the
//! caller expects.

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::exact::MOST;

/// What a parameter takes, with the numbers of `inspect.Parameter.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    PositionalOnly,
    Positional,
    Positionals,
    Keyword,
    Keywords,
}

struct Parameter {
    name: Py<PyString>,
    text: String,
    takes: Takes,
    default: Option<Py<PyAny>>,
    ignored: bool,
}

/// A signature.
pub(crate) struct Binder {
    parameters: Vec<Parameter>,
    /// Whether there are only positional parameters and all of them count.
    plain: bool,
}

/// The bound arguments that count, in the order of the signature.
pub(crate) type Bindings<'a, 'py> = Vec<(&'a str, Bound<'py, PyAny>)>;

impl Binder {
    /// From `(name, kind, has_default, default, ignored)` for each parameter.
    pub(crate) fn new(spec: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let mut parameters = Vec::with_capacity(spec.len());
        for item in spec.iter() {
            let (name, kind, has_default, default, ignored): (
                Bound<'_, PyString>,
                u8,
                bool,
                Bound<'_, PyAny>,
                bool,
            ) = item.extract()?;
            let takes = match kind {
                0 => Takes::PositionalOnly,
                1 => Takes::Positional,
                2 => Takes::Positionals,
                3 => Takes::Keyword,
                4 => Takes::Keywords,
                _ => return Err(PyValueError::new_err("no such kind of parameter")),
            };
            parameters.push(Parameter {
                text: name.to_string_lossy().into_owned(),
                name: name.unbind(),
                takes,
                default: has_default.then(|| default.unbind()),
                ignored,
            });
        }
        let plain = parameters.iter().all(|parameter| {
            matches!(parameter.takes, Takes::Positional | Takes::PositionalOnly)
                && !parameter.ignored
        });
        Ok(Self { parameters, plain })
    }

    /// The arguments that count, in the order of the signature and borrowed; `None` where the call does not fit, or
    /// fits in a way that takes longer to see.
    #[inline]
    #[allow(unsafe_code, reason = "references are borrowed, not counted")]
    pub(crate) fn order<'a>(
        &'a self,
        args: &'a Bound<'_, PyTuple>,
        kwargs: Option<&'a Bound<'_, PyDict>>,
        room: &'a mut [*mut ffi::PyObject; MOST],
    ) -> Option<&'a [*mut ffi::PyObject]> {
        let (args, given) = (args.as_slice(), kwargs.map_or(0, PyDictMethods::len));
        let mut count = 0;
        if self.plain && given == 0 && args.len() == self.parameters.len() {
            for (place, object) in room.iter_mut().zip(args) {
                *place = object.as_ptr();
                count += 1;
            }
            return (count == args.len()).then(|| room.get(..count)).flatten();
        }
        let mut positional = args.iter();
        let mut named = 0;
        for parameter in &self.parameters {
            let mut value = match parameter.takes {
                Takes::PositionalOnly | Takes::Positional => positional.next().map(Bound::as_ptr),
                Takes::Keyword => None,
                Takes::Positionals | Takes::Keywords => return None,
            };
            if value.is_none()
                && given > 0
                && parameter.takes != Takes::PositionalOnly
                && let Some(kwargs) = kwargs
            {
                // SAFETY: attached, and the dictionary keeps what it lends for as long as the call lasts. A key
                // that is no plain string may raise when it is compared; the other way says so.
                let found = unsafe {
                    let found =
                        ffi::PyDict_GetItemWithError(kwargs.as_ptr(), parameter.name.as_ptr());
                    if found.is_null() && !ffi::PyErr_Occurred().is_null() {
                        ffi::PyErr_Clear();
                        return None;
                    }
                    found
                };
                if !found.is_null() {
                    named += 1;
                    value = Some(found);
                }
            }
            let value = value.or_else(|| parameter.default.as_ref().map(Py::as_ptr))?;
            if !parameter.ignored {
                *room.get_mut(count)? = value;
                count += 1;
            }
        }
        if positional.next().is_some() || named != given {
            return None;
        }
        room.get(..count)
    }

    /// The bound arguments, or `None` where the call does not fit.
    pub(crate) fn bind<'a, 'py>(
        &'a self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bindings<'a, 'py>>> {
        let py = args.py();
        let mut bound: Bindings<'a, 'py> = Vec::with_capacity(self.parameters.len());
        let mut positional = args.iter();
        let mut named = 0;
        let mut takes_all = false;
        let given = kwargs.map_or(0, PyDictMethods::len);
        for parameter in &self.parameters {
            let by_name = |kwargs: &Bound<'py, PyDict>| kwargs.get_item(parameter.name.bind(py));
            let value = match parameter.takes {
                Takes::PositionalOnly => positional.next(),
                Takes::Positional => match positional.next() {
                    // Also given by name: it does not fit, and is counted as a name nobody takes.
                    Some(value) => Some(value),
                    None => match kwargs.map(by_name).transpose()?.flatten() {
                        Some(value) => {
                            named += 1;
                            Some(value)
                        }
                        None => None,
                    },
                },
                Takes::Positionals => {
                    let rest: Vec<_> = positional.by_ref().collect();
                    Some(PyTuple::new(py, rest)?.into_any())
                }
                Takes::Keyword => match kwargs.map(by_name).transpose()?.flatten() {
                    Some(value) => {
                        named += 1;
                        Some(value)
                    }
                    None => None,
                },
                Takes::Keywords => {
                    takes_all = true;
                    Some(self.rest(py, args.len(), kwargs)?.into_any())
                }
            };
            let value = match (value, &parameter.default) {
                (Some(value), _) => value,
                (None, Some(default)) => default.bind(py).clone(),
                (None, None) => return Ok(None),
            };
            if !parameter.ignored {
                bound.push((&parameter.text, value));
            }
        }
        if positional.next().is_some() || (!takes_all && named != given) {
            return Ok(None);
        }
        if takes_all && self.doubles(args.len(), kwargs)? {
            return Ok(None);
        }
        Ok(Some(bound))
    }

    /// What goes to `**kwargs`: every name that is not a parameter's own.
    fn rest<'py>(
        &self,
        py: Python<'py>,
        positional: usize,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let rest = match kwargs {
            Some(kwargs) => kwargs.copy()?,
            None => PyDict::new(py),
        };
        for (index, parameter) in self.parameters.iter().enumerate() {
            let own = match parameter.takes {
                Takes::Positional => index >= positional,
                Takes::Keyword => true,
                _ => false,
            };
            if own && rest.contains(parameter.name.bind(py))? {
                rest.del_item(parameter.name.bind(py))?;
            }
        }
        Ok(rest)
    }

    /// Whether a positional parameter was also given by name.
    fn doubles(&self, positional: usize, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<bool> {
        let Some(kwargs) = kwargs else { return Ok(false) };
        for parameter in self.parameters.iter().take(positional) {
            if parameter.takes == Takes::Positional
                && kwargs.contains(parameter.name.bind(kwargs.py()))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
