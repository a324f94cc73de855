//! Looking through entries: by key, by label, newest first, page by page, while others write.

use std::collections::BTreeSet;

use afresh_core::{Labels, NewEntry, Op, Order, Scan, Space, Status, Tag, Timestamp, Value, When};
use bytes::Bytes;

use super::case::{key, put};
use super::{Case, Test, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(nothing_is_found_in_nothing),
        case!(by_key_in_order),
        case!(by_prefix),
        case!(pages_add_up),
        case!(labels_select_never_too_little),
        case!(labels_select_exactly, |can| can.indexed),
        case!(a_new_put_moves_its_labels, |can| can.indexed),
        case!(newest_first, |can| can.ordered),
        case!(newest_pages_add_up, |can| can.ordered),
        case!(a_scan_survives_writers),
        case!(entries_are_whole),
    ]
}

fn base(space: Space) -> Scan {
    Scan { limit: 7, ..Scan::new(space) }
}

async fn nothing_is_found_in_nothing(test: Test) {
    for space in Space::ALL {
        let page = test.page(&base(space)).await;
        assert!(page.entries.is_empty() && page.next.is_none());
    }
}

async fn by_key_in_order(test: Test) {
    for text in ["b", "a", "c", "aa", "\u{7f}", "", "a\0"] {
        test.put(&key(Space::Named, text), text).await;
        test.put(&key(Space::Head, format!("other {text}")), text).await;
    }
    let keys = test.keys(&Scan { limit: 100, ..Scan::new(Space::Named) }).await;
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(keys.len(), 7);
    if test.capabilities().ordered {
        assert_eq!(keys, sorted);
    }
}

async fn by_prefix(test: Test) {
    let all: [&[u8]; 8] =
        [b"a", b"ab", b"abc", b"b", b"\xff", b"\xff\xff", b"\xff\xffa", b"ab\xff"];
    for bytes in all {
        test.put(&key(Space::Named, bytes), "").await;
    }
    for prefix in [&b""[..], b"a", b"ab", b"ab\xff", b"\xff", b"\xff\xff", b"zz"] {
        let scan = Scan { prefix: Bytes::from_static(prefix), ..base(Space::Named) };
        let found: BTreeSet<Bytes> = test.keys(&scan).await.into_iter().collect();
        let wanted: BTreeSet<Bytes> = all
            .iter()
            .filter(|bytes| bytes.starts_with(prefix))
            .map(|bytes| Bytes::from_static(bytes))
            .collect();
        assert!(found.is_superset(&wanted), "too little: {found:?} for {prefix:?}");
        if test.capabilities().indexed {
            assert_eq!(found, wanted, "too much for {prefix:?}");
        }
    }
}

async fn pages_add_up(test: Test) {
    let ops = (0..100)
        .map(|n| put(&key(Space::Head, format!("{n:03}")), NewEntry::record(""), When::Always))
        .collect();
    test.ops(ops).await;
    let whole = test.keys(&Scan { limit: 1000, ..Scan::new(Space::Head) }).await;
    assert_eq!(whole.len(), 100);
    for limit in [1, 7, 50, 99, 100, 101] {
        let keys = test.keys(&Scan { limit, ..Scan::new(Space::Head) }).await;
        assert_eq!(keys, whole, "pages of {limit}");
    }
}

/// Sixty commits with every mix of labels.
async fn fill(test: &Test, space: Space) {
    for n in 0..60u32 {
        let mut tags = Vec::new();
        if n % 2 == 0 {
            tags.push(Tag::new("even", None).unwrap());
        }
        if n % 5 == 0 {
            tags.push(Tag::new("by", Some(format!("{}", n % 3))).unwrap());
        }
        let labels = Labels {
            function: (n % 4 != 0).then(|| format!("f{}", n % 4)),
            status: Some(if n % 7 == 0 { Status::Failed } else { Status::Completed }),
            tags,
            group: (n % 6 != 0).then(|| u64::from(n % 6) << 61 | 1),
            time: Some(Timestamp::from_millis(1000 + i64::from(n / 2) * 10)),
        };
        let entry = NewEntry { labels, ..NewEntry::record(n.to_string()) };
        // Keys in another order than times.
        let key = key(space, format!("{:03}", n * 37 % 60));
        test.op(put(&key, entry, When::Always)).await;
    }
}

