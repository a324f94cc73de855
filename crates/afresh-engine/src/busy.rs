//! Waiting for a computation that somebody else is running.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::Fingerprint;

use crate::flight::{Flight, Signal};
use crate::hostlock::HostWait;
use crate::lease::LeaseWait;

/// Somebody else computes this fingerprint. Wait, then hand it to [`Engine::resume`](crate::Engine::resume).
/// Dropping it stops waiting and affects nobody else.
#[derive(Debug)]
pub struct Busy {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) owner: Owner,
}

#[derive(Debug)]
pub(crate) enum Owner {
    /// Another caller of this engine.
    Here(Arc<Signal>),
    /// Another process (or engine); our own followers wait for the flight.
    Elsewhere { wait: Arc<HostWait>, flight: Flight },
    /// Another engine, anywhere, over a store that hosts share.
    Away { wait: Arc<LeaseWait>, flight: Flight },
}

impl Busy {
    /// What is being computed.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Whether another process computes it.
    pub fn is_elsewhere(&self) -> bool {
        !matches!(self.owner, Owner::Here(_))
    }

    /// Blocks up to `limit`; whether it is time to resume.
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.signal().wait_timeout(limit)
    }

    /// Completes when it is time to resume.
    pub async fn wait(&self) {
        self.signal().wait().await;
    }

    fn signal(&self) -> &Signal {
        match &self.owner {
            Owner::Here(landed) => landed,
            Owner::Elsewhere { wait, .. } => &wait.got,
            Owner::Away { wait, .. } => &wait.got,
        }
    }
}
