//! What goes wrong on the way to a server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_core::{Error, Key, Kind, Space, Store, When};
use afresh_testkit::servers::{Kind as Speaks, Mongo, free_port, skipped};
use pollster::block_on;

use crate::server::put;

/// A server of a test's own, to be stopped.
fn server() -> Option<Mongo> {
    let server = Mongo::start();
    if server.is_none() {
        skipped(Speaks::Mongodb);
    }
    server
}

/// More time than usual: the server of the tests may share a busy machine.
fn open(server: &Mongo, database: &str) -> Arc<dyn Store> {
    afresh_store_mongodb::open(&format!("{}?timeout=10", server.url(database))).unwrap()
}

fn key() -> Key {
    Key::new(Space::Named, "k").unwrap()
}

fn get(store: &dyn Store) -> Result<bool, Error> {
    block_on(store.get(&[key()])).map(|found| found[0].is_some())
}

#[test]
fn a_server_that_is_away_costs_one_wait() {
    let address = format!("mongodb://ada:s3cret@127.0.0.1:{}/x", free_port());
    let store = afresh_store_mongodb::open(&address).unwrap();
    let begun = Instant::now();
    for _ in 0..20 {
        let error = get(&*store).unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn a_server_that_was_killed_is_found_again() {
    let Some(server) = server() else { return };
    let process = server.server();
    let store = open(&server, "killed");
    block_on(store.apply(put(&key(), "1", When::Absent))).unwrap();
    process.kill();
    assert_eq!(get(&*store).unwrap_err().kind(), Kind::Unavailable);
    process.restart();
    let begun = Instant::now();
    while get(&*store).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is not found again");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(get(&*store).unwrap(), "what was written before is there");
}

#[test]
fn a_server_that_hangs_costs_one_wait() {
    let Some(server) = server() else { return };
    let process = server.server();
    block_on(open(&server, "hangs").apply(put(&key(), "1", When::Absent))).unwrap();
    let store = afresh_store_mongodb::open(&format!("{}?timeout=2", server.url("hangs"))).unwrap();
    assert!(get(&*store).unwrap());
    process.pause();
    let begun = Instant::now();
    for _ in 0..50 {
        assert_eq!(get(&*store).unwrap_err().kind(), Kind::Unavailable);
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    process.resume();
    let begun = Instant::now();
    while get(&*store).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not recover");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_wrong_password_is_denied() {
    let Some(server) = server() else { return };
    let address = server.url("x").replace("mongodb://", "mongodb://ada:s3cret@");
    let store = afresh_store_mongodb::open(&format!("{address}?timeout=10")).unwrap();
    let error = get(&*store).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    assert!(error.hint().unwrap().contains("password"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}
