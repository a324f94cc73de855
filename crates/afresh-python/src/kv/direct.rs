//! The two commands that programs call most, and the answers of decorated functions, without a frame of Python.
//!
//! Only where nothing can come between a command and its entry: one store, in memory, all keys, everything on, nothing
//! that stands around commands. `_aim` says so, at every change of any of that; otherwise the class in Python does
//! it. Nothing is decided here that is not decided there.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString, PyTuple};
use pyo3::{ffi, intern};
use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, UnitWeighter, unsync};

use super::face::Kv;
use crate::attached::Attached;
use crate::binder::Binder;
use crate::exact::{Bound as Arguments, Exact, MOST};

/// What `SyncCache` is made of.
#[pyclass(frozen, subclass)]
pub(crate) struct Direct {
    aim: Attached<Aim>,
}

/// The one store in memory, where nothing can come between a command and it.
#[derive(Default)]
struct Aim {
    kv: Option<Py<Kv>>,
    /// Nobody wants to know what decorated functions answer.
    unseen: bool,
}

impl Direct {
    #[inline]
    fn kv(&self, py: Python<'_>) -> Option<Py<Kv>> {
        self.aim.with(py, |aim| aim.kv.as_ref().map(|kv| kv.clone_ref(py))).flatten()
    }

    /// The same for answers of decorated functions.
    #[inline]
    fn unseen(&self, py: Python<'_>) -> Option<Py<Kv>> {
        let kv = |aim: &mut Aim| aim.kv.as_ref().filter(|_| aim.unseen).map(|kv| kv.clone_ref(py));
        self.aim.with(py, kv).flatten()
    }
}

/// The lifetime in a number of seconds, exactly a float or an int, or in None.
fn plain(expire: Option<&Bound<'_, PyAny>>) -> Option<Option<f64>> {
    let Some(expire) = expire else { return Some(None) };
    if !expire.is_exact_instance_of::<PyFloat>() && !expire.is_exact_instance_of::<PyInt>() {
        return None;
    }
    expire.extract::<f64>().ok().filter(|seconds| seconds.is_finite()).map(Some)
}

#[pymethods]
impl Direct {
    #[new]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        let _ = (args, kwargs);
        Self { aim: Attached::new(Aim::default()) }
    }

    /// The one store in memory, where nothing can come between a command and it; and whether nobody wants to know what
    /// decorated functions answer.
    #[pyo3(signature = (kv, unseen))]
    fn _aim(&self, py: Python<'_>, kv: Option<Py<Kv>>, unseen: bool) {
        let before = self.aim.with(py, |aim| std::mem::replace(aim, Aim { kv, unseen }));
        drop(before);
    }

    /// The value, or ``default``. Every caller gets a value of their own.
    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        match (slf.get().kv(py), key.cast_exact::<PyString>()) {
            (Some(kv), Ok(key)) => kv.get().get(key, default),
            _ => slf.call_method1(intern!(py, "_get"), (key, default)).map(Some),
        }
    }

    /// Stores a value; whether it is there now.
    ///
    /// ``expire`` is its lifetime from now on (None: no end, 0: not stored, ``"keep"``: what it has). With
    /// ``exist=True`` only in place of another, with ``exist=False`` only where there is none.
    #[pyo3(
        signature = (key, value, expire=None, exist=None, tags=None),
        text_signature = "($self, key, value, expire=None, exist=None, tags=())"
    )]
    fn set<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        expire: Option<&Bound<'py, PyAny>>,
        exist: Option<&Bound<'py, PyAny>>,
        tags: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<bool> {
        let py = slf.py();
        let untagged = match tags {
            None => true,
            Some(tags) => tags.cast_exact::<PyTuple>().is_ok_and(|tags| tags.is_empty()),
        };
        if exist.is_none()
            && untagged
            && let (Some(kv), Ok(key)) = (slf.get().kv(py), key.cast_exact::<PyString>())
            && let Some(ttl) = plain(expire)
        {
            return kv.get().set(key, value, ttl, false, None, None, None, None, false);
        }
        let none = PyTuple::empty(py).into_any();
        let arguments = (key, value, expire, exist, tags.unwrap_or(&none));
        slf.call_method1(intern!(py, "_set"), arguments)?.is_truthy()
    }
}

/// A part of a key: an argument, or what is found from there by attributes.
struct Field {
    argument: usize,
    path: Vec<Py<PyString>>,
}

