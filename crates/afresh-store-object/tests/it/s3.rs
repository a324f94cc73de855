//! The store on a server that speaks S3.

use std::sync::Arc;

use afresh_core::{Applied, Batch, Blob, Bytes, Key, NewEntry, Op, Scan, Space, Store, When};
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::servers::{Kind, S3, Site, skipped};
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use pollster::block_on;

use crate::manual::{executor, object};

pub(crate) const BUCKET: &str = "afresh-test";

/// A server of a test's own, to be stopped, with the bucket [`BUCKET`] in it.
pub(crate) fn own() -> Option<S3> {
    let server = S3::start();
    match &server {
        Some(server) => server.make_bucket(BUCKET),
        None => skipped(Kind::S3),
    }
    server
}

pub(crate) fn site() -> Option<Site> {
    Site::open(Kind::S3)
}

/// A driver of our own, to look and to meddle with.
pub(crate) fn driver(site: &Site) -> impl object_store::ObjectStore + Clone {
    let option = |wanted: &str| {
        let found = site.url().query_pairs().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned())
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(site.url().host_str().unwrap())
        .with_allow_http(true)
        .with_access_key_id(option("access_key").unwrap())
        .with_secret_access_key(option("secret_key").unwrap());
    if let Some(endpoint) = option("endpoint") {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = option("region") {
        builder = builder.with_region(region);
    }
    builder.build().unwrap()
}

/// Where a store with this name keeps what is called so.
pub(crate) fn path(site: &Site, name: &str, rest: &str) -> Path {
    Path::from(format!("{}/{name}/{rest}", site.url().path().trim_matches('/')))
}

pub(crate) fn open(site: &Site, name: &str) -> Arc<dyn Store> {
    afresh_store_object::open(&site.address(name, "timeout=10")).unwrap()
}

pub(crate) fn put(key: &Key, text: &str, when: When) -> Batch {
    let entry = NewEntry::record(text.to_owned());
    Batch { objects: vec![], ops: vec![Op::Put { key: key.clone(), entry, when }] }
}

#[test]
fn conforms() {
    let Some(site) = site() else { return };
    let executor = executor();
    let ran = conformance::run(|| {
        let name = site.name();
        let store = open(&site, &name);
        let (driver, executor, layout) =
            (driver(&site), executor.clone(), path(&site, &name, "afresh-2"));
        Subject::new(store).damage(move |id| {
            let path = Path::from(format!("{layout}/{}", object(id)));
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
    let Some(site) = site() else { return };
    let name = site.name();
    let store = open(&site, &name);
    let parts: Vec<Bytes> = (0..5u8).map(|n| Bytes::from(vec![n; 5_000_001])).collect();
    let blob = Blob::new(parts).raw();
    let id = blob.id();
    block_on(store.write(&id, blob.clone())).unwrap();
    assert!(block_on(store.read(&id)).unwrap() == Some(blob.to_bytes()));
    let object = path(&site, &name, &format!("afresh-2/{}", object(&id)));
    let meta = executor_block(async { driver(&site).head(&object).await.unwrap() });
    assert_eq!(meta.size, 25_000_005);
    // S3 names what came in parts by the number of them.
    assert!(meta.e_tag.unwrap().trim_matches('"').ends_with("-3"));
}

fn executor_block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn many_set_up_an_empty_bucket_at_once() {
    let Some(site) = site() else { return };
    let name = site.name();
    let threads: Vec<_> = (0..8)
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

#[test]
fn another_process_sees_what_is_written() {
    let Some(site) = site() else { return };
    let name = site.name();
    let (one, other) = (open(&site, &name), open(&site, &name));
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
    let apart = block_on(open(&site, &site.name()).scan(&Scan::new(Space::Named))).unwrap();
    assert!(apart.entries.is_empty());
}

#[test]
fn nothing_secret_is_stored() {
    let Some(site) = site() else { return };
    let name = site.name();
    let store = open(&site, &name);
    block_on(store.apply(put(&Key::count("n"), "1", When::Absent))).unwrap();
    let (secret, of) = (
        site.url().query_pairs().find(|(name, _)| name == "secret_key").unwrap().1,
        path(&site, &name, ""),
    );
    let (bytes, names) = executor_block(async {
        use futures_util::TryStreamExt;
        let driver = driver(&site);
        let list: Vec<_> =
            object_store::ObjectStore::list(&driver, Some(&of)).try_collect().await.unwrap();
        let mut bytes = Vec::new();
        for meta in &list {
            bytes.extend(driver.get(&meta.location).await.unwrap().bytes().await.unwrap());
        }
        (bytes, list)
    });
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!String::from_utf8_lossy(&bytes).contains(&*secret));
}
