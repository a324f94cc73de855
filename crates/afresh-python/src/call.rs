//! A bound call on its way through the engine, for the parts of Python that a miss goes through.

use std::future::{Future, poll_fn};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use afresh::{
    Argument, Asked, Begun, Bytes, CommitId, Execution, Explanation, Fingerprint, Function, Policy,
    RAISED, Stamp, Tag, Verdict,
};
use pollster::block_on;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::counters::Counters;
use crate::digest::outline;
use crate::engine::Engine;
use crate::errors::OrRaise;
use crate::explain;
use crate::frame;
use crate::later::{self, Later};
use crate::ticket::Ticket;
use crate::tier::{Kept, Key};

/// How long one wait lasts before Python may act on a signal such as Ctrl-C. Being woken is not delayed by it.
const SLICE: Duration = Duration::from_millis(100);

/// A function bound to arguments, on a store.
#[pyclass(frozen)]
pub(crate) struct Call {
    pub(crate) engine: Py<Engine>,
    pub(crate) function: Arc<Function>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) value: Fingerprint,
    pub(crate) policy: Policy,
    /// Whether it was just looked up, in vain.
    pub(crate) looked: bool,
    /// Where the run may be [plain](crate::plain): the labels of what it gives.
    pub(crate) plain: Option<Arc<Vec<Tag>>>,
    /// The values that may have an inside, by place; given up when the call runs.
    pub(crate) insides: Mutex<Vec<(usize, Py<PyAny>)>>,
    /// Where in the tier the answer goes that is awaited.
    pub(crate) place: Mutex<Option<(Key, Stamp)>>,
}

/// What beginning a call that was looked up already, or not, comes to.
async fn first(
    engine: &afresh::Engine,
    fingerprint: &Fingerprint,
    policy: &Policy,
    looked: bool,
) -> afresh::Result<Begun> {
    if looked {
        engine.join(fingerprint, policy).await
    } else {
        engine.begin(fingerprint, policy).await
    }
}

impl Call {
    /// Begins for a loop: the waiting for others is part of it.
    fn begin_for(slf: &Bound<'_, Self>, later: &Bound<'_, Later>) -> PyResult<()> {
        let call = slf.get();
        let engine = call.engine.get().get(slf.py())?;
        let (value, policy, looked) = (call.value, call.policy, call.looked);
        let tired = later.get().tired();
        let work = async move {
            let mut begun = first(&engine, &value, &policy, looked).await?;
            while let Begun::Busy(busy) = begun {
                let mut landed = Box::pin(busy.wait());
                let waited = poll_fn(|context| match landed.as_mut().poll(context) {
                    Poll::Pending if tired.load(Ordering::Acquire) => Poll::Ready(false),
                    landed => landed.map(|()| true),
                });
                if !waited.await {
                    drop(landed);
                    return Ok(Begun::Busy(busy));
                }
                drop(landed);
                begun = engine.resume(busy, &policy).await?;
            }
            Ok(begun)
        };
        let slf = slf.clone().unbind();
        later::run_for(later.py(), Some(later), work, move |py, begun| {
            if let Begun::Hit(hit) = &begun {
                slf.get().remember(py, hit);
            }
            Self::given(slf.bind(py), begun)
        })
        .map(drop)
    }

    /// Keeps an awaited answer in the tier, as bytes: those who awaited it together each make a value of them.
    fn remember(&self, py: Python<'_>, hit: &afresh::Hit) {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((key, stamp)) = place else { return };
        if !matches!(hit.head.codec.as_str(), "pickle" | "safe-pickle") {
            return;
        }
        if let Ok(engine) = self.engine.get().get(py) {
            let kept = Kept::Bytes(hit.bytes.clone());
            self.engine.get().tier.with(py, |tier| {
                tier.keep(&engine, key, (self.value, stamp), hit, kept);
            });
        }
    }

