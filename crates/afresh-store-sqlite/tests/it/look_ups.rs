//! Look-ups in a row share a transaction: what others write shows at once all the same, and nobody is kept waiting.

use std::time::{Duration, Instant};

use afresh_core::{Key, NewEntry, Op, Space, Store, When};
use pollster::block_on;

use crate::support::{database, folder, get, noise, open, put, put_object};

#[test]
fn what_others_write_shows_at_the_next_look_up() {
    let (_parent, path) = folder();
    let (reader, writer) = (open(&path), open(&path));
    for number in 0..20 {
        let name = format!("{number}");
        for _ in 0..30 {
            assert!(get(&reader, &name).is_none());
        }
        put(&writer, &name).unwrap();
        for _ in 0..30 {
            assert!(get(&reader, &name).is_some());
        }
        // Its own, too, in the middle of a transaction.
        put(&reader, "own").unwrap();
        assert!(get(&reader, "own").is_some());
        let key = Key::new(Space::Head, name.clone()).unwrap();
        let delete = Op::Delete { key, when: When::Always };
        block_on(writer.apply(afresh_core::Batch { objects: vec![], ops: vec![delete] })).unwrap();
        assert!(get(&reader, &name).is_none());
    }
}

#[test]
fn a_checkpoint_need_not_wait_for_who_looks_no_more() {
    let (_parent, path) = folder();
    let store = open(&path);
    put(&store, "there").unwrap();
    put_object(&store, "object", &noise(250, 1)).unwrap();
    let conn = database(&path);
    let busy = || -> bool {
        conn.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0)).unwrap()
    };
    for _ in 0..100 {
        assert!(get(&store, "there").is_some());
    }
    // It sees that somebody reads, or comes after the transaction has ended by itself: then there was none to see.
    let started = Instant::now();
    let held = busy();
    assert!(held || started.elapsed() > Duration::from_millis(5));
    while busy() {
        assert!(started.elapsed() < Duration::from_secs(20), "a transaction that nobody ends");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(get(&store, "there").is_some());
}

#[test]
fn writing_and_looking_by_turns_is_as_before() {
    let (_parent, path) = folder();
    let store = open(&path);
    for number in 0..200 {
        let name = format!("{}", number % 7);
        assert_eq!(get(&store, &name).is_some(), number >= 7);
        let key = Key::new(Space::Head, name).unwrap();
        let entry = NewEntry::record(format!("{number}"));
        let op = Op::Put { key: key.clone(), entry: entry.clone(), when: When::Always };
        block_on(store.apply(afresh_core::Batch { objects: vec![], ops: vec![op] })).unwrap();
        for _ in 0..number % 20 {
            let found = block_on(store.get(std::slice::from_ref(&key))).unwrap().remove(0);
            assert_eq!(found.unwrap().value, entry.value);
        }
    }
}
