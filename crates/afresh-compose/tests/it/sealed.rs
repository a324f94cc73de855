//! The server sees nothing, and what it changes is not answered.

use std::sync::Arc;

use afresh_compose::{Sealed, SealingKey};
use afresh_core::{
    Batch, Bytes, Entry, Key, Kind, Labels, NewEntry, ObjectId, Op, Scan, Space, Store, Tag, Value,
    When,
};
use afresh_testkit::ManualClock;
use pollster::block_on;

use crate::memory;

const TEXT: &str = "the patient's name";

fn key(name: &'static str) -> Key {
    Key::new(Space::Named, name).unwrap()
}

fn entry(text: &str) -> NewEntry {
    let mut entry = NewEntry::record(text.to_owned());
    entry.labels.function = Some(format!("function of {TEXT}"));
    entry.labels.tags = vec![Tag { key: TEXT.into(), value: Some(format!("value {TEXT}")) }];
    entry.labels.group = Some(7);
    entry
}

fn put(store: &dyn Store, key: &Key, entry: NewEntry) {
    let op = Op::Put { key: key.clone(), entry, when: When::Always };
    block_on(store.apply(Batch { objects: Vec::new(), ops: vec![op] })).unwrap();
}

fn get(store: &dyn Store, key: &Key) -> Option<Entry> {
    block_on(store.get(std::slice::from_ref(key))).unwrap().pop().unwrap()
}

fn open(inner: &Arc<dyn Store>, secret: &str) -> Sealed {
    Sealed::new(Arc::clone(inner), SealingKey::new(secret))
}

#[test]
fn the_server_sees_nothing() {
    let inner = memory(&ManualClock::new());
    let store = open(&inner, "s3cret");
    put(&store, &key("k"), entry(TEXT));
    let bytes = Bytes::from(TEXT.repeat(50));
    let id = ObjectId::of(&bytes);
    block_on(store.write(&id, bytes.clone().into())).unwrap();

    let mut seen = format!("{store:?}");
    for space in Space::ALL {
        for (key, entry) in block_on(inner.scan(&Scan::new(space))).unwrap().entries {
            seen += &format!("{key:?} {:?} ", entry.labels);
            seen += &String::from_utf8_lossy(entry.record().unwrap());
        }
    }
    for object in block_on(inner.list(None, 100)).unwrap() {
        assert_ne!(object.id, id);
        seen += &String::from_utf8_lossy(&block_on(inner.read(&object.id)).unwrap().unwrap());
    }
    for secret in ["patient", "function of", "s3cret"] {
        assert!(!seen.contains(secret), "{secret} is in {seen}");
    }

    let again = open(&inner, "s3cret");
    let found = get(&again, &key("k")).unwrap();
    assert_eq!(found.value, Value::Record(TEXT.into()));
    assert_eq!(found.labels.function, entry("").labels.function);
    assert_eq!(found.labels.tags, entry("").labels.tags);
    assert_eq!(block_on(again.read(&id)).unwrap(), Some(bytes));
}

/// An entry that is there, so that it can be replaced, and of which nothing is told.
fn says_nothing(store: &dyn Store, key: &Key) -> bool {
    let found = get(store, key).unwrap();
    let labels = Labels { time: found.labels.time, ..Labels::default() };
    found.value == Value::Record(Bytes::new()) && found.object.is_none() && found.labels == labels
}

#[test]
fn what_the_server_changes_is_not_answered() {
    let inner = memory(&ManualClock::new());
    let store = open(&inner, "s3cret");
    put(&store, &key("one"), entry("1"));
    put(&store, &key("two"), entry("2"));

    // Another's record under this name.
    let other = get(inner.as_ref(), &key("two")).unwrap();
    put(inner.as_ref(), &key("one"), NewEntry::record(other.record().unwrap().clone()));
    assert!(says_nothing(&store, &key("one")));
    // A changed byte, anywhere; and what was never sealed.
    let whole = get(inner.as_ref(), &key("two")).unwrap().record().unwrap().to_vec();
    for at in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        put(inner.as_ref(), &key("two"), NewEntry::record(changed));
        assert!(says_nothing(&store, &key("two")), "byte {at}");
    }
    for text in ["", "x", "plain"] {
        put(inner.as_ref(), &key("two"), NewEntry::record(text));
        assert!(says_nothing(&store, &key("two")));
        assert!(block_on(store.scan(&Scan::new(Space::Named))).unwrap().entries.is_empty());
    }
    put(inner.as_ref(), &key("two"), NewEntry::record(whole));
    assert!(get(&store, &key("two")).is_some());
}

#[test]
fn another_secret_opens_nothing() {
    let inner = memory(&ManualClock::new());
    let store = open(&inner, "s3cret");
    let bytes = Bytes::from_static(b"an output");
    let id = ObjectId::of(&bytes);
    put(&store, &key("k"), entry("1"));
    block_on(store.write(&id, bytes.into())).unwrap();
    let stranger = open(&inner, "guess");
    assert!(says_nothing(&stranger, &key("k")));
    assert_eq!(block_on(stranger.read(&id)).unwrap(), None);
    assert!(block_on(stranger.list(None, 10)).unwrap().is_empty());
    // Nor does an output of the other's become one of ours.
    let error = SealingKey::new("guess");
    assert_eq!(format!("{error:?}"), "SealingKey");
}

#[test]
fn a_changed_output_is_corrupt() {
    let clock = ManualClock::new();
    let (inner, other) = (memory(&clock), memory(&clock));
    let (store, elsewhere) = (open(&inner, "s3cret"), open(&other, "guess"));
    let bytes = Bytes::from_static(b"an output of some length");
    let id = ObjectId::of(&bytes);
    block_on(store.write(&id, bytes.clone().into())).unwrap();
    block_on(elsewhere.write(&id, bytes.into())).unwrap();
    // The link of the one, made to lead to bytes that the other sealed, is impossible without the secret; bytes of an
    // equal name that were swapped are noticed by the store beneath. What remains is a link to nothing.
    let sealed = block_on(inner.list(None, 1)).unwrap()[0].id;
    block_on(inner.quarantine(&sealed)).unwrap();
    assert_eq!(block_on(store.read(&id)).unwrap(), None);
    assert!(block_on(store.list(None, 10)).unwrap().is_empty());
    let link = block_on(other.scan(&Scan::new(Space::Named))).unwrap().entries.pop().unwrap();
    put(inner.as_ref(), &link.0, NewEntry::record(link.1.record().unwrap().clone()));
    assert_eq!(block_on(store.read(&id)).map_err(|error| error.kind()), Ok::<_, Kind>(None));
}
