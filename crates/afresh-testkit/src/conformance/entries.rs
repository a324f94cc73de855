//! Entries one at a time: what is put is found, conditions are kept, versions grow.

use std::time::Duration;

use afresh_core::{
    Entry, Key, Labels, MAX_KEY, NewEntry, ObjectId, ObjectRef, Op, Space, Status, Tag, Timestamp,
    Value, Version, When,
};

use super::case::{key, named, put};
use super::{Case, Test, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(what_was_never_put_is_absent),
        case!(what_was_put_is_found),
        case!(labels_come_back, |can| can.indexed),
        case!(a_put_replaces_everything),
        case!(put_when_absent),
        case!(put_when_is),
        case!(check_changes_nothing),
        case!(delete_by_version),
        case!(counters_add),
        case!(a_record_is_no_counter),
        case!(touch_keeps_the_version),
        case!(versions_are_never_reused),
        case!(get_keeps_order_and_duplicates),
        case!(keys_may_be_any_bytes),
        case!(spaces_are_apart),
        case!(records_may_be_large),
    ]
}

fn text(entry: &Entry) -> &str {
    std::str::from_utf8(entry.record().unwrap()).unwrap()
}

async fn what_was_never_put_is_absent(test: Test) {
    for space in Space::ALL {
        assert_eq!(test.get(&key(space, "nothing")).await, None);
    }
    assert_eq!(test.store().get(&[]).await.unwrap(), vec![]);
}

async fn what_was_put_is_found(test: Test) {
    let id = ObjectId::of(b"elsewhere");
    for space in Space::ALL {
        let key = key(space, "k");
        let entry = NewEntry {
            object: Some(ObjectRef { id, len: 9 }),
            ttl: Some(Duration::from_secs(7200)),
            ..NewEntry::record("value")
        };
        let version = test.op(put(&key, entry, When::Always)).await.version.unwrap();
        let found = test.get(&key).await.unwrap();
        assert_eq!(found.version, version);
        assert_eq!(text(&found), "value");
        assert_eq!(found.object, Some(ObjectRef { id, len: 9 }));
        assert_eq!(found.attached, None, "the object was never written");
        let ttl = found.ttl.expect("it ends");
        assert!(ttl <= Duration::from_secs(7200) && ttl > Duration::from_secs(7100), "{ttl:?}");
        assert!(found.labels.time.is_some());
    }
    let count = NewEntry { value: Value::Count(-5), ..NewEntry::record("") };
    test.op(put(&named("count"), count, When::Always)).await;
    assert_eq!(test.get(&named("count")).await.unwrap().count(), Some(-5));
    let empty = named("empty");
    test.put(&empty, "").await;
    assert_eq!(text(&test.get(&empty).await.unwrap()), "");
}

async fn labels_come_back(test: Test) {
    let tags = vec![
        Tag::new("bare", None).unwrap(),
        Tag::new("team", Some("a".to_owned())).unwrap(),
        Tag::new("team", Some("b".to_owned())).unwrap(),
        Tag::new("void", Some(String::new())).unwrap(),
    ];
    let labels = Labels {
        function: Some("etl.clean".to_owned()),
        status: Some(Status::Failed),
        tags,
        group: Some(u64::MAX - 1),
        time: Some(Timestamp::from_millis(123)),
    };
    for space in [Space::Commit, Space::Head] {
        let key = key(space, "k");
        let entry = NewEntry { labels: labels.clone(), ..NewEntry::record("") };
        test.op(put(&key, entry, When::Always)).await;
        let mut found = test.get(&key).await.unwrap().labels;
        found.tags.sort();
        assert_eq!(found, labels);
    }
}

async fn a_put_replaces_everything(test: Test) {
    let key = named("k");
    let entry = NewEntry {
        object: Some(ObjectRef { id: ObjectId::of(b""), len: 0 }),
        labels: Labels { function: Some("f".to_owned()), group: Some(1), ..Labels::default() },
        ttl: Some(Duration::from_secs(60)),
        ..NewEntry::record("old")
    };
    let first = test.op(put(&key, entry, When::Always)).await.version.unwrap();
    let second = test.put(&key, "new").await;
    assert!(second > first);
    let found = test.get(&key).await.unwrap();
    assert_eq!((text(&found), found.object, found.ttl), ("new", None, None));
    assert_eq!((&found.labels.function, found.labels.group), (&None, None));
}

async fn put_when_absent(test: Test) {
    let key = named("k");
    let first = test.op(put(&key, NewEntry::record("1"), When::Absent)).await.version;
    assert_eq!(test.refused(put(&key, NewEntry::record("2"), When::Absent)).await, first);
    assert_eq!(text(&test.get(&key).await.unwrap()), "1");
}

async fn put_when_is(test: Test) {
    let key = named("k");
    assert_eq!(test.refused(put(&key, NewEntry::record("0"), When::Is(Version(1)))).await, None);
    let first = test.put(&key, "1").await;
    let second = test.op(put(&key, NewEntry::record("2"), When::Is(first))).await.version.unwrap();
    let found = test.refused(put(&key, NewEntry::record("3"), When::Is(first))).await;
    assert_eq!(found, Some(second));
    assert_eq!(text(&test.get(&key).await.unwrap()), "2");
}

