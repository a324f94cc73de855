//! What the store costs, beside single statements of the same drivers: `cargo run --release --example measure`.
//!
//! Starts a private PostgreSQL and a private MariaDB (not synced to disk), or takes the address that is given.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program that measures"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Batch, Bytes, Key, Labels, NewEntry, ObjectId, Op, Order, Scan, Space, Status, Store,
    Tag, Timestamp, When,
};
use afresh_testkit::servers::Sql;
use mysql_async::prelude::Queryable;
use pollster::block_on;
use tokio::runtime::{Builder, Runtime};

/// Entries that scans look through.
const ENTRIES: u32 = 100_000;

/// Calls for one figure.
const CALLS: u32 = 500;

/// The median time of a call.
fn median(calls: u32, mut call: impl FnMut(u32)) -> Duration {
    let mut times: Vec<Duration> = (0..calls)
        .map(|n| {
            let begun = Instant::now();
            call(n);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn say(what: &str, time: Duration) {
    println!("{what:<60} {:>9.3} ms", time.as_secs_f64() * 1e3);
}

fn key(space: Space, n: u32) -> Key {
    Key::new(space, ObjectId::of(&n.to_be_bytes()).as_bytes().to_vec()).unwrap()
}

fn record(n: u32) -> NewEntry {
    let tags = if n.is_multiple_of(100) {
        vec![Tag::new("day", Some("monday".to_owned())).unwrap()]
    } else {
        Vec::new()
    };
    let labels = Labels {
        function: Some(format!("etl.step{}", n % 50)),
        status: Some(Status::Completed),
        tags,
        group: Some(u64::from(n / 10)),
        time: Some(Timestamp::from_millis(i64::from(n))),
    };
    NewEntry { labels, ..NewEntry::record(vec![7; 250]) }
}

fn apply(store: &dyn Store, ops: Vec<Op>) {
    let applied = block_on(store.apply(Batch { objects: Vec::new(), ops })).unwrap();
    assert!(matches!(applied, Applied::All(_)), "{applied:?}");
}

fn put(space: Space, n: u32) -> Op {
    Op::Put { key: key(space, n), entry: record(n), when: When::Always }
}

/// What a miss writes: an execution, its answer, and two counters that must not have moved.
fn miss(n: u32) -> Vec<Op> {
    let check = |name| Op::Check { key: Key::count(name), when: When::Absent };
    vec![put(Space::Commit, n), put(Space::Head, n), check("epoch"), check("sweep")]
}

fn store(store: &Arc<dyn Store>) {
    apply(store.as_ref(), miss(0));
    let one = [key(Space::Head, 0)];
    say("get", median(CALLS, |_| drop(block_on(store.get(&one)).unwrap())));
    let hundred: Vec<Key> = (0..100).map(|n| key(Space::Head, n)).collect();
    say("get, 100 keys", median(CALLS / 5, |_| drop(block_on(store.get(&hundred)).unwrap())));
    let count = || Op::Add { key: Key::count("n"), by: 1, ttl: None };
    say("apply, a counter", median(CALLS, |_| apply(store.as_ref(), vec![count()])));
    say("apply, what a miss writes", median(CALLS, |n| apply(store.as_ref(), miss(n))));
    for len in [10_000, 1_000_000, 20_000_000] {
        let object = |n: u32| {
            let mut bytes = vec![n as u8; len];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            Bytes::from(bytes)
        };
        let calls = if len > 1_000_000 { 3 } else { 20 };
        let write = median(calls, |n| {
            let bytes = object(n);
            block_on(store.write(&ObjectId::of(&bytes), bytes.into())).unwrap();
        });
        say(&format!("write, an object of {len} bytes"), write);
        let id = ObjectId::of(&object(0));
        say("read it", median(calls, |_| drop(block_on(store.read(&id)).unwrap().unwrap())));
        block_on(store.remove(&[id], Duration::ZERO)).unwrap();
    }
}

/// Runs `work` while another client asks and writes; its time, and the worst and the median of the other's.
fn beside(store: &Arc<dyn Store>, what: &str, work: impl FnOnce()) {
    let done = Arc::new(AtomicBool::new(false));
    let (other, over) = (Arc::clone(store), Arc::clone(&done));
    let client = std::thread::spawn(move || {
        let mut times = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            apply(other.as_ref(), vec![put(Space::Named, 1)]);
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        (times.len(), times[times.len() / 2], times[times.len() * 99 / 100], *times.last().unwrap())
    });
    let begun = Instant::now();
    work();
    let took = begun.elapsed();
    done.store(true, Ordering::Relaxed);
    let (count, middle, most, worst) = client.join().unwrap();
    say(what, took);
    println!("    another's {count} puts: median {middle:.1?}, 99 % {most:.1?}, worst {worst:.1?}");
}

/// All pages of a scan; how many entries, and the longest that a page took.
fn scan(store: &dyn Store, mut scan: Scan) -> (usize, Duration) {
    let (mut found, mut longest) = (0, Duration::ZERO);
    loop {
        let begun = Instant::now();
        let page = block_on(store.scan(&scan)).unwrap();
        longest = longest.max(begun.elapsed());
        found += page.entries.len();
        match page.next {
            Some(next) => scan.cursor = Some(next),
            None => return (found, longest),
        }
    }
}

fn scale(store: &Arc<dyn Store>) {
    let space = Space::Commit;
    beside(store, &format!("fill with {ENTRIES} entries, 250 a batch"), || {
        for from in (0..ENTRIES).step_by(250) {
            apply(store.as_ref(), (from..from + 250).map(|n| put(space, n)).collect());
        }
    });
    beside(store, "nothing", || std::thread::sleep(Duration::from_secs(2)));
    let base = || Scan::new(space);
    let newest = |scan| Scan { order: Order::Newest, ..scan };
    let tag = vec![Tag::new("day", Some("monday".to_owned())).unwrap()];
    for (what, wanted) in [
        ("scan all by key", base()),
        ("scan all, newest first", newest(base())),
        ("scan a tag (1 %)", Scan { tags: tag, ..base() }),
        ("scan a group (10)", Scan { group: Some(77), ..base() }),
        (
            "scan a function (2 %), newest first",
            newest(Scan { function: Some("etl.step7".to_owned()), ..base() }),
        ),
        (
            "the newest 20",
            newest(Scan {
                limit: 20,
                since: Some(Timestamp::from_millis(i64::from(ENTRIES) - 20)),
                ..base()
            }),
        ),
    ] {
        let mut came = (0, Duration::ZERO);
        beside(store, what, || came = scan(store.as_ref(), wanted));
        println!("    {} entries, the longest page {:.1?}", came.0, came.1);
    }
    beside(store, "usage", || assert!(block_on(store.usage()).unwrap().entries(space) > 0));
    beside(store, "remove 20 000 entries, 256 a batch", || {
        for from in (0..20_000).step_by(256) {
            let gone =
                (from..from + 256).map(|n| Op::Delete { key: key(space, n), when: When::Always });
            apply(store.as_ref(), gone.collect());
        }
    });
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Single statements of the driver.
fn postgres(server: &Sql) {
    let (runtime, url) = (runtime(), server.bare("sslmode=disable"));
    let (client, connection) =
        runtime.block_on(tokio_postgres::connect(&url, tokio_postgres::NoTls)).unwrap();
    runtime.spawn(async move { drop(connection.await) });
    let table = "CREATE TABLE raw (id bytea PRIMARY KEY, data bytea)";
    runtime.block_on(client.batch_execute(table)).unwrap();
    let insert = runtime.block_on(client.prepare("INSERT INTO raw VALUES ($1, $2)")).unwrap();
    let select = runtime.block_on(client.prepare("SELECT data FROM raw WHERE id = $1")).unwrap();
    let (id, data) = (|n: u32| n.to_be_bytes().to_vec(), vec![7u8; 350]);
    say(
        "driver: INSERT",
        median(CALLS, |n| {
            assert_eq!(runtime.block_on(client.execute(&insert, &[&id(n), &data])).unwrap(), 1);
        }),
    );
    say(
        "driver: SELECT of one row",
        median(CALLS, |n| drop(runtime.block_on(client.query(&select, &[&id(n)])).unwrap())),
    );
}

/// Single statements of the driver.
fn mysql(server: &Sql) {
    let (runtime, url) = (runtime(), server.bare("prefer_socket=false"));
    let mut conn = runtime.block_on(mysql_async::Conn::from_url(&url)).unwrap();
    let table = "CREATE TABLE raw (id varbinary(32) PRIMARY KEY, data longblob)";
    runtime.block_on(conn.query_drop(table)).unwrap();
    let (id, data) = (|n: u32| n.to_be_bytes().to_vec(), vec![7u8; 350]);
    say(
        "driver: INSERT",
        median(CALLS, |n| {
            runtime
                .block_on(conn.exec_drop("INSERT INTO raw VALUES (?, ?)", (id(n), &data)))
                .unwrap();
        }),
    );
    say(
        "driver: SELECT of one row",
        median(CALLS, |n| {
            let found =
                conn.exec_first::<Vec<u8>, _, _>("SELECT data FROM raw WHERE id = ?", (id(n),));
            drop(runtime.block_on(found).unwrap());
        }),
    );
}

fn main() {
    let only = std::env::args().nth(1);
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    for (name, start) in
        [("PostgreSQL", Sql::postgres as fn() -> Option<Sql>), ("MariaDB", Sql::mariadb)]
    {
        let Some(server) = wanted(name).then(start).flatten() else { continue };
        println!("{name}");
        if name == "PostgreSQL" {
            postgres(&server)
        } else {
            mysql(&server)
        }
        let address = server.url("measure").replace("timeout=10", "timeout=60");
        let opened = afresh_store_sql::open(&address).unwrap();
        store(&opened);
        scale(&opened);
    }
}
