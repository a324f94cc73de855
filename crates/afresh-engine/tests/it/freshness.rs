//! How fresh is fresh: the judge by itself, and what the engine makes of its verdicts.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::{CommitId, Failure, Timestamp};
use afresh_engine::{
    Begun, Early, Engine, Evidence, Hit, Policy, RAISED, Replay, Ticket, Verdict, judge,
};
use afresh_store_memory::MemoryStore;
use pollster::block_on;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{
    ALWAYS, Hands, compute, engines, execution, fingerprint, output, sqlite, ticket, with_clock,
};

const SECOND: Duration = Duration::from_secs(1);

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn made(created: i64) -> Evidence {
    Evidence {
        commit: CommitId::new([7; 32]),
        created: Timestamp::from_millis(created),
        used: Timestamp::from_millis(created),
        uses: 0,
        took: Duration::ZERO,
        ttl: None,
        failed: false,
    }
}

fn at(now: i64) -> Timestamp {
    Timestamp::from_millis(now)
}

/// An engine whose answer to `f(1)` was made at 0 by the clock.
fn answered() -> (Engine, Hands) {
    let hands = Hands::at(0);
    let engine = with_clock(Arc::new(MemoryStore::with_clock(hands.clock())), &hands);
    compute(&engine, "f", 1, "old");
    (engine, hands)
}

fn begin(engine: &Engine, policy: &Policy) -> Begun {
    block_on(engine.begin(&fingerprint("f", 1), policy)).unwrap()
}

fn stale(begun: Begun) -> (Hit, Option<Ticket>) {
    match begun {
        Begun::Stale(hit, ticket) => (*hit, ticket),
        other => panic!("expected a stale answer, got {other:?}"),
    }
}

fn failure() -> Failure {
    Failure { kind: "E".into(), message: "no".into(), traceback: String::new() }
}

fn spans() -> impl Strategy<Value = Option<u64>> {
    proptest::option::of(0u64..2_000)
}

prop_compose! {
    fn policies()(
        ttl in spans(), max_age in spans(), stale in spans(), span in spans(), soft in spans(),
        chance in any::<bool>(), sliding in any::<bool>(), after in proptest::option::of(0u32..5),
    ) -> Policy {
        let early = if chance { Some(Early::Chance) } else { span.map(|span| Early::Span(millis(span))) };
        Policy {
            ttl: ttl.map(millis), max_age: max_age.map(millis), stale: stale.map(millis), early,
            soft: soft.map(millis), sliding, refresh_after: after, except: None,
        }
    }
}

prop_compose! {
    fn answers()(
        created in -1_000_000i64..1_000_000, used in 0i64..3_000, uses in 0u32..5, took in 0u64..1_000,
        ttl in spans(), failed in any::<bool>(),
    ) -> Evidence {
        Evidence {
            used: at(created + used), uses, took: millis(took), ttl: ttl.map(millis), failed, ..made(created)
        }
    }
}

