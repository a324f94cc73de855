//! Single flight for computations whose answers the engine does not keep.
//!
//! Who holds a fingerprint is alone with it in this engine, on this host where the store has a folder for locks, and among
//! all engines where the store is shared by hosts. The hold ends with its owner, however that ends: by the kernel on a host,
//! by the lease's time between hosts. Nothing rests on it but who computes first: what may be stored is for the versions of
//! entries to decide.

use afresh_core::{Fingerprint, Key, Result};

use crate::begin::Leased;
use crate::busy::{Busy, Owner};
use crate::engine::Engine;
use crate::flight::{Flight, Joined};
use crate::hostlock::{HostLock, Landing};
use crate::lease::{Lease, LeaseWait};

/// The exclusive right to compute something, until it is dropped.
#[derive(Debug)]
pub struct Hold {
    // In this order: whoever is woken finds lock and lease free, or about to be.
    _lease: Option<Lease>,
    _lock: Option<HostLock>,
    _flight: Flight,
}

/// What asking for the right came to.
#[derive(Debug)]
pub enum Holding {
    /// It is ours.
    Mine(Hold),
    /// Somebody has it. Wait, then hand it to [`Engine::hold_after`].
    Busy(Busy),
}

/// Waiting until nobody has an entry of the space [`Lease`](afresh_core::Space::Lease).
#[derive(Debug)]
pub struct Vacancy(std::sync::Arc<LeaseWait>);

impl Vacancy {
    /// Blocks up to `limit`; whether it is time to ask for it.
    pub fn wait_timeout(&self, limit: std::time::Duration) -> bool {
        self.0.got.wait_timeout(limit)
    }

    /// Completes when it is time to ask for it.
    pub async fn wait(&self) {
        self.0.got.wait().await;
    }
}

impl Engine {
    /// The right to compute what this fingerprint stands for, or somebody to wait for.
    ///
    /// # Errors
    /// Whatever keeps a store that hosts share from answering; the caller may go on without the right.
    pub async fn hold(&self, fingerprint: &Fingerprint) -> Result<Holding> {
        match self.inner.flights.join(fingerprint) {
            Joined::Lead(flight) => self.hold_with(fingerprint, flight).await,
            Joined::Follow(landed) => {
                let owner = Owner::Here(landed);
                Ok(Holding::Busy(Busy { fingerprint: *fingerprint, owner }))
            }
        }
    }

    /// The same after waiting.
    ///
    /// # Errors
    /// As [`hold`](Self::hold).
    pub async fn hold_after(&self, busy: Busy) -> Result<Holding> {
        match busy.owner {
            Owner::Here(_) => self.hold(&busy.fingerprint).await,
            Owner::Away { flight, .. } => self.hold_with(&busy.fingerprint, flight).await,
            Owner::Elsewhere { wait, flight } => match wait.take() {
                Some(Landing::Lock(lock)) => Ok(mine(None, Some(lock), flight)),
                Some(Landing::Ended) => self.hold_with(&busy.fingerprint, flight).await,
                // The lock cannot be had, or waited for.
                None => Ok(mine(None, None, flight)),
            },
        }
    }

    async fn hold_with(&self, fingerprint: &Fingerprint, flight: Flight) -> Result<Holding> {
        let owner = if let Some(leases) = &self.inner.leases {
            match leases.take(fingerprint).await? {
                Some((lease, _)) => return Ok(mine(Some(lease), None, flight)),
                None => Owner::Away { wait: leases.wait(Key::lease(fingerprint)), flight },
            }
        } else {
            match (self.lease(fingerprint), &self.inner.locks) {
                (Leased::Here(lock), _) => return Ok(mine(None, lock, flight)),
                (Leased::Elsewhere, None) => return Ok(mine(None, None, flight)),
                (Leased::Elsewhere, Some(locks)) => {
                    Owner::Elsewhere { wait: locks.wait(fingerprint), flight }
                }
            }
        };
        Ok(Holding::Busy(Busy { fingerprint: *fingerprint, owner }))
    }

    /// Whether entries of the space [`Lease`](afresh_core::Space::Lease) can be waited for: the store is shared by hosts.
    pub fn leases(&self) -> bool {
        self.inner.leases.is_some()
    }

    /// Begins to wait until nobody has a lease; `None` where there are none.
    pub fn vacancy(&self, key: &Key) -> Option<Vacancy> {
        Some(Vacancy(self.inner.leases.as_ref()?.wait(key.clone())))
    }
}

fn mine(lease: Option<Lease>, lock: Option<HostLock>, flight: Flight) -> Holding {
    Holding::Mine(Hold { _lease: lease, _lock: lock, _flight: flight })
}
