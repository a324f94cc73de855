//! Measures the store beside raw commands of the same driver, and what commands cost the server, and others who use it, at
//! 100,000 answers.
//!
//! `cargo run --release -p afresh-store-redis --example figures -- redis://127.0.0.1:PORT`; the server is flushed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program to be run by hand"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use afresh_core::{
    Batch, Commit, Fingerprint, FunctionId, Head, Kept, Key, Labels, NewEntry, ObjectId, ObjectRef,
    Op, Order, Outcome, Scan, Space, Store, Tag, Timestamp, Usage, When, Who,
};
use afresh_engine::{Engine, GcOptions, Options, Selection};
use pollster::block_on;
use redis::aio::MultiplexedConnection;

const ENTRIES: u32 = 100_000;

fn id(n: u32) -> [u8; 32] {
    *ObjectId::of(&n.to_be_bytes()).as_bytes()
}

/// An execution as the engine records it: its commit, and the head that names it.
fn execution(n: u32) -> [Op; 2] {
    let tags = vec![Tag::new("day", Some((n % 10).to_string())).unwrap()];
    let fingerprint = Fingerprint::new(id(n));
    let bytes = n.to_be_bytes().repeat(30);
    let object = ObjectRef { id: ObjectId::of(&bytes), len: 120 };
    let kept = Kept::Object {
        object,
        codec: "json".to_owned(),
        signature: None,
        value: None,
        inline: Some(bytes.clone()),
    };
    let commit = Commit {
        fingerprint,
        function: format!("package.module.function{}", n % 100),
        function_id: FunctionId::new([1; 32]),
        function_record: None,
        arguments: vec![],
        parent: None,
        inputs: vec![],
        outcome: Outcome::Completed(kept),
        started: Timestamp::from_millis(1_700_000_000_000 + i64::from(n)),
        took_us: 7,
        ttl_ms: None,
        tags: tags.clone(),
        who: Who::default(),
        nonce: u64::from(n),
        outlines: vec![],
    };
    let (name, record) = commit.encode().unwrap();
    let labels = Labels {
        function: Some(commit.function.clone()),
        status: Some(commit.status()),
        tags,
        group: Some(u64::from(n % 50_000)),
        time: Some(commit.created()),
    };
    let head = Head {
        commit: name,
        started: commit.started,
        created: commit.created(),
        took_us: commit.took_us,
        ttl_ms: None,
        codec: "json".to_owned(),
        signature: None,
        value: None,
        object,
        inline: Some(bytes),
    };
    let put = |key, entry| Op::Put { key, entry, when: When::Always };
    [
        put(Key::commit(&name), NewEntry { labels, ..NewEntry::record(record) }),
        put(Key::head(&fingerprint), NewEntry::record(head.encode().unwrap())),
    ]
}

/// Somebody else who uses the server: how long he waits at most, for `PING` and `GET` by turns.
struct Other(Arc<AtomicU64>);

