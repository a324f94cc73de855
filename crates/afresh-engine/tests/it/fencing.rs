//! Late owners, forced runs, and answers that are taken back while somebody computes.

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
        let select =
            |tag: &str| Selection { tags: vec![tag.parse().unwrap()], ..Selection::default() };
        assert_eq!(block_on(engine.invalidate(&select("team=a"))).unwrap(), 1);
        assert!(hit(&engine, "m.f", 1).is_none());
        assert!(hit(&engine, "m.f", 2).is_some());
        assert_eq!(block_on(engine.invalidate(&select("team"))).unwrap(), 1);
        assert!(hit(&engine, "m.f", 3).is_some());
        let named = Selection { function: Some("f".into()), ..Selection::default() };
        assert_eq!(block_on(engine.invalidate(&named)).unwrap(), 1);
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
        let named = |name: &str| Selection { function: Some(name.into()), ..Selection::default() };
        assert_eq!(block_on(engine.invalidate(&named("m.f"))).unwrap(), 1);
        assert!(hit(&engine, "pkg.m.f", 1).is_some());
        assert_eq!(block_on(engine.invalidate(&named("f"))).unwrap(), 1);
    }
}
