//! Answers that are taken back while they are computed, waited for and used: none of them is served to a call that began
//! after that.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use crate::drill::{Drill, LASTING, Takes, Told, WORKERS};
use crate::leases::Make;

/// Different calls at a time.
const CALLS: u64 = 3;

pub fn nothing_taken_back_is_served(make: Make) {
    let Some(ground) = make("20") else { return };
    let rounds = if ground.dear { 5 } else { 15 };
    let mut drill = Drill::start(ground, LASTING);
    let mut hammer = Hammer::default();
    hammer.rounds(&mut drill, rounds, |round, told| {
        assert!(!["alone", "refused"].contains(&&*told.what), "round {round}: {told:?}");
    });
    for worker in 0..2 {
        hammer.late(&mut drill, worker);
    }
}

/// Calls of all workers, the world changing under them.
#[derive(Default)]
pub struct Hammer {
    /// The oldest source on which the answer to a call may rest, by its order.
    least: HashMap<u64, u64>,
    /// What everything rests on now, and what all answers rest on that are not taken back.
    now: u64,
    stands: u64,
}

impl Hammer {
    /// Has everybody call everything.
    fn call(&mut self, drill: &mut Drill) {
        for worker in 0..WORKERS {
            for n in 0..CALLS {
                let takes = (worker as u64 * 7 + n * 13 + self.now * 5) % 40;
                let id = drill.call(worker, n, Takes::Millis(takes));
                self.least.insert(id, self.stands);
            }
        }
    }

    /// Checks what is told, until it is of this order, or until every call is answered.
    fn listen(
        &mut self,
        drill: &mut Drill,
        until: Option<u64>,
        told: &mut impl FnMut(&Told),
    ) -> Option<Told> {
        while until.is_some() || !self.least.is_empty() {
            let said = drill.next();
            told(&said);
            if said.is_answer() {
                let least = self.least.remove(&said.id).unwrap();
                let right = (least..=self.now).contains(&said.source);
                assert!(right, "{said:?} rests on what was taken back: {least} is the least");
            }
            if until == Some(said.id) {
                return Some(said);
            }
        }
        None
    }

    /// One change of the world after the other, each told to the store by another worker, while everybody calls.
    pub fn rounds(&mut self, drill: &mut Drill, rounds: u64, mut told: impl FnMut(u64, &Told)) {
        for round in 1..=rounds {
            self.call(drill);
            // Some are answered by then, some on their way, some not begun.
            thread::sleep(Duration::from_millis(round * 17 % 40));
            self.now += 1;
            drill.set_source(self.now);
            let id = drill.invalidate(round as usize % WORKERS);
            let done = self.listen(drill, Some(id), &mut |said| told(round, said)).unwrap();
            if done.what == "invalidated" {
                self.stands = self.now;
            }
        }
        self.call(drill);
        self.listen(drill, None, &mut |said| told(rounds, said));
    }

    /// A call that ends when all answers have been taken back: its own never comes to be one.
    fn late(&mut self, drill: &mut Drill, worker: usize) {
        let n = CALLS + worker as u64;
        let late = drill.call(worker, n, Takes::Hold);
        drill.expect(&["run"], n);
        self.now += 1;
        drill.set_source(self.now);
        let id = drill.invalidate(worker + 1);
        drill.ends(id, "invalidated");
        drill.go_on(worker, late);
        drill.ends(late, "fenced");
        let again = drill.call(worker + 1, n, Takes::Millis(0));
        drill.ends(again, "published");
        for worker in 0..WORKERS {
            assert_eq!(drill.hits(worker, n), self.now);
        }
    }

    /// Afterwards everything is as it should be: answers are taken back and found again by everybody.
    pub fn settle(&mut self, drill: &mut Drill) {
        self.now += 1;
        drill.set_source(self.now);
        loop {
            let id = drill.invalidate(0);
            if drill.ended(id).what == "invalidated" {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        for n in 0..CALLS {
            let id = drill.call(0, n, Takes::Millis(0));
            let told = drill.ended(id);
            assert!(["published", "hit"].contains(&&*told.what), "{told:?}");
            for worker in 0..WORKERS {
                assert_eq!(drill.hits(worker, n), self.now);
            }
        }
    }
}
