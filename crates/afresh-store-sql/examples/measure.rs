//! What the store costs, beside single statements of the same drivers: `cargo run --release --example measure`.
//!
//! Starts a private PostgreSQL and a private MariaDB (not synced to disk), or takes the address that is given.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program that measures"
)]

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Batch, Blob, Bytes, Key, Labels, NewEntry, ObjectId, Op, Order, Scan, Space, Status,
    Store, Tag, Timestamp, When,
};
use afresh_store_sql::SqlOptions;
use afresh_testkit::servers::Sql;
use mysql_async::prelude::Queryable;
use pollster::block_on;
use tokio::runtime::{Builder, Runtime};

/// Entries that scans look through.
const ENTRIES: u32 = 100_000;

/// Calls for one figure.
const CALLS: u32 = 500;

/// Whether this thread, and what it starts, comes before everything else of the machine: so that what is measured is the
/// server and not who else is at work here. Nothing changes for who may not.
fn first(yes: bool) {
    let Ok(thread) = std::fs::read_link("/proc/thread-self") else { return };
    let Some(thread) = thread.file_name().map(std::ffi::OsStr::to_owned) else { return };
    let policy: [&str; 2] = if yes { ["--rr", "20"] } else { ["--other", "0"] };
    let mut chrt = Command::new("chrt");
    chrt.args([policy[0], "--pid", policy[1]]).arg(thread);
    drop(chrt.output());
}

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
            block_on(store.write(&ObjectId::of(&bytes), Blob::from(bytes).raw())).unwrap();
        });
        say(&format!("write, an object of {len} bytes"), write);
        let id = ObjectId::of(&object(0));
        say("read it", median(calls, |_| drop(block_on(store.read(&id)).unwrap().unwrap())));
        block_on(store.remove(&[id], Duration::ZERO)).unwrap();
    }
}

/// Another client of the server, with the driver alone: it reads a row of ours and writes one of its own.
trait Other: Send {
    fn turn(&mut self, n: u32);
    /// Inserts rows in one transaction: as busy as a batch of ours, and nothing of ours.
    fn insert(&mut self, from: u32, rows: u32);
}

struct Postgres {
    runtime: Runtime,
    client: tokio_postgres::Client,
    read: tokio_postgres::Statement,
    write: tokio_postgres::Statement,
    insert: tokio_postgres::Statement,
}

impl Other for Postgres {
    fn turn(&mut self, n: u32) {
        let (id, own) = (row(Space::Commit, n * 7 % ENTRIES), 1_000_000i64 + i64::from(n % 64));
        self.runtime.block_on(self.client.query(&self.read, &[&id])).unwrap();
        self.runtime.block_on(self.client.execute(&self.write, &[&own])).unwrap();
    }

    fn insert(&mut self, from: u32, rows: u32) {
        let ids: Vec<i64> = (from..from + rows).map(i64::from).collect();
        self.runtime.block_on(self.client.execute(&self.insert, &[&ids])).unwrap();
    }
}

struct Mysql {
    runtime: Runtime,
    conn: mysql_async::Conn,
}

impl Other for Mysql {
    fn turn(&mut self, n: u32) {
        let (id, own) = (row(Space::Commit, n * 7 % ENTRIES), 1_000_000i64 + i64::from(n % 64));
        let read = "SELECT data FROM measure_v2_entry WHERE id = ?";
        drop(self.runtime.block_on(self.conn.exec_first::<Vec<u8>, _, _>(read, (id,))).unwrap());
        let write = "INSERT INTO own VALUES (?, 1, '') ON DUPLICATE KEY UPDATE n = n + 1";
        self.runtime.block_on(self.conn.exec_drop(write, (own,))).unwrap();
    }

    fn insert(&mut self, from: u32, rows: u32) {
        let rows: Vec<String> =
            (from..from + rows).map(|n| format!("({n}, 1, REPEAT('x', 400))")).collect();
        let text = format!("INSERT INTO own VALUES {}", rows.join(","));
        self.runtime.block_on(self.conn.query_drop(text)).unwrap();
    }
}

/// An entry's row.
fn row(space: Space, n: u32) -> Vec<u8> {
    [&[space.number()], key(space, n).bytes().as_ref()].concat()
}

/// Clients with a table of their own; `first` makes it.
fn other(server: &Sql, postgres: bool, first: bool) -> Box<dyn Other> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    if postgres {
        let url = server.bare("sslmode=disable");
        let (client, connection) =
            runtime.block_on(tokio_postgres::connect(&url, tokio_postgres::NoTls)).unwrap();
        runtime.spawn(async move { drop(connection.await) });
        if first {
            let table = "CREATE TABLE own (id bigint PRIMARY KEY, n bigint, data text)";
            runtime.block_on(client.batch_execute(table)).unwrap();
        }
        let prepare = |text: &str| runtime.block_on(client.prepare(text)).unwrap();
        let read = prepare("SELECT data FROM measure_v2_entry WHERE id = $1");
        let write = prepare(
            "INSERT INTO own VALUES ($1, 1, '') ON CONFLICT (id) DO UPDATE SET n = own.n + 1",
        );
        let insert =
            prepare("INSERT INTO own SELECT id, 1, repeat('x', 400) FROM unnest($1::bigint[]) id");
        return Box::new(Postgres { runtime, client, read, write, insert });
    }
    let url = server.bare("prefer_socket=false");
    let mut conn = runtime.block_on(mysql_async::Conn::from_url(&url)).unwrap();
    if first {
        let table = "CREATE TABLE own (id bigint PRIMARY KEY, n bigint, data text)";
        runtime.block_on(conn.query_drop(table)).unwrap();
    }
    Box::new(Mysql { runtime, conn })
}

