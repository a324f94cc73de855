//! What an address puts around a store.
#![cfg(feature = "compose")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use afresh::{
    Batch, Bytes, Key, Kind, NewEntry, ObjectId, Op, Options, Secret, Space, Store, When, open,
};
use pollster::block_on;

fn write(store: &dyn Store) -> ObjectId {
    let bytes = Bytes::from(b"an output, ".repeat(100));
    let id = ObjectId::of(&bytes);
    let key = Key::new(Space::Named, "k").unwrap();
    let put = Op::Put { key, entry: NewEntry::record("a record"), when: When::Always };
    block_on(store.apply(Batch { objects: vec![(id, bytes.into())], ops: vec![put] })).unwrap();
    id
}

#[test]
fn outputs_elsewhere_copies_here_sealed_and_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let secret = || Options { secret: Some(Secret::new("s3cret")), ..Options::default() };
    let address = format!(
        "sqlite:{}?near=0&objects=sqlite:{}&local={}&local_size=1MB&sealed",
        at("records"),
        at("outputs%3Fsync=off").replace("%3F", "%3f"),
        at("copies"),
    );
    let opened = open(&address, secret()).unwrap();
    let store = opened.engine.store();
    let id = write(store.as_ref());
    assert_eq!(opened.near, 0);

    let objects = |name: &str| {
        let opened = open(&at(name), Options::default()).unwrap();
        block_on(opened.engine.store().list(None, 10)).unwrap()
    };
    assert_eq!(objects("records").len(), 0);
    assert_eq!(objects("outputs").len(), 1);
    assert_eq!(objects("copies").len(), 1);
    assert!(objects("outputs").iter().all(|object| object.id != id), "sealed");
    assert_eq!(block_on(store.read(&id)).unwrap().unwrap().len(), 1100);

    let looking = open(&format!("{address}&readonly=yes"), secret()).unwrap();
    let looking = looking.engine.store();
    assert!(block_on(looking.read(&id)).unwrap().is_some());
    let error = block_on(looking.remove(&[id], std::time::Duration::ZERO)).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
}

#[test]
fn what_is_missing_is_said() {
    for (address, hint) in [
        ("memory:?sealed", "AFRESH_SECRET"),
        ("memory:?sealed=maybe", "sealed=1"),
        ("memory:?local_size=1MB", "local=FOLDER"),
        ("memory:?local=mystery:x", "sqlite:PATH"),
    ] {
        let error = open(address, Options::default()).unwrap_err();
        assert!(error.hint().unwrap_or_default().contains(hint), "{address}: {error:?}");
    }
    assert!(open("memory:?sealed=0&readonly=no", Options::default()).is_ok());
}
