//! Who is told of changes, what comes of an absence that somebody relies on, and of many who begin at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Batch, Fingerprint, Generation, Key, NewEntry, Op, Space, Stamp, Store, Watcher, When,
};
use afresh_store_sql::{SqlOptions, open, open_with};
use pollster::block_on;

use crate::support::{KINDS, Kind, empty, prefix, shared, start};

fn apply(store: &dyn Store, ops: Vec<Op>) -> Applied {
    block_on(store.apply(Batch { objects: vec![], ops })).unwrap()
}

fn put(key: &Key, when: When) -> Op {
    Op::Put { key: key.clone(), entry: NewEntry::record("v"), when }
}

/// Waits until something is so.
fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came to pass: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[derive(Default)]
struct Ears {
    changed: AtomicU32,
    missed: AtomicU32,
}

impl Watcher for Ears {
    fn changed(&self, key: &Key) {
        assert_eq!((key.space(), key.bytes().as_ref()), (Space::Lease, &b"lease\0\xff"[..]));
        self.changed.fetch_add(1, Ordering::SeqCst);
    }

    fn missed(&self) {
        self.missed.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn leases_are_told_of() {
    let Some(server) = start(Kind::Postgres) else { return };
    let prefix = prefix();
    let (here, there) = (open(&server.url(&prefix)).unwrap(), open(&server.url(&prefix)).unwrap());
    let ears = Arc::new(Ears::default());
    assert!(here.watch(Arc::clone(&ears) as Arc<dyn Watcher>));
    let (changed, missed) =
        (|| ears.changed.load(Ordering::SeqCst), || ears.missed.load(Ordering::SeqCst));
    until("it listens", || missed() > 0);
    let lease = Key::new(Space::Lease, &b"lease\0\xff"[..]).unwrap();
    apply(there.as_ref(), vec![put(&lease, When::Absent)]);
    until("a lease was put", || changed() == 1);
    apply(there.as_ref(), vec![put(&Key::count("n"), When::Always)]);
    apply(there.as_ref(), vec![Op::Delete { key: lease.clone(), when: When::Always }]);
    until("a lease was removed", || changed() == 2);
    // Of what nobody heard: that there was a time of it.
    let before = missed();
    server.kill();
    server.restart();
    until("it listens again", || missed() >= before + 2);
    until("it can be written", || {
        let batch = Batch { objects: vec![], ops: vec![put(&lease, When::Always)] };
        block_on(there.apply(batch)).is_ok()
    });
    until("a lease was put again", || changed() >= 3);
}

#[test]
fn mysql_must_be_asked() {
    let Some(server) = shared(Kind::Mariadb) else { return };
    let store = empty(&server, None);
    assert!(store.generation().is_none());
    assert!(!store.watch(Arc::new(Ears::default())));
}

/// A stamp, once there can be one.
fn stamp(generation: &Generation, fingerprint: &Fingerprint) -> Stamp {
    until("stamps are to be had", || generation.stamp(fingerprint).is_some());
    generation.stamp(fingerprint).unwrap()
}

#[test]
fn answers_that_another_replaces_are_not_right_any_more() {
    let Some(server) = start(Kind::Postgres) else { return };
    let prefix = prefix();
    let (here, there) = (open(&server.url(&prefix)).unwrap(), open(&server.url(&prefix)).unwrap());
    let generation = here.generation().unwrap();
    let fingerprint = Fingerprint::new([7; 32]);
    assert_eq!(generation.stamp(&fingerprint), None, "nobody listens yet");
    let head = Key::head(&fingerprint);
    apply(there.as_ref(), vec![put(&head, When::Absent)]);
    for op in [put(&head, When::Always), Op::Delete { key: head.clone(), when: When::Always }] {
        let stamp = stamp(&generation, &fingerprint);
        std::thread::sleep(Duration::from_millis(50));
        assert!(generation.holds(stamp), "nothing was changed");
        apply(there.as_ref(), vec![op]);
        until("a replaced answer is not right", || !generation.holds(stamp));
    }
    // A server that says nothing may have said nothing of a change.
    let before = stamp(&generation, &fingerprint);
    server.pause();
    until("silence is noticed", || !generation.holds(before));
    assert_eq!(generation.stamp(&fingerprint), None);
    server.resume();
    let before = stamp(&generation, &fingerprint);
    server.kill();
    until("an end is noticed", || !generation.holds(before));
    server.restart();
    stamp(&generation, &fingerprint);
}

#[test]
fn entries_under_names_and_counts_are_told_of() {
    let Some(server) = shared(Kind::Postgres) else { return };
    let prefix = prefix();
    let (here, there) = (open(&server.url(&prefix)).unwrap(), open(&server.url(&prefix)).unwrap());
    assert!(here.counts_entries());
    let generation = here.generation().unwrap();
    let keys = [Space::Named, Space::Count].map(|space| Key::new(space, "kv//a").unwrap());
    let stamp_of = |key: &Key| {
        until("stamps are to be had", || generation.stamp_of(key).is_some());
        generation.stamp_of(key).unwrap()
    };
    for key in keys {
        let absent = stamp_of(&key);
        apply(there.as_ref(), vec![put(&key, When::Absent)]);
        if key.space() == Space::Count {
            until("a count that begins is told of", || !generation.holds(absent));
        }
        for op in [put(&key, When::Always), Op::Delete { key: key.clone(), when: When::Always }] {
            let other = Key::new(key.space(), "kv//b").unwrap();
            let (stamp, spared) = (stamp_of(&key), stamp_of(&other));
            apply(there.as_ref(), vec![op]);
            until("a change was not told", || !generation.holds(stamp));
            assert!(generation.holds(spared), "another entry");
        }
        apply(there.as_ref(), vec![Op::Add { key: key.clone(), by: 1, ttl: None }]);
        let stamp = stamp_of(&key);
        apply(there.as_ref(), vec![Op::Add { key: key.clone(), by: 1, ttl: None }]);
        until("an addition was not told", || !generation.holds(stamp));
    }
}

#[test]
fn an_absence_that_is_relied_on_lasts_until_the_batch_is_done() {
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        let (prefix, mut published) = (prefix(), 0);
        let stores = [open(&server.url(&prefix)).unwrap(), open(&server.url(&prefix)).unwrap()];
        for round in 0..60 {
            let head = Key::new(Space::Head, format!("head {round}")).unwrap();
            let epoch = Key::new(Space::Count, format!("epoch {round}")).unwrap();
            let publish = vec![
                put(&head, When::Always),
                Op::Check { key: epoch.clone(), when: When::Absent },
            ];
            let retract = vec![
                Op::Add { key: epoch, by: 1, ttl: None },
                Op::Delete { key: head.clone(), when: When::Always },
            ];
            std::thread::scope(|scope| {
                let publisher = scope.spawn(|| apply(stores[0].as_ref(), publish));
                std::thread::sleep(Duration::from_micros(round * 50 % 2000));
                apply(stores[1].as_ref(), retract);
                published += u32::from(matches!(publisher.join().unwrap(), Applied::All(_)));
            });
            // Either it was published first and then taken back, or it was refused.
            let left = block_on(stores[0].get(&[head])).unwrap();
            assert!(
                left[0].is_none(),
                "{kind:?}, round {round}: published after it was taken back"
            );
        }
        assert!(published > 0, "{kind:?}: it never came to a race");
    }
}

#[test]
fn many_may_begin_at_once() {
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        for _ in 0..3 {
            let address = server.url(&prefix());
            std::thread::scope(|scope| {
                for number in 0..8 {
                    let address = address.clone();
                    scope.spawn(move || {
                        let store = open(&address).unwrap();
                        let key = Key::new(Space::Named, format!("{number}")).unwrap();
                        apply(store.as_ref(), vec![put(&key, When::Absent)]);
                    });
                }
            });
            let store = open(&address).unwrap();
            assert_eq!(block_on(store.usage()).unwrap().entries(Space::Named), 8, "{kind:?}");
        }
    }
}

