//! Entries whose stored bytes somebody damaged: absent to everybody, and no obstacle to whoever puts one.

use afresh_core::{Applied, Key, NewEntry, Op, Scan, Space, When};

use super::{Case, Test, case};

pub(super) fn cases() -> Vec<Case> {
    vec![Case { spoils: true, ..case!(what_cannot_be_read_is_absent_and_written_over) }]
}

async fn what_cannot_be_read_is_absent_and_written_over(test: Test) {
    let spoil = test.subject.spoil.as_ref().unwrap();
    for space in Space::ALL {
        let key = Key::new(space, vec![7; 32]).unwrap();
        let other = Key::new(space, vec![8; 32]).unwrap();
        let record = |text: &str| NewEntry::record(text.to_owned());
        let put = |when| Op::Put { key: key.clone(), entry: record("anew"), when };
        let mut last = test.put(&key, "first").await;
        for (way, heal) in [
            vec![put(When::Absent)],
            vec![put(When::Always)],
            vec![
                Op::Check { key: key.clone(), when: When::Absent },
                Op::Put { key: other.clone(), entry: record("x"), when: When::Always },
                put(When::Absent),
            ],
            vec![Op::Delete { key: key.clone(), when: When::Always }, put(When::Absent)],
        ]
        .into_iter()
        .enumerate()
        {
            spoil(&key);
            assert!(test.get(&key).await.is_none(), "{space:?}, {way}");
            assert_eq!(test.refused(put(When::Is(last))).await, None, "{space:?}, {way}");
            let found = test.store().scan(&Scan::new(space)).await.unwrap().entries;
            assert!(found.iter().all(|(found, _)| *found != key), "{space:?}, {way}");
            match test.ops(heal).await {
                Applied::All(done) => {
                    let version = done.last().unwrap().version.unwrap();
                    assert!(version > last, "{space:?}, {way}: {version:?} after {last:?}");
                    last = version;
                }
                refused @ Applied::Refused { .. } => panic!("{space:?}, {way}: {refused:?}"),
            }
            assert_eq!(test.get(&key).await.unwrap().record().unwrap(), "anew");
        }
        spoil(&key);
        let done = test.op(Op::Add { key: key.clone(), by: 5, ttl: None }).await;
        assert_eq!(done.count, Some(5), "{space:?}: a counter that cannot be read begins anew");
        spoil(&key);
        test.op(Op::Delete { key: key.clone(), when: When::Always }).await;
        assert!(test.get(&key).await.is_none());
        test.op(put(When::Absent)).await;
        assert!(test.get(&key).await.is_some());
    }
}
