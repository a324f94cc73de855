//! The Redis store: the suite, the model, faults, what it is told of, on one server, TLS, Sentinel and Cluster.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod address;
mod bounds;
mod conformance;
mod damage;
mod eviction;
mod faults;
mod kinship;
mod log;
mod timeless;
mod told;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Argument, Batch, Done, Entry, Fingerprint, Function, FunctionId, Key, NewEntry, Op,
    Store, When, fp1,
};
use afresh_engine::Execution;
use afresh_testkit::servers::redis::Redis;
use afresh_testkit::servers::skipped;
use pollster::block_on;

/// A server that all tests share which do nothing to it; `None` where there is none.
fn shared() -> Option<String> {
    static SERVER: OnceLock<Option<Redis>> = OnceLock::new();
    let url = SERVER.get_or_init(|| Redis::start(&[])).as_ref().map(Redis::url);
    if url.is_none() {
        skip();
    }
    url
}

/// Says that a test is skipped for want of a server.
fn skip() {
    skipped(afresh_testkit::servers::Kind::Redis);
}

/// A server of a test's own.
fn own(options: &[&str]) -> Option<Redis> {
    let server = Redis::start(options);
    if server.is_none() {
        skip();
    }
    server
}

/// An address under a prefix that nobody else has, patient enough for a machine with other things to do.
fn fresh(url: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{url}?timeout=10&prefix=t{}.{number}", std::process::id())
}

fn open(address: &str) -> Arc<dyn Store> {
    afresh_store_redis::open(address).unwrap()
}

/// A call of a function.
fn call() -> (Fingerprint, Execution) {
    let id = FunctionId::new([3; 32]);
    let function = Arc::new(Function::new("f", id, "{}".to_owned()));
    let digest = fp1::Encoder::new().finish();
    let arguments = vec![Argument { name: "n".into(), digest, preview: "1".into(), source: None }];
    let print = Argument::fingerprint(&id, "f", &arguments);
    let execution =
        Execution { function, arguments, inputs: vec![], tags: vec![], ttl: None, took: None };
    (print, execution)
}

fn print(byte: u8) -> Fingerprint {
    Fingerprint::new([byte; 32])
}

fn put(store: &dyn Store, key: &Key, text: &str) -> Done {
    let entry = NewEntry::record(text.to_owned());
    let op = Op::Put { key: key.clone(), entry, when: When::Always };
    one(store, op)
}

fn one(store: &dyn Store, op: Op) -> Done {
    match block_on(store.apply(Batch { objects: vec![], ops: vec![op] })).unwrap() {
        Applied::All(done) => done[0],
        refused @ Applied::Refused { .. } => panic!("{refused:?}"),
    }
}

fn get(store: &dyn Store, key: &Key) -> Option<Entry> {
    block_on(store.get(std::slice::from_ref(key))).unwrap().remove(0)
}

/// Waits until something holds; panics when it does not for long.
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(90), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}