fn selections(space: Space) -> Vec<Scan> {
    let tag = |key: &str, value: Option<&str>| Tag::new(key, value.map(str::to_owned)).unwrap();
    let base = base(space);
    vec![
        base.clone(),
        Scan { function: Some("f1".to_owned()), ..base.clone() },
        Scan { function: Some("nobody".to_owned()), ..base.clone() },
        Scan { status: Some(Status::Failed), ..base.clone() },
        Scan { tags: vec![tag("even", None)], ..base.clone() },
        Scan { tags: vec![tag("by", None)], ..base.clone() },
        Scan { tags: vec![tag("by", Some("1"))], ..base.clone() },
        Scan { tags: vec![tag("by", Some("1")), tag("even", None)], ..base.clone() },
        Scan { tags: vec![tag("by", Some("9"))], ..base.clone() },
        Scan { tags: vec![tag("unheard", None)], ..base.clone() },
        Scan { group: Some(3 << 61 | 1), ..base.clone() },
        Scan { group: Some(2), ..base.clone() },
        Scan { since: Some(Timestamp::from_millis(1200)), ..base.clone() },
        Scan { since: Some(Timestamp::from_millis(i64::MAX)), ..base.clone() },
        Scan {
            prefix: Bytes::from_static(b"01"),
            function: Some("f2".to_owned()),
            status: Some(Status::Completed),
            since: Some(Timestamp::from_millis(1050)),
            ..base
        },
    ]
}

/// What a scan should find, by asking for everything and comparing labels.
async fn wanted(test: &Test, scan: &Scan) -> BTreeSet<Bytes> {
    let page = test.page(&Scan { limit: 1000, ..Scan::new(scan.space) }).await;
    let matching = page.entries.iter().filter(|(key, entry)| scan.matches(key, entry));
    matching.map(|(key, _)| key.bytes().clone()).collect()
}

async fn labels_select_never_too_little(test: Test) {
    fill(&test, Space::Commit).await;
    for scan in selections(Space::Commit) {
        let found: BTreeSet<Bytes> = test.keys(&scan).await.into_iter().collect();
        let wanted = wanted(&test, &scan).await;
        assert!(found.is_superset(&wanted), "too little for {scan:?}");
    }
}

async fn labels_select_exactly(test: Test) {
    for space in [Space::Commit, Space::Head] {
        fill(&test, space).await;
        for scan in selections(space) {
            for order in [Order::Key, Order::Newest] {
                let keys = test.keys(&Scan { order, ..scan.clone() }).await;
                let found: BTreeSet<Bytes> = keys.iter().cloned().collect();
                assert_eq!(found.len(), keys.len(), "an entry came twice for {scan:?}");
                assert_eq!(found, wanted(&test, &scan).await, "not exact for {scan:?}");
            }
        }
    }
    let all = wanted(&test, &base(Space::Commit)).await;
    assert_eq!(all.len(), 60, "the filter itself is right");
}

async fn a_new_put_moves_its_labels(test: Test) {
    let key = key(Space::Commit, "k");
    for name in ["old", "new"] {
        let labels = Labels {
            function: Some(name.to_owned()),
            tags: vec![Tag::new(name, None).unwrap()],
            ..Labels::default()
        };
        test.op(put(&key, NewEntry { labels, ..NewEntry::record("") }, When::Always)).await;
    }
    let by = |name: &str| Scan { function: Some(name.to_owned()), ..base(Space::Commit) };
    let tagged =
        |name: &str| Scan { tags: vec![Tag::new(name, None).unwrap()], ..base(Space::Commit) };
    assert!(test.keys(&by("old")).await.is_empty());
    assert!(test.keys(&tagged("old")).await.is_empty());
    assert_eq!(test.keys(&by("new")).await.len(), 1);
    assert_eq!(test.keys(&tagged("new")).await.len(), 1);
    test.op(Op::Delete { key, when: When::Always }).await;
    assert!(test.keys(&tagged("new")).await.is_empty());
}

