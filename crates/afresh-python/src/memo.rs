//! A remembered function: the path of a call from Python's `f(x)` to the stored value.
//!
//! A hit stays in this file: is the function still what it was (`validity`), bind, look in the tier by the arguments as
//! they are (`exact`), else digest, look in the tier and in the store, decode. Everything else goes to the `miss` function of the Python package, which may run the user's code. No
//! error of the cache is raised from here in place of the user's value: the miss function is told and computes.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use afresh::{
    Argument, CommitId, Fingerprint, Function, FunctionId, ObjectId, Policy, Stamp, Tag, Verdict,
    fp1,
};
use pollster::block_on;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType};

use crate::attached::Attached;
use crate::awaitable::Awaitable;
use crate::binder::Binder;
use crate::call::{Call, Hit};
use crate::counters::{self, Counters};
use crate::digest::{Digester, Undigestable, outline};
use crate::engine::{Engine, Tags, tags};
use crate::errors::OrRaise;
use crate::exact;
use crate::frame;
use crate::modes;
use crate::plain::{self, Made};
use crate::preview::preview;
use crate::scalar;
use crate::terms::Terms;
use crate::ticket::Ticket;
use crate::tier::{self, Answer, Kept, Key, Query, Used};
use crate::validity::{Absent, Attribute, Mutable, Size, Validity, Watch};
use crate::warnings;

/// What identity and configuration made of the function. Replaced as a whole, never changed.
struct Definition {
    /// Tells this definition from every other of this process.
    number: u64,
    engine: Py<Engine>,
    name: String,
    id: FunctionId,
    /// Writes the record of the function's components, at the first miss.
    record: Py<PyAny>,
    function: PyOnceLock<Arc<Function>>,
    /// The name that calls are looked up by: where the id tells everything, without the module.
    key: String,
    binder: Binder,
    validity: Validity,
    policy: Policy,
    /// Whether the policy asks nothing of an answer.
    plain: bool,
    /// How often the defaults had been changed when this was made.
    configured: u64,
    /// Whether results are pickles that may be loaded here.
    pickle: bool,
    /// Where nothing more is asked of a run: the labels of what it gives.
    plainly: Option<Arc<Vec<Tag>>>,
    mapped: bool,
    /// Whether the store answers at once, so that an event loop may ask it.
    near: bool,
}

/// A remembered function.
#[pyclass(subclass, dict, weakref, frozen)]
pub(crate) struct Memo {
    /// The function itself.
    #[pyo3(get, name = "__wrapped__")]
    pub(crate) function: Py<PyAny>,
    /// Called as `miss(memo, args, kwargs, call or None, problem or None, begun or None)`; answers with an outcome or a run.
    miss: Py<PyAny>,
    definition: Attached<Option<Arc<Definition>>>,
    /// Whether the function is a coroutine function.
    asynchronous: bool,
    pub(crate) counters: Arc<Counters>,
}

/// What became of a call that was looked for.
enum Found<'py> {
    Value(Bound<'py, PyAny>),
    /// The arguments do not fit the signature: let the function say so.
    Misfit,
    /// The call, unless it has no identity, and what went wrong, if anything did.
    Missed(Option<Box<Call>>, Option<String>),
}

/// The same for Python: whether there is an answer, the answer, the call, and what went wrong.
type Looked<'py> = (bool, Option<Bound<'py, PyAny>>, Option<Call>, Option<String>);

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
static OFF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

pub(crate) fn imported<'py>(
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

/// Whether the decorator was given something that makes no sense, which only now can be known.
fn is_mistake(py: Python<'_>, error: &PyErr) -> bool {
    let told = error.value(py).getattr_opt(intern!(py, "mistake"));
    told.is_ok_and(|told| told.is_some_and(|told| told.is_truthy().unwrap_or(false)))
}