impl Other {
    fn new(url: &str) -> Self {
        let mut server = redis::Client::open(url).unwrap().get_connection().unwrap();
        let longest = Arc::<AtomicU64>::default();
        let keep = Arc::clone(&longest);
        std::thread::spawn(move || {
            loop {
                let begun = Instant::now();
                redis::cmd("PING").exec(&mut server).unwrap();
                let middle = Instant::now();
                redis::cmd("GET").arg("of somebody else").exec(&mut server).unwrap();
                let waited = (middle - begun).max(middle.elapsed());
                keep.fetch_max(waited.as_micros() as u64, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        Self(longest)
    }

    /// Since the last time.
    fn waited(&self) -> String {
        let longest = self.0.swap(0, Ordering::Relaxed) as f64 / 1e3;
        format!("somebody else waited {longest:.1} ms at most")
    }
}

fn half(mut spans: Vec<Duration>) -> f64 {
    spans.sort();
    spans[spans.len() / 2].as_secs_f64() * 1e6
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// What scripts cost since the last time: processor time of the server for each, which other work on the machine does
/// not lengthen, and the longest as the clock saw it.
fn cost(connection: &mut redis::Connection) -> String {
    let info: redis::Value = redis::cmd("INFO").arg("everything").query(connection).unwrap();
    let info: String = redis::from_redis_value(info).unwrap();
    let number = |name: &str| -> f64 {
        let line = info.lines().find(|line| line.starts_with(name)).unwrap_or(":0");
        let text = line[line.find([':', '=']).unwrap() + 1..].trim_start_matches("calls=");
        text.split(',').next().unwrap().parse().unwrap()
    };
    let cpu = number("used_cpu_user:") + number("used_cpu_sys:");
    let calls = number("cmdstat_evalsha");
    let log: Vec<Vec<redis::Value>> =
        redis::cmd("SLOWLOG").arg("GET").arg(1000).query(connection).unwrap();
    redis::cmd("SLOWLOG").arg("RESET").exec(connection).unwrap();
    let worst = log.iter().map(|entry| redis::from_redis_value_ref::<u64>(&entry[2]).unwrap());
    let worst = worst.max().unwrap_or(0) as f64 / 1e3;
    static BEFORE: std::sync::Mutex<(f64, f64)> = std::sync::Mutex::new((0.0, 0.0));
    let mut before = BEFORE.lock().unwrap();
    let (spent, made) = (cpu - before.0, calls - before.1);
    *before = (cpu, calls);
    format!(
        "{made} scripts, {:.2} ms of processor each, the longest {worst:.1} ms",
        spent * 1e3 / made.max(1.0)
    )
}

fn hits(store: &Arc<dyn Store>, url: &str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = redis::Client::open(format!("{url}/?protocol=resp3")).unwrap();
    let raw: MultiplexedConnection =
        runtime.block_on(client.get_multiplexed_async_connection()).unwrap();
    let key = Key::head(&Fingerprint::new(id(1)));
    let name = [b"{figures:1}:h:", &id(1)[..]].concat();
    let answer = vec![7u8; 256];
    let object = ObjectRef { id: ObjectId::of(&answer), len: 256 };
    let entry = NewEntry { object: Some(object), ..NewEntry::record(vec![1; 150]) };
    let batch = Batch {
        objects: vec![(object.id, answer.into())],
        ops: vec![Op::Put { key: key.clone(), entry, when: When::Always }],
    };
    block_on(store.apply(batch.clone())).unwrap();
    let get = || {
        let (mut raw, name) = (raw.clone(), name.clone());
        async move { redis::cmd("GET").arg(name).query_async::<Vec<u8>>(&mut raw).await.unwrap() }
    };
    let keys = std::slice::from_ref(&key);
    let (mut raws, mut spawned, mut ours, mut puts, mut sets) =
        (vec![], vec![], vec![], vec![], vec![]);
    for round in 0..200 {
        for _ in 0..50 {
            raws.push(timed(|| runtime.block_on(get())));
            spawned.push(timed(|| block_on(runtime.spawn(get()))));
            ours.push(timed(|| block_on(store.get(keys)).unwrap()));
        }
        if round % 4 == 0 {
            puts.push(timed(|| block_on(store.apply(batch.clone())).unwrap()));
            let (mut raw, value) = (raw.clone(), vec![7u8; 400]);
            let set = async move {
                redis::cmd("SET").arg("raw").arg(value).exec_async(&mut raw).await.unwrap();
            };
            sets.push(timed(|| block_on(runtime.spawn(set))));
        }
    }
    let (raws, spawned, ours) = (half(raws), half(spawned), half(ours));
    println!("GET {raws:.1} µs; GET as a task {spawned:.1} µs; hit {ours:.1} µs");
    println!("hit / GET {:.2}, hit / GET as a task {:.2}", ours / raws, ours / spawned);
    println!("SET {:.1} µs, batch of object and head {:.1} µs", half(sets), half(puts));
    let (mut raws, mut ours) = (vec![], vec![]);
    for _ in 0..20 {
        raws.push(timed(|| {
            runtime.block_on(async {
                let all: Vec<_> = (0..1000).map(|_| tokio::spawn(get())).collect();
                for one in all {
                    one.await.unwrap();
                }
            });
        }));
        ours.push(timed(|| {
            runtime.block_on(async {
                let one = || {
                    let (store, key) = (Arc::clone(store), key.clone());
                    async move { store.get(&[key]).await.unwrap() }
                };
                let all: Vec<_> = (0..1000).map(|_| tokio::spawn(one())).collect();
                for one in all {
                    one.await.unwrap();
                }
            });
        }));
    }
    println!("1,000 at once: GET {:.1} ms, hit {:.1} ms", half(raws) / 1e3, half(ours) / 1e3);
}

fn large(store: &Arc<dyn Store>, server: &mut redis::Connection, url: &str) {
    let other = Other::new(url);
    let mut tell = |what: &str, span: Duration| {
        println!("{what}: {span:.1?}, {}, {}", cost(server), other.waited());
    };
    let quiet = Duration::from_secs(10);
    std::thread::sleep(quiet);
    tell("nobody does anything", quiet);
    let filling = timed(|| {
        for some in (0..ENTRIES).collect::<Vec<_>>().chunks(16) {
            let ops = some.iter().flat_map(|n| execution(*n)).collect();
            block_on(store.apply(Batch { objects: vec![], ops })).unwrap();
        }
    });
    tell("putting commits and heads, 16 of each a batch", filling);
    let mut usage = Usage::default();
    let span = timed(|| usage = block_on(store.usage()).unwrap());
    tell("usage", span);
    println!("{} bytes told", usage.disk_bytes);
    let count = |scan: Scan| {
        let (mut scan, mut count) = (scan, 0);
        let span = timed(|| {
            loop {
                let page = block_on(store.scan(&scan)).unwrap();
                count += page.entries.len();
                match page.next {
                    Some(next) => scan.cursor = Some(next),
                    None => return,
                }
            }
        });
        (count, span)
    };
    let base = Scan::new(Space::Commit);
    let tag = Tag::new("day", Some("7".to_owned())).unwrap();
    for (what, scan) in [
        ("by group", Scan { group: Some(2), ..base.clone() }),
        ("by tag", Scan { tags: vec![tag.clone()], ..base.clone() }),
        (
            "by function, newest",
            Scan {
                function: Some("package.module.function3".to_owned()),
                order: Order::Newest,
                ..base.clone()
            },
        ),
        ("all", base),
    ] {
        let (count, span) = count(scan);
        tell(&format!("{count} {what}"), span);
    }
    let engine = Engine::new(Arc::clone(store), Options::default());
    let mut taken = 0;
    let selection = Selection { tags: vec![tag], function: None };
    let span = timed(|| taken = block_on(engine.invalidate(&selection)).unwrap());
    tell(&format!("{taken} answers taken back by their tag"), span);
    let mut raw = redis::Client::open(url).unwrap().get_connection().unwrap();
    // As eviction does it where the server is told to be lazy.
    redis::cmd("UNLINK").arg("{figures:1}:i:c").exec(&mut raw).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    other.waited();
    let span = timed(|| while block_on(store.scan(&Scan::new(Space::Commit))).is_err() {});
    tell("index of the commits made anew", span);
    let all = GcOptions { older_than: Some(Duration::ZERO), ..GcOptions::default() };
    let mut gone = 0;
    let span = timed(|| gone = block_on(engine.gc(&all)).unwrap().commits);
    tell(&format!("gc of {gone} commits and their heads"), span);
    let span = timed(|| {
        for n in 0..10_000u32 {
            let bytes = n.to_be_bytes().repeat(250);
            block_on(store.write(&ObjectId::of(&bytes), bytes.into())).unwrap();
        }
    });
    tell("writing 10,000 objects", span);
    let mut objects: Vec<ObjectId> = Vec::new();
    let span = timed(|| {
        loop {
            let page = block_on(store.list(objects.last(), 1000)).unwrap();
            if page.is_empty() {
                return;
            }
            objects.extend(page.into_iter().map(|info| info.id));
        }
    });
    tell("listing them", span);
    let span = timed(|| block_on(store.remove(&objects, Duration::ZERO)).unwrap());
    tell("removing them", span);
}

fn main() {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let mut server = redis::Client::open(url.as_str()).unwrap().get_connection().unwrap();
    redis::cmd("FLUSHALL").exec(&mut server).unwrap();
    for (name, value) in [("slowlog-log-slower-than", "1000"), ("slowlog-max-len", "1000")] {
        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec(&mut server).unwrap();
    }
    let store = afresh_store_redis::open(&format!("{url}/?prefix=figures&timeout=120")).unwrap();
    hits(&store, &url);
    cost(&mut server);
    large(&store, &mut server, &url);
}
