//! Where the effects of a batch go: appended to `recent` as one row, or into the tables; and from the one into the
//! other.
//!
//! To append dirties one page, the one that was written last, where the tables cost seven. So what records an execution
//! is appended, and folded into the tables later, many at a time, by the thread of `keeper`; and so is what only counts and
//! notes uses, as every process does that ends. Everything else is rare and goes into the tables at once, after what waits.
//!
//! Invariant: `meta.sequence` is the last version that the tables know, and every row of `recent` has a greater number:
//! the last version that its batch was given. Rows are folded in order, each as of the moment when it was made, in the
//! transaction that removes it. So at every moment tables and rows together are what was applied.

use afresh_core::{Applied, Batch, Op, Space};
use rusqlite::params;

use crate::change::Resolved;
use crate::config::{FOLD, FOLD_LAST, RECENT_HARD, RECENT_MAX, REMOVED_AT_ONCE};
use crate::database::Database;
use crate::error::Outcome;
use crate::held::{Effect, decode, encode};
use crate::stage::{Staged, stage};
use crate::write::{End, Write};

/// Makes the changes of a batch.
pub(crate) fn apply(database: &Database, batch: &Batch) -> Outcome<Applied> {
    let mut staged: Vec<Staged> =
        batch.objects.iter().map(|(id, blob)| stage(database, id, blob)).collect::<Outcome<_>>()?;
    database.write(|write| {
        write.look()?;
        for object in &mut staged {
            write.keep(object)?;
        }
        let (effects, done) = match write.resolve(&batch.ops)? {
            Resolved::Refused(refused) => return Ok(End::Rollback(refused)),
            Resolved::Effects(effects, done) => (effects, done),
        };
        if !effects.is_empty() {
            match if is_appended(batch) { write.append(effects)? } else { Some(effects) } {
                None => {}
                Some(effects) => write.enter(&effects)?,
            }
        }
        Ok(End::Commit(Applied::All(done)))
    })
}

/// Brings everything into the tables, in steps that leave other writers their turn.
pub(crate) fn all(database: &Database) -> Outcome<()> {
    while some(database, FOLD)? == FOLD {}
    Ok(())
}

/// Brings everything into the tables at once where it is little, for who ends: fewer pages of the log for the next one to
/// read than in small steps.
pub(crate) fn rest(database: &Database) -> Outcome<()> {
    while some(database, FOLD_LAST)? == FOLD_LAST {}
    Ok(())
}

/// Brings the `limit` oldest rows into the tables; says how many there were.
pub(crate) fn some(database: &Database, limit: usize) -> Outcome<usize> {
    database.write_soon(|write| {
        write.look()?;
        let folded = write.fold(limit)?;
        if folded < limit {
            write.sweep()?;
        }
        Ok(End::Commit(folded))
    })
}

/// Deletes some rows of what was removed; whether there are more. What waits need not be folded before: to it, as to
/// everybody, they are absent.
pub(crate) fn clean(database: &Database) -> Outcome<bool> {
    database.write_soon(|write| Ok(End::Commit(write.clean()?)))
}

/// Whether a batch is appended: it records executions, or only counts and notes uses, as who ends does.
fn is_appended(batch: &Batch) -> bool {
    let records = |op: &Op| matches!(op, Op::Put { key, .. } if key.space() == Space::Commit);
    let counts = |op: &Op| matches!(op, Op::Add { .. } | Op::Touch { .. });
    batch.ops.iter().any(records) || batch.ops.iter().all(counts)
}

impl Write<'_> {
    /// Appends effects to `recent`; gives them back if they are too many for it.
    fn append(&mut self, effects: Vec<Effect>) -> Outcome<Option<Vec<Effect>>> {
        let id = self.number();
        let data = encode(id, self.now, &effects)?;
        if data.len() > RECENT_MAX {
            return Ok(Some(effects));
        }
        // Whoever writes faster than the thread folds has to help.
        if self.database.overlay().backlog() >= RECENT_HARD {
            self.fold(FOLD)?;
        }
        self.conn
            .prepare_cached("INSERT INTO recent (id, data) VALUES (?1, ?2)")?
            .execute(params![id, data])?;
        self.bytes += u64::try_from(data.len()).unwrap_or(0);
        self.laid = Some((id, effects));
        Ok(None)
    }

    /// Brings effects into the tables, after everything that waits.
    fn enter(&mut self, effects: &[Effect]) -> Outcome<()> {
        while self.fold(FOLD)? == FOLD {}
        self.sweep()?;
        let many = effects.len() > REMOVED_AT_ONCE;
        for effect in effects {
            match effect {
                Effect::Gone(key) if many => self.mark(key)?,
                _ => self.store(effect, self.now)?,
            }
        }
        if many {
            self.database.bell.clean();
        }
        let number = self.number();
        self.meta()?.sequence = number;
        self.entered = Some((number, false));
        Ok(())
    }

    /// A number that is greater than all before: the batch's last version, or one of its own where it has none.
    fn number(&mut self) -> i64 {
        if self.sequence == self.began { self.next() } else { self.sequence }
    }

    /// Brings up to `limit` rows into the tables; says how many there were.
    pub(crate) fn fold(&mut self, limit: usize) -> Outcome<usize> {
        let mut rows: Vec<(i64, Vec<u8>)> = Vec::new();
        {
            let mut statement =
                self.conn.prepare_cached("SELECT id, data FROM recent ORDER BY id LIMIT ?1")?;
            let found = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                Ok((row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default().to_vec()))
            })?;
            for row in found {
                rows.push(row?);
            }
        }
        let Some((last, _)) = rows.last() else { return Ok(0) };
        let last = *last;
        for (id, data) in &rows {
            let Some((at, effects)) = decode(*id, data) else {
                tracing::warn!(id, "damaged changes are left out");
                continue;
            };
            for effect in &effects {
                self.store(effect, at)?;
            }
        }
        self.conn.prepare_cached("DELETE FROM recent WHERE id <= ?1")?.execute([last])?;
        let meta = self.meta()?;
        meta.sequence = meta.sequence.max(last);
        self.entered = Some((last, true));
        Ok(rows.len())
    }
}
