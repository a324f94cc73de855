//! Making a new answer while the old one is handed out: one refresher a fingerprint, on the host.
//!
//! Whoever gets the ticket refreshes, everybody else is served and never waits. After a refresh that left no
//! new answer nobody of this process tries again at once: a failing source is asked as often as it can bear, not as often as it is needed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use afresh_core::{CommitId, Fingerprint, Head, Result};

use crate::begin::Leased;
use crate::engine::Engine;
use crate::flight::Joined;
use crate::ticket::Ticket;

/// The shortest and the longest pause after a failure; between them it is as long as the attempt took.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Above so many the pauses that are over are forgotten.
const MANY: usize = 1024;

/// Refreshes that came to nothing of late.
#[derive(Debug, Default)]
pub(crate) struct Resting {
    until: Mutex<HashMap<Fingerprint, Instant>>,
}

impl Resting {
    pub(crate) fn rest(&self, fingerprint: &Fingerprint, took: Duration) {
        let now = Instant::now();
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= MANY {
            until.retain(|_, end| *end > now);
        }
        if let Some(end) = now.checked_add(took.clamp(PAUSE.0, PAUSE.1)) {
            until.insert(*fingerprint, end);
        }
    }

    fn rests(&self, fingerprint: &Fingerprint) -> bool {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        match until.get(fingerprint) {
            Some(end) if *end > Instant::now() => true,
            Some(_) => {
                until.remove(fingerprint);
                false
            }
            None => false,
        }
    }
}

impl Engine {
    /// The right to replace the answer by `seen`, for one caller; `None` where somebody is at it, where that answer
    /// has been replaced, or shortly after an attempt that failed. Never waits.
    ///
    /// # Errors
    /// Whatever keeps the store from answering.
    pub async fn refresh(
        &self,
        fingerprint: &Fingerprint,
        seen: &CommitId,
    ) -> Result<Option<Ticket>> {
        if self.inner.resting.rests(fingerprint) {
            return Ok(None);
        }
        let Joined::Lead(flight) = self.inner.flights.join(fingerprint) else { return Ok(None) };
        if let Some(leases) = &self.inner.leases {
            return self.refresh_away(leases, fingerprint, seen, flight).await;
        }
        let Leased::Here(lock) = self.lease(fingerprint) else { return Ok(None) };
        let (entry, mut basis) = self.basis(fingerprint).await?;
        basis.parent =
            entry.and_then(|entry| Head::decode(entry.record()?).ok()).map(|head| head.commit);
        let stands = basis.parent.as_ref() == Some(seen);
        Ok(stands.then(|| Ticket::new(self, *fingerprint, basis, Some(flight), lock).refreshing()))
    }
}
