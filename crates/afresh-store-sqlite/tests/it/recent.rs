//! What is recorded and not yet in the tables: seen by everybody, folded beside everybody, lost by nobody.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Done, Entry, Key, Labels, NewEntry, ObjectId, ObjectInfo,
    ObjectRef, Op, Order, Page, Removed, Result, Scan, Space, Store, StoreInfo, Tag, Timestamp,
    Usage, Version, When,
};
use afresh_store_memory::MemoryStore;
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::crash::drill;
use afresh_testkit::{ManualClock, model};
use pollster::block_on;
use proptest::prelude::*;

use crate::places::{Small, as_nobody};
use crate::support::{database, folder, noise, open};

pub fn named(space: Space, number: u64) -> Key {
    Key::new(space, format!("{number:06}")).unwrap()
}

/// Records an execution: a commit with labels and a head, as the engine does.
pub fn record(store: &dyn Store, number: u64, when: When) -> Applied {
    let labels = Labels {
        function: Some(format!("f{}", number % 3)),
        tags: vec![Tag::new("odd", Some((number % 2).to_string())).unwrap()],
        time: Some(Timestamp::from_millis(1_750_000_000_000 + number as i64)),
        ..Labels::default()
    };
    let commit = NewEntry { labels, ..NewEntry::record(number.to_string()) };
    let ops = vec![
        Op::Put { key: named(Space::Head, number), entry: NewEntry::record("head"), when },
        Op::Put { key: named(Space::Commit, number), entry: commit, when: When::Always },
    ];
    block_on(store.apply(Batch { objects: vec![], ops })).unwrap()
}

pub fn done(applied: Applied) -> Vec<Done> {
    match applied {
        Applied::All(done) => done,
        Applied::Refused { .. } => panic!("{applied:?}"),
    }
}

pub fn one(store: &dyn Store, key: Key) -> Option<Entry> {
    block_on(store.get(&[key])).unwrap().remove(0)
}

