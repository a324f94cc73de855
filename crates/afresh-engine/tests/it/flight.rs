//! Single flight: threads of one engine, and engines of one host.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use afresh_engine::{Begun, Busy, Engine, Hold, Holding};
use pollster::block_on;
use tempfile::TempDir;

use crate::support::*;

fn busy(engine: &Engine) -> Busy {
    match begin(engine, "f", 1) {
        Begun::Busy(busy) => busy,
        other => panic!("expected to wait, got {other:?}"),
    }
}

/// The bytes of `f(1)`, computed if nobody else does.
fn call(engine: &Engine, runs: &AtomicUsize) -> Vec<u8> {
    let mut begun = begin(engine, "f", 1);
    loop {
        match begun {
            Begun::Hit(hit) => return hit.bytes.to_vec(),
            Begun::Stale(hit, _) => return hit.bytes.to_vec(),
            Begun::Run(ticket) => {
                runs.fetch_add(1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(50));
                block_on(ticket.finish(execution("f", 1), output("7"))).unwrap();
                return b"7".to_vec();
            }
            Begun::Busy(busy) => {
                while !busy.wait_timeout(Duration::from_secs(10)) {}
                begun = block_on(engine.resume(busy, &ALWAYS)).unwrap();
            }
        }
    }
}

#[test]
fn threads_and_engines_on_one_cold_key_run_once() {
    let dir = TempDir::new().unwrap();
    let engines: Vec<_> = (0..4).map(|_| sqlite(&dir)).collect();
    let runs = Arc::new(AtomicUsize::new(0));
    let start = Arc::new(Barrier::new(16));
    let threads: Vec<_> = (0..16)
        .map(|i| {
            let (engine, runs, start) =
                (engines[i % 4].clone(), Arc::clone(&runs), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                call(&engine, &runs)
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), b"7");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[test]
fn a_dropped_ticket_lets_the_next_one_run() {
    for (engine, _dir) in engines() {
        let ticket = ticket(&engine, "f", 1);
        let busy = busy(&engine);
        assert!(!busy.wait_timeout(Duration::from_millis(5)));
        drop(ticket);
        let mut begun = Begun::Busy(busy);
        // A lease goes back a moment later.
        while let Begun::Busy(busy) = begun {
            assert!(busy.wait_timeout(Duration::from_secs(5)));
            begun = block_on(engine.resume(busy, &ALWAYS)).unwrap();
        }
        assert!(matches!(begun, Begun::Run(_)));
    }
}

#[test]
fn a_waiter_that_goes_away_changes_nothing() {
    for (engine, _dir) in engines() {
        let ticket = ticket(&engine, "f", 1);
        drop(busy(&engine));
        let second = busy(&engine);
        block_on(ticket.finish(execution("f", 1), output("7"))).unwrap();
        assert!(second.wait_timeout(Duration::from_secs(5)));
        assert!(matches!(block_on(engine.resume(second, &ALWAYS)).unwrap(), Begun::Hit(_)));
    }
}

#[test]
fn a_ticket_knows_whether_others_wait() {
    for (engine, _dir) in engines() {
        let forced = block_on(engine.start(&fingerprint("f", 1))).unwrap();
        let ticket = ticket(&engine, "f", 1);
        assert!(!ticket.is_awaited());
        let (one, two) = (busy(&engine), busy(&engine));
        assert!(ticket.is_awaited());
        drop(one);
        assert!(ticket.is_awaited());
        drop(two);
        assert!(!ticket.is_awaited() && !forced.is_awaited());
    }
}

#[test]
fn another_engine_waits_and_is_woken_fast() {
    let dir = TempDir::new().unwrap();
    let (one, two) = (sqlite(&dir), sqlite(&dir));
    let ticket = ticket(&one, "f", 1);
    let waiting = busy(&two);
    assert!(waiting.is_elsewhere());
    let follower = busy(&two);
    assert!(!follower.is_elsewhere());
    let waiter = thread::spawn(move || {
        assert!(waiting.wait_timeout(Duration::from_secs(10)));
        let woken = Instant::now();
        assert!(matches!(block_on(two.resume(waiting, &ALWAYS)).unwrap(), Begun::Hit(_)));
        (woken, two)
    });
    thread::sleep(Duration::from_millis(150));
    block_on(ticket.finish(execution("f", 1), output("7"))).unwrap();
    let released = Instant::now();
    let (woken, two) = waiter.join().unwrap();
    println!(
        "a waiter in another engine was woken after {:?}",
        woken.saturating_duration_since(released)
    );
    assert!(follower.wait_timeout(Duration::from_secs(5)));
    assert!(matches!(block_on(two.resume(follower, &ALWAYS)).unwrap(), Begun::Hit(_)));
}

#[test]
fn waiting_works_in_a_task() {
    for (engine, _dir) in engines() {
        let ticket = ticket(&engine, "f", 1);
        let busy = busy(&engine);
        let waiter = thread::spawn(move || {
            block_on(busy.wait());
            busy
        });
        block_on(ticket.finish(execution("f", 1), output("7"))).unwrap();
        let busy = waiter.join().unwrap();
        assert!(matches!(block_on(engine.resume(busy, &ALWAYS)).unwrap(), Begun::Hit(_)));
    }
}

/// Asks for the right to compute what the engine keeps no answer of; somebody to wait for, where it is taken.
fn hold(engine: &Engine, x: i64) -> Result<Hold, Busy> {
    match block_on(engine.hold(&fingerprint("f", x))).unwrap() {
        Holding::Mine(hold) => Ok(hold),
        Holding::Busy(busy) => Err(busy),
    }
}

/// The right, once it is there: a lease that was let go of is given back a moment later.
fn after(engine: &Engine, mut waiting: Busy) -> Hold {
    loop {
        assert!(waiting.wait_timeout(Duration::from_secs(20)));
        match block_on(engine.hold_after(waiting)).unwrap() {
            Holding::Mine(hold) => return hold,
            Holding::Busy(busy) => waiting = busy,
        }
    }
}

#[test]
fn one_at_a_time_holds_what_the_engine_keeps_no_answer_for() {
    for (engine, _dir) in engines() {
        let held = hold(&engine, 1).unwrap();
        let waiting = hold(&engine, 1).unwrap_err();
        assert!(hold(&engine, 2).is_ok());
        assert!(!waiting.wait_timeout(Duration::ZERO));
        drop(held);
        let held = after(&engine, waiting);
        assert!(hold(&engine, 1).is_err());
        drop(held);
    }
    let dir = TempDir::new().unwrap();
    let (one, two) = (sqlite(&dir), sqlite(&dir));
    let held = hold(&one, 1).unwrap();
    let waiting = hold(&two, 1).unwrap_err();
    assert!(waiting.is_elsewhere());
    drop(held);
    drop(after(&two, waiting));
    assert!(hold(&two, 1).is_ok());
}

#[test]
fn all_who_wait_look_at_the_answer_though_the_lock_is_taken_again() {
    let dir = TempDir::new().unwrap();
    let owner = sqlite(&dir);
    let first = ticket(&owner, "f", 1);
    let others: Vec<_> = (0..4)
        .map(|_| {
            let engine = sqlite(&dir);
            (busy(&engine), engine)
        })
        .collect();
    assert!(others.iter().all(|(waiting, _)| waiting.is_elsewhere()));
    let done = block_on(first.finish(execution("f", 1), output("7"))).unwrap();
    // None where one of those who waited has it for a moment.
    let again = block_on(owner.refresh(&fingerprint("f", 1), &done.commit)).unwrap();
    for (waiting, engine) in others {
        assert!(waiting.wait_timeout(Duration::from_secs(5)));
        assert!(matches!(block_on(engine.resume(waiting, &ALWAYS)).unwrap(), Begun::Hit(_)));
    }
    drop(again);
}

#[test]
fn of_those_who_waited_for_a_failure_one_runs() {
    let dir = TempDir::new().unwrap();
    let (owner, two, three) = (sqlite(&dir), sqlite(&dir), sqlite(&dir));
    let first = ticket(&owner, "f", 1);
    let (second, third) = (busy(&two), busy(&three));
    drop(first);
    let begun = [(two, second), (three, third)].map(|(engine, waiting)| {
        assert!(waiting.wait_timeout(Duration::from_secs(5)));
        block_on(engine.resume(waiting, &ALWAYS)).unwrap()
    });
    let [second, third] = begun.each_ref().map(|begun| matches!(begun, Begun::Run(_)));
    assert!(second ^ third, "{begun:?}");
}

#[test]
fn waiting_needs_no_bell() {
    for spoil in [
        |dir: &std::path::Path| std::fs::create_dir(dir).unwrap(),
        |file: &std::path::Path| std::fs::write(file, "short").unwrap(),
    ] {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("store")).unwrap();
        spoil(&dir.path().join("store/landings-v1"));
        let (one, two) = (sqlite(&dir), sqlite(&dir));
        let ticket = ticket(&one, "f", 1);
        let waiting = busy(&two);
        assert!(waiting.is_elsewhere());
        block_on(ticket.finish(execution("f", 1), output("7"))).unwrap();
        assert!(waiting.wait_timeout(Duration::from_secs(5)));
        assert!(matches!(block_on(two.resume(waiting, &ALWAYS)).unwrap(), Begun::Hit(_)));
    }
}
