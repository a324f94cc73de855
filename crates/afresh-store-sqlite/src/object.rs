//! Objects one at a time: reading, keeping, setting aside.
//!
//! Invariant: a file gets its name under the write lock, before its row is committed, so that a row never
//! waits for its file. Bytes are verified against their name before they leave [`read`]. Listing and removing is for
//! `inventory`.

use std::fs;

use afresh_core::{Error, Kind, ObjectId, ObjectRef, Timestamp};
use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};
use zstd::bulk::Decompressor;

use crate::database::{Database, Reader};
use crate::error::{Fault, Outcome};
use crate::file;
use crate::held::{signed, unsigned};
use crate::stage::{Staged, Work};
use crate::write::{End, Write};

/// A row's bytes are at most this long, whatever the row says.
const ROW_MAX: u64 = 1 << 30;

/// How the bytes of an object are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Form {
    Row = 0,
    RowZipped = 1,
    File = 2,
    FileZipped = 3,
}

impl Form {
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        [Self::Row, Self::RowZipped, Self::File, Self::FileZipped]
            .into_iter()
            .find(|form| i64::from(*form as u8) == number)
    }

    pub(crate) fn is_file(self) -> bool {
        matches!(self, Self::File | Self::FileZipped)
    }
}

/// A decompressor, made when it is first wanted: many programs never do.
#[derive(Default)]
pub(crate) struct Unzip(Option<Decompressor<'static>>);

impl Unzip {
    fn decompress(&mut self, data: &[u8], len: usize) -> Option<Vec<u8>> {
        let unzip = match &mut self.0 {
            Some(unzip) => unzip,
            none => none.insert(Decompressor::new().ok()?),
        };
        unzip.decompress(data, len).ok()
    }
}

/// The bytes of a row; `None` where they are not what was written.
pub(crate) fn unpack(unzip: &mut Unzip, form: i64, data: &[u8], len: u64) -> Option<Bytes> {
    let bytes = match Form::from_number(form)? {
        Form::Row => Bytes::copy_from_slice(data),
        Form::RowZipped if len <= ROW_MAX => {
            unzip.decompress(data, usize::try_from(len).ok()?)?.into()
        }
        _ => return None,
    };
    (u64::try_from(bytes.len()) == Ok(len)).then_some(bytes)
}

/// The bytes of an object that is a row, unverified.
pub(crate) fn at_hand(reader: &mut Reader, object: &ObjectRef) -> Outcome<Option<Bytes>> {
    Ok(match look(reader, &object.id)? {
        Found::Bytes(bytes) => bytes.filter(|bytes| u64::try_from(bytes.len()) == Ok(object.len)),
        Found::Absent | Found::File(..) => None,
    })
}

fn corrupt(id: &ObjectId, what: &str) -> Fault {
    Error::new(Kind::Corrupt, format!("the object {what}"))
        .with_key(id.to_string())
        .with_hint("it can be set aside and computed again")
        .into()
}

/// What is under an object's name.
enum Found {
    Absent,
    Bytes(Option<Bytes>),
    File(Form, u64),
}

/// The verified bytes of an object.
pub(crate) fn read(database: &Database, id: &ObjectId) -> Outcome<Option<Bytes>> {
    let mut missing = 0;
    loop {
        let mut state = None;
        let bytes = match database.look_up(database.stamp(), |reader| look(reader, id))? {
            Found::Absent => {
                // What is absent may be so because the store was removed.
                database.check_identity()?;
                return Ok(None);
            }
            Found::Bytes(bytes) => bytes,
            Found::File(form, len) => {
                let path = database.folder.object(id);
                let read = if form == Form::FileZipped {
                    file::unzip(&path, len)
                } else {
                    file::read(&path).map(|found| {
                        found.map(|(bytes, file)| {
                            state = file;
                            Some(bytes)
                        })
                    })
                };
                match read.map_err(Fault::io("read", &path))? {
                    Some(bytes) => bytes,
                    None if missing == 3 => return Err(corrupt(id, "has lost its file")),
                    None => {
                        // Perhaps it was just removed, row and file. Then the row is gone now, or new.
                        missing += 1;
                        continue;
                    }
                }
            }
        };
        return match bytes {
            Some(bytes) if state.is_some_and(|state| database.verified.knows(id, &state)) => {
                Ok(Some(bytes))
            }
            Some(bytes) if ObjectId::of(&bytes) == *id => {
                if let Some(state) = state {
                    database.verified.remember(id, state);
                }
                Ok(Some(bytes))
            }
            Some(_) => Err(corrupt(id, "is not what was written")),
            None => Err(corrupt(id, "cannot be read in full")),
        };
    }
}

fn look(reader: &mut Reader, id: &ObjectId) -> Outcome<Found> {
    let Reader { conn, unzip, .. } = reader;
    let mut statement =
        conn.prepare_cached("SELECT form, length, data FROM object WHERE digest = ?1")?;
    let mut rows = statement.query([id.as_bytes().as_slice()])?;
    let Some(row) = rows.next()? else { return Ok(Found::Absent) };
    let (form, len) = (row.get(0)?, unsigned(row.get(1)?));
    Ok(match (Form::from_number(form), row.get_ref(2)?) {
        (Some(form), _) if form.is_file() => Found::File(form, len),
        (_, ValueRef::Blob(data)) => Found::Bytes(unpack(unzip, form, data, len)),
        _ => Found::Bytes(None),
    })
}

/// What a row says of its object; `form` is `None` where that is not a form.
pub(crate) struct Row {
    id: i64,
    pub(crate) form: Option<Form>,
    pub(crate) stored: u64,
    pub(crate) written: Timestamp,
}

impl Write<'_> {
    /// The row of an object.
    pub(crate) fn object(&self, id: &ObjectId) -> Outcome<Option<Row>> {
        let mut statement = self
            .conn
            .prepare_cached("SELECT id, form, stored, written FROM object WHERE digest = ?1")?;
        let row = statement.query_row([id.as_bytes().as_slice()], |row| {
            Ok(Row {
                id: row.get(0)?,
                form: Form::from_number(row.get(1)?),
                stored: unsigned(row.get(2)?),
                written: Timestamp::from_millis(row.get(3)?),
            })
        });
        Ok(row.optional()?)
    }

    /// Has the object in the store, and young.
    pub(crate) fn keep(&mut self, staged: &mut Staged) -> Outcome<()> {
        let path = self.database.folder.object(&staged.id);
        let row = match self.object(&staged.id)? {
            // Its file is gone or cut: as good as absent.
            Some(row)
                if row.form.is_some_and(Form::is_file)
                    && matches!(staged.work, Work::File(..))
                    && file::len(&path) != Some(row.stored) =>
            {
                self.drop_row(&row)?;
                None
            }
            row => row,
        };
        if let Some(row) = row {
            // Young again, so that a gc which has begun to look does not take what is referred to now.
            if row.written != self.now {
                self.conn
                    .prepare_cached("UPDATE object SET written = ?2 WHERE id = ?1")?
                    .execute([row.id, self.now.as_millis()])?;
            }
            return Ok(());
        }
        let (form, stored, data) = match &mut staged.work {
            Work::Nothing => return Err(Fault::Again),
            Work::Row(form, data) => {
                self.bytes += u64::try_from(data.len()).unwrap_or(0);
                (*form, u64::try_from(data.len()).unwrap_or(0), Some(&**data))
            }
            Work::File(form, file, stored) => {
                file.rename(&path, self.database.options.sync)?;
                self.named.push(path);
                (*form, *stored, None)
            }
        };
        self.conn
            .prepare_cached(
                "INSERT INTO object (digest, length, stored, written, form, data) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                staged.id.as_bytes().as_slice(),
                signed(staged.len),
                signed(stored),
                self.now.as_millis(),
                form as u8,
                data,
            ])?;
        self.meta()?.count_object(form.is_file(), 1, signed(stored));
        Ok(())
    }

    /// Removes a row; its file is for the caller.
    pub(crate) fn drop_row(&mut self, row: &Row) -> Outcome<()> {
        self.conn.prepare_cached("DELETE FROM object WHERE id = ?1")?.execute([row.id])?;
        self.meta()?.count_object(row.form.is_some_and(Form::is_file), -1, signed(row.stored));
        Ok(())
    }
}

/// Sets an object aside.
pub(crate) fn quarantine(database: &Database, id: &ObjectId) -> Outcome<()> {
    database.write(|write| {
        let path = database.folder.object(id);
        let row = write.object(id)?;
        let aside = database.folder.aside(&id.to_string(), "")?;
        if let Some(row) = &row {
            if !row.form.is_some_and(Form::is_file) {
                let data: Option<Vec<u8>> = write.conn.query_row(
                    "SELECT data FROM object WHERE id = ?1",
                    [row.id],
                    |row| row.get(0),
                )?;
                fs::write(&aside, data.unwrap_or_default()).map_err(Fault::io("write", &aside))?;
            }
            write.drop_row(row)?;
        }
        match fs::rename(&path, &aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Fault::Io("set aside", path, error))
            }
            _ => Ok(End::Commit(())),
        }
    })
}
