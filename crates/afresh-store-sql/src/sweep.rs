//! Gives back the room of entries that have ended: a few at a time, and never waiting for anybody.
//!
//! Invariant: what is swept is absent to everybody already, and a row that some batch has locked is left alone. All
//! processes sweep; each takes rows that no other has.

use std::sync::Weak;
use std::time::Duration;

use afresh_core::{Bytes, Result};
use tokio::time::sleep;

use crate::database::Database;

/// The most rows of one transaction.
const ROWS: usize = 256;

/// How long between two transactions, so that others come in between.
const BREATH: Duration = Duration::from_millis(20);

/// Sweeps every `pause` for as long as the store is there.
pub(crate) async fn run(database: Weak<Database>, pause: Duration) {
    loop {
        sleep(pause).await;
        loop {
            let Some(database) = database.upgrade() else { return };
            database.trim();
            match once(&database).await {
                Ok(ROWS) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "expired entries could not be removed");
                    break;
                }
            }
            drop(database);
            sleep(BREATH).await;
        }
    }
}

/// Removes some of the entries that have ended; how many.
pub(crate) async fn once(database: &Database) -> Result<usize> {
    let sql = &database.sql;
    let mut held = database.session().await?;
    let text = "SELECT id FROM {p}entry WHERE expires <= {now} ORDER BY expires LIMIT ?
                FOR UPDATE SKIP LOCKED";
    let lock = [sql.begin(), sql.with(text, vec![(ROWS as i64).into()])];
    let rows = database.on(&mut held, &lock).await?.pop().unwrap_or_default();
    let ids: Vec<Bytes> = rows.iter().filter_map(|row| row.bytes(0)).collect();
    let swept = ids.len();
    let mut statements = Vec::new();
    if swept > 0 {
        statements.push(sql.with("DELETE FROM {p}tag WHERE id IN ?", vec![ids.clone().into()]));
        statements.push(sql.with("DELETE FROM {p}entry WHERE id IN ?", vec![ids.into()]));
    }
    statements.push(sql.commit());
    database.on(&mut held, &statements).await?;
    held.keep();
    Ok(swept)
}