impl Memo {
    #[inline]
    fn current(&self, py: Python<'_>) -> Option<Arc<Definition>> {
        self.definition.with(py, |definition| definition.clone()).flatten()
    }

    fn replace(&self, py: Python<'_>, new: Option<Arc<Definition>>) {
        // What it was is freed outside, for that may run anything.
        drop(self.definition.with(py, |definition| std::mem::replace(definition, new)));
    }

    /// The definition, if it is of the function as it is now.
    #[inline]
    fn standing(&self, py: Python<'_>) -> PyResult<Option<Arc<Definition>>> {
        if let Some(definition) = self.current(py)
            && definition.configured == modes::configured()
            && definition.validity.stands(py)?
        {
            return Ok(Some(definition));
        }
        Ok(None)
    }

    #[inline]
    fn definition(slf: &Bound<'_, Self>) -> PyResult<Arc<Definition>> {
        let py = slf.py();
        if let Some(definition) = slf.get().standing(py)? {
            return Ok(definition);
        }
        slf.call_method0(intern!(py, "_define"))?;
        slf.get().current(py).ok_or_else(|| PyValueError::new_err("the function was not defined"))
    }

    fn prepare<'py>(
        py: Python<'py>,
        definition: PyResult<Arc<Definition>>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Prepared<'py>> {
        let definition = match definition {
            Ok(definition) => definition,
            Err(error) if is_mistake(py, &error) => return Err(error),
            Err(error) => return Ok(Prepared::Nameless(contain(py, error)?)),
        };
        let bound = match definition.binder.bind(args, kwargs) {
            Ok(Some(bound)) => bound,
            Ok(None) => return Ok(Prepared::Misfit),
            Err(error) => return Ok(Prepared::Nameless(contain(py, error)?)),
        };
        let mut digester = Digester::of_arguments();
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
                warnings::push(format!("{}: argument `{name}`: {note}", definition.name));
            }
            names.push(name.to_owned());
        }
        let keyed: Vec<_> = names
            .iter()
            .zip(&arguments)
            .map(|(name, (_, digest))| (name.as_str(), digest))
            .collect();
        let fingerprint = fp1::fingerprint(&definition.key, &definition.id, keyed.into_iter());
        Ok(Prepared::Ready(Ready { definition, fingerprint, arguments, names }))
    }

    /// Whether asking the store would hold up an event loop.
    #[inline]
    fn waits(slf: &Bound<'_, Self>, definition: &Definition) -> bool {
        slf.get().asynchronous && definition.engine.get().is_far()
    }

    /// Looks for the answer, first where it costs least.
    #[inline]
    fn find<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Found<'py>> {
        if modes::watched() {
            return Self::watched(slf, args, kwargs);
        }
        Self::find_by(slf, Self::definition(slf), args, kwargs)
    }

    #[inline]
    fn find_by<'py>(
        slf: &Bound<'py, Self>,
        definition: PyResult<Arc<Definition>>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Found<'py>> {
        if let Ok(definition) = &definition
            && let Ok(Some((value, answer))) = Self::known(definition, args, kwargs)
            && (answer.verdict == Verdict::Fresh || !Self::waits(slf, definition))
        {
            Self::used(slf, definition, &answer, args, kwargs)?;
            return Ok(Found::Value(value));
        }
        Self::search(slf, definition, args, kwargs)
    }

    /// Where Python is to see each call: nothing is answered here.
    #[inline(never)]
    fn watched<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Found<'py>> {
        let py = slf.py();
        if imported(py, &OFF, "afresh.settings", "off")?.call0()?.is_truthy()? {
            return Ok(Found::Missed(None, None));
        }
        Ok(match Self::prepare(py, Self::definition(slf), args, kwargs)? {
            Prepared::Misfit => Found::Misfit,
            Prepared::Nameless(why) => Found::Missed(None, Some(why)),
            Prepared::Ready(ready) => Found::Missed(Some(Box::new(ready.call(py, false)?)), None),
        })
    }

    /// Counts the use of an answer, and has it renewed if that is due and nobody is at it.
    #[inline]
    fn used<'py>(
        slf: &Bound<'py, Self>,
        definition: &Arc<Definition>,
        answer: &Used,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        slf.get().counters.hit(answer.verdict, answer.took_us);
        if answer.verdict == Verdict::Fresh {
            return Ok(());
        }
        match Self::renew(slf, definition, answer, args, kwargs) {
            Ok(()) => Ok(()),
            Err(error) => {
                let why = contain(slf.py(), error)?;
                warnings::push(format!("{} is not renewed: {why}", definition.name));
                Ok(())
            }
        }
    }

    #[inline(never)]
    fn renew<'py>(
        slf: &Bound<'py, Self>,
        definition: &Arc<Definition>,
        answer: &Used,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let engine = definition.engine.get().get(py)?;
        let found = py.detach(|| block_on(engine.refresh(&answer.fingerprint, &answer.commit)));
        let Some(ticket) = found.or_raise(py)? else { return Ok(()) };
        let prepared = Self::prepare(py, Ok(Arc::clone(definition)), args, kwargs)?;
        let Prepared::Ready(ready) = prepared else { return Ok(()) };
        let call = Py::new(py, ready.call(py, false)?)?;
        let ticket = Py::new(py, Ticket::new(call, ticket))?;
        let kwargs = kwargs.map_or_else(|| PyDict::new(py), Clone::clone);
        slf.call_method1(intern!(py, "_renew"), (args, kwargs, ticket)).map(drop)
    }

    #[inline(never)]
    fn search<'py>(
        slf: &Bound<'py, Self>,
        definition: PyResult<Arc<Definition>>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Found<'py>> {
        let py = slf.py();
        Ok(match Self::prepare(py, definition, args, kwargs)? {
            Prepared::Misfit => Found::Misfit,
            Prepared::Nameless(why) => Found::Missed(None, Some(why)),
            // What has to be waited for is asked for by the coroutine.
            Prepared::Ready(ready) if Self::waits(slf, &ready.definition) => {
                match ready.definition.kept(py, &Query::Digest(&ready.fingerprint)) {
                    Ok(Some((value, answer))) if answer.verdict == Verdict::Fresh => {
                        Self::used(slf, &ready.definition, &answer, args, kwargs)?;
                        Found::Value(value)
                    }
                    _ => {
                        let place = ready.place(py, args, kwargs)?;
                        let call = Call { place: Mutex::new(place), ..ready.call(py, false)? };
                        Found::Missed(Some(Box::new(call)), None)
                    }
                }
            }
            Prepared::Ready(ready) => match Self::hit(slf, &ready, args, kwargs) {
                Ok(Some((value, answer))) => {
                    Self::used(slf, &ready.definition, &answer, args, kwargs)?;
                    Found::Value(value)
                }
                Ok(None) => {
                    Found::Missed(Some(Box::new(ready.call(py, ready.definition.pickle)?)), None)
                }
                Err(error) => {
                    let why =
                        format!("the stored result cannot be loaded: {}", contain(py, error)?);
                    Found::Missed(Some(Box::new(ready.call(py, false)?)), Some(why))
                }
            },
        })
    }

    /// For a coroutine function: the value, or the coroutine that will come to it.
    pub(crate) fn awaited<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Result<Bound<'py, PyAny>, Bound<'py, PyAny>>> {
        let py = slf.py();
        let found = match Self::at_hand(slf, args, kwargs)? {
            Some(Found::Value(value)) => Ok(value),
            Some(Found::Misfit) => Err(slf.get().function.bind(py).call(args, kwargs)?),
            Some(Found::Missed(call, problem)) => {
                let kwargs = kwargs.map_or_else(|| PyDict::new(py), Clone::clone);
                let call = call.map(|call| Py::new(py, *call)).transpose()?;
                Err(slf.call_method1(intern!(py, "_miss"), (args, kwargs, call, problem))?)
            }
            None => {
                let kwargs = kwargs.map_or_else(|| PyDict::new(py), Clone::clone);
                Err(slf.call_method1(intern!(py, "_far"), (args, kwargs))?)
            }
        };
        warn(py)?;
        Ok(found)
    }

    /// As `find`, but none where a store would have to be asked that an event loop must not wait for.
    #[inline]
    fn at_hand<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Found<'py>>> {
        if modes::watched() {
            return Self::unless_distant(slf, || Self::watched(slf, args, kwargs));
        }
        let Ok(Some(definition)) = slf.get().standing(slf.py()) else {
            return Self::unless_distant(slf, || Self::find(slf, args, kwargs));
        };
        // Of one on a server only what is at hand is looked at there; the coroutine awaits the rest.
        if definition.near || definition.engine.get().is_far() {
            return Self::find_by(slf, Ok(definition), args, kwargs).map(Some);
        }
        match Self::known(&definition, args, kwargs) {
            // To renew an answer, the store is asked who may.
            Ok(Some((value, answer))) if answer.verdict == Verdict::Fresh => {
                Self::used(slf, &definition, &answer, args, kwargs)?;
                Ok(Some(Found::Value(value)))
            }
            _ => Ok(None),
        }
    }

    #[inline(never)]
    fn unless_distant<'py>(
        slf: &Bound<'py, Self>,
        find: impl FnOnce() -> PyResult<Found<'py>>,
    ) -> PyResult<Option<Found<'py>>> {
        if slf.getattr(intern!(slf.py(), "_distant"))?.is_truthy()? {
            return Ok(None);
        }
        find().map(Some)
    }

    fn missed<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        call: Option<Box<Call>>,
        problem: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let (call, begun) = match call {
            Some(call) if call.plain.is_some() && problem.is_none() => {
                match plain::make(slf, args, kwargs, call)? {
                    Made::Value(value) => return Ok(value),
                    Made::Other(call, begun) => (Some(call), begun),
                }
            }
            call => (call.map(|call| Bound::new(py, *call)).transpose()?, None),
        };
        let kwargs = kwargs.map_or_else(|| PyDict::new(py), Clone::clone);
        let found = slf.get().miss.bind(py).call1((slf, args, kwargs, call, problem, begun))?;
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
                let rescued = found.call_method1(intern!(py, "failed"), (raised,))?;
                if rescued.is_none() { Err(error) } else { rescued.getattr(intern!(py, "value")) }
            }
        }
    }

    /// The value of a call whose arguments are all exact scalars, if the tier has it.
    #[inline]
    fn known<'py>(
        definition: &Definition,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Used)>> {
        let py = args.py();
        let mut room = [ptr::null_mut(); exact::MOST];
        let Some(arguments) = definition.exact(args, kwargs, &mut room) else { return Ok(None) };
        definition.kept(py, &Query::Exact(&arguments))
    }

    /// The value of a hit; none is none, whatever the reason.
    fn hit<'py>(
        slf: &Bound<'py, Self>,
        ready: &Ready<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Used)>> {
        let py = slf.py();
        let definition = &ready.definition;
        if !definition.pickle {
            return Ok(None);
        }
        let (fingerprint, policy) = (&ready.fingerprint, &definition.policy);
        let mut room = [ptr::null_mut(); exact::MOST];
        let arguments = definition.exact(args, kwargs, &mut room);
        if arguments.is_none()
            && let Some(found) = definition.kept(py, &Query::Digest(fingerprint))?
        {
            return Ok(Some(found));
        }
        // An error of the store is met again, and told, on the way that computes.
        let Ok(engine) = definition.engine.get().get(py) else { return Ok(None) };
        let stamp = definition
            .engine
            .get()
            .tier
            .with(py, |tier| tier.stamp(&engine, fingerprint))
            .flatten();
        let began = Instant::now();
        let found = py.detach(|| block_on(engine.lookup(fingerprint, policy)));
        let Ok(Some(hit)) = found else { return Ok(None) };
        slf.get().counters.looked_up(hit.bytes.len(), began.elapsed());
        if !matches!(hit.head.codec.as_str(), "pickle" | "safe-pickle") {
            return Ok(None);
        }
        let value = load(py, &hit.bytes, definition.mapped)?;
        if let Some(stamp) = stamp
            && !definition.mapped
        {
            let kept = if tier::is_immutable(&value) {
                Kept::Shared(value.clone().unbind())
            } else {
                Kept::Bytes(hit.bytes.clone())
            };
            let key = match arguments {
                Some(arguments) => Key::Exact(arguments.keep(py)?),
                None => Key::Digest(*fingerprint),
            };
            definition.engine.get().tier.with(py, |tier| {
                tier.keep(&engine, key, (*fingerprint, stamp), &hit, kept);
            });
        }
        let (verdict, took_us) = (hit.verdict, hit.head.took_us);
        Ok(Some((
            value,
            Used { verdict, fingerprint: *fingerprint, commit: hit.commit(), took_us },
        )))
    }
}