proptest! {
    #[test]
    fn the_judge_never_calls_fresh_what_is_past_its_ttl(
        created in -1_000_000i64..1_000_000,
        age in 0i64..1_000_000,
        ttl in proptest::option::of(0u64..1_000_000),
        own in proptest::option::of(0u64..1_000_000),
    ) {
        let answer = Evidence { ttl: own.map(millis), ..made(created) };
        let policy = Policy { ttl: ttl.map(millis), ..ALWAYS };
        let fresh = judge(Some(&answer), &policy, at(created + age), 1.0) == Verdict::Fresh;
        let limit = ttl.or(own);
        prop_assert_eq!(fresh, limit.is_none_or(|limit| (age as u64) < limit));
    }

    /// What may be served is bounded by every bound there is.
    #[test]
    fn nothing_is_served_beyond_its_bounds(
        answer in answers(), policy in policies(), age in -3_000i64..6_000, dice in 1e-9f64..=1.0,
    ) {
        let now = at(answer.created.as_millis() + age);
        let verdict = judge(Some(&answer), &policy, now, dice);
        let age = now.since(answer.created);
        let idle = if policy.sliding { age.min(now.since(answer.used)) } else { age };
        if verdict != Verdict::Missing {
            prop_assert!(policy.max_age.is_none_or(|most| age < most));
            if answer.failed {
                prop_assert!(answer.ttl.is_none_or(|ttl| age < ttl));
            } else {
                prop_assert!(policy.soft.is_none_or(|soft| age < soft));
                let ttl = policy.ttl.or(answer.ttl);
                let grace = if verdict == Verdict::Stale { policy.stale.unwrap() } else { Duration::ZERO };
                prop_assert!(ttl.is_none_or(|ttl| idle < ttl + grace));
            }
        }
        if verdict == Verdict::Stale {
            prop_assert!(policy.ttl.or(answer.ttl).is_some_and(|ttl| idle >= ttl));
        }
        if verdict == Verdict::Early {
            prop_assert!(policy.early.is_some() || policy.refresh_after.is_some());
        }
    }

    /// Time only makes things worse: an answer that was too old does not become fresh by waiting.
    #[test]
    fn waiting_makes_nothing_fresher(
        answer in answers(), policy in policies(), age in 0i64..5_000, more in 0i64..3_000,
    ) {
        let rank = |verdict| match verdict {
            Verdict::Fresh => 0,
            Verdict::Early => 1,
            Verdict::Stale => 2,
            Verdict::Missing => 3,
        };
        let then = |age| judge(Some(&answer), &policy, at(answer.created.as_millis() + age), 0.5);
        prop_assert!(rank(then(age)) <= rank(then(age + more)));
    }

    /// A clock that was set by `step` lets an answer live longer by the step and not more, and what is made anew
    /// by the new time is good again: nothing is served too old, and never nothing for ever.
    #[test]
    fn a_clock_that_is_set_costs_the_step_and_no_more(
        ttl in 1u64..100_000, step in -1_000_000i64..1_000_000, age in 0i64..1_000_000,
    ) {
        let policy = Policy { ttl: Some(millis(ttl)), ..ALWAYS };
        let old = made(0);
        if judge(Some(&old), &policy, at(age + step), 1.0) == Verdict::Fresh {
            let longer = u64::try_from(-step).unwrap_or(0);
            prop_assert!((age as u64) < ttl + longer);
        }
        let new = made(age + step);
        prop_assert_eq!(judge(Some(&new), &policy, at(age + step), 1.0), Verdict::Fresh);
        prop_assert_eq!(judge(Some(&new), &policy, at(age + step + ttl as i64), 1.0), Verdict::Missing);
    }

    /// In need, what failed before is no more than what `max_age` and, with `soft`, the ttl allow.
    #[test]
    fn in_need_the_hard_bounds_still_hold(answer in answers(), policy in policies(), age in 0i64..6_000) {
        let now = at(answer.created.as_millis() + age);
        if judge(Some(&answer), &policy.in_need(), now, 1.0) != Verdict::Missing && !answer.failed {
            prop_assert!(policy.max_age.is_none_or(|most| millis(age as u64) < most));
        }
    }
}

#[test]
fn early_by_chance_grows_with_the_cost_and_towards_the_end() {
    let policy = Policy { ttl: Some(100 * SECOND), early: Some(Early::Chance), ..ALWAYS };
    let early = |took: u64, age: i64| {
        let answer = Evidence { took: Duration::from_secs(took), ..made(0) };
        let draws = 1_000;
        (1..=draws)
            .filter(|n| {
                let dice = f64::from(*n) / f64::from(draws);
                judge(Some(&answer), &policy, at(age * 1_000), dice) == Verdict::Early
            })
            .count()
    };
    assert_eq!(early(0, 99), 0, "what costs nothing is not renewed early");
    assert!(early(1, 50) < early(1, 95) && early(1, 95) < early(10, 95));
    // P(-ln(dice) * 10 >= 5) = exp(-0.5).
    let share = early(10, 95);
    assert!((596..=616).contains(&share), "{share}");
}

