//! Accepted edits: what answers as what, until when, and what is taken back.

use std::sync::Arc;

use afresh_core::{Batch, Function, FunctionId, Key, Kind, NewEntry, Op, Scan, Space, When};
use afresh_engine::{Accept, Engine, Execution, Finished, Problem};
use pollster::block_on;

use crate::support::*;

fn id(n: u8) -> FunctionId {
    FunctionId::new([n; 32])
}

fn statement(new: u8, old: u8) -> Accept {
    Accept {
        new: id(new),
        old: id(old),
        code: id(new),
        edits: Vec::new(),
        at: Default::default(),
        who: who(),
        reason: Some("only a log line".into()),
        signature: None,
    }
}

fn say(engine: &Engine, new: u8, old: u8) -> afresh_core::Result<Accept> {
    block_on(engine.accept("m.f", statement(new, old)))
}

fn stands(engine: &Engine, n: u8) -> FunctionId {
    block_on(engine.accepted("m.f")).unwrap().resolve(&id(n))
}

/// An execution of `m.f(n)` by code `code` under the digest `under`.
fn run(engine: &Engine, under: u8, code: u8, n: i64) -> Finished {
    let record = format!("{{\"digest\":\"{}\"}}", id(code));
    let function = Arc::new(Function::new("m.f", id(under), record));
    let arguments = vec![argument(n)];
    let fingerprint = afresh_core::Argument::fingerprint(&function.id, "m.f", &arguments);
    let ticket = block_on(engine.start(&fingerprint)).unwrap();
    let execution = Execution { function, arguments, ..execution("m.f", n) };
    block_on(ticket.finish(execution, output("result"))).unwrap()
}

fn answers(engine: &Engine, under: u8) -> u64 {
    let all = block_on(engine.remembered()).unwrap();
    all.first().and_then(|of| of.versions.get(&id(under))).map_or(0, |worth| worth.answers)
}

#[test]
fn statements_are_followed_and_can_be_withdrawn() {
    for (engine, _dir) in engines() {
        assert_eq!(stands(&engine, 2), id(2));
        say(&engine, 2, 1).unwrap();
        say(&engine, 3, 2).unwrap();
        assert_eq!(
            (stands(&engine, 3), stands(&engine, 2), stands(&engine, 1)),
            (id(1), id(1), id(1))
        );
        assert_eq!(stands(&engine, 4), id(4));
        // Of another function nothing was said.
        let other = block_on(engine.accepted("m.g")).unwrap();
        assert_eq!(other.resolve(&id(2)), id(2));

        let all = block_on(engine.all_accepted()).unwrap();
        assert_eq!((all.len(), all[0].0.as_str(), all[0].1.statements().len()), (1, "m.f", 2));
        assert_eq!(all[0].1.statements()[0].reason.as_deref(), Some("only a log line"));

        let gone = block_on(engine.unaccept("m.f", &id(2))).unwrap().unwrap();
        assert_eq!((gone.statement.old, gone.taken), (id(1), 0));
        assert_eq!((stands(&engine, 3), stands(&engine, 2)), (id(2), id(2)));
        assert!(block_on(engine.unaccept("m.f", &id(2))).unwrap().is_none());
        block_on(engine.unaccept("m.f", &id(3))).unwrap().unwrap();
        assert!(block_on(engine.all_accepted()).unwrap().is_empty());
    }
}

#[test]
fn a_circle_is_refused_and_a_second_statement_replaces_the_first() {
    for (engine, _dir) in engines() {
        say(&engine, 2, 1).unwrap();
        say(&engine, 3, 2).unwrap();
        for (new, old) in [(1, 2), (1, 3), (1, 1)] {
            let error = say(&engine, new, old).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.hint().is_some());
        }
        assert_eq!(stands(&engine, 1), id(1));
        say(&engine, 3, 9).unwrap();
        assert_eq!(stands(&engine, 3), id(9));
        assert_eq!(block_on(engine.accepted("m.f")).unwrap().statements().len(), 2);
    }
}

