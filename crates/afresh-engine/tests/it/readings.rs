//! What an execution was seen to read: beside the arguments, and in no fingerprint.

use std::time::Duration;

use afresh_core::{Argument, CommitId};
use afresh_engine::{Again, Asked, Begun, Engine, Explanation, Policy, Ran};
use pollster::block_on;

use crate::support::*;

/// Runs `f(1)`, which reads a file that says `n`.
fn reads(engine: &Engine, n: i64) -> CommitId {
    let mut execution = execution("f", 1);
    execution.arguments.push(Argument { name: "file:rates.csv".into(), ..argument(n) });
    let ticket = block_on(engine.start(&fingerprint("f", 1))).unwrap();
    block_on(ticket.finish(execution, output(format!("{n}")))).unwrap().commit
}

fn except(id: CommitId) -> Policy {
    Policy { except: Some(id), ..ALWAYS }
}

#[test]
fn an_answer_that_is_known_to_be_out_of_date_is_computed_again_once() {
    for (engine, _dir) in engines() {
        let key = fingerprint("f", 1);
        assert_eq!(block_on(engine.standing(&key, &ALWAYS)).unwrap(), None);
        let id = reads(&engine, 1);
        assert_eq!(block_on(engine.standing(&key, &ALWAYS)).unwrap(), Some(id));
        assert!(block_on(engine.lookup(&key, &ALWAYS)).unwrap().is_some());
        assert!(block_on(engine.lookup(&key, &except(id))).unwrap().is_none());
        let Begun::Run(ticket) = block_on(engine.begin(&key, &except(id))).unwrap() else {
            panic!("it was answered")
        };
        let next = block_on(ticket.finish(execution("f", 1), output("2"))).unwrap();
        assert!(next.published);
        // Whoever knew only of the old one takes the new one.
        let Begun::Hit(hit) = block_on(engine.begin(&key, &except(id))).unwrap() else {
            panic!("it was computed")
        };
        assert_eq!(
            (hit.commit(), block_on(engine.show(&next.commit)).unwrap().unwrap().parent),
            (next.commit, Some(id))
        );
    }
}

#[test]
fn an_earlier_execution_may_answer_as_long_as_it_is_fresh_and_sound() {
    for (engine, _dir) in engines() {
        let (key, other) = (fingerprint("f", 1), fingerprint("f", 2));
        let (old, _new) = (reads(&engine, 1), reads(&engine, 2));
        let hit = block_on(engine.earlier(&key, &ALWAYS, &old)).unwrap().unwrap();
        assert_eq!((hit.commit(), &hit.bytes[..]), (old, &b"1"[..]));
        assert_eq!(block_on(engine.stats()).unwrap().hits, 1);
        assert!(block_on(engine.earlier(&other, &ALWAYS, &old)).unwrap().is_none());
        let brief = Policy { ttl: Some(Duration::ZERO), ..ALWAYS };
        assert!(block_on(engine.earlier(&key, &brief, &old)).unwrap().is_none());
        assert!(
            block_on(engine.earlier(&key, &ALWAYS, &CommitId::new([7; 32]))).unwrap().is_none()
        );
    }
}

#[test]
fn an_execution_is_explained_by_what_had_been_read_before_it() {
    for (engine, _dir) in engines() {
        let (_, second) = (reads(&engine, 1), reads(&engine, 2));
        let commit = block_on(engine.show(&second)).unwrap().unwrap();
        let Ran::Again { before, why } = block_on(engine.explain_commit(&second, &commit)).unwrap()
        else {
            panic!("not again")
        };
        assert_eq!(why, Again::Read);
        let names: Vec<_> = before.difference.arguments.iter().map(|one| &one.name).collect();
        assert_eq!(names, ["file:rates.csv"]);
        // A call that has not run yet is compared by its arguments only.
        let asked = Asked {
            fingerprint: fingerprint("f", 3),
            function: function("f"),
            arguments: vec![argument(3)],
        };
        let Explanation::Missing { nearest: Some(near), never_seen: true } =
            block_on(engine.explain(&asked, &ALWAYS)).unwrap()
        else {
            panic!("no near commit")
        };
        let names: Vec<_> = near.difference.arguments.iter().map(|one| &one.name).collect();
        assert_eq!(names, ["n"]);
    }
}
