//! Guards, with a clock by hand.

use std::time::Duration;

use afresh_core::Timestamp;
use afresh_engine::guard::{Breaker, admit};
use proptest::prelude::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

proptest! {
    #[test]
    fn no_stretch_of_time_has_more_calls_than_the_limit(
        steps in prop::collection::vec(0i64..400, 1..200),
        limit in 1usize..6,
    ) {
        let (mut now, mut kept, mut admitted) = (0, Vec::new(), Vec::new());
        for step in steps {
            now += step;
            if let Some(next) = admit(&kept, at(now), Duration::from_millis(1000), limit) {
                kept = next;
                admitted.push(now);
            }
            prop_assert!(kept.len() <= limit);
            let recent = admitted.iter().filter(|moment| now - **moment < 1000).count();
            prop_assert!(recent <= limit);
        }
    }

    #[test]
    fn who_is_refused_is_admitted_a_period_after_the_oldest(tries in 1i64..50) {
        let second = Duration::from_secs(1);
        let kept = admit(&[], at(0), second, 1).unwrap_or_default();
        for n in 0..tries {
            prop_assert_eq!(admit(&kept, at(n * 999 / tries), second, 1), None);
        }
        prop_assert!(admit(&kept, at(1000), second, 1).is_some());
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_the_window_shut() {
    let second = Duration::from_secs(1);
    let kept = admit(&[], at(1_000_000), second, 1).unwrap();
    assert_eq!(admit(&kept, at(999_500), second, 1), None);
    assert_eq!(admit(&kept, at(0), second, 1), Some(vec![at(0)]));
}

#[test]
fn a_breaker_opens_at_its_share_of_failures_and_forgets_after_a_period() {
    let breaker = Breaker { percent: 50, period: Duration::from_secs(10), least: 4 };
    let mut tallies = Vec::new();
    let mut trips = false;
    for (time, failed) in [(0, false), (1000, true), (2000, false)] {
        (tallies, trips) = breaker.count(&tallies, at(time), failed);
        assert!(!trips);
    }
    let (open, trips_now) = breaker.count(&tallies, at(3000), true);
    assert!(trips_now);
    assert_eq!(
        open.iter()
            .map(|tally| (tally.calls, tally.failed))
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (4, 2)
    );
    let (_, fine) = breaker.count(&tallies, at(3000), false);
    assert!(!fine && !trips);
    let (later, trips) = breaker.count(&open, at(30_000), true);
    assert!(!trips);
    assert_eq!(later.len(), 1);
}
