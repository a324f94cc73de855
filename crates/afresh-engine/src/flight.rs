//! Single flight within a process: one leader a fingerprint, everybody else waits to be woken.
//!
//! Invariant: a flight is in the table exactly as long as its guard lives, so a leader that panics, is cancelled
//! or is dropped always lets the next one begin. A waiter that goes away changes nothing for the others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use afresh_core::Fingerprint;
use event_listener::{Event, Listener};

/// Something that happens once, and can be waited for by threads and by tasks.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    done: AtomicBool,
    event: Event,
}

impl Signal {
    pub(crate) fn raise(&self) {
        self.done.store(true, Ordering::Release);
        self.event.notify(usize::MAX);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Waits up to `limit`; whether it has happened.
    pub(crate) fn wait_timeout(&self, limit: Duration) -> bool {
        if self.is_raised() {
            return true;
        }
        let listener = self.event.listen();
        // It may have been raised between the look and the listening.
        if !self.is_raised() {
            listener.wait_timeout(limit);
        }
        self.is_raised()
    }

    pub(crate) async fn wait(&self) {
        while !self.is_raised() {
            let listener = self.event.listen();
            if !self.is_raised() {
                listener.await;
            }
        }
    }
}

/// The flights of one engine.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    table: Mutex<HashMap<Fingerprint, Arc<Signal>>>,
}

/// What became of joining a flight.
pub(crate) enum Joined {
    /// Nobody was there: lead.
    Lead(Flight),
    /// Wait for this.
    Follow(Arc<Signal>),
}

/// The leader's hold on a flight.
#[derive(Debug)]
pub(crate) struct Flight {
    flights: Arc<Flights>,
    fingerprint: Fingerprint,
    landed: Arc<Signal>,
}

impl Flights {
    pub(crate) fn join(self: &Arc<Self>, fingerprint: &Fingerprint) -> Joined {
        match self.table.lock().unwrap_or_else(PoisonError::into_inner).entry(*fingerprint) {
            Entry::Occupied(flight) => Joined::Follow(Arc::clone(flight.get())),
            Entry::Vacant(place) => {
                let landed = Arc::clone(place.insert(Arc::default()));
                Joined::Lead(Flight {
                    flights: Arc::clone(self),
                    fingerprint: *fingerprint,
                    landed,
                })
            }
        }
    }
}

impl Flight {
    /// Whether somebody waits: who does holds the signal, as the leader and the table do.
    pub(crate) fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.landed) > 2
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut table = self.flights.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(&self.fingerprint);
        drop(table);
        self.landed.raise();
    }
}
