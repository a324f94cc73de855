//! Stores made of stores pass the suite and agree with the model; what each of them adds is tested by itself.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests: a panic is their way to report"
)]

mod readonly;
mod routed;
mod sealed;
mod tiered;

use std::sync::Arc;

use afresh_compose::{Routed, Sealed, SealingKey, Split, Tiered};
use afresh_core::{Labels, NewEntry, Store, Value};
use afresh_store_memory::MemoryStore;
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::model::{Change, Step};
use afresh_testkit::{ManualClock, model};
use pollster::block_on;
use proptest::prelude::*;

type Make = fn(&ManualClock) -> Arc<dyn Store>;

pub(crate) fn memory(clock: &ManualClock) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with_clock(clock.function()))
}

fn split(clock: &ManualClock) -> Arc<dyn Store> {
    Arc::new(Split::new(memory(clock), memory(clock)))
}

fn tiered(clock: &ManualClock) -> Arc<dyn Store> {
    Arc::new(Tiered::new(memory(clock), memory(clock), 100_000))
}

fn routed(clock: &ManualClock) -> Arc<dyn Store> {
    let routes = vec![("\u{7f}".into(), memory(clock)), ("kept:".into(), memory(clock))];
    Arc::new(Routed::new(memory(clock), routes).unwrap())
}

fn sealed(clock: &ManualClock) -> Arc<dyn Store> {
    Arc::new(Sealed::new(memory(clock), SealingKey::new("a secret")))
}

fn all(clock: &ManualClock) -> Arc<dyn Store> {
    let far = Arc::new(Split::new(sealed(clock), sealed(clock)));
    Arc::new(Tiered::new(memory(clock), far, 1 << 20))
}

const MADE: [(&str, Make); 5] =
    [("split", split), ("tiered", tiered), ("routed", routed), ("sealed", sealed), ("all", all)];

#[test]
fn each_conforms() {
    for (name, make) in MADE {
        let ran = conformance::run(|| {
            let clock = ManualClock::new();
            Subject::new(make(&clock)).clock(clock)
        });
        assert!(ran.len() > 45, "{name}: {} cases", ran.len());
    }
}

#[test]
fn they_conform_over_files() {
    conformance::run(|| {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let path = folder.path().join(name);
            Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap())
        };
        let far = Split::new(open("entries"), open("objects"));
        let far = Sealed::new(Arc::new(far), SealingKey::new("a secret"));
        let store = Tiered::new(open("near"), Arc::new(far), 1 << 20);
        Subject::new(Arc::new(store)).keep(folder)
    });
}

/// Counters have no labels where they are sealed.
fn without_labelled_counters(step: &mut Step) {
    let Step::Apply(_, changes) = step else { return };
    for change in changes {
        if let Change::Put(_, entry @ NewEntry { value: Value::Count(_), .. }, _) = change {
            (entry.labels, entry.object) = (Labels::default(), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn each_agrees_with_the_model(mut steps in model::steps(), which in 0..MADE.len()) {
        let (_, make) = MADE[which];
        steps.iter_mut().for_each(without_labelled_counters);
        let clock = ManualClock::new();
        let model = MemoryStore::with_clock(clock.function());
        block_on(model::compare(make(&clock).as_ref(), &model, &clock, &steps));
    }
}
