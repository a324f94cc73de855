//! Making an object ready to be written, before the write lock is taken: looking whether it is there,
//! compressing it, putting a large one into a temporary file.
//!
//! Invariant: the write transaction that follows only inserts rows and renames files. What is staged and then
//! not used disappears when it is dropped.

use afresh_core::zip::{LEAST, sample, worth};
use afresh_core::{Blob, ObjectId};
use bytes::Bytes;
use rusqlite::OptionalExtension;

use crate::database::Database;
use crate::error::Outcome;
use crate::file::{self, Temporary};
use crate::object::Form;

/// What is to be done to have the object.
#[derive(Debug)]
pub(crate) enum Work {
    /// It was there a moment ago.
    Nothing,
    /// A row with these bytes.
    Row(Form, Bytes),
    /// This file, of this length.
    File(Form, Temporary, u64),
}

/// An object ready to be written.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) id: ObjectId,
    pub(crate) len: u64,
    pub(crate) work: Work,
}

/// Makes `blob` ready.
pub(crate) fn stage(database: &Database, id: &ObjectId, blob: &Blob) -> Outcome<Staged> {
    let len = blob.len();
    let work = if len >= LEAST && there(database, id)? {
        Work::Nothing
    } else if len <= database.options.inline_max {
        row(database, blob)?
    } else {
        let compress = !blob.is_raw() && pays(database, blob)?;
        let (file, stored) =
            Temporary::write(&database.folder, id, blob, compress, database.options.sync)?;
        Work::File(if compress { Form::FileZipped } else { Form::File }, file, stored)
    };
    Ok(Staged { id: *id, len: u64::try_from(len).unwrap_or(u64::MAX), work })
}

/// Whether the object is there, with its file where it has one.
fn there(database: &Database, id: &ObjectId) -> Outcome<bool> {
    let found: Option<(i64, u64)> = database.read(|reader| {
        let mut statement =
            reader.conn.prepare_cached("SELECT form, stored FROM object WHERE digest = ?1")?;
        let row = statement.query_row([id.as_bytes().as_slice()], |row| {
            Ok((row.get(0)?, crate::held::unsigned(row.get(1)?)))
        });
        Ok(row.optional()?)
    })?;
    Ok(found.is_some_and(|(form, stored)| match Form::from_number(form) {
        Some(Form::File | Form::FileZipped) => {
            file::len(&database.folder.object(id)) == Some(stored)
        }
        Some(Form::Row | Form::RowZipped) => true,
        None => false,
    }))
}

fn row(database: &Database, blob: &Blob) -> Outcome<Work> {
    let data = blob.to_bytes();
    if data.len() >= LEAST && !blob.is_raw() {
        let zipped = database.zip(|zip| zip.compress(&data))?;
        if let Ok(zipped) = zipped
            && worth(zipped.len(), data.len())
        {
            return Ok(Work::Row(Form::RowZipped, zipped.into()));
        }
    }
    Ok(Work::Row(Form::Row, data))
}

/// Tries a sample.
fn pays(database: &Database, blob: &Blob) -> Outcome<bool> {
    let sample = sample(blob);
    let zipped = database.zip(|zip| zip.compress(sample))?;
    Ok(zipped.is_ok_and(|zipped| worth(zipped.len(), sample.len())))
}
