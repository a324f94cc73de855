//! The store as a whole: what it says of itself, how quickly it answers, that it can be suspended.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use afresh_core::{Batch, NewEntry, ObjectId, Op, Scan, Space, When};
use bytes::Bytes;

use super::case::{named, put, run_future};
use super::{Case, Test, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(usage_follows_what_is_kept),
        case!(a_near_store_is_ready_at_once, |can| can.near),
        case!(suspended_operations_wait),
        case!(suspending_waits_for_what_runs),
    ]
}

async fn usage_follows_what_is_kept(test: Test) {
    let empty = test.store().usage().await.unwrap();
    assert_eq!(empty.entries, [0; 5]);
    assert_eq!(empty.inline_objects + empty.file_objects, 0);
    for n in 0..10 {
        test.put(&named(n.to_string()), "x").await;
        test.put(&named(n.to_string()), "y").await;
    }
    test.op(Op::Delete { key: named("3"), when: When::Always }).await;
    test.op(Op::Delete { key: named("3"), when: When::Always }).await;
    let bytes = Bytes::from(vec![1; 1000]);
    test.store().write(&ObjectId::of(&bytes), bytes.clone().into()).await.unwrap();
    let usage = test.store().usage().await.unwrap();
    assert_eq!(usage.entries(Space::Named), 9);
    assert_eq!(usage.entries(Space::Head), 0);
    assert_eq!(usage.inline_objects + usage.file_objects, 1);
    assert!(usage.inline_bytes + usage.file_bytes > 0);
    test.store().remove(&[ObjectId::of(&bytes)], Duration::ZERO).await.unwrap();
    let usage = test.store().usage().await.unwrap();
    assert_eq!(usage.inline_objects + usage.file_objects, 0);
    assert_eq!(usage.inline_bytes + usage.file_bytes, 0);
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a near store was not ready on first poll"),
    }
}

async fn a_near_store_is_ready_at_once(test: Test) {
    let store = test.store();
    let large = Bytes::from(vec![9; 1_000_000]);
    let id = ObjectId::of(&large);
    let ops = vec![put(&named("k"), NewEntry::record("v"), When::Always)];
    at_once(store.apply(Batch { objects: vec![(id, large.into())], ops })).unwrap();
    assert!(at_once(store.get(&[named("k")])).unwrap()[0].is_some());
    at_once(store.scan(&Scan::new(Space::Named))).unwrap();
    assert!(at_once(store.read(&id)).unwrap().is_some());
    assert_eq!(at_once(store.list(None, 1)).unwrap().len(), 1);
    at_once(store.usage()).unwrap();
    at_once(store.quarantine(&id)).unwrap();
    at_once(store.remove(&[id], Duration::ZERO)).unwrap();
}

async fn suspended_operations_wait(test: Test) {
    test.put(&named("k"), "1").await;
    // A store that has nothing to suspend goes on; one that has must neither fail nor lose anything.
    test.store().suspend();
    let (send, receive) = mpsc::channel();
    let other = test.clone();
    let thread = std::thread::spawn(move || {
        let executor = other.executor.clone();
        run_future(&executor, async move {
            let version = other.put(&named("k"), "2").await;
            send.send(version).unwrap();
        });
    });
    let early = receive.recv_timeout(Duration::from_millis(50)).ok();
    test.store().resume();
    let version = early.unwrap_or_else(|| receive.recv().unwrap());
    thread.join().unwrap();
    assert_eq!(test.get(&named("k")).await.unwrap().version, version);
}

async fn suspending_waits_for_what_runs(test: Test) {
    let done = test.threads(4, |test, number| async move {
        for round in 0..30 {
            if number == 0 {
                test.store().suspend();
                test.store().resume();
            } else {
                test.put(&named(format!("{number}.{round}")), "v").await;
            }
        }
    });
    assert_eq!(done.len(), 4);
    let keys = test.keys(&Scan::new(Space::Named)).await;
    assert_eq!(keys.len(), 90);
}
