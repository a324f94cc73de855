//! Ends: an expired entry is absent to every operation, and a lease that ended can be taken, safely.

use std::time::Duration;

use afresh_core::{Applied, NewEntry, Op, Scan, Space, When};

use super::case::{key, named, put};
use super::{Case, Test, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(the_expired_is_absent),
        case!(the_expired_can_be_put_when_absent),
        case!(a_put_without_ttl_lasts),
        case!(a_lease_is_taken_over_and_its_late_owner_fenced_off),
    ]
}

fn ending(text: &str, ttl: Duration) -> NewEntry {
    NewEntry { ttl: Some(ttl), ..NewEntry::record(text.to_owned()) }
}

/// A little more than the span, so that no rounding matters.
fn over(span: Duration) -> Duration {
    span + Duration::from_millis(50)
}

async fn the_expired_is_absent(test: Test) {
    let tick = test.tick();
    let (short, long) = (named("a"), named("b"));
    let version = test.op(put(&short, ending("1", tick), When::Always)).await.version.unwrap();
    test.op(put(&long, ending("1", tick * 20), When::Always)).await;
    assert!(test.get(&short).await.unwrap().ttl.unwrap() <= tick);
    test.wait(over(tick));
    assert_eq!(test.get(&short).await, None);
    assert!(test.get(&long).await.unwrap().ttl.unwrap() < tick * 19 + tick / 2);
    assert_eq!(test.keys(&Scan::new(Space::Named)).await, vec![long.bytes().clone()]);
    let check = Op::Check { key: short.clone(), when: When::Is(version) };
    assert_eq!(test.refused(check).await, None);
    test.op(Op::Touch { key: short.clone(), ago: Duration::ZERO }).await;
    assert_eq!(test.get(&short).await, None);
    test.op(Op::Delete { key: short, when: When::Absent }).await;
}

async fn the_expired_can_be_put_when_absent(test: Test) {
    let key = named("k");
    let first = test.op(put(&key, ending("1", test.tick()), When::Absent)).await.version;
    test.wait(over(test.tick()));
    let second = test.op(put(&key, NewEntry::record("2"), When::Absent)).await.version;
    assert!(second > first);
    assert_eq!(test.get(&key).await.unwrap().ttl, None);
}

async fn a_put_without_ttl_lasts(test: Test) {
    let key = named("k");
    test.op(put(&key, ending("1", test.tick()), When::Always)).await;
    test.put(&key, "2").await;
    test.wait(over(test.tick() * 2));
    assert_eq!(test.get(&key).await.unwrap().record().unwrap(), "2".as_bytes());
}

async fn a_lease_is_taken_over_and_its_late_owner_fenced_off(test: Test) {
    let tick = test.tick();
    let (lease, answer) = (key(Space::Lease, "fp"), key(Space::Head, "fp"));
    let first = test.op(put(&lease, ending("first", tick), When::Absent)).await.version.unwrap();
    assert_eq!(
        test.refused(put(&lease, ending("second", tick), When::Absent)).await,
        Some(first),
        "while it lasts nobody else gets it"
    );
    test.wait(over(tick));
    let second =
        test.op(put(&lease, ending("second", tick * 20), When::Absent)).await.version.unwrap();
    assert!(second > first, "the version is a fencing token");
    // The first owner wakes up and wants to finish.
    let finish = |version, text: &str| {
        vec![
            Op::Check { key: lease.clone(), when: When::Is(version) },
            put(&answer, NewEntry::record(text.to_owned()), When::Always),
            Op::Delete { key: lease.clone(), when: When::Is(version) },
        ]
    };
    let late = test.ops(finish(first, "late")).await;
    assert_eq!(late, Applied::Refused { index: 0, found: Some(second) });
    assert_eq!(test.get(&answer).await, None);
    // Nor can it prolong what it lost.
    assert_eq!(
        test.refused(put(&lease, ending("first", tick), When::Is(first))).await,
        Some(second)
    );
    let prolonged =
        test.op(put(&lease, ending("second", tick * 20), When::Is(second))).await.version.unwrap();
    let finished = test.ops(finish(prolonged, "right")).await;
    assert!(matches!(finished, Applied::All(_)), "{finished:?}");
    assert_eq!(test.get(&answer).await.unwrap().record().unwrap(), "right".as_bytes());
    assert_eq!(test.get(&lease).await, None);
}
