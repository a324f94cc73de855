//! Leases between hosts: engines over one store that has no folder for locks.

use std::collections::HashMap;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use afresh_core::{Batch, Fingerprint, Key, Kind, NewEntry, Op, Scan, Space, Store, When};
use afresh_engine::{Begun, Busy, Engine, Holding, Options, Policy, Ticket};
use afresh_store_memory::MemoryStore;
use afresh_testkit::{Fault, FaultyStore, SharedStore};
use pollster::block_on;
use proptest::prelude::*;

use crate::support::*;

/// How long a lease lasts here.
const TTL: Duration = Duration::from_millis(400);

/// Long enough for anything that is to happen.
const LONG: Duration = Duration::from_secs(20);

/// A host: an engine and its way to the store.
struct Host {
    engine: Engine,
    link: FaultyStore<SharedStore>,
}

impl Host {
    fn cut(&self) {
        self.link.plan("*", usize::MAX, Fault::Fail(Kind::Unavailable));
    }

    fn requests(&self) -> (u64, u64) {
        (self.link.calls("get"), self.link.calls("apply"))
    }
}

fn hosts(many: usize, tells: bool) -> Vec<Host> {
    let store = SharedStore::new(Arc::new(MemoryStore::new()), tells);
    let host = |_| {
        let link = store.link();
        let options = Options { who: who(), lease: Some(TTL), ..Options::default() };
        Host { engine: Engine::new(Arc::new(link.clone()), options), link }
    };
    (0..many).map(host).collect()
}

fn busy(host: &Host) -> Busy {
    match begin(&host.engine, "f", 1) {
        Begun::Busy(busy) => busy,
        other => panic!("expected to wait, got {other:?}"),
    }
}

fn finish(ticket: Ticket, bytes: &str) -> bool {
    block_on(ticket.finish(execution("f", 1), output(bytes))).unwrap().published
}

fn resume(host: &Host, busy: Busy) -> Begun {
    assert!(busy.wait_timeout(LONG));
    block_on(host.engine.resume(busy, &ALWAYS)).unwrap()
}