    fn insides(&self) -> MutexGuard<'_, Vec<(usize, Py<PyAny>)>> {
        self.insides.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The encoded outlines of those values, by place and name of the argument.
    fn outlines(
        &self,
        py: Python<'_>,
        values: Vec<(usize, Py<PyAny>)>,
    ) -> PyResult<Vec<(u32, &str, Bytes)>> {
        let mut outlines = Vec::with_capacity(values.len());
        for (place, value) in values {
            let Some(argument) = self.arguments.get(place) else { continue };
            let made = outline::outline(&argument.name, value.bind(py), &argument.digest)?;
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            outlines.extend(made.map(|bytes| (place, argument.name.as_str(), bytes)));
        }
        Ok(outlines)
    }

    /// The right to run, with what is inside the arguments now: the function may change them.
    pub(crate) fn outlined(
        &self,
        py: Python<'_>,
        ticket: afresh::Ticket,
    ) -> PyResult<afresh::Ticket> {
        let values = std::mem::take(&mut *self.insides());
        if values.is_empty() {
            return Ok(ticket);
        }
        let outlines = self.outlines(py, values)?;
        let outlines = outlines.into_iter().map(|(place, _, bytes)| (place, bytes)).collect();
        Ok(ticket.outlined(outlines))
    }

    fn ticket(slf: &Bound<'_, Self>, ticket: afresh::Ticket) -> PyResult<Ticket> {
        let ticket = slf.get().outlined(slf.py(), ticket)?;
        Ok(Ticket::new(slf.clone().unbind(), ticket))
    }

    pub(crate) fn execution(&self) -> Execution {
        self.executed(self.arguments.clone(), Vec::new())
    }

    /// As [`execution`](Self::execution), of a plain call.
    pub(crate) fn into_execution(mut self) -> Execution {
        let arguments = std::mem::take(&mut self.arguments);
        let tags = self.plain.as_deref().cloned().unwrap_or_default();
        self.executed(arguments, tags)
    }

    fn executed(&self, arguments: Vec<Argument>, tags: Vec<Tag>) -> Execution {
        Execution {
            function: Arc::clone(&self.function),
            inputs: arguments.iter().filter_map(|argument| argument.source).collect(),
            arguments,
            tags,
            // What lives by being used has no end that could be written down.
            ttl: self.policy.ttl.filter(|_| !self.policy.sliding),
            took: None,
        }
    }

    /// Begins, and waits for as long as somebody else runs; `None` where that takes more than `wait` seconds.
    pub(crate) fn wait(&self, py: Python<'_>, wait: Option<f64>) -> PyResult<Option<Begun>> {
        let engine = self.engine.get().get(py)?;
        let until = wait
            .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
            .and_then(|span| Instant::now().checked_add(span));
        let first = first(&engine, &self.value, &self.policy, self.looked);
        let mut begun = py.detach(|| block_on(first)).or_raise(py)?;
        loop {
            let busy = match begun {
                Begun::Busy(busy) => busy,
                begun => return Ok(Some(begun)),
            };
            loop {
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                if left == Some(Duration::ZERO) {
                    return Ok(None);
                }
                if py.detach(|| busy.wait_timeout(left.map_or(SLICE, |left| left.min(SLICE)))) {
                    break;
                }
                py.check_signals()?;
            }
            begun = py.detach(|| block_on(engine.resume(busy, &self.policy))).or_raise(py)?;
        }
    }

    /// What beginning came to, for Python: a Hit or a Ticket, or None where somebody runs.
    pub(crate) fn given(slf: &Bound<'_, Self>, begun: Begun) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        Ok(match begun {
            Begun::Hit(hit) => Py::new(py, Hit::new(hit))?.into_any(),
            Begun::Stale(hit, ticket) => {
                let ticket = ticket.map(|ticket| Ticket::new(slf.clone().unbind(), ticket));
                let ticket = ticket.map(|ticket| Py::new(py, ticket)).transpose()?;
                Py::new(py, Hit { hit: *hit, ticket })?.into_any()
            }
            Begun::Run(ticket) => Py::new(py, Self::ticket(slf, ticket)?)?.into_any(),
            Begun::Busy(_) => py.None(),
        })
    }
}