#[test]
fn entries_that_have_ended_take_no_room_for_long() {
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        let options = SqlOptions { sweep: Duration::from_millis(50), ..SqlOptions::default() };
        let store = open_with(&server.url(&prefix()), options).unwrap();
        let tags = vec![afresh_core::Tag::new("a", Some("b".to_owned())).unwrap()];
        let ops = (0..600).map(|n| {
            let key = Key::new(Space::Named, format!("{n}")).unwrap();
            let ttl = (n % 2 == 0).then_some(Duration::from_millis(10));
            let labels = afresh_core::Labels { tags: tags.clone(), ..Default::default() };
            Op::Put {
                key,
                entry: NewEntry { ttl, labels, ..NewEntry::record("v") },
                when: When::Always,
            }
        });
        apply(store.as_ref(), ops.collect());
        until("half of them are gone", || {
            block_on(store.usage()).unwrap().entries(Space::Named) == 300
        });
    }
}

#[test]
fn batches_with_keys_in_any_order_all_happen() {
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        let prefix = prefix();
        std::thread::scope(|scope| {
            for thread in 0..4u32 {
                let address = server.url(&prefix);
                scope.spawn(move || {
                    let store = open(&address).unwrap();
                    let mut state = 0x9e37_79b9 ^ (thread << 7);
                    let mut dice = |sides: u32| {
                        state ^= state << 13;
                        state ^= state >> 17;
                        state ^= state << 5;
                        state % sides
                    };
                    for _ in 0..40 {
                        let ops = (0..6).map(|_| {
                            let key = Key::new(Space::Named, format!("{}", dice(8))).unwrap();
                            match dice(4) {
                                0 => Op::Delete { key, when: When::Always },
                                1 => Op::Check { key, when: When::Always },
                                2 => Op::Touch { key, ago: Duration::ZERO },
                                _ => put(&key, When::Always),
                            }
                        });
                        let applied = apply(store.as_ref(), ops.collect());
                        assert!(matches!(applied, Applied::All(_)), "{kind:?}: {applied:?}");
                    }
                });
            }
        });
    }
}
