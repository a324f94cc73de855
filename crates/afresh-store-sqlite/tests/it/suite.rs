//! The suite that every store passes, and random operations compared with the memory store.

use std::sync::Arc;

use afresh_store_memory::MemoryStore;
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::{FaultyStore, ManualClock, model};
use pollster::block_on;
use proptest::prelude::*;

use crate::support::{damage, folder};

fn options(clock: &ManualClock) -> SqliteOptions {
    SqliteOptions { clock: clock.function(), ..SqliteOptions::default() }
}

fn subject(inline_max: usize) -> Subject {
    let (parent, path) = folder();
    let clock = ManualClock::new();
    let options = SqliteOptions { inline_max, ..options(&clock) };
    let store = SqliteStore::open(&path, options).unwrap();
    Subject::new(Arc::new(store)).clock(clock).damage(move |id| damage(&path, id)).keep(parent)
}

#[test]
fn conforms() {
    let ran = conformance::run(|| subject(SqliteOptions::default().inline_max));
    assert!(ran.contains(&"damage_is_noticed") && ran.len() > 50, "{ran:?}");
}

#[test]
fn conforms_with_every_object_a_file() {
    conformance::run(|| subject(0));
}

#[test]
fn conforms_in_real_time_inside_a_quiet_faulty_store() {
    conformance::run(|| {
        let (parent, path) = folder();
        let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
        Subject::new(Arc::new(FaultyStore::new(Arc::new(store)))).keep(parent)
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn agrees_with_the_memory_store(steps in model::steps()) {
        let (_parent, path) = folder();
        let clock = ManualClock::new();
        let store = SqliteStore::open(&path, options(&clock)).unwrap();
        let model = MemoryStore::with_clock(clock.function());
        block_on(model::compare(&store, &model, &clock, &steps));
    }
}
