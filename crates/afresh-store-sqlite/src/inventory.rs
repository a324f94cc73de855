//! Objects as a whole: listing them and removing the idle ones.
//!
//! Invariant: a file loses its name only after the removal of its row has committed, and only if no new row
//! has come since. So a crash leaves at most a file without a row, a stray; strays are listed and
//! removed like objects, by the age of the file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use afresh_core::{ObjectId, ObjectInfo, Removed, Timestamp};
use rusqlite::params;

use crate::database::Database;
use crate::error::Outcome;
use crate::held::unsigned;
use crate::object::Form;
use crate::write::End;

/// Objects removed under one hold of the write lock.
const REMOVED: usize = 200;

/// Removes those objects that are old enough.
pub(crate) fn remove(database: &Database, ids: &[ObjectId], idle: Duration) -> Outcome<Removed> {
    let mut removed = Removed::default();
    for ids in ids.chunks(REMOVED) {
        let mut files = Vec::new();
        let some = database.write(|write| {
            let mut some = Removed::default();
            for id in ids {
                // Named twice: its file is not a stray, it goes when the row's removal has committed.
                if files.contains(id) {
                    continue;
                }
                match write.object(id)? {
                    Some(row) if write.now.since(row.written) >= idle => {
                        write.drop_row(&row)?;
                        some.objects += 1;
                        some.bytes += row.stored;
                        if row.form.is_some_and(Form::is_file) {
                            files.push(*id);
                        }
                    }
                    Some(_) => {}
                    None => {
                        let path = database.folder.object(id);
                        if let Some((len, _)) = stray(&path).filter(|(_, age)| *age >= idle)
                            && fs::remove_file(&path).is_ok()
                        {
                            some.objects += 1;
                            some.bytes += len;
                        }
                    }
                }
            }
            Ok(End::Commit(some))
        })?;
        removed.objects += some.objects;
        removed.bytes += some.bytes;
        if !files.is_empty() {
            unlink(database, &files)?;
        }
    }
    Ok(removed)
}

/// Removes the files of objects whose rows are gone, unless somebody has written them anew since.
fn unlink(database: &Database, ids: &[ObjectId]) -> Outcome<()> {
    database.write(|write| {
        for id in ids {
            if write.object(id)?.is_none() {
                // If it fails the file is listed as a stray and removed another time.
                let _ = fs::remove_file(database.folder.object(id));
            }
        }
        Ok(End::Commit(()))
    })
}

/// The length and age of a file that has no row.
fn stray(path: &Path) -> Option<(u64, Duration)> {
    let about = fs::metadata(path).ok()?;
    let age = SystemTime::now().duration_since(about.modified().ok()?).unwrap_or_default();
    Some((about.len(), age))
}

/// Some objects, by id, and files that look like objects but have no row: what a crash left behind.
pub(crate) fn list(
    database: &Database,
    after: Option<&ObjectId>,
    limit: usize,
) -> Outcome<Vec<ObjectInfo>> {
    let now = database.now();
    let limit = limit.max(1);
    let rows: Vec<ObjectInfo> = database.read(|reader| {
        let mut statement = reader.conn.prepare_cached(
            "SELECT digest, length, stored, written FROM object WHERE digest > ?1 \
             ORDER BY digest LIMIT ?2",
        )?;
        // Every digest is greater than no bytes.
        let after = after.map_or(&[][..], |id| id.as_bytes());
        let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut infos = Vec::new();
        while let Some(row) = rows.next()? {
            let Some(id) = ObjectId::from_slice(row.get_ref(0)?.as_blob().unwrap_or_default())
            else {
                continue;
            };
            infos.push(ObjectInfo {
                id,
                len: unsigned(row.get(1)?),
                stored: unsigned(row.get(2)?),
                idle: now.since(Timestamp::from_millis(row.get(3)?)),
            });
        }
        Ok(infos)
    })?;
    // Strays beyond a full page belong to a later one.
    let until = (rows.len() == limit).then(|| rows.last().map(|info| info.id)).flatten();
    let known: BTreeSet<ObjectId> = rows.iter().map(|info| info.id).collect();
    let mut infos = rows;
    for (id, path) in files(database, after, until.as_ref(), limit) {
        if !known.contains(&id)
            && let Some((len, idle)) = stray(&path)
        {
            infos.push(ObjectInfo { id, len, stored: len, idle });
        }
    }
    infos.sort_by_key(|info| info.id);
    infos.truncate(limit);
    Ok(infos)
}

/// The files between two names, at least `limit` of them or all.
fn files(
    database: &Database,
    after: Option<&ObjectId>,
    until: Option<&ObjectId>,
    limit: usize,
) -> Vec<(ObjectId, PathBuf)> {
    let first = |id: &ObjectId| id.as_bytes().first().copied().unwrap_or(0);
    let shards = after.map_or(0, first)..=until.map_or(u8::MAX, first);
    let mut found = Vec::new();
    for shard in shards {
        for file in fs::read_dir(database.folder.shard(shard)).into_iter().flatten().flatten() {
            let id = file.file_name().to_str().and_then(|name| name.parse::<ObjectId>().ok());
            if let Some(id) = id
                && after.is_none_or(|after| id > *after)
                && until.is_none_or(|until| id < *until)
            {
                found.push((id, file.path()));
            }
        }
        if until.is_none() && found.len() > limit {
            break;
        }
    }
    found
}
