//! Engines of two hosts over one database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_core::{Argument, Fingerprint, Function, FunctionId, ObjectId, fp1};
use afresh_engine::{
    Begun, Engine, Execution, Finished, GcOptions, Options, Output, Policy, Selection, Ticket,
};
use afresh_store_sql::open;
use pollster::block_on;

use crate::support::{KINDS, prefix, shared};

const ALWAYS: Policy = Policy {
    ttl: None,
    sliding: false,
    max_age: None,
    stale: None,
    early: None,
    refresh_after: None,
    soft: None,
    except: None,
};

fn argument(n: i64) -> Argument {
    let mut encoder = fp1::Encoder::new();
    encoder.int(n);
    Argument { name: "n".into(), digest: encoder.finish(), preview: n.to_string(), source: None }
}

fn function() -> Arc<Function> {
    Arc::new(Function::new("f", FunctionId::new(*ObjectId::of(b"f").as_bytes()), "{}".to_owned()))
}

fn fingerprint(n: i64) -> Fingerprint {
    Argument::fingerprint(&function().id, "f", &[argument(n)])
}

fn ticket(engine: &Engine, n: i64) -> Ticket {
    match block_on(engine.begin(&fingerprint(n), &ALWAYS)).unwrap() {
        Begun::Run(ticket) => ticket,
        other => panic!("expected to run, got {other:?}"),
    }
}

fn finish(ticket: Ticket, n: i64) -> Finished {
    let execution = Execution {
        function: function(),
        arguments: vec![argument(n)],
        inputs: vec![],
        tags: vec!["team=a".parse().unwrap()],
        ttl: None,
        took: None,
    };
    // Too large for the records themselves.
    let bytes = vec![u8::try_from(n).unwrap(); 20_000];
    let output = Output::Bytes { codec: "json".into(), blob: bytes.into(), value: None };
    block_on(ticket.finish(execution, output)).unwrap()
}

fn there(engine: &Engine, n: i64) -> bool {
    block_on(engine.lookup(&fingerprint(n), &ALWAYS)).unwrap().is_some()
}

#[test]
fn what_one_host_computes_or_takes_back_holds_for_the_other() {
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        let address = server.url(&prefix());
        let engine = || Engine::new(open(&address).unwrap(), Options::default());
        let (one, two) = (engine(), engine());
        for n in 0..5 {
            assert!(finish(ticket(&one, n), n).published);
            assert!(there(&two, n), "{kind:?}");
        }
        // What is kept in the other's memory, where that is possible at all.
        let kept = two.generation().map(|counters| {
            let begun = Instant::now();
            loop {
                if let Some(stamp) = counters.stamp(&fingerprint(0)) {
                    break (counters, stamp);
                }
                assert!(begun.elapsed() < Duration::from_secs(30), "it does not listen");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        block_on(one.forget(&fingerprint(0))).unwrap();
        assert!(!there(&two, 0) && there(&two, 1));
        let begun = Instant::now();
        while kept.as_ref().is_some_and(|(counters, stamp)| counters.holds(*stamp)) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it is not told");
            std::thread::sleep(Duration::from_millis(1));
        }
        // What was begun before an invalidation elsewhere is not published.
        let late = ticket(&two, 0);
        let tagged = Selection { tags: vec!["team=a".parse().unwrap()], ..Selection::default() };
        assert_eq!(block_on(one.invalidate(&tagged)).unwrap(), 4);
        assert!(!finish(late, 0).published);
        assert!((0..5).all(|n| !there(&one, n)));
        // Nothing that remains is damaged, and all of it goes in the end.
        assert!(finish(ticket(&two, 7), 7).published);
        let report = block_on(one.verify(false, |_, _| {})).unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
        std::thread::sleep(Duration::from_millis(20));
        let all = GcOptions { older_than: Some(Duration::ZERO), ..GcOptions::default() };
        let gone = block_on(one.gc(&all)).unwrap();
        assert!(gone.commits >= 7 && gone.objects >= 6, "{gone:?}");
        assert!(!there(&two, 7));
    }
}
