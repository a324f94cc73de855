//! The guards of the engine for Python: moments and counts as plain numbers, which any codec takes.

use std::time::Duration;

use afresh::Timestamp;
use afresh::guard::{self, Breaker, Tally};
use pyo3::prelude::*;

fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// The moments (milliseconds) to keep if a call is admitted now, else `None`.
#[pyfunction]
pub(crate) fn admit(earlier: Vec<i64>, now: i64, period: f64, limit: usize) -> Option<Vec<i64>> {
    let earlier: Vec<_> = earlier.into_iter().map(Timestamp::from_millis).collect();
    let kept = guard::admit(&earlier, Timestamp::from_millis(now), span(period), limit)?;
    Some(kept.into_iter().map(Timestamp::as_millis).collect())
}

/// Tallies (when, calls, failed) after one more outcome, and whether the breaker opens.
#[pyfunction]
pub(crate) fn count_outcome(
    tallies: Vec<(i64, u32, u32)>,
    now: i64,
    failed: bool,
    percent: u32,
    period: f64,
    least: u32,
) -> (Vec<(i64, u32, u32)>, bool) {
    let tallies: Vec<_> = tallies
        .into_iter()
        .map(|(begins, calls, failed)| Tally {
            begins: Timestamp::from_millis(begins),
            calls,
            failed,
        })
        .collect();
    let breaker = Breaker { percent, period: span(period), least };
    let (kept, opens) = breaker.count(&tallies, Timestamp::from_millis(now), failed);
    let plain = |tally: Tally| (tally.begins.as_millis(), tally.calls, tally.failed);
    (kept.into_iter().map(plain).collect(), opens)
}