#[pymethods]
impl Call {
    /// The look-up key, in hexadecimal.
    #[getter]
    fn fingerprint(&self) -> String {
        self.value.to_string()
    }

    /// The function's name.
    #[getter]
    fn function(&self) -> &str {
        &self.function.name
    }

    /// Name and preview of each bound argument.
    #[getter]
    fn arguments(&self) -> Vec<(&str, &str)> {
        self.arguments.iter().map(|arg| (arg.name.as_str(), arg.preview.as_str())).collect()
    }

    /// The answer, if there is a fresh one.
    #[pyo3(signature = (*, later=None))]
    fn lookup(&self, py: Python<'_>, later: Option<&Bound<'_, Later>>) -> PyResult<Py<PyAny>> {
        let engine = self.engine.get().get(py)?;
        let (value, policy) = (self.value, self.policy);
        let work = async move { engine.lookup(&value, &policy).await };
        later::run_for(py, later, work, |py, hit| hit.map(Hit::new).into_py_any(py))
    }

    /// The answer that will do where the function failed, if there is one. Not a failure.
    fn in_need(&self, py: Python<'_>) -> PyResult<Option<Hit>> {
        let engine = self.engine.get().get(py)?;
        let policy = self.policy.in_need();
        let hit = py.detach(|| block_on(engine.lookup(&self.value, &policy))).or_raise(py)?;
        Ok(hit.filter(|hit| !hit.head.codec.starts_with(RAISED)).map(Hit::new))
    }

    /// The hash of the commit whose answer is the fresh one. Reads no result.
    fn standing(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let engine = self.engine.get().get(py)?;
        let found = py.detach(|| block_on(engine.standing(&self.value, &self.policy)));
        Ok(found.or_raise(py)?.map(|commit| commit.to_string()))
    }

    /// The result of an earlier execution of this call, if it is fresh and can be read.
    fn earlier(&self, py: Python<'_>, commit: &str) -> PyResult<Option<Hit>> {
        let Ok(commit) = commit.parse::<CommitId>() else { return Ok(None) };
        let engine = self.engine.get().get(py)?;
        let found = py.detach(|| block_on(engine.earlier(&self.value, &self.policy, &commit)));
        Ok(found.or_raise(py)?.map(Hit::new))
    }

    /// The same call, to which the answer by this commit is out of date.
    fn past(&self, py: Python<'_>, commit: &str) -> Self {
        let insides = self.insides();
        let insides = insides.iter().map(|(place, value)| (*place, value.clone_ref(py))).collect();
        Self {
            engine: self.engine.clone_ref(py),
            function: Arc::clone(&self.function),
            arguments: self.arguments.clone(),
            value: self.value,
            policy: Policy { except: commit.parse().ok(), ..self.policy },
            looked: false,
            plain: None,
            insides: Mutex::new(insides),
            place: Mutex::default(),
        }
    }

