//! Names lead to stores; scans over several are whole and in order.

use std::sync::Arc;

use afresh_compose::Routed;
use afresh_core::{
    Batch, Bytes, Key, Kind, NewEntry, Op, Order, Scan, Space, Store, Timestamp, When,
};
use afresh_testkit::ManualClock;
use pollster::block_on;

use crate::memory;

fn put(store: &dyn Store, name: &str, time: i64) {
    let mut entry = NewEntry::record(name.to_owned());
    entry.labels.time = Some(Timestamp::from_millis(time));
    let op = Op::Put { key: named(name), entry, when: When::Always };
    block_on(store.apply(Batch { objects: Vec::new(), ops: vec![op] })).unwrap();
}

fn named(name: &str) -> Key {
    Key::new(Space::Named, Bytes::copy_from_slice(name.as_bytes())).unwrap()
}

fn found(store: &dyn Store, mut scan: Scan) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let page = block_on(store.scan(&scan)).unwrap();
        names.extend(
            page.entries.iter().map(|(key, _)| String::from_utf8(key.bytes().to_vec()).unwrap()),
        );
        match page.next {
            Some(next) => scan.cursor = Some(next),
            None => return names,
        }
    }
}

#[test]
fn names_lead_to_stores() {
    let clock = ManualClock::new();
    let (main, users, admins) = (memory(&clock), memory(&clock), memory(&clock));
    let routes =
        vec![("user:".into(), Arc::clone(&users)), ("user:admin:".into(), Arc::clone(&admins))];
    let store = Routed::new(Arc::clone(&main), routes).unwrap();
    let mut names: Vec<String> = Vec::new();
    for n in 0..40 {
        let name = match n % 4 {
            0 => format!("user:{n:02}"),
            1 => format!("user:admin:{n:02}"),
            2 => format!("a{n:02}"),
            _ => format!("z{n:02}"),
        };
        put(&store, &name, 1000 - (n * 7) % 40);
        names.push(name);
    }
    let count = |store: &dyn Store| block_on(store.usage()).unwrap().entries(Space::Named);
    assert_eq!((count(main.as_ref()), count(users.as_ref()), count(admins.as_ref())), (20, 10, 10));
    assert_eq!(count(&store), 40);

    // What lies in a store under a name that leads elsewhere is not there.
    put(main.as_ref(), "user:99", 0);
    assert!(block_on(store.get(&[named("user:99")])).unwrap()[0].is_none());
    let got =
        block_on(store.get(&[named("a02"), named("user:admin:01"), named("user:00")])).unwrap();
    assert!(got.iter().all(Option::is_some));

    names.sort();
    for limit in [1, 3, 7, 100] {
        let scan = Scan { limit, ..Scan::new(Space::Named) };
        assert_eq!(found(&store, scan.clone()), names, "pages of {limit}");
        let newest = found(&store, Scan { order: Order::Newest, ..scan.clone() });
        let mut by_time = newest.clone();
        assert_eq!(newest.len(), 40);
        let number = |name: &String| name[name.len() - 2..].parse::<i64>().unwrap();
        by_time.sort_by_key(|name| (number(name) * 7) % 40);
        assert_eq!(newest, by_time, "newest first, pages of {limit}");
        let only =
            |prefix: &'static str| found(&store, Scan { prefix: prefix.into(), ..scan.clone() });
        assert_eq!(only("user:admin:").len(), 10);
        assert_eq!(only("user:").len(), 20);
        assert_eq!(only("us").len(), 20);
        assert_eq!(only("z").len(), 10);
    }
}

#[test]
fn a_batch_stays_in_one_store() {
    let clock = ManualClock::new();
    let store = Routed::new(memory(&clock), vec![("a".into(), memory(&clock))]).unwrap();
    let put = |name| Op::Put { key: named(name), entry: NewEntry::record("1"), when: When::Always };
    let batch = Batch { objects: Vec::new(), ops: vec![put("a1"), put("b1")] };
    assert_eq!(block_on(store.apply(batch)).unwrap_err().kind(), Kind::Unsupported);
    assert!(block_on(store.get(&[named("a1"), named("b1")])).unwrap().iter().all(Option::is_none));
    let batch = Batch { objects: Vec::new(), ops: vec![put("a1"), put("a2")] };
    assert!(block_on(store.apply(batch)).is_ok());
    let twice = vec![("a".into(), memory(&clock)), ("a".into(), memory(&clock))];
    assert_eq!(Routed::new(memory(&clock), twice).unwrap_err().kind(), Kind::Config);
}
