//! What a memory store can be told: only what time it is.
//!
//! The store never reads a clock except through this, so that tests can move time by hand.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use afresh_core::Timestamp;

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of this machine.
pub(crate) fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    })
}