    /// What would become of the call, and why. Nothing runs.
    fn explain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let engine = self.engine.get().get(py)?;
        let asked = Asked {
            fingerprint: self.value,
            function: Arc::clone(&self.function),
            arguments: self.arguments.clone(),
        };
        let mut found =
            py.detach(|| block_on(engine.explain(&asked, &self.policy))).or_raise(py)?;
        if let Explanation::Missing { nearest: Some(nearest), .. } = &mut found {
            let differs = |place: &usize| {
                let name = self.arguments.get(*place).map(|argument| &argument.name);
                nearest.difference.arguments.iter().any(|change| Some(&change.name) == name)
            };
            let insides = self.insides();
            let values = insides.iter().filter(|(place, _)| differs(place));
            let values = values.map(|(place, value)| (*place, value.clone_ref(py))).collect();
            drop(insides);
            let outlines = self.outlines(py, values)?.into_iter();
            let outlines: Vec<_> =
                outlines.map(|(_, name, bytes)| (name.to_owned(), bytes)).collect();
            let nearest = &mut **nearest;
            py.detach(|| {
                let looked =
                    engine.look_inside(&nearest.commit, &outlines, &mut nearest.difference);
                block_on(looked)
            })
            .or_raise(py)?;
        }
        explain::dict(py, found, engine.now())
    }

    /// A Hit, a Ticket to run with, or None when somebody else is still running after `wait` seconds; for a loop, when
    /// it is tired of waiting.
    #[pyo3(signature = (wait=None, *, later=None))]
    fn begin(
        slf: &Bound<'_, Self>,
        wait: Option<f64>,
        later: Option<&Bound<'_, Later>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        if let Some(later) = later {
            return Self::begin_for(slf, later).map(|()| None);
        }
        let call = slf.get();
        match call.wait(py, wait)? {
            Some(begun) => Self::given(slf, begun).map(Some),
            None => Ok(None),
        }
    }

    /// A Ticket whatever is stored and whoever runs.
    #[pyo3(signature = (*, later=None))]
    fn start(slf: &Bound<'_, Self>, later: Option<&Bound<'_, Later>>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let call = slf.get();
        let (engine, value) = (call.engine.get().get(py)?, call.value);
        let slf = slf.clone().unbind();
        later::run_for(py, later, async move { engine.start(&value).await }, move |py, ticket| {
            Ok(Py::new(py, Self::ticket(slf.bind(py), ticket)?)?.into_any())
        })
    }

    /// Takes the answer back. Whether there was one.
    fn forget(&self, py: Python<'_>) -> PyResult<bool> {
        let engine = self.engine.get().get(py)?;
        py.detach(|| block_on(engine.forget(&self.value))).or_raise(py)
    }
}

/// An answer from the store.
#[pyclass(frozen)]
pub(crate) struct Hit {
    hit: afresh::Hit,
    /// The right to make a new one.
    #[pyo3(get)]
    ticket: Option<Py<Ticket>>,
}

impl Hit {
    pub(crate) fn new(hit: afresh::Hit) -> Self {
        Self { hit, ticket: None }
    }

    pub(crate) fn count(&self, counters: &Counters) {
        counters.hit(self.hit.verdict, self.hit.head.took_us);
    }
}

/// A verdict's name.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fresh => "fresh",
        Verdict::Stale => "stale",
        Verdict::Early => "early",
        Verdict::Missing => "missing",
    }
}

#[pymethods]
impl Hit {
    /// The codec's name.
    #[getter]
    fn codec(&self) -> &str {
        let codec = self.hit.head.codec.as_str();
        codec.strip_prefix(RAISED).unwrap_or(codec)
    }

    /// Whether it is a failure that is replayed.
    #[getter]
    fn failed(&self) -> bool {
        self.hit.head.codec.starts_with(RAISED)
    }

    /// What the judge says: `fresh`, `stale` or `early`.
    #[getter]
    fn verdict(&self) -> &'static str {
        verdict(self.hit.verdict)
    }

    /// The commit's hash.
    #[getter]
    fn commit(&self) -> String {
        self.hit.head.commit.to_string()
    }

    /// The result's hash.
    #[getter]
    fn hash(&self) -> String {
        self.hit.object.id.to_string()
    }

    /// The result's length in bytes.
    #[getter]
    fn size(&self) -> u64 {
        self.hit.object.len
    }

    /// When the answer was made, in milliseconds since the epoch.
    #[getter]
    fn created(&self) -> i64 {
        self.hit.head.created.as_millis()
    }

    /// How long the computation took, in microseconds.
    #[getter]
    fn took_us(&self) -> u64 {
        self.hit.head.took_us
    }

    /// The canonical digest of the value, where it is known.
    #[getter]
    fn value_digest(&self) -> Option<[u8; 32]> {
        self.hit.head.value.map(|digest| digest.0)
    }

    /// The stored bytes.
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.hit.bytes)
    }

    /// The pickle and its buffers.
    #[pyo3(signature = (mapped=false))]
    fn parts<'py>(
        &self,
        py: Python<'py>,
        mapped: bool,
    ) -> PyResult<(Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>)> {
        frame::parts(py, &self.hit.bytes, mapped)
    }
}
