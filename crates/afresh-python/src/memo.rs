//! A remembered function: the path of a call from Python's `f(x)` to the stored value.
//!
//! A hit stays in this file: is the function still what it was (pointer compares), bind, digest, look up, decode.
//! Everything else goes to the `miss` function of the Python package, which may run the user's code. No
//! error of the cache is raised from here in place of the user's value: the miss function is told and computes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use afresh::{Argument, CommitId, Fingerprint, Function, FunctionId, ObjectId, Policy, fp1};
use pollster::block_on;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType};

use crate::binder::Binder;
use crate::call::Call;
use crate::digest::{Digester, Undigestable, outline};
use crate::engine::Engine;
use crate::frame;
use crate::preview::preview;
use crate::warnings;

/// What identity and configuration made of the function. Replaced as a whole, never changed.
struct Definition {
    engine: Py<Engine>,
    function: Arc<Function>,
    binder: Binder,
    /// Dictionary, key and the very object that must be there for the identity to hold.
    watch: Vec<(Py<PyDict>, Py<PyAny>, Py<PyAny>)>,
    /// Dictionary and key that must not be there: it would shadow a builtin.
    absent: Vec<(Py<PyDict>, Py<PyAny>)>,
    /// Object, attribute and what it must be: the contents of a cell, the code of a function.
    attributes: Vec<(Py<PyAny>, Py<PyString>, Py<PyAny>)>,
    /// Dictionary of a class and how many names must be in it: a new one hides what is inherited.
    sizes: Vec<(Py<PyDict>, usize)>,
    /// Referenced mutable data and the digest it had.
    mutable: Vec<(Py<PyAny>, fp1::Digest)>,
    policy: Policy,
    /// Whether results are pickles that may be loaded here.
    pickle: bool,
    mapped: bool,
}

/// A remembered function.
#[pyclass(subclass, dict, weakref, frozen)]
pub(crate) struct Memo {
    /// The function itself.
    #[pyo3(get, name = "__wrapped__")]
    function: Py<PyAny>,
    /// Called as `miss(memo, args, kwargs, call or None, problem or None)`; answers with an outcome or a run.
    miss: Py<PyAny>,
    definition: Mutex<Option<Arc<Definition>>>,
}

/// What became of preparing a call.
enum Prepared<'py> {
    Ready(Ready<'py>),
    /// The arguments do not fit the signature: let the function say so.
    Misfit,
    /// The call has no identity; why.
    Nameless(String),
}

/// A call with its key, and what else a miss will want to know.
struct Ready<'py> {
    definition: Arc<Definition>,
    fingerprint: Fingerprint,
    arguments: Vec<(Bound<'py, PyAny>, fp1::Digest)>,
    names: Vec<String>,
}

static REFERENCE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static EMIT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn imported<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    module: &str,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    cell.get_or_try_init(py, || py.import(module)?.getattr(name).map(Bound::unbind))
        .map(|object| object.bind(py))
}

/// The class of references to results, once anybody has made one.
#[pyfunction]
pub(crate) fn set_reference_class(class: Bound<'_, PyType>) {
    let py = class.py();
    let _ = REFERENCE.set(py, class.unbind());
}

/// Interrupts pass; whatever else goes wrong in the cache is not the caller's problem.
fn contain(py: Python<'_>, error: PyErr) -> PyResult<String> {
    if error.is_instance_of::<Undigestable>(py)
        && let Ok((kind, reason)) =
            error.value(py).getattr("args").and_then(|args| args.extract::<(String, String)>())
    {
        Ok(format!("{kind}: {reason}"))
    } else if error.is_instance_of::<PyException>(py) {
        Ok(error.value(py).to_string())
    } else {
        Err(error)
    }
}

