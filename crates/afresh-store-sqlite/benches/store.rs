//! Measures what the store was tuned by, and prints it.
//!
//! `cargo bench -p afresh-store-sqlite --bench store [-- miss|hit|latency|crossover|size]`; without a name, everything. Writers of the
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
use std::time::{Duration, Instant};

use afresh_core::{
    Batch, Key, Labels, NewEntry, ObjectId, ObjectRef, Op, Space, Status, Store, Timestamp, When,
};
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use bytes::Bytes;
use pollster::block_on;

use common::{apply, disk, head, noise, open, quantiles, recording};

mod common;

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
        args = ["miss", "hit", "latency", "crossover", "size"].map(str::to_owned).to_vec();
    }
    for arg in args {
        match arg.as_str() {
            "hit" => hit(),
            "miss" => miss(),
            "latency" => [1, 2, 3].into_iter().for_each(|n| drop(processes("writer", n, PUTS))),
            "crossover" => crossover(),
            "size" => size(),
            other => println!("no figure is called {other}"),
        }
    }
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
    let log = std::fs::metadata(path.join("store-v2.sqlite-wal")).unwrap().len() >> 20;
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
