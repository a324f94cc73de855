//! The suite that every store passes, by the server's clock and by one that is moved by hand, and random operations
//! compared with the memory store.

use std::sync::Arc;

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
    Subject::new(store).clock(clock).damage(move |id| damage(&server, &prefix, &id.to_string()))
}

/// Changes a byte of an object, wherever it is.
fn damage(server: &Sql, prefix: &str, id: &str) {
    let (of, object, part) = (
        if server.url("").starts_with("mysql") {
            format!("x'{id}'")
        } else {
            format!("'\\x{id}'::bytea")
        },
        format!("{prefix}_v1_object"),
        format!("{prefix}_v1_part"),
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
    assert!(ran.contains(&"damage_is_noticed") && ran.len() > 50, "{} cases", ran.len());
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
