//! A clock that stands still until it is moved.
//!
//! Invariant: clones share one time, and it never goes back by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use afresh_core::Timestamp;

/// A clock moved by hand.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at some moment of 2025.
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_750_000_000_000)))
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// As the function that stores ask.
    pub fn function(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}
