//! What the store costs beside its driver: `cargo run --example bucket -- ADDRESS COUNT`, on an empty prefix. Prints a table.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a tool for whoever measures: it says what it finds and stops at the first thing wrong"
)]

use std::time::{Duration, Instant};

use afresh_core::{Batch, Blob, Key, Labels, NewEntry, ObjectId, Op, Scan, Space, Tag, When};
use pollster::block_on;

fn told(what: &str, count: usize, begun: Instant) {
    let each = begun.elapsed().as_secs_f64() * 1e3 / count as f64;
    println!("{what:44} {each:9.3} ms each, {:8.2} s for {count}", begun.elapsed().as_secs_f64());
}

fn key(n: usize) -> Key {
    Key::new(Space::Commit, ObjectId::of(&(n as u64).to_le_bytes()).as_bytes().to_vec()).unwrap()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (address, count) = (&arguments[1], arguments[2].parse::<usize>().unwrap());
    let store = afresh_store_object::open(address).unwrap();
    let few = count.min(200);

    let tag = |n: usize| vec![Tag::new("part", Some((n % 1000).to_string())).unwrap()];
    let entry = |n: usize| NewEntry {
        labels: Labels {
            function: Some(format!("etl.step{}", n % 50)),
            group: Some(n as u64 / 10),
            tags: tag(n),
            ..Labels::default()
        },
        ..NewEntry::record(vec![7; 400])
    };
    let put = |n: usize, when| Op::Put { key: key(n), entry: entry(n), when };

    let begun = Instant::now();
    for n in 0..few {
        block_on(store.apply(Batch { objects: vec![], ops: vec![put(n, When::Absent)] })).unwrap();
    }
    told("put, absent", few, begun);
    let begun = Instant::now();
    for n in 0..few {
        block_on(store.apply(Batch { objects: vec![], ops: vec![put(n, When::Always)] })).unwrap();
    }
    told("put, over another", few, begun);
    let begun = Instant::now();
    for n in 0..few {
        assert!(block_on(store.get(&[key(n)])).unwrap()[0].is_some());
    }
    told("get", few, begun);

    let begun = Instant::now();
    for first in (few..count).step_by(250) {
        let ops = (first..count.min(first + 250)).map(|n| put(n, When::Always)).collect();
        block_on(store.apply(Batch { objects: vec![], ops })).unwrap();
    }
    told("put, 250 in a batch", count - few, begun);

    for (what, scan) in [
        ("scan of everything", Scan::new(Space::Commit)),
        ("scan of a tag", Scan { tags: tag(7), ..Scan::new(Space::Commit) }),
        ("scan of a group", Scan { group: Some(77), ..Scan::new(Space::Commit) }),
    ] {
        let (begun, mut found, mut longest) = (Instant::now(), 0, Duration::ZERO);
        let mut scan = scan;
        loop {
            let page = Instant::now();
            let came = block_on(store.scan(&scan)).unwrap();
            longest = longest.max(page.elapsed());
            found += came.entries.len();
            match came.next {
                Some(next) => scan.cursor = Some(next),
                None => break,
            }
        }
        told(&format!("{what}: {found} found, page {longest:.0?}"), count, begun);
    }
    let begun = Instant::now();
    let usage = block_on(store.usage()).unwrap();
    assert_eq!(usage.entries(Space::Commit), count as u64);
    told("usage", 1, begun);

    let large = vec![9u8; 64 << 20];
    let id = ObjectId::of(&large);
    let begun = Instant::now();
    block_on(store.write(&id, Blob::from(large).raw())).unwrap();
    told("an object of 64 MiB, written", 1, begun);
    let begun = Instant::now();
    assert!(block_on(store.read(&id)).unwrap().is_some());
    told("an object of 64 MiB, read", 1, begun);

    let begun = Instant::now();
    for first in (0..count).step_by(250) {
        let delete = |n| Op::Delete { key: key(n), when: When::Always };
        let ops = (first..count.min(first + 250)).map(delete).collect();
        block_on(store.apply(Batch { objects: vec![], ops })).unwrap();
    }
    told("delete, 250 in a batch", count, begun);
}
