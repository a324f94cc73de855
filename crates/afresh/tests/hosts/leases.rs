//! Who computes: one, as long as his lease holds, and another when it does not.

use std::collections::HashMap;

use afresh_testkit::servers::Wire;

use crate::drill::{Drill, LASTING, Takes, WORKERS, brief};
use crate::ground::Ground;

/// Makes a ground whose requests take up to so many seconds; `None` where that cannot be, which it has said.
pub type Make = fn(timeout: &str) -> Option<Ground>;

pub fn each_call_runs_once(make: Make) {
    let Some(ground) = make("20") else { return };
    // Those who wait for a store that does not tell ask it again and again.
    let (calls, at_once) = if ground.dear { (8, 2) } else { (60, 60) };
    let mut drill = Drill::start(ground, LASTING);
    let mut times = HashMap::<(String, u64), usize>::new();
    for first in (0..calls).step_by(at_once) {
        for n in first..first + at_once as u64 {
            for worker in 0..WORKERS {
                drill.call(worker, n, Takes::Millis(20 + n));
            }
        }
        let mut left = at_once * WORKERS;
        while left > 0 {
            let told = drill.next();
            assert_ne!(told.what, "alone", "{told:?}");
            left -= usize::from(told.is_answer());
            *times.entry((told.what, told.n)).or_default() += 1;
        }
    }
    for n in 0..calls {
        let times = |what: &str| times.get(&(what.to_owned(), n)).copied().unwrap_or(0);
        let ends = (times("run"), times("published"), times("hit"));
        assert_eq!(ends, (1, 1, WORKERS - 1), "runs, publications and hits of call {n}");
    }
}

pub fn a_killed_owner_is_taken_over(make: Make) {
    let Some(ground) = make("20") else { return };
    let lease = brief(&ground);
    let mut drill = Drill::start(ground, lease);
    drill.call(1, 1, Takes::Hold);
    assert_eq!(drill.expect(&["run"], 1).worker, 1);
    drill.set_source(1);
    for worker in [0, 2, 3] {
        drill.call(worker, 1, Takes::Millis(0));
    }
    drill.expect(&["waits"], 1);
    drill.signal(1, "-KILL");
    assert_ne!(drill.expect(&["run"], 1).worker, 1);
    assert_eq!(drill.expect(&["published"], 1).source, 1);
    for _ in 0..2 {
        assert_eq!(drill.expect(&["hit"], 1).source, 1);
    }
}

/// One of the two calls ends before the other owner's, the other after it.
pub fn a_paused_owner_is_fenced_off(make: Make) {
    let Some(ground) = make("20") else { return };
    let lease = brief(&ground);
    let mut drill = Drill::start(ground, lease);
    let late = [1, 2].map(|n| drill.call(0, n, Takes::Hold));
    for n in [1, 2] {
        assert_eq!(drill.expect(&["run"], n).worker, 0);
    }
    drill.signal(0, "-STOP");
    drill.set_source(1);
    let second = [1, 2].map(|n| drill.call(3, n, Takes::Hold));
    for n in [1, 2] {
        assert_eq!(drill.expect(&["run"], n).worker, 3);
    }
    drill.signal(0, "-CONT");
    drill.go_on(0, late[0]);
    drill.ends(late[0], "fenced");
    for id in second {
        drill.go_on(3, id);
        drill.ends(id, "published");
    }
    drill.go_on(0, late[1]);
    drill.ends(late[1], "fenced");
    for worker in 0..WORKERS {
        for n in [1, 2] {
            assert_eq!(drill.hits(worker, n), 1, "what a late owner made is served");
        }
    }
}

/// A lock of the kernel is held by whoever is paused: nobody else runs.
pub fn a_paused_owner_is_waited_for(make: Make) {
    let Some(ground) = make("20") else { return };
    let lease = brief(&ground);
    let mut drill = Drill::start(ground, lease);
    let late = drill.call(0, 1, Takes::Hold);
    drill.expect(&["run"], 1);
    drill.signal(0, "-STOP");
    let second = drill.call(3, 1, Takes::Millis(0));
    drill.expect(&["waits"], 1);
    drill.signal(0, "-CONT");
    drill.go_on(0, late);
    drill.ends(late, "published");
    drill.ends(second, "hit");
}

pub fn a_host_that_is_cut_off_comes_back(make: Make) {
    let Some(ground) = make("5") else { return };
    if ground.wires.is_empty() {
        println!("skipped: no proxy can stand before the server of the user's");
        return;
    }
    let lease = brief(&ground);
    let mut drill = Drill::start(ground, lease);
    for (wire, n) in [(Wire::Cut, 1), (Wire::Hang, 2)] {
        drill.set_source(n * 2);
        let late = drill.call(1, n, Takes::Hold);
        assert_eq!(drill.expect(&["run"], n).worker, 1);
        drill.wire(wire);
        drill.set_source(n * 2 + 1);
        let second = drill.call(0, n, Takes::Hold);
        assert_eq!(drill.expect(&["run"], n).worker, 0, "the other host goes on");
        // Behind the wire nobody waits for a server that is away.
        let alone = drill.call(3, n, Takes::Millis(0));
        drill.ends(alone, "alone");
        drill.wire(Wire::Pass);
        // The owner that was cut off finds another at it, or its server still left alone for a moment.
        drill.go_on(1, late);
        let told = drill.ended(late);
        assert!(["fenced", "alone"].contains(&&*told.what), "{told:?}");
        drill.go_on(0, second);
        drill.ends(second, "published");
        for worker in 0..WORKERS {
            assert_eq!(drill.hits(worker, n), n * 2 + 1, "what a late owner made is served");
        }
    }
}
