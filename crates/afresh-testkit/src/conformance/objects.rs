//! Objects: immutable bytes under their digest.

use std::time::Duration;

use afresh_core::{Blob, Kind, NewEntry, ObjectId, ObjectRef, When};
use bytes::Bytes;

use super::case::{named, put};
use super::{Case, Test, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(an_unwritten_object_is_absent),
        case!(objects_come_back),
        case!(parts_are_one_object),
        case!(writing_again_changes_nothing),
        case!(an_attached_object_is_the_object),
        case!(removal_heeds_idleness),
        case!(the_list_is_sorted_and_paged),
        case!(a_quarantined_object_is_absent),
        case!(too_large_is_an_error, |can| can.max_object.is_some()),
        Case { damages: true, ..case!(damage_is_noticed) },
    ]
}

/// Bytes that do not compress (`noise`) or do.
fn bytes(len: usize, noise: bool, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if noise { (state >> 32) as u8 } else { b'a' + (state >> 62) as u8 }
    };
    (0..len).map(|_| next()).collect::<Vec<u8>>().into()
}

async fn write(test: &Test, bytes: &Bytes) -> ObjectId {
    let id = ObjectId::of(bytes);
    test.store().write(&id, bytes.clone().into()).await.unwrap();
    id
}

async fn an_unwritten_object_is_absent(test: Test) {
    let id = ObjectId::of(b"nobody wrote this");
    assert_eq!(test.store().read(&id).await.unwrap(), None);
    let removed = test.store().remove(&[id], Duration::ZERO).await.unwrap();
    assert_eq!((removed.objects, removed.bytes), (0, 0));
    test.store().quarantine(&id).await.unwrap();
    assert!(test.store().list(None, 10).await.unwrap().is_empty());
}

const LENGTHS: [usize; 12] =
    [0, 1, 100, 1023, 1024, 4096, 20_000, 65_535, 65_536, 65_537, 300_000, 3_000_000];

async fn objects_come_back(test: Test) {
    for len in LENGTHS {
        for noise in [false, true] {
            for raw in [false, true] {
                let bytes = bytes(len, noise, u64::from(raw) + 1);
                let id = ObjectId::of(&bytes);
                let blob = Blob::from(bytes.clone());
                let blob = if raw { blob.raw() } else { blob };
                test.store().write(&id, blob).await.unwrap();
                let read = test.store().read(&id).await.unwrap();
                assert!(read.as_ref() == Some(&bytes), "{len} bytes, noise {noise}, raw {raw}");
            }
        }
    }
}

async fn parts_are_one_object(test: Test) {
    for (len, part) in [(10, 3), (5000, 999), (2_000_000, 333_333)] {
        for raw in [false, true] {
            let bytes = bytes(len, raw, 5);
            let mut parts: Vec<Bytes> = bytes.chunks(part).map(Bytes::copy_from_slice).collect();
            parts.insert(1, Bytes::new());
            let blob = Blob::new(parts);
            let blob = if raw { blob.raw() } else { blob };
            let id = blob.id();
            assert_eq!(id, ObjectId::of(&bytes));
            test.store().write(&id, blob).await.unwrap();
            assert!(test.store().read(&id).await.unwrap() == Some(bytes));
        }
    }
    let nothing = Blob::new(vec![]);
    test.store().write(&nothing.id(), nothing.clone()).await.unwrap();
    assert_eq!(test.store().read(&nothing.id()).await.unwrap(), Some(Bytes::new()));
}

async fn writing_again_changes_nothing(test: Test) {
    for len in [100, 500_000] {
        let bytes = bytes(len, true, 9);
        let id = write(&test, &bytes).await;
        let before = test.store().usage().await.unwrap();
        write(&test, &bytes).await;
        let after = test.store().usage().await.unwrap();
        assert_eq!(before.inline_objects, after.inline_objects);
        assert_eq!(before.file_objects, after.file_objects);
        assert!(test.store().read(&id).await.unwrap() == Some(bytes));
    }
}

