//! Many at once: nothing is lost, nothing happens twice, and nobody sees an error for it.

use std::collections::BTreeSet;

use afresh_core::{Applied, Batch, NewEntry, ObjectId, Op, Space, Version, When};
use bytes::Bytes;

use super::case::{key, named, put};
use super::{Case, Test, case};

const THREADS: usize = 8;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(counters_lose_nothing),
        case!(compare_and_set_loses_nothing),
        case!(one_of_many_wins),
        case!(who_takes_a_lease_sees_the_answer),
        case!(versions_are_distinct_across_writers),
        case!(batches_do_not_interleave, |can| can.atomic),
        case!(many_write_the_same_object),
    ]
}

async fn counters_lose_nothing(test: Test) {
    const ROUNDS: i64 = 50;
    let key = key(Space::Count, "n");
    test.threads(THREADS, |test, _| {
        let key = key.clone();
        async move {
            for _ in 0..ROUNDS {
                test.op(Op::Add { key: key.clone(), by: 1, ttl: None }).await;
            }
        }
    });
    let count = test.get(&key).await.unwrap().count();
    assert_eq!(count, Some(ROUNDS * i64::try_from(THREADS).unwrap()));
}

async fn compare_and_set_loses_nothing(test: Test) {
    const ROUNDS: u64 = 20;
    let key = named("n");
    test.put(&key, "0").await;
    test.threads(THREADS, |test, _| {
        let key = key.clone();
        async move {
            let mut done = 0;
            while done < ROUNDS {
                let found = test.get(&key).await.unwrap();
                let number: u64 =
                    std::str::from_utf8(found.record().unwrap()).unwrap().parse().unwrap();
                let entry = NewEntry::record((number + 1).to_string());
                match test.ops(vec![put(&key, entry, When::Is(found.version))]).await {
                    Applied::All(_) => done += 1,
                    Applied::Refused { found: now, .. } => {
                        assert!(now > Some(found.version), "refused without a reason");
                    }
                }
            }
        }
    });
    let found = test.get(&key).await.unwrap();
    let total = ROUNDS * u64::try_from(THREADS).unwrap();
    assert_eq!(found.record().unwrap(), total.to_string().as_bytes());
}

async fn one_of_many_wins(test: Test) {
    for round in 0..20 {
        let key = key(Space::Lease, format!("lease {round}"));
        let won = test.threads(THREADS, |test, number| {
            let key = key.clone();
            async move {
                let entry = NewEntry::record(number.to_string());
                matches!(test.ops(vec![put(&key, entry, When::Absent)]).await, Applied::All(_))
            }
        });
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}: {won:?}");
    }
}

/// A lease is given back in the batch that puts the answer: who finds it free finds the answer in the same batch.
async fn who_takes_a_lease_sees_the_answer(test: Test) {
    for round in 0..30 {
        let lease = key(Space::Lease, format!("call {round}"));
        let answer = key(Space::Head, format!("call {round}"));
        let held = test.put(&lease, "owner").await;
        test.threads(4, |test, number| {
            let give_back = Op::Delete { key: lease.clone(), when: When::Is(held) };
            let publish = vec![put(&answer, NewEntry::record("answer"), When::Absent), give_back];
            let take = vec![
                put(&lease, NewEntry::record(number.to_string()), When::Absent),
                Op::Check { key: answer.clone(), when: When::Always },
            ];
            let lease = lease.clone();
            async move {
                if number == 0 {
                    assert!(matches!(test.ops(publish).await, Applied::All(_)));
                    return;
                }
                let done = loop {
                    if let Applied::All(done) = test.ops(take.clone()).await {
                        break done;
                    }
                };
                test.op(Op::Delete { key: lease, when: When::Always }).await;
                assert!(done[1].version.is_some(), "round {round}: the answer was not seen");
            }
        });
    }
}

async fn versions_are_distinct_across_writers(test: Test) {
    let versions = test.threads(THREADS, |test, number| async move {
        let mut versions = Vec::new();
        for round in 0..25 {
            versions.push(test.put(&named(format!("{number}")), &round.to_string()).await);
        }
        versions
    });
    for versions in &versions {
        assert!(versions.is_sorted(), "each writer's versions grow");
        assert_eq!(versions.iter().collect::<BTreeSet<_>>().len(), versions.len());
    }
}

async fn batches_do_not_interleave(test: Test) {
    let (left, right) = (named("left"), named("right"));
    let pair = |text: &str| {
        vec![
            put(&left, NewEntry::record(text.to_owned()), When::Always),
            put(&right, NewEntry::record(text.to_owned()), When::Always),
        ]
    };
    test.ops(pair("start")).await;
    test.threads(4, |test, number| {
        let (left, right) = (left.clone(), right.clone());
        let writes: Vec<_> = (0..50).map(|round| pair(&format!("{number}.{round}"))).collect();
        async move {
            for write in writes {
                if number % 2 == 0 {
                    assert!(matches!(test.ops(write).await, Applied::All(_)));
                } else {
                    let found = test.store().get(&[left.clone(), right.clone()]).await.unwrap();
                    let values: Vec<Bytes> = found
                        .iter()
                        .map(|entry| entry.as_ref().unwrap().record().unwrap().clone())
                        .collect();
                    assert_eq!(values[0], values[1], "half of a batch was seen");
                }
            }
        }
    });
    let checks = vec![
        Op::Check { key: left.clone(), when: When::Is(Version(0)) },
        Op::Check { key: right.clone(), when: When::Is(Version(0)) },
    ];
    assert!(matches!(test.ops(checks).await, Applied::Refused { index: 0, .. }));
}

async fn many_write_the_same_object(test: Test) {
    for len in [100usize, 400_000] {
        let bytes = Bytes::from(vec![7; len]);
        let id = ObjectId::of(&bytes);
        test.threads(THREADS, |test, number| {
            let bytes = bytes.clone();
            async move {
                let object = afresh_core::ObjectRef { id, len: len as u64 };
                let entry = NewEntry { object: Some(object), ..NewEntry::record("") };
                let batch = Batch {
                    objects: vec![(id, bytes.clone().into())],
                    ops: vec![put(&named(format!("{len}.{number}")), entry, When::Absent)],
                };
                assert!(matches!(test.store().apply(batch).await.unwrap(), Applied::All(_)));
                assert_eq!(test.store().read(&id).await.unwrap(), Some(bytes));
            }
        });
        let listed = test.store().list(None, 10).await.unwrap();
        assert_eq!(listed.iter().filter(|info| info.id == id).count(), 1);
    }
}
