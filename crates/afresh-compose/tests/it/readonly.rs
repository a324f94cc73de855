//! A read-only store shows everything and changes nothing.

use std::sync::Arc;
use std::time::Duration;

use afresh_compose::ReadOnly;
use afresh_core::{Batch, Bytes, Key, Kind, NewEntry, ObjectId, Op, Scan, Space, Store, When};
use afresh_store_memory::MemoryStore;
use pollster::block_on;

#[test]
fn it_shows_everything_and_changes_nothing() {
    let inner = Arc::new(MemoryStore::new());
    let (key, bytes) = (Key::new(Space::Named, "k").unwrap(), Bytes::from_static(b"abc"));
    let put = Op::Put { key: key.clone(), entry: NewEntry::record("1"), when: When::Always };
    let batch =
        Batch { objects: vec![(ObjectId::of(&bytes), bytes.clone().into())], ops: vec![put] };
    block_on(inner.apply(batch.clone())).unwrap();

    let store = ReadOnly::new(inner.clone());
    let before = block_on(store.get(std::slice::from_ref(&key))).unwrap();
    assert!(before[0].is_some());
    assert_eq!(block_on(store.read(&ObjectId::of(&bytes))).unwrap(), Some(bytes.clone()));
    assert_eq!(block_on(store.scan(&Scan::new(Space::Named))).unwrap().entries.len(), 1);
    assert_eq!(block_on(store.list(None, 10)).unwrap().len(), 1);
    assert_eq!(block_on(store.usage()).unwrap().entries(Space::Named), 1);

    let id = ObjectId::of(&bytes);
    let refused = [
        block_on(store.apply(batch)).unwrap_err(),
        block_on(store.write(&id, bytes.clone().into())).unwrap_err(),
        block_on(store.remove(&[id], Duration::ZERO)).unwrap_err(),
        block_on(store.quarantine(&id)).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), Kind::Denied);
        assert!(error.hint().is_some());
    }
    let touch = Op::Touch { key: key.clone(), ago: Duration::ZERO };
    assert!(block_on(store.apply(Batch { objects: Vec::new(), ops: vec![touch] })).is_ok());
    assert_eq!(block_on(inner.get(std::slice::from_ref(&key))).unwrap(), before);
    assert_eq!(block_on(inner.read(&id)).unwrap(), Some(bytes));
}