async fn newest_first(test: Test) {
    for space in [Space::Commit, Space::Head] {
        fill(&test, space).await;
        let scan = Scan { order: Order::Newest, limit: 1000, ..Scan::new(space) };
        let page = test.page(&scan).await;
        let times: Vec<_> =
            page.entries.iter().map(|(_, entry)| entry.labels.time.unwrap()).collect();
        assert_eq!(times.len(), 60);
        assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    }
}

async fn newest_pages_add_up(test: Test) {
    fill(&test, Space::Commit).await;
    let scan = |limit| Scan { order: Order::Newest, limit, ..Scan::new(Space::Commit) };
    let whole = test.keys(&scan(1000)).await;
    // Two entries share each moment, so that pages end between equals.
    for limit in [1, 3, 59, 60] {
        assert_eq!(test.keys(&scan(limit)).await, whole, "pages of {limit}");
    }
    let some = Scan { function: Some("f1".to_owned()), ..scan(2) };
    let whole: Vec<Bytes> = test.keys(&Scan { limit: 100, ..some.clone() }).await;
    assert_eq!(test.keys(&some).await, whole);
}

async fn a_scan_survives_writers(test: Test) {
    let ops = (0..200)
        .map(|n| {
            put(&key(Space::Head, format!("stays {n:03}")), NewEntry::record(""), When::Always)
        })
        .collect();
    test.ops(ops).await;
    let orders: &[Order] =
        if test.capabilities().ordered { &[Order::Key, Order::Newest] } else { &[Order::Key] };
    for order in orders {
        let mut scan = Scan { order: *order, ..base(Space::Head) };
        let mut stays = Vec::new();
        for round in 0.. {
            let page = test.page(&scan).await;
            stays.extend(
                page.entries
                    .iter()
                    .filter(|(key, _)| key.bytes().starts_with(b"stays"))
                    .map(|(key, _)| key.bytes().clone()),
            );
            // Comings and goings on both sides of the cursor.
            for place in ["a", "stays 1", "z"] {
                let coming = key(Space::Head, format!("{place} comes {round}"));
                test.put(&coming, "").await;
                if round % 2 == 0 {
                    test.op(Op::Delete { key: coming, when: When::Always }).await;
                }
            }
            // New ones may keep a scan going, but not for ever.
            assert!(round < 500, "the scan does not end");
            match page.next {
                Some(next) => scan.cursor = Some(next),
                None => break,
            }
        }
        stays.retain(|key| key.len() == 9);
        let distinct: BTreeSet<_> = stays.iter().collect();
        assert_eq!(distinct.len(), 200, "{order:?}: what was there throughout was missed");
        assert_eq!(stays.len(), 200, "{order:?}: what was there throughout came twice");
    }
}

async fn entries_are_whole(test: Test) {
    let id = afresh_core::ObjectId::of(b"x");
    let object = Some(afresh_core::ObjectRef { id, len: 1 });
    test.store().write(&id, Bytes::from_static(b"x").into()).await.unwrap();
    let record = NewEntry { object, ..NewEntry::record("text") };
    let count = NewEntry { value: Value::Count(9), ..NewEntry::record("") };
    for (name, entry) in [("record", record), ("count", count)] {
        test.op(put(&key(Space::Named, name), entry, When::Always)).await;
    }
    for (key, entry) in test.page(&base(Space::Named)).await.entries {
        let mut got = test.get(&key).await.unwrap();
        assert_eq!(entry.attached, None);
        got.attached = None;
        assert_eq!(entry, got);
    }
}
