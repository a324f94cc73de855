//! Addresses: what they may say, and that nothing repeats a password.

use std::fmt::Write;

use afresh_core::{Kind, Scan, Space};
use pollster::block_on;

use crate::{log, own, put};

#[test]
fn bad_addresses_say_what_is_allowed() {
    for (address, says) in [
        ("redis://u:s3cret@host/0?speed=9", "speed"),
        ("redis://u:s3cret@host/zero", "not one of Redis"),
        ("redis://u:s3cret@host?prefix=a{b", "prefix"),
        ("redis://u:s3cret@host?track=perhaps", "track"),
        ("redis://u:s3cret@host?also=other:1", "also"),
        ("redis://u:s3cret@host?ca=/nowhere", "ca="),
        ("rediss://u:s3cret@host?cert=/etc/hostname", "go together"),
        ("redis+sentinel://u:s3cret@host", "service"),
        ("redis+cluster://u:s3cret@host/3", "database 0"),
        ("redis+cluster://u:s3cret@host?also=a:b", "host:port"),
        ("redis://u:s3cret@host:99999", "URL"),
    ] {
        let error = afresh_store_redis::open(address).unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{address}");
        assert!(error.message().contains(says), "{address}: {error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
    for address in [
        "redis://host",
        "rediss://:p%40ss@[::1]:7000/2?timeout=1s",
        "redis+sentinel://host/main/3?also=b,c:7&sentinel_password=s",
        "rediss+cluster://host:1?also=d:2&prefix=team.one",
    ] {
        let store = afresh_store_redis::open(address).unwrap();
        assert!(address.starts_with(&format!("{}:", store.info().scheme)));
    }
}

#[test]
fn a_password_is_nowhere_repeated() {
    let Some(server) = own(&["--requirepass", "s3cret-pass"]) else { return };
    log::listen();
    let address = |password: &str| {
        format!("redis://default:{password}@127.0.0.1:{}?timeout=10&prefix=p", server.port)
    };
    let mut told = String::new();
    for password in ["s3cret-pass", "s3cret-wrong"] {
        let store = afresh_store_redis::open(&address(password)).unwrap();
        let _ = write!(told, "{store:?} {:?} ", store.info());
        if let Err(error) = block_on(store.scan(&Scan::new(Space::Head))) {
            let _ = write!(told, "{error} {error:?} ");
        } else {
            put(store.as_ref(), &afresh_core::Key::count("n"), "x");
            server.cli(&["-a", "s3cret-pass", "CLIENT", "KILL", "TYPE", "normal"]);
            let _ = write!(told, "{:?} ", block_on(store.usage()));
        }
    }
    assert!(told.contains("***") && told.contains("does not accept"), "{told}");
    let logged = log::all();
    assert!(logged.contains("not done") || logged.contains("lost"), "nothing was logged: {logged}");
    let stored = server.cli(&["-a", "s3cret-pass", "--no-raw", "--scan"]);
    assert!(stored.contains("{p:1}"), "{stored}");
    for text in [told, logged, stored] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}