async fn check_changes_nothing(test: Test) {
    let key = named("k");
    let check = |when| Op::Check { key: key.clone(), when };
    assert_eq!(test.op(check(When::Absent)).await.version, None);
    assert_eq!(test.op(check(When::Always)).await.version, None);
    assert_eq!(test.refused(check(When::Is(Version(7)))).await, None);
    let version = test.put(&key, "1").await;
    assert_eq!(test.op(check(When::Is(version))).await.version, Some(version));
    assert_eq!(test.op(check(When::Always)).await.version, Some(version));
    assert_eq!(test.refused(check(When::Absent)).await, Some(version));
    assert_eq!(test.get(&key).await.unwrap().version, version);
}

async fn delete_by_version(test: Test) {
    let key = named("k");
    let delete = |when| Op::Delete { key: key.clone(), when };
    assert_eq!(test.op(delete(When::Always)).await.version, None);
    assert_eq!(test.op(delete(When::Absent)).await.version, None);
    let first = test.put(&key, "1").await;
    let second = test.put(&key, "2").await;
    assert_eq!(test.refused(delete(When::Is(first))).await, Some(second));
    assert_eq!(test.op(delete(When::Is(second))).await.version, None);
    assert_eq!(test.get(&key).await, None);
    assert_eq!(test.refused(delete(When::Is(second))).await, None);
}

async fn counters_add(test: Test) {
    let key = key(Space::Count, "hits");
    let add = |by, ttl| Op::Add { key: key.clone(), by, ttl };
    let first = test.op(add(5, Some(test.tick() * 2))).await;
    assert_eq!(first.count, Some(5));
    let second = test.op(add(-7, None)).await;
    assert_eq!(second.count, Some(-2));
    assert!(second.version > first.version);
    assert_eq!(test.get(&key).await.unwrap().count(), Some(-2));
    test.wait(test.tick() * 2 + Duration::from_millis(50));
    assert_eq!(test.get(&key).await, None, "the ttl is that of the beginning");
    assert_eq!(test.op(add(1, None)).await.count, Some(1));
    assert_eq!(test.get(&key).await.unwrap().ttl, None);
}

async fn a_record_is_no_counter(test: Test) {
    let key = named("k");
    test.put(&key, "text").await;
    let op = Op::Add { key: key.clone(), by: 1, ttl: None };
    let batch = afresh_core::Batch { objects: Vec::new(), ops: vec![op] };
    assert!(test.store().apply(batch).await.is_err());
    assert_eq!(text(&test.get(&key).await.unwrap()), "text");
}

async fn touch_keeps_the_version(test: Test) {
    let key = named("k");
    let touch = |ago| Op::Touch { key: key.clone(), ago };
    test.op(touch(Duration::ZERO)).await;
    assert_eq!(test.get(&key).await, None);
    let version = test.put(&key, "1").await;
    let written = test.get(&key).await.unwrap().used;
    test.wait(test.tick());
    test.op(touch(Duration::ZERO)).await;
    let found = test.get(&key).await.unwrap();
    assert_eq!((found.version, text(&found)), (version, "1"));
    assert!(found.used >= written);
    test.op(touch(Duration::from_secs(1 << 30))).await;
    assert!(test.get(&key).await.unwrap().used >= found.used, "it never goes back");
}

async fn versions_are_never_reused(test: Test) {
    let key = named("k");
    let mut last = Version(0);
    for round in 0..20 {
        let version = test.put(&key, "x").await;
        assert!(version > last, "round {round}");
        last = version;
        if round % 2 == 0 {
            test.op(Op::Delete { key: key.clone(), when: When::Is(version) }).await;
        }
    }
}

async fn get_keeps_order_and_duplicates(test: Test) {
    let keys: Vec<Key> = (0..50).map(|n| named(format!("k{n}"))).collect();
    for key in keys.iter().step_by(2) {
        test.put(key, &format!("{key:?}")).await;
    }
    let mut asked = keys.clone();
    asked.reverse();
    asked.extend(keys.iter().take(3).cloned());
    let found = test.store().get(&asked).await.unwrap();
    assert_eq!(found.len(), asked.len());
    for (key, entry) in asked.iter().zip(found) {
        let even = keys.iter().position(|other| other == key).unwrap() % 2 == 0;
        assert_eq!(entry.as_ref().map(text), even.then(|| format!("{key:?}")).as_deref());
    }
}

async fn keys_may_be_any_bytes(test: Test) {
    let all: Vec<u8> = (0..=255).collect();
    let long = vec![0xff; MAX_KEY];
    let keys: [&[u8]; 7] = [b"", b"\0", b"\0\0", b"a", b"a\0", &all, &long];
    for bytes in keys {
        test.put(&named(bytes), &bytes.len().to_string()).await;
    }
    for bytes in keys {
        let found = test.get(&named(bytes)).await.unwrap();
        assert_eq!(text(&found), bytes.len().to_string());
    }
}

async fn spaces_are_apart(test: Test) {
    for space in Space::ALL {
        test.put(&key(space, "same"), &format!("{space:?}")).await;
    }
    for space in Space::ALL {
        let found = test.get(&key(space, "same")).await.unwrap();
        assert_eq!(text(&found), format!("{space:?}"));
    }
    test.op(Op::Delete { key: key(Space::Lease, "same"), when: When::Always }).await;
    assert!(test.get(&key(Space::Head, "same")).await.is_some());
}

async fn records_may_be_large(test: Test) {
    let key = named("k");
    let large = "x".repeat(200_000);
    test.put(&key, &large).await;
    assert_eq!(text(&test.get(&key).await.unwrap()), large);
}
