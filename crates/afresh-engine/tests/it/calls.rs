//! Begin, finish, fail.

use std::time::Duration;

use afresh_core::{Failure, Outcome, Status};
use afresh_engine::{Begun, Output, Policy};
use pollster::block_on;

use crate::support::*;

#[test]
fn a_finished_call_is_a_hit_with_its_bytes() {
    for (engine, _dir) in engines() {
        assert!(hit(&engine, "f", 1).is_none());
        let finished = compute(&engine, "f", 1, "[1]");
        assert!(finished.published);
        let hit = hit(&engine, "f", 1).unwrap();
        assert_eq!((&hit.bytes[..], hit.commit()), (&b"[1]"[..], finished.commit));
        assert!(matches!(begin(&engine, "f", 2), Begun::Run(_)));
        assert!(matches!(begin(&engine, "g", 1), Begun::Run(_)));
    }
}

#[test]
fn results_of_every_size_come_back() {
    for (engine, _dir) in engines() {
        for (n, len) in [0, 1, 1000, 40_000, 3 << 20].into_iter().enumerate() {
            let n = n as i64;
            let bytes: Vec<u8> = (0..len).map(|i: usize| ((i * i) >> 3) as u8).collect();
            let done = ticket(&engine, "big", n).finish(execution("big", n), output(bytes.clone()));
            block_on(done).unwrap();
            assert_eq!(hit(&engine, "big", n).unwrap().bytes, bytes, "{len}");
        }
    }
}

#[test]
fn a_failure_is_recorded_and_not_replayed() {
    for (engine, _dir) in engines() {
        let failure =
            Failure { kind: "ValueError".into(), message: "no".into(), traceback: "…".into() };
        let done = block_on(ticket(&engine, "f", 1).fail(execution("f", 1), failure.clone(), None))
            .unwrap();
        let commit = block_on(engine.show(&done.commit)).unwrap().unwrap();
        assert_eq!(commit.outcome, Outcome::Failed(failure));
        assert!(matches!(begin(&engine, "f", 1), Begun::Run(_)));
        let stats = block_on(engine.stats()).unwrap();
        assert_eq!((stats.commits, stats.completed, stats.failed), (1, 0, 1));
    }
}

#[test]
fn what_cannot_be_kept_says_why_and_is_run_again() {
    for (engine, _dir) in engines() {
        let output = Output::Unkept { reason: "a lock".into() };
        let done = block_on(ticket(&engine, "f", 1).finish(execution("f", 1), output)).unwrap();
        let commit = block_on(engine.show(&done.commit)).unwrap().unwrap();
        assert_eq!((commit.status(), commit.output()), (Status::Completed, None));
        assert!(format!("{:?}", commit.outcome).contains("a lock"));
        assert!(matches!(begin(&engine, "f", 1), Begun::Run(_)));
    }
}

#[test]
fn a_changed_ttl_acts_on_old_answers() {
    let hands = Hands::at(1_000_000);
    let engine = with_clock(std::sync::Arc::new(afresh_store_memory::MemoryStore::new()), &hands);
    compute(&engine, "f", 1, "1");
    hands.go(60_000);
    let look = |ttl| {
        let policy = Policy { ttl: Some(Duration::from_secs(ttl)), ..ALWAYS };
        block_on(engine.lookup(&fingerprint("f", 1), &policy)).unwrap().is_some()
    };
    assert!(look(120));
    assert!(!look(30));
    assert!(look(120));
    hands.go(-3_600_000);
    assert!(look(30), "a clock that was set back makes an answer young, not unusable");
}

#[test]
fn the_writers_ttl_counts_where_the_reader_has_none() {
    let hands = Hands::at(1_000_000);
    let engine = with_clock(std::sync::Arc::new(afresh_store_memory::MemoryStore::new()), &hands);
    let mut execution = execution("f", 1);
    execution.ttl = Some(Duration::from_secs(10));
    block_on(ticket(&engine, "f", 1).finish(execution, output("1"))).unwrap();
    hands.go(9_000);
    assert!(hit(&engine, "f", 1).is_some());
    hands.go(2_000);
    assert!(hit(&engine, "f", 1).is_none());
}