#[test]
fn what_the_edited_code_answered_goes_with_the_statement() {
    for (engine, _dir) in engines() {
        run(&engine, 1, 1, 1);
        run(&engine, 1, 1, 2);
        say(&engine, 2, 1).unwrap();
        say(&engine, 3, 2).unwrap();
        run(&engine, 1, 2, 3);
        run(&engine, 1, 3, 4);
        // Computed anew by the old code: none of the statement's business.
        run(&engine, 1, 2, 5);
        run(&engine, 1, 1, 5);
        assert_eq!(answers(&engine, 1), 5);
        // The code of 3 answered through the statement about 2 as well.
        let gone = block_on(engine.unaccept("m.f", &id(2))).unwrap().unwrap();
        assert_eq!((gone.taken, answers(&engine, 1)), (2, 3));
    }
}

#[test]
fn an_edit_is_accepted_as_the_newest_other_code_that_returned() {
    for (engine, _dir) in engines() {
        assert!(block_on(engine.before_edit("m.f", &id(3))).unwrap().is_none());
        let pause = || std::thread::sleep(std::time::Duration::from_millis(3));
        run(&engine, 1, 1, 1);
        pause();
        let newest = run(&engine, 2, 2, 1).commit;
        pause();
        run(&engine, 3, 3, 1);
        compute(&engine, "f", 1, "another function");
        let (found, commit) = block_on(engine.before_edit("m.f", &id(3))).unwrap().unwrap();
        assert_eq!((found, commit.function_id), (newest, id(2)));
    }
}

#[test]
fn statements_travel_and_stay() {
    for (engine, _dir) in engines() {
        run(&engine, 1, 1, 1);
        say(&engine, 2, 1).unwrap();
        let all = afresh_engine::GcOptions {
            older_than: Some(std::time::Duration::ZERO),
            ..Default::default()
        };
        block_on(engine.gc(&all)).unwrap();
        assert_eq!(stands(&engine, 2), id(1));
        let mut archive = Vec::new();
        block_on(engine.export(&mut archive)).unwrap();

        let there = memory();
        block_on(there.accept("m.f", statement(1, 3))).unwrap();
        block_on(there.import(&archive[..])).unwrap();
        assert_eq!(block_on(there.accepted("m.f")).unwrap().resolve(&id(2)), id(3));
        // What would close a circle with what is said there is left out.
        let against = memory();
        block_on(against.accept("m.f", statement(1, 2))).unwrap();
        block_on(against.import(&archive[..])).unwrap();
        assert_eq!(block_on(against.accepted("m.f")).unwrap().resolve(&id(2)), id(2));

        block_on(engine.clear()).unwrap();
        assert_eq!(stands(&engine, 2), id(2));
    }
}

#[test]
fn with_a_secret_only_signed_statements_count() {
    let store: Arc<dyn afresh_core::Store> = Arc::new(afresh_store_memory::MemoryStore::new());
    let with = |secret: Option<&str>| {
        let secret = secret.map(afresh_engine::Secret::new);
        let options = afresh_engine::Options { who: who(), secret, ..Default::default() };
        Engine::new(Arc::clone(&store), options)
    };
    let (plain, ours, theirs) = (with(None), with(Some("ours")), with(Some("theirs")));
    say(&plain, 2, 1).unwrap();
    assert_eq!((stands(&plain, 2), stands(&ours, 2)), (id(1), id(2)));
    say(&ours, 2, 1).unwrap();
    assert_eq!((stands(&plain, 2), stands(&ours, 2), stands(&theirs, 2)), (id(1), id(1), id(2)));
    // A signature is about one function, and about both digests.
    let signed = block_on(plain.accepted("m.f")).unwrap().statements()[0].clone();
    assert!(signed.signature.is_some());
}

#[test]
fn damaged_statements_count_as_none_and_are_found() {
    for (engine, _dir) in engines() {
        say(&engine, 2, 1).unwrap();
        let mut keys: Vec<Key> = Vec::new();
        let page = block_on(engine.store().scan(&Scan::new(Space::Named))).unwrap();
        keys.extend(page.entries.into_iter().map(|(key, _)| key));
        let op = Op::Put {
            key: keys.remove(0),
            entry: NewEntry::record(b"\x01{\"function\":".to_vec()),
            when: When::Always,
        };
        block_on(engine.store().apply(Batch { objects: Vec::new(), ops: vec![op] })).unwrap();
        assert_eq!(stands(&engine, 2), id(2));
        let report = block_on(engine.verify(true, |_, _| ())).unwrap();
        assert!(matches!(report.problems[..], [Problem::DamagedAccepts(_)]));
        assert!(block_on(engine.verify(false, |_, _| ())).unwrap().is_clean());
    }
}
