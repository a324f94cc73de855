//! The thread that keeps an open database in order: folds what is recent into the tables, copies the log into the
//! database, deletes the rows of what was removed, and ends transactions that look-ups share. It is started when it is first wanted.
//!
//! Invariant: it holds the write lock for about a millisecond at a time (some, to delete rows) and lets others have it in
//! between; when a [`Keeper`] has been dropped the thread has ended and its connections are closed, so that the process
//! may fork.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use afresh_core::Timestamp;

use crate::checkpoint::{Connections, pass};
use crate::config::{FOLD, WAL_SOFT};
use crate::database::Database;
use crate::fold;
use crate::hold::HELD;

/// How long others have the lock before the next step.
const PAUSE: Duration = Duration::from_micros(200);

/// How long it must have been quiet before rows of what was removed are deleted.
const LEISURE: Duration = Duration::from_millis(200);

/// How long others have the lock before the next of them are.
const STEP: Duration = Duration::from_millis(5);

/// How old recent rows grow, in milliseconds, if there are few.
const OLD: i64 = 1000;

#[derive(Default)]
struct Wish {
    copy: bool,
    fold: bool,
    /// Not before then.
    clean: Option<Instant>,
    /// At that time.
    let_go: Option<Instant>,
    stop: bool,
}

/// What the thread is wanted for.
pub(crate) struct Bell {
    wish: Mutex<Wish>,
    wake: Condvar,
    /// Whether it was ever wanted.
    rung: AtomicBool,
    /// Whether folding was wished for and has not begun.
    folds: AtomicBool,
    /// When folding was last wished for.
    at: AtomicI64,
    /// Pages written since the log was last looked at, roughly.
    pages: AtomicU64,
}

impl Bell {
    /// `pages`: how long the log is already.
    pub(crate) fn new(pages: u64, now: Timestamp) -> Self {
        Self {
            wish: Mutex::default(),
            wake: Condvar::new(),
            rung: AtomicBool::new(false),
            folds: AtomicBool::new(false),
            at: AtomicI64::new(now.as_millis()),
            pages: AtomicU64::new(pages),
        }
    }

    fn ring(&self, what: impl FnOnce(&mut Wish)) {
        what(&mut self.wish.lock().unwrap_or_else(PoisonError::into_inner));
        self.rung.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// To be told after each commit how many pages it wrote, roughly.
    pub(crate) fn wrote(&self, pages: u64) {
        if self.pages.fetch_add(pages, Ordering::Relaxed) + pages >= WAL_SOFT {
            self.pages.store(0, Ordering::Relaxed);
            self.ring(|wish| wish.copy = true);
        }
    }

    /// Whether it is long since recent rows were last folded.
    pub(crate) fn is_old(&self, now: Timestamp) -> bool {
        let old = now.as_millis() >= self.at.load(Ordering::Relaxed) + OLD;
        if old {
            self.at.store(now.as_millis(), Ordering::Relaxed);
        }
        old
    }

    /// Asks for recent rows to be folded.
    pub(crate) fn fold(&self) {
        if !self.folds.swap(true, Ordering::AcqRel) {
            self.ring(|wish| wish.fold = true);
        }
    }

    /// Asks for rows of what was removed to be deleted, when no more of them have come for a while.
    pub(crate) fn clean(&self) {
        self.ring(|wish| wish.clean = Some(Instant::now() + LEISURE));
    }

    /// Has the keeper, who asks, go on after a while, unless others want it later.
    fn clean_again(&self, after: Duration) {
        let mut wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        wish.clean.get_or_insert(Instant::now() + after);
    }

    /// Asks for a transaction that has begun to be ended in time.
    pub(crate) fn hold(&self) {
        self.ring(|wish| wish.let_go = Some(Instant::now() + HELD));
    }

    /// Whether there is something that folding must not put off.
    fn interrupts(&self) -> bool {
        let wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        wish.stop || wish.copy
    }
}

/// The thread of one open database.
pub(crate) struct Keeper {
    database: Arc<Database>,
    thread: Mutex<Option<JoinHandle<()>>>,
    started: AtomicBool,
}

impl Keeper {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database, thread: Mutex::default(), started: AtomicBool::new(false) }
    }

    /// Starts the thread if it is wanted.
    pub(crate) fn tend(&self) {
        if self.started.load(Ordering::Relaxed) || !self.database.bell.rung.load(Ordering::Acquire)
        {
            return;
        }
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.started.swap(true, Ordering::Relaxed) {
            let database = self.database.clone();
            let started = thread::Builder::new()
                .name("afresh-keeper".to_owned())
                .spawn(move || run(&database));
            match started {
                Ok(handle) => *thread = Some(handle),
                Err(error) => tracing::warn!(%error, "no thread: the log will grow"),
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.database.bell.ring(|wish| wish.stop = true);
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

fn run(database: &Database) {
    let bell = &database.bell;
    let mut connections = None;
    loop {
        let mut wish = bell.wish.lock().unwrap_or_else(PoisonError::into_inner);
        let now = loop {
            let now = Instant::now();
            let next = [wish.clean, wish.let_go].into_iter().flatten().min();
            if wish.copy || wish.fold || wish.stop || next.is_some_and(|next| next <= now) {
                break now;
            }
            wish = match next {
                Some(next) => {
                    let waited = bell.wake.wait_timeout(wish, next - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => bell.wake.wait(wish).unwrap_or_else(PoisonError::into_inner),
            };
        };
        if wish.stop {
            return;
        }
        let (copies, folds) = (mem::take(&mut wish.copy), mem::take(&mut wish.fold));
        let cleans = wish.clean.take_if(|at| *at <= now).is_some();
        let lets_go = wish.let_go.take_if(|at| *at <= now).is_some();
        drop(wish);
        // What is copied or folded is better so without a reader of the old.
        if (lets_go || copies)
            && let Err(fault) = database.let_go()
        {
            tracing::debug!(?fault, "a look-up's transaction could not be ended");
        }
        if copies {
            copy(database, &mut connections);
        }
        if folds {
            bell.folds.store(false, Ordering::Release);
            fold_all(database);
        }
        if cleans {
            clean(database);
        }
    }
}

/// What fails here the next writer meets too, and reports it; what was to be folded is where it was.
///
/// Writers who make no pause can be quicker than this, so that there is always more: a log that has become long is
/// copied first.
fn fold_all(database: &Database) {
    loop {
        match fold::some(database, FOLD) {
            Ok(folded) if folded < FOLD => return,
            Ok(_) if database.bell.interrupts() => return database.bell.fold(),
            Ok(_) => thread::sleep(PAUSE),
            Err(fault) => {
                tracing::debug!(?fault, "recent changes could not be folded");
                return;
            }
        }
    }
}

/// One step of what is not urgent.
fn clean(database: &Database) {
    match fold::clean(database) {
        Ok(true) => database.bell.clean_again(STEP),
        Ok(false) => {}
        Err(fault) if fault.is_busy() => database.bell.clean_again(LEISURE),
        Err(fault) => tracing::debug!(?fault, "rows of what was removed stay until the next time"),
    }
}

fn copy(database: &Database, connections: &mut Option<Connections>) {
    if let Err(fault) = pass(connections, &database.folder, &database.options) {
        tracing::debug!(?fault, "a checkpoint failed");
        *connections = None;
    }
}
