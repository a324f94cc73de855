//! Objects: small ones in their row, large ones in parts of rows, under a number of their own.
//!
//! Invariant: an object's row and its parts appear in one transaction and go in one. Writing one that is there only
//! says when; whoever removes old ones passes over what is being written. Bytes are compared with their digest whenever
//! they are read. Objects are not compressed here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use afresh_core::{
    Batch, Blob, Bytes, Error, Kind, ObjectId, ObjectInfo, Op, Removed, Result, Usage,
};

use tokio::task::spawn_blocking;

use crate::database::Database;
use crate::session::Rows;
use crate::sql::{Sql, Statement, Value};

/// The most bytes of one row.
const PART: usize = 256 << 10;

/// How many parts are asked for at once.
const PARTS: i64 = 16;

/// The largest object.
pub(crate) const LARGEST: u64 = 1 << 30;

/// The most objects that one transaction removes.
const REMOVED: usize = 256;

fn column(id: &ObjectId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

fn id(column: Option<Bytes>) -> Result<ObjectId> {
    column
        .and_then(|bytes| ObjectId::from_slice(&bytes))
        .ok_or_else(|| Error::new(Kind::Corrupt, "the name of an object is not one"))
}

fn span(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}

/// The bytes of a blob in pieces of `size`; copied only where its parts do not fit.
fn pieces(blob: &Blob, size: usize) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut rest: Vec<u8> = Vec::new();
    for part in blob.parts() {
        let mut part = part.clone();
        if !rest.is_empty() {
            let taken = part.split_to(part.len().min(size - rest.len()));
            rest.extend_from_slice(&taken);
            if rest.len() == size {
                pieces.push(std::mem::take(&mut rest).into());
            }
        }
        while part.len() >= size {
            pieces.push(part.split_to(size));
        }
        rest.extend_from_slice(&part);
    }
    if !rest.is_empty() {
        pieces.push(rest.into());
    }
    pieces
}

/// The objects of a batch.
pub(crate) struct Objects(BTreeMap<ObjectId, Blob>);

