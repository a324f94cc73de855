//! What goes wrong with servers: they are away, killed, silent, full, too old; they refuse; and nothing of it shows a
//! password.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Batch, Blob, Error, Key, Kind as Wrong, NewEntry, ObjectId, Op, Result, Space, Store,
    Version, When,
};
use afresh_store_sql::open;
use afresh_testkit::servers::free_port;
use pollster::block_on;

use crate::support::{KINDS, Kind, prefix, shared, start};

fn key(text: &str) -> Key {
    Key::new(Space::Named, text.to_owned()).unwrap()
}

fn get(store: &dyn Store) -> Result<bool> {
    Ok(block_on(store.get(&[key("k")]))?[0].is_some())
}

fn put(store: &dyn Store, text: &str) -> Result<()> {
    let entry = NewEntry::record(text.to_owned());
    let op = Op::Put { key: key("k"), entry, when: When::Always };
    block_on(store.apply(Batch { objects: vec![], ops: vec![op] })).map(drop)
}

fn named(text: &str, when: When) -> Op {
    Op::Put { key: key(text), entry: NewEntry::record("v"), when }
}

/// The version of the last thing done.
fn version(store: &dyn Store, ops: Vec<Op>) -> Option<Version> {
    match block_on(store.apply(Batch { objects: vec![], ops })).unwrap() {
        Applied::All(done) => done.last().unwrap().version,
        refused @ Applied::Refused { .. } => panic!("{refused:?}"),
    }
}