/// The leases that are in the store.
fn leases(host: &Host) -> usize {
    block_on(host.link.scan(&Scan::new(Space::Lease))).unwrap().entries.len()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn another_host_waits_and_finds_the_answer() {
    for tells in [false, true] {
        let hosts = hosts(2, tells);
        let ticket = ticket(&hosts[0].engine, "f", 1);
        let waiting = busy(&hosts[1]);
        assert!(waiting.is_elsewhere());
        assert!(!waiting.wait_timeout(Duration::from_millis(50)));
        assert!(finish(ticket, "7"));
        assert!(matches!(resume(&hosts[1], waiting), Begun::Hit(hit) if hit.bytes == "7"));
        assert_eq!(leases(&hosts[0]), 0);
    }
}

#[test]
fn a_miss_asks_three_times() {
    let hosts = hosts(1, true);
    compute(&hosts[0].engine, "f", 1, "7");
    // The look for the answer; the lease with what was there; the answer with the end of the lease.
    assert_eq!(hosts[0].requests(), (1, 2));
}

#[test]
fn a_store_that_tells_wakes_without_being_asked_again_and_again() {
    let hosts = hosts(2, true);
    let ticket = ticket(&hosts[0].engine, "f", 1);
    let waiting = busy(&hosts[1]);
    thread::sleep(TTL * 2);
    let (asked, _) = hosts[1].requests();
    // Once to begin with, once a renewal, and when it would have ended had it not been renewed.
    assert!(asked <= 16, "{asked} requests");
    let waiter = thread::spawn(move || {
        assert!(waiting.wait_timeout(LONG));
        (Instant::now(), waiting)
    });
    assert!(finish(ticket, "7"));
    let finished = Instant::now();
    let (woken, _waiting) = waiter.join().unwrap();
    println!("woken after {:?}", woken.saturating_duration_since(finished));
}

#[test]
fn a_lease_outlives_its_time_while_its_owner_runs() {
    let hosts = hosts(2, false);
    let ticket = ticket(&hosts[0].engine, "f", 1);
    let waiting = busy(&hosts[1]);
    assert!(!waiting.wait_timeout(TTL * 3));
    assert!(finish(ticket, "7"));
    assert!(matches!(resume(&hosts[1], waiting), Begun::Hit(_)));
}

#[test]
fn a_dropped_ticket_gives_the_lease_back() {
    for tells in [false, true] {
        let hosts = hosts(2, tells);
        let ticket = ticket(&hosts[0].engine, "f", 1);
        let waiting = busy(&hosts[1]);
        drop(ticket);
        assert!(matches!(resume(&hosts[1], waiting), Begun::Run(_)));
        until("a lease was left behind", || leases(&hosts[0]) == 0);
    }
}

/// Asks for the right to compute what the engine keeps no answer of.
fn hold(host: &Host) -> Holding {
    block_on(host.engine.hold(&Fingerprint::new([3; 32]))).unwrap()
}

fn queued(host: &Host) -> Busy {
    match hold(host) {
        Holding::Busy(busy) => busy,
        Holding::Mine(_) => panic!("two have the right"),
    }
}

fn after(host: &Host, busy: Busy) -> Holding {
    assert!(busy.wait_timeout(LONG));
    block_on(host.engine.hold_after(busy)).unwrap()
}

#[test]
fn one_of_all_hosts_has_the_right_to_compute() {
    for tells in [false, true] {
        let hosts = hosts(2, tells);
        let Holding::Mine(held) = hold(&hosts[0]) else { panic!("nobody has it") };
        let (here, there) = (queued(&hosts[0]), queued(&hosts[1]));
        assert!(!there.wait_timeout(TTL * 3), "it is renewed");
        assert!(!here.wait_timeout(Duration::ZERO));
        drop(held);
        let Holding::Mine(held) = after(&hosts[1], there) else { panic!("it was let go of") };
        // Who waited here asks for the lease, which another host has now.
        let Holding::Busy(here) = after(&hosts[0], here) else { panic!("two have the right") };
        drop(held);
        assert!(matches!(after(&hosts[0], here), Holding::Mine(_)));
        until("a lease was left behind", || leases(&hosts[0]) == 0);
    }
}

#[test]
fn the_right_of_one_who_vanished_is_given_up() {
    let hosts = hosts(2, true);
    let Holding::Mine(held) = hold(&hosts[0]) else { panic!("nobody has it") };
    let there = queued(&hosts[1]);
    hosts[0].cut();
    let Holding::Mine(taken) = after(&hosts[1], there) else { panic!("no takeover") };
    hosts[0].link.heal();
    drop(held);
    thread::sleep(TTL / 2);
    assert_eq!(leases(&hosts[1]), 1, "whoever comes back leaves another's alone");
    drop(taken);
}

#[test]
fn whoever_waits_for_a_lease_of_any_name_is_told() {
    for tells in [false, true] {
        let hosts = hosts(2, tells);
        let key = Key::new(Space::Lease, "kl//k").unwrap();
        let put = Op::Put { key: key.clone(), entry: NewEntry::record("me"), when: When::Absent };
        block_on(hosts[0].engine.apply(Batch { objects: vec![], ops: vec![put] })).unwrap();
        let vacancy = hosts[1].engine.vacancy(&key).unwrap();
        assert!(!vacancy.wait_timeout(TTL));
        let gone = Op::Delete { key: key.clone(), when: When::Always };
        block_on(hosts[0].engine.apply(Batch { objects: vec![], ops: vec![gone] })).unwrap();
        assert!(vacancy.wait_timeout(LONG));
        assert!(hosts[1].engine.vacancy(&key).unwrap().wait_timeout(LONG), "nobody has it");
    }
}

#[test]
fn an_owner_that_is_cut_off_is_given_up_and_fenced_off() {
    for tells in [false, true] {
        let hosts = hosts(2, tells);
        let paused = ticket(&hosts[0].engine, "f", 1);
        let waiting = busy(&hosts[1]);
        hosts[0].cut();
        let cut = Instant::now();
        let Begun::Run(taken) = resume(&hosts[1], waiting) else { panic!("no takeover") };
        assert!(cut.elapsed() >= TTL / 2, "taken from an owner that may be alive");
        hosts[0].link.heal();
        // It wakes while the other computes, and does not publish; nor does it take the other's lease away.
        let done = block_on(paused.finish(execution("f", 1), output("late"))).unwrap();
        assert!(!done.published);
        assert_eq!(leases(&hosts[1]), 1);
        assert!(block_on(hosts[1].engine.show(&done.commit)).unwrap().is_some());
        assert!(finish(taken, "new"));
        assert_eq!(&hit(&hosts[0].engine, "f", 1).unwrap().bytes[..], b"new");
    }
}

#[test]
fn an_owner_that_wakes_after_another_has_answered_is_fenced_off() {
    let hosts = hosts(2, false);
    let paused = ticket(&hosts[0].engine, "f", 1);
    let waiting = busy(&hosts[1]);
    hosts[0].cut();
    let Begun::Run(taken) = resume(&hosts[1], waiting) else { panic!("no takeover") };
    assert!(finish(taken, "new"));
    hosts[0].link.heal();
    assert!(!finish(paused, "late"));
    assert_eq!(&hit(&hosts[0].engine, "f", 1).unwrap().bytes[..], b"new");
    until("a lease was left behind", || leases(&hosts[0]) == 0);
}

#[test]
fn a_lease_that_ended_and_that_nobody_took_does_not_keep_the_answer_back() {
    let hosts = hosts(2, false);
    let ticket = ticket(&hosts[0].engine, "f", 1);
    hosts[0].cut();
    until("the lease does not end", || leases(&hosts[1]) == 0);
    hosts[0].link.heal();
    assert!(finish(ticket, "7"));
    assert_eq!(&hit(&hosts[1].engine, "f", 1).unwrap().bytes[..], b"7");
}

#[test]
fn a_lease_that_ended_in_an_outage_is_taken_again() {
    let hosts = hosts(2, false);
    let ticket = ticket(&hosts[0].engine, "f", 1);
    hosts[0].cut();
    until("the lease does not end", || leases(&hosts[1]) == 0);
    hosts[0].link.heal();
    until("the lease is not taken again", || leases(&hosts[1]) == 1);
    let waiting = busy(&hosts[1]);
    assert!(finish(ticket, "7"));
    assert!(matches!(resume(&hosts[1], waiting), Begun::Hit(_)));
}

#[test]
fn an_answer_that_was_lost_on_the_way_leaves_no_lease_for_long() {
    let hosts = hosts(2, false);
    hosts[0].link.plan("apply", 1, Fault::FailAfter(Kind::Unavailable));
    let failed = block_on(hosts[0].engine.begin(&fingerprint("f", 1), &ALWAYS));
    assert_eq!(failed.unwrap_err().kind(), Kind::Unavailable);
    let begun = Instant::now();
    until("the lease is not given back", || leases(&hosts[1]) == 0);
    println!("given back after {:?}", begun.elapsed());
    drop(ticket(&hosts[1].engine, "f", 1));
}

#[test]
fn a_renewal_whose_answer_was_lost_costs_nothing() {
    let hosts = hosts(2, false);
    let ticket = ticket(&hosts[0].engine, "f", 1);
    let (_, before) = hosts[0].requests();
    hosts[0].link.plan("apply", 1, Fault::FailAfter(Kind::Unavailable));
    until("no renewal", || hosts[0].requests().1 > before);
    assert!(finish(ticket, "7"));
    assert_eq!(leases(&hosts[1]), 0);
}

#[test]
fn a_finish_in_the_middle_of_renewals_is_published() {
    let store = SharedStore::new(Arc::new(MemoryStore::new()), true);
    let options = || Options { lease: Some(Duration::from_millis(9)), ..Options::default() };
    let engine = Engine::new(store.clone(), options());
    for n in 0..150 {
        let ticket = ticket(&engine, "f", n);
        thread::sleep(Duration::from_micros(2_000 + 37 * n.unsigned_abs()));
        let done = block_on(ticket.finish(execution("f", n), output("7"))).unwrap();
        assert!(done.published, "{n}");
        let key = Key::lease(&fingerprint("f", n));
        assert!(block_on(store.get(&[key])).unwrap()[0].is_none());
    }
}

#[test]
fn a_store_that_goes_away_keeps_neither_owner_nor_waiter() {
    let hosts = hosts(2, true);
    let ticket = ticket(&hosts[0].engine, "f", 1);
    let waiting = busy(&hosts[1]);
    hosts.iter().for_each(Host::cut);
    assert!(waiting.wait_timeout(LONG));
    let resumed = block_on(hosts[1].engine.resume(waiting, &ALWAYS));
    assert_eq!(resumed.unwrap_err().kind(), Kind::Unavailable);
    let finished = block_on(ticket.finish(execution("f", 1), output("7")));
    assert_eq!(finished.unwrap_err().kind(), Kind::Unavailable);
    // When it is back, everything is as if nothing had been.
    hosts.iter().for_each(|host| host.link.heal());
    until("the lease is in the way", || {
        matches!(block_on(hosts[1].engine.begin(&fingerprint("f", 1), &ALWAYS)), Ok(Begun::Run(_)))
    });
}

#[test]
fn a_waiter_that_goes_away_changes_nothing_for_the_others() {
    let hosts = hosts(3, false);
    let ticket = ticket(&hosts[0].engine, "f", 1);
    drop(busy(&hosts[1]));
    let (one, two) = (busy(&hosts[1]), busy(&hosts[2]));
    let follower = busy(&hosts[2]);
    assert!(!follower.is_elsewhere());
    drop(two);
    // Who followed a waiter that went away leads now.
    let Begun::Busy(two) = resume(&hosts[2], follower) else { panic!("nobody runs but the first") };
    assert!(two.is_elsewhere());
    assert!(finish(ticket, "7"));
    assert!(matches!(resume(&hosts[1], one), Begun::Hit(_)));
    assert!(matches!(resume(&hosts[2], two), Begun::Hit(_)));
}

#[test]
fn those_who_waited_do_not_take_the_lease_one_after_the_other() {
    let hosts = hosts(6, true);
    let ticket = ticket(&hosts[0].engine, "f", 1);
    let waiting: Vec<_> = hosts[1..].iter().map(busy).collect();
    let before: Vec<_> = hosts[1..].iter().map(|host| host.requests().1).collect();
    assert!(finish(ticket, "7"));
    for (host, busy) in hosts[1..].iter().zip(waiting) {
        assert!(matches!(resume(host, busy), Begun::Hit(_)));
    }
    let after: Vec<_> = hosts[1..].iter().map(|host| host.requests().1).collect();
    assert_eq!(before, after, "a waiter that finds the answer changes nothing");
}

#[test]
fn one_of_all_hosts_refreshes() {
    let hosts = hosts(4, false);
    let early = compute(&hosts[0].engine, "f", 1, "old");
    let key = fingerprint("f", 1);
    let refresh = |host: &Host| block_on(host.engine.refresh(&key, &early.commit)).unwrap();
    let ticket = refresh(&hosts[1]).unwrap();
    assert!(refresh(&hosts[2]).is_none());
    let (gets, applies) = hosts[2].requests();
    assert!(refresh(&hosts[2]).is_none());
    assert_eq!(hosts[2].requests(), (gets, applies), "asked again at once");
    assert!(finish(ticket, "new"));
    assert_eq!(&hit(&hosts[3].engine, "f", 1).unwrap().bytes[..], b"new");
    assert!(refresh(&hosts[3]).is_none(), "that answer has been replaced");
    until("a lease was left behind", || leases(&hosts[0]) == 0);
}

#[test]
fn a_stale_answer_is_served_while_another_host_makes_a_new_one() {
    let hosts = hosts(2, false);
    compute(&hosts[0].engine, "f", 1, "old");
    let stale = Policy { ttl: Some(Duration::ZERO), stale: Some(LONG), ..ALWAYS };
    let begin = |host: &Host| block_on(host.engine.begin(&fingerprint("f", 1), &stale)).unwrap();
    let Begun::Stale(_, Some(_ticket)) = begin(&hosts[0]) else { panic!("nobody renews") };
    assert!(matches!(begin(&hosts[1]), Begun::Stale(_, None)));
}

/// Calls `f(n)`; computes it, in `takes`, if nobody else does.
fn call(host: &Host, n: i64, takes: Duration, runs: &Mutex<HashMap<i64, usize>>) -> Vec<u8> {
    let mut begun = begin(&host.engine, "f", n);
    loop {
        match begun {
            Begun::Hit(hit) => return hit.bytes.to_vec(),
            Begun::Stale(hit, _) => return hit.bytes.to_vec(),
            Begun::Run(ticket) => {
                *runs.lock().unwrap().entry(n).or_default() += 1;
                thread::sleep(takes);
                let bytes = n.to_string();
                block_on(ticket.finish(execution("f", n), output(bytes.clone()))).unwrap();
                return bytes.into_bytes();
            }
            Begun::Busy(busy) => begun = resume(host, busy),
        }
    }
}

#[test]
fn many_hosts_run_each_call_once() {
    for tells in [false, true] {
        let hosts = hosts(5, tells);
        let (runs, start) = (Mutex::default(), Barrier::new(15));
        thread::scope(|scope| {
            for who in 0..15_usize {
                let (host, runs, start) = (&hosts[who % 5], &runs, &start);
                scope.spawn(move || {
                    start.wait();
                    for step in 0..12 {
                        let n = (step * 7 + who as i64) % 12;
                        let takes = Duration::from_millis(n.unsigned_abs() * 5);
                        assert_eq!(call(host, n, takes, runs), n.to_string().into_bytes());
                    }
                });
            }
        });
        let runs = runs.into_inner().unwrap();
        assert_eq!(runs.len(), 12);
        assert!(runs.values().all(|many| *many == 1), "{runs:?}");
        until("a lease was left behind", || leases(&hosts[0]) == 0);
    }
}

/// What a host does next with a call.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Finish,
    Fail,
    Drop,
    Invalidate,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever order things happen in, no two hosts have the right to one call, and an answer is there exactly if the
    /// last that was published was not taken back.
    #[test]
    fn no_two_hosts_have_the_right_to_one_call(
        steps in proptest::collection::vec(
            (0..3_usize, 0..2_i64, prop_oneof![
                4 => Just(Step::Begin), 2 => Just(Step::Finish), 1 => Just(Step::Fail),
                1 => Just(Step::Drop), 1 => Just(Step::Invalidate),
            ]),
            1..40,
        )
    ) {
        let store = SharedStore::new(Arc::new(MemoryStore::new()), true);
        let engines: Vec<_> = (0..3).map(|_| over(store.clone())).collect();
        // The first time that anything is taken back everybody is meant.
        block_on(engines[0].forget(&fingerprint("other", 0))).unwrap();
        let mut holds: HashMap<i64, (usize, Ticket, bool)> = HashMap::new();
        let mut answers: HashMap<i64, String> = HashMap::new();
        for (number, (host, n, step)) in steps.into_iter().enumerate() {
            let key = fingerprint("f", n);
            let mine = holds.get(&n).is_some_and(|(owner, ..)| *owner == host);
            match step {
                Step::Begin => match block_on(engines[host].begin(&key, &ALWAYS)).unwrap() {
                    Begun::Run(ticket) => {
                        prop_assert!(!holds.contains_key(&n), "two have the right");
                        prop_assert!(!answers.contains_key(&n), "there was an answer");
                        holds.insert(n, (host, ticket, false));
                    }
                    Begun::Hit(hit) => prop_assert_eq!(Some(&hit.bytes[..]), answers.get(&n).map(String::as_bytes)),
                    Begun::Busy(_) => prop_assert!(holds.contains_key(&n), "nobody runs"),
                    Begun::Stale(..) => prop_assert!(false, "nothing is stale"),
                },
                Step::Finish if mine => {
                    let (_, ticket, outdated) = holds.remove(&n).unwrap();
                    let bytes = number.to_string();
                    let done = block_on(ticket.finish(execution("f", n), output(bytes.clone()))).unwrap();
                    prop_assert_eq!(done.published, !outdated);
                    if done.published {
                        answers.insert(n, bytes);
                    }
                }
                Step::Fail if mine => {
                    let (_, ticket, _) = holds.remove(&n).unwrap();
                    let failure = afresh_core::Failure {
                        kind: "E".into(), message: String::new(), traceback: String::new(),
                    };
                    block_on(ticket.fail(execution("f", n), failure, None)).unwrap();
                }
                Step::Drop if mine => {
                    drop(holds.remove(&n));
                    block_on(engines[host].flush()).unwrap();
                    until("the lease is not given back", || {
                        block_on(store.get(&[Key::lease(&key)])).unwrap()[0].is_none()
                    });
                }
                Step::Invalidate => {
                    block_on(engines[host].forget(&key)).unwrap();
                    answers.remove(&n);
                    if let Some((_, _, outdated)) = holds.get_mut(&n) {
                        *outdated = true;
                    }
                }
                Step::Finish | Step::Fail | Step::Drop => {}
            }
        }
    }
}
