//! Damaged rows, objects and databases: noticed, set aside, never handed out, never deleted.

use std::fs;

use afresh_core::{Kind, ObjectId, Scan, Space, Store};
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use pollster::block_on;

use crate::support::{DATABASE, database, folder, get, noise, object_file, open, put, put_object};

#[test]
fn a_damaged_row_is_absent_and_can_be_written_anew() {
    let (_parent, path) = folder();
    let store = open(&path);
    put(&store, "a").unwrap();
    put(&store, "b").unwrap();
    for change in ["value = x'00'", "version = version + 5", "expires = 1 << 50", "object = x'01'"]
    {
        let conn = database(&path);
        assert_eq!(
            conn.execute(&format!("UPDATE entry SET {change} WHERE key = x'61'"), []),
            Ok(1)
        );
        drop(conn);
        assert!(get(&store, "a").is_none(), "{change}");
        assert!(get(&store, "b").is_some());
        let page = block_on(store.scan(&Scan::new(Space::Head))).unwrap();
        assert_eq!(page.entries.len(), 1);
        put(&store, "a").unwrap();
        assert!(get(&store, "a").is_some());
        assert_eq!(block_on(store.usage()).unwrap().entries(Space::Head), 2);
    }
}

#[test]
fn a_file_that_changes_after_it_was_verified_is_found_out() {
    use std::os::unix::fs::FileExt;

    let (_parent, path) = folder();
    let store = open(&path);
    let bytes = noise(500_000, 2);
    let id = ObjectId::of(&bytes);
    put_object(&store, "a", &bytes).unwrap();
    for _ in 0..3 {
        assert_eq!(block_on(store.read(&id)).unwrap().as_ref(), Some(&bytes));
    }
    let file = object_file(&path, &id);
    let about = fs::metadata(&file).unwrap();
    // Longer than the file system's clock ticks.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let mut writable = about.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut writable, 0o600);
    fs::set_permissions(&file, writable).unwrap();
    let opened = fs::OpenOptions::new().write(true).open(&file).unwrap();
    opened.write_all_at(b"!", 250_000).unwrap();
    opened.set_modified(about.modified().unwrap()).unwrap();
    assert_eq!(block_on(store.read(&id)).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn a_lost_or_cut_file_is_corrupt_and_can_be_written_anew() {
    let (_parent, path) = folder();
    let store = open(&path);
    let bytes = noise(500_000, 1);
    let id = ObjectId::of(&bytes);
    put_object(&store, "a", &bytes).unwrap();
    let file = object_file(&path, &id);
    for cut in [false, true] {
        if cut {
            fs::write(file.with_extension("cut"), &bytes[..1000]).unwrap();
            fs::rename(file.with_extension("cut"), &file).unwrap();
        } else {
            fs::remove_file(&file).unwrap();
        }
        assert_eq!(block_on(store.read(&id)).unwrap_err().kind(), Kind::Corrupt);
        // Written again it is whole, even if nobody set it aside.
        put_object(&store, "a", &bytes).unwrap();
        assert!(block_on(store.read(&id)).unwrap().unwrap() == bytes);
        assert_eq!(block_on(store.usage()).unwrap().file_objects, 1);
    }
    fs::remove_file(&file).unwrap();
    block_on(store.quarantine(&id)).unwrap();
    assert_eq!(block_on(store.read(&id)).unwrap(), None);
}

#[test]
fn what_is_quarantined_is_kept() {
    let (_parent, path) = folder();
    let store = open(&path);
    for (len, seed) in [(100, 1), (200_000, 2)] {
        let bytes = noise(len, seed);
        let id = ObjectId::of(&bytes);
        put_object(&store, "a", &bytes).unwrap();
        block_on(store.quarantine(&id)).unwrap();
        let kept = fs::read_dir(path.join("quarantine"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .find(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&id.to_string()));
        assert!(fs::read(kept.unwrap()).unwrap() == bytes);
    }
}

#[test]
fn a_stray_file_is_listed_and_removed() {
    let (_parent, path) = folder();
    let store = open(&path);
    let id = ObjectId::of(b"stray");
    let file = object_file(&path, &id);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, b"anything").unwrap();
    assert_eq!(block_on(store.read(&id)).unwrap(), None);
    assert_eq!(block_on(store.list(None, 10)).unwrap()[0].id, id);
    let hour = std::time::Duration::from_secs(3600);
    assert_eq!(block_on(store.remove(&[id], hour)).unwrap().objects, 0);
    assert_eq!(block_on(store.remove(&[id], std::time::Duration::ZERO)).unwrap().objects, 1);
    assert!(!file.exists());
}

fn aside(path: &std::path::Path) -> usize {
    let files = fs::read_dir(path.join("quarantine")).into_iter().flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|e| e == "sqlite")).count()
}

