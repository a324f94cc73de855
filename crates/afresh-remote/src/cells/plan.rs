//! What a batch comes to, key by key, before anything is written.
//!
//! Invariant: it only computes. The operations on one key are done in their order on what was found there, and their
//! sum is written once; operations on different keys do not see each other, so that their order does not matter.

use std::collections::BTreeMap;
use std::time::Duration;

use afresh_core::{Done, Error, Key, Kind, NewEntry, Op, Space, Value, Version, When};

use super::body::{Body, Guard, Row};
use super::clock::Clock;

/// The operations of a batch on one key, with their places in it.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) key: Key,
    pub(crate) ops: Vec<(usize, Op)>,
}

/// What is to be done about it.
#[allow(clippy::large_enum_variant, reason = "one at a time, on its way to a server")]
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// Nothing.
    Kept,
    /// This is to be there.
    Write(Body),
    /// Nothing is to be there, and no tombstone either.
    Erase,
}

/// Why the operations on a key cannot be done.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(Option<Version>),
    Failed(Error),
}

/// What the operations on a key come to.
#[derive(Debug)]
pub(crate) struct Sum {
    pub(crate) done: Vec<(usize, Done)>,
    pub(crate) fate: Fate,
}

/// When of a batch something is written: each step only after all of the step before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Answers that go.
    Retract,
    /// What answers refer to, and what nobody answers with.
    Record,
    /// Answers.
    Answer,
    /// What tells others to look for them.
    Release,
}

impl Step {
    pub(crate) const ALL: [Self; 4] = [Self::Retract, Self::Record, Self::Answer, Self::Release];
}

/// The operations by key.
pub(crate) fn works(ops: Vec<Op>) -> Vec<Work> {
    let mut works: BTreeMap<Key, Vec<(usize, Op)>> = BTreeMap::new();
    for (index, op) in ops.into_iter().enumerate() {
        works.entry(op.key().clone()).or_default().push((index, op));
    }
    works.into_iter().map(|(key, ops)| Work { key, ops }).collect()
}

impl Work {
    /// Whether it may be begun without looking what is there: a record of an execution, which nobody else makes.
    pub(crate) fn is_blind(&self) -> bool {
        let always = |op: &Op| matches!(op, Op::Put { when: When::Always, .. });
        self.key.space() == Space::Commit && self.ops.iter().all(|(_, op)| always(op))
    }

    /// Whether it asks for nothing but to be told what is there.
    pub(crate) fn only_looks(&self) -> bool {
        self.ops.iter().all(|(_, op)| matches!(op, Op::Check { when: When::Always, .. }))
    }

    /// Whether it makes an answer.
    pub(crate) fn answers(&self) -> bool {
        self.key.space() == Space::Head
            && self.ops.iter().any(|(_, op)| matches!(op, Op::Put { .. }))
    }

    /// What others rest on if it only checks.
    pub(crate) fn guard(&self, found: Option<Version>) -> Option<Guard> {
        let check = |op: &Op| matches!(op, Op::Check { .. });
        let only = self.ops.iter().all(|(_, op)| check(op));
        let any = self.ops.iter().any(|(_, op)| op.when() != When::Always);
        (only && any).then(|| Guard::new(&self.key, found))
    }

    /// When it is done.
    pub(crate) fn step(&self, fate: &Fate) -> Step {
        match (self.key.space(), fate) {
            (Space::Head, Fate::Write(Body::Tombstone(_)) | Fate::Erase) => Step::Retract,
            (Space::Head, _) => Step::Answer,
            (Space::Lease, _) => Step::Release,
            (Space::Commit | Space::Count | Space::Named, _) => Step::Record,
        }
    }

    /// Does the operations on what was found. `rough`: what a touch must be later by to be written.
    pub(crate) fn sum(
        &self,
        found: Option<&Body>,
        clock: &Clock,
        rough: Duration,
    ) -> Result<Sum, (usize, Stop)> {
        let now = clock.now();
        let mut before = found.map(Body::version);
        let mut row: Option<Row> = found.and_then(|body| body.live(now)).cloned();
        let mut changed = false;
        let mut sum = Sum { done: Vec::with_capacity(self.ops.len()), fate: Fate::Kept };
        for (index, op) in &self.ops {
            let there = row.as_ref().map(|row| row.stored.version());
            if !op.when().holds(there) {
                return Err((*index, Stop::Refused(there)));
            }
            let mut done = Done { version: there, count: None };
            match op {
                Op::Put { entry, .. } => {
                    before = Some(clock.version(before));
                    done.version = before;
                    row = before.map(|version| Row::new(&self.key, entry.clone(), version, now));
                    changed = true;
                }
                Op::Add { by, ttl, .. } => {
                    let version = clock.version(before);
                    let value = row.as_ref().map(|row| row.entry(now).value);
                    let count = match value {
                        None => *by,
                        Some(Value::Count(count)) => count.saturating_add(*by),
                        Some(Value::Record(_)) => {
                            return Err((*index, Stop::Failed(no_counter(&self.key))));
                        }
                    };
                    let new = || NewEntry {
                        value: Value::Count(count),
                        ttl: *ttl,
                        ..NewEntry::record("")
                    };
                    row = Some(match &row {
                        Some(row) => row.counted(count, version, now),
                        None => Row::new(&self.key, new(), version, now),
                    });
                    (before, changed) = (Some(version), true);
                    done = Done { version: before, count: Some(count) };
                }
                Op::Check { .. } => {}
                Op::Delete { .. } => {
                    changed |= row.take().is_some();
                    done.version = None;
                }
                Op::Touch { ago, .. } => {
                    if let Some(row) = &mut row
                        && now.before(*ago).since(row.used) > rough
                    {
                        row.used = now.before(*ago);
                        changed = true;
                    }
                }
            }
            sum.done.push((*index, done));
        }
        if changed {
            sum.fate = match row {
                Some(row) => Fate::Write(Body::Row(row)),
                None if self.erases() => Fate::Erase,
                None => Fate::Write(Body::Tombstone(clock.version(before))),
            };
        }
        Ok(sum)
    }

    /// A commit is put once and removed once: nobody compares its versions.
    fn erases(&self) -> bool {
        let delete = |op: &Op| matches!(op, Op::Delete { when: When::Always, .. });
        self.key.space() == Space::Commit && self.ops.iter().all(|(_, op)| delete(op))
    }
}

fn no_counter(key: &Key) -> Error {
    Error::new(Kind::Config, "the entry holds a record, not a counter")
        .with_op("apply")
        .with_key(format!("{key:?}"))
}
