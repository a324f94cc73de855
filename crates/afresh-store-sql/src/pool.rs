//! Connections that wait to be used, and how many there may be.
//!
//! Invariant: a connection comes back only from whoever says that it is between two transactions ([`Held::keep`]).
//! Dropped otherwise, in the middle of an answer or of a transaction, it is closed, and the server rolls back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use afresh_core::{Error, Kind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::session::Session;

/// A connection that waited longer is asked whether it still lives.
const DOUBTED: Duration = Duration::from_secs(1);

/// A connection that nobody wanted for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

struct Waiting {
    session: Box<dyn Session>,
    since: Instant,
}

/// Connections to one server.
pub(crate) struct Pool {
    permits: Arc<Semaphore>,
    waiting: Mutex<Vec<Waiting>>,
}

/// A connection in use.
pub(crate) struct Held {
    /// There until it is given back.
    session: Option<Box<dyn Session>>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(connections: usize) -> Arc<Self> {
        Arc::new(Self { permits: Arc::new(Semaphore::new(connections)), waiting: Mutex::default() })
    }

    /// A connection, waited for where all are in use, made by `connect` where none waits.
    pub(crate) async fn take<F>(self: &Arc<Self>, connect: F) -> Result<Held>
    where
        F: AsyncFnOnce() -> Result<Box<dyn Session>>,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|error| {
            Error::new(Kind::Unavailable, "the store is closed").with_source(error)
        })?;
        while let Some(mut found) = self.pop() {
            if found.since.elapsed() < DOUBTED || found.session.lives().await {
                return Ok(Held::new(found.session, self, permit));
            }
        }
        Ok(Held::new(connect().await?, self, permit))
    }

    fn pop(&self) -> Option<Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Closes those that nobody wanted for a while.
    pub(crate) fn trim(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| one.since.elapsed() < IDLE);
    }
}

impl Held {
    fn new(session: Box<dyn Session>, pool: &Arc<Pool>, permit: OwnedSemaphorePermit) -> Self {
        Self { session: Some(session), pool: Arc::clone(pool), _permit: permit }
    }

    /// The connection.
    ///
    /// # Errors
    /// None in practice: it is there for as long as it is held.
    pub(crate) fn session(&mut self) -> Result<&mut dyn Session> {
        match &mut self.session {
            Some(session) => Ok(session.as_mut()),
            None => Err(Error::new(Kind::Unavailable, "the connection was given back")),
        }
    }

    /// Lets others use it: it is between two transactions.
    pub(crate) fn keep(mut self) {
        if let Some(session) = self.session.take() {
            let mut waiting = self.pool.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(Waiting { session, since: Instant::now() });
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.session.is_some() {
            // It failed, or was given up on. Those that wait lead to the same server: better to connect anew.
            self.pool.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}