#[test]
fn a_corrupt_database_is_set_aside_on_open() {
    let (_parent, path) = folder();
    let store = open(&path);
    put(&store, "a").unwrap();
    assert!(store.notices().is_empty());
    drop(store);
    fs::write(path.join(DATABASE), "this is not a database at all ".repeat(500)).unwrap();
    let _ = fs::remove_file(path.join("store-v2.sqlite-wal"));
    let store = open(&path);
    let notices = store.notices();
    assert!(notices.len() == 1 && notices[0].contains("quarantine"), "{notices:?}");
    assert!(store.notices().is_empty(), "told once");
    assert_eq!(aside(&path), 1);
    assert!(get(&store, "a").is_none());
    put(&store, "b").unwrap();
    assert!(get(&store, "b").is_some());
}

#[test]
fn a_database_damaged_in_use_is_set_aside_by_one_of_many() {
    let (_parent, path) = folder();
    let store = open(&path);
    for n in 0..2000 {
        put(&store, &format!("{n}")).unwrap();
    }
    drop(store);
    let file = path.join(DATABASE);
    let conn = rusqlite::Connection::open(&file).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(conn);
    let others: Vec<SqliteStore> = (0..3).map(|_| open(&path)).collect();
    // Every page but the first few.
    let mut bytes = fs::read(&file).unwrap();
    let from = 4096 * 30;
    bytes[from..].fill(0xa5);
    {
        use std::os::unix::fs::FileExt;
        let file = fs::OpenOptions::new().write(true).open(&file).unwrap();
        file.write_all_at(&bytes[from..], from as u64).unwrap();
    }
    let mut corrupt = 0;
    for n in 0..2000 {
        for store in &others {
            match put(store, &format!("{n}")) {
                Ok(_) => {}
                Err(error) if error.kind() == Kind::Corrupt => corrupt += 1,
                Err(error) => panic!("{error}"),
            }
        }
        if corrupt > 0 && n > 100 {
            break;
        }
    }
    assert!(corrupt > 0, "it was never noticed");
    for store in &others {
        put(store, "after").unwrap();
        assert!(get(store, "after").is_some());
    }
    assert_eq!(aside(&path), 1, "set aside once, not by each");
    let told: usize = others.iter().map(|store| store.notices().len()).sum();
    assert_eq!(told, 1);
}

#[test]
fn a_newer_format_is_refused_unchanged() {
    let (_parent, path) = folder();
    drop(open(&path));
    let conn = database(&path);
    conn.pragma_update(None, "user_version", 99).unwrap();
    let error = SqliteStore::open(&path, SqliteOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.hint().unwrap().contains("upgrade"), "{error:?}");
    conn.pragma_update(None, "user_version", 0).unwrap();
    conn.pragma_update(None, "application_id", 5).unwrap();
    let error = SqliteStore::open(&path, SqliteOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Config, "{error}");
    assert_eq!(aside(&path), 0);
}

#[test]
fn removal_and_rewriting_never_look_like_damage() {
    let (_parent, path) = folder();
    let stores = [open(&path), open(&path), open(&path)];
    let bytes = noise(100_000, 3);
    let id = ObjectId::of(&bytes);
    std::thread::scope(|scope| {
        let [writer, remover, reader] = &stores;
        scope.spawn(|| {
            for _ in 0..200 {
                put_object(writer, "a", &bytes).unwrap();
            }
        });
        scope.spawn(|| {
            for _ in 0..400 {
                block_on(remover.remove(&[id], std::time::Duration::ZERO)).unwrap();
            }
        });
        for _ in 0..200 {
            let read = block_on(reader.read(&id)).unwrap();
            assert!(read.is_none_or(|read| read == bytes));
        }
    });
    put_object(&stores[0], "a", &bytes).unwrap();
    assert!(block_on(stores[2].read(&id)).unwrap().is_some());
    assert_eq!(block_on(stores[1].usage()).unwrap().file_objects, 1);
}
