//! Random operations on a store and on its model, answers compared.
//!
//! Invariant: both stores ask the same manual clock and get the same operations; versions are compared by where
//! they came from (the step that made them), as each store numbers in its own way.

use std::collections::HashMap;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Capabilities, Entry, Key, Labels, NewEntry, ObjectId, ObjectRef, Op,
    Order, Scan, Space, Status, Store, Tag, Timestamp, Value, Version, When,
};
use bytes::Bytes;
use proptest::prelude::*;

use crate::ManualClock;

/// A condition, in terms of what was seen rather than of version numbers.
#[derive(Clone, Debug)]
pub enum Condition {
    /// [`When::Always`].
    Always,
    /// [`When::Absent`].
    Absent,
    /// [`When::Is`] the latest version seen of this key.
    Latest,
    /// [`When::Is`] a version that the key had before.
    Former,
}

/// One operation on a key, by number.
#[derive(Clone, Debug)]
pub enum Change {
    /// [`Op::Put`].
    Put(u8, NewEntry, Condition),
    /// [`Op::Add`].
    Add(u8, i64, Option<Duration>),
    /// [`Op::Check`].
    Check(u8, Condition),
    /// [`Op::Delete`].
    Delete(u8, Condition),
    /// [`Op::Touch`].
    Touch(u8, Duration),
}

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// [`Store::apply`], with objects by number.
    Apply(Vec<u8>, Vec<Change>),
    /// [`Store::get`].
    Get(Vec<u8>),
    /// [`Store::scan`], all pages.
    Scan(Scan),
    /// [`Store::write`].
    Write(u8),
    /// [`Store::read`].
    Read(u8),
    /// [`Store::remove`].
    Remove(Vec<u8>, Duration),
    /// [`Store::list`], pages of this length.
    List(usize),
    /// [`Store::quarantine`].
    Quarantine(u8),
    /// [`Store::usage`], the parts that are exact.
    Usage,
    /// Time passes.
    Wait(Duration),
}

/// The key with this number: a few in every space, so that operations meet.
fn key(number: u8) -> Key {
    let space = Space::ALL[usize::from(number) % 5];
    Key::new(space, vec![b'k', number / 5 % 4]).unwrap()
}

/// The object with this number: empty, small, large, compressible or not.
fn object(number: u8) -> Bytes {
    let len = [0, 10, 2000, 70_000, 150_000][usize::from(number) % 5];
    let step = if number.is_multiple_of(2) { 0 } else { 97 };
    (0..len).map(|n: u32| (n.wrapping_mul(step) >> 3) as u8 ^ number).collect::<Vec<u8>>().into()
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        4 => Just(Condition::Always),
        2 => Just(Condition::Absent),
        3 => Just(Condition::Latest),
        1 => Just(Condition::Former),
    ]
}

fn tag() -> impl Strategy<Value = Tag> {
    (0..3u8, proptest::option::of(0..2u8)).prop_map(|(key, value)| {
        Tag::new(format!("t{key}"), value.map(|value| format!("v{value}"))).unwrap()
    })
}

fn hours() -> impl Strategy<Value = Duration> {
    (1..6u64).prop_map(|hours| Duration::from_secs(hours * 3600))
}

fn labels() -> impl Strategy<Value = Labels> {
    (
        proptest::option::of(0..3u8),
        proptest::option::of(prop_oneof![Just(Status::Completed), Just(Status::Failed)]),
        proptest::collection::vec(tag(), 0..3),
        proptest::option::of(0..3u64),
        proptest::option::of(0..4i64),
    )
        .prop_map(|(function, status, tags, group, time)| Labels {
            function: function.map(|n| format!("f{n}")),
            status,
            tags,
            group: group.map(|n| n.wrapping_sub(1)),
            time: time.map(Timestamp::from_millis),
        })
}