async fn an_attached_object_is_the_object(test: Test) {
    for len in LENGTHS {
        for noise in [false, true] {
            let bytes = bytes(len, noise, 3);
            let id = write(&test, &bytes).await;
            let key = named(len.to_string());
            let object = Some(ObjectRef { id, len: len as u64 });
            let entry = NewEntry { object, ..NewEntry::record("") };
            test.op(put(&key, entry, When::Always)).await;
            let attached = test.get(&key).await.unwrap().attached;
            assert!(attached.is_none_or(|attached| attached == bytes), "{len}");
        }
    }
}

async fn removal_heeds_idleness(test: Test) {
    let bytes = [bytes(50, true, 1), bytes(600_000, true, 2)];
    let mut ids = Vec::new();
    for bytes in &bytes {
        ids.push(write(&test, bytes).await);
    }
    let kept = test.store().remove(&ids, Duration::from_secs(3600)).await.unwrap();
    assert_eq!(kept.objects, 0, "they are young");
    if test.subject.clock.is_some() {
        test.wait(Duration::from_secs(2 * 3600));
        // A write makes the first young again.
        write(&test, &bytes[0]).await;
        let removed = test.store().remove(&ids, Duration::from_secs(3600)).await.unwrap();
        assert_eq!(removed.objects, 1);
        assert!(test.store().read(&ids[0]).await.unwrap().is_some());
        assert_eq!(test.store().read(&ids[1]).await.unwrap(), None);
    }
    let left = test.store().list(None, 10).await.unwrap().len();
    let removed = test.store().remove(&ids, Duration::ZERO).await.unwrap();
    assert_eq!(removed.objects, left as u64);
    assert!(removed.bytes > 0);
    for (id, bytes) in ids.iter().zip(&bytes) {
        assert_eq!(test.store().read(id).await.unwrap(), None);
        write(&test, bytes).await;
        assert!(test.store().read(id).await.unwrap().is_some(), "it may come back");
    }
}

async fn the_list_is_sorted_and_paged(test: Test) {
    let mut written = Vec::new();
    for n in 0..60 {
        let len = if n % 6 == 0 { 100_000 } else { 10 };
        let bytes = bytes(len, true, n + 1);
        written.push((write(&test, &bytes).await, len as u64));
    }
    written.sort();
    for limit in [1, 7, 60, 1000] {
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let page = test.store().list(after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for info in page {
                assert!(info.stored > 0 && info.idle < Duration::from_secs(600), "{info:?}");
                listed.push((info.id, info.len));
            }
        }
        assert_eq!(listed, written, "pages of {limit}");
    }
}

async fn a_quarantined_object_is_absent(test: Test) {
    for len in [10, 200_000] {
        let bytes = bytes(len, true, 4);
        let id = write(&test, &bytes).await;
        test.store().quarantine(&id).await.unwrap();
        assert_eq!(test.store().read(&id).await.unwrap(), None);
        assert!(test.store().list(None, 10).await.unwrap().iter().all(|info| info.id != id));
        write(&test, &bytes).await;
        assert!(test.store().read(&id).await.unwrap() == Some(bytes));
    }
}

async fn too_large_is_an_error(test: Test) {
    let max = test.capabilities().max_object.unwrap();
    if max > 64 << 20 {
        return;
    }
    let bytes = Bytes::from(vec![0; usize::try_from(max).unwrap() + 1]);
    let error =
        test.store().write(&ObjectId::of(&bytes), bytes.into()).await.expect_err("too large");
    assert_eq!(error.kind(), Kind::TooLarge);
}

async fn damage_is_noticed(test: Test) {
    for (len, noise) in [(200, true), (50_000, false), (400_000, true), (400_000, false)] {
        let bytes = bytes(len, noise, 8);
        let id = write(&test, &bytes).await;
        let damage = test.subject.damage.as_ref().unwrap();
        damage(&id);
        let error = test.store().read(&id).await.expect_err("damaged bytes were handed out");
        assert_eq!(error.kind(), Kind::Corrupt, "{error}");
        test.store().quarantine(&id).await.unwrap();
        assert_eq!(test.store().read(&id).await.unwrap(), None);
        write(&test, &bytes).await;
        assert!(test.store().read(&id).await.unwrap() == Some(bytes));
    }
}
