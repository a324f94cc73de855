//! The store on a server that speaks S3.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use afresh_core::{
    Applied, Batch, Blob, Bytes, Key, NewEntry, ObjectId, Op, Scan, Space, Store, When,
};
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::servers::{S3, skipped};
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use pollster::block_on;

use crate::manual::{executor, object};

pub(crate) const BUCKET: &str = "afresh-test";

/// A server with the bucket [`BUCKET`] in it.
pub(crate) fn server() -> Option<S3> {
    let server = S3::start();
    match &server {
        Some(server) => server.make_bucket(BUCKET),
        None => skipped("S3"),
    }
    server
}

/// A driver of our own, to look and to meddle with.
pub(crate) fn driver(server: &S3) -> impl object_store::ObjectStore + Clone {
    AmazonS3Builder::new()
        .with_bucket_name(BUCKET)
        .with_endpoint(server.endpoint())
        .with_allow_http(true)
        .with_access_key_id("ada")
        .with_secret_access_key("s3cret")
        .build()
        .unwrap()
}

pub(crate) fn open(server: &S3, prefix: &str) -> Arc<dyn Store> {
    afresh_store_object::open(&server.url(BUCKET, prefix)).unwrap()
}

pub(crate) fn put(key: &Key, text: &str, when: When) -> Batch {
    let entry = NewEntry::record(text.to_owned());
    Batch { objects: vec![], ops: vec![Op::Put { key: key.clone(), entry, when }] }
}

#[test]
fn conforms() {
    let Some(server) = server() else { return };
    let (executor, number) = (executor(), AtomicU32::new(0));
    let ran = conformance::run(|| {
        let prefix = format!("conforms/{}", number.fetch_add(1, Ordering::Relaxed));
        let store = open(&server, &prefix);
        let (driver, executor) = (driver(&server), executor.clone());
        Subject::new(store).damage(move |id| {
            let path = Path::from(format!("{prefix}/afresh-2/{}", object(id)));
            let (driver, executor) = (driver.clone(), executor.clone());
            let damage = async move {
                driver.head(&path).await.unwrap();
                driver.put(&path, Bytes::from_static(b"something else").into()).await.unwrap();
            };
            let thread = std::thread::spawn(move || conformance::run_future(&executor, damage));
            thread.join().unwrap();
        })
    });
    assert!(ran.len() > 45, "{} cases", ran.len());
}

#[test]
fn large_objects_go_in_parts() {
    let Some(server) = server() else { return };
    let store = open(&server, "large");
    let parts: Vec<Bytes> = (0..5u8).map(|n| Bytes::from(vec![n; 5_000_001])).collect();
    let blob = Blob::new(parts).raw();
    let id = blob.id();
    block_on(store.write(&id, blob.clone())).unwrap();
    assert!(block_on(store.read(&id)).unwrap() == Some(blob.to_bytes()));
    let meta =
        executor_block(async move { driver(&server).head(&path("large", &id)).await.unwrap() });
    assert_eq!(meta.size, 25_000_005);
    // S3 names what came in parts by the number of them.
    assert!(meta.e_tag.unwrap().trim_matches('"').ends_with("-3"));
}

fn path(prefix: &str, id: &ObjectId) -> Path {
    Path::from(format!("{prefix}/afresh-2/{}", object(id)))
}

fn executor_block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn many_set_up_an_empty_bucket_at_once() {
    let Some(server) = server() else { return };
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let store = open(&server, "at once");
            std::thread::spawn(move || {
                let key = Key::new(Space::Lease, "one").unwrap();
                block_on(store.apply(put(&key, &number.to_string(), When::Absent))).unwrap()
            })
        })
        .collect();
    let came: Vec<Applied> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(came.iter().filter(|came| matches!(came, Applied::All(_))).count(), 1, "{came:?}");
}

#[test]
fn another_process_sees_what_is_written() {
    let Some(server) = server() else { return };
    let (one, other) = (open(&server, "two"), open(&server, "two"));
    let key = Key::new(Space::Named, "k").unwrap();
    block_on(one.apply(put(&key, "1", When::Absent))).unwrap();
    let found = block_on(other.get(std::slice::from_ref(&key))).unwrap().pop().unwrap().unwrap();
    let deleted = Op::Delete { key: key.clone(), when: When::Is(found.version) };
    block_on(other.apply(Batch { objects: vec![], ops: vec![deleted] })).unwrap();
    let Applied::All(done) = block_on(one.apply(put(&key, "2", When::Absent))).unwrap() else {
        panic!()
    };
    assert!(
        done[0].version.unwrap() > found.version,
        "versions grow, also over a delete by another"
    );
    let apart = block_on(open(&server, "another prefix").scan(&Scan::new(Space::Named))).unwrap();
    assert!(apart.entries.is_empty());
}

#[test]
fn nothing_secret_is_stored() {
    let Some(server) = server() else { return };
    let store = open(&server, "secret");
    block_on(store.apply(put(&Key::count("n"), "1", When::Absent))).unwrap();
    let (bytes, names) = executor_block(async {
        use futures_util::TryStreamExt;
        let driver = driver(&server);
        let list: Vec<_> = object_store::ObjectStore::list(&driver, Some(&Path::from("secret")))
            .try_collect()
            .await
            .unwrap();
        let mut bytes = Vec::new();
        for meta in &list {
            bytes.extend(driver.get(&meta.location).await.unwrap().bytes().await.unwrap());
        }
        (bytes, list)
    });
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!String::from_utf8_lossy(&bytes).contains("s3cret"));
}
