//! An open store, for Python.
//!
//! The engine behind it is replaced in a forked child: nothing of the parent's (connections, locks, mutexes that
//! another thread held) is touched there again but the descriptor of the lock file. The slot's own mutex is only
//! ever taken while attached to the interpreter, as a fork is, so no other thread can hold it at that moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use afresh::{
    Accept, Edit, FunctionId, GcOptions, LogQuery, Options, Secret, Selection, Stats, Status,
    Store, Tag, Timestamp, Who,
};
use afresh_plan::Scope;
use pollster::block_on;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::accept;
use crate::attached::Attached;
use crate::commit;
use crate::errors::OrRaise;
use crate::frame;
use crate::store::PyStore;
use crate::tier::Tier;
use crate::warnings;

/// An open store.
#[pyclass(frozen, weakref)]
pub(crate) struct Engine {
    address: String,
    options: Options,
    /// A store of the user's, in place of an address.
    object: Option<Py<PyAny>>,
    slot: Mutex<Option<afresh::Engine>>,
    /// Whether it is a store on a server; known once it was opened.
    far: AtomicBool,
    /// Answers in front of the store.
    pub(crate) tier: Attached<Tier>,
}

/// Codec, data, out-of-band buffers.
type Output<'py> = (String, Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>);

/// Tags as `(key, value or None)` pairs.
pub(crate) type Tags = Vec<(String, Option<String>)>;

pub(crate) fn tags(py: Python<'_>, pairs: Tags) -> PyResult<Vec<Tag>> {
    pairs.into_iter().map(|(key, value)| Tag::new(key, value).or_raise(py)).collect()
}

/// Whether the address or the object can never be a store.
fn is_mistake(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    let errors = crate::errors::module(py)?;
    for class in ["ConfigError", "UnsupportedError"] {
        if error.matches(py, errors.getattr(class)?)? {
            return Ok(true);
        }
    }
    Ok(!error.matches(py, errors.getattr("AfreshError")?)?)
}

fn seconds(value: Option<f64>) -> Option<Duration> {
    value.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
}

impl Engine {
    /// The engine, opened if it is not open.
    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<afresh::Engine> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = slot.as_ref() {
            return Ok(engine.clone());
        }
        let opened = self.open(py)?;
        *slot = Some(opened.clone());
        Ok(opened)
    }

    /// Whether an answer takes a while, so that an event loop must not wait for it.
    #[inline]
    pub(crate) fn is_far(&self) -> bool {
        self.far.load(Ordering::Relaxed)
    }

    /// Opens; a forked child opens anew, as itself.
    fn open(&self, py: Python<'_>) -> PyResult<afresh::Engine> {
        let mut options = self.options.clone();
        options.who.pid = std::process::id();
        if let Some(object) = &self.object {
            let store: Arc<dyn Store> = Arc::new(PyStore::new(py, object.clone_ref(py))?);
            return Ok(afresh::Engine::new(store, options));
        }
        let opened = afresh::open(&self.address, options).or_raise(py)?;
        for notice in opened.notices {
            warnings::push(notice);
        }
        self.far.store(!opened.engine.store().info().capabilities.near, Ordering::Relaxed);
        self.tier.with(py, |tier| tier.resize(opened.near));
        Ok(opened.engine)
    }

    /// Tells the engine how often answers were used that did not come from it.
    fn tell(&self, py: Python<'_>) {
        let engine = self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(engine) = engine {
            self.tier.with(py, |tier| tier.tell(&engine));
        }
    }

    /// Runs an operation of the engine, detached from the interpreter.
    fn run<T: Send>(
        &self,
        py: Python<'_>,
        operation: impl AsyncFnOnce(&afresh::Engine) -> afresh::Result<T> + Send,
    ) -> PyResult<T> {
        let engine = self.get(py)?;
        py.detach(|| block_on(operation(&engine))).or_raise(py)
    }

    fn resolve_commit(
        &self,
        py: Python<'_>,
        hash: &str,
    ) -> PyResult<Option<(afresh::CommitId, afresh::Commit)>> {
        self.run(py, async |engine| match engine.resolve(hash).await? {
            Some(id) => Ok(engine.show(&id).await?.map(|commit| (id, commit))),
            None => Ok(None),
        })
    }
}

