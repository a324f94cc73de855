//! Entries: read by key in one statement, changed by batches in one transaction of two round trips.
//!
//! The first round trip locks what the batch is about, in the order of the keys, so that two batches cannot wait for
//! each other in a circle; what is only looked at is locked with others. The plan is then made here, and the second
//! round trip carries it out. What comes to nothing because another was quicker is tried again. What is only looked at
//! and is not there cannot be locked; it is looked at again when everything is written, after whoever wrote before.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use afresh_core::{Applied, Batch, Bytes, Entry, Key, Kind, Op, Result, Timestamp};
use afresh_remote::packed;
use tokio::time::sleep;

use crate::config::Server;
use crate::database::Database;
use crate::listen;
use crate::object::{Objects, zipped};
use crate::plan::{self, Change, Plan, To};
use crate::pool::Held;
use crate::row::{self, COLUMNS, Slot, WIDTH};
use crate::session::{Cells, Rows};
use crate::sql::{Sql, Statement};

/// The most keys of one statement.
const KEYS: usize = 500;

/// How often a transaction is tried that others come in the way of.
const TRIES: u32 = 40;

/// The largest object that comes along with an entry.
const ATTACHED: i64 = 64 << 10;

/// The entries under `keys`, in that order.
pub(crate) async fn get(database: &Database, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
    let ids: Vec<Bytes> = keys.iter().map(row::id).collect();
    let text = format!(
        "SELECT {COLUMNS}, o.data, {{now}}, o.form, o.length FROM {{p}}entry e
         LEFT JOIN {{p}}object o ON o.id = e.object AND o.length <= {ATTACHED} WHERE e.id IN ?"
    );
    let statements: Vec<Statement> =
        ids.chunks(KEYS).map(|ids| database.sql.with(&text, vec![ids.to_vec().into()])).collect();
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    let mut found: HashMap<Bytes, Entry> = HashMap::new();
    for cells in database.run(&statements).await?.iter().flatten() {
        let now = Timestamp::from_millis(cells.number(WIDTH + 1)?);
        if let (Some(id), Slot::Live(row)) = (cells.bytes(0), row::slot(cells, now)?) {
            found.insert(id, Entry { attached: attached(cells), ..row.entry });
        }
    }
    Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
}

/// The bytes of the object that came along; `None` also where they are not to be had.
fn attached(cells: &Cells) -> Option<Bytes> {
    let bytes = cells.bytes(WIDTH)?;
    match zipped(cells.int(WIDTH + 2)?, cells.int(WIDTH + 3)?) {
        Some(len) => packed::unzip(&bytes, len),
        None => Some(bytes),
    }
}

/// Makes the changes of a batch.
pub(crate) async fn apply(database: &Database, batch: Batch) -> Result<Applied> {
    let Batch { objects, ops } = batch;
    let objects = Objects::new(objects).await?;
    let mut tried = 0;
    loop {
        let outcome = once(database, &ops, &objects).await;
        tried += 1;
        match outcome {
            Ok(Some(applied)) => return Ok(applied),
            Ok(None) => {}
            Err(error) if error.kind() == Kind::Conflict && tried < TRIES => {}
            Err(error) => return Err(error),
        }
        if tried > 2 {
            // Not in step with the others: the low digits of the clock are as good as dice.
            let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            sleep(Duration::from_micros(u64::from(clock.subsec_nanos() % 8000))).await;
        }
    }
}

/// Tries once; `None` where another try will do better.
async fn once(database: &Database, ops: &[Op], objects: &Objects) -> Result<Option<Applied>> {
    let mut held = database.session().await?;
    let done = attempt(database, &mut held, ops, objects).await;
    match done {
        Ok(Attempt::Done(applied)) => {
            held.keep();
            Ok(Some(applied))
        }
        Ok(Attempt::Refused(applied)) => {
            database.undo(held).await;
            Ok(Some(applied))
        }
        Ok(Attempt::Protect(keys)) => {
            database.undo(held).await;
            protect(database, &keys).await?;
            Ok(None)
        }
        Err(error) => {
            // A connection that fails may be in any state; one on which others were quicker is sound.
            if matches!(error.kind(), Kind::Conflict | Kind::Config) {
                database.undo(held).await;
            }
            Err(error)
        }
    }
}

