//! Measures what the store was tuned by, and prints it.
//!
//! `cargo bench -p afresh-store-sqlite [-- miss|many|hit|latency|crossover|size]`; without a name, everything. Writers of the
//! figures `miss` and `latency` are processes of their own: the binary runs itself again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Batch, Key, Labels, NewEntry, ObjectId, ObjectRef, Op, Order, Scan, Space, Status,
    Store, Timestamp, When,
};
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use bytes::Bytes;
use pollster::block_on;

fn main() {
    let mut args: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let [role, path, from, count] = args.as_slice()
        && matches!(role.as_str(), "writer" | "misser")
    {
        let work = if role == "writer" { writer } else { misser };
        return work(Path::new(path), from.parse().unwrap(), count.parse().unwrap());
    }
    if args.is_empty() {
        args = ["miss", "many", "hit", "latency", "crossover", "size"].map(str::to_owned).to_vec();
    }
    for arg in args {
        match arg.as_str() {
            "hit" => hit(),
            "miss" => miss(),
            "many" => many(),
            "latency" => [1, 2, 3].into_iter().for_each(|n| drop(processes("writer", n, PUTS))),
            "crossover" => crossover(),
            "size" => size(),
            other => println!("no figure is called {other}"),
        }
    }
}

fn noise(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).unwrap()
}

fn head(number: u64) -> Key {
    Key::new(Space::Head, blake3::hash(&number.to_le_bytes()).as_bytes().to_vec()).unwrap()
}

/// What the engine writes for one result: an object, a commit, a head.
fn result(number: u64, len: usize) -> Batch {
    let bytes = noise(len, number);
    let id = ObjectId::of(&bytes);
    let object = Some(ObjectRef { id, len: len as u64 });
    let commit = Key::new(Space::Commit, id.as_bytes().to_vec()).unwrap();
    let labels = Labels {
        function: Some("module.function".to_owned()),
        status: Some(Status::Completed),
        tags: vec![],
        group: Some(number),
        time: Some(Timestamp::from_millis(1_750_000_000_000 + number as i64)),
    };
    let put = |key, entry| Op::Put { key, entry, when: When::Always };
    let record = |len| NewEntry { object, ..NewEntry::record(noise(len, number)) };
    Batch {
        objects: vec![(id, bytes.into())],
        ops: vec![put(commit, NewEntry { labels, ..record(200) }), put(head(number), record(70))],
    }
}

fn apply(store: &SqliteStore, batch: Batch) {
    assert!(matches!(block_on(store.apply(batch)).unwrap(), Applied::All(_)));
}

fn quantiles(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{name}: n {} p50 {:?} p90 {:?} p99 {:?} p99.9 {:?} p99.99 {:?} max {:?}",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(0.9999),
        at(1.0)
    );
}

fn hit() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("s"));
    const ENTRIES: u64 = 100_000;
    let mut times = Vec::new();
    for number in 0..ENTRIES {
        let batch = result(number, 250);
        let started = Instant::now();
        apply(&store, batch);
        times.push(started.elapsed());
    }
    quantiles("put of object + commit + head, one process", times);
    for (name, absent) in
        [("get of a head with its object of 250 bytes", 0), ("get of nothing", 1 << 40)]
    {
        let mut times = Vec::new();
        for number in 0..200_000u64 {
            let keys = [head(number * 7919 % ENTRIES + absent)];
            let started = Instant::now();
            let found = block_on(store.get(&keys)).unwrap();
            times.push(started.elapsed());
            assert_eq!(found[0].as_ref().is_some_and(|e| e.attached.is_some()), absent == 0);
        }
        quantiles(name, times);
    }
    let key = head(5);
    let mut times = Vec::new();
    for _ in 0..100_000 {
        let started = Instant::now();
        let _ = block_on(store.get(std::slice::from_ref(&key))).unwrap();
        times.push(started.elapsed());
    }
    quantiles("get of the same head again", times);
    let id = result(5, 250).objects[0].0;
    let mut times = Vec::new();
    for _ in 0..100_000 {
        let started = Instant::now();
        let _ = block_on(store.read(&id)).unwrap();
        times.push(started.elapsed());
    }
    quantiles("read of an object of 250 bytes", times);
}