#[pymethods]
impl Engine {
    /// Opens the store at an address; `store` is an object of the `afresh.Store` protocol instead of one.
    #[new]
    #[pyo3(signature = (address, *, user, host, secret=None, store=None))]
    fn new(
        py: Python<'_>,
        address: String,
        user: String,
        host: String,
        secret: Option<Vec<u8>>,
        store: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let options = Options {
            who: Who { user, host, pid: 0 },
            secret: secret.map(Secret::new),
            ..Options::default()
        };
        let engine = Self {
            address,
            options,
            object: store,
            slot: Mutex::default(),
            far: AtomicBool::new(false),
            tier: Attached::new(Tier::default()),
        };
        match engine.get(py) {
            // What is wrong for now may be right when it is needed.
            Err(error) if !is_mistake(py, &error)? => {}
            opened => drop(opened?),
        }
        Ok(engine)
    }

    /// The store's address without secrets.
    #[getter]
    fn address(&self, py: Python<'_>) -> PyResult<String> {
        Ok(match self.get(py) {
            Ok(engine) => engine.store().info().address.clone(),
            Err(_) => "a store that cannot be opened now".to_owned(),
        })
    }

    /// Whether the store answers at once, without a network or code of the user's.
    #[getter]
    pub(crate) fn near(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.object.is_none() && self.get(py)?.store().info().capabilities.near)
    }

    /// Whether it is a store on a server.
    #[getter]
    fn far(&self) -> bool {
        self.is_far()
    }

    /// Commits, newest first.
    #[pyo3(signature = (function=None, status=None, tags=Vec::new(), limit=None, since=None))]
    fn log<'py>(
        &self,
        py: Python<'py>,
        function: Option<String>,
        status: Option<&str>,
        tags: Tags,
        limit: Option<usize>,
        since: Option<f64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let status = status.map(str::parse::<Status>).transpose().or_raise(py)?;
        let tags = self::tags(py, tags)?;
        let found = self.run(py, async |engine| {
            let since = seconds(since).map(|span| engine.now().before(span));
            engine.log(&LogQuery { function, status, tags, since, limit }).await
        })?;
        commit::list(py, &found)
    }

    /// The commit whose hash begins so, or None.
    fn show<'py>(&self, py: Python<'py>, hash: &str) -> PyResult<Option<Bound<'py, PyDict>>> {
        let found = self.resolve_commit(py, hash)?;
        found.map(|(id, commit)| commit::dict(py, &id, &commit)).transpose()
    }

    /// All commits of the same call, oldest first.
    fn history<'py>(&self, py: Python<'py>, hash: &str) -> PyResult<Bound<'py, PyList>> {
        let found = match self.resolve_commit(py, hash)? {
            Some((_, commit)) => self.run(py, async |engine| engine.history(&commit).await)?,
            None => Vec::new(),
        };
        commit::list(py, &found)
    }

    /// Codec, data and buffers of a commit's result; None where there is no such commit or no result.
    #[pyo3(signature = (hash, mapped=false))]
    fn output<'py>(
        &self,
        py: Python<'py>,
        hash: &str,
        mapped: bool,
    ) -> PyResult<Option<Output<'py>>> {
        let Some((_, commit)) = self.resolve_commit(py, hash)? else { return Ok(None) };
        let bytes = self.run(py, async |engine| engine.output(&commit).await)?;
        match (commit.output(), bytes) {
            (Some((_, codec)), Some(bytes)) => {
                let (data, buffers) = frame::parts(py, &bytes, mapped)?;
                Ok(Some((codec.to_owned(), data, buffers)))
            }
            _ => Ok(None),
        }
    }

    /// The function's record (JSON) of a commit.
    fn function_record(&self, py: Python<'_>, hash: &str) -> PyResult<Option<String>> {
        let Some((_, commit)) = self.resolve_commit(py, hash)? else { return Ok(None) };
        let record = self.run(py, async |engine| engine.function_record(&commit).await)?;
        Ok(record.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// What differs between two commits; None where one is not there.
    fn diff<'py>(&self, py: Python<'py>, a: &str, b: &str) -> PyResult<Option<Bound<'py, PyDict>>> {
        let (Some((_, a)), Some((_, b))) =
            (self.resolve_commit(py, a)?, self.resolve_commit(py, b)?)
        else {
            return Ok(None);
        };
        let difference = self.run(py, async |engine| engine.diff(&a, &b).await)?;
        commit::difference(py, difference).map(Some)
    }

    /// The digest that the function answers as: its own, where no edit was accepted or the store cannot tell.
    fn stands_for(&self, py: Python<'_>, function: &str, digest: [u8; 32]) -> [u8; 32] {
        let found = self.run(py, async |engine| engine.accepted(function).await);
        found.map_or(digest, |known| *known.resolve(&FunctionId::new(digest)).as_bytes())
    }

    /// Records that the function under the first digest answers as under the second.
    #[pyo3(signature = (function, new, old, code, edits, reason=None))]
    #[allow(clippy::too_many_arguments, reason = "named in Python")]
    fn accept<'py>(
        &self,
        py: Python<'py>,
        function: &str,
        new: [u8; 32],
        old: &str,
        code: [u8; 32],
        edits: Vec<accept::Edit>,
        reason: Option<String>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let old =
            old.parse::<FunctionId>().map_err(|error| PyValueError::new_err(error.to_string()))?;
        let statement = Accept {
            new: FunctionId::new(new),
            old,
            code: FunctionId::new(code),
            edits: edits
                .into_iter()
                .map(|(label, place, digest)| Edit { label, place, digest })
                .collect(),
            at: Timestamp::default(),
            who: self.options.who.clone(),
            reason,
            signature: None,
        };
        let said = self.run(py, async |engine| engine.accept(function, statement).await)?;
        accept::dict(py, function, &said)
    }

    /// The statements that lead from a digest to the one it answers as.
    fn accepted<'py>(
        &self,
        py: Python<'py>,
        function: &str,
        digest: [u8; 32],
    ) -> PyResult<Bound<'py, PyList>> {
        let known = self.run(py, async |engine| engine.accepted(function).await)?;
        let list = PyList::empty(py);
        for one in known.chain(&FunctionId::new(digest)) {
            list.append(accept::dict(py, function, one)?)?;
        }
        Ok(list)
    }

    /// Withdraws the statement about a digest: how many answers were taken back, or None where there was none.
    fn unaccept(&self, py: Python<'_>, function: &str, digest: [u8; 32]) -> PyResult<Option<u64>> {
        let id = FunctionId::new(digest);
        let gone = self.run(py, async |engine| engine.unaccept(function, &id).await)?;
        Ok(gone.map(|gone| gone.taken))
    }

    /// The newest commit of the function under another digest, or None.
    fn before_edit<'py>(
        &self,
        py: Python<'py>,
        function: &str,
        digest: [u8; 32],
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let id = FunctionId::new(digest);
        let found = self.run(py, async |engine| engine.before_edit(function, &id).await)?;
        found.map(|(id, commit)| commit::dict(py, &id, &commit)).transpose()
    }

    /// What the working tree's edits invalidate, as JSON; `what` is a module, a file or a folder.
    #[pyo3(signature = (folder, what=None))]
    fn plan(
        &self,
        py: Python<'_>,
        folder: std::path::PathBuf,
        what: Option<&str>,
    ) -> PyResult<String> {
        let plan = self
            .run(py, async |engine| afresh_plan::plan(engine, &Scope::of(&folder, what)).await)?;
        Ok(plan.json())
    }

    /// Forgets one commit. Whether it was there.
    fn rm(&self, py: Python<'_>, hash: &str) -> PyResult<bool> {
        match self.resolve_commit(py, hash)? {
            Some((id, _)) => self.run(py, async |engine| engine.rm(&id).await),
            None => Ok(false),
        }
    }

    /// Takes answers back; how many.
    #[pyo3(signature = (tags=Vec::new(), function=None))]
    fn invalidate(&self, py: Python<'_>, tags: Tags, function: Option<String>) -> PyResult<u64> {
        let tags = self::tags(py, tags)?;
        self.run(py, async |engine| engine.invalidate(&Selection { function, tags }).await)
    }

    /// Collects garbage: (commits, answers, objects, bytes).
    #[pyo3(signature = (older_than=None, max_size=None, dry_run=false, grace=None))]
    fn gc(
        &self,
        py: Python<'_>,
        older_than: Option<f64>,
        max_size: Option<u64>,
        dry_run: bool,
        grace: Option<f64>,
    ) -> PyResult<(u64, u64, u64, u64)> {
        self.tell(py);
        let (older_than, grace) = (seconds(older_than), seconds(grace));
        let options = GcOptions { older_than, max_size, dry_run, grace };
        let report = self.run(py, async |engine| engine.gc(&options).await)?;
        Ok((report.commits, report.heads, report.objects, report.bytes))
    }

    /// Forgets everything; how many commits.
    fn clear(&self, py: Python<'_>) -> PyResult<u64> {
        self.run(py, async |engine| engine.clear().await)
    }

    /// The figures.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Stats {
            commits,
            completed,
            failed,
            answers,
            hits,
            saved_us,
            inline_objects,
            inline_bytes,
            file_objects,
            file_bytes,
            disk_bytes,
        } = {
            self.tell(py);
            self.run(py, async |engine| engine.stats().await)?
        };
        let dict = PyDict::new(py);
        for (name, value) in [
            ("commits", commits),
            ("completed", completed),
            ("failed", failed),
            ("answers", answers),
            ("hits", hits),
            ("saved_us", saved_us),
            ("inline_objects", inline_objects),
            ("inline_bytes", inline_bytes),
            ("file_objects", file_objects),
            ("file_bytes", file_bytes),
            ("disk_bytes", disk_bytes),
        ] {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// Reads everything once more: (objects, bytes, commits, answers, problems).
    #[pyo3(signature = (repair=false))]
    fn verify(&self, py: Python<'_>, repair: bool) -> PyResult<(u64, u64, u64, u64, Vec<String>)> {
        let report = self.run(py, async |engine| engine.verify(repair, |_, _| ()).await)?;
        let problems = report.problems.iter().map(ToString::to_string).collect();
        Ok((report.objects, report.bytes, report.commits, report.heads, problems))
    }

    /// Writes everything to a file: (objects, commits, answers).
    fn export(&self, py: Python<'_>, path: std::path::PathBuf) -> PyResult<(u64, u64, u64)> {
        let file = std::fs::File::create(&path)?;
        let report =
            self.run(py, async |engine| engine.export(std::io::BufWriter::new(file)).await)?;
        Ok((report.objects, report.commits, report.heads))
    }

    /// Takes in an archive: (imported, skipped, objects, answers).
    fn import_archive(
        &self,
        py: Python<'_>,
        path: std::path::PathBuf,
    ) -> PyResult<(u64, u64, u64, u64)> {
        let file = std::fs::File::open(&path)?;
        let report =
            self.run(py, async |engine| engine.import(std::io::BufReader::new(file)).await)?;
        Ok((report.imported, report.skipped, report.objects, report.heads))
    }

    /// Writes down what is only in memory.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.tell(py);
        self.run(py, async |engine| engine.flush().await)
    }

    /// Writes down what is only in memory and closes the files, when nobody uses them; a later use opens
    /// them again.
    fn close(&self, py: Python<'_>) {
        self.tell(py);
        let engine = self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(engine) = engine else { return };
        py.detach(|| {
            // Only rough figures are lost where this fails, and there is nobody left to tell.
            let _ = block_on(engine.flush());
            engine.before_fork();
            engine.after_fork_in_parent();
        });
    }

    fn before_fork(&self, py: Python<'_>) {
        let engine = self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(engine) = engine {
            py.detach(|| engine.before_fork());
        }
    }

    fn after_fork_in_parent(&self) {
        let engine = self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(engine) = engine {
            engine.after_fork_in_parent();
        }
    }

    fn after_fork_in_child(&self, py: Python<'_>) {
        // What the parent used is the parent's to tell.
        drop(self.tier.with(py, std::mem::take));
        if let Some(engine) = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
            engine.after_fork_in_child();
            // Dropping it would touch the parent's connections and mutexes.
            std::mem::forget(engine);
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<afresh engine on {}>", self.address(py)?))
    }
}
