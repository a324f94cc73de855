//! The store in a local folder.

use std::sync::Arc;

use afresh_core::{Key, NewEntry, ObjectId, Op, Space, Store, When};
use afresh_testkit::conformance::{self, Subject};
use pollster::block_on;
use tempfile::TempDir;

use crate::manual::{entry, object};

fn open(folder: &TempDir, options: &str) -> Arc<dyn Store> {
    afresh_store_object::open(&format!("file://{}{options}", folder.path().display())).unwrap()
}

#[test]
fn conforms() {
    for options in ["", "?sync=full"] {
        let ran = conformance::run(|| {
            let folder = TempDir::new().unwrap();
            let root = folder.path().join("afresh-2");
            let entries = root.clone();
            let spoil = move |key: &Key| {
                let file = entries.join(entry(key));
                assert!(file.is_file());
                std::fs::write(&file, "what is this?").unwrap();
            };
            let damage = move |id: &ObjectId| {
                let file = root.join(object(id));
                let mut bytes = std::fs::read(&file).unwrap();
                bytes.truncate(bytes.len() / 2);
                std::fs::write(&file, bytes).unwrap();
            };
            Subject::new(open(&folder, options)).damage(damage).spoil(spoil).keep(folder)
        });
        assert!(ran.len() > 45, "{} cases", ran.len());
    }
}

#[test]
fn two_stores_in_one_folder_are_one_store() {
    const EACH: i64 = 100;
    let folder = TempDir::new().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let store = open(&folder, "");
            std::thread::spawn(move || {
                for _ in 0..EACH {
                    let op = Op::Add { key: Key::count("n"), by: 1, ttl: None };
                    block_on(store.apply(afresh_core::Batch { objects: vec![], ops: vec![op] }))
                        .unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let found = block_on(open(&folder, "").get(&[Key::count("n")])).unwrap();
    assert_eq!(found[0].as_ref().unwrap().count(), Some(4 * EACH));
}

#[test]
fn locks_of_the_kernel_have_a_place() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, "");
    assert_eq!(store.info().lock_dir.as_deref(), Some(folder.path()));
    let key = Key::new(Space::Named, vec![7; 300]).unwrap();
    let ops = vec![Op::Put { key: key.clone(), entry: NewEntry::record("1"), when: When::Absent }];
    block_on(store.apply(afresh_core::Batch { objects: vec![], ops })).unwrap();
    assert!(block_on(open(&folder, "").get(&[key])).unwrap()[0].is_some());
}