#[test]
fn sliding_counts_from_the_last_use() {
    let (engine, hands) = answered();
    let policy = Policy { ttl: Some(8 * SECOND), sliding: true, ..ALWAYS };
    for _ in 0..20 {
        hands.go(6_000);
        assert!(matches!(begin(&engine, &policy), Begun::Hit(_)));
    }
    hands.go(8_000);
    assert!(matches!(begin(&engine, &policy), Begun::Run(_)));
}

#[test]
fn a_use_by_one_engine_counts_for_another() {
    let hands = Hands::at(0);
    let store = Arc::new(MemoryStore::with_clock(hands.clock()));
    let (one, two) = (with_clock(store.clone(), &hands), with_clock(store, &hands));
    compute(&one, "f", 1, "old");
    let policy = Policy { ttl: Some(8 * SECOND), sliding: true, ..ALWAYS };
    hands.go(6_000);
    assert!(matches!(begin(&one, &policy), Begun::Hit(_)));
    hands.go(6_000);
    assert!(matches!(begin(&two, &policy), Begun::Hit(_)));
}

#[test]
fn one_refreshes_and_all_others_are_served() {
    let (engine, hands) = answered();
    let policy = Policy { ttl: Some(10 * SECOND), stale: Some(10 * SECOND), ..ALWAYS };
    assert!(matches!(begin(&engine, &policy), Begun::Hit(_)));
    hands.go(10_000);
    let (hit, ticket) = stale(begin(&engine, &policy));
    assert_eq!((&hit.bytes[..], hit.verdict), (&b"old"[..], Verdict::Stale));
    for _ in 0..5 {
        let (hit, none) = stale(begin(&engine, &policy));
        assert!(none.is_none() && hit.bytes == "old");
    }
    block_on(ticket.unwrap().finish(execution("f", 1), output("new"))).unwrap();
    let Begun::Hit(hit) = begin(&engine, &policy) else { panic!("it was refreshed") };
    assert_eq!(hit.bytes, "new");
    hands.go(20_000);
    assert!(matches!(begin(&engine, &policy), Begun::Run(_)), "past ttl and grace");
}

#[test]
fn one_engine_of_a_host_refreshes() {
    let dir = TempDir::new().unwrap();
    let (one, two) = (sqlite(&dir), sqlite(&dir));
    compute(&one, "f", 1, "old");
    let policy = Policy { ttl: Some(Duration::ZERO), stale: Some(Duration::MAX), ..ALWAYS };
    let (_, ticket) = stale(begin(&one, &policy));
    assert!(stale(begin(&two, &policy)).1.is_none());
    drop(ticket);
    assert!(stale(begin(&two, &policy)).1.is_some(), "let go of, it is for the next");
}

#[test]
fn what_was_replaced_meanwhile_is_not_refreshed() {
    for (engine, _dir) in engines() {
        let first = compute(&engine, "f", 1, "old").commit;
        let forced = block_on(engine.start(&fingerprint("f", 1))).unwrap();
        let second = block_on(forced.finish(execution("f", 1), output("new"))).unwrap().commit;
        assert!(block_on(engine.refresh(&fingerprint("f", 1), &first)).unwrap().is_none());
        assert!(block_on(engine.refresh(&fingerprint("f", 1), &second)).unwrap().is_some());
    }
}

#[test]
fn after_a_failed_refresh_the_next_one_waits() {
    let (engine, _) = answered();
    let policy = Policy { ttl: Some(Duration::ZERO), stale: Some(Duration::MAX), ..ALWAYS };
    let (_, ticket) = stale(begin(&engine, &policy));
    block_on(ticket.unwrap().fail(execution("f", 1), failure(), None)).unwrap();
    let (hit, none) = stale(begin(&engine, &policy));
    assert!(none.is_none() && hit.bytes == "old");
    std::thread::sleep(millis(1_050));
    assert!(stale(begin(&engine, &policy)).1.is_some());
}

