//! What goes, what stays, and that nothing is taken from a writer at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use afresh_core::Store;
use afresh_engine::{GcOptions, GcReport};
use afresh_store_memory::MemoryStore;
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use afresh_testkit::{Fault, FaultyStore};
use pollster::block_on;
use tempfile::TempDir;

use crate::support::*;

fn pause() {
    thread::sleep(Duration::from_millis(15));
}

#[test]
fn the_least_recently_used_go_first() {
    for (engine, _dir) in engines() {
        for n in 0..4 {
            let done =
                ticket(&engine, "f", n).finish(execution("f", n), output(noise(10_000, n as u64)));
            block_on(done).unwrap();
            pause();
        }
        assert!(hit(&engine, "f", 0).is_some(), "the oldest is used again");
        pause();
        let total = block_on(engine.stats()).unwrap();
        let budget = (total.inline_bytes + total.file_bytes) / 2 + 200;
        let options = GcOptions { max_size: Some(budget), ..GcOptions::default() };
        let dry = block_on(engine.gc(&GcOptions { dry_run: true, ..options })).unwrap();
        assert_eq!(block_on(engine.stats()).unwrap().commits, 4, "a dry run changes nothing");
        let report = block_on(engine.gc(&options)).unwrap();
        assert_eq!((report.commits, report.heads), (dry.commits, dry.heads));
        assert!(hit(&engine, "f", 0).is_some());
        assert!(hit(&engine, "f", 1).is_none());
        let left = block_on(engine.stats()).unwrap();
        assert!(left.inline_bytes + left.file_bytes <= budget, "{left:?}");
        assert!(block_on(engine.verify(false, |_, _| ())).unwrap().is_clean());
    }
}

#[test]
fn the_expired_and_the_old_go() {
    for (engine, _dir) in engines() {
        compute(&engine, "f", 1, "keep");
        let mut short = execution("f", 2);
        short.ttl = Some(Duration::from_millis(5));
        block_on(ticket(&engine, "f", 2).finish(short, output("short"))).unwrap();
        pause();
        let report = block_on(engine.gc(&GcOptions::default())).unwrap();
        assert_eq!(report.commits, 1);
        assert!(hit(&engine, "f", 1).is_some());
        pause();
        let old = GcOptions { older_than: Some(Duration::from_millis(10)), ..GcOptions::default() };
        assert_eq!(block_on(engine.gc(&old)).unwrap().commits, 1);
        pause();
        block_on(engine.gc(&GcOptions::default())).unwrap();
        let left = block_on(engine.stats()).unwrap();
        assert_eq!((left.commits, left.inline_objects + left.file_objects), (0, 0), "{left:?}");
    }
}

#[test]
fn nothing_to_do_is_no_error() {
    for (engine, _dir) in engines() {
        assert_eq!(block_on(engine.gc(&GcOptions::default())).unwrap(), GcReport::default());
    }
}

/// Writers that all produce the same few results, beside a gc that lets go of everything it can: whatever is
/// published leads somewhere.
#[test]
fn a_writer_never_loses_an_object_to_gc() {
    let dir = TempDir::new().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|w| {
            let (engine, stop) = (sqlite(&dir), Arc::clone(&stop));
            thread::spawn(move || {
                let mut n = w * 1_000_000;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    // Large enough for a file every other time; few distinct contents.
                    let bytes = format!("{}", n % 3).repeat(if n % 2 == 0 { 10 } else { 100_000 });
                    compute(&engine, "f", n, &bytes);
                    assert!(
                        n % 7 != 0 || hit(&engine, "f", n).is_none_or(|hit| hit.bytes == bytes),
                        "a wrong value"
                    );
                }
            })
        })
        .collect();
    let collector = sqlite(&dir);
    let options = GcOptions { max_size: Some(0), ..GcOptions::default() };
    let end = std::time::Instant::now() + Duration::from_secs(3);
    let mut rounds = 0;
    while std::time::Instant::now() < end {
        block_on(collector.gc(&options)).unwrap();
        rounds += 1;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().unwrap();
    }
    let report = block_on(collector.verify(false, |_, _| ())).unwrap();
    println!("{rounds} rounds of gc beside 3 writers; {} commits left", report.commits);
    assert!(report.is_clean(), "{:?}", &report.problems[..report.problems.len().min(5)]);
}

#[test]
fn an_answer_that_came_meanwhile_stays_and_all_else_goes() {
    const MANY: i64 = 300;
    let dir = TempDir::new().unwrap();
    let sqlite = SqliteStore::open(&dir.path().join("store"), SqliteOptions::default()).unwrap();
    let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), Arc::new(sqlite)];
    for store in stores {
        let faulty = FaultyStore::new(store.clone());
        let (collector, engine) = (over(Arc::new(faulty.clone())), over(store));
        for n in 0..MANY {
            compute(&engine, "f", n, "old");
        }
        // It has read the heads by then, and deletes nothing before.
        faulty.plan("list", 1, Fault::Delay(Duration::from_secs(1)));
        let before = faulty.calls("list");
        let report = thread::scope(|scope| {
            let options = GcOptions { max_size: Some(0), ..GcOptions::default() };
            let collecting = scope.spawn(move || block_on(collector.gc(&options)).unwrap());
            while faulty.calls("list") == before {
                thread::sleep(Duration::from_millis(1));
            }
            let forced = block_on(engine.start(&fingerprint("f", 7))).unwrap();
            block_on(forced.finish(execution("f", 7), output("new"))).unwrap();
            collecting.join().unwrap()
        });
        assert_eq!(report.commits, MANY as u64);
        let left = block_on(engine.stats()).unwrap();
        assert_eq!((left.commits, left.answers), (1, 1));
        assert_eq!(&hit(&engine, "f", 7).unwrap().bytes[..], b"new");
        assert!((0..MANY).all(|n| n == 7 || hit(&engine, "f", n).is_none()));
        assert!(block_on(engine.verify(false, |_, _| ())).unwrap().is_clean());
    }
}