fn entry() -> impl Strategy<Value = NewEntry> {
    let value = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|v| Value::Record(v.into())),
        1 => any::<i64>().prop_map(Value::Count),
    ];
    (value, proptest::option::of(0..10u8), labels(), proptest::option::of(hours())).prop_map(
        |(value, number, labels, ttl)| {
            let object = number.map(|number| {
                let bytes = object(number);
                ObjectRef { id: ObjectId::of(&bytes), len: bytes.len() as u64 }
            });
            NewEntry { value, object, labels, ttl }
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    let key = 0..20u8;
    prop_oneof![
        5 => (key.clone(), entry(), condition()).prop_map(|(k, e, c)| Change::Put(k, e, c)),
        2 => (key.clone(), -5..50i64, proptest::option::of(hours()))
            .prop_map(|(k, by, ttl)| Change::Add(k, by, ttl)),
        1 => (key.clone(), condition()).prop_map(|(k, c)| Change::Check(k, c)),
        2 => (key.clone(), condition()).prop_map(|(k, c)| Change::Delete(k, c)),
        1 => (key, hours()).prop_map(|(k, ago)| Change::Touch(k, ago)),
    ]
}

fn scan() -> impl Strategy<Value = Scan> {
    (
        (0..5usize, proptest::option::of(0..4u8), any::<bool>(), 1..8usize),
        labels(),
        proptest::collection::vec(tag(), 0..2),
    )
        .prop_map(|((space, prefix, newest, limit), labels, tags)| Scan {
            prefix: prefix.map_or(Bytes::new(), |last| vec![b'k', last].into()),
            function: labels.function,
            status: labels.status,
            tags,
            group: labels.group,
            since: labels.time,
            order: if newest { Order::Newest } else { Order::Key },
            limit,
            ..Scan::new(Space::ALL[space])
        })
}

/// Any sequence of steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let objects = || proptest::collection::vec(0..10u8, 0..3);
    let step = prop_oneof![
        8 => (objects(), proptest::collection::vec(change(), 1..5))
            .prop_map(|(o, c)| Step::Apply(o, c)),
        3 => proptest::collection::vec(0..20u8, 1..4).prop_map(Step::Get),
        3 => scan().prop_map(Step::Scan),
        1 => (0..10u8).prop_map(Step::Write),
        2 => (0..10u8).prop_map(Step::Read),
        1 => (objects(), prop_oneof![Just(Duration::ZERO), hours()])
            .prop_map(|(o, idle)| Step::Remove(o, idle)),
        1 => (1..5usize).prop_map(Step::List),
        1 => (0..10u8).prop_map(Step::Quarantine),
        1 => Just(Step::Usage),
        // So odd that no sum of waits lies within a minute of an idle time.
        2 => hours().prop_map(|span| Step::Wait(span + Duration::from_secs(617))),
    ];
    proptest::collection::vec(step, 1..60)
}

/// One of the two stores, with the versions it gave out.
struct Side<'a> {
    store: &'a dyn Store,
    /// Whether scans are compared in the order of their answers.
    ordered: bool,
    indexed: bool,
    /// By key: every version, oldest first, with the step that made it.
    seen: HashMap<Key, Vec<Version>>,
}

