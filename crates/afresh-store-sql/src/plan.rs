//! What a batch comes to, given what was found under its keys: a pure function, the same for all servers.
//!
//! Invariant: the rows that were found are locked until the plan is carried out, so they stay as they were. What was
//! *not* found cannot be locked. Where a new row is written in its place, another writer shows as a conflict. Where the
//! batch only relies on its absence (also by having nothing to delete), there is nothing to conflict with: the plan then
//! asks for a row that stands for the absence ([`Plan::Protect`]), to be locked the next time.

use std::collections::BTreeMap;
use std::time::Duration;

use afresh_core::{
    Done, Entry, Error, Key, Kind, Labels, NewEntry, Op, Result, Timestamp, Value, Version, When,
};

use crate::row::{Row, Slot};

/// What is to be done with one key.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) key: Key,
    /// Whether there is a row, of whatever kind.
    pub(crate) over: bool,
    /// Whether that row has tags.
    pub(crate) tagged: bool,
    pub(crate) to: To,
}

/// What a key is to become.
#[derive(Debug)]
pub(crate) enum To {
    Row(Box<Row>),
    Gone,
    /// As it was, but used at this time.
    Used(Timestamp),
}

/// What a batch comes to.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Changes in the order of their keys, and an answer for each operation.
    Do(Vec<Change>, Vec<Done>),
    Refused {
        index: usize,
        found: Option<Version>,
    },
    /// Keys whose absence must first be made lockable.
    Protect(Vec<Key>),
}

struct State {
    over: bool,
    tagged: bool,
    row: Option<Box<Row>>,
    changed: bool,
    touched: bool,
    /// Whether it was to be absent before anything was changed.
    relied: bool,
}

impl State {
    fn new(slot: Slot) -> Self {
        let (over, tagged, row) = match slot {
            Slot::Vacant => (false, false, None),
            Slot::Dead { tagged } => (true, tagged, None),
            Slot::Live(row) => (true, !row.entry.labels.tags.is_empty(), Some(row)),
        };
        Self { over, tagged, row, changed: false, touched: false, relied: false }
    }

    fn put(&mut self, entry: &NewEntry, version: i64, now: Timestamp) -> Version {
        let mut labels = entry.labels.clone();
        labels.tags.sort();
        labels.tags.dedup();
        labels.time = Some(labels.time.unwrap_or(now));
        let made = self.row.as_ref().map_or(version, |row| row.made);
        self.set(made, entry.value.clone(), version, now, |entry_now| {
            entry_now.object = entry.object;
            entry_now.labels = labels;
        });
        if let Some(row) = &mut self.row {
            row.expires = end(entry.ttl, now);
        }
        Version(version.cast_unsigned())
    }

    fn add(
        &mut self,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
        version: i64,
        now: Timestamp,
    ) -> Result<Done> {
        let (made, count) = match &self.row {
            None => (version, by),
            Some(row) => match row.entry.value {
                Value::Count(count) => (row.made, count.saturating_add(by)),
                Value::Record(_) => {
                    return Err(Error::new(
                        Kind::Config,
                        "the entry holds a record, not a counter",
                    )
                    .with_op("apply")
                    .with_key(format!("{key:?}")));
                }
            },
        };
        let begins = self.row.is_none();
        self.set(made, Value::Count(count), version, now, |_| {});
        if let Some(row) = self.row.as_mut().filter(|_| begins) {
            row.expires = end(ttl, now);
        }
        Ok(Done { version: Some(Version(version.cast_unsigned())), count: Some(count) })
    }

    /// Makes or renews the row.
    fn set(
        &mut self,
        made: i64,
        value: Value,
        version: i64,
        now: Timestamp,
        more: impl FnOnce(&mut Entry),
    ) {
        let version = Version(version.cast_unsigned());
        let mut row = self.row.take().unwrap_or_else(|| {
            let labels = Labels { time: Some(now), ..Labels::default() };
            let entry = Entry {
                version,
                value: Value::Count(0),
                object: None,
                attached: None,
                labels,
                used: now,
                ttl: None,
            };
            Box::new(Row { made, entry, expires: None })
        });
        (row.made, row.entry.version, row.entry.value, row.entry.used) =
            (made, version, value, now);
        more(&mut row.entry);
        self.row = Some(row);
        self.changed = true;
    }

    fn outcome(self, key: Key) -> Option<Change> {
        let to = match self.row {
            Some(row) if self.changed => To::Row(row),
            None if self.changed && self.over => To::Gone,
            Some(row) if self.touched => To::Used(row.entry.used),
            Some(_) | None => return None,
        };
        Some(Change { key, over: self.over, tagged: self.tagged, to })
    }
}

fn end(ttl: Option<Duration>, now: Timestamp) -> Option<i64> {
    ttl.map(|ttl| now.after(ttl).as_millis())
}

/// How many versions the operations use up.
pub(crate) fn versions(ops: &[Op]) -> usize {
    ops.iter().filter(|op| matches!(op, Op::Put { .. } | Op::Add { .. })).count()
}

/// Whether the operation asks for nothing but to be told what is there.
pub(crate) fn only_looks(op: &Op) -> bool {
    matches!(op, Op::Check { when: When::Always, .. })
}

/// What `ops` come to where `found` is there.
pub(crate) fn plan(
    ops: &[Op],
    mut found: impl FnMut(&Key) -> Slot,
    versions: &mut impl Iterator<Item = i64>,
    now: Timestamp,
) -> Result<Plan> {
    let mut states: BTreeMap<&Key, State> = BTreeMap::new();
    let mut done = Vec::with_capacity(ops.len());
    let mut version = || {
        versions.next().ok_or_else(|| Error::new(Kind::Corrupt, "the server gave too few versions"))
    };
    for (index, op) in ops.iter().enumerate() {
        let key = op.key();
        let state = states.entry(key).or_insert_with(|| State::new(found(key)));
        let there = state.row.as_ref().map(|row| row.entry.version);
        if !op.when().holds(there) {
            return Ok(Plan::Refused { index, found: there });
        }
        // An operation alone happens when it looks; several must all hold at one moment.
        let relies = op.when() == When::Absent || matches!(op, Op::Delete { .. });
        state.relied |= relies && ops.len() > 1 && !state.over && !state.changed;
        done.push(match op {
            Op::Put { entry, .. } => {
                Done { version: Some(state.put(entry, version()?, now)), count: None }
            }
            Op::Add { by, ttl, .. } => state.add(key, *by, *ttl, version()?, now)?,
            Op::Check { .. } => Done { version: there, count: None },
            Op::Delete { .. } => {
                state.row = None;
                state.changed = true;
                Done { version: None, count: None }
            }
            Op::Touch { ago, .. } => {
                if let Some(row) = &mut state.row {
                    row.entry.used = row.entry.used.max(now.before(*ago));
                    state.touched = true;
                }
                Done { version: there, count: None }
            }
        });
    }
    let unprotected = |state: &State| state.relied && state.row.is_none();
    let protect: Vec<Key> = states
        .iter()
        .filter(|(_, state)| unprotected(state))
        .map(|(key, _)| (*key).clone())
        .collect();
    if !protect.is_empty() {
        return Ok(Plan::Protect(protect));
    }
    let changes = states.into_iter().filter_map(|(key, state)| state.outcome(key.clone()));
    Ok(Plan::Do(changes.collect(), done))
}
