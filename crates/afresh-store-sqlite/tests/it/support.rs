//! Opening stores for tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use afresh_core::{
    Applied, Batch, Entry, Key, NewEntry, ObjectId, ObjectRef, Op, Result, Space, Store, When,
};
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use bytes::Bytes;
use pollster::block_on;

pub fn folder() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("store");
    (parent, path)
}

/// The file in which a store of today's format has its tables.
pub const DATABASE: &str = "store-v2.sqlite";

/// A connection of one's own to a store's tables.
pub fn database(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path.join(DATABASE)).unwrap()
}

pub fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).unwrap()
}

pub fn open_shared(path: &Path) -> Arc<dyn Store> {
    Arc::new(open(path))
}

pub fn key(text: &str) -> Key {
    Key::new(Space::Head, text.to_owned()).unwrap()
}

pub fn put(store: &dyn Store, text: &str) -> Result<Applied> {
    let op =
        Op::Put { key: key(text), entry: NewEntry::record(text.to_owned()), when: When::Always };
    block_on(store.apply(Batch { objects: vec![], ops: vec![op] }))
}

pub fn put_object(store: &dyn Store, text: &str, bytes: &Bytes) -> Result<Applied> {
    let id = ObjectId::of(bytes);
    let object = Some(ObjectRef { id, len: bytes.len() as u64 });
    let entry = NewEntry { object, ..NewEntry::record(text.to_owned()) };
    let op = Op::Put { key: key(text), entry, when: When::Always };
    block_on(store.apply(Batch { objects: vec![(id, bytes.clone().into())], ops: vec![op] }))
}

pub fn get(store: &dyn Store, text: &str) -> Option<Entry> {
    block_on(store.get(&[key(text)])).unwrap().pop().unwrap()
}

/// Bytes that do not compress.
pub fn noise(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect::<Vec<u8>>()
        .into()
}

pub fn object_file(root: &Path, id: &ObjectId) -> PathBuf {
    let name = id.to_string();
    root.join("objects-v1").join(&name[..2]).join(name)
}

/// Changes the stored bytes of an object, whatever form they have.
pub fn damage(root: &Path, id: &ObjectId) {
    let file = object_file(root, id);
    if let Ok(mut bytes) = std::fs::read(&file) {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        // Replaced, not modified, as somebody may have it mapped.
        let other = file.with_extension("damaged");
        std::fs::write(&other, bytes).unwrap();
        std::fs::rename(other, file).unwrap();
        return;
    }
    let conn = database(root);
    conn.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let id = id.as_bytes().as_slice();
    let select = "SELECT data FROM object WHERE digest = ?1";
    let mut data: Vec<u8> = conn.query_row(select, [id], |row| row.get(0)).unwrap();
    let middle = data.len() / 2;
    data[middle] ^= 0x40;
    let update = "UPDATE object SET data = ?2 WHERE digest = ?1";
    conn.execute(update, rusqlite::params![id, data]).unwrap();
}
