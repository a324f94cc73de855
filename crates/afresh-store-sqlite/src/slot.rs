//! Whether an operation may run, and on which database: open, closed for now, or suspended.
//!
//! Operations run side by side; opening, closing and setting aside happen between them. The database is
//! opened when it is needed, and again when the file has been removed or replaced, or was damaged and has
//! been set aside. Writing notices that at once; reading looks for another file of that name in a while, as an open
//! file that was removed can be read for ever.
//!
//! Invariant: between `suspend` and `resume` no connection of this store is open and none is opened.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use afresh_core::Result;

use crate::config::SqliteOptions;
use crate::database::Database;
use crate::error::{Fault, Outcome};
use crate::folder::{Folder, Identity};
use crate::generation::Shared;
use crate::keeper::Keeper;

/// How often an operation is begun again because its database was replaced under it.
const TRIES: usize = 4;

/// How many milliseconds a file that was opened is taken for the one of that name, when reading.
const TRUST: u64 = 500;

/// The open database with its thread, which ends first.
struct Open {
    keeper: Keeper,
    database: Arc<Database>,
}

impl Deref for Open {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

/// The place where the database is, when it is open.
pub(crate) struct Slot {
    folder: Arc<Folder>,
    options: SqliteOptions,
    address: String,
    pub(crate) shared: Shared,
    open: RwLock<Option<Open>>,
    /// How many have suspended and not resumed.
    suspended: Mutex<usize>,
    resumed: Condvar,
    /// When the name was looked at last, in milliseconds since we began.
    looked: AtomicU64,
    began: Instant,
    notices: Mutex<Vec<String>>,
}

impl Slot {
    pub(crate) fn new(folder: Arc<Folder>, options: SqliteOptions, address: String) -> Self {
        Self {
            folder,
            options,
            address,
            shared: Shared::default(),
            open: RwLock::default(),
            suspended: Mutex::default(),
            resumed: Condvar::new(),
            looked: AtomicU64::new(0),
            began: Instant::now(),
            notices: Mutex::default(),
        }
    }

    /// Opens the database if it is not.
    pub(crate) fn ensure(&self) -> Result<()> {
        self.run("open", |_| Ok(()))
    }

    /// Runs `work` on the open database; again from the beginning if that turned out to be replaced.
    pub(crate) fn run<T>(
        &self,
        op: &'static str,
        work: impl Fn(&Database) -> Outcome<T>,
    ) -> Result<T> {
        let mut last = Fault::Replaced;
        let started = Instant::now();
        let mut tries = 0;
        while tries < TRIES {
            let (fault, identity) = match self.enter() {
                Ok(guard) => {
                    let Some(open) = guard.as_ref() else { continue };
                    match self.look(open).and_then(|()| work(open)) {
                        Ok(answer) => {
                            open.keeper.tend();
                            return Ok(answer);
                        }
                        Err(fault) => (fault, open.identity()),
                    }
                }
                Err(fault) => return Err(fault.explain(op, &self.address)),
            };
            match fault {
                Fault::Replaced => {
                    self.close(identity);
                    tries += 1;
                }
                Fault::Again => tries += 1,
                // The busy handler is not asked where SQLite fears a deadlock.
                fault if fault.is_busy() && started.elapsed() < self.options.patience => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                fault if fault.is_damage() => {
                    self.set_aside(identity);
                    return Err(fault.explain(op, &self.address));
                }
                fault => {
                    // A folder that was removed shows as any kind of error; the next operation begins anew.
                    if self.folder.identity() != identity {
                        self.close(identity);
                    }
                    return Err(fault.explain(op, &self.address));
                }
            }
            last = Fault::Replaced;
        }
        Err(last.explain(op, &self.address))
    }

    /// Fails if another file has taken the name of this one, when it is time to look.
    fn look(&self, open: &Open) -> Outcome<()> {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now.saturating_sub(self.looked.load(Ordering::Relaxed)) < TRUST {
            return Ok(());
        }
        self.looked.store(now, Ordering::Relaxed);
        match self.folder.identity() {
            // A folder that is away may come back.
            None => Ok(()),
            there if there == open.identity() => Ok(()),
            Some(_) => Err(Fault::Replaced),
        }
    }

    /// Waits while suspended, then makes sure that the database is open.
    fn enter(&self) -> Outcome<RwLockReadGuard<'_, Option<Open>>> {
        loop {
            let guard = self.open.read().unwrap_or_else(PoisonError::into_inner);
            if guard.is_some() {
                return Ok(guard);
            }
            drop(guard);
            let mut suspended = self.suspended.lock().unwrap_or_else(PoisonError::into_inner);
            while *suspended > 0 {
                suspended = self.resumed.wait(suspended).unwrap_or_else(PoisonError::into_inner);
            }
            // Still under the lock, so that nobody suspends between the look and the opening.
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            if open.is_none() {
                let database = Arc::new(self.open()?);
                *open = Some(Open { keeper: Keeper::new(database.clone()), database });
            }
        }
    }

    fn open(&self) -> Outcome<Database> {
        let writable = self.folder.prepare()?;
        let opening = self.folder.opening(true, self.options.patience)?;
        let writable = writable && opening.is_some();
        if writable && let Err(error) = self.shared.attach(&self.folder.generation()) {
            // Only speed is lost.
            tracing::debug!("answers are not kept in memory: {error}");
        }
        let open = || Database::open(self.folder.clone(), self.options.clone(), writable);
        match open() {
            Err(fault) if fault.is_damage() && writable => {
                self.note_aside(self.folder.set_aside(None)?);
                open()
            }
            other => other,
        }
    }

    fn note_aside(&self, target: Option<std::path::PathBuf>) {
        let Some(target) = target else { return };
        let text = format!(
            "the database of {} was damaged; it was set aside as `{}` and a new one was begun",
            self.address,
            target.display()
        );
        tracing::warn!("{text}");
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// Closes the database, if it is still that one.
    fn close(&self, identity: Option<Identity>) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|open| open.identity() == identity) {
            *open = None;
        }
    }

    /// Closes a damaged database and sets it aside, unless another thread or process has.
    fn set_aside(&self, identity: Option<Identity>) {
        self.close(identity);
        let done =
            self.folder.opening(true, self.options.patience).and_then(|opening| match opening {
                Some(_held) => self.folder.set_aside(identity),
                None => Ok(None),
            });
        match done {
            Ok(target) => self.note_aside(target),
            Err(fault) => tracing::warn!(?fault, "a damaged database could not be set aside"),
        }
    }

    /// What front ends should tell the user, since last asked.
    pub(crate) fn notices(&self) -> Vec<String> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for running operations and closes everything.
    pub(crate) fn suspend(&self) {
        let mut suspended = self.suspended.lock().unwrap_or_else(PoisonError::into_inner);
        *suspended += 1;
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Lets operations go on.
    pub(crate) fn resume(&self) {
        let mut suspended = self.suspended.lock().unwrap_or_else(PoisonError::into_inner);
        *suspended = suspended.saturating_sub(1);
        drop(suspended);
        self.resumed.notify_all();
    }
}
