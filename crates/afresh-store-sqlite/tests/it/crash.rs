//! Writers are killed at random moments; nothing that they reported is lost.

use afresh_testkit::crash::drill;

use crate::support::{database, folder, open_shared};

#[test]
fn two_hundred_kills_lose_nothing() {
    let (_parent, path) = folder();
    let done = drill("crash::two_hundred_kills_lose_nothing", &path, open_shared, 200, 3);
    println!("{done:?}");
    assert_eq!(done.kills, 200);
    assert!(done.reported >= 200, "{done:?}");
    let conn = database(&path);
    let check: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    assert!(!path.join("quarantine").exists(), "nothing had to be set aside");
}
