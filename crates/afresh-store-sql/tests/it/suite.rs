//! The suite that every store passes, by the server's clock and by one that is moved by hand, and random operations
//! compared with the memory store.

use std::sync::Arc;

use afresh_core::{Key, Store};
use afresh_store_memory::MemoryStore;
use afresh_store_sql::{SqlOptions, open_with};
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::servers::{self, Site};
use afresh_testkit::{ManualClock, model};
use pollster::block_on;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::support::Kind;

/// An empty store on a site, by the server's clock or by one that is moved by hand.
fn store(site: &Site, name: &str, clock: Option<&ManualClock>) -> Arc<dyn Store> {
    let options = SqlOptions { clock: clock.map(ManualClock::function), ..SqlOptions::default() };
    open_with(&site.address(name, "timeout=10"), options).unwrap()
}

/// A store whose objects can be damaged.
fn subject(site: &Arc<Site>, clock: ManualClock) -> Subject {
    let name = site.name();
    let store = store(site, &name, Some(&clock));
    let site = Arc::clone(site);
    let (also, tables) = (Arc::clone(&site), name.clone());
    Subject::new(store)
        .clock(clock)
        .damage(move |id| damage(&site, &name, &id.to_string()))
        .spoil(move |key| spoil(&also, &tables, key))
}

/// Writes what nobody can read over an entry.
fn spoil(site: &Site, prefix: &str, key: &Key) {
    let id: String = [key.space().number()]
        .iter()
        .chain(key.bytes().iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (id, garbage) = if site.kind() == servers::Kind::Mysql {
        (format!("x'{id}'"), "'what is this?'")
    } else {
        (format!("'\\x{id}'::bytea"), "'what is this?'::bytea")
    };
    site.sql(&format!("UPDATE {prefix}_v2_entry SET data = {garbage} WHERE id = {id}"));
}

/// Changes a byte of an object, wherever it is.
fn damage(site: &Site, prefix: &str, id: &str) {
    let (object, part) = (format!("{prefix}_v2_object"), format!("{prefix}_v2_part"));
    let (of, data) = if site.kind() == servers::Kind::Mysql {
        let data = "data = INSERT(data, 2, 1, IF(SUBSTR(data, 2, 1) = x'00', x'01', x'00'))";
        (format!("x'{id}'"), data)
    } else {
        let data = "data = set_byte(data, 1, (get_byte(data, 1) + 1) % 256)";
        (format!("'\\x{id}'::bytea"), data)
    };
    site.sql(&format!("UPDATE {object} SET {data} WHERE id = {of} AND data IS NOT NULL"));
    site.sql(&format!(
        "UPDATE {part} SET {data} WHERE place = 0 AND number IN (SELECT number FROM {object} WHERE id = {of})"
    ));
}

fn conforms(kind: Kind) {
    let Some(site) = kind.site().map(Arc::new) else { return };
    let ran = conformance::run(|| subject(&site, ManualClock::new()));
    assert!(ran.len() > 50, "{} cases", ran.len());
    for name in ["damage_is_noticed", "what_cannot_be_read_is_absent_and_written_over"] {
        assert!(ran.contains(&name), "{name}");
    }
}

fn conforms_in_real_time(kind: Kind) {
    let Some(site) = kind.site() else { return };
    let ran = conformance::run(|| Subject::new(store(&site, &site.name(), None)));
    assert!(ran.len() > 50, "{} cases", ran.len());
}

fn agrees_with_the_memory_store(kind: Kind) {
    let Some(site) = kind.site() else { return };
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 25,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let ran = runner.run(&model::steps(), |steps| {
        let clock = ManualClock::new();
        let store = store(&site, &site.name(), Some(&clock));
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
