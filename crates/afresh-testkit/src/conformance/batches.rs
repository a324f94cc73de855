//! Several changes together: in order, all or nothing.

use afresh_core::{Applied, Batch, NewEntry, ObjectId, Op, Version, When};
use bytes::Bytes;

use super::case::{named, put};
use super::{Case, Test, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(an_empty_batch_happens),
        case!(a_batch_answers_each_operation),
        case!(a_later_operation_sees_an_earlier_one, |can| can.atomic),
        case!(a_refused_batch_changes_nothing, |can| can.atomic),
        case!(a_failed_batch_changes_nothing, |can| can.atomic),
        case!(objects_are_there_with_their_entries),
        case!(a_batch_may_be_large),
    ]
}

async fn an_empty_batch_happens(test: Test) {
    assert_eq!(test.ops(vec![]).await, Applied::All(vec![]));
}

async fn a_batch_answers_each_operation(test: Test) {
    let (a, b, c) = (named("a"), named("b"), named("c"));
    let applied = test
        .ops(vec![
            put(&a, NewEntry::record("1"), When::Always),
            Op::Add { key: b.clone(), by: 3, ttl: None },
            Op::Check { key: c.clone(), when: When::Absent },
            Op::Delete { key: c.clone(), when: When::Always },
            Op::Touch { key: c.clone(), ago: std::time::Duration::ZERO },
        ])
        .await;
    let Applied::All(done) = applied else { panic!("{applied:?}") };
    assert_eq!(done.len(), 5);
    assert_eq!(done[0].version, Some(test.get(&a).await.unwrap().version));
    assert_eq!(done[1].count, Some(3));
    assert_eq!(done[1].version, Some(test.get(&b).await.unwrap().version));
    assert!(done[2..].iter().all(|done| done.version.is_none() && done.count.is_none()));
}

async fn a_later_operation_sees_an_earlier_one(test: Test) {
    let key = named("k");
    let applied = test
        .ops(vec![
            put(&key, NewEntry::record("1"), When::Absent),
            Op::Delete { key: key.clone(), when: When::Always },
            put(&key, NewEntry::record("2"), When::Absent),
            Op::Check { key: key.clone(), when: When::Always },
        ])
        .await;
    let Applied::All(done) = applied else { panic!("{applied:?}") };
    assert!(done[2].version > done[0].version);
    assert_eq!(done[3].version, done[2].version);
    let found = test.get(&key).await.unwrap();
    assert_eq!(found.record().unwrap(), "2".as_bytes());
    let applied = test
        .ops(vec![
            Op::Delete { key: key.clone(), when: When::Always },
            Op::Check { key: key.clone(), when: When::Is(found.version) },
        ])
        .await;
    assert_eq!(applied, Applied::Refused { index: 1, found: None });
    assert_eq!(test.get(&key).await, Some(found));
}

async fn a_refused_batch_changes_nothing(test: Test) {
    let (old, gone, new, count) = (named("old"), named("gone"), named("new"), named("count"));
    test.put(&old, "1").await;
    test.put(&gone, "1").await;
    test.op(Op::Add { key: count.clone(), by: 1, ttl: None }).await;
    let keys = [old.clone(), gone.clone(), new.clone(), count.clone()];
    let before = test.store().get(&keys).await.unwrap();
    let applied = test
        .ops(vec![
            put(&old, NewEntry::record("2"), When::Always),
            Op::Delete { key: gone, when: When::Always },
            put(&new, NewEntry::record("2"), When::Always),
            Op::Add { key: count, by: 1, ttl: None },
            Op::Check { key: old, when: When::Is(Version(u64::MAX >> 1)) },
        ])
        .await;
    assert!(matches!(applied, Applied::Refused { index: 4, found: Some(_) }), "{applied:?}");
    assert_eq!(test.store().get(&keys).await.unwrap(), before);
    assert_eq!(test.get(&new).await, None);
}

async fn a_failed_batch_changes_nothing(test: Test) {
    let (record, other) = (named("record"), named("other"));
    test.put(&record, "1").await;
    let ops = vec![
        put(&other, NewEntry::record("2"), When::Always),
        Op::Add { key: record.clone(), by: 1, ttl: None },
    ];
    assert!(test.store().apply(Batch { objects: vec![], ops }).await.is_err());
    assert_eq!(test.get(&other).await, None);
}

async fn objects_are_there_with_their_entries(test: Test) {
    for len in [0usize, 1, 3000, 300_000] {
        let bytes = Bytes::from((0..len).map(|n| (n * 31 % 251) as u8).collect::<Vec<_>>());
        let id = ObjectId::of(&bytes);
        let object = afresh_core::ObjectRef { id, len: len as u64 };
        let key = named(len.to_string());
        let entry = NewEntry { object: Some(object), ..NewEntry::record("") };
        let batch = Batch {
            objects: vec![(id, bytes.clone().into()), (id, bytes.clone().into())],
            ops: vec![put(&key, entry, When::Absent)],
        };
        assert!(matches!(test.store().apply(batch.clone()).await.unwrap(), Applied::All(_)));
        let found = test.get(&key).await.unwrap();
        assert_eq!(found.object, Some(object));
        assert!(found.attached.is_none_or(|attached| attached == bytes));
        assert_eq!(test.store().read(&id).await.unwrap(), Some(bytes));
        assert!(matches!(test.store().apply(batch).await.unwrap(), Applied::Refused { .. }));
        assert!(test.store().read(&id).await.unwrap().is_some(), "a refusal takes nothing away");
    }
}

async fn a_batch_may_be_large(test: Test) {
    let keys: Vec<_> = (0..500).map(|n| named(format!("{n:03}"))).collect();
    let ops = keys.iter().map(|key| put(key, NewEntry::record("v"), When::Absent)).collect();
    let applied = test.ops(ops).await;
    let Applied::All(done) = applied else { panic!("{applied:?}") };
    let mut versions: Vec<_> = done.iter().map(|done| done.version.unwrap()).collect();
    versions.dedup();
    assert_eq!(versions.len(), 500);
    assert!(test.store().get(&keys).await.unwrap().iter().all(Option::is_some));
}
