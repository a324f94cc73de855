//! What many are removed at a time is absent at once, and its rows are deleted later.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Batch, Key, NewEntry, Op, Order, Scan, Space, Store, Tag, Usage, Version, When,
};
use afresh_store_memory::MemoryStore;
use afresh_store_sqlite::SqliteStore;
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::{ManualClock, model};
use pollster::block_on;
use proptest::prelude::*;

use crate::recent::{done, keys, named, one, record, restless, waiting};
use crate::support::{database, folder, open};

const MANY: u64 = 300;

/// For so long no row is deleted, or a little longer.
const QUIET: Duration = Duration::from_millis(150);

/// Removes the heads of that version and the commits of those numbers, in one batch.
fn remove(store: &SqliteStore, numbers: impl Iterator<Item = u64> + Clone) -> Applied {
    let heads: Vec<Key> = numbers.clone().map(|number| named(Space::Head, number)).collect();
    let found = block_on(store.get(&heads)).unwrap();
    let heads = heads.into_iter().zip(found).map(|(key, entry)| Op::Delete {
        key,
        when: entry.map_or(When::Absent, |entry| When::Is(entry.version)),
    });
    let commits =
        numbers.map(|number| Op::Delete { key: named(Space::Commit, number), when: When::Always });
    block_on(store.apply(Batch { objects: vec![], ops: heads.chain(commits).collect() })).unwrap()
}

fn filled(path: &Path) -> SqliteStore {
    let store = open(path);
    for number in 0..MANY {
        done(record(&store, number, When::Absent));
    }
    store
}

fn entries(usage: &Usage) -> [u64; 2] {
    [Space::Head, Space::Commit].map(|space| usage.entries(space))
}

/// Waits until so many rows are left, and no tag of another.
fn cleaned(path: &Path, rows: u64) {
    let began = Instant::now();
    while waiting(path) != (0, rows as i64) {
        assert!(began.elapsed() < Duration::from_secs(30), "rows stay: {:?}", waiting(path));
        std::thread::sleep(Duration::from_millis(20));
    }
    let conn = database(path);
    let orphans: i64 = conn
        .query_row(
            "SELECT count(*) FROM tag WHERE entry NOT IN (SELECT id FROM entry UNION SELECT id FROM commits)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(orphans, 0);
}

#[test]
fn conforms_where_every_batch_removes_much() {
    conformance::run(|| {
        let clock = ManualClock::new();
        let (parent, store) = restless(&clock, 5);
        Subject::new(Arc::new(store.removing())).clock(clock).keep(parent)
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn agrees_with_the_memory_store(steps in model::steps(), fold in 0..9usize) {
        let clock = ManualClock::new();
        let (_parent, store) = restless(&clock, fold);
        let model = MemoryStore::with_clock(clock.function());
        block_on(model::compare(&store.removing(), &model, &clock, &steps));
    }
}

#[test]
fn is_absent_at_once_for_everybody() {
    let (_parent, path) = folder();
    let store = filled(&path);
    let other = open(&path);
    let before = one(&other, named(Space::Head, 5)).unwrap().version;
    let began = Instant::now();
    done(remove(&store, 0..100));
    let rows = waiting(&path);
    if began.elapsed() < QUIET {
        assert_eq!(rows, (0, 2 * MANY as i64), "no row was deleted yet");
    }
    for store in [&store, &other] {
        for space in [Space::Head, Space::Commit] {
            assert!((0..100).all(|number| one(store, named(space, number)).is_none()));
            assert!((100..MANY).all(|number| one(store, named(space, number)).is_some()));
        }
        assert_eq!(entries(&block_on(store.usage()).unwrap()), [MANY - 100; 2]);
        let commits = Scan { limit: 7, ..Scan::new(Space::Commit) };
        let tag = Tag::new("odd", Some("1".to_owned())).unwrap();
        for (scan, count) in [
            (commits.clone(), 200),
            (Scan { order: Order::Newest, ..commits.clone() }, 200),
            (Scan { function: Some("f0".to_owned()), ..commits.clone() }, 66),
            (Scan { tags: vec![tag], ..commits }, 100),
        ] {
            assert_eq!(keys(store, scan).len(), count);
        }
    }
    // To remove them again changes nothing; to put one again begins it anew.
    done(remove(&other, 0..100));
    assert_eq!(entries(&block_on(store.usage()).unwrap()), [MANY - 100; 2]);
    let again = done(record(&other, 5, When::Absent))[0].version.unwrap();
    assert!(again > before, "versions grow over a removal");
    assert_eq!(one(&store, named(Space::Head, 5)).unwrap().version, again);
    assert_eq!(entries(&block_on(store.usage()).unwrap()), [MANY - 99; 2]);
    cleaned(&path, 2 * (MANY - 99));
    assert_eq!(entries(&block_on(store.usage()).unwrap()), [MANY - 99; 2]);
    assert_eq!(one(&other, named(Space::Head, 5)).unwrap().version, again);
}

#[test]
fn all_stays_where_one_condition_fails() {
    let (_parent, path) = folder();
    let store = filled(&path);
    let delete = |number| Op::Delete { key: named(Space::Head, number), when: When::Always };
    let mut ops: Vec<Op> = (0..100).map(delete).collect();
    ops.push(Op::Delete { key: named(Space::Head, 200), when: When::Is(Version(1 << 40)) });
    let applied = block_on(store.apply(Batch { objects: vec![], ops })).unwrap();
    assert!(matches!(applied, Applied::Refused { index: 100, .. }), "{applied:?}");
    assert_eq!(entries(&block_on(store.usage()).unwrap()), [MANY; 2]);
    assert!((0..100).all(|number| one(&store, named(Space::Head, number)).is_some()));
}

#[test]
fn what_a_process_left_the_next_one_deletes() {
    let (_parent, path) = folder();
    let store = filled(&path);
    let began = Instant::now();
    done(remove(&store, 0..MANY));
    drop(store);
    if began.elapsed() < QUIET {
        assert_eq!(waiting(&path), (0, 2 * MANY as i64));
    }
    let store = open(&path);
    assert_eq!(entries(&block_on(store.usage()).unwrap()), [0; 2]);
    let op = |when| Op::Put { key: named(Space::Head, 1), entry: NewEntry::record("new"), when };
    let put = |when| block_on(store.apply(Batch { objects: vec![], ops: vec![op(when)] })).unwrap();
    done(put(When::Absent));
    cleaned(&path, 1);
    assert_eq!(entries(&block_on(store.usage()).unwrap()), [1, 0]);
}