impl Side<'_> {
    fn when(&self, key: &Key, condition: &Condition) -> When {
        let seen = self.seen.get(key).map(Vec::as_slice).unwrap_or_default();
        match condition {
            Condition::Always => When::Always,
            Condition::Absent => When::Absent,
            Condition::Latest => seen.last().map_or(When::Absent, |version| When::Is(*version)),
            Condition::Former => seen.first().map_or(When::Absent, |version| When::Is(*version)),
        }
    }

    /// Which of the key's versions this is.
    fn name(&self, key: &Key, version: Option<Version>) -> Option<usize> {
        let seen = self.seen.get(key).map(Vec::as_slice).unwrap_or_default();
        version.map(|version| seen.iter().position(|other| *other == version).unwrap_or(usize::MAX))
    }

    fn op(&self, change: &Change) -> Op {
        match change {
            Change::Put(number, entry, condition) => {
                let key = key(*number);
                Op::Put { when: self.when(&key, condition), key, entry: entry.clone() }
            }
            Change::Add(number, by, ttl) => Op::Add { key: key(*number), by: *by, ttl: *ttl },
            Change::Check(number, condition) => {
                let key = key(*number);
                Op::Check { when: self.when(&key, condition), key }
            }
            Change::Delete(number, condition) => {
                let key = key(*number);
                Op::Delete { when: self.when(&key, condition), key }
            }
            Change::Touch(number, ago) => Op::Touch { key: key(*number), ago: *ago },
        }
    }

    fn entry(&self, key: &Key, entry: &Entry) -> String {
        let Entry { value, object, labels, used, ttl, .. } = entry;
        let name = self.name(key, Some(entry.version));
        format!("{key:?} {name:?} {value:?} {object:?} {labels:?} {used:?} {ttl:?}")
    }

    /// Does a step and tells what came of it, in words that do not depend on the store.
    async fn step(&mut self, step: &Step) -> String {
        let store = self.store;
        match step {
            Step::Apply(objects, changes) => {
                let ops: Vec<Op> = changes.iter().map(|change| self.op(change)).collect();
                let objects: Vec<(ObjectId, Blob)> = objects
                    .iter()
                    .map(|number| (ObjectId::of(&object(*number)), object(*number).into()))
                    .collect();
                let batch = Batch { objects: objects.clone(), ops: ops.clone() };
                let applied = store.apply(batch).await;
                if !matches!(applied, Ok(Applied::All(_))) {
                    // They may stay behind or not; go on from the same place.
                    for (id, blob) in objects {
                        store.write(&id, blob).await.unwrap();
                    }
                }
                match applied {
                    Ok(Applied::All(done)) => {
                        let mut text = String::from("all");
                        for (op, done) in ops.iter().zip(done) {
                            if let (Op::Put { key, .. } | Op::Add { key, .. }, Some(version)) =
                                (op, done.version)
                            {
                                self.seen.entry(key.clone()).or_default().push(version);
                            }
                            let name = self.name(op.key(), done.version);
                            text += &format!(" {name:?} {:?}", done.count);
                        }
                        text
                    }
                    Ok(Applied::Refused { index, found }) => {
                        format!(
                            "refused {index} {:?}",
                            self.name(ops[index].key(), found).is_some()
                        )
                    }
                    Err(error) => format!("error {:?}", error.kind()),
                }
            }
            Step::Get(numbers) => {
                let keys: Vec<Key> = numbers.iter().map(|number| key(*number)).collect();
                let found = store.get(&keys).await.unwrap();
                let tell = |(key, entry): (&Key, &Option<Entry>)| {
                    entry.as_ref().map(|entry| self.entry(key, entry))
                };
                format!("{:?}", keys.iter().zip(&found).map(tell).collect::<Vec<_>>())
            }
            Step::Scan(scan) => {
                let mut scan = scan.clone();
                let mut lines = Vec::new();
                loop {
                    let page = store.scan(&scan).await.unwrap();
                    lines.extend(page.entries.iter().map(|(key, entry)| self.entry(key, entry)));
                    match page.next {
                        Some(next) => scan.cursor = Some(next),
                        None => break,
                    }
                }
                if !self.ordered {
                    lines.sort();
                }
                lines.join("\n")
            }
            Step::Write(number) => {
                let bytes = object(*number);
                store.write(&ObjectId::of(&bytes), bytes.into()).await.unwrap();
                String::new()
            }
            Step::Read(number) => {
                let bytes = object(*number);
                let read = store.read(&ObjectId::of(&bytes)).await.unwrap();
                format!("{:?}", read.map(|read| read == bytes))
            }
            Step::Remove(numbers, idle) => {
                let ids: Vec<_> = numbers.iter().map(|n| ObjectId::of(&object(*n))).collect();
                format!("{}", store.remove(&ids, *idle).await.unwrap().objects)
            }
            Step::List(limit) => {
                let mut text = String::new();
                let mut after = None;
                loop {
                    let page = store.list(after.as_ref(), *limit).await.unwrap();
                    let Some(last) = page.last() else { return text };
                    after = Some(last.id);
                    for info in page {
                        // Who knows only what he keeps says so.
                        let len = self.indexed.then_some(info.len);
                        text += &format!("{:?} {len:?} {:?}\n", info.id, info.idle);
                    }
                }
            }
            Step::Quarantine(number) => {
                store.quarantine(&ObjectId::of(&object(*number))).await.unwrap();
                String::new()
            }
            Step::Usage => {
                let usage = store.usage().await.unwrap();
                format!("{} objects", usage.inline_objects + usage.file_objects)
            }
            Step::Wait(_) => String::new(),
        }
    }
}

/// Does the steps on both stores, which ask `clock`, and compares every answer.
pub async fn compare(store: &dyn Store, model: &dyn Store, clock: &ManualClock, steps: &[Step]) {
    let Capabilities { ordered, indexed, .. } = store.info().capabilities;
    let mut store = Side { store, ordered, indexed, seen: HashMap::new() };
    let mut model = Side { store: model, ordered, indexed, seen: HashMap::new() };
    for (number, step) in steps.iter().enumerate() {
        if let Step::Wait(span) = step {
            clock.advance(*span);
        }
        let (is, should) = (store.step(step).await, model.step(step).await);
        assert_eq!(is, should, "step {number}: {step:?}");
    }
}
