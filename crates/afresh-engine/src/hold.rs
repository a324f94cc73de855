//! Single flight for computations whose answers the engine does not keep.
//!
//! Who holds a fingerprint is alone with it in this engine and, where the store has a folder for locks, on this host. The
//! hold ends with its owner, however that ends. Nobody waits here; who has to, asks again.

use afresh_core::Fingerprint;

use crate::Engine;
use crate::begin::Leased;
use crate::flight::{Flight, Joined};
use crate::hostlock::HostLock;

/// The exclusive right to compute something, until it is dropped.
#[derive(Debug)]
pub struct Hold {
    // In this order: whoever is woken finds the lock free.
    _lock: Option<HostLock>,
    _flight: Flight,
}

impl Engine {
    /// The right to compute what this fingerprint stands for; `None` while somebody has it.
    pub fn hold(&self, fingerprint: &Fingerprint) -> Option<Hold> {
        let Joined::Lead(flight) = self.inner.flights.join(fingerprint) else { return None };
        let Leased::Here(lock) = self.lease(fingerprint) else { return None };
        Some(Hold { _lock: lock, _flight: flight })
    }
}
