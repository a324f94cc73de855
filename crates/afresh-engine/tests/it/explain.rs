//! Why a call would hit or run, and why an execution ran.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::{Argument, CommitId, Failure, Fingerprint, Function, FunctionId};
use afresh_engine::{
    Again, Asked, Engine, Execution, Explanation, Finished, Nearest, Output, Policy, Ran,
};
use afresh_store_memory::MemoryStore;
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use pollster::block_on;
use tempfile::TempDir;

use crate::support::*;

/// `m.f` as it was in this version, called with these values for `n` and `k`.
fn asked(version: u8, n: i64, k: i64) -> Asked {
    let record = format!("{{\"version\":{version}}}");
    let function = Arc::new(Function::new("m.f", FunctionId::new([version; 32]), record));
    let arguments = vec![argument(n), Argument { name: "k".into(), ..argument(k) }];
    let fingerprint: Fingerprint = Argument::fingerprint(&function.id, "m.f", &arguments);
    Asked { fingerprint, function, arguments }
}

fn run(
    engine: &Engine,
    asked: &Asked,
    ttl: Option<Duration>,
) -> (afresh_engine::Ticket, Execution) {
    let ticket = block_on(engine.start(&asked.fingerprint)).unwrap();
    let execution = Execution {
        function: Arc::clone(&asked.function),
        arguments: asked.arguments.clone(),
        inputs: vec![],
        tags: vec![],
        ttl,
        took: Some(Duration::ZERO),
    };
    (ticket, execution)
}

fn finish(engine: &Engine, asked: &Asked, ttl: Option<Duration>) -> Finished {
    let (ticket, execution) = run(engine, asked, ttl);
    block_on(ticket.finish(execution, output("result"))).unwrap()
}

fn fail(engine: &Engine, asked: &Asked) -> Finished {
    let (ticket, execution) = run(engine, asked, None);
    let failure =
        Failure { kind: "ValueError".into(), message: "no".into(), traceback: String::new() };
    block_on(ticket.fail(execution, failure, None)).unwrap()
}

fn explain(engine: &Engine, asked: &Asked) -> Explanation {
    block_on(engine.explain(asked, &ALWAYS)).unwrap()
}

fn missing(engine: &Engine, asked: &Asked) -> (Nearest, bool) {
    match explain(engine, asked) {
        Explanation::Missing { nearest: Some(nearest), never_seen } => (*nearest, never_seen),
        other => panic!("expected a near commit, got {other:?}"),
    }
}

fn ran(engine: &Engine, id: &CommitId) -> Ran {
    let commit = block_on(engine.show(id)).unwrap().unwrap();
    block_on(engine.explain_commit(id, &commit)).unwrap()
}

/// Both kinds of store, with a clock.
fn clocked() -> Vec<(Engine, Hands, TempDir)> {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let sqlite = SqliteStore::open(&two.path().join("store"), SqliteOptions::default()).unwrap();
    let (first, second) = (Hands::at(1_000), Hands::at(1_000));
    vec![
        (with_clock(Arc::new(MemoryStore::new()), &first), first, one),
        (with_clock(Arc::new(sqlite), &second), second, two),
    ]
}

#[test]
fn an_answer_is_told_with_where_it_came_from_and_when_it_ends() {
    for (engine, hands, _dir) in clocked() {
        let call = asked(1, 1, 1);
        let id = finish(&engine, &call, Some(Duration::from_secs(10))).commit;
        hands.go(9_999);
        let Explanation::Hit(answer) = explain(&engine, &call) else { panic!("no hit") };
        assert_eq!((answer.head.commit, answer.commit.unwrap().who), (id, who()));
        hands.go(4_001);
        let Explanation::Expired { answer, by } = explain(&engine, &call) else {
            panic!("not expired")
        };
        assert_eq!((answer.head.commit, by), (id, Duration::from_secs(4)));
        let policy = Policy { ttl: Some(Duration::from_secs(100)), ..ALWAYS };
        let found = block_on(engine.explain(&call, &policy)).unwrap();
        assert!(matches!(found, Explanation::Hit(_)));
        // Nobody has had an answer by asking.
        assert_eq!(block_on(engine.stats()).unwrap().hits, 0);
    }
}

