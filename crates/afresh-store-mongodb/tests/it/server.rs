//! The suite, the model, and several programs on one database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use afresh_core::{Applied, Batch, Blob, Bytes, Key, NewEntry, Op, Space, Store, When};
use afresh_store_memory::MemoryStore;
use afresh_store_mongodb::MongoStore;
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::servers::{Kind, Site};
use afresh_testkit::{ManualClock, model};
use mongodb::Client;
use mongodb::bson::{Document, doc};
use pollster::block_on;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn site() -> Option<Site> {
    Site::open(Kind::Mongodb)
}

/// More time than usual: the server of the tests may share a busy machine.
fn open(site: &Site, database: &str) -> Arc<dyn Store> {
    afresh_store_mongodb::open(&site.address(database, "timeout=10")).unwrap()
}

/// The address of a database as the driver takes it.
fn url(site: &Site, database: &str) -> String {
    site.address(database, "")
}

pub(crate) fn put(key: &Key, text: &str, when: When) -> Batch {
    let entry = NewEntry::record(text.to_owned());
    Batch { objects: vec![], ops: vec![Op::Put { key: key.clone(), entry, when }] }
}

fn in_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn conforms() {
    let Some(site) = site() else { return };
    let ran = conformance::run(|| {
        let database = site.name();
        let store = open(&site, &database);
        let url = url(&site, &database);
        let (also, of) = (url.clone(), database.clone());
        let number = AtomicU32::new(0);
        // Once the body, once what tells writes apart, once all of it.
        let spoil = move |key: &Key| {
            let number = number.fetch_add(1, Ordering::Relaxed) % 3;
            let (url, database, key) = (also.clone(), of.clone(), key.clone());
            let spoil = async move {
                let client = Client::with_uri_str(&url).await.unwrap();
                let entries =
                    client.database(&database).collection::<Document>("afresh_v2_entries");
                let digits: String = key.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                let name = format!("{}:{digits}", key.space().number());
                let mut found = entries.find_one(doc! { "_id": &name }).await.unwrap().unwrap();
                found.insert("body", "what is this?");
                match number {
                    0 => {}
                    1 => drop(found.insert("random", "what is this?")),
                    _ => found = doc! { "_id": &name, "what": "is this?" },
                }
                entries.replace_one(doc! { "_id": &name }, found).await.unwrap();
            };
            std::thread::spawn(move || in_runtime(spoil)).join().unwrap();
        };
        Subject::new(store).spoil(spoil).damage(move |id| {
            let (url, database, id) = (url.clone(), database.clone(), id.to_string());
            let damage = async move {
                let client = Client::with_uri_str(&url).await.unwrap();
                let objects =
                    client.database(&database).collection::<Document>("afresh_v2_objects");
                let mut found = objects.find_one(doc! { "_id": &id }).await.unwrap().unwrap();
                found.insert("bytes", doc! { "what": "is this?" });
                objects.replace_one(doc! { "_id": &id }, found).await.unwrap();
            };
            std::thread::spawn(move || in_runtime(damage)).join().unwrap();
        })
    });
    assert!(ran.len() > 50, "{} cases", ran.len());
    for name in ["damage_is_noticed", "what_cannot_be_read_is_absent_and_written_over"] {
        assert!(ran.contains(&name), "{name}");
    }
}

#[test]
fn agrees_with_the_model() {
    let Some(site) = site() else { return };
    let mut runner = TestRunner::new(ProptestConfig::default());
    for _ in 0..12 {
        let (steps, name) = (model::steps().new_tree(&mut runner), site.name());
        let steps = steps.unwrap().current();
        in_runtime(async {
            let client = Client::with_uri_str(url(&site, &name)).await.unwrap();
            let clock = ManualClock::new();
            let function = clock.function();
            let time = afresh_remote::cells::Clock::fixed(move || function());
            let database = client.database(&name);
            let store = MongoStore::new("mongodb://test".to_owned(), &database, time);
            let model = MemoryStore::with_clock(clock.function());
            model::compare(&store, &model, &clock, &steps).await;
        });
    }
}

#[test]
fn large_objects_go_in_chunks() {
    let Some(site) = site() else { return };
    let name = site.name();
    let store = open(&site, &name);
    let parts: Vec<Bytes> = (0..4u8).map(|n| Bytes::from(vec![n; 5_000_001])).collect();
    let blob = Blob::new(parts).raw();
    let id = blob.id();
    block_on(store.write(&id, blob.clone())).unwrap();
    block_on(store.write(&id, blob.clone())).unwrap();
    assert!(block_on(store.read(&id)).unwrap() == Some(blob.to_bytes()));
    let count = || {
        in_runtime(async {
            let client = Client::with_uri_str(url(&site, &name)).await.unwrap();
            let chunks = client.database(&name).collection::<Document>("afresh_v2_chunks");
            chunks.count_documents(doc! {}).await.unwrap()
        })
    };
    assert_eq!(count(), 3);
    let removed = block_on(store.remove(&[id], std::time::Duration::ZERO)).unwrap();
    assert_eq!((removed.objects, removed.bytes), (1, 20_000_004));
    assert_eq!(count(), 0, "chunks stay behind");
}

#[test]
fn many_set_up_an_empty_database_at_once() {
    let Some(site) = site() else { return };
    let name = site.name();
    let threads: Vec<_> = (0..6)
        .map(|number| {
            let store = open(&site, &name);
            std::thread::spawn(move || {
                let key = Key::new(Space::Lease, "one").unwrap();
                block_on(store.apply(put(&key, &number.to_string(), When::Absent))).unwrap()
            })
        })
        .collect();
    let came: Vec<Applied> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(came.iter().filter(|came| matches!(came, Applied::All(_))).count(), 1, "{came:?}");
}
