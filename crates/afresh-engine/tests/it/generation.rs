//! Whoever keeps answers in front of a store learns of every change that could spoil them.

use afresh_core::Generation;
use afresh_engine::{Engine, GcOptions, Selection};
use pollster::block_on;
use std::time::Duration;

use crate::support::*;

fn holds<T>(engine: &Engine, change: impl FnOnce() -> T) -> bool {
    let counters = engine.generation().unwrap();
    let stamp = counters.stamp(&fingerprint("f", 1)).unwrap();
    change();
    counters.holds(stamp)
}

#[test]
fn a_stamp_ends_with_whatever_takes_an_answer_away() {
    for (engine, _dir) in engines() {
        let start = || block_on(engine.start(&fingerprint("f", 1))).unwrap();
        let compute = || compute(&engine, "f", 1, "x");
        assert!(holds(&engine, compute), "there was nothing that anybody could have kept");
        assert!(holds(&engine, || hit(&engine, "f", 1).unwrap()));
        assert!(!holds(&engine, || {
            block_on(start().finish(execution("f", 1), output("forced"))).unwrap();
        }));
        assert!(!holds(&engine, || block_on(engine.forget(&fingerprint("f", 1))).unwrap()));
        compute();
        assert!(!holds(&engine, || {
            block_on(engine.invalidate(&Selection::default())).unwrap();
        }));
        compute();
        assert!(!holds(&engine, || {
            let all = GcOptions { older_than: Some(Duration::ZERO), ..GcOptions::default() };
            std::thread::sleep(Duration::from_millis(3));
            assert_eq!(block_on(engine.gc(&all)).unwrap().heads, 1);
        }));
        compute();
        let id = hit(&engine, "f", 1).unwrap().commit();
        assert!(!holds(&engine, || block_on(engine.rm(&id)).unwrap()));
        compute();
        assert!(!holds(&engine, || block_on(engine.clear()).unwrap()));
    }
}

#[test]
fn other_engines_on_the_same_folder_learn_of_it() {
    let dir = tempfile::TempDir::new().unwrap();
    let (one, two) = (sqlite(&dir), sqlite(&dir));
    compute(&one, "f", 1, "x");
    assert!(!holds(&two, || block_on(one.forget(&fingerprint("f", 1))).unwrap()));
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    compute(&one, "f", 1, "x");
    let three = sqlite(&dir);
    assert!(
        !holds(&three, || block_on(one.forget(&fingerprint("f", 1))).unwrap()),
        "a folder that was removed and made again is shared again"
    );
}

#[test]
fn while_an_answer_is_being_changed_there_is_no_stamp() {
    use afresh_core::{Batch, Key, Op, When};

    let counters = Generation::local();
    let (key, other) = (fingerprint("f", 1), fingerprint("f", 2));
    let delete = |key| Op::Delete { key: Key::head(key), when: When::Always };
    let batch = Batch { objects: Vec::new(), ops: vec![delete(&key)] };
    let before = counters.stamp(&key).unwrap();
    let changing = counters.change(&batch).unwrap();
    assert!(counters.stamp(&key).is_none() && !counters.holds(before));
    assert!(counters.stamp(&other).is_some());
    drop(changing);
    assert!(counters.stamp(&key).is_some() && !counters.holds(before));
    assert!(counters.change(&Batch::default()).is_none());
}

#[test]
fn names_have_slots_of_their_own_that_any_change_ends() {
    use afresh_core::{Batch, Key, Op, Space, When};

    let counters = Generation::local();
    let key = |space, name: &str| Key::new(space, name.as_bytes().to_vec()).unwrap();
    let (named, count) = (key(Space::Named, "kv//k"), key(Space::Count, "kt//t"));
    let answers: Vec<_> = (0..200).map(|n| counters.stamp(&fingerprint("f", n)).unwrap()).collect();
    let stamps = || (counters.stamp_of(&named).unwrap(), counters.stamp_of(&count).unwrap());

    let batch = |ops| Batch { objects: Vec::new(), ops };
    let delete = |key: &Key| Op::Delete { key: key.clone(), when: When::Always };
    let (one, other) = stamps();
    let changing = counters.announce(&batch(vec![delete(&named)])).unwrap();
    assert!(counters.stamp_of(&named).is_none() && !counters.holds(one));
    assert!(counters.holds(other));
    drop(changing);
    assert!(counters.stamp_of(&named).is_some() && !counters.holds(one));

    let (one, other) = stamps();
    let add = Op::Add { key: count.clone(), by: 1, ttl: None };
    drop(counters.announce(&batch(vec![add, delete(&named), delete(&named)])).unwrap());
    assert!(!counters.holds(one) && !counters.holds(other));
    assert!(answers.iter().all(|stamp| counters.holds(*stamp)), "answers have others");
    let check = Op::Check { key: named.clone(), when: When::Always };
    let head = Op::Delete { key: Key::head(&fingerprint("f", 1)), when: When::Always };
    assert!(counters.announce(&batch(vec![check, head])).is_none());

    let (one, other) = stamps();
    let blind = counters.blind();
    assert!(!counters.holds(one) && !counters.holds(other));
    assert!(counters.stamp_of(&named).is_none());
    drop(blind);
    assert!(counters.stamp_of(&named).is_some());
}

#[test]
fn counters_are_somewhere_once_the_store_is_in_use() {
    let dir = tempfile::TempDir::new().unwrap();
    let engine = sqlite(&dir);
    let counters = engine.generation().unwrap().clone();
    compute(&engine, "f", 1, "x");
    let first = counters.place();
    assert_ne!(first, 0);
    compute(&engine, "f", 2, "x");
    assert_eq!(counters.place(), first);
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    compute(&engine, "f", 3, "x");
    assert_ne!(counters.place(), first, "a folder that was made again has its own");
}

#[test]
fn a_store_that_says_so_counts_every_change_of_an_entry() {
    use afresh_core::{Batch, Bytes, Key, NewEntry, Op, Space, When};

    let dir = tempfile::TempDir::new().unwrap();
    for engine in [memory(), sqlite(&dir)] {
        let store = engine.store();
        assert!(store.counts_entries());
        let counters = store.generation().unwrap();
        let named = Key::new(Space::Named, b"kv//k".to_vec()).unwrap();
        let count = Key::new(Space::Count, b"kt//t".to_vec()).unwrap();
        let apply = |op| {
            let batch = Batch { objects: Vec::new(), ops: vec![op] };
            block_on(store.apply(batch)).unwrap()
        };
        let put = |when| {
            let entry = NewEntry::record(Bytes::from_static(b"v"));
            Op::Put { key: named.clone(), entry, when }
        };
        // The first use of a store finds its counters.
        drop(apply(put(When::Always)));
        let ends = |change: &dyn Fn()| {
            let stamp = counters.stamp_of(&named).unwrap();
            change();
            !counters.holds(stamp)
        };
        assert!(ends(&|| drop(apply(put(When::Always)))));
        assert!(ends(&|| drop(apply(Op::Delete { key: named.clone(), when: When::Always }))));
        assert!(ends(&|| drop(apply(put(When::Absent)))));
        assert!(!ends(&|| drop(apply(Op::Check { key: named.clone(), when: When::Always }))));
        assert!(ends(&|| {
            block_on(engine.clear()).unwrap();
        }));
        let stamp = counters.stamp_of(&count).unwrap();
        drop(apply(Op::Add { key: count.clone(), by: 1, ttl: None }));
        assert!(!counters.holds(stamp));
    }
}