impl Memo {
    fn current(&self) -> Option<Arc<Definition>> {
        self.definition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn definition(slf: &Bound<'_, Self>) -> PyResult<Arc<Definition>> {
        if let Some(definition) = slf.get().current()
            && slf.get().holds(slf.py(), &definition)?
        {
            return Ok(definition);
        }
        slf.call_method0(intern!(slf.py(), "_define"))?;
        slf.get().current().ok_or_else(|| PyValueError::new_err("the function was not defined"))
    }

    /// Whether everything the identity rests on is still the same object, and mutable data has the same content.
    fn holds(&self, py: Python<'_>, definition: &Definition) -> PyResult<bool> {
        for (dict, key, expected) in &definition.watch {
            match dict.bind(py).get_item(key.bind(py))? {
                Some(found) if found.is(expected.bind(py)) => {}
                _ => return Ok(false),
            }
        }
        for (dict, key) in &definition.absent {
            if dict.bind(py).contains(key.bind(py))? {
                return Ok(false);
            }
        }
        for (object, name, expected) in &definition.attributes {
            // What cannot be read, such as an empty cell, cannot be compared: the identity is made anew.
            match object.bind(py).getattr(name.bind(py)) {
                Ok(found) if found.is(expected.bind(py)) => {}
                _ => return Ok(false),
            }
        }
        if definition.sizes.iter().any(|(dict, size)| dict.bind(py).len() != *size) {
            return Ok(false);
        }
        if !definition.mutable.is_empty() {
            let mut digester = Digester::new();
            for (object, digest) in &definition.mutable {
                if digester.digest(object.bind(py))? != *digest {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn prepare<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Prepared<'py>> {
        let py = slf.py();
        let definition = match Self::definition(slf) {
            Ok(definition) => definition,
            Err(error) => return Ok(Prepared::Nameless(contain(py, error)?)),
        };
        let bound = match definition.binder.bind(args, kwargs) {
            Ok(Some(bound)) => bound,
            Ok(None) => return Ok(Prepared::Misfit),
            Err(error) => return Ok(Prepared::Nameless(contain(py, error)?)),
        };
        let mut digester = Digester::new();
        let mut arguments = Vec::with_capacity(bound.len());
        let mut names = Vec::with_capacity(bound.len());
        for (name, value) in bound {
            let digest = match reference(py, &value) {
                Some(digest) => Ok(digest),
                None => digester.digest(&value),
            };
            match digest {
                Ok(digest) => arguments.push((value, digest)),
                Err(error) => {
                    let why = contain(py, error)?;
                    return Ok(Prepared::Nameless(format!("argument `{name}`: {why}")));
                }
            }
            for note in digester.take_notes() {
                warnings::push(format!("{}: argument `{name}`: {note}", definition.function.name));
            }
            names.push(name.to_owned());
        }
        let keyed: Vec<_> = names
            .iter()
            .zip(&arguments)
            .map(|(name, (_, digest))| (name.as_str(), digest))
            .collect();
        let function = &definition.function;
        let fingerprint = fp1::fingerprint(&function.name, &function.id, keyed.into_iter());
        Ok(Prepared::Ready(Ready { definition, fingerprint, arguments, names }))
    }

    fn missed<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        call: Option<Call>,
        problem: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let kwargs = kwargs.map_or_else(|| PyDict::new(py), Clone::clone);
        let call = call.map(|call| Py::new(py, call)).transpose()?;
        let found = slf.get().miss.bind(py).call1((slf, args, kwargs, call, problem))?;
        if let Some(value) = found.getattr_opt(intern!(py, "value"))? {
            return Ok(value);
        }
        // The function is called from here, so that a level of recursion is one Python frame.
        let args = found.getattr(intern!(py, "args"))?.cast_into::<PyTuple>()?;
        let kwargs = found.getattr(intern!(py, "kwargs"))?.cast_into::<PyDict>()?;
        match slf.get().function.bind(py).call(args, Some(&kwargs)) {
            Ok(value) => {
                found.call_method1(intern!(py, "done"), (&value,))?;
                Ok(value)
            }
            Err(error) => {
                let raised = error.value(py);
                if let Some(traceback) = error.traceback(py) {
                    raised.setattr(intern!(py, "__traceback__"), traceback)?;
                }
                found.call_method1(intern!(py, "failed"), (raised,))?;
                Err(error)
            }
        }
    }

    /// The value of a hit, or why there is none.
    fn hit<'py>(py: Python<'py>, ready: &Ready<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let definition = &ready.definition;
        if !definition.pickle {
            return Ok(None);
        }
        // An error of the store is met again, and told, on the way that computes.
        let Ok(engine) = definition.engine.get().get(py) else { return Ok(None) };
        let (fingerprint, policy) = (&ready.fingerprint, &definition.policy);
        let found = py.detach(|| block_on(engine.lookup(fingerprint, policy)));
        let Ok(Some(hit)) = found else { return Ok(None) };
        if !matches!(hit.head.codec.as_str(), "pickle" | "safe-pickle") {
            return Ok(None);
        }
        let loads = imported(py, &LOADS, "pickle", "loads")?;
        let (pickle, buffers) = frame::parts(py, &hit.bytes, definition.mapped)?;
        if buffers.is_empty() {
            return loads.call1((pickle,)).map(Some);
        }
        let named = PyDict::new(py);
        named.set_item(intern!(py, "buffers"), buffers)?;
        loads.call((pickle,), Some(&named)).map(Some)
    }
}

/// The digest of a reference's value, without loading it.
fn reference(py: Python<'_>, value: &Bound<'_, PyAny>) -> Option<fp1::Digest> {
    let class = REFERENCE.get(py)?;
    if !value.get_type().is(class.bind(py)) {
        return None;
    }
    if let Ok(digest) =
        value.getattr(intern!(py, "_value_digest")).and_then(|d| d.extract::<[u8; 32]>())
    {
        return Some(fp1::Digest(digest));
    }
    let hash: String = value.getattr(intern!(py, "hash")).and_then(|hash| hash.extract()).ok()?;
    let codec: String =
        value.getattr(intern!(py, "codec")).and_then(|codec| codec.extract()).ok()?;
    let id: ObjectId = hash.parse().ok()?;
    // The same bytes are another value through another codec.
    let mut encoder = fp1::Encoder::new();
    encoder.node("result", 2);
    encoder.str(&codec);
    encoder.bytes(id.as_bytes());
    Some(encoder.finish())
}

/// The commit a reference stands for.
fn source(py: Python<'_>, value: &Bound<'_, PyAny>) -> Option<CommitId> {
    let class = REFERENCE.get(py)?;
    if !value.get_type().is(class.bind(py)) {
        return None;
    }
    let hash: String =
        value.getattr(intern!(py, "commit_hash")).and_then(|hash| hash.extract()).ok()?;
    hash.parse().ok()
}

impl Ready<'_> {
    fn call(&self, py: Python<'_>, looked: bool) -> Call {
        let mut insides = Vec::new();
        let arguments = self
            .names
            .iter()
            .zip(&self.arguments)
            .enumerate()
            .map(|(place, (name, (value, digest)))| {
                let source = source(py, value);
                let preview = match source {
                    Some(commit) => format!("<result {}>", commit.short()),
                    None => preview(name, value),
                };
                if source.is_none() && outline::has_inside(value) {
                    insides.push((place, value.clone().unbind()));
                }
                Argument { name: name.clone(), digest: *digest, preview, source }
            })
            .collect();
        Call {
            engine: self.definition.engine.clone_ref(py),
            function: Arc::clone(&self.definition.function),
            arguments,
            value: self.fingerprint,
            policy: self.definition.policy,
            looked,
            insides: Mutex::new(insides),
        }
    }
}

#[pymethods]
impl Memo {
    #[new]
    fn new(function: Py<PyAny>, miss: Py<PyAny>) -> Self {
        Self { function, miss, definition: Mutex::new(None) }
    }