/// The answers of one decorated function that are at hand: a key for each set of exact scalars that its key is made of,
/// as Python made it before, and what is in memory under it.
#[pyclass(frozen)]
pub(crate) struct Hits {
    direct: Py<Direct>,
    binder: Binder,
    /// All arguments, where there are none.
    fields: Option<Vec<Field>>,
    /// The type of an answer that is to be raised.
    raised: Py<PyAny>,
    /// What stands for no answer.
    absent: Py<PyAny>,
    keys: Attached<Keys>,
}

type Keys = Cache<Exact, Py<PyString>, UnitWeighter, DefaultHashBuilder>;

/// Keys that are remembered of a function.
const KEYS: u64 = 16_384;

impl Equivalent<Exact> for Arguments<'_> {
    #[inline]
    fn equivalent(&self, key: &Exact) -> bool {
        self.is(key)
    }
}

impl Hits {
    /// What `work` makes of the scalars that a call's key is made of; `None` where it is made of anything else.
    #[inline]
    #[allow(unsafe_code, reason = "references are borrowed, not counted")]
    fn with<R>(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
        work: impl FnOnce(&Arguments<'_>) -> R,
    ) -> Option<R> {
        let py = args.py();
        let mut room = [std::ptr::null_mut(); MOST];
        let objects = self.binder.order(args, kwargs, &mut room)?;
        let Some(fields) = &self.fields else {
            return Arguments::new(0, objects).map(|a| work(&a));
        };
        let mut found: [Option<Bound<'_, PyAny>>; MOST] = [const { None }; MOST];
        let mut values = [std::ptr::null_mut::<ffi::PyObject>(); MOST];
        for (at, field) in fields.iter().enumerate() {
            let object = *objects.get(field.argument)?;
            // SAFETY: the caller holds the arguments.
            let mut value = unsafe { Borrowed::from_ptr(py, object) }.to_owned();
            for name in &field.path {
                if value.is_none() {
                    break;
                }
                // What fails here fails where the key is made, and is told there.
                value = value.getattr(name.bind(py)).ok()?;
            }
            *values.get_mut(at)? = value.as_ptr();
            *found.get_mut(at)? = Some(value);
        }
        Arguments::new(0, values.get(..fields.len())?).map(|arguments| work(&arguments))
    }
}

#[pymethods]
impl Hits {
    /// `parameters` are those of the function; `fields` an argument's place and names of attributes for each part of
    /// the key, or None if it is made of all arguments.
    #[new]
    fn new(
        direct: Py<Direct>,
        parameters: &Bound<'_, PyTuple>,
        fields: Option<Vec<(usize, Vec<Py<PyString>>)>>,
        raised: Py<PyAny>,
        absent: Py<PyAny>,
    ) -> PyResult<Self> {
        let fields = fields.map(|fields| {
            fields.into_iter().map(|(argument, path)| Field { argument, path }).collect()
        });
        let keys = Cache::with(
            64,
            KEYS,
            UnitWeighter,
            DefaultHashBuilder::default(),
            unsync::DefaultLifecycle::default(),
        );
        let keys = Attached::new(keys);
        Ok(Self { direct, binder: Binder::new(parameters)?, fields, raised, absent, keys })
    }

    /// The answer that is at hand for a call, or what stands for none.
    #[pyo3(signature = (args, kwargs=None))]
    fn find<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let absent = || self.absent.bind(py).clone();
        let Some(kv) = self.direct.get().unseen(py) else { return Ok(absent()) };
        let key = self.with(args, kwargs, |arguments| {
            self.keys.with(py, |keys| keys.get(arguments).map(|key| key.clone_ref(py))).flatten()
        });
        let Some(key) = key.flatten() else { return Ok(absent()) };
        match kv.get().at_hand(key.bind(py))? {
            Some(found) if !found.get_type().is(&self.raised) => {
                kv.get().hit();
                Ok(found)
            }
            _ => Ok(absent()),
        }
    }

    /// Remembers the key of a call.
    #[pyo3(signature = (args, kwargs, key))]
    fn learn(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
        key: Py<PyString>,
    ) -> PyResult<()> {
        let py = args.py();
        match self.with(args, kwargs, |arguments| arguments.keep(py)) {
            Some(exact) => {
                let exact = exact?;
                // What has to go for it is texts and numbers, which run no code when they are freed.
                self.keys.with(py, |keys| keys.insert(exact, key));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Forgets all keys: what they are made with has changed.
    fn forget(&self, py: Python<'_>) {
        self.keys.with(py, Cache::clear);
    }
}