/// How much slower it gets with a million results: `MANY` says how many.
fn many() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let store = open(&path);
    let many: u64 = std::env::var("MANY").map_or(1_000_000, |text| text.parse().unwrap());
    let started = Instant::now();
    for from in (0..many).step_by(100) {
        let ops = (from..from + 100).flat_map(|number| recording(number).ops).collect();
        apply(&store, Batch { objects: vec![], ops });
    }
    println!("{many} results, a hundred a batch: {:?}", started.elapsed());
    let timed = |name: &str, count: u64, work: &dyn Fn(u64)| {
        let times = (0..count).map(|number| {
            let started = Instant::now();
            work(number);
            started.elapsed()
        });
        quantiles(name, times.collect());
    };
    timed("  get of one", 50_000, &|number| {
        let found = block_on(store.get(&[head(number * 7919 % many)])).unwrap();
        assert!(found[0].is_some());
    });
    timed("  get of nothing", 20_000, &|number| {
        assert!(block_on(store.get(&[head(many + number)])).unwrap()[0].is_none());
    });
    timed("  finish", 5_000, &|number| apply(&store, recording(many + number)));
    let newest = Scan { order: Order::Newest, limit: 50, ..Scan::new(Space::Commit) };
    timed("  the newest 50", 200, &|_| {
        assert_eq!(block_on(store.scan(&newest)).unwrap().entries.len(), 50);
    });
    timed("  usage", 200, &|_| {
        let _ = block_on(store.usage()).unwrap();
    });
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = open(&path);
        let over = &over;
        scope.spawn(move || {
            let mut times = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let keys = [head(many / 2 + times.len() as u64 * 7919 % (many / 2))];
                let started = Instant::now();
                let _ = block_on(reader.get(&keys)).unwrap();
                times.push(started.elapsed());
            }
            quantiles("  get by another meanwhile", times);
        });
        let started = Instant::now();
        let gone = many / 10;
        for from in (0..gone).step_by(128) {
            let keys = (from..from + 128).flat_map(|number| {
                let ops = recording(number).ops;
                ops.into_iter().skip(2).map(|op| op.key().clone())
            });
            let ops = keys.map(|key| Op::Delete { key, when: When::Always }).collect();
            apply(&store, Batch { objects: vec![], ops });
        }
        println!("  {gone} removed in {:?}", started.elapsed());
        over.store(true, Ordering::Relaxed);
    });
}

const PUTS: u64 = 120_000;

fn writer(path: &Path, from: u64, count: u64) {
    let store = open(path);
    let value = noise(250, 1);
    let mut times = Vec::with_capacity(count as usize);
    for number in from..from + count {
        let op = Op::Put {
            key: head(number),
            entry: NewEntry::record(value.clone()),
            when: When::Always,
        };
        let batch = Batch { objects: vec![], ops: vec![op] };
        let started = Instant::now();
        apply(&store, batch);
        times.push(started.elapsed());
    }
    let started = Instant::now();
    drop(store);
    eprintln!("  closed in {:?}", started.elapsed());
    for time in times {
        println!("{}", time.as_nanos());
    }
}

