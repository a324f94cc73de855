//! Objects: small ones in their row, large ones in parts of rows, under a number of their own.
//!
//! Invariant: an object's row and its parts appear in one transaction and go in one. Writing one that is there only
//! says when; whoever removes old ones passes over what is being written. Bytes are compared with their digest whenever
//! they are read. They are compressed before a transaction begins, where that pays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use afresh_core::{Batch, Blob, Bytes, Error, Kind, ObjectId, ObjectInfo, Removed, Result};
use afresh_remote::packed::{self, Packed};

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

/// The most objects of one list.
const LISTED: usize = 1000;

/// What `form` says of bytes that are a frame of zstd.
const ZIPPED: i64 = 1;

fn column(id: &ObjectId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

fn id(column: Option<Bytes>) -> Result<ObjectId> {
    column
        .and_then(|bytes| ObjectId::from_slice(&bytes))
        .ok_or_else(|| Error::new(Kind::Corrupt, "the name of an object is not one"))
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// How long an object says that it is, where it is compressed.
pub(crate) fn zipped(form: i64, length: i64) -> Option<u64> {
    (form == ZIPPED).then(|| unsigned(length))
}

fn span(number: i64) -> Duration {
    Duration::from_millis(unsigned(number))
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

/// The objects of a batch, as they are kept.
pub(crate) struct Objects(BTreeMap<ObjectId, Packed>);

impl Objects {
    /// # Errors
    /// [`Kind::TooLarge`] where one is.
    pub(crate) async fn new(objects: Vec<(ObjectId, Blob)>) -> Result<Self> {
        let mut kept = BTreeMap::new();
        for (id, blob) in objects {
            if blob.len() as u64 > LARGEST {
                return Err(Error::new(
                    Kind::TooLarge,
                    format!("an object of {} bytes; this store takes {LARGEST}", blob.len()),
                )
                .with_key(format!("{id:?}")));
            }
            kept.insert(id, packed::pack(blob).await);
        }
        Ok(Self(kept))
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
        for (id, Packed { blob, zipped, len }) in &self.0 {
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
            let length = i64::try_from(*len).unwrap_or(i64::MAX);
            let stored = i64::try_from(blob.len()).unwrap_or(i64::MAX);
            let form = if *zipped { ZIPPED } else { 0 };
            let whole = (blob.len() <= PART).then(|| blob.to_bytes());
            let parts = if whole.is_some() { Vec::new() } else { pieces(blob, PART) };
            let values: Vec<Value> = vec![
                id.into(),
                number.into(),
                length.into(),
                stored.into(),
                form.into(),
                whole.into(),
            ];
            statements.push(sql.with(
                "INSERT INTO {p}object (id, number, length, stored, form, written, data)
                 VALUES (?, ?, ?, ?, ?, {now}, ?)",
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
    let batch = Batch { objects: vec![(*id, blob)], ops: Vec::new() };
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
        let text = "SELECT number, length, stored, form, data FROM {p}object WHERE id = ?";
        let rows = database.rows(database.sql.with(text, vec![column(id).into()])).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (number, stored) = (row.number(0)?, row.number(2)?);
        let bytes = match row.bytes(4) {
            Some(bytes) => bytes,
            None => parts(database, number, unsigned(stored)).await?,
        };
        if bytes.len() as u64 == unsigned(stored) {
            let zipped = zipped(row.number(3)?, row.number(1)?);
            return packed::open(*id, bytes, zipped).await.map(Some).ok_or_else(damaged);
        }
    }
    Err(damaged())
}

async fn parts(database: &Database, number: i64, length: u64) -> Result<Bytes> {
    let mut bytes = Vec::new();
    for from in (0i64..).step_by(PARTS as usize) {
        let text =
            "SELECT data FROM {p}part WHERE number = ? AND place >= ? AND place < ? ORDER BY place";
        let values = vec![number.into(), from.into(), (from + PARTS).into()];
        let rows = database.rows(database.sql.with(text, values)).await?;
        if rows.is_empty() || bytes.len() as u64 >= length {
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
        let text = "SELECT id, number, stored, CASE WHEN data IS NULL THEN 1 ELSE 0 END FROM {p}object
                    WHERE id IN ? AND GREATEST({now} - written, 0) >= ? ORDER BY id FOR UPDATE SKIP LOCKED";
        let ids: Vec<Bytes> = ids.iter().map(column).collect();
        let lock = [sql.begin(), sql.with(text, vec![ids.into(), idle.into()])];
        let rows = database.on(&mut held, &lock).await?.pop().unwrap_or_default();
        let mut statements = Vec::new();
        for row in &rows {
            removed.objects += 1;
            removed.bytes += unsigned(row.number(2)?);
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
            "INSERT INTO {p}aside (number, id, moved, length, form, data)
             SELECT number, id, {now}, length, form, data FROM {p}object WHERE id = ?",
        ),
        with("DELETE FROM {p}object WHERE id = ?"),
        sql.commit(),
    ];
    database.run(&statements).await.map(drop)
}

/// Up to `limit` objects by name, and not more than [`LISTED`].
pub(crate) async fn list(
    database: &Database,
    after: Option<&ObjectId>,
    limit: usize,
) -> Result<Vec<ObjectInfo>> {
    let text = "SELECT id, length, stored, {now} - written FROM {p}object
                WHERE id > ? ORDER BY id LIMIT ?";
    let after = after.map_or(Bytes::new(), column);
    let limit = i64::try_from(limit.min(LISTED)).unwrap_or(i64::MAX);
    let rows = database.rows(database.sql.with(text, vec![after.into(), limit.into()])).await?;
    rows.iter()
        .map(|row| {
            let (len, stored) = (unsigned(row.number(1)?), unsigned(row.number(2)?));
            Ok(ObjectInfo { id: id(row.bytes(0))?, len, stored, idle: span(row.number(3)?) })
        })
        .collect()
}
