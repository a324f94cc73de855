//! What the server tells by itself: no answer kept in a process is trusted after somebody changed it, or while nobody
//! would tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use afresh_core::{Done, Generation, Key, NewEntry, Op, Space, Stamp, Store, Watcher, When};

use crate::{fresh, get, one, open, own, print, put, shared, until};

/// A stamp, once the store is being told of changes.
fn stamp(store: &dyn Store, byte: u8) -> (Generation, Stamp) {
    let counters = store.generation().unwrap();
    let key = Key::head(&print(byte));
    let mut stamp = None;
    until("the store is not told of changes", || {
        stamp = counters.stamp(&print(byte));
        let _ = pollster::block_on(store.get(std::slice::from_ref(&key)));
        stamp.is_some_and(|stamp| counters.holds(stamp))
    });
    (counters, stamp.unwrap())
}

#[test]
fn nothing_is_trusted_before_the_first_connection() {
    let Some(url) = shared() else { return };
    let store = open(&fresh(&url));
    assert!(store.generation().unwrap().stamp(&print(1)).is_none());
    stamp(store.as_ref(), 1);
    let without = open(&format!("{}&track=no", fresh(&url)));
    assert!(without.generation().is_none());
}

#[test]
fn what_another_changes_is_told() {
    let Some(url) = shared() else { return };
    let address = fresh(&url);
    let (one, other) = (open(&address), open(&address));
    let key = Key::head(&print(1));
    let changes: [&dyn Fn() -> Done; 3] =
        [&|| put(other.as_ref(), &key, "x"), &|| put(one.as_ref(), &key, "own"), &|| {
            crate::one(other.as_ref(), Op::Delete { key: key.clone(), when: When::Always })
        }];
    for change in changes {
        let (counters, stamp) = stamp(one.as_ref(), 1);
        change();
        until("a change was not told", || !counters.holds(stamp));
    }
    let (counters, stamp) = stamp(one.as_ref(), 1);
    put(other.as_ref(), &Key::head(&print(2)), "x");
    put(other.as_ref(), &Key::new(Space::Commit, [1; 32].to_vec()).unwrap(), "x");
    crate::one(other.as_ref(), Op::Touch { key, ago: Duration::ZERO });
    // Told in order: were the others to spoil it, they would have by now.
    put(other.as_ref(), &Key::head(&print(3)), "x");
    std::thread::sleep(Duration::from_millis(100));
    assert!(counters.holds(stamp), "nothing of it was this answer");
}

#[test]
fn entries_under_names_are_told_of_once_somebody_asks() {
    let Some(url) = shared() else { return };
    let address = fresh(&url);
    let (reader, writer) = (open(&address), open(&address));
    // It listens already, and has to listen anew.
    let (counters, before) = stamp(reader.as_ref(), 1);
    assert!(reader.counts_entries());
    assert!(!counters.holds(before), "nobody tells of entries yet");
    for space in [Space::Named, Space::Count] {
        let (key, other) = (Key::new(space, "k").unwrap(), Key::new(space, "other").unwrap());
        let stamp_of = |key: &Key| {
            stamp(reader.as_ref(), 1);
            counters.stamp_of(key).unwrap()
        };
        let absent = stamp_of(&key);
        put(writer.as_ref(), &key, "x");
        until("a new entry was not told", || !counters.holds(absent));
        for op in [
            Op::Put { key: key.clone(), entry: NewEntry::record("y"), when: When::Always },
            Op::Delete { key: key.clone(), when: When::Always },
        ] {
            let (kept, spared) = (stamp_of(&key), stamp_of(&other));
            one(writer.as_ref(), op);
            until("a change was not told", || !counters.holds(kept));
            assert!(counters.holds(spared), "another entry");
        }
    }
    assert!(reader.counts_entries());
    stamp(reader.as_ref(), 1);
    assert!(!open(&format!("{}&track=no", fresh(&url))).counts_entries());
}

#[test]
fn an_end_is_told() {
    let Some(url) = shared() else { return };
    let store = open(&fresh(&url));
    let entry = NewEntry { ttl: Some(Duration::from_millis(300)), ..NewEntry::record("x") };
    one(store.as_ref(), Op::Put { key: Key::head(&print(1)), entry, when: When::Always });
    std::thread::sleep(Duration::from_millis(50));
    let (counters, stamp) = stamp(store.as_ref(), 1);
    until("an end was not told", || !counters.holds(stamp));
}

