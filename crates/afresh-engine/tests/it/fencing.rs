//! Late owners, forced runs, and answers that are taken back while somebody computes.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};

use afresh_core::{Batch, Op, Scan, Space, When};
use afresh_engine::{GcOptions, Selection};
use pollster::block_on;

use crate::support::*;

#[test]
fn a_late_owner_does_not_replace_a_newer_answer() {
    for (engine, _dir) in engines() {
        let key = fingerprint("f", 1);
        let early = block_on(engine.start(&key)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(3));
        let late = block_on(engine.start(&key)).unwrap();
        assert!(block_on(late.finish(execution("f", 1), output("late"))).unwrap().published);
        let fenced = block_on(early.finish(execution("f", 1), output("early"))).unwrap();
        assert!(!fenced.published);
        assert_eq!(&hit(&engine, "f", 1).unwrap().bytes[..], b"late");
        assert!(block_on(engine.show(&fenced.commit)).unwrap().is_some(), "it is on record");
        assert_eq!(block_on(engine.stats()).unwrap().hits, 1, "a forced run is not a hit");
    }
}

#[test]
fn the_later_of_two_forced_runs_wins_in_either_order() {
    for (engine, _dir) in engines() {
        let key = fingerprint("f", 1);
        let early = block_on(engine.start(&key)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(3));
        let late = block_on(engine.start(&key)).unwrap();
        assert!(block_on(early.finish(execution("f", 1), output("early"))).unwrap().published);
        assert!(block_on(late.finish(execution("f", 1), output("late"))).unwrap().published);
        assert_eq!(&hit(&engine, "f", 1).unwrap().bytes[..], b"late");
    }
}

#[test]
fn what_began_before_an_invalidation_is_not_published() {
    for (engine, _dir) in engines() {
        for (n, invalidate) in [
            (
                1,
                Box::new(|| block_on(engine.forget(&fingerprint("f", 1))).map(drop))
                    as Box<dyn Fn() -> _>,
            ),
            (2, Box::new(|| block_on(engine.invalidate(&Selection::default())).map(drop))),
            (3, Box::new(|| block_on(engine.clear()).map(drop))),
        ] {
            let ticket = ticket(&engine, "f", n);
            invalidate().unwrap();
            let done = block_on(ticket.finish(execution("f", n), output("old"))).unwrap();
            assert!(!done.published);
            assert!(hit(&engine, "f", n).is_none());
            compute(&engine, "f", n, "new");
            assert_eq!(&hit(&engine, "f", n).unwrap().bytes[..], b"new");
        }
    }
}

fn by_tag(tag: &str) -> Selection {
    Selection { tags: vec![tag.parse().unwrap()], ..Selection::default() }
}

fn by_name(name: &str) -> Selection {
    Selection { function: Some(name.into()), ..Selection::default() }
}

#[test]
fn what_is_taken_back_meanwhile_gives_up_only_what_is_meant() {
    for (engine, _dir) in engines() {
        let finish = |n: i64, taken: &dyn Fn()| {
            let ticket = ticket(&engine, "m.f", n);
            taken();
            let done = block_on(ticket.finish(tagged("m.f", n, "team=a"), output("x"))).unwrap();
            assert_eq!(done.published, hit(&engine, "m.f", n).is_some());
            done.published
        };
        let invalidate =
            |selection: &Selection| block_on(engine.invalidate(selection)).map(drop).unwrap();
        // The first time that anything is taken back nothing is known of what was before.
        invalidate(&by_tag("other"));
        for (n, not_meant) in
            [by_tag("team=b"), by_tag("a"), by_name("g"), by_name("f.m")].iter().enumerate()
        {
            assert!(finish(10 + n as i64, &|| invalidate(not_meant)), "{not_meant:?}");
        }
        for (n, meant) in
            [by_tag("team=a"), by_tag("team"), by_name("f"), by_name("m.f"), Selection::default()]
                .iter()
                .enumerate()
        {
            assert!(!finish(20 + n as i64, &|| invalidate(meant)), "{meant:?}");
            // Also where something else follows.
            let both = || {
                invalidate(meant);
                invalidate(&by_tag("team=b"));
            };
            assert!(!finish(30 + n as i64, &both), "{meant:?}");
        }
        let forget = |n: i64| block_on(engine.forget(&fingerprint("m.f", n))).map(drop).unwrap();
        assert!(finish(40, &|| forget(41)));
        assert!(!finish(42, &|| forget(42)));
        // What was lost counts as taken back, also when something else was taken back after that.
        let lose = || {
            let scan = Scan { prefix: "taken-1".into(), ..Scan::new(Space::Named) };
            let found = block_on(engine.store().scan(&scan)).unwrap().entries;
            let delete = |(key, _)| Op::Delete { key, when: When::Always };
            let ops: Vec<_> = found.into_iter().map(delete).collect();
            assert_eq!(ops.len(), 1);
            block_on(engine.store().apply(Batch { objects: Vec::new(), ops })).unwrap();
        };
        let lost = || {
            invalidate(&by_tag("team=a"));
            lose();
            invalidate(&by_tag("team=b"));
        };
        assert!(!finish(43, &lost));
        assert!(finish(44, &|| invalidate(&by_tag("team=b"))));
    }
}

