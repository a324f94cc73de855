//! So many calls in any stretch of time of a given length.
//!
//! Only calls that were admitted take a place: who is refused and tries again does not keep the window shut.

use std::time::Duration;

use afresh_core::Timestamp;

/// Whether a call is admitted now, given when earlier ones were: the moments to be kept then, or `None`.
///
/// ```
/// use std::time::Duration;
/// use afresh_core::Timestamp;
/// use afresh_engine::guard::admit;
///
/// let at = Timestamp::from_millis;
/// let second = Duration::from_secs(1);
/// assert_eq!(admit(&[at(0), at(900)], at(1000), second, 2), Some(vec![at(900), at(1000)]));
/// assert_eq!(admit(&[at(100), at(900)], at(1000), second, 2), None);
/// ```
pub fn admit(
    earlier: &[Timestamp],
    now: Timestamp,
    period: Duration,
    limit: usize,
) -> Option<Vec<Timestamp>> {
    // What lies ahead by more than a period is of a clock that was set back since.
    let mut kept: Vec<Timestamp> = earlier
        .iter()
        .filter(|moment| now.since(**moment) < period && moment.since(now) <= period)
        .copied()
        .collect();
    (kept.len() < limit).then(|| {
        kept.push(now);
        kept
    })
}
