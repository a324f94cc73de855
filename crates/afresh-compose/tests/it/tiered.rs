//! Outputs that were here before are not asked for again, within a budget, and a near store that fails costs nothing.

use std::sync::Arc;
use std::time::Duration;

use afresh_compose::Tiered;
use afresh_core::{Bytes, Kind, ObjectId, Store};
use afresh_testkit::{Fault, FaultyStore, ManualClock};
use pollster::block_on;

use crate::memory;

fn output(n: u8) -> (ObjectId, Bytes) {
    let bytes = Bytes::from(vec![n; 10_000]);
    (ObjectId::of(&bytes), bytes)
}

#[test]
fn what_was_here_is_not_asked_for_again() {
    let clock = ManualClock::new();
    let far = FaultyStore::new(memory(&clock));
    let near = memory(&clock);
    let (id, bytes) = output(1);
    block_on(far.write(&id, bytes.clone().into())).unwrap();
    let store = Tiered::new(near, Arc::new(far.clone()), 1 << 20);
    for _ in 0..3 {
        assert_eq!(block_on(store.read(&id)).unwrap(), Some(bytes.clone()));
    }
    assert_eq!(far.calls("read"), 1);
    let (id, bytes) = output(2);
    block_on(store.write(&id, bytes.clone().into())).unwrap();
    far.plan("*", 100, Fault::Fail(Kind::Unavailable));
    assert_eq!(block_on(store.read(&id)).unwrap(), Some(bytes));
}

#[test]
fn it_keeps_to_its_budget() {
    let clock = ManualClock::new();
    let (near, far) = (memory(&clock), memory(&clock));
    let store = Tiered::new(Arc::clone(&near), far, 100_000);
    for n in 0..100 {
        let (id, bytes) = output(n);
        clock.advance(Duration::from_secs(1));
        block_on(store.write(&id, bytes.into())).unwrap();
    }
    let kept = block_on(near.list(None, 1000)).unwrap();
    let bytes: u64 = kept.iter().map(|object| object.stored).sum();
    assert!((50_000..=120_000).contains(&bytes), "{bytes}");
    assert!(kept.iter().any(|object| object.id == output(99).0), "the newest stays");
    assert!(kept.iter().all(|object| object.id != output(0).0), "the oldest goes");
}

#[test]
fn a_near_store_that_fails_costs_nothing() {
    let clock = ManualClock::new();
    let near = FaultyStore::new(memory(&clock));
    let store = Tiered::new(Arc::new(near.clone()), memory(&clock), 1 << 20);
    near.plan("*", 1000, Fault::Fail(Kind::Corrupt));
    let (id, bytes) = output(1);
    block_on(store.write(&id, bytes.clone().into())).unwrap();
    assert_eq!(block_on(store.read(&id)).unwrap(), Some(bytes));
    assert_eq!(block_on(store.remove(&[id], Duration::ZERO)).unwrap().objects, 1);
}