/// Runs `writers` processes side by side on one store; gives the lines that they print.
fn processes(role: &str, writers: u64, total: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    drop(open(&path));
    let started = Instant::now();
    let children: Vec<_> = (0..writers)
        .map(|number| {
            let count = total / writers;
            Command::new(std::env::current_exe().unwrap())
                .args([
                    role,
                    path.to_str().unwrap(),
                    &(number * count).to_string(),
                    &count.to_string(),
                ])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let outputs: Vec<_> = children
        .into_iter()
        .map(|child| std::thread::spawn(move || child.wait_with_output().unwrap()))
        .collect();
    let mut times = Vec::new();
    for output in outputs {
        let output = output.join().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        times.extend(text.lines().map(|line| {
            let mut parts = line.split(' ').map(|n| Duration::from_nanos(n.parse().unwrap()));
            std::array::from_fn::<_, 3, _>(|_| parts.next().unwrap_or_default())
        }));
    }
    let log = std::fs::metadata(path.join("store-v1.sqlite-wal")).unwrap().len() >> 20;
    println!("{writers} processes, {total} in {:?}, log {log} MB", started.elapsed());
    let names: &[&str] = match role {
        "writer" => &["put of 250 bytes"],
        _ => &["look-up of nothing", "begin", "finish"],
    };
    for (index, name) in names.iter().enumerate() {
        quantiles(&format!("  {name}"), times.iter().map(|three| three[index]).collect());
    }
    folder
}

/// What the engine does for the miss of a tiny function: looks, looks again with the counters, records.
fn misser(path: &Path, from: u64, count: u64) {
    let store = open(path);
    let pause = std::env::var("PAUSE_US").map_or(0, |text| text.parse().unwrap());
    let pause = Duration::from_micros(pause);
    let mut times = Vec::with_capacity(count as usize);
    for number in from..from + count {
        let batch = recording(number);
        let keys = [head(number), Key::count("epoch"), Key::count("sweep")];
        let started = Instant::now();
        let found = block_on(store.get(&keys[..1])).unwrap();
        let looked = Instant::now();
        let begun = block_on(store.get(&keys)).unwrap();
        let began = Instant::now();
        apply(&store, batch);
        let finished = Instant::now();
        assert!(found[0].is_none() && begun[0].is_none());
        times.push([looked - started, began - looked, finished - began]);
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
    let started = Instant::now();
    drop(store);
    eprintln!("  closed in {:?}", started.elapsed());
    for [look, begin, finish] in times {
        println!("{} {} {}", look.as_nanos(), begin.as_nanos(), finish.as_nanos());
    }
}

/// What the engine writes for a tiny result that is kept in commit and head.
fn recording(number: u64) -> Batch {
    let commit = Key::new(Space::Commit, noise(32, number ^ 1 << 60).to_vec()).unwrap();
    let labels = Labels {
        function: Some("module.function".to_owned()),
        status: Some(Status::Completed),
        tags: vec![],
        group: Some(number),
        time: None,
    };
    let check = |name| Op::Check { key: Key::count(name), when: When::Absent };
    Batch {
        objects: vec![],
        ops: vec![
            check("sweep"),
            check("epoch"),
            Op::Put {
                key: head(number),
                entry: NewEntry::record(noise(140, number)),
                when: When::Absent,
            },
            Op::Put {
                key: commit,
                entry: NewEntry { labels, ..NewEntry::record(noise(290, number)) },
                when: When::Always,
            },
        ],
    }
}

fn miss() {
    for writers in [1, 3] {
        let folder = processes("misser", writers, 60_000);
        let path = folder.path().join("s");
        let store = open(&path);
        let times = (0..20_000u64).map(|number| {
            let keys = [head(number * 7919 % 60_000)];
            let started = Instant::now();
            assert!(block_on(store.get(&keys)).unwrap()[0].is_some());
            started.elapsed()
        });
        quantiles("  then get of one", times.collect());
        println!("  {:.0} bytes each on disk", disk(&path, store) / 60_000.0);
    }
}

fn crossover() {
    println!("noise of n bytes, in a row against in a file: write (read), p50");
    for kib in [4usize, 16, 32, 64, 128, 256, 512, 1024] {
        let mut line = format!("{kib:5} KiB");
        for (name, inline_max) in [("row", usize::MAX), ("file", 0)] {
            let folder = tempfile::tempdir().unwrap();
            let options = SqliteOptions { inline_max, ..SqliteOptions::default() };
            let store = SqliteStore::open(&folder.path().join("s"), options).unwrap();
            let count = (64 << 10) / kib.max(64) as u64;
            let (mut writes, mut reads) = (Vec::new(), Vec::new());
            let objects: Vec<Bytes> = (0..count).map(|n| noise(kib << 10, n)).collect();
            for bytes in &objects {
                let id = ObjectId::of(bytes);
                let blob = afresh_core::Blob::from(bytes.clone()).raw();
                let started = Instant::now();
                block_on(store.write(&id, blob)).unwrap();
                writes.push(started.elapsed());
            }
            for _ in 0..3 {
                for bytes in &objects {
                    let id = ObjectId::of(bytes);
                    let started = Instant::now();
                    let _ = block_on(store.read(&id)).unwrap();
                    reads.push(started.elapsed());
                }
            }
            writes.sort();
            reads.sort();
            line +=
                &format!("  {name} {:?} ({:?})", writes[writes.len() / 2], reads[reads.len() / 2]);
        }
        println!("{line}");
    }
}

fn size() {
    for count in [10_000u64, 100_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let store = open(&path);
        for number in 0..count {
            let op = Op::Put {
                key: head(number),
                entry: NewEntry::record(noise(70, number)),
                when: When::Always,
            };
            apply(&store, Batch { objects: vec![], ops: vec![op] });
        }
        println!(
            "{count} heads of 70 bytes: {:.0} bytes each on disk",
            disk(&path, store) / count as f64
        );
        let path = folder.path().join("t");
        let store = open(&path);
        for number in 0..count {
            apply(&store, result(number, 50));
        }
        println!(
            "{count} results (object 50, commit 200, head 70): {:.0} bytes each on disk",
            disk(&path, store) / count as f64
        );
    }
}

fn disk(path: &Path, store: SqliteStore) -> f64 {
    drop(store);
    let conn = rusqlite::Connection::open(path.join("store-v1.sqlite")).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let mut tables =
        conn.prepare("SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name").unwrap();
    let rows = tables.query_map([], |row| {
        Ok(format!(
            "{} {} kB (unused {})",
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)? >> 10,
            row.get::<_, i64>(2)? >> 10
        ))
    });
    println!("  {:?}", rows.unwrap().map(Result::unwrap).collect::<Vec<_>>());
    std::fs::metadata(path.join("store-v1.sqlite")).unwrap().len() as f64
}