/// Runs `work` while another client reads and writes; its time, and how long the other waited for a read and a write.
fn beside(other: &Mutex<Box<dyn Other>>, what: &str, work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    let (times, took) = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            first(true);
            let mut other = other.lock().unwrap();
            let mut times = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let begun = Instant::now();
                other.turn(times.len() as u32);
                times.push(begun.elapsed());
            }
            times.sort_unstable();
            times
        });
        let begun = Instant::now();
        work();
        let took = begun.elapsed();
        done.store(true, Ordering::Relaxed);
        (client.join().unwrap(), took)
    });
    if times.is_empty() {
        return say(what, took); // It was over before the other had begun.
    }
    let (middle, most) = (times[times.len() / 2], times[times.len() * 999 / 1000]);
    let (count, worst) = (times.len(), times[times.len() - 1]);
    say(what, took);
    println!(
        "    another's {count} turns: median {middle:.1?}, 99.9 % {most:.1?}, worst {worst:.1?}"
    );
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

fn remove(store: &dyn Store, space: Space, from: u32, to: u32) {
    for from in (from..to).step_by(256) {
        let gone = (from..to.min(from + 256))
            .map(|n| Op::Delete { key: key(space, n), when: When::Always });
        apply(store, gone.collect());
    }
}

fn scale(
    store: &Arc<dyn Store>,
    swift: &dyn Fn() -> Arc<dyn Store>,
    other: Box<dyn Other>,
    raw: &mut dyn Other,
) {
    let (space, other) = (Space::Commit, Mutex::new(other));
    let beside = |what: &str, work: &mut dyn FnMut()| beside(&other, what, work);
    beside("nothing", &mut || std::thread::sleep(Duration::from_secs(3)));
    beside("the driver alone: 400 000 rows of 400 bytes, 250 a batch", &mut || {
        (0..4 * ENTRIES).step_by(250).for_each(|from| raw.insert(from, 250));
    });
    beside(&format!("(a) {ENTRIES} entries, 250 a batch"), &mut || {
        for from in (0..ENTRIES).step_by(250) {
            apply(store.as_ref(), (from..from + 250).map(|n| put(space, n)).collect());
        }
    });
    for from in (0..20_000).step_by(250) {
        apply(store.as_ref(), (from..from + 250).map(|n| put(Space::Head, n)).collect());
    }
    let base = || Scan::new(space);
    let tag = vec![Tag::new("day", Some("monday".to_owned())).unwrap()];
    beside("(b) a tag of 1 % invalidated, with 20 000 answers", &mut || {
        assert_eq!(
            scan(store.as_ref(), Scan { tags: tag.clone(), ..base() }).0,
            ENTRIES as usize / 100
        );
        remove(store.as_ref(), Space::Head, 0, 20_000);
    });
    beside("(c) gc of 50 000 entries, 256 a batch", &mut || {
        remove(store.as_ref(), space, 0, 50_000)
    });
    beside("(d) usage", &mut || {
        assert_eq!(block_on(store.usage()).unwrap().entries(space), u64::from(ENTRIES) - 50_000);
    });
    for from in (0..20_000).step_by(250) {
        let short = |n| {
            let entry = NewEntry { ttl: Some(Duration::from_millis(1)), ..record(n) };
            Op::Put { key: key(Space::Named, n), entry, when: When::Always }
        };
        apply(store.as_ref(), (from..from + 250).map(short).collect());
    }
    beside("(e) 20 000 ended entries swept", &mut || {
        let swift = swift();
        while block_on(swift.usage()).unwrap().entries(Space::Named) > 0 {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let newest = |scan| Scan { order: Order::Newest, ..scan };
    for (what, wanted) in [
        ("scan all by key", base()),
        ("scan all, newest first", newest(base())),
        ("scan a tag (1 %)", Scan { tags: tag.clone(), ..base() }),
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
        beside(what, &mut || came = scan(store.as_ref(), wanted.clone()));
        println!("    {} entries, the longest page {:.1?}", came.0, came.1);
    }
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
        first(true);
        let server = wanted(name).then(start).flatten();
        first(false);
        let Some(server) = server else { continue };
        println!("{name}");
        if name == "PostgreSQL" {
            postgres(&server)
        } else {
            mysql(&server)
        }
        let address = server.url("measure").replace("timeout=10", "timeout=60");
        let opened = afresh_store_sql::open(&address).unwrap();
        store(&opened);
        let postgres = name == "PostgreSQL";
        let (one, mut raw) = (other(&server, postgres, true), other(&server, postgres, false));
        let often = SqlOptions { sweep: Duration::from_millis(50), ..SqlOptions::default() };
        // Sweeps as soon as it is there.
        let swift = || afresh_store_sql::open_with(&address, often.clone()).unwrap();
        scale(&opened, &swift, one, raw.as_mut());
    }
}