enum Attempt {
    Done(Applied),
    Refused(Applied),
    Protect(Vec<Key>),
}

async fn attempt(
    database: &Database,
    held: &mut Held,
    ops: &[Op],
    objects: &Objects,
) -> Result<Attempt> {
    let sql = &database.sql;
    let wanted = plan::versions(ops) + objects.len();
    let mut statements = vec![sql.begin()];
    statements.extend(objects.lock(sql));
    let locks = locks(sql, ops);
    let first = statements.len();
    statements.extend(locks);
    let last = statements.len();
    statements.extend(facts(sql, wanted));
    let answers = database.on(held, &statements).await?;
    let (now, mut versions) = told(sql, answers.get(last..).unwrap_or_default(), wanted)?;
    let mut slots: HashMap<Key, Slot> = HashMap::new();
    for cells in answers.get(first..last).unwrap_or_default().iter().flatten() {
        slots.extend(row::found(cells, now)?);
    }
    let there = answers.get(1).filter(|_| objects.len() > 0);
    let found = |key: &Key| slots.get(key).cloned().unwrap_or(Slot::Vacant);
    let (changes, mut done) = match plan::plan(ops, found, &mut versions, now)? {
        Plan::Do(changes, done) => (changes, done),
        Plan::Protect(keys) => return Ok(Attempt::Protect(keys)),
        Plan::Refused { index, found } => {
            return Ok(Attempt::Refused(Applied::Refused { index, found }));
        }
    };
    let mut statements = objects.write(sql, there, &mut versions)?;
    for change in &changes {
        statements.extend(write(sql, change)?);
    }
    statements.extend(listen::tell(sql, &changes));
    let unlocked = |op: &&Op| {
        let ours = || changes.iter().any(|change| change.key == *op.key());
        plan::only_looks(op) && !slots.contains_key(op.key()) && !ours()
    };
    let again: Vec<Bytes> = ops.iter().filter(unlocked).map(|op| row::id(op.key())).collect();
    let place = statements.len();
    if !again.is_empty() {
        let text = format!("SELECT {COLUMNS} FROM {{p}}entry e WHERE e.id IN ?");
        statements.push(sql.with(&text, vec![again.into()]));
    }
    statements.push(sql.commit());
    let answers = database.on(held, &statements).await?;
    let seen = answers.get(place..answers.len().saturating_sub(1)).unwrap_or_default();
    for cells in seen.iter().flatten() {
        let Some((key, Slot::Live(row))) = row::found(cells, now)? else { continue };
        for (op, done) in ops.iter().zip(&mut done) {
            if plan::only_looks(op) && *op.key() == key {
                done.version = Some(row.entry.version);
            }
        }
    }
    Ok(Attempt::Done(Applied::All(done)))
}

/// The statements that lock what `ops` are about: each run of keys with the same kind of lock is one.
fn locks(sql: &Sql, ops: &[Op]) -> Vec<Statement> {
    let mut keys: BTreeMap<Bytes, bool> = BTreeMap::new();
    for op in ops {
        let looks = matches!(op, Op::Check { .. });
        *keys.entry(row::id(op.key())).or_insert(true) &= looks;
    }
    let keys: Vec<(Bytes, bool)> = keys.into_iter().collect();
    let (alone, shared) = (
        "FOR UPDATE",
        // Both MySQL and MariaDB understand the old way.
        sql.pick("FOR SHARE", "LOCK IN SHARE MODE"),
    );
    // Two locks on the same rows go by the same order, which is that of the only index that is allowed.
    let index = sql.pick("", "FORCE INDEX (PRIMARY)");
    keys.chunk_by(|(_, one), (_, other)| one == other)
        .flat_map(|run| run.chunks(KEYS))
        .map(|run| {
            let lock = if run.iter().all(|(_, looks)| *looks) { shared } else { alone };
            let ids: Vec<Bytes> = run.iter().map(|(id, _)| id.clone()).collect();
            let text = format!(
                "SELECT {COLUMNS} FROM {{p}}entry e {index} WHERE e.id IN ? ORDER BY e.id {lock}"
            );
            sql.with(&text, vec![ids.into()])
        })
        .collect()
}

