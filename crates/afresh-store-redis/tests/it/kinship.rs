//! Servers that take over from each other: a sentinel's failover, a slot that moves, a member of a cluster that is
//! away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use afresh_core::{Batch, Bytes, Key, Kind, NewEntry, ObjectId, Op, Space, Store, When};
use afresh_testkit::servers::redis::{Cluster, Redis, Watched};
use pollster::block_on;

use crate::{fresh, get, one, open, print, put, skip, until};

fn key(text: &str) -> Key {
    Key::new(Space::Named, text.to_owned()).unwrap()
}

fn try_put(store: &dyn Store, key: &Key) -> Result<(), afresh_core::Error> {
    let op = Op::Put { key: key.clone(), entry: NewEntry::record("2"), when: When::Always };
    block_on(store.apply(Batch { objects: vec![], ops: vec![op] })).map(drop)
}

#[test]
fn a_replica_takes_over() {
    let Some(group) = Watched::start() else { return skip() };
    let store = open(&fresh(&group.url()));
    let head = Key::head(&print(1));
    let before = put(store.as_ref(), &head, "1").version;
    let counters = store.generation().unwrap();
    let stamp = counters.stamp(&print(1)).unwrap();
    until("it was not copied", || group.replica.cli(&["--scan"]).contains(":h:"));
    group.master.server.kill();
    until("nothing is trusted while nobody tells", || !counters.holds(stamp));
    until("the replica did not take over", || try_put(store.as_ref(), &head).is_ok());
    let after = get(store.as_ref(), &head).unwrap();
    assert!(Some(after.version) > before, "versions go on");
    until("answers are trusted again", || counters.stamp(&print(1)).is_some());
    assert!(!counters.holds(stamp));
    // The old master comes back as a replica, which nobody should write to.
    group.master.restart();
    until("the old master is no replica", || group.master.cli(&["role"]).starts_with("slave"));
    let direct = open(&format!("{}?timeout=10", group.master.url()));
    let error = try_put(direct.as_ref(), &head).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert!(error.hint().unwrap().contains("sentinel"), "{error:?}");
}

#[test]
fn a_service_that_nobody_knows_is_named() {
    let Some(group) = Watched::start() else { return skip() };
    let store = open(&fresh(&group.url().replace("mymaster", "nomaster")));
    let error = try_put(store.as_ref(), &key("k")).unwrap_err();
    assert_eq!(error.kind(), Kind::Config, "{error:?}");
    assert!(error.message().contains("nomaster"), "{error:?}");
}

fn ask<T: redis::FromRedisValue>(node: &Redis, words: &[&str], names: &[Vec<u8>]) -> T {
    let client = redis::Client::open(node.url()).unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    for name in names {
        command.arg(&name[..]);
    }
    command.query(&mut client.get_connection().unwrap()).unwrap()
}

/// Moves a slot with all its keys from one server of the cluster to another.
fn migrate(cluster: &Cluster, slot: &str, from: &Redis, to: &Redis) {
    let (source, target) = (from.cli(&["cluster", "myid"]), to.cli(&["cluster", "myid"]));
    to.cli(&["cluster", "setslot", slot, "importing", &source]);
    from.cli(&["cluster", "setslot", slot, "migrating", &target]);
    loop {
        let names: Vec<Vec<u8>> = ask(from, &["CLUSTER", "GETKEYSINSLOT", slot, "10"], &[]);
        if names.is_empty() {
            break;
        }
        let port = to.port.to_string();
        let words = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        let () = ask(from, &words, &names);
        std::thread::sleep(Duration::from_millis(5));
    }
    for node in std::iter::once(to).chain(&cluster.nodes) {
        node.cli(&["cluster", "setslot", slot, "node", &target]);
    }
}

#[test]
fn a_slot_may_move_while_it_is_written_to() {
    let Some(cluster) = Cluster::start() else { return skip() };
    let address = fresh(&cluster.url());
    let store = open(&address);
    let counter = Key::count("n");
    for n in 0..100 {
        put(store.as_ref(), &key(&n.to_string()), "x");
    }
    let tag = format!("{{{}:1}}", address.split("prefix=").nth(1).unwrap());
    let slot = cluster.nodes[0].cli(&["cluster", "keyslot", &tag]);
    let holds = |node: &&Redis| node.cli(&["cluster", "countkeysinslot", &slot]) != "0";
    let from = cluster.nodes.iter().find(holds).unwrap();
    let to = cluster.nodes.iter().find(|node| node.port != from.port).unwrap();
    let (stop, added) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let writer = std::thread::spawn({
        let (stop, added, store, counter) =
            (stop.clone(), added.clone(), store.clone(), counter.clone());
        move || {
            while !stop.load(Ordering::SeqCst) {
                let op = Op::Add { key: counter.clone(), by: 1, ttl: None };
                match block_on(store.apply(Batch { objects: vec![], ops: vec![op] })) {
                    Ok(_) => drop(added.fetch_add(1, Ordering::SeqCst)),
                    Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{error:?}"),
                }
            }
        }
    });
    until("nothing is written", || added.load(Ordering::SeqCst) > 20);
    migrate(&cluster, &slot, from, to);
    let before = added.load(Ordering::SeqCst);
    until("nothing is written any more", || added.load(Ordering::SeqCst) > before + 20);
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    let count = get(store.as_ref(), &counter).unwrap().count();
    assert_eq!(count, Some(added.load(Ordering::SeqCst)), "each was made once");
    let page = block_on(store.scan(&afresh_core::Scan::new(Space::Named))).unwrap();
    assert_eq!(page.entries.len(), 100);
    // What the new server tells of is heard.
    let counters = store.generation().unwrap();
    let other = open(&address);
    let stamp = counters.stamp(&print(1)).unwrap();
    put(other.as_ref(), &Key::head(&print(1)), "x");
    until("a change was not told", || !counters.holds(stamp));
}

#[test]
fn a_member_that_is_away_is_missed_and_comes_back() {
    let Some(cluster) = Cluster::start() else { return skip() };
    let store = open(&fresh(&cluster.url()));
    let objects: Vec<Bytes> = (0..40u8).map(|n| Bytes::from(vec![n; 9000])).collect();
    for bytes in &objects {
        block_on(store.write(&ObjectId::of(bytes), bytes.clone().into())).unwrap();
    }
    one(store.as_ref(), Op::Add { key: Key::count("n"), by: 1, ttl: None });
    let spread = cluster.nodes.iter().filter(|node| node.cli(&["dbsize"]) != "0").count();
    assert_eq!(spread, 3, "objects are spread over the servers");
    cluster.nodes[2].server.pause();
    let read = |bytes: &Bytes| block_on(store.read(&ObjectId::of(bytes)));
    std::thread::sleep(Duration::from_millis(50));
    cluster.nodes[2].server.resume();
    until("objects are not read again", || {
        objects.iter().all(|bytes| read(bytes).is_ok_and(|read| read.as_ref() == Some(bytes)))
    });
}