#[test]
fn a_kept_answer_is_never_old_for_long() {
    let Some(url) = shared() else { return };
    let address = fresh(&url);
    let (reader, writer) = (open(&address), open(&address));
    let key = Key::head(&print(1));
    let counters = reader.generation().unwrap();
    let mut kept: Option<(Stamp, String)> = None;
    let mut asked = 0;
    for round in 0..300 {
        put(writer.as_ref(), &key, &round.to_string());
        until("a kept answer stayed old", || {
            if let Some((stamp, text)) = &kept
                && counters.holds(*stamp)
            {
                return *text == round.to_string();
            }
            // As the tier of a process does: stamp, read, keep.
            let stamp = counters.stamp(&print(1));
            let found = get(reader.as_ref(), &key).unwrap();
            asked += 1;
            let text = String::from_utf8(found.record().unwrap().to_vec()).unwrap();
            kept = stamp.map(|stamp| (stamp, text));
            false
        });
    }
    assert!(asked >= 300);
}

#[test]
fn after_a_lost_connection_everything_is_looked_up() {
    let Some(server) = own(&[]) else { return };
    let address = fresh(&server.url());
    let (one, other) = (open(&address), open(&address));
    put(other.as_ref(), &Key::head(&print(1)), "x");
    for way in ["kill", "flush", "restart"] {
        let (counters, old) = stamp(one.as_ref(), 1);
        match way {
            "kill" => drop(server.cli(&["CLIENT", "KILL", "TYPE", "normal"])),
            "flush" => drop(server.cli(&["FLUSHALL"])),
            _ => server.restart(),
        }
        until(way, || !counters.holds(old));
        // The stores come back by themselves, and what is kept from then on can be trusted and is told of.
        let (_, new) = stamp(one.as_ref(), 1);
        assert!(!counters.holds(old), "{way}: an old stamp holds again");
        until("the other one is back", || {
            let entry = NewEntry::record("y");
            let op = Op::Put { key: Key::head(&print(1)), entry, when: When::Always };
            let batch = afresh_core::Batch { objects: vec![], ops: vec![op] };
            pollster::block_on(other.apply(batch)).is_ok()
        });
        until("a change after it was not told", || !counters.holds(new));
    }
}

#[test]
fn behind_a_server_that_hangs_nothing_is_trusted() {
    let Some(server) = own(&[]) else { return };
    let store = open(&fresh(&server.url()));
    let (counters, old) = stamp(store.as_ref(), 1);
    server.server.pause();
    until("a dead connection was trusted", || !counters.holds(old));
    server.server.resume();
    stamp(store.as_ref(), 1);
}

#[derive(Default)]
struct Counting {
    changed: AtomicUsize,
    missed: AtomicUsize,
}

impl Watcher for Counting {
    fn changed(&self, key: &Key) {
        assert_eq!(key, &Key::lease(&print(5)));
        self.changed.fetch_add(1, Ordering::SeqCst);
    }

    fn missed(&self) {
        self.missed.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn leases_are_told() {
    let Some(server) = own(&[]) else { return };
    let address = fresh(&server.url());
    let (one, other) = (open(&address), open(&address));
    let watcher = Arc::new(Counting::default());
    assert!(one.watch(watcher.clone()));
    until("it does not begin to listen by itself", || watcher.missed.load(Ordering::SeqCst) > 0);
    let key = Key::lease(&print(5));
    let mut told = 0;
    let mut more = |what: &str| {
        until(what, || watcher.changed.load(Ordering::SeqCst) > told);
        told = watcher.changed.load(Ordering::SeqCst);
    };
    let lease = |ttl| NewEntry { ttl: Some(ttl), ..NewEntry::record("me") };
    let put = |ttl| Op::Put { key: key.clone(), entry: lease(ttl), when: When::Absent };
    crate::one(other.as_ref(), put(Duration::from_secs(60)));
    more("a lease that was taken");
    crate::one(other.as_ref(), Op::Delete { key: key.clone(), when: When::Always });
    more("a lease that was given back");
    crate::one(other.as_ref(), put(Duration::from_millis(200)));
    more("a short lease");
    more("a lease that ended");
    let missed = watcher.missed.load(Ordering::SeqCst);
    server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    until("a gap was not told", || watcher.missed.load(Ordering::SeqCst) > missed);
    until("the other one is back", || {
        let batch = afresh_core::Batch { objects: vec![], ops: vec![put(Duration::from_secs(60))] };
        pollster::block_on(other.apply(batch)).is_ok()
    });
    more("a lease after the gap");
    assert!(!open(&format!("{address}&track=no")).watch(watcher));
}
