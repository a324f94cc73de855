//! What commits are found by: too much is said rather than too little, and little is fetched.

use std::time::Duration;

use afresh_core::{Batch, Key, Labels, NewEntry, ObjectId, Op, Scan, Space, Store, Tag, When};
use afresh_testkit::ManualClock;
use object_store::path::Path;

use crate::manual::{Clocked, store};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn key(n: u32) -> Key {
    Key::new(Space::Commit, ObjectId::of(&n.to_be_bytes()).as_bytes().to_vec()).unwrap()
}

fn tag(n: u32) -> Vec<Tag> {
    vec![Tag::new("part", Some((n % 500).to_string())).unwrap()]
}

fn put(n: u32, when: When) -> Op {
    let labels = Labels { group: Some(u64::from(n / 10)), tags: tag(n), ..Labels::default() };
    Op::Put { key: key(n), entry: NewEntry { labels, ..NewEntry::record("x") }, when }
}

async fn apply(store: &dyn Store, ops: Vec<Op>) {
    store.apply(Batch { objects: vec![], ops }).await.unwrap();
}

async fn found(store: &dyn Store, mut scan: Scan) -> Vec<Key> {
    let mut keys = Vec::new();
    loop {
        let page = store.scan(&scan).await.unwrap();
        keys.extend(page.entries.into_iter().map(|(key, _)| key));
        match page.next {
            Some(next) => scan.cursor = Some(next),
            None => return keys,
        }
    }
}

fn tagged(n: u32) -> Scan {
    Scan { tags: tag(n), ..Scan::new(Space::Commit) }
}

async fn labels(driver: &Clocked) -> usize {
    driver.count(&Path::from("some/prefix/afresh-2/label")).await
}

#[tokio::test]
async fn what_is_looked_for_is_fetched_and_nothing_else() {
    let (store, driver) = store(&ManualClock::new());
    let all: Vec<u32> = (0..2500).collect();
    // Each twice, so that there are two labels of each, and more of them than one page of one list.
    for some in all.chunks(250).chain(all.chunks(250)) {
        apply(&store, some.iter().map(|n| put(*n, When::Always)).collect()).await;
    }
    assert_eq!(labels(&driver).await, 5000);
    let mut should: Vec<Key> = [7, 507, 1007, 1507, 2007].map(key).into();
    should.sort();
    for limit in [1, 2, 1000] {
        driver.forget_gets();
        let keys = found(&store, Scan { limit, ..tagged(7) }).await;
        assert_eq!(keys, should, "{limit} a page");
        assert_eq!(driver.gets(), 5, "{limit} a page");
    }
    driver.forget_gets();
    let group = Scan { group: Some(3), limit: 3, ..Scan::new(Space::Commit) };
    assert_eq!(found(&store, group).await.len(), 10);
    assert_eq!(driver.gets(), 10);
    assert!(found(&store, tagged(501)).await.len() == 5 && labels(&driver).await == 5000);
}

#[tokio::test]
async fn labels_that_lead_to_nothing_go_after_a_day() {
    let clock = ManualClock::new();
    let (store, driver) = store(&clock);
    apply(&store, (0..20).map(|n| put(n, When::Absent)).collect()).await;
    let delete = |n: u32| Op::Delete { key: key(n), when: When::Always };
    apply(&store, (0..10).map(delete).collect()).await;
    assert!(found(&store, tagged(3)).await.is_empty());
    assert_eq!(found(&store, Scan::new(Space::Commit)).await.len(), 10);
    assert_eq!(labels(&driver).await, 20, "somebody may be about to put what they lead to");
    clock.advance(DAY + Duration::from_secs(1));
    apply(&store, vec![put(3, When::Absent)]).await;
    assert_eq!(found(&store, Scan { limit: 4, ..Scan::new(Space::Commit) }).await.len(), 11);
    assert_eq!(labels(&driver).await, 10 + 2, "of what is there none is gone, of 3 both");
    for n in [3, 10, 19] {
        assert_eq!(found(&store, tagged(n)).await, [key(n)]);
    }
}

#[tokio::test]
async fn a_label_does_not_say_that_there_is_a_commit() {
    let (store, driver) = store(&ManualClock::new());
    apply(&store, vec![put(1, When::Absent)]).await;
    // Refused: its label stays behind.
    let other = |n| Op::Put { key: key(1), entry: entry(n), when: When::Absent };
    fn entry(n: u32) -> NewEntry {
        let labels = Labels { tags: tag(n), ..Labels::default() };
        NewEntry { labels, ..NewEntry::record("y") }
    }
    apply(&store, vec![other(2)]).await;
    assert_eq!(labels(&driver).await, 2);
    assert!(found(&store, tagged(2)).await.is_empty());
    assert_eq!(found(&store, tagged(1)).await, [key(1)]);
}
