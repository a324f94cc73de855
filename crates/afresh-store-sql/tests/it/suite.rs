//! The suite that every store passes, by the server's clock and by one that is moved by hand, and random operations
//! compared with the memory store.

use std::sync::Arc;

use afresh_core::Key;
use afresh_store_memory::MemoryStore;
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::servers::Sql;
use afresh_testkit::{ManualClock, model};
use pollster::block_on;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::support::{Kind, at, empty, prefix, shared};

/// A store whose objects can be damaged.
fn subject(server: &Arc<Sql>, clock: ManualClock) -> Subject {
    let prefix = prefix();
    let store = at(server, &prefix, Some(&clock));
    let server = Arc::clone(server);
    let (also, tables) = (Arc::clone(&server), prefix.clone());
    Subject::new(store)
        .clock(clock)
        .damage(move |id| damage(&server, &prefix, &id.to_string()))
        .spoil(move |key| spoil(&also, &tables, key))
}

/// Writes what nobody can read over an entry.
fn spoil(server: &Sql, prefix: &str, key: &Key) {
    let id: String = [key.space().number()]
        .iter()
        .chain(key.bytes().iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (id, garbage) = match server.url("").starts_with("mysql") {
        true => (format!("x'{id}'"), "'what is this?'"),
        false => (format!("'\\x{id}'::bytea"), "'what is this?'::bytea"),
    };
    server.sql(&format!("UPDATE {prefix}_v2_entry SET data = {garbage} WHERE id = {id}"));
}

/// Changes a byte of an object, wherever it is.
fn damage(server: &Sql, prefix: &str, id: &str) {
    let (of, object, part) = (
        if server.url("").starts_with("mysql") {
            format!("x'{id}'")
        } else {
            format!("'\\x{id}'::bytea")
        },
        format!("{prefix}_v2_object"),
        format!("{prefix}_v2_part"),
    );
    if server.url("").starts_with("mysql") {
        let data = "data = INSERT(data, 2, 1, IF(SUBSTR(data, 2, 1) = x'00', x'01', x'00'))";
        server.sql(&format!("UPDATE {object} SET {data} WHERE id = {of} AND data IS NOT NULL"));
        server.sql(&format!(
            "UPDATE {part} SET {data} WHERE place = 0 AND number IN (SELECT number FROM {object} WHERE id = {of})"
        ));
    } else {
        let data = "data = set_byte(data, 1, (get_byte(data, 1) + 1) % 256)";
        server.sql(&format!("UPDATE {object} SET {data} WHERE id = {of} AND data IS NOT NULL"));
        server.sql(&format!(
            "UPDATE {part} SET {data} WHERE place = 0 AND number IN (SELECT number FROM {object} WHERE id = {of})"
        ));
    }
}

fn conforms(kind: Kind) {
    let Some(server) = shared(kind) else { return };
    let ran = conformance::run(|| subject(&server, ManualClock::new()));
    assert!(ran.len() > 50, "{} cases", ran.len());
    for name in ["damage_is_noticed", "what_cannot_be_read_is_absent_and_written_over"] {
        assert!(ran.contains(&name), "{name}");
    }
}

fn conforms_in_real_time(kind: Kind) {
    let Some(server) = shared(kind) else { return };
    let ran = conformance::run(|| Subject::new(empty(&server, None)));
    assert!(ran.len() > 50, "{} cases", ran.len());
}

fn agrees_with_the_memory_store(kind: Kind) {
    let Some(server) = shared(kind) else { return };
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 25,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let ran = runner.run(&model::steps(), |steps| {
        let clock = ManualClock::new();
        let store = empty(&server, Some(&clock));
        let model = MemoryStore::with_clock(clock.function());
        block_on(model::compare(store.as_ref(), &model, &clock, &steps));
        Ok(())
    });
    ran.unwrap();
}

#[test]
fn postgres_conforms() {
    conforms(Kind::Postgres);
}

#[test]
fn mariadb_conforms() {
    conforms(Kind::Mariadb);
}

#[test]
fn postgres_conforms_in_real_time() {
    conforms_in_real_time(Kind::Postgres);
}

#[test]
fn mariadb_conforms_in_real_time() {
    conforms_in_real_time(Kind::Mariadb);
}

#[test]
fn postgres_agrees_with_the_memory_store() {
    agrees_with_the_memory_store(Kind::Postgres);
}

#[test]
fn mariadb_agrees_with_the_memory_store() {
    agrees_with_the_memory_store(Kind::Mariadb);
}