/// Stops the other threads, also where one has failed.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A value that changes, a call that reads it, and somebody who takes the call's answer back after each change, beside
/// others who take back what is not meant.
#[test]
fn no_answer_is_older_than_what_was_taken_back() {
    for (engine, _dir) in engines() {
        let (value, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let (engine, value, stop) = (&engine, &value, &stop);
        std::thread::scope(|scope| {
            for other in 0..2 {
                scope.spawn(move || {
                    while !stop.load(Relaxed) {
                        block_on(engine.invalidate(&by_tag(&format!("other={other}")))).unwrap();
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(move || {
                    while !stop.load(Relaxed) {
                        let ticket = block_on(engine.start(&fingerprint("m.f", 1))).unwrap();
                        let read = value.load(SeqCst).to_string();
                        std::thread::sleep(std::time::Duration::from_millis(3));
                        let done = ticket.finish(tagged("m.f", 1, "team=a"), output(read));
                        block_on(done).unwrap();
                    }
                });
            }
            let _end = End(stop);
            let (mut published, begun) = (0, std::time::Instant::now());
            for now in 1..50 {
                value.store(now, SeqCst);
                block_on(engine.invalidate(&by_tag("team=a"))).unwrap();
                for _ in 0..3 {
                    if let Some(hit) = hit(engine, "m.f", 1) {
                        published += 1;
                        assert_eq!(&hit.bytes[..], now.to_string().as_bytes());
                    }
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }
            println!("{published} answers were seen in {:?}", begun.elapsed());
            assert!(published > 20, "{published}");
        });
    }
}

#[test]
fn a_run_that_is_not_cached_leaves_a_commit_only() {
    for (engine, _dir) in engines() {
        compute(&engine, "f", 1, "one");
        let ticket = block_on(engine.start(&fingerprint("f", 1))).unwrap().unpublished();
        let done = block_on(ticket.finish(execution("f", 1), output("two"))).unwrap();
        assert_eq!(&hit(&engine, "f", 1).unwrap().bytes[..], b"one");
        let commit = block_on(engine.show(&done.commit)).unwrap().unwrap();
        assert_eq!(block_on(engine.output(&commit)).unwrap().unwrap(), "two");
    }
}

#[test]
fn invalidation_by_tag_takes_what_carries_it_and_nothing_else() {
    for (engine, _dir) in engines() {
        for (n, tag) in [(1, "team=a"), (2, "team=b"), (3, "other")] {
            block_on(ticket(&engine, "m.f", n).finish(tagged("m.f", n, tag), output("x"))).unwrap();
        }
        assert_eq!(block_on(engine.invalidate(&by_tag("team=a"))).unwrap(), 1);
        assert!(hit(&engine, "m.f", 1).is_none());
        assert!(hit(&engine, "m.f", 2).is_some());
        assert_eq!(block_on(engine.invalidate(&by_tag("team"))).unwrap(), 1);
        assert!(hit(&engine, "m.f", 3).is_some());
        assert_eq!(block_on(engine.invalidate(&by_name("f"))).unwrap(), 1);
        assert_eq!(block_on(engine.stats()).unwrap().commits, 3, "history stays");
    }
}

#[test]
fn an_answer_is_published_when_gc_took_the_stale_one_meanwhile() {
    for (engine, _dir) in engines() {
        let mut short = execution("f", 1);
        short.ttl = Some(std::time::Duration::from_millis(1));
        block_on(ticket(&engine, "f", 1).finish(short, output("old"))).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
        let ticket = ticket(&engine, "f", 1);
        assert_eq!(block_on(engine.gc(&GcOptions::default())).unwrap().heads, 1);
        assert!(block_on(ticket.finish(execution("f", 1), output("new"))).unwrap().published);
        assert_eq!(&hit(&engine, "f", 1).unwrap().bytes[..], b"new");
    }
}

#[test]
fn a_full_name_does_not_mean_others_that_end_so() {
    for (engine, _dir) in engines() {
        compute(&engine, "m.f", 1, "x");
        compute(&engine, "pkg.m.f", 1, "x");
        assert_eq!(block_on(engine.invalidate(&by_name("m.f"))).unwrap(), 1);
        assert!(hit(&engine, "pkg.m.f", 1).is_some());
        assert_eq!(block_on(engine.invalidate(&by_name("f"))).unwrap(), 1);
    }
}
