//! Work of the engine that an event loop waits for: any number of calls on their way at once, in one thread.
//!
//! A store on a server answers later. Futures of the engine are polled here, in a thread that does nothing else; what
//! has come in by the time the interpreter can be had is handed to a loop in one go, so a burst of answers costs one turn.
//! Futures of Python are settled, and objects made, in the thread of their loop.
//!
//! Invariant: nothing of Python is touched in the thread but to hand over, and never while the interpreter is ending.
//! Work that is cancelled is dropped where it stands, which leaves everything consistent.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use afresh::Result;
use pollster::block_on;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::errors::OrRaise;

/// A future of Python with its loop, and what is done for it.
#[pyclass(frozen)]
pub(crate) struct Later {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
    task: Mutex<Option<Arc<Task>>>,
    /// Whoever waits does not want to wait for others any longer.
    tired: Arc<AtomicBool>,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes the result, in the loop's thread; or has more to do for it, and will say so again.
type Give = Box<dyn FnOnce(&Bound<'_, Later>) -> PyResult<Option<Py<PyAny>>> + Send>;

struct Done {
    later: Py<Later>,
    give: Give,
}

struct Task {
    work: Mutex<Option<Work>>,
    queue: Sender<Arc<Task>>,
    queued: AtomicBool,
}

/// The thread, as those see it who have work for it.
#[derive(Clone)]
struct Worker {
    process: u32,
    queue: Sender<Arc<Task>>,
    done: Arc<Mutex<Vec<Done>>>,
}

/// Locked only while attached to the interpreter, as a fork is: a child never finds it locked.
static WORKER: Mutex<Option<Worker>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            // Without a thread the process is ending.
            let _ = self.queue.send(Arc::clone(&self));
        }
    }
}

impl Task {
    fn poll(self: &Arc<Self>) {
        self.queued.store(false, Ordering::Release);
        let mut work = lock(&self.work);
        if let Some(running) = work.as_mut() {
            let waker = Waker::from(Arc::clone(self));
            if running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                *work = None;
            }
        }
    }
}

impl Worker {
    /// The one of this process.
    fn get(_: Python<'_>) -> PyResult<Self> {
        let mut slot = lock(&WORKER);
        match slot.take() {
            Some(worker) if worker.process == std::process::id() => {
                return Ok(slot.insert(worker).clone());
            }
            // The parent's: its thread is not here, and it may hold what dropping would want.
            other => mem::forget(other),
        }
        let (queue, tasks) = channel();
        let done = Arc::<Mutex<Vec<Done>>>::default();
        let finished = Arc::clone(&done);
        std::thread::Builder::new()
            .name("afresh-later".into())
            .spawn(move || run(&tasks, &finished))
            .map_err(|error| PyRuntimeError::new_err(format!("no thread: {error}")))?;
        let worker = Self { process: std::process::id(), queue, done };
        Ok(slot.insert(worker).clone())
    }
}

fn run(tasks: &Receiver<Arc<Task>>, done: &Mutex<Vec<Done>>) {
    for task in tasks {
        task.poll();
        while let Ok(task) = tasks.try_recv() {
            task.poll();
        }
        let done = mem::take(&mut *lock(done));
        if !done.is_empty() {
            hand_over(done);
        }
    }
}

/// Gives each loop what is for it.
fn hand_over(mut done: Vec<Done>) {
    let attached = Python::try_attach(|py| {
        while let Some(first) = done.first() {
            let event_loop = first.later.get().event_loop.clone_ref(py);
            let (batch, rest) = mem::take(&mut done)
                .into_iter()
                .partition(|one| one.later.get().event_loop.is(&event_loop));
            done = rest;
            let batch = Batch { done: Mutex::new(batch) };
            let told = Py::new(py, batch).and_then(|batch| {
                event_loop.call_method1(py, intern!(py, "call_soon_threadsafe"), (batch,))
            });
            // The loop is closed: nobody waits any more, and what was for it is dropped.
            drop(told);
        }
    });
    if attached.is_none() {
        // The interpreter is ending: its objects are not to be touched.
        mem::forget(done);
    }
}

/// What has come in for a loop.
#[pyclass(frozen)]
struct Batch {
    done: Mutex<Vec<Done>>,
}

#[pymethods]
impl Batch {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let batch = mem::take(&mut *lock(&self.done));
        for Done { later, give } in batch {
            let later = later.bind(py);
            // Whoever waited has gone; what is dropped with `give` is let go of.
            if later.get().future.bind(py).call_method0(intern!(py, "done"))?.is_truthy()? {
                continue;
            }
            if let Some(given) = give(later).transpose() {
                later.get().settle(py, given)?;
            }
        }
        Ok(())
    }
}

#[pymethods]
impl Later {
    #[new]
    fn new(event_loop: Py<PyAny>, future: Py<PyAny>) -> Self {
        Self { event_loop, future, task: Mutex::default(), tired: Arc::default() }
    }

    /// Waits for nobody else; what the store is being asked is still waited for.
    fn tire(&self) {
        self.tired.store(true, Ordering::Release);
        if let Some(task) = lock(&self.task).clone() {
            task.wake();
        }
    }

    /// Gives up what is done for it.
    fn cancel(&self, py: Python<'_>) {
        let task = lock(&self.task).take();
        // The thread may be polling it, and be waiting for the interpreter.
        py.detach(|| drop(task.and_then(|task| lock(&task.work).take())));
    }
}

impl Later {
    /// Ends the waiting.
    pub(crate) fn settle(&self, py: Python<'_>, given: PyResult<Py<PyAny>>) -> PyResult<()> {
        let future = self.future.bind(py);
        match given {
            Ok(value) => future.call_method1(intern!(py, "set_result"), (value,)),
            Err(error) => future.call_method1(intern!(py, "set_exception"), (error.value(py),)),
        }
        .map(drop)
    }

    /// What tells that it is [tired](Self::tire): a future that asks is asked again when it is.
    pub(crate) fn tired(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.tired)
    }
}

/// Does `work`: here and now, or for `later`, and then what is returned means nothing.
pub(crate) fn run_for<T: Send + 'static>(
    py: Python<'_>,
    later: Option<&Bound<'_, Later>>,
    work: impl Future<Output = Result<T>> + Send + 'static,
    give: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    let Some(later) = later else {
        let done = py.detach(|| block_on(work)).or_raise(py)?;
        return give(py, done);
    };
    let give = |later: &Bound<'_, Later>, done: Result<T>| {
        let done = done.or_raise(later.py())?;
        give(later.py(), done).map(Some)
    };
    go_on(later, work, give)?;
    py.None().into_py_any(py)
}

/// Does `work` for `later`; what becomes of it says `give`, in the loop's thread, or goes on from there.
pub(crate) fn go_on<T: Send + 'static>(
    later: &Bound<'_, Later>,
    work: impl Future<Output = T> + Send + 'static,
    give: impl FnOnce(&Bound<'_, Later>, T) -> PyResult<Option<Py<PyAny>>> + Send + 'static,
) -> PyResult<()> {
    let worker = Worker::get(later.py())?;
    let (target, done) = (later.clone().unbind(), worker.done);
    let task = Arc::new(Task {
        work: Mutex::new(Some(Box::pin(async move {
            let result = work.await;
            let give: Give = Box::new(move |later| give(later, result));
            lock(&done).push(Done { later: target, give });
        }))),
        queue: worker.queue,
        queued: AtomicBool::new(false),
    });
    *lock(&later.get().task) = Some(Arc::clone(&task));
    task.wake();
    Ok(())
}