impl Definition {
    /// The arguments as a key, where all that count are exact scalars and none is more than the signature names.
    #[inline]
    fn exact<'a>(
        &'a self,
        args: &'a Bound<'_, PyTuple>,
        kwargs: Option<&'a Bound<'_, PyDict>>,
        room: &'a mut [*mut ffi::PyObject; exact::MOST],
    ) -> Option<exact::Bound<'a>> {
        exact::Bound::new(self.number, self.binder.order(args, kwargs, room)?)
    }

    /// The function with its record. Without one there is less to explain, and nothing else is lost.
    fn function(&self, py: Python<'_>) -> PyResult<Arc<Function>> {
        let make = || -> PyResult<Arc<Function>> {
            let written = self.record.bind(py).call0().and_then(|record| {
                Ok(afresh::Bytes::copy_from_slice(record.cast::<PyBytes>()?.as_bytes()))
            });
            let record = match written {
                Ok(record) => record,
                Err(error) => {
                    let why = contain(py, error)?;
                    warnings::push(format!("{}: there is no record of its code: {why}", self.name));
                    afresh::Bytes::new()
                }
            };
            Ok(Arc::new(Function::new(self.name.clone(), self.id, record)))
        };
        self.function.get_or_try_init(py, make).map(Arc::clone)
    }

    /// The value that the tier has.
    #[inline]
    fn kept<'py>(
        &self,
        py: Python<'py>,
        query: &Query<'_>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Used)>> {
        let tier = &self.engine.get().tier;
        let found = tier.with(py, |tier| tier.get(py, query, &self.policy, self.plain)).flatten();
        let Some(Answer { kept, used }) = found else { return Ok(None) };
        let value = match kept {
            Kept::Shared(value) => value.into_bound(py),
            Kept::Bytes(bytes) => load(py, &bytes, false)?,
        };
        Ok(Some((value, used)))
    }
}

