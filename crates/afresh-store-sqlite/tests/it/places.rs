//! Folders that vanish, fill up or may not be written, processes that fork, many processes that open at once.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use afresh_core::{Kind, ObjectId, Store};
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use pollster::block_on;

use crate::support::{database, folder, get, noise, open, put, put_object};

#[test]
fn a_folder_is_private_and_ignored() {
    let (_parent, path) = folder();
    let nested = path.join("a/b");
    let store = open(&nested);
    assert_eq!(fs::metadata(&nested).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::read_to_string(nested.join(".gitignore")).unwrap(), "*\n");
    assert!(
        fs::read_to_string(nested.join("CACHEDIR.TAG")).unwrap().starts_with("Signature: 8a477f59")
    );
    assert_eq!(store.info().lock_dir.as_deref(), Some(nested.as_path()));
}

#[test]
fn a_removed_folder_is_made_again() {
    let (_parent, path) = folder();
    let store = open(&path);
    let bytes = noise(300_000, 1);
    put_object(&store, "a", &bytes).unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(block_on(store.read(&ObjectId::of(&bytes))).ok().flatten(), None);
    fs::remove_dir_all(&path).ok();
    put_object(&store, "b", &bytes).unwrap();
    assert!(get(&open(&path), "b").is_some(), "it was written where others find it");
    assert!(get(&store, "a").is_none());
    assert!(get(&store, "b").is_some());
    assert!(block_on(store.read(&ObjectId::of(&bytes))).unwrap().unwrap() == bytes);
    fs::remove_dir_all(&path).unwrap();
    assert!(get(&store, "never").is_none());
    put(&store, "c").unwrap();
    assert!(get(&open(&path), "c").is_some());
}

#[test]
fn one_that_only_reads_notices_that_another_made_the_folder_again() {
    let (_parent, path) = folder();
    let store = open(&path);
    put(&store, "a").unwrap();
    fs::remove_dir_all(&path).unwrap();
    let other = open(&path);
    put(&other, "b").unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while get(&store, "b").is_none() {
        assert!(Instant::now() < end, "an open file that was removed is not read for ever");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(get(&store, "a").is_none());
}

#[test]
fn a_folder_that_cannot_be_is_an_error() {
    let (parent, _) = folder();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = SqliteStore::open(&path, SqliteOptions::default()).unwrap_err();
        assert!(matches!(error.kind(), Kind::Config | Kind::Unavailable), "{error:?}");
        assert!(error.hint().is_some() && error.to_string().contains("file"), "{error}");
    }
}

/// Runs this test again as somebody without rights, as the tests may be run by root.
pub fn as_nobody(test: &str, path: &Path) -> bool {
    if std::env::var_os("AFRESH_NOBODY").is_some() {
        return true;
    }
    let root = fs::metadata("/proc/self").map(|about| about.uid()).unwrap_or(1) == 0;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env("AFRESH_NOBODY", path);
    if root {
        command.uid(65534).gid(65534);
    }
    match command.status() {
        Ok(status) => assert!(status.success()),
        Err(error) => println!("skipped, the test cannot be run by somebody else: {error}"),
    }
    false
}

#[test]
fn a_read_only_folder_can_be_read() {
    if let Some(path) = std::env::var_os("AFRESH_NOBODY") {
        return read_only(Path::new(&path));
    }
    let parent = tempfile::tempdir().unwrap();
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, log) in [("with", true), ("without", false)] {
        let path = parent.path().join(name);
        let store = open(&path);
        put_object(&store, "small", &noise(100, 1)).unwrap();
        put_object(&store, "large", &noise(300_000, 2)).unwrap();
        drop(store);
        if !log {
            let conn = database(&path);
            conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            drop(conn);
            fs::remove_file(path.join("store-v2.sqlite-wal")).ok();
            fs::remove_file(path.join("store-v2.sqlite-shm")).ok();
        }
        let all = Command::new("chmod").args(["-R", "a+rX,a-w"]).arg(&path).status().unwrap();
        assert!(all.success());
        as_nobody("places::a_read_only_folder_can_be_read", &path);
        Command::new("chmod").args(["-R", "u+w"]).arg(&path).status().unwrap();
    }
}

