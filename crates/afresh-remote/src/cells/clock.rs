//! The server's clock, as well as it can be known from here.
//!
//! Some answers of a server say what time it was there, at least to the second. Together with the moments at which the question left and the
//! answer came, that bounds how far the two clocks are apart. Where the bounds allow that they agree, this machine's
//! clock is taken as it is; where not, it is moved by as little as they ask for.
//!
//! Invariant: what it says is never further than the grain of such answers (and the time they took) from the server's clock, however
//! wrong this machine's is, once there was an answer. Versions grow even if the time does not.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use afresh_core::{Timestamp, Version};

/// Bounds older than this are forgotten: clocks drift, and are set.
const MEMORY: i64 = 10 * 60 * 1000;

/// By how much the server is ahead of this machine, in milliseconds: at least, at most.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: i64,
    most: i64,
    /// When they were begun, by this machine.
    since: i64,
}

/// Says what time it is at the server.
#[derive(Clone)]
pub struct Clock {
    here: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Whether what servers say is passed over.
    fixed: bool,
    bounds: Arc<Mutex<Option<Bounds>>>,
    last: Arc<AtomicU64>,
}

impl Clock {
    /// Begins with `here`, the clock of this machine.
    pub fn new(here: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { here: Arc::new(here), fixed: false, bounds: Arc::default(), last: Arc::default() }
    }

    /// Only `here`, whatever servers say: for tests that move time by hand.
    pub fn fixed(here: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { fixed: true, ..Self::new(here) }
    }

    /// The clock of this machine, uncorrected.
    pub fn here(&self) -> Timestamp {
        (self.here)()
    }

    /// What time it is at the server.
    pub fn now(&self) -> Timestamp {
        let bounds = *self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = bounds.map_or(0, |bounds| 0.clamp(bounds.least, bounds.most));
        Timestamp::from_millis(self.here().as_millis().saturating_add(ahead))
    }

    /// A question left at `asked` and its answer came at `told`, both by this machine; at the server it was `moment`, or
    /// up to `grain` later.
    pub fn heard(&self, asked: Timestamp, told: Timestamp, moment: Timestamp, grain: Duration) {
        let (asked, told, moment) = (asked.as_millis(), told.as_millis(), moment.as_millis());
        let grain = i64::try_from(grain.as_millis()).unwrap_or(0);
        let new = Bounds {
            least: moment.saturating_sub(told),
            most: moment.saturating_add(grain).saturating_sub(asked),
            since: told,
        };
        if self.fixed || new.least > new.most {
            return; // Or this machine's clock was set back while we waited.
        }
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let both = bounds
            .filter(|old| (told - old.since).unsigned_abs() < MEMORY.unsigned_abs())
            .map(|old| Bounds {
                least: old.least.max(new.least),
                most: old.most.min(new.most),
                since: old.since,
            });
        *bounds = Some(both.filter(|both| both.least <= both.most).unwrap_or(new));
    }

    /// The next version after `before`: the microseconds of the server's clock, or one more than the greatest known.
    pub fn version(&self, before: Option<Version>) -> Version {
        let now = u64::try_from(self.now().as_millis()).unwrap_or(0).saturating_mul(1000);
        let least = before.map_or(0, |version| version.0.saturating_add(1)).max(now);
        let next = |last: u64| Some(least.max(last.saturating_add(1)));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        Version(last.map_or(least, |last| least.max(last.saturating_add(1))))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        })
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_right_clock_is_left_alone() {
        let clock = Clock::new(|| at(5_400));
        clock.heard(at(5_200), at(5_300), at(5_000), SECOND);
        assert_eq!(clock.now(), at(5_400));
    }

    #[test]
    fn a_wrong_clock_is_corrected_to_within_a_second() {
        let hour = 3_600_000;
        for wrong in [-hour, hour] {
            let clock = Clock::new(move || at(10_000_000 + wrong));
            // It is 10,000,000 there; the header says whole seconds.
            clock.heard(at(9_999_900 + wrong), at(10_000_000 + wrong), at(9_999_000), SECOND);
            let off = clock.now().as_millis() - 10_000_000;
            assert!(off.abs() <= 1100, "{off}");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_noticed() {
        let clock = Clock::new(|| at(0));
        clock.heard(at(0), at(10), at(50_000), SECOND);
        clock.heard(at(0), at(10), at(90_000), SECOND);
        assert!((90_000 - 10..=91_000).contains(&clock.now().as_millis()), "{clock:?}");
    }

    #[test]
    fn versions_grow_when_time_does_not() {
        let clock = Clock::new(|| at(7));
        let first = clock.version(None);
        let second = clock.version(None);
        let third = clock.version(Some(Version(1_000_000)));
        assert_eq!((first, second, third), (Version(7000), Version(7001), Version(1_000_001)));
        assert!(clock.version(None) > third);
    }
}