#[test]
fn the_nearest_commit_is_the_one_that_differs_least() {
    for (engine, hands, _dir) in clocked() {
        let call = asked(2, 1, 1);
        let nothing = explain(&engine, &call);
        assert!(matches!(nothing, Explanation::Missing { nearest: None, never_seen: true }));
        let next = |version, n, k| {
            hands.go(10);
            finish(&engine, &asked(version, n, k), None).commit
        };

        next(1, 7, 7);
        let (nearest, never_seen) = missing(&engine, &call);
        assert!(never_seen && nearest.difference.function_changed);
        assert_eq!(nearest.difference.arguments.len(), 2);

        let edited = next(1, 1, 1);
        next(2, 7, 7);
        let (nearest, never_seen) = missing(&engine, &call);
        assert_eq!((nearest.id, never_seen), (edited, true));
        assert!(nearest.difference.arguments.is_empty());
        let (before, after) = nearest.difference.records.unwrap();
        assert_eq!((&before[..], &after[..]), (&b"{\"version\":1}"[..], &b"{\"version\":2}"[..]));

        let other = next(2, 1, 7);
        next(1, 1, 8);
        // One difference each: the edit is what whoever asks wants to hear of.
        assert_eq!(missing(&engine, &call).0.id, edited);
        let call = asked(2, 1, 5);
        let (nearest, _) = missing(&engine, &call);
        assert_eq!((nearest.id, nearest.difference.function_changed), (other, false));
        let change = &nearest.difference.arguments[0];
        assert_eq!(
            (change.name.as_str(), change.a.as_deref(), change.b.as_deref()),
            ("k", Some("7"), Some("5"))
        );
        // Commits of other functions are no comparison.
        compute(&engine, "f", 1, "x");
        assert_eq!(missing(&engine, &call).0.id, other);
    }
}

#[test]
fn a_call_that_ran_in_vain_is_told_as_such() {
    for (engine, hands, _dir) in clocked() {
        let call = asked(1, 1, 1);
        let failed = fail(&engine, &call).commit;
        hands.go(10);
        finish(&engine, &asked(1, 1, 2), None);
        let (nearest, never_seen) = missing(&engine, &call);
        assert_eq!((nearest.id, never_seen), (failed, false));
        assert!(!nearest.difference.function_changed && nearest.difference.arguments.is_empty());
        hands.go(10);
        finish(&engine, &call, None);
        assert!(block_on(engine.forget(&call.fingerprint)).unwrap());
        let (nearest, never_seen) = missing(&engine, &call);
        assert!(nearest.commit.output().is_some() && !never_seen);
    }
}

#[test]
fn an_answer_that_leads_nowhere_is_told_and_left_alone() {
    let (engine, dir) = engines().pop().unwrap();
    let call = asked(1, 1, 1);
    let (ticket, execution) = run(&engine, &call, None);
    let bytes = noise(200_000, 3);
    let large = Output::Bytes { codec: "raw".into(), blob: bytes.clone().into(), value: None };
    block_on(ticket.finish(execution, large)).unwrap();
    let id = afresh_core::ObjectId::of(&bytes).to_string();
    let file = dir.path().join("store/objects-v1").join(&id[..2]).join(&id);
    std::fs::remove_file(file).unwrap();
    for _ in 0..2 {
        let Explanation::Unusable { reason, .. } = explain(&engine, &call) else {
            panic!("usable")
        };
        assert_eq!(reason, "its result is damaged or gone");
    }
}

#[test]
fn an_execution_is_explained_by_what_came_before_it() {
    for (engine, hands, _dir) in clocked() {
        let next = |call: &Asked, millis| {
            hands.go(millis);
            finish(&engine, call, Some(Duration::from_secs(10))).commit
        };
        let call = asked(1, 1, 1);
        let again = |id: &CommitId| match ran(&engine, id) {
            Ran::Again { before, why } => (before.id, why),
            other => panic!("not again: {other:?}"),
        };
        let first = next(&call, 10);
        let forced = next(&call, 10);
        let expired = next(&call, 10_000);
        block_on(engine.forget(&call.fingerprint)).unwrap();
        let retaken = next(&call, 10);
        hands.go(10);
        let other = asked(1, 2, 1);
        let failed = fail(&engine, &other).commit;
        let retried = next(&other, 10);
        let edited = next(&asked(2, 2, 1), 10);

        assert!(matches!(ran(&engine, &first), Ran::First));
        assert_eq!(again(&forced), (first, Again::Forced));
        assert_eq!(again(&expired), (forced, Again::Expired));
        assert_eq!(again(&retaken), (expired, Again::TakenBack));
        assert_eq!(again(&retried), (failed, Again::Failed));
        let new = |id: &CommitId| match ran(&engine, id) {
            Ran::New(nearest) => *nearest,
            other => panic!("not new: {other:?}"),
        };
        assert_eq!((new(&failed).id, new(&failed).difference.arguments.len()), (retaken, 1));
        let nearest = new(&edited);
        assert_eq!((nearest.id, nearest.difference.function_changed), (retried, true));
        assert!(nearest.difference.records.is_some());
    }
}
