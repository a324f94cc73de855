//! The handle: a store, a clock, and what one process knows while it works.
//!
//! Cheap to clone; all clones are one engine. What it knows (flights, host locks, access times) is only
//! ever an optimisation or a courtesy: losing it loses no answer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use afresh_core::{Applied, Batch, Fingerprint, Generation, Result, Store, Timestamp, Who};

use crate::access::Access;
use crate::flight::Flights;
use crate::hostlock::HostLocks;
use crate::lease::{Leases, TTL};
use crate::record::Records;
use crate::refresh::Resting;
use crate::sign::Secret;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What an engine is told by the program around it, which alone knows the environment.
#[derive(Clone, Default)]
pub struct Options {
    /// Who computes here; goes into commits.
    pub who: Who,
    /// Signs what is published and verifies what is read.
    pub secret: Option<Secret>,
    /// The clock by which freshness is judged; the system's where absent.
    pub clock: Option<Clock>,
    /// Of a store that hosts share: after how long the owner of a call that gives no sign of life is given up. 6 s
    /// where absent.
    pub lease: Option<Duration>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("who", &self.who)
            .field("secret", &self.secret)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// The engine over one store.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) who: Who,
    pub(crate) secret: Option<Secret>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) locks: Option<HostLocks>,
    pub(crate) leases: Option<Leases>,
    pub(crate) access: Access,
    pub(crate) resting: Resting,
    pub(crate) generation: Option<Generation>,
    pub(crate) records: Records,
}

impl Engine {
    /// An engine over `store`.
    pub fn new(store: Arc<dyn Store>, options: Options) -> Self {
        let clock = options.clock.unwrap_or_else(|| Arc::new(system_time));
        let generation = store.generation();
        let locks = store.info().lock_dir.as_ref().map(|dir| HostLocks::new(dir));
        let apart = locks.is_none() && store.info().capabilities.shared;
        let ttl = options.lease.unwrap_or(TTL);
        let leases = apart.then(|| Leases::new(Arc::clone(&store), &options.who, ttl));
        Self {
            inner: Arc::new(Inner {
                store,
                clock,
                who: options.who,
                secret: options.secret,
                flights: Arc::default(),
                locks,
                leases,
                access: Access::default(),
                resting: Resting::default(),
                generation,
                records: Records::default(),
            }),
        }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The time by the engine's clock.
    pub fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// The counters by which answers kept in front of the store are known to be still right; see
    /// [`Store::generation`].
    pub fn generation(&self) -> Option<&Generation> {
        self.inner.generation.as_ref()
    }

    /// Counts uses of an answer that was kept in front of the store, was `created` then, and cost `took_us` to compute.
    pub fn used(&self, fingerprint: &Fingerprint, times: u32, created: Timestamp, took_us: u64) {
        self.inner.access.hits(fingerprint, times, created, took_us);
    }

    /// Every change goes through here: those of this process who keep answers or entries in front of the store learn of
    /// it, also where a server would tell them later than whoever makes it is told that it is made.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn apply(&self, batch: Batch) -> Result<Applied> {
        let counters = self.inner.generation.as_ref();
        let changing = counters.and_then(|counters| counters.change(&batch));
        // A store that is near counts these itself.
        let counters = counters.filter(|_| !self.store().info().capabilities.near);
        let entries = counters.and_then(|counters| counters.announce(&batch));
        let applied = self.store().apply(batch).await;
        drop((changing, entries));
        applied
    }

    /// Writes down what is only in memory: which entries were used, and how many hits there were. Gives back leases that
    /// were let go of.
    ///
    /// # Errors
    /// Whatever the store says; nothing but these rough figures is lost then.
    pub async fn flush(&self) -> Result<()> {
        if let Some(leases) = &self.inner.leases {
            leases.flush().await;
        }
        self.apply_all(self.inner.access.drain()).await
    }

    /// Closes what must not be open while the process forks; operations wait until
    /// [`after_fork_in_parent`](Self::after_fork_in_parent).
    pub fn before_fork(&self) {
        self.store().suspend();
    }

    /// Lets operations go on in the parent.
    pub fn after_fork_in_parent(&self) {
        self.store().resume();
    }

    /// Gives up everything in a forked child. The engine must be forgotten, not dropped or used; only its
    /// kernel locks are let go of here, so that the child does not keep the parent's alive.
    pub fn after_fork_in_child(&self) {
        if let Some(locks) = &self.inner.locks {
            locks.abandon();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