    /// Sets identity and configuration; called by `_define` in Python.
    #[pyo3(signature = (engine, name, digest, record, parameters, watch, absent, attributes, sizes, mutable, *, ttl, pickle, mapped))]
    #[allow(clippy::too_many_arguments, reason = "named in Python")]
    fn _set(
        &self,
        engine: Py<Engine>,
        name: String,
        digest: [u8; 32],
        record: &Bound<'_, PyBytes>,
        parameters: &Bound<'_, PyTuple>,
        watch: Vec<(Py<PyDict>, Py<PyAny>, Py<PyAny>)>,
        absent: Vec<(Py<PyDict>, Py<PyAny>)>,
        attributes: Vec<(Py<PyAny>, Py<PyString>, Py<PyAny>)>,
        sizes: Vec<(Py<PyDict>, usize)>,
        mutable: Vec<(Py<PyAny>, [u8; 32])>,
        ttl: Option<f64>,
        pickle: bool,
        mapped: bool,
    ) -> PyResult<()> {
        let record = afresh::Bytes::copy_from_slice(record.as_bytes());
        let definition = Definition {
            engine,
            function: Arc::new(Function::new(name, FunctionId::new(digest), record)),
            binder: Binder::new(parameters)?,
            watch,
            absent,
            attributes,
            sizes,
            mutable: mutable
                .into_iter()
                .map(|(object, digest)| (object, fp1::Digest(digest)))
                .collect(),
            policy: Policy { ttl: ttl.and_then(|ttl| Duration::try_from_secs_f64(ttl).ok()) },
            pickle,
            mapped,
        };
        *self.definition.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Arc::new(definition));
        Ok(())
    }

