//! The memory store passes the suite, bare and inside a quiet `FaultyStore`.

use std::sync::Arc;

use afresh_core::{Key, Kind, Space, Store};
use afresh_store_memory::MemoryStore;
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::{Fault, FaultyStore, ManualClock, model};
use pollster::block_on;
use proptest::prelude::*;

fn memory() -> (Arc<MemoryStore>, ManualClock) {
    let clock = ManualClock::new();
    (Arc::new(MemoryStore::with_clock(clock.function())), clock)
}

#[test]
fn conforms() {
    let ran = conformance::run(|| {
        let (store, clock) = memory();
        Subject::new(store).clock(clock)
    });
    assert!(ran.len() > 50, "{} cases", ran.len());
}

#[test]
fn conforms_in_real_time() {
    conformance::run(|| Subject::new(Arc::new(MemoryStore::new())));
}

#[test]
fn a_quiet_faulty_store_conforms() {
    conformance::run(|| {
        let (store, clock) = memory();
        Subject::new(Arc::new(FaultyStore::new(store))).clock(clock)
    });
}

#[test]
fn a_faulty_store_fails_as_planned() {
    let store = FaultyStore::new(memory().0);
    store.plan("get", 2, Fault::Fail(Kind::Unavailable));
    let key = Key::new(Space::Head, "k").unwrap();
    for _ in 0..2 {
        let error = block_on(store.get(std::slice::from_ref(&key))).unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    }
    assert!(block_on(store.get(&[key])).is_ok());
    assert_eq!(store.calls("get"), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]
    #[test]
    fn agrees_with_itself(steps in model::steps()) {
        let (store, clock) = memory();
        let model = MemoryStore::with_clock(clock.function());
        block_on(model::compare(store.as_ref(), &model, &clock, &steps));
    }
}