fn read_only(path: &Path) {
    let store = open(path);
    assert!(get(&store, "small").unwrap().attached.is_some());
    let large = ObjectId::of(&noise(300_000, 2));
    assert!(block_on(store.read(&large)).unwrap().is_some());
    assert!(get(&store, "nothing").is_none());
    assert_eq!(block_on(store.list(None, 10)).unwrap().len(), 2);
    let error = put(&store, "new").unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    assert!(error.hint().unwrap().contains("writable"));
    assert_eq!(put_object(&store, "l", &noise(200_000, 5)).unwrap_err().kind(), Kind::Denied);
    // Nor is there a store where none can be made.
    let error = SqliteStore::open(&path.join("new"), SqliteOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
}

/// Mounts a small file system where that is allowed; it goes away with the value.
pub struct Small(tempfile::TempDir);

impl Small {
    pub fn mount(size: &str) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "none"])
            .arg(at.path())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_rolls_back_and_recovers() {
    let Some(disk) = Small::mount("8m") else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let store = open(&disk.0.path().join("store"));
    put(&store, "before").unwrap();
    // Leaves too little for a large object, then for a small one.
    let filler = disk.0.path().join("filler");
    fs::write(&filler, vec![0; 5 << 20]).unwrap();
    let error = put_object(&store, "large", &noise(4 << 20, 1)).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.hint().unwrap().contains("space"), "{error:?}");
    assert!(get(&store, "large").is_none());
    assert_eq!(fs::read_dir(disk.0.path().join("store/tmp")).unwrap().count(), 0);
    let mut kept = 0;
    let error = (0..)
        .find_map(|n| match put_object(&store, &format!("{n}"), &noise(60_000, n)) {
            Ok(_) => {
                kept += 1;
                None
            }
            Err(error) => Some(error),
        })
        .unwrap();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.hint().unwrap().contains("space"), "{error:?}");
    for n in 0..kept {
        assert!(get(&store, &format!("{n}")).unwrap().attached.is_some());
    }
    assert!(get(&store, &format!("{kept}")).is_none());
    fs::remove_file(filler).unwrap();
    put_object(&store, "after", &noise(60_000, 77)).unwrap();
    drop(store);
    let store = open(&disk.0.path().join("store"));
    assert!(store.notices().is_empty());
    // How many fitted depends on how much of the log was folded by then: perhaps none.
    let first = (kept > 0).then_some("0");
    for name in ["before", "after"].into_iter().chain(first) {
        assert!(get(&store, name).is_some(), "{name}, of {kept} that were kept");
    }
}

fn open_files(path: &Path) -> usize {
    let path = fs::canonicalize(path).unwrap();
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|file| fs::read_link(file.unwrap().path()).ok())
        .filter(|target| target.starts_with(&path))
        .count()
}

#[test]
fn a_suspended_store_holds_no_file() {
    let (_parent, path) = folder();
    let store = open(&path);
    // Enough for the checkpoint thread to run.
    let bytes = noise(60_000, 1);
    for n in 0..800 {
        let mut bytes = bytes.to_vec();
        bytes[..8].copy_from_slice(&u64::to_le_bytes(n));
        put_object(&store, &format!("{n}"), &bytes.into()).unwrap();
    }
    get(&store, "1").unwrap();
    assert!(open_files(&path) > 0);
    store.suspend();
    assert_eq!(open_files(&path), 0);
    let threads = fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    drop(threads);
    store.resume();
    assert!(get(&store, "1").is_some());
    drop(store);
    assert_eq!(open_files(&path), 0);
}

#[test]
fn the_log_does_not_grow_without_bound() {
    let (_parent, path) = folder();
    let store = open(&path);
    let bytes = noise(60_000, 1);
    let mut longest = 0;
    for n in 0..8000 {
        let mut bytes = bytes.to_vec();
        bytes[..8].copy_from_slice(&u64::to_le_bytes(n));
        put_object(&store, &format!("{}", n % 50), &bytes.into()).unwrap();
        if n % 100 == 0 {
            let log = fs::metadata(path.join("store-v2.sqlite-wal")).unwrap().len();
            longest = longest.max(log);
        }
    }
    println!("480 MB written, the log was at most {} MB", longest >> 20);
    assert!(longest < 384 << 20);
}

#[test]
fn many_open_at_once() {
    let (_parent, path) = folder();
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (path, start) = (&path, &start);
            scope.spawn(move || {
                start.wait();
                let store = open(path);
                for round in 0..50 {
                    put(&store, &format!("{n}.{round}")).unwrap();
                }
            });
        }
    });
    let store = open(&path);
    assert_eq!(block_on(store.usage()).unwrap().entries(afresh_core::Space::Head), 400);
}