/// Tries until it works again.
fn recovers(store: &dyn Store) {
    let begun = Instant::now();
    while let Err(error) = get(store) {
        assert_eq!(error.kind(), Wrong::Unavailable, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not recover: {error}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn hushed(error: &Error) {
    let told = format!("{error} {error:?} {:?}", error.hint());
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn a_server_that_is_away_costs_a_moment() {
    for scheme in ["postgresql", "mysql"] {
        let address = format!("{scheme}://ada:s3cret@127.0.0.1:{}/cache", free_port());
        let store = open(&address).unwrap();
        assert!(!format!("{store:?} {:?}", store.info()).contains("s3cret"));
        let begun = Instant::now();
        let error = get(store.as_ref()).unwrap_err();
        assert_eq!(error.kind(), Wrong::Unavailable, "{error}");
        hushed(&error);
        for _ in 0..100 {
            hushed(&get(store.as_ref()).unwrap_err());
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_server_that_is_killed_comes_back() {
    for kind in KINDS {
        let Some(server) = start(kind) else { continue };
        let store = open(&server.url(&prefix())).unwrap();
        put(store.as_ref(), "before").unwrap();
        let last = version(store.as_ref(), vec![named("gone", When::Absent)]);
        version(store.as_ref(), vec![Op::Delete { key: key("gone"), when: When::Always }]);
        server.kill();
        let error = get(store.as_ref()).unwrap_err();
        assert_eq!(error.kind(), Wrong::Unavailable, "{error}");
        hushed(&error);
        server.restart();
        recovers(store.as_ref());
        assert!(get(store.as_ref()).unwrap(), "{kind:?}: what was written is there");
        put(store.as_ref(), "after").unwrap();
        let next = version(store.as_ref(), vec![named("gone", When::Absent)]);
        assert!(next > last, "{kind:?}: versions are not given out again");
    }
}

#[test]
fn a_silent_server_costs_one_wait() {
    for kind in KINDS {
        let Some(server) = start(kind) else { continue };
        let address = server.bare(&format!("prefix={}&timeout=1", prefix()));
        let store = open(&address).unwrap();
        recovers(store.as_ref());
        put(store.as_ref(), "before").unwrap();
        server.pause();
        let begun = Instant::now();
        for _ in 0..50 {
            let error = get(store.as_ref()).unwrap_err();
            assert_eq!(error.kind(), Wrong::Unavailable, "{kind:?}: {error}");
        }
        assert!(begun.elapsed() < Duration::from_secs(6), "{kind:?}: {:?}", begun.elapsed());
        server.resume();
        recovers(store.as_ref());
        assert!(get(store.as_ref()).unwrap());
    }
}

#[test]
fn a_server_that_refuses_is_no_outage() {
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        let wrong = |from: &str, to: &str| {
            let store = open(&server.url(&prefix()).replace(from, to)).unwrap();
            let error = get(store.as_ref()).unwrap_err();
            hushed(&error);
            assert!(error.hint().is_some(), "{kind:?}: {error}");
            error.kind()
        };
        assert_eq!(wrong("s3cret", "s3cret2"), Wrong::Denied);
        assert_eq!(wrong("ada", "nobody"), Wrong::Denied);
        assert_eq!(wrong("/cache", "/nothing"), Wrong::Config);
    }
}

#[test]
fn a_user_without_rights_is_told_so() {
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        let (create, grant) = match kind {
            Kind::Postgres => {
                ("CREATE USER bob PASSWORD 's3cret'", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            }
            Kind::Mariadb => {
                ("CREATE USER bob IDENTIFIED BY 's3cret'", "GRANT SELECT ON cache.* TO bob")
            }
        };
        server.sql(create);
        server.sql(grant);
        let store = open(&server.url(&prefix()).replace("ada", "bob")).unwrap();
        let error = get(store.as_ref()).unwrap_err();
        assert_eq!(error.kind(), Wrong::Denied, "{error}");
        assert!(error.hint().unwrap().contains("right to create"), "{:?}", error.hint());
    }
}

#[test]
fn tables_of_a_later_version_are_left_alone() {
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        let prefix = prefix();
        let store = open(&server.url(&prefix)).unwrap();
        put(store.as_ref(), "mine").unwrap();
        server.sql(&format!("UPDATE {prefix}_v2_meta SET format = 3"));
        let store = open(&server.url(&prefix)).unwrap();
        let error = put(store.as_ref(), "yours").unwrap_err();
        assert_eq!(error.kind(), Wrong::Config, "{error}");
        assert!(error.message().contains("format 3"), "{error}");
    }
}

#[test]
fn tables_that_are_gone_are_no_reason_to_panic() {
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        let prefix = prefix();
        let store = open(&server.url(&prefix)).unwrap();
        put(store.as_ref(), "mine").unwrap();
        server.sql(&format!("DROP TABLE {prefix}_v2_entry"));
        let error = get(store.as_ref()).unwrap_err();
        assert_eq!(error.kind(), Wrong::Unavailable, "{error}");
    }
}

/// Something that listens, says `greeting`, hears and answers twice, and says that it is an old server.
fn pretender(greeting: &'static [u8], answers: &'static [&'static [u8]]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(greeting);
            for answer in answers {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    port
}

#[test]
fn an_old_postgres_is_told_apart() {
    // Authenticated; the version; ready.
    let port =
        pretender(b"", &[b"R\0\0\0\x08\0\0\0\0S\0\0\0\x19server_version\x009.6.1\0Z\0\0\0\x05I"]);
    let store = open(&format!("postgresql://u@127.0.0.1:{port}/d?timeout=5")).unwrap();
    let error = get(store.as_ref()).unwrap_err();
    assert_eq!(error.kind(), Wrong::Unsupported, "{error}");
    assert!(error.message().contains("9.6.1") && error.hint().unwrap().contains("12"), "{error}");
}

#[test]
fn an_old_mysql_is_told_apart() {
    // Protocol 10, the version, a connection's number, eight bytes of salt, what it can, and more salt.
    let port = pretender(
        b"\x4a\0\0\0\x0a5.7.44\0\x01\0\0\0abcdefgh\0\xff\xf7\x21\x02\0\xff\x81\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0mysql_native_password\0",
        // Welcome; then the size of packets that was asked for.
        &[
            b"\x07\0\0\x02\0\0\0\x02\0\0\0",
            b"\x01\0\0\x01\x01\x2a\0\0\x02\x03def\0\0\0\x14@@max_allowed_packet\0\x0c\x3f\0\x15\0\0\0\x08\xa0\0\0\0\0\x05\0\0\x03\xfe\0\0\x02\0\x09\0\0\x04\x0816777216\x05\0\0\x05\xfe\0\0\x02\0",
        ],
    );
    let store = open(&format!("mysql://u@127.0.0.1:{port}/d?timeout=5")).unwrap();
    let error = get(store.as_ref()).unwrap_err();
    assert_eq!(error.kind(), Wrong::Unsupported, "{error}");
    assert!(error.message().contains("5.7.44") && error.hint().unwrap().contains("8.0"), "{error}");
}

#[test]
fn connections_are_encrypted_and_verified() {
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        let Some(authority) = server.authority() else { continue };
        let prefix = prefix();
        let with = |options: &str| {
            open(&server.bare(&format!("prefix={prefix}&timeout=10&{options}"))).unwrap()
        };
        let store = with(&format!("ca={}", authority.display()));
        put(store.as_ref(), "sealed").unwrap();
        assert!(get(store.as_ref()).unwrap());
        // Nobody well known has signed it.
        let error = get(with("tls=on").as_ref()).unwrap_err();
        assert_eq!(error.kind(), Wrong::Denied, "{error}");
        assert!(error.hint().unwrap().contains("ca=FILE"), "{error}");
        let error = get(with("ca=/nowhere/ca.pem").as_ref()).unwrap_err();
        assert!(error.to_string().contains("ca.pem") || kind == Kind::Mariadb, "{error}");
    }
}

#[test]
fn a_full_server_says_so_and_keeps_what_it_has() {
    let room = "--innodb-data-file-path=ibdata1:12M:autoextend:max:24M";
    let Some(server) =
        afresh_testkit::servers::Sql::mariadb_with(&["--innodb-file-per-table=0", room])
    else {
        return afresh_testkit::servers::skipped(afresh_testkit::servers::Kind::Mysql);
    };
    let store: Arc<dyn Store> = open(&server.url(&prefix())).unwrap();
    put(store.as_ref(), "kept").unwrap();
    let failed = (0..200u32).find_map(|round| {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n ^ round) as u8).collect();
        block_on(store.write(&ObjectId::of(&bytes), Blob::from(bytes).raw())).err()
    });
    let error = failed.expect("40 MB do not fit in 24");
    assert_eq!(error.kind(), Wrong::Unavailable, "{error}");
    assert!(error.hint().unwrap().contains("no room"), "{error}");
    recovers(store.as_ref());
    assert!(get(store.as_ref()).unwrap());
}
