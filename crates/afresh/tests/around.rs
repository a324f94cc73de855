//! What an address puts around a store.
#![cfg(feature = "compose")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use afresh::{
    Batch, Begun, Bytes, Engine, Execution, Fingerprint, Function, FunctionId, Key, Kind, NewEntry,
    ObjectId, Op, Options, Output, Policy, Secret, Space, Store, When, compose, open,
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

/// Runs a call on the engine; whether it was computed.
fn call(engine: &Engine, fingerprint: &Fingerprint) -> bool {
    let begun = block_on(engine.begin(fingerprint, &Policy::default())).unwrap();
    let ticket = match begun {
        Begun::Hit(_) => return false,
        Begun::Run(ticket) => ticket,
        other => unreachable!("{other:?}"),
    };
    let execution = Execution {
        function: Arc::new(Function::new("demo.square", FunctionId::new([7; 32]), "{}")),
        arguments: vec![],
        inputs: vec![],
        tags: vec![],
        ttl: None,
        took: None,
    };
    let output = Output::Bytes { codec: "json".into(), blob: b"144".to_vec().into(), value: None };
    assert!(block_on(ticket.finish(execution, output)).unwrap().published);
    true
}

#[test]
fn an_answer_that_the_server_changed_is_computed_and_kept_anew() {
    let inner: Arc<dyn Store> = open("memory:", Options::default()).unwrap().engine.store().clone();
    let sealed = compose::Sealed::new(inner.clone(), compose::SealingKey::new("s3cret"));
    let engine = Engine::new(Arc::new(sealed), Options::default());
    let fingerprint = Fingerprint::new([3; 32]);
    assert!(call(&engine, &fingerprint));
    assert!(!call(&engine, &fingerprint));
    let head = Key::head(&fingerprint);
    let put = Op::Put { key: head, entry: NewEntry::record("not sealed"), when: When::Always };
    block_on(inner.apply(Batch { objects: vec![], ops: vec![put] })).unwrap();
    assert!(call(&engine, &fingerprint));
    assert!(!call(&engine, &fingerprint));
}
