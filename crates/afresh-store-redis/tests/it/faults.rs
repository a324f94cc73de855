//! Servers that are away, hang, refuse, are too old or full.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use afresh_core::{Batch, Error, Key, Kind, NewEntry, Op, Scan, Space, Store, When};
use afresh_testkit::servers::free_port;
use pollster::block_on;

use crate::{fresh, get, one, open, own, put, until};

fn key(text: &str) -> Key {
    Key::new(Space::Named, text.to_owned()).unwrap()
}

fn try_get(store: &dyn Store) -> Result<(), Error> {
    block_on(store.get(&[key("k")])).map(drop)
}

fn try_put(store: &dyn Store, text: &str, len: usize) -> Result<(), Error> {
    let entry = NewEntry::record("x".repeat(len));
    let op = Op::Put { key: key(text), entry, when: When::Always };
    block_on(store.apply(Batch { objects: vec![], ops: vec![op] })).map(drop)
}

#[test]
fn a_server_that_is_away_costs_one_short_wait() {
    let store = open(&format!("redis://127.0.0.1:{}", free_port()));
    let error = try_get(store.as_ref()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("cannot be reached"), "{error}");
    let begun = Instant::now();
    for _ in 0..1000 {
        let error = try_get(store.as_ref()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "a thousand calls waited");
    assert!(store.generation().unwrap().stamp(&crate::print(1)).is_none());
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let Some(server) = own(&[]) else { return };
    let store = open(&fresh(&server.url()));
    put(store.as_ref(), &key("k"), "1");
    server.server.kill();
    assert_eq!(try_get(store.as_ref()).unwrap_err().kind(), Kind::Unavailable);
    server.restart();
    until("it is not used again", || try_get(store.as_ref()).is_ok());
    let version = put(store.as_ref(), &key("k"), "2").version;
    server.cli(&["SCRIPT", "FLUSH"]);
    assert!(put(store.as_ref(), &key("k"), "3").version > version, "scripts are given again");
    server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(get(store.as_ref(), &key("k")).unwrap().record().unwrap(), "3".as_bytes());
}

#[test]
fn a_server_that_hangs_costs_one_wait() {
    let Some(server) = own(&[]) else { return };
    let store = open(&fresh(&server.url()).replace("timeout=10", "timeout=250ms"));
    until("it is slow", || try_get(store.as_ref()).is_ok());
    server.server.pause();
    let error = try_get(store.as_ref()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(try_get(store.as_ref()).unwrap_err().kind(), Kind::Unavailable);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "a hundred calls waited");
    server.server.resume();
    until("it is not used again", || try_get(store.as_ref()).is_ok());
}

#[test]
fn who_is_not_let_in_is_told_what_to_write() {
    let Some(server) = own(&["--requirepass", "r1ght-pass"]) else { return };
    let at = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port);
    for login in ["", ":wr0ng-pass@", "nobody:wr0ng-pass@"] {
        let store = open(&fresh(&at(login)));
        let error = try_get(store.as_ref()).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        assert!(error.hint().unwrap().contains("user:password@"), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error:?}");
    }
    let store = open(&fresh(&at(":r1ght-pass@")));
    try_get(store.as_ref()).unwrap();
    let cli =
        |words: &[&str]| server.cli(&[&["-a", "r1ght-pass", "--no-auth-warning"], words].concat());
    assert_eq!(
        cli(&["ACL", "SETUSER", "some", "on", ">p%40:ss", "~*", "+@all", "-get", "-mget"]),
        "OK"
    );
    let store = open(&fresh(&at("some:p%2540:ss@")));
    let error = try_get(store.as_ref()).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error:?}");
    assert!(error.message().contains("may not"), "{error:?}");
    // The rule of docs/guide/stores/redis.md is enough.
    let rule = "on >pass ~{team:1* resetchannels -@all +@read +@write +@scripting +@connection \
                +@transaction +client|tracking +time +cluster|slots";
    let words: Vec<&str> =
        ["ACL", "SETUSER", "afresh"].into_iter().chain(rule.split(' ')).collect();
    assert_eq!(cli(&words), "OK");
    let store = open(&format!("{}?timeout=10&prefix=team", at("afresh:pass@")));
    put(store.as_ref(), &key("k"), "x");
    let bytes = afresh_core::Bytes::from_static(b"object");
    let id = afresh_core::ObjectId::of(&bytes);
    block_on(store.write(&id, bytes.into())).unwrap();
    block_on(store.usage()).unwrap();
    assert_eq!(block_on(store.scan(&Scan::new(Space::Named))).unwrap().entries.len(), 1);
    assert_eq!(block_on(store.list(None, 5)).unwrap().len(), 1);
    block_on(store.quarantine(&id)).unwrap();
    until("it is not told", || store.generation().unwrap().stamp(&crate::print(1)).is_some());
}

