//! Measures what becomes of the store with a million results, and prints it.
//!
//! `cargo bench -p afresh-store-sqlite --bench scale [-- look|evict]`; without a name, both. `MANY` says how many results
//! (several, with commas); `KEPT` names a folder where filled stores are kept for the next run.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use afresh_core::{Batch, Key, Op, Order, Scan, Space, Store, Version, When};
use afresh_store_sqlite::SqliteStore;
use pollster::block_on;

use common::{apply, head, open, quantiles, recording};

mod common;

fn main() {
    let mut args: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if args.is_empty() {
        args = ["look", "evict"].map(str::to_owned).to_vec();
    }
    let many = std::env::var("MANY").unwrap_or("1000,60000,1000000".to_owned());
    for many in many.split(',').map(|text| text.parse().unwrap()) {
        for arg in &args {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("s");
            filled(&path, many);
            match arg.as_str() {
                "look" => look(&path, many),
                "evict" => evict(&path, many),
                other => println!("no figure is called {other}"),
            }
        }
    }
}

/// Has a store with `many` results at `path`.
fn filled(path: &Path, many: u64) {
    const FILE: &str = "store-v2.sqlite";
    let kept = std::env::var_os("KEPT").map(|kept| PathBuf::from(kept).join(many.to_string()));
    if let Some(kept) = kept.as_ref().filter(|kept| kept.is_dir()) {
        std::fs::create_dir_all(path).unwrap();
        std::fs::copy(kept.join(FILE), path.join(FILE)).unwrap();
        return;
    }
    let store = open(path);
    let started = Instant::now();
    // Few large batches: it is not the filling that is measured.
    for from in (0..many).step_by(20_000) {
        let ops =
            (from..many.min(from + 20_000)).flat_map(|number| recording(number).ops).collect();
        apply(&store, Batch { objects: vec![], ops });
    }
    println!("{many} results, filled in {:?}", started.elapsed());
    drop(store);
    if let Some(kept) = kept {
        let conn = rusqlite::Connection::open(path.join(FILE)).unwrap();
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        std::fs::create_dir_all(&kept).unwrap();
        std::fs::copy(path.join(FILE), kept.join(FILE)).unwrap();
    }
}

fn timed(name: &str, count: u64, work: impl Fn(u64)) {
    let times = (0..count).map(|number| {
        let started = Instant::now();
        work(number);
        started.elapsed()
    });
    quantiles(name, times.collect());
}

fn get(store: &SqliteStore, number: u64) -> bool {
    block_on(store.get(&[head(number)])).unwrap()[0].is_some()
}

/// A number below `many`, without a pattern.
fn random(number: u64, many: u64) -> u64 {
    let [a, b, c, d, ..] = *blake3::hash(&number.to_be_bytes()).as_bytes();
    u64::from(u32::from_le_bytes([a, b, c, d])) % many
}

fn look(path: &Path, many: u64) {
    println!("{many} results");
    let store = open(path);
    timed("  get of one, for the first time", 50_000, |number| {
        assert!(get(&store, random(number, many)));
    });
    timed("  get of one, again", 50_000, |number| assert!(get(&store, random(number, many))));
    let one = 20_000.min(many);
    timed("  get of some thousands", 50_000, |number| assert!(get(&store, number % 1000)));
    timed("  get of nothing", one, |number| assert!(!get(&store, many + number)));
    timed("  finish", 5_000, |number| apply(&store, recording(many + number)));
    timed("  get of one, after writes", 50_000, |number| {
        assert!(get(&store, random(number, many)));
    });
    let newest = Scan { order: Order::Newest, limit: 50, ..Scan::new(Space::Commit) };
    timed("  the newest 50", 200, |_| {
        assert!(block_on(store.scan(&newest)).unwrap().entries.len() == 50);
    });
    timed("  usage", 200, |_| assert!(block_on(store.usage()).unwrap().disk_bytes > 0));
}

/// What this thread has had of a processor, as other work on the machine adds to the time it takes.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// Deletes a tenth as `gc` does, the oldest first, while others read and write.
fn evict(path: &Path, many: u64) {
    println!("{many} results, {} evicted", many / 10);
    let size: usize = std::env::var("BATCH").map_or(256, |text| text.parse().unwrap());
    let store = open(path);
    let gone: Vec<(Key, Key)> = (0..many / 10)
        .map(|number| {
            let keys: Vec<Key> =
                recording(number).ops.iter().skip(2).map(|op| op.key().clone()).collect();
            (keys[0].clone(), keys[1].clone())
        })
        .collect();
    let versions: Vec<Version> = gone
        .chunks(1000)
        .flat_map(|some| {
            let heads: Vec<Key> = some.iter().map(|(head, _)| head.clone()).collect();
            block_on(store.get(&heads)).unwrap().into_iter().map(|entry| entry.unwrap().version)
        })
        .collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = &over;
        let other = open(path);
        let alone = std::env::var_os("ALONE").is_some();
        scope.spawn(move || {
            let mut times = vec![Duration::ZERO];
            while !alone && !over.load(Ordering::Relaxed) {
                let started = Instant::now();
                assert!(get(&other, many / 2 + random(times.len() as u64, many / 2)));
                times.push(started.elapsed());
                thread::sleep(Duration::from_micros(100));
            }
            quantiles("  get by another meanwhile", times);
        });
        let other = open(path);
        scope.spawn(move || {
            let mut times = vec![Duration::ZERO];
            while !alone && !over.load(Ordering::Relaxed) {
                let batch = recording(many + times.len() as u64);
                let started = Instant::now();
                apply(&other, batch);
                times.push(started.elapsed());
                thread::sleep(Duration::from_millis(1));
            }
            quantiles("  finish by another meanwhile", times);
        });
        let (started, cpu) = (Instant::now(), processor());
        for (some, versions) in gone.chunks(size / 2).zip(versions.chunks(size / 2)) {
            let heads = some.iter().zip(versions).map(|((head, _), version)| Op::Delete {
                key: head.clone(),
                when: When::Is(*version),
            });
            let commits = some
                .iter()
                .map(|(_, commit)| Op::Delete { key: commit.clone(), when: When::Always });
            apply(&store, Batch { objects: vec![], ops: heads.chain(commits).collect() });
        }
        println!(
            "  removed in {:?}, {:?} of a processor, {size} a batch",
            started.elapsed(),
            processor() - cpu
        );
        over.store(true, Ordering::Relaxed);
        let started = Instant::now();
        let conn = rusqlite::Connection::open(path.join("store-v2.sqlite")).unwrap();
        let marked = || -> bool {
            conn.query_row("SELECT EXISTS (SELECT 1 FROM entry WHERE expires = 0 UNION SELECT 1 FROM commits WHERE expires = 0)", [], |row| {
                row.get(0)
            })
            .unwrap()
        };
        while marked() {
            thread::sleep(Duration::from_millis(50));
        }
        println!("  rows deleted {:?} later", started.elapsed());
    });
}