/// Rows of `recent`, and of entries.
pub fn waiting(path: &Path) -> (i64, i64) {
    let conn = database(path);
    let count = |table: &str| {
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    (count("recent"), count("entry") + count("commits"))
}

pub fn keys(store: &dyn Store, mut scan: Scan) -> Vec<String> {
    let mut keys = Vec::new();
    loop {
        let page = block_on(store.scan(&scan)).unwrap();
        keys.extend(
            page.entries.iter().map(|(key, _)| String::from_utf8(key.bytes().to_vec()).unwrap()),
        );
        match page.next {
            Some(next) => scan.cursor = Some(next),
            None => return keys,
        }
    }
}

/// A store whose every batch does something more, on several handles in turn; every so often it folds.
#[derive(Debug)]
pub struct Restless {
    stores: Vec<SqliteStore>,
    turn: AtomicUsize,
    fold: usize,
    more: Vec<Op>,
}

impl Restless {
    /// Every batch records something.
    fn new(stores: Vec<SqliteStore>, fold: usize) -> Self {
        let key = Key::new(Space::Commit, "came and went").unwrap();
        let entry = NewEntry::record("");
        let put = Op::Put { key: key.clone(), entry, when: When::Always };
        let more = vec![put, Op::Delete { key, when: When::Always }];
        Self { stores, turn: AtomicUsize::new(0), fold, more }
    }

    /// Every batch is one that removes much.
    pub fn removing(self) -> Self {
        let delete = |number| Op::Delete { key: named(Space::Named, number), when: When::Always };
        Self { more: (1 << 40..).take(80).map(delete).collect(), ..self }
    }

    fn next(&self) -> &SqliteStore {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let store = &self.stores[turn % self.stores.len()];
        if self.fold > 0 && turn % self.fold == self.fold - 1 {
            block_on(store.usage()).unwrap();
        }
        store
    }
}

#[async_trait::async_trait]
impl Store for Restless {
    fn info(&self) -> &StoreInfo {
        self.stores[0].info()
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.next().get(keys).await
    }

    async fn apply(&self, mut batch: Batch) -> Result<Applied> {
        let len = batch.ops.len();
        batch.ops.extend_from_slice(&self.more);
        Ok(match self.next().apply(batch).await? {
            Applied::All(mut done) => {
                done.truncate(len);
                Applied::All(done)
            }
            refused @ Applied::Refused { .. } => refused,
        })
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.next().scan(scan).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        self.next().read(id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.next().write(id, blob).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        self.next().remove(ids, idle).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        self.next().quarantine(id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        self.next().list(after, limit).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.next().usage().await
    }

    fn suspend(&self) {
        self.stores.iter().for_each(Store::suspend);
    }

    fn resume(&self) {
        self.stores.iter().for_each(Store::resume);
    }
}

pub fn restless(clock: &ManualClock, fold: usize) -> (tempfile::TempDir, Restless) {
    let (parent, path) = folder();
    let options = SqliteOptions { clock: clock.function(), ..SqliteOptions::default() };
    let open = || SqliteStore::open(&path, options.clone()).unwrap();
    (parent, Restless::new(vec![open(), open(), open()], fold))
}

#[test]
fn conforms_on_three_handles() {
    conformance::run(|| {
        let clock = ManualClock::new();
        let (parent, store) = restless(&clock, 5);
        Subject::new(Arc::new(store)).clock(clock).keep(parent)
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn three_handles_agree_with_the_memory_store(steps in model::steps(), fold in 0..9usize) {
        let clock = ManualClock::new();
        let (_parent, store) = restless(&clock, fold);
        let model = MemoryStore::with_clock(clock.function());
        block_on(model::compare(&store, &model, &clock, &steps));
    }
}

#[test]
fn what_one_records_the_other_sees_and_judges() {
    let (_parent, path) = folder();
    let (a, b) = (open(&path), open(&path));
    let mut last = Version(0);
    for number in 0..200 {
        let (writer, reader) = if number % 2 == 0 { (&a, &b) } else { (&b, &a) };
        assert!(one(reader, named(Space::Head, number)).is_none());
        let versions = done(record(writer, number, When::Absent));
        assert!(versions[0].version.unwrap() > last, "versions grow over both handles");
        last = versions[1].version.unwrap();
        assert!(versions[0].version.unwrap() < last);
        let head = one(reader, named(Space::Head, number)).expect("seen at once");
        assert_eq!(head.version, versions[0].version.unwrap());
        assert!(matches!(record(reader, number, When::Absent), Applied::Refused { index: 0, .. }));
        assert!(matches!(
            record(reader, number, When::Is(Version(head.version.0 + 1))),
            Applied::Refused { index: 0, found } if found == Some(head.version)
        ));
    }
    assert_eq!(waiting(&path), (200, 0), "nothing was folded yet");
    // What takes answers back folds; the other judges by that.
    let delete = Op::Delete { key: named(Space::Head, 7), when: When::Always };
    done(block_on(a.apply(Batch { objects: vec![], ops: vec![delete] })).unwrap());
    assert_eq!(waiting(&path), (0, 399));
    assert!(one(&b, named(Space::Head, 7)).is_none());
    let again = done(record(&b, 7, When::Absent))[0].version.unwrap();
    assert!(again > last);
    assert_eq!(one(&a, named(Space::Head, 7)).unwrap().version, again);
}

#[test]
fn nothing_is_missed_while_others_fold() {
    const EACH: u64 = 1500;
    let (_parent, path) = folder();
    let stores = [open(&path), open(&path), open(&path), open(&path)];
    let [first, second, folder, reader] = &stores;
    let reported = [AtomicU64::new(0), AtomicU64::new(0)];
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = [first, second]
            .into_iter()
            .zip(&reported)
            .enumerate()
            .map(|(lane, (store, reported))| {
                scope.spawn(move || {
                    for n in 1..=EACH {
                        done(record(store, lane as u64 * 100_000 + n, When::Absent));
                        reported.store(n, Ordering::Release);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                block_on(folder.usage()).unwrap();
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        // On a handle of its own, on the one that folds, and on the one that writes.
        for store in [reader, folder, first] {
            let (over, reported) = (&over, &reported);
            scope.spawn(move || {
                let mut round = 0u64;
                while !over.load(Ordering::Acquire) {
                    round += 1;
                    for (lane, reported) in reported.iter().enumerate() {
                        let until = reported.load(Ordering::Acquire);
                        let back = round * 7919 % 40 + 1;
                        let Some(n) = until.checked_sub(back) else { continue };
                        let number = lane as u64 * 100_000 + n + 1;
                        let both = [Space::Head, Space::Commit].map(|space| named(space, number));
                        let found = block_on(store.get(&both)).unwrap();
                        assert!(found.iter().all(Option::is_some), "{number} was lost of {until}");
                        assert!(one(store, both[1].clone()).is_some());
                        if round.is_multiple_of(50) {
                            let prefix = Bytes::from(if lane == 0 { "00" } else { "10" });
                            let scan = Scan { prefix, ..Scan::new(Space::Commit) };
                            let seen = keys(store, scan);
                            assert!(seen.len() as u64 >= until, "{} of {until}", seen.len());
                            assert!(seen.is_sorted());
                        }
                    }
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        over.store(true, Ordering::Release);
    });
    for store in &stores {
        assert_eq!(block_on(store.usage()).unwrap().entries(Space::Commit), 2 * EACH);
        let newest = Scan { order: Order::Newest, limit: 77, ..Scan::new(Space::Commit) };
        assert_eq!(keys(store, newest).len() as u64, 2 * EACH);
    }
}

fn open_restless(path: &Path) -> Arc<dyn Store> {
    Arc::new(Restless::new(vec![open(path)], 7))
}

#[test]
fn a_hundred_kills_while_folding_lose_nothing() {
    let (_parent, path) = folder();
    let test = "recent::a_hundred_kills_while_folding_lose_nothing";
    let done = drill(test, &path, open_restless, 100, 2);
    println!("{done:?}");
    assert!(done.reported >= 100, "{done:?}");
    let conn = database(&path);
    let check: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn a_store_that_cannot_be_written_shows_what_is_recent() {
    if let Some(path) = std::env::var_os("AFRESH_NOBODY") {
        return is_merged(&open(Path::new(&path)));
    }
    let parent = tempfile::tempdir().unwrap();
    std::fs::set_permissions(parent.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let path = parent.path().join("store");
    half_folded(&path);
    let chmod = |mode: &str| {
        let done = std::process::Command::new("chmod").args(["-R", mode]).arg(&path).status();
        assert!(done.unwrap().success());
    };
    chmod("a+rX,a-w");
    as_nobody("recent::a_store_that_cannot_be_written_shows_what_is_recent", &path);
    chmod("u+w");
    assert_eq!(waiting(&path), (25, 40), "nobody folded");
    is_merged(&open(&path));
    assert_eq!(waiting(&path).0, 0, "whoever can, folds");
}

/// Twenty executions in the tables, twenty more recent; of the former the head of one was removed, and one replaced.
fn half_folded(path: &Path) {
    let store = open(path);
    for number in 0..20 {
        done(record(&store, number, When::Absent));
    }
    block_on(store.usage()).unwrap();
    for number in 20..40 {
        done(record(&store, number, When::Absent));
    }
    for _ in 0..4 {
        done(record(&store, 3, When::Always));
    }
    let commit = Key::new(Space::Commit, "came and went").unwrap();
    let ops = vec![
        Op::Put { key: commit.clone(), entry: NewEntry::record(""), when: When::Always },
        Op::Delete { key: commit, when: When::Always },
        Op::Delete { key: named(Space::Head, 5), when: When::Always },
    ];
    done(block_on(store.apply(Batch { objects: vec![], ops })).unwrap());
}

fn is_merged(store: &SqliteStore) {
    let all: Vec<String> = (0..40).map(|n| format!("{n:06}")).collect();
    for limit in [1, 7, 39, 40, 100] {
        let by_key = Scan { limit, ..Scan::new(Space::Commit) };
        assert_eq!(keys(store, by_key.clone()), all, "pages of {limit}");
        let mut newest = keys(store, Scan { order: Order::Newest, ..by_key.clone() });
        newest.reverse();
        assert_eq!(newest, all, "newest first, pages of {limit}");
        let odd = Scan {
            tags: vec![Tag::new("odd", Some("1".to_owned())).unwrap()],
            function: Some("f1".to_owned()),
            order: Order::Newest,
            ..by_key
        };
        assert_eq!(keys(store, odd).len(), (0..40).filter(|n| n % 2 == 1 && n % 3 == 1).count());
        let heads = keys(store, Scan { limit, ..Scan::new(Space::Head) });
        assert!(heads.len() == 39 && !heads.contains(&all[5]));
    }
    assert!(one(store, named(Space::Head, 39)).is_some());
    assert!(one(store, named(Space::Head, 5)).is_none());
    let both = block_on(store.get(&[named(Space::Head, 3), named(Space::Commit, 19)])).unwrap();
    assert!(both.iter().all(Option::is_some));
    let usage = block_on(store.usage()).unwrap();
    assert_eq!((usage.entries(Space::Commit), usage.entries(Space::Head)), (40, 39));
}

#[test]
fn a_full_disk_keeps_what_is_recent_where_it_is() {
    let Some(disk) = Small::mount("8m") else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let path = disk.path().join("store");
    half_folded(&path);
    let store = open(&path);
    assert!(one(&store, named(Space::Head, 39)).is_some());
    let filler = disk.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write(&mut file, &[0; 4096]).is_ok_and(|n| n > 0) {}
    drop(file);
    is_merged(&store);
    assert_eq!(waiting(&path), (25, 40), "there was no room to fold");
    std::fs::remove_file(filler).unwrap();
    is_merged(&store);
    assert_eq!(waiting(&path).0, 0);
}

#[test]
fn collecting_beside_folding_takes_nothing_that_is_needed() {
    const ROUNDS: u64 = 400;
    let (_parent, path) = folder();
    let (writer, collector) = (open(&path), open(&path));
    let sweep = Key::count("sweep");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..ROUNDS {
                // Few contents, so that what is written was often just collected.
                let bytes = noise(300, number % 5);
                let object = ObjectRef { id: ObjectId::of(&bytes), len: 300 };
                loop {
                    let seen = one(&writer, sweep.clone()).map(|entry| entry.version);
                    let when = seen.map_or(When::Absent, When::Is);
                    let put = |space| Op::Put {
                        key: named(space, number % 20),
                        entry: NewEntry { object: Some(object), ..NewEntry::record("") },
                        when: When::Always,
                    };
                    let batch = Batch {
                        objects: vec![(object.id, bytes.clone().into())],
                        ops: vec![
                            Op::Check { key: sweep.clone(), when },
                            put(Space::Head),
                            put(Space::Commit),
                        ],
                    };
                    if matches!(block_on(writer.apply(batch)).unwrap(), Applied::All(_)) {
                        break;
                    }
                }
                let head = one(&writer, named(Space::Head, number % 20)).unwrap();
                assert!(block_on(writer.read(&head.object.unwrap().id)).unwrap().is_some());
            }
            over.store(true, Ordering::Release);
        });
        while !over.load(Ordering::Acquire) {
            let begun = std::time::Instant::now();
            let bump = Op::Add { key: sweep.clone(), by: 1, ttl: None };
            done(block_on(collector.apply(Batch { objects: vec![], ops: vec![bump] })).unwrap());
            let mut needed = Vec::new();
            for space in [Space::Commit, Space::Head] {
                let page = block_on(collector.scan(&Scan::new(space))).unwrap();
                needed.extend(page.entries.iter().filter_map(|(_, entry)| entry.object));
            }
            let listed = block_on(collector.list(None, 100)).unwrap();
            let loose: Vec<ObjectId> = listed
                .iter()
                .map(|info| info.id)
                .filter(|id| needed.iter().all(|object| object.id != *id))
                .collect();
            let idle = begun.elapsed() + Duration::from_millis(2);
            block_on(collector.remove(&loose, idle)).unwrap();
        }
    });
    for store in [&writer, &collector] {
        for space in [Space::Commit, Space::Head] {
            for (_, entry) in block_on(store.scan(&Scan::new(space))).unwrap().entries {
                assert!(block_on(store.read(&entry.object.unwrap().id)).unwrap().is_some());
            }
        }
    }
}

#[test]
fn a_storm_does_not_pile_up() {
    let (_parent, path) = folder();
    let stores = [open(&path), open(&path)];
    let most = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for (lane, store) in stores.iter().enumerate() {
            let (path, most) = (&path, &most);
            scope.spawn(move || {
                for n in 0..6000 {
                    done(record(store, lane as u64 * 100_000 + n, When::Absent));
                    if n % 500 == 0 {
                        most.fetch_max(waiting(path).0, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    println!("at most {most:?} rows waited");
    assert!(most.load(Ordering::Relaxed) <= 4100);
    drop(stores);
    assert!(waiting(&path).0 <= 64, "little is left behind");
    assert_eq!(block_on(open(&path).usage()).unwrap().entries, [12_000, 12_000, 0, 0, 0]);
}

/// Whoever folds without an end, because more comes all the time, still has to see to the log.
#[test]
fn a_storm_does_not_let_the_log_grow_without_bound() {
    let (_parent, path) = folder();
    let store = open(&path);
    let mut longest = 0;
    for number in 0..60_000 {
        record(&store, number, When::Always);
        if number % 500 == 0 {
            let log = std::fs::metadata(path.join("store-v2.sqlite-wal")).unwrap().len();
            longest = longest.max(log);
        }
    }
    println!("60,000 were recorded, the log was at most {} MB", longest >> 20);
    assert!(longest < 384 << 20);
}

#[test]
fn damaged_changes_count_as_not_made() {
    let (_parent, path) = folder();
    let store = open(&path);
    for number in 0..3 {
        done(record(&store, number, When::Absent));
    }
    drop(store);
    let conn = database(&path);
    let damaged = conn
        .execute(
            "UPDATE recent SET data = CAST(substr(data, 1, 20) || 'x' || substr(data, 22) AS BLOB) \
             WHERE id = (SELECT id FROM recent ORDER BY id LIMIT 1 OFFSET 1)",
            [],
        )
        .unwrap();
    assert_eq!(damaged, 1);
    drop(conn);
    let store = open(&path);
    for round in 0..2 {
        let there: Vec<bool> =
            (0..3).map(|n| one(&store, named(Space::Head, n)).is_some()).collect();
        assert_eq!(there, [true, false, true], "round {round}");
        assert_eq!(block_on(store.usage()).unwrap().entries(Space::Head), 2);
    }
    let last = one(&store, named(Space::Commit, 2)).unwrap().version;
    assert!(done(record(&store, 1, When::Absent))[0].version.unwrap() > last);
}

#[test]
fn a_suspended_store_finds_what_it_and_others_recorded() {
    let (_parent, path) = folder();
    let (a, b) = (open(&path), open(&path));
    done(record(&a, 1, When::Absent));
    a.suspend();
    done(record(&b, 2, When::Absent));
    a.resume();
    for number in [1, 2] {
        assert!(one(&a, named(Space::Head, number)).is_some());
    }
}

#[test]
fn a_writer_that_stands_still_delays_no_reader() {
    let (_parent, path) = folder();
    half_folded(&path);
    let store = open(&path);
    let conn = database(&path);
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = std::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(keys(&store, Scan::new(Space::Commit)).len(), 40);
        assert_eq!(block_on(store.usage()).unwrap().entries(Space::Head), 39);
        assert!(one(&store, named(Space::Head, 39)).is_some());
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    conn.execute_batch("ROLLBACK").unwrap();
    is_merged(&store);
    assert_eq!(waiting(&path).0, 0);
}

#[test]
fn what_only_counts_waits_too_and_moves_nothing_into_the_tables() {
    let (_parent, dir) = folder();
    let (one_handle, other) = (open(&dir), open(&dir));
    record(&one_handle, 1, When::Absent);
    let hits = Key::count("hits");
    let count = |by| {
        let touch = Op::Touch { key: named(Space::Head, 1), ago: Duration::ZERO };
        let ops = vec![touch, Op::Add { key: hits.clone(), by, ttl: None }];
        let applied = block_on(one_handle.apply(Batch { objects: vec![], ops })).unwrap();
        done(applied).last().and_then(|done| done.count)
    };
    assert_eq!((count(2), count(3)), (Some(2), Some(5)));
    assert_eq!(waiting(&dir), (3, 0));
    let found = one(&other, hits.clone()).unwrap();
    assert_eq!(found.value, afresh_core::Value::Count(5));
    // A scan has everything in the tables, once.
    assert_eq!(keys(&other, Scan::new(Space::Count)), ["hits"]);
    assert_eq!(waiting(&dir), (0, 3));
    assert_eq!(one(&one_handle, hits).unwrap().value, afresh_core::Value::Count(5));
}
