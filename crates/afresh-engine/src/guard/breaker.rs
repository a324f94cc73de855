//! When a call that keeps failing is not to be made for a while.
//!
//! Outcomes are counted in ten buckets a period, so the counts are of the last period, to a tenth of it.

use std::time::Duration;

use afresh_core::Timestamp;

/// Buckets in a period.
const BUCKETS: u32 = 10;

/// Outcomes of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// When the bucket begins.
    pub begins: Timestamp,
    /// Calls that ended in it.
    pub calls: u32,
    /// Those that failed.
    pub failed: u32,
}

/// What is too much.
///
/// ```
/// use std::time::Duration;
/// use afresh_core::Timestamp;
/// use afresh_engine::guard::Breaker;
///
/// let breaker = Breaker { percent: 50, period: Duration::from_secs(10), least: 2 };
/// let at = Timestamp::from_millis;
/// let (tallies, trips) = breaker.count(&[], at(0), true);
/// assert!(!trips);
/// let (tallies, trips) = breaker.count(&tallies, at(100), true);
/// assert!(trips);
/// let (_, trips) = breaker.count(&tallies, at(20_000), true);
/// assert!(!trips);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    /// It opens when so many of a hundred calls fail,
    pub percent: u32,
    /// in this time,
    pub period: Duration,
    /// of at least so many.
    pub least: u32,
}

impl Breaker {
    /// Counts an outcome; the tallies to be kept, and whether it was the failure that is too much.
    pub fn count(&self, tallies: &[Tally], now: Timestamp, failed: bool) -> (Vec<Tally>, bool) {
        let width = (self.period / BUCKETS).max(Duration::from_millis(1));
        let width = i64::try_from(width.as_millis()).unwrap_or(i64::MAX);
        let begins = Timestamp::from_millis(now.as_millis().div_euclid(width) * width);
        // What lies ahead is of a clock that was set back.
        let mut kept: Vec<Tally> = tallies
            .iter()
            .filter(|tally| tally.begins <= begins && now.since(tally.begins) < self.period)
            .copied()
            .collect();
        let one = Tally { begins, calls: 1, failed: u32::from(failed) };
        match kept.last_mut().filter(|last| last.begins == begins) {
            Some(last) => {
                last.calls = last.calls.saturating_add(one.calls);
                last.failed = last.failed.saturating_add(one.failed);
            }
            None => kept.push(one),
        }
        let sum = |part: fn(&Tally) -> u32| kept.iter().map(|tally| u64::from(part(tally))).sum();
        let (calls, failures): (u64, u64) = (sum(|tally| tally.calls), sum(|tally| tally.failed));
        let trips = failed
            && calls >= u64::from(self.least)
            && failures * 100 >= calls * u64::from(self.percent);
        (kept, trips)
    }
}
