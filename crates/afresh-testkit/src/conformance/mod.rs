//! The one suite that every store passes: a table of named cases, each run on a store of its own, gated by
//! what the store says it can do.
//!
//! Invariant: a case uses nothing but the `Store` trait and what its [`Subject`] brings. A store without a manual
//! clock is tested in real time, with short spans.

mod batches;
mod case;
mod contention;
mod entries;
mod expiry;
mod objects;
mod scans;
mod spoiled;
mod whole;

use std::sync::Arc;

use afresh_core::Capabilities;

pub use case::{Case, Damage, Executor, Running, Spoil, Subject, run_future};
pub(crate) use case::{Test, case};

/// Every case, in the order in which it is best to read them.
pub fn cases() -> Vec<Case> {
    [
        entries::cases(),
        batches::cases(),
        expiry::cases(),
        contention::cases(),
        scans::cases(),
        objects::cases(),
        spoiled::cases(),
        whole::cases(),
    ]
    .concat()
}

/// Runs the suite: `make` makes an empty store for each case. Returns the names of the cases that
/// ran; panics, naming the case, at the first that does not hold.
pub fn run(make: impl Fn() -> Subject) -> Vec<&'static str> {
    run_on(Arc::new(pollster::block_on), make)
}

/// Like [`run`], for stores that need a runtime: `executor` drives a future to its end, from any thread.
pub fn run_on(executor: Executor, make: impl Fn() -> Subject) -> Vec<&'static str> {
    let mut ran = Vec::new();
    for case in cases() {
        let subject = make();
        let capabilities: Capabilities = subject.store.info().capabilities;
        let able = (!case.damages || subject.damage.is_some())
            && (!case.spoils || subject.spoil.is_some());
        if !able || !(case.needs)(&capabilities) {
            continue;
        }
        let named = Named(case.name);
        executor((case.run)(Test { subject: Arc::new(subject), executor: executor.clone() }));
        drop(named);
        ran.push(case.name);
    }
    ran
}

/// Says which case it was.
struct Named(&'static str);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the case that does not hold: {}", self.0);
        }
    }
}
