//! What the benchmarks share: entries like the engine's, and how figures are printed.
#![allow(dead_code, reason = "each benchmark uses a part")]

use std::path::Path;
use std::time::Duration;

use afresh_core::{Applied, Batch, Key, Labels, NewEntry, Op, Space, Status, Store, When};
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use bytes::Bytes;
use pollster::block_on;

pub fn noise(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

pub fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).unwrap()
}

pub fn head(number: u64) -> Key {
    Key::new(Space::Head, blake3::hash(&number.to_le_bytes()).as_bytes().to_vec()).unwrap()
}

pub fn apply(store: &SqliteStore, batch: Batch) {
    assert!(matches!(block_on(store.apply(batch)).unwrap(), Applied::All(_)));
}

pub fn quantiles(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{name}: n {} p50 {:?} p90 {:?} p99 {:?} p99.9 {:?} p99.99 {:?} max {:?}",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(0.9999),
        at(1.0)
    );
}

/// What the engine writes for a tiny result that is kept in commit and head.
pub fn recording(number: u64) -> Batch {
    let commit = Key::new(Space::Commit, noise(32, number ^ 1 << 60).to_vec()).unwrap();
    let labels = Labels {
        function: Some("module.function".to_owned()),
        status: Some(Status::Completed),
        tags: vec![],
        group: Some(number),
        time: None,
    };
    let check = |name| Op::Check { key: Key::count(name), when: When::Absent };
    Batch {
        objects: vec![],
        ops: vec![
            check("sweep"),
            check("epoch"),
            Op::Put {
                key: head(number),
                entry: NewEntry::record(noise(140, number)),
                when: When::Absent,
            },
            Op::Put {
                key: commit,
                entry: NewEntry { labels, ..NewEntry::record(noise(290, number)) },
                when: When::Always,
            },
        ],
    }
}

pub fn disk(path: &Path, store: SqliteStore) -> f64 {
    drop(store);
    let conn = rusqlite::Connection::open(path.join("store-v2.sqlite")).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let mut tables =
        conn.prepare("SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name").unwrap();
    let rows = tables.query_map([], |row| {
        Ok(format!(
            "{} {} kB (unused {})",
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)? >> 10,
            row.get::<_, i64>(2)? >> 10
        ))
    });
    println!("  {:?}", rows.unwrap().map(Result::unwrap).collect::<Vec<_>>());
    std::fs::metadata(path.join("store-v2.sqlite")).unwrap().len() as f64
}