    /// Forgets the identity; the next call makes it anew.
    fn _reset(&self) {
        self.definition.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The call with these arguments and no problem, or no call and the problem; neither when they do not fit.
    #[pyo3(signature = (args, kwargs))]
    fn _call<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<(Option<Call>, Option<String>)> {
        Ok(match Self::prepare(slf, args, Some(kwargs))? {
            Prepared::Ready(ready) => (Some(ready.call(slf.py(), false)), None),
            Prepared::Misfit => (None, None),
            Prepared::Nameless(why) => (None, Some(why)),
        })
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let value = match Self::prepare(slf, args, kwargs)? {
            Prepared::Misfit => slf.get().function.bind(py).call(args, kwargs),
            Prepared::Nameless(why) => Self::missed(slf, args, kwargs, None, Some(why)),
            Prepared::Ready(ready) => match Self::hit(py, &ready) {
                Ok(Some(value)) => Ok(value),
                Ok(None) => {
                    let looked = ready.definition.pickle;
                    Self::missed(slf, args, kwargs, Some(ready.call(py, looked)), None)
                }
                Err(error) => {
                    let why =
                        format!("the stored result cannot be loaded: {}", contain(py, error)?);
                    Self::missed(slf, args, kwargs, Some(ready.call(py, false)), Some(why))
                }
            },
        };
        if warnings::any() {
            imported(py, &EMIT, "afresh.warn", "emit")?.call0()?;
        }
        value
    }

    /// As a method: bound to the instance.
    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: Option<&Bound<'py, PyAny>>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = owner;
        let py = slf.py();
        match instance {
            None => Ok(slf.clone().into_any()),
            Some(instance) => {
                static METHOD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
                imported(py, &METHOD, "types", "MethodType")?.call1((slf, instance))
            }
        }
    }

    /// The key of a call with these arguments, in hexadecimal; None where it has none.
    #[pyo3(signature = (*args, **kwargs))]
    fn key<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        let py = slf.py();
        Ok(match Self::prepare(slf, args, kwargs)? {
            Prepared::Ready(ready) => Some(PyString::new(py, &ready.fingerprint.to_string())),
            Prepared::Misfit | Prepared::Nameless(_) => None,
        })
    }
}