impl Objects {
    /// # Errors
    /// [`Kind::TooLarge`] where one is.
    pub(crate) fn new(batch: &Batch) -> Result<Self> {
        for (id, blob) in &batch.objects {
            if blob.len() as u64 > LARGEST {
                return Err(Error::new(
                    Kind::TooLarge,
                    format!("an object of {} bytes; this store takes {LARGEST}", blob.len()),
                )
                .with_key(format!("{id:?}")));
            }
        }
        Ok(Self(batch.objects.iter().cloned().collect()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The statement that locks those that are there, in the order of their names.
    pub(crate) fn lock(&self, sql: &Sql) -> Option<Statement> {
        let ids: Vec<Bytes> = self.0.keys().map(column).collect();
        let text = "SELECT id FROM {p}object WHERE id IN ? ORDER BY id FOR UPDATE";
        (!ids.is_empty()).then(|| sql.with(text, vec![ids.into()]))
    }

    /// The statements that write them, `there` being those that were locked.
    pub(crate) fn write(
        &self,
        sql: &Sql,
        there: Option<&Rows>,
        numbers: &mut impl Iterator<Item = i64>,
    ) -> Result<Vec<Statement>> {
        let there: BTreeSet<Bytes> =
            there.into_iter().flatten().filter_map(|cells| cells.bytes(0)).collect();
        let mut statements = Vec::new();
        for (id, blob) in &self.0 {
            let id = column(id);
            if there.contains(&id) {
                statements.push(
                    sql.with("UPDATE {p}object SET written = {now} WHERE id = ?", vec![id.into()]),
                );
                continue;
            }
            let number = numbers.next().ok_or_else(|| {
                Error::new(Kind::Corrupt, "the server gave too few numbers for objects")
            })?;
            let length = i64::try_from(blob.len()).unwrap_or(i64::MAX);
            let whole = (blob.len() <= PART).then(|| blob.to_bytes());
            let parts = if whole.is_some() { Vec::new() } else { pieces(blob, PART) };
            let values: Vec<Value> = vec![id.into(), number.into(), length.into(), whole.into()];
            statements.push(sql.with(
                "INSERT INTO {p}object (id, number, length, written, data) VALUES (?, ?, ?, {now}, ?)",
                values,
            ));
            statements.extend((0i64..).zip(parts).map(|(place, part)| {
                sql.with(
                    "INSERT INTO {p}part (number, place, data) VALUES (?, ?, ?)",
                    vec![number.into(), place.into(), part.into()],
                )
            }));
        }
        Ok(statements)
    }
}

/// Keeps one object.
pub(crate) async fn write(database: &Database, id: &ObjectId, blob: Blob) -> Result<()> {
    let batch = Batch { objects: vec![(*id, blob)], ops: Vec::<Op>::new() };
    crate::entry::apply(database, batch).await.map(drop)
}

/// The bytes of an object.
pub(crate) async fn read(database: &Database, id: &ObjectId) -> Result<Option<Bytes>> {
    let damaged = || {
        Error::new(Kind::Corrupt, "the bytes of an object are not those that were written")
            .with_key(format!("{id:?}"))
    };
    // Between its row and its parts an object may be removed, and even written anew: then look again.
    for _ in 0..3 {
        let text = "SELECT number, length, data FROM {p}object WHERE id = ?";
        let rows = database.rows(database.sql.with(text, vec![column(id).into()])).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (number, length) = (row.number(0)?, row.number(1)?);
        let bytes = match row.bytes(2) {
            Some(bytes) => bytes,
            None => parts(database, number, usize::try_from(length).unwrap_or(0)).await?,
        };
        if bytes.len() as i64 == length {
            return if sound(*id, bytes.clone()).await { Ok(Some(bytes)) } else { Err(damaged()) };
        }
    }
    Err(damaged())
}

/// Whether these are the bytes; of large ones found out beside the thread that serves all connections.
async fn sound(id: ObjectId, bytes: Bytes) -> bool {
    if bytes.len() <= 4 * PART {
        return ObjectId::of(&bytes) == id;
    }
    spawn_blocking(move || ObjectId::of(&bytes) == id).await.unwrap_or(false)
}

async fn parts(database: &Database, number: i64, length: usize) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity(length);
    for from in (0i64..).step_by(PARTS as usize) {
        let text =
            "SELECT data FROM {p}part WHERE number = ? AND place >= ? AND place < ? ORDER BY place";
        let values = vec![number.into(), from.into(), (from + PARTS).into()];
        let rows = database.rows(database.sql.with(text, values)).await?;
        if rows.is_empty() || bytes.len() >= length {
            break;
        }
        for part in rows.iter().filter_map(|row| row.bytes(0)) {
            bytes.extend_from_slice(&part);
        }
    }
    Ok(bytes.into())
}

/// Removes those that were not written for `idle`.
pub(crate) async fn remove(
    database: &Database,
    ids: &[ObjectId],
    idle: Duration,
) -> Result<Removed> {
    let sql = &database.sql;
    let idle = i64::try_from(idle.as_millis()).unwrap_or(i64::MAX);
    let mut removed = Removed::default();
    for ids in ids.chunks(REMOVED) {
        let mut held = database.session().await?;
        // What somebody is writing at this moment is not idle, so there is nothing to wait for.
        let text = "SELECT id, number, length, CASE WHEN data IS NULL THEN 1 ELSE 0 END FROM {p}object
                    WHERE id IN ? AND GREATEST({now} - written, 0) >= ? ORDER BY id FOR UPDATE SKIP LOCKED";
        let ids: Vec<Bytes> = ids.iter().map(column).collect();
        let lock = [sql.begin(), sql.with(text, vec![ids.into(), idle.into()])];
        let rows = database.on(&mut held, &lock).await?.pop().unwrap_or_default();
        let mut statements = Vec::new();
        for row in &rows {
            removed.objects += 1;
            removed.bytes += u64::try_from(row.number(2)?).unwrap_or(0);
            if row.int(3) == Some(1) {
                let text = "DELETE FROM {p}part WHERE number = ?";
                statements.push(sql.with(text, vec![row.number(1)?.into()]));
            }
        }
        let ids: Vec<Bytes> = rows.iter().filter_map(|row| row.bytes(0)).collect();
        if !ids.is_empty() {
            statements.push(sql.with("DELETE FROM {p}object WHERE id IN ?", vec![ids.into()]));
        }
        statements.push(sql.commit());
        database.on(&mut held, &statements).await?;
        held.keep();
    }
    Ok(removed)
}

/// Moves an object's row out of the way. Its parts stay, under its number.
pub(crate) async fn quarantine(database: &Database, id: &ObjectId) -> Result<()> {
    let sql = &database.sql;
    let with = |text| sql.with(text, vec![column(id).into()]);
    let statements = [
        sql.begin(),
        with("SELECT id FROM {p}object WHERE id = ? FOR UPDATE"),
        with(
            "INSERT INTO {p}aside (number, id, moved, length, data)
             SELECT number, id, {now}, length, data FROM {p}object WHERE id = ?",
        ),
        with("DELETE FROM {p}object WHERE id = ?"),
        sql.commit(),
    ];
    database.run(&statements).await.map(drop)
}

/// Up to `limit` objects by name.
pub(crate) async fn list(
    database: &Database,
    after: Option<&ObjectId>,
    limit: usize,
) -> Result<Vec<ObjectInfo>> {
    let text = "SELECT id, length, {now} - written FROM {p}object WHERE id > ? ORDER BY id LIMIT ?";
    let after = after.map_or(Bytes::new(), column);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = database.rows(database.sql.with(text, vec![after.into(), limit.into()])).await?;
    rows.iter()
        .map(|row| {
            let len = u64::try_from(row.number(1)?).unwrap_or(0);
            Ok(ObjectInfo { id: id(row.bytes(0))?, len, stored: len, idle: span(row.number(2)?) })
        })
        .collect()
}

/// What the store holds. Entries and objects are counted through their narrowest index.
pub(crate) async fn usage(database: &Database) -> Result<Usage> {
    let sql = &database.sql;
    let size = sql.pick(
        "SELECT CAST(SUM(pg_total_relation_size(name::regclass)) AS bigint)
         FROM unnest(ARRAY['{p}entry', '{p}tag', '{p}object', '{p}part', '{p}aside']) AS t(name)",
        "SELECT CAST(SUM(data_length + index_length) AS SIGNED) FROM information_schema.tables
         WHERE table_schema = DATABASE() AND table_name LIKE REPLACE('{p}%', '_', '\\\\_')",
    );
    let answers = database
        .run(&[
            sql.plain("SELECT space, COUNT(*) FROM {p}entry GROUP BY space"),
            // Rows that only stand for an absence.
            sql.plain("SELECT space, COUNT(*) FROM {p}entry WHERE expires = 0 GROUP BY space"),
            sql.plain(sql.pick(
                "SELECT COUNT(*), CAST(COALESCE(SUM(length), 0) AS bigint) FROM {p}object",
                "SELECT COUNT(*), CAST(COALESCE(SUM(length), 0) AS SIGNED) FROM {p}object",
            )),
            sql.plain(size),
        ])
        .await?;
    let mut usage = Usage::default();
    for (index, sign) in [(0, 1), (1, -1)] {
        for row in answers.get(index).into_iter().flatten() {
            let (space, count) = (row.number(0)?, row.number(1)? * sign);
            let place = usize::try_from(space - 1).unwrap_or(usize::MAX);
            if let Some(total) = usage.entries.get_mut(place) {
                *total = total.saturating_add_signed(count);
            }
        }
    }
    let number = |statement: usize, column| {
        let row = answers.get(statement).and_then(|rows| rows.first());
        row.and_then(|row| row.int(column)).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    };
    usage.inline_objects = number(2, 0);
    usage.inline_bytes = number(2, 1);
    usage.disk_bytes = number(3, 0);
    Ok(usage)
}