/// Shows what the cache has to say, if anything.
#[inline]
fn warn(py: Python<'_>) -> PyResult<()> {
    if warnings::any() {
        imported(py, &EMIT, "afresh.warn", "emit")?.call0()?;
    }
    Ok(())
}

/// The value of a pickle with its buffers.
fn load<'py>(py: Python<'py>, bytes: &afresh::Bytes, mapped: bool) -> PyResult<Bound<'py, PyAny>> {
    if let Some(value) = scalar::read(py, bytes) {
        return Ok(value);
    }
    // What `pickle.loads` is; `pickle` itself takes two milliseconds to import.
    let loads = imported(py, &LOADS, "_pickle", "loads")?;
    let (pickle, buffers) = frame::parts(py, bytes, mapped)?;
    if buffers.is_empty() {
        return loads.call1((pickle,));
    }
    let named = PyDict::new(py);
    named.set_item(intern!(py, "buffers"), buffers)?;
    loads.call((pickle,), Some(&named))
}

#[allow(unsafe_code, reason = "not declared by pyo3")]
unsafe extern "C" {
    /// `types.MethodType(function, instance)`; a new reference, or null with an exception set.
    fn PyMethod_New(
        function: *mut ffi::PyObject,
        instance: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
}

/// The digest of a reference's value, without loading it.
fn reference(py: Python<'_>, value: &Bound<'_, PyAny>) -> Option<fp1::Digest> {
    if !is_reference(value) {
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

/// Whether the value is a reference to a result.
pub(crate) fn is_reference(value: &Bound<'_, PyAny>) -> bool {
    REFERENCE.get(value.py()).is_some_and(|class| value.get_type().is(class.bind(value.py())))
}

/// The commit a reference stands for.
fn source(py: Python<'_>, value: &Bound<'_, PyAny>) -> Option<CommitId> {
    if !is_reference(value) {
        return None;
    }
    let hash: String =
        value.getattr(intern!(py, "commit_hash")).and_then(|hash| hash.extract()).ok()?;
    hash.parse().ok()
}

impl Ready<'_> {
    fn call(&self, py: Python<'_>, looked: bool) -> PyResult<Call> {
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
        Ok(Call {
            engine: self.definition.engine.clone_ref(py),
            function: self.definition.function(py)?,
            arguments,
            value: self.fingerprint,
            policy: self.definition.policy,
            looked,
            plain: self.definition.plainly.clone().filter(|_| looked),
            insides: Mutex::new(insides),
            place: Mutex::default(),
        })
    }

    /// Where in the tier an answer goes that is still to come, if it may.
    fn place(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Option<(Key, Stamp)>> {
        let definition = &self.definition;
        if !definition.pickle || definition.mapped {
            return Ok(None);
        }
        let Ok(engine) = definition.engine.get().get(py) else { return Ok(None) };
        let tier = &definition.engine.get().tier;
        let stamp = tier.with(py, |tier| tier.stamp(&engine, &self.fingerprint)).flatten();
        let Some(stamp) = stamp else { return Ok(None) };
        let mut room = [ptr::null_mut(); exact::MOST];
        let key = match definition.exact(args, kwargs, &mut room) {
            Some(arguments) => Key::Exact(arguments.keep(py)?),
            None => Key::Digest(self.fingerprint),
        };
        Ok(Some((key, stamp)))
    }
}

#[pymethods]
impl Memo {
    #[new]
    #[pyo3(signature = (function, miss, asynchronous=false, like=None))]
    fn new(
        function: Py<PyAny>,
        miss: Py<PyAny>,
        asynchronous: bool,
        like: Option<&Bound<'_, Self>>,
    ) -> Self {
        let counters = like.map(|like| Arc::clone(&like.get().counters)).unwrap_or_default();
        Self { function, miss, definition: Attached::new(None), asynchronous, counters }
    }

    /// Counts something.
    #[pyo3(signature = (name, by=1))]
    fn _count(&self, name: &str, by: u64) -> PyResult<()> {
        self.counters.count(name, by)
    }

    /// Counts something that took so many seconds.
    fn _time(&self, name: &str, seconds: f64) -> PyResult<()> {
        self.counters.time(name, seconds)
    }

    /// Counts a hit.
    fn _hit(&self, hit: &Bound<'_, Hit>) {
        hit.get().count(&self.counters);
    }

    /// What was counted.
    fn _counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.counters.totals().dict(py)
    }

    /// Sets identity and configuration; called by `_define` in Python.
    #[pyo3(signature = (engine, name, key, digest, record, parameters, watch, absent, attributes, sizes, mutable, *, terms, pickle, plain, mapped))]
    #[allow(clippy::too_many_arguments, reason = "named in Python")]
    fn _set(
        &self,
        engine: Py<Engine>,
        name: String,
        key: String,
        digest: [u8; 32],
        record: Py<PyAny>,
        parameters: &Bound<'_, PyTuple>,
        watch: Vec<Watch>,
        absent: Vec<Absent>,
        attributes: Vec<Attribute>,
        sizes: Vec<Size>,
        mutable: Vec<Mutable>,
        terms: Terms,
        pickle: bool,
        plain: Option<Tags>,
        mapped: bool,
    ) -> PyResult<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let py = parameters.py();
        counters::enroll(&self.counters, &name);
        let near = engine.get().near(py)?;
        let policy = terms.policy();
        let definition = Definition {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            engine,
            key,
            name,
            id: FunctionId::new(digest),
            record,
            function: PyOnceLock::new(),
            binder: Binder::new(parameters)?,
            validity: Validity::new(py, watch, absent, attributes, sizes, mutable)?,
            policy,
            plain: policy.is_plain(),
            configured: modes::configured(),
            pickle,
            plainly: plain.map(|pairs| tags(py, pairs)).transpose()?.map(Arc::new),
            mapped,
            near,
        };
        self.replace(py, Some(Arc::new(definition)));
        Ok(())
    }

    /// Forgets the identity; the next call makes it anew.
    fn _reset(&self, py: Python<'_>) {
        self.replace(py, None);
    }

    /// The call with these arguments and no problem, or no call and the problem; neither when they do not fit.
    #[pyo3(signature = (args, kwargs))]
    fn _call<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<(Option<Call>, Option<String>)> {
        Ok(match Self::prepare(slf.py(), Self::definition(slf), args, Some(kwargs))? {
            Prepared::Ready(ready) => (Some(ready.call(slf.py(), false)?), None),
            Prepared::Misfit => (None, None),
            Prepared::Nameless(why) => (None, Some(why)),
        })
    }

    /// Looks for the answer, as a call does: whether there is one, the answer, or the call and what went wrong. Neither
    /// where the arguments do not fit, or nothing is to be looked for.
    #[pyo3(signature = (args, kwargs))]
    fn _look<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Looked<'py>> {
        Ok(match Self::find(slf, args, Some(kwargs))? {
            Found::Value(value) => (true, Some(value), None, None),
            Found::Misfit => (false, None, None, None),
            Found::Missed(call, problem) => (false, None, call.map(|call| *call), problem),
        })
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if slf.get().asynchronous {
            let (args, kwargs) =
                (args.clone().unbind(), kwargs.map(|kwargs| kwargs.clone().unbind()));
            let awaitable = Awaitable::new(slf.clone().unbind(), args, kwargs);
            return Ok(Bound::new(py, awaitable)?.into_any());
        }
        let value = match Self::find(slf, args, kwargs)? {
            Found::Value(value) => Ok(value),
            Found::Misfit => slf.get().function.bind(py).call(args, kwargs),
            Found::Missed(call, problem) => Self::missed(slf, args, kwargs, call, problem),
        };
        warn(py)?;
        value
    }

    /// As a method: bound to the instance.
    #[allow(unsafe_code, reason = "a method is made by a C function")]
    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: Option<&Bound<'py, PyAny>>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = owner;
        match instance {
            None => Ok(slf.clone().into_any()),
            // SAFETY: attached, and both are objects.
            Some(instance) => unsafe {
                let bound = PyMethod_New(slf.as_ptr(), instance.as_ptr());
                Bound::from_owned_ptr_or_err(slf.py(), bound)
            },
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
        Ok(match Self::prepare(py, Self::definition(slf), args, kwargs)? {
            Prepared::Ready(ready) => Some(PyString::new(py, &ready.fingerprint.to_string())),
            Prepared::Misfit | Prepared::Nameless(_) => None,
        })
    }
}