#[test]
fn an_answer_is_renewed_before_its_end_or_after_so_many_uses() {
    let (engine, hands) = answered();
    let early = Policy { ttl: Some(10 * SECOND), early: Some(Early::Span(3 * SECOND)), ..ALWAYS };
    hands.go(6_999);
    assert!(matches!(begin(&engine, &early), Begun::Hit(_)));
    hands.go(1);
    let (hit, ticket) = stale(begin(&engine, &early));
    assert!(hit.verdict == Verdict::Early && ticket.is_some());
    drop(ticket);

    let worn = Policy { refresh_after: Some(3), ..ALWAYS };
    for _ in 0..3 {
        assert!(matches!(begin(&engine, &worn), Begun::Hit(_)));
    }
    let (_, ticket) = stale(begin(&engine, &worn));
    block_on(ticket.unwrap().finish(execution("f", 1), output("new"))).unwrap();
    assert!(matches!(begin(&engine, &worn), Begun::Hit(_)), "a new answer is counted anew");
}

#[test]
fn past_its_soft_ttl_the_function_is_tried_and_the_old_answer_is_there_in_need() {
    let (engine, hands) = answered();
    let policy = Policy { ttl: Some(10 * SECOND), soft: Some(3 * SECOND), ..ALWAYS };
    hands.go(3_000);
    assert!(matches!(begin(&engine, &policy), Begun::Run(_)));
    let need = |policy: Policy| block_on(engine.lookup(&fingerprint("f", 1), &policy.in_need()));
    assert!(need(policy).unwrap().is_some());
    hands.go(7_000);
    assert!(need(policy).unwrap().is_none(), "with soft, the ttl is the end");
    let failover = Policy { ttl: Some(SECOND), ..ALWAYS };
    assert!(need(failover).unwrap().is_some(), "without, any answer will do");
    assert!(need(Policy { max_age: Some(SECOND), ..failover }).unwrap().is_none());
}

#[test]
fn a_failure_is_replayed_for_as_long_as_it_was_said_to_last() {
    let hands = Hands::at(0);
    let engine = with_clock(Arc::new(MemoryStore::with_clock(hands.clock())), &hands);
    let mut execution = execution("f", 1);
    execution.ttl = Some(5 * SECOND);
    let replay = Replay { codec: "json".into(), bytes: vec![b'!'; 5_000] };
    let failed =
        block_on(ticket(&engine, "f", 1).fail(execution, failure(), Some(replay))).unwrap();
    assert!(failed.published);
    let policy = Policy { ttl: Some(100 * SECOND), ..ALWAYS };
    let Begun::Hit(hit) = begin(&engine, &policy) else { panic!("it is replayed") };
    assert_eq!((hit.head.codec, hit.bytes.len()), (format!("{RAISED}json"), 5_000));
    assert!(block_on(engine.verify(false, |_, _| ())).unwrap().problems.is_empty());
    hands.go(5_000);
    assert!(
        matches!(begin(&engine, &policy), Begun::Run(_)),
        "its own ttl counts, not the reader's"
    );
}

#[test]
fn a_clock_set_back_and_forth_leaves_nobody_without_an_answer() {
    let (engine, hands) = answered();
    let policy = Policy { ttl: Some(10 * SECOND), ..ALWAYS };
    for step in [86_400_000, -86_400_000, -3_600_000, 7_200_000] {
        hands.go(step);
        if let Begun::Run(ticket) = begin(&engine, &policy) {
            assert!(block_on(ticket.finish(execution("f", 1), output("new"))).unwrap().published);
        }
        assert!(matches!(begin(&engine, &policy), Begun::Hit(_)), "{step}");
    }
}