/// Something that answers everything in the same way.
fn parrot(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    for _ in bytes[..read].iter().filter(|byte| **byte == b'*') {
                        let _ = stream.write_all(answer.as_bytes());
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_server_that_is_too_old_is_named() {
    for (answer, version) in [
        ("-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n", "older than 6.0"),
        ("%1\r\n$7\r\nversion\r\n$6\r\n6.0.16\r\n", "6.0"),
    ] {
        let store = open(&fresh(&format!("redis://127.0.0.1:{}", parrot(answer))));
        let error = try_get(store.as_ref()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error:?}");
        assert!(error.message().contains(version), "{error:?}");
        assert!(error.hint().unwrap().contains("6.2"), "{error:?}");
    }
}

#[test]
fn a_server_that_is_full_is_read_and_emptied() {
    let Some(server) = own(&["--maxmemory", "8mb"]) else { return };
    let store = open(&fresh(&server.url()));
    let mut kept = 0;
    let error = loop {
        match try_put(store.as_ref(), &format!("{kept:03}"), 100_000) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 200);
    };
    assert_eq!(error.kind(), Kind::TooLarge, "{error:?}");
    assert!(error.hint().unwrap().contains("maxmemory"), "{error:?}");
    // A batch that does not fit leaves nothing of itself.
    let entry = NewEntry::record("x".repeat(100_000));
    let ops = vec![
        Op::Delete { key: key("000"), when: When::Always },
        Op::Put { key: key("new"), entry, when: When::Always },
    ];
    assert!(block_on(store.apply(Batch { objects: vec![], ops })).is_err());
    let big = afresh_core::Bytes::from(vec![7; 100_000]);
    let error = block_on(store.write(&afresh_core::ObjectId::of(&big), big.into())).unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge, "{error:?}");
    assert!(block_on(store.list(None, 10)).unwrap().is_empty());
    let page = block_on(store.scan(&Scan::new(Space::Named))).unwrap();
    assert_eq!(page.entries.len(), kept, "all are there, and found");
    one(store.as_ref(), Op::Add { key: Key::count("epoch"), by: 1, ttl: None });
    for n in 0..20 {
        one(store.as_ref(), Op::Delete { key: key(&format!("{n:03}")), when: When::Always });
    }
    try_put(store.as_ref(), "again", 1000).unwrap();
}

#[test]
fn a_server_that_cannot_save_is_read() {
    let Some(server) = own(&["--save", "3600 1"]) else { return };
    let store = open(&fresh(&server.url()));
    try_put(store.as_ref(), "k", 1).unwrap();
    std::fs::remove_dir_all(server.folder()).unwrap();
    server.cli(&["BGSAVE"]);
    until("saving did not fail", || {
        server.cli(&["INFO", "persistence"]).contains("bgsave_status:err")
    });
    let error = try_put(store.as_ref(), "k", 1).unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge, "{error:?}");
    assert!(error.hint().unwrap().contains("disk"), "{error:?}");
    try_get(store.as_ref()).unwrap();
}
