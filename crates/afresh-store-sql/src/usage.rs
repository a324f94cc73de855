//! What the store holds, counted a bounded number of rows at a time.
//!
//! Invariant: no statement looks at more than [`STEP`] rows (and those of a few ended ones beside them), so that counting
//! never keeps a server from others for long, however much there is. Between two statements others write, so the sums
//! are of about now. What tables take on disk is what the server says of them; on MySQL that is an estimate, renewed
//! when the server sees fit.

use afresh_core::{Bytes, Result, Space, Usage, prefix_end};

use crate::database::Database;
use crate::sql::{Statement, Value};

/// The most rows that one statement looks at.
pub(crate) const STEP: i64 = 5000;

/// Rows with the bytes in them are read together with those where a server keeps them in one place.
const OBJECTS: i64 = 1000;

/// What the store holds.
pub(crate) async fn usage(database: &Database) -> Result<Usage> {
    let mut usage = Usage::default();
    for (place, space) in usage.entries.iter_mut().zip(Space::ALL) {
        let from = Bytes::copy_from_slice(&[space.number()]);
        let end = prefix_end(&from);
        let count =
            "COUNT(*), CAST(COALESCE(SUM(CASE WHEN expires = 0 THEN 0 ELSE 1 END), 0) AS {int})";
        let [_, count] = sums(database, "entry", count, from, end, STEP).await?;
        *place = count;
    }
    let count = "COUNT(*), CAST(COALESCE(SUM(stored), 0) AS {int})";
    [usage.inline_objects, usage.inline_bytes] =
        sums(database, "object", count, Bytes::new(), None, OBJECTS).await?;
    let size = database.sql.plain(database.sql.pick(
        "SELECT CAST(SUM(pg_total_relation_size(name::regclass)) AS bigint)
         FROM unnest(ARRAY['{p}entry', '{p}tag', '{p}object', '{p}part', '{p}aside']) AS t(name)",
        "SELECT CAST(SUM(data_length + index_length) AS SIGNED) FROM information_schema.tables
         WHERE table_schema = DATABASE() AND table_name LIKE REPLACE('{p}%', '_', '\\\\_')",
    ));
    let size = database.rows(size).await?;
    usage.disk_bytes = number(size.first().and_then(|row| row.int(0)));
    Ok(usage)
}

fn number(number: Option<i64>) -> u64 {
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// What two columns of `table` add up to, for rows from `from` to before `end`, `step` rows at a time.
async fn sums(
    database: &Database,
    table: &str,
    columns: &str,
    mut from: Bytes,
    end: Option<Bytes>,
    step: i64,
) -> Result<[u64; 2]> {
    let mut sums = [0; 2];
    loop {
        let last = database.rows(place(database, table, &from, end.as_ref(), step)).await?;
        let last = last.first().and_then(|row| row.bytes(0));
        let until = last.clone().or_else(|| end.clone());
        let (range, values) = range(&from, until.as_ref());
        let text = format!("SELECT {columns} FROM {{p}}{table} WHERE {range}")
            .replace("{int}", database.sql.pick("bigint", "SIGNED"));
        for row in database.rows(database.sql.with(&text, values)).await? {
            for (column, sum) in sums.iter_mut().enumerate() {
                *sum += number(row.int(column));
            }
        }
        match last {
            Some(last) => from = last,
            None => return Ok(sums),
        }
    }
}

/// The statement that finds the row `step` rows after `from`.
fn place(
    database: &Database,
    table: &str,
    from: &Bytes,
    end: Option<&Bytes>,
    step: i64,
) -> Statement {
    let (range, mut values) = range(from, end);
    values.push(step.into());
    let text = format!("SELECT id FROM {{p}}{table} WHERE {range} ORDER BY id LIMIT 1 OFFSET ?");
    database.sql.with(&text, values)
}

fn range(from: &Bytes, end: Option<&Bytes>) -> (&'static str, Vec<Value>) {
    match end {
        Some(end) => ("id >= ? AND id < ?", vec![from.clone().into(), end.clone().into()]),
        None => ("id >= ?", vec![from.clone().into()]),
    }
}
