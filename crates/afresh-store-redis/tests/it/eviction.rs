//! Servers that forget: flushed, or evicting what was used least. Nothing taken back comes again, and nothing that is
//! there is overlooked.

use std::collections::BTreeSet;

use afresh_core::{
    Batch, Fingerprint, Key, Labels, NewEntry, ObjectId, Op, Order, Scan, Space, Store, Tag,
    Version, When,
};
use afresh_engine::{Engine, Options, Output, Selection};
use pollster::block_on;

use crate::{call, fresh, get, one, open, own, put};

fn head(n: u32) -> Key {
    Key::head(&Fingerprint::new(*ObjectId::of(&n.to_be_bytes()).as_bytes()))
}

fn tagged(n: u32, len: usize) -> Op {
    let tags = vec![Tag::new("t", Some((n % 3).to_string())).unwrap()];
    let labels = Labels { function: Some(format!("f{}", n % 2)), tags, ..Labels::default() };
    let entry = NewEntry { labels, ..NewEntry::record("x".repeat(len)) };
    Op::Put { key: head(n), entry, when: When::Always }
}

fn scan(order: Order) -> Scan {
    let tags = vec![Tag::new("t", Some("1".to_owned())).unwrap()];
    Scan { tags, order, limit: 50, ..Scan::new(Space::Head) }
}

fn found(store: &dyn Store, scan: &Scan) -> Vec<Key> {
    let mut scan = scan.clone();
    let mut keys = Vec::new();
    loop {
        let page = block_on(store.scan(&scan)).unwrap();
        keys.extend(page.entries.into_iter().map(|(key, _)| key));
        match page.next {
            Some(next) => scan.cursor = Some(next),
            None => return keys,
        }
    }
}

#[test]
fn a_lost_index_is_made_anew() {
    let Some(server) = own(&[]) else { return };
    let address = fresh(&server.url());
    let tag = format!("{{{}:1}}", address.split("prefix=").nth(1).unwrap());
    let store = open(&address);
    for n in 0..600 {
        one(store.as_ref(), tagged(n, 5));
    }
    let (by_key, newest) =
        (found(store.as_ref(), &scan(Order::Key)), found(store.as_ref(), &scan(Order::Newest)));
    assert_eq!((by_key.len(), newest.len()), (200, 200));
    let (index, meta) = (format!("{tag}:i:h"), format!("{tag}:m"));
    for lost in [&[index.as_str()][..], &[meta.as_str()], &[index.as_str(), meta.as_str()]] {
        for name in lost {
            assert_eq!(server.cli(&["DEL", name]), "1");
        }
        // Somebody writes before anybody looks.
        one(store.as_ref(), tagged(1, 6));
        assert_eq!(found(store.as_ref(), &scan(Order::Key)), by_key, "{lost:?}");
        assert_eq!(found(store.as_ref(), &scan(Order::Newest)).len(), 200, "{lost:?}");
    }
    assert_eq!(block_on(store.usage()).unwrap().entries(Space::Head), 600);
    // On a server that holds nothing else, a store is whole from its first write.
    server.cli(&["FLUSHALL"]);
    one(store.as_ref(), tagged(1, 5));
    assert_eq!(server.cli(&["HGET", &meta, "s"]), "ok");
    server.cli(&["DEL", &meta]);
    one(store.as_ref(), tagged(2, 5));
    assert_eq!(server.cli(&["HGET", &meta, "s"]), "");
    assert_eq!(block_on(store.scan(&Scan::new(Space::Head))).unwrap().entries.len(), 2);
    // Several who notice at once.
    for n in 0..600 {
        one(store.as_ref(), tagged(n, 5));
    }
    server.cli(&["DEL", &index]);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let store = open(&address);
            std::thread::spawn(move || found(store.as_ref(), &scan(Order::Key)))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), by_key);
    }
}

#[test]
fn an_evicting_server_overlooks_nothing() {
    for policy in ["allkeys-random", "allkeys-lru"] {
        let Some(server) = own(&["--maxmemory", "6mb", "--maxmemory-policy", policy]) else {
            return;
        };
        let store = open(&fresh(&server.url()));
        for some in (0..4000u32).collect::<Vec<_>>().chunks(50) {
            let ops = some.iter().map(|n| tagged(*n, 2000)).collect();
            block_on(store.apply(Batch { objects: vec![], ops })).unwrap();
        }
        let stats = server.cli(&["INFO", "stats"]);
        assert!(!stats.contains("evicted_keys:0\r"), "nothing was evicted");
        let all: Vec<Key> = (0..4000).filter(|n| n % 3 == 1).map(head).collect();
        // The scan itself may evict: what is there before and after it must have been found.
        let there = |keys: &[Key]| -> BTreeSet<Key> {
            let entries = keys.chunks(100).flat_map(|keys| block_on(store.get(keys)).unwrap());
            keys.iter().zip(entries).filter_map(|(key, entry)| entry.map(|_| key.clone())).collect()
        };
        let before = there(&all);
        let listed: BTreeSet<Key> = found(store.as_ref(), &scan(Order::Key)).into_iter().collect();
        let after = there(&all);
        assert!(before.len() < all.len(), "{policy}: something is gone");
        for key in before.intersection(&after) {
            assert!(listed.contains(key), "{policy}: {key:?} was overlooked");
        }
    }
}

#[test]
fn versions_never_come_again() {
    let Some(server) = own(&[]) else { return };
    let store = open(&fresh(&server.url()));
    let key = Key::count("n");
    let mut last = Version(0);
    for round in 0..20 {
        let version = put(store.as_ref(), &key, "x").version.unwrap();
        assert!(version > last, "round {round}");
        last = version;
        if round % 3 == 0 {
            server.cli(&["FLUSHALL"]);
        }
    }
}

/// What is taken back while it is computed must not come, whatever the server forgets meanwhile.
#[test]
fn what_was_taken_back_stays_away() {
    let Some(server) = own(&[]) else { return };
    for (first, forget) in [(true, "flush"), (false, "flush"), (true, "evict"), (false, "evict")] {
        server.cli(&["FLUSHALL"]);
        let address = fresh(&server.url());
        let tag = format!("{{{}:1}}", address.split("prefix=").nth(1).unwrap());
        let engine = Engine::new(open(&address), Options::default());
        if !first {
            // The counters have been used before.
            block_on(engine.invalidate(&Selection::default())).unwrap();
        }
        let (print, execution) = call();
        let ticket = block_on(engine.start(&print)).unwrap();
        block_on(engine.invalidate(&Selection::default())).unwrap();
        if forget == "flush" {
            server.cli(&["FLUSHALL"]);
        } else {
            server.cli(&["DEL", &format!("{tag}:n:epoch"), &format!("{tag}:m")]);
        }
        let output =
            Output::Bytes { codec: "json".into(), blob: b"old".to_vec().into(), value: None };
        let finished = block_on(ticket.finish(execution.clone(), output.clone())).unwrap();
        assert!(!finished.published, "{first} {forget}");
        assert_eq!(get(engine.store().as_ref(), &Key::head(&print)), None, "{first} {forget}");
        let ticket = block_on(engine.start(&print)).unwrap();
        let finished = block_on(ticket.finish(execution, output)).unwrap();
        assert!(finished.published, "what is computed afterwards is an answer");
    }
}