/// The statements that ask, once everything is locked, for the time and for versions.
fn facts(sql: &Sql, versions: usize) -> Vec<Statement> {
    let mut facts = vec![sql.plain("SELECT {now}")];
    if versions == 0 {
        return facts;
    }
    match sql.server {
        Server::Postgres => {
            let count = i64::try_from(versions).unwrap_or(i64::MAX);
            let text = "SELECT nextval('{p}version') FROM generate_series(1::bigint, ?)";
            facts.push(sql.with(text, vec![count.into()]));
        }
        Server::Mysql => {
            let rows = vec!["(NULL)"; versions].join(",");
            // Only the counter is wanted, which is never set back; the rows are.
            facts.push(sql.plain("SAVEPOINT counted"));
            facts.push(sql.plain(&format!("INSERT INTO {{p}}version VALUES {rows}")));
            facts.push(sql.plain("SELECT LAST_INSERT_ID(), @@auto_increment_increment"));
            facts.push(sql.plain("ROLLBACK TO SAVEPOINT counted"));
        }
    }
    facts
}

/// What the answers to those say.
fn told(
    sql: &Sql,
    answers: &[Rows],
    versions: usize,
) -> Result<(Timestamp, std::vec::IntoIter<i64>)> {
    let row = |index: usize| {
        answers.get(index).and_then(|rows| rows.first()).cloned().unwrap_or_default()
    };
    let now = Timestamp::from_millis(row(0).number(0)?);
    let numbers = match sql.server {
        _ if versions == 0 => Vec::new(),
        Server::Postgres => {
            let rows = answers.get(1).map(Vec::as_slice).unwrap_or_default();
            rows.iter().map(|row| row.number(0)).collect::<Result<_>>()?
        }
        Server::Mysql => {
            let (first, step) = (row(3).number(0)?, row(3).number(1)?);
            (0..versions).filter_map(|n| i64::try_from(n).ok()).map(|n| first + n * step).collect()
        }
    };
    Ok((now, numbers.into_iter()))
}

/// The statements that carry out a change.
fn write(sql: &Sql, change: &Change) -> Result<Vec<Statement>> {
    let id = row::id(&change.key);
    let mut statements = Vec::new();
    if change.tagged && !matches!(change.to, To::Used(_)) {
        statements.push(sql.with("DELETE FROM {p}tag WHERE id = ?", vec![id.clone().into()]));
    }
    match &change.to {
        To::Row(row) => statements.extend(row.write(sql, &change.key, change.over)?),
        To::Gone => {
            statements.push(sql.with("DELETE FROM {p}entry WHERE id = ?", vec![id.into()]));
        }
        To::Used(used) => statements.push(sql.with(
            "UPDATE {p}entry SET used = ? WHERE id = ?",
            vec![used.as_millis().into(), id.into()],
        )),
    }
    Ok(statements)
}

/// Writes rows that stand for the absence of entries, so that it can be locked. They count as expired since ever.
async fn protect(database: &Database, keys: &[Key]) -> Result<()> {
    let (ignore, conflict) =
        (database.sql.pick("", "IGNORE"), database.sql.pick("ON CONFLICT DO NOTHING", ""));
    let text = format!(
        "INSERT {ignore} INTO {{p}}entry (id, space, version, made, moment, used, expires, tagged, data)
         VALUES (?, ?, 0, 0, 0, 0, 0, 0, ?) {conflict}"
    );
    let rows = keys.iter().map(|key| {
        let space = i64::from(key.space().number());
        database.sql.with(&text, vec![row::id(key).into(), space.into(), Bytes::new().into()])
    });
    database.run(&rows.collect::<Vec<_>>()).await.map(drop)
}
