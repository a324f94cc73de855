//! A store within a `Remote` passes the suite, and a store that hangs costs one wait.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_core::{Batch, Key, Kind, Op, Store};
use afresh_remote::{Remote, RemoteOptions};
use afresh_store_memory::MemoryStore;
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::{Fault, FaultyStore};
use pollster::block_on;

fn remote<S: Store>(store: S) -> Remote {
    Remote::open(RemoteOptions::default(), |_| Ok(store)).unwrap()
}

#[test]
fn conforms() {
    let ran = conformance::run(|| Subject::new(Arc::new(remote(MemoryStore::new()))));
    assert!(ran.len() > 40, "{} cases", ran.len());
}

#[test]
fn conforms_where_entries_are_looked_up_at_hand() {
    let ran = conformance::run(|| Subject::new(Arc::new(remote(MemoryStore::new()).at_hand())));
    assert!(ran.len() > 40, "{} cases", ran.len());
}

#[test]
fn a_server_that_fails_is_left_alone_and_asked_again() {
    fails(remote);
    fails(|store| remote(store).at_hand());
}

fn fails(remote: impl Fn(FaultyStore<MemoryStore>) -> Remote) {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    store.plan("get", 1, Fault::Fail(Kind::Unavailable));
    let remote = remote(store.clone());
    let key = Key::count("n");
    let get = || block_on(remote.get(std::slice::from_ref(&key)));
    assert_eq!(get().unwrap_err().kind(), Kind::Unavailable);
    let error = get().unwrap_err();
    assert!(error.message().contains("left alone"), "{error}");
    assert_eq!(store.calls("get"), 1);
    std::thread::sleep(Duration::from_millis(600));
    assert!(get().is_ok());
}

#[test]
fn a_server_that_hangs_costs_one_wait() {
    hangs(remote);
    hangs(|store| remote(store).at_hand());
}

fn hangs(remote: impl Fn(FaultyStore<MemoryStore>) -> Remote) {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    store.plan("get", 1, Fault::Hang);
    let remote = remote(store.clone());
    let key = Key::count("n");
    let begun = Instant::now();
    let error = block_on(remote.get(std::slice::from_ref(&key))).unwrap_err();
    assert!(error.message().contains("did not answer"), "{error}");
    for _ in 0..100 {
        assert!(block_on(remote.get(std::slice::from_ref(&key))).is_err());
    }
    assert_eq!(store.calls("get"), 1);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_server_that_does_not_let_us_in_is_left_alone() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    store.plan("get", 1, Fault::Fail(Kind::Denied));
    store.plan("apply", 1, Fault::Fail(Kind::Denied));
    let remote = remote(store.clone());
    let key = Key::count("n");
    let get = || block_on(remote.get(std::slice::from_ref(&key)));
    let add = || {
        let op = Op::Add { key: key.clone(), by: 1, ttl: None };
        block_on(remote.apply(Batch { objects: Vec::new(), ops: vec![op] }))
    };
    // What may not be written can still be read.
    assert_eq!(add().unwrap_err().kind(), Kind::Denied);
    assert_eq!(get().unwrap_err().kind(), Kind::Denied);
    assert_eq!(store.calls("get"), 1);
    let (one, other) = (get().unwrap_err(), add().unwrap_err());
    assert_eq!((one.kind(), other.kind()), (Kind::Denied, Kind::Denied));
    assert_eq!((store.calls("get"), store.calls("apply")), (1, 1));
    std::thread::sleep(Duration::from_millis(600));
    assert!(get().is_ok() && add().is_ok());
}
