//! Log, short hashes, history, differences.

use afresh_core::{CommitId, Kind, Status};
use afresh_engine::LogQuery;
use pollster::block_on;

use crate::support::*;

#[test]
fn the_log_is_newest_first_and_filtered() {
    for (engine, _dir) in engines() {
        for n in 0..5 {
            compute(&engine, if n % 2 == 0 { "m.even" } else { "m.odd" }, n, "x");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let log = |query: LogQuery| block_on(engine.log(&query)).unwrap();
        let all = log(LogQuery::default());
        assert!(all.windows(2).all(|pair| pair[0].1.created() >= pair[1].1.created()));
        assert_eq!(all.len(), 5);
        for name in ["m.even", "even"] {
            let found = log(LogQuery { function: Some(name.into()), ..LogQuery::default() });
            assert_eq!(found.len(), 3, "{name}");
        }
        assert_eq!(log(LogQuery { limit: Some(2), ..LogQuery::default() }).len(), 2);
        let failed = LogQuery { status: Some(Status::Failed), ..LogQuery::default() };
        assert!(log(failed).is_empty());
    }
}

#[test]
fn short_hashes_resolve_and_ambiguous_ones_list_candidates() {
    for (engine, _dir) in engines() {
        let ids: Vec<CommitId> = (0..40).map(|n| compute(&engine, "f", n, "x").commit).collect();
        for id in &ids {
            assert_eq!(block_on(engine.resolve(&id.short())).unwrap(), Some(*id));
            assert_eq!(
                block_on(engine.resolve(&id.to_string()[..13].to_uppercase())).unwrap(),
                Some(*id)
            );
        }
        // 40 hashes and 16 first digits: at least one digit begins several.
        let digit = "0123456789abcdef"
            .chars()
            .find(|d| ids.iter().filter(|id| id.to_string().starts_with(*d)).count() > 1)
            .unwrap();
        let error = block_on(engine.resolve(&digit.to_string())).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let candidate = ids.iter().find(|id| error.hint().unwrap().contains(&id.short()));
        assert!(candidate.is_some(), "{error}");
        assert_eq!(block_on(engine.resolve(&"f".repeat(64))).unwrap(), None);
        for text in ["", "xyz", &"a".repeat(65)] {
            assert_eq!(block_on(engine.resolve(text)).unwrap_err().kind(), Kind::Config);
        }
    }
}

#[test]
fn history_has_every_execution_of_the_call_oldest_first() {
    for (engine, _dir) in engines() {
        compute(&engine, "f", 2, "other");
        let first = compute(&engine, "f", 1, "one").commit;
        let ticket = block_on(engine.start(&fingerprint("f", 1))).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let second = block_on(ticket.finish(execution("f", 1), output("two"))).unwrap().commit;
        let commit = block_on(engine.show(&second)).unwrap().unwrap();
        assert_eq!(commit.parent, Some(first));
        let ids: Vec<_> =
            block_on(engine.history(&commit)).unwrap().into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [first, second]);
        let other = block_on(engine.show(&first)).unwrap().unwrap();
        let difference = block_on(engine.diff(&other, &commit)).unwrap();
        assert_eq!((difference.function_changed, difference.output_changed), (false, Some(true)));
        assert!(difference.arguments.is_empty());
    }
}

#[test]
fn a_difference_names_the_argument() {
    for (engine, _dir) in engines() {
        let commits: Vec<_> = [1, 2]
            .map(|n| compute(&engine, "f", n, "same").commit)
            .map(|id| block_on(engine.show(&id)).unwrap().unwrap())
            .into();
        let difference = block_on(engine.diff(&commits[0], &commits[1])).unwrap();
        assert_eq!(difference.output_changed, Some(false));
        let change = &difference.arguments[0];
        assert_eq!((change.a.as_deref(), change.b.as_deref()), (Some("1"), Some("2")));
    }
}

#[test]
fn a_removed_commit_is_no_answer_any_more() {
    for (engine, _dir) in engines() {
        let id = compute(&engine, "f", 1, "x").commit;
        assert!(block_on(engine.rm(&id)).unwrap());
        assert!(!block_on(engine.rm(&id)).unwrap());
        assert!(hit(&engine, "f", 1).is_none());
        assert_eq!(block_on(engine.stats()).unwrap().commits, 0);
    }
}
