//! A store that was written in today's format is read, every entry of it; one of a former format is left alone.
//!
//! Each was made once with `AFRESH_MAKE_FIXTURE=1 cargo test -p afresh-store-sqlite --test it fixture` and kept; a change
//! that makes this fail is a new format and needs a new name. In `store-v2` a third of the entries is in the tables, a
//! third recent, a third recent and of later versions than in the tables.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use afresh_core::{
    Batch, Blob, Key, Labels, NewEntry, ObjectId, ObjectRef, Op, Scan, Space, Status, Store, Tag,
    Timestamp, Value, When,
};
use bytes::Bytes;
use pollster::block_on;

use crate::support::{database, folder, noise, open};

fn home(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A row, a compressed row, a file, a compressed file.
fn objects() -> [(Bytes, bool); 4] {
    let text = |len: usize| Bytes::from("afresh ".repeat(len / 7));
    [(noise(250, 1), false), (text(7_000), false), (noise(70_000, 2), true), (text(140_000), false)]
}

fn entries() -> Vec<(Key, NewEntry)> {
    let objects = objects();
    let mut entries = Vec::new();
    for (n, space) in Space::ALL.into_iter().enumerate() {
        for (m, (bytes, _)) in objects.iter().enumerate() {
            let labels = Labels {
                function: (m != 0).then(|| format!("etl.step{m}")),
                status: [None, Some(Status::Completed), Some(Status::Failed), None][m],
                tags: match m {
                    1 => vec![Tag::new("bare", None).unwrap()],
                    2 => vec![Tag::new("team", Some("blue".to_owned())).unwrap()],
                    _ => vec![],
                },
                group: (m == 3).then_some(u64::MAX),
                time: Some(Timestamp::from_millis(1_750_000_000_000 + m as i64)),
            };
            let entry = NewEntry {
                value: if m == 0 {
                    Value::Count(-7)
                } else {
                    Value::Record(vec![m as u8; m * 50].into())
                },
                object: Some(ObjectRef { id: ObjectId::of(bytes), len: bytes.len() as u64 }),
                labels,
                ttl: (m == 1).then(|| Duration::from_secs(100 * 365 * 86_400)),
            };
            entries.push((Key::new(space, vec![n as u8, m as u8]).unwrap(), entry));
        }
    }
    entries
}

fn make(path: &Path) {
    let store = open(path);
    for (bytes, raw) in objects() {
        let blob = Blob::from(bytes.clone());
        block_on(store.write(&ObjectId::of(&bytes), if raw { blob.raw() } else { blob })).unwrap();
    }
    let puts: Vec<Op> = entries()
        .into_iter()
        .map(|(key, entry)| Op::Put { key, entry, when: When::Always })
        .collect();
    // A commit that does not stay makes a batch one that records.
    let key = Key::new(Space::Commit, "gone").unwrap();
    let entry = NewEntry::record("");
    let apply = |mut ops: Vec<Op>| {
        ops.push(Op::Put { key: key.clone(), entry: entry.clone(), when: When::Always });
        ops.push(Op::Delete { key: key.clone(), when: When::Always });
        block_on(store.apply(Batch { objects: vec![], ops })).unwrap();
    };
    apply(puts[..14].to_vec());
    block_on(store.usage()).unwrap();
    apply(puts[7..].to_vec());
    drop(store);
    let conn = database(path);
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(conn);
    for name in [
        ".gitignore",
        "store-v2.sqlite-wal",
        "store-v2.sqlite-shm",
        "opening-v1",
        "writing-v1",
        "generation-v1",
    ] {
        fs::remove_file(path.join(name)).ok();
    }
    fs::remove_dir(path.join("tmp")).ok();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(file.file_name());
        if file.path().is_dir() {
            copy(&file.path(), &target);
        } else {
            fs::copy(file.path(), target).unwrap();
        }
    }
}

#[test]
fn todays_format_is_read() {
    if std::env::var_os("AFRESH_MAKE_FIXTURE").is_some() {
        fs::remove_dir_all(home("store-v2")).ok();
        make(&home("store-v2"));
    }
    let path = is_read("store-v2");
    let conn = database(&path.path().join("store"));
    let recent: i64 = conn.query_row("SELECT count(*) FROM recent", [], |row| row.get(0)).unwrap();
    assert_eq!(recent, 0, "to count is to fold");
}

#[test]
fn a_former_format_is_left_alone() {
    let (_parent, path) = folder();
    copy(&home("store-v1"), &path);
    let before = fs::read(path.join("store-v1.sqlite")).unwrap();
    let store = open(&path);
    assert!(store.notices().is_empty());
    assert_eq!(block_on(store.usage()).unwrap().entries, [0; 5]);
    assert_eq!(fs::read(path.join("store-v1.sqlite")).unwrap(), before);
}

fn is_read(name: &str) -> tempfile::TempDir {
    let (parent, path) = folder();
    copy(&home(name), &path);
    let store = open(&path);
    assert!(store.notices().is_empty());
    for (key, put) in entries() {
        let found = block_on(store.get(std::slice::from_ref(&key))).unwrap().remove(0).unwrap();
        assert_eq!((found.value, found.object), (put.value, put.object), "{key:?}");
        assert_eq!(found.labels, put.labels, "{key:?}");
        assert_eq!(found.ttl.is_some(), put.ttl.is_some());
    }
    for (bytes, _) in objects() {
        assert!(block_on(store.read(&ObjectId::of(&bytes))).unwrap().unwrap() == bytes);
    }
    let usage = block_on(store.usage()).unwrap();
    assert_eq!(usage.entries, [4; 5]);
    assert_eq!((usage.inline_objects, usage.file_objects), (2, 2));
    let tagged = Scan { tags: vec![Tag::new("team", None).unwrap()], ..Scan::new(Space::Commit) };
    assert_eq!(block_on(store.scan(&tagged)).unwrap().entries.len(), 1);
    parent
}
