//! Entries under their keys, and the changes that a batch makes to them.
//!
//! Invariant: `times` and `ends` hold exactly one element for every row (with an end). An expired row is
//! absent to every method here from its last millisecond on; [`Entries::sweep`] only gives back its memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use afresh_core::{
    Done, Entry, Error, Key, Kind, Labels, NewEntry, ObjectRef, Op, Result, Space, Timestamp,
    Value, Version,
};

/// Newest first, and of one millisecond the later made first.
pub(crate) type Place = (Space, Reverse<(Timestamp, u64)>);

/// An entry as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its place among rows of the same time; kept when the row is overwritten.
    pub(crate) made: u64,
    pub(crate) version: Version,
    pub(crate) value: Value,
    pub(crate) object: Option<ObjectRef>,
    pub(crate) labels: Labels,
    pub(crate) time: Timestamp,
    pub(crate) used: Timestamp,
    pub(crate) end: Option<Timestamp>,
}

impl Row {
    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        self.end.is_none_or(|end| end > now)
    }

    fn place(&self, key: &Key) -> Place {
        (key.space(), Reverse((self.time, self.made)))
    }

    /// The entry that a caller sees.
    pub(crate) fn entry(&self, now: Timestamp) -> Entry {
        Entry {
            version: self.version,
            value: self.value.clone(),
            object: self.object,
            attached: None,
            labels: self.labels.clone(),
            used: self.used,
            ttl: self.end.map(|end| end.since(now)),
        }
    }
}

/// All entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    pub(crate) rows: BTreeMap<Key, Row>,
    pub(crate) times: BTreeMap<Place, Key>,
    ends: BTreeSet<(Timestamp, Key)>,
    /// How many rows each space has.
    counts: BTreeMap<Space, u64>,
    sequence: u64,
    made: u64,
}

/// What an operation came to.
pub(crate) enum Outcome {
    Done(Done),
    Refused(Option<Version>),
}

impl Entries {
    /// How many rows a space has, expired ones included.
    pub(crate) fn count(&self, space: Space) -> u64 {
        self.counts.get(&space).copied().unwrap_or(0)
    }

    /// The row under a key, unless it has expired.
    pub(crate) fn live(&self, key: &Key, now: Timestamp) -> Option<&Row> {
        self.rows.get(key).filter(|row| row.lives(now))
    }

    /// Makes one change.
    pub(crate) fn change(&mut self, op: &Op, now: Timestamp) -> Result<Outcome> {
        let key = op.key();
        let found = self.live(key, now).map(|row| row.version);
        if !op.when().holds(found) {
            return Ok(Outcome::Refused(found));
        }
        let done = match op {
            Op::Put { key, entry, .. } => {
                Done { version: Some(self.put(key, entry, now)), count: None }
            }
            Op::Add { key, by, ttl } => self.add(key, *by, *ttl, now)?,
            Op::Check { .. } => Done { version: found, count: None },
            Op::Delete { key, .. } => {
                self.take(key);
                Done { version: None, count: None }
            }
            Op::Touch { key, ago } => {
                if let Some(row) = self.rows.get_mut(key).filter(|row| row.lives(now)) {
                    row.used = row.used.max(now.before(*ago));
                }
                Done { version: found, count: None }
            }
        };
        Ok(Outcome::Done(done))
    }

    fn put(&mut self, key: &Key, entry: &NewEntry, now: Timestamp) -> Version {
        let time = entry.labels.time.unwrap_or(now);
        let mut labels = entry.labels.clone();
        labels.time = Some(time);
        labels.tags.sort();
        labels.tags.dedup();
        let version = self.next_version();
        let made = match self.live(key, now) {
            Some(row) => row.made,
            None => self.next_made(),
        };
        self.set(
            key,
            Row {
                made,
                version,
                value: entry.value.clone(),
                object: entry.object,
                labels,
                time,
                used: now,
                end: entry.ttl.map(|ttl| now.after(ttl)),
            },
        );
        version
    }

    fn add(&mut self, key: &Key, by: i64, ttl: Option<Duration>, now: Timestamp) -> Result<Done> {
        let old = self.live(key, now).cloned();
        let count = match old.as_ref().map(|row| &row.value) {
            None => by,
            Some(Value::Count(count)) => count.saturating_add(by),
            Some(Value::Record(_)) => {
                return Err(Error::new(Kind::Config, "the entry holds a record, not a counter")
                    .with_op("apply")
                    .with_key(format!("{key:?}")));
            }
        };
        let version = self.next_version();
        let row = match old {
            Some(row) => Row { version, value: Value::Count(count), used: now, ..row },
            None => Row {
                made: self.next_made(),
                version,
                value: Value::Count(count),
                object: None,
                labels: Labels { time: Some(now), ..Labels::default() },
                time: now,
                used: now,
                end: ttl.map(|ttl| now.after(ttl)),
            },
        };
        self.set(key, row);
        Ok(Done { version: Some(version), count: Some(count) })
    }

    fn next_version(&mut self) -> Version {
        self.sequence += 1;
        Version(self.sequence)
    }

    fn next_made(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn set(&mut self, key: &Key, row: Row) {
        self.take(key);
        self.times.insert(row.place(key), key.clone());
        if let Some(end) = row.end {
            self.ends.insert((end, key.clone()));
        }
        self.rows.insert(key.clone(), row);
        *self.counts.entry(key.space()).or_default() += 1;
    }

    fn take(&mut self, key: &Key) {
        if let Some(row) = self.rows.remove(key) {
            self.times.remove(&row.place(key));
            *self.counts.entry(key.space()).or_default() -= 1;
            if let Some(end) = row.end {
                self.ends.remove(&(end, key.clone()));
            }
        }
    }

    /// The rows that `ops` may change, as they are now.
    pub(crate) fn keep(&self, ops: &[Op]) -> Vec<(Key, Option<Row>)> {
        ops.iter().map(|op| (op.key().clone(), self.rows.get(op.key()).cloned())).collect()
    }

    /// Puts rows back as they were. The versions given out meanwhile stay used up.
    pub(crate) fn restore(&mut self, rows: Vec<(Key, Option<Row>)>) {
        for (key, row) in rows {
            match row {
                Some(row) => self.set(&key, row),
                None => self.take(&key),
            }
        }
    }

    /// Drops the expired.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        while let Some((_, key)) = self.ends.first().filter(|(end, _)| *end <= now).cloned() {
            self.take(&key);
        }
    }
}
