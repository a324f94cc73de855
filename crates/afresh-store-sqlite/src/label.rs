//! Function names and tag keys, each kept once and referred to by a number.
//!
//! Invariant: a number means the same text for the life of a database, so both directions are cached for
//! good; what a rolled back transaction numbered never enters the cache. Tag values are not interned:
//! there may be as many of them as entries.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension};

use crate::error::Outcome;

#[derive(Default)]
struct Maps {
    numbers: HashMap<Arc<str>, i64>,
    texts: HashMap<i64, Arc<str>>,
}

/// The cache of one open database.
#[derive(Default)]
pub(crate) struct Labels(RwLock<Maps>);

impl Labels {
    /// The text with this number; `None` where a damaged row refers to nothing.
    pub(crate) fn text(&self, conn: &Connection, number: i64) -> Outcome<Option<Arc<str>>> {
        if let Some(text) = self.0.read().unwrap_or_else(PoisonError::into_inner).texts.get(&number)
        {
            return Ok(Some(text.clone()));
        }
        let mut statement = conn.prepare_cached("SELECT text FROM label WHERE id = ?1")?;
        let text: Option<String> = statement.query_row([number], |row| row.get(0)).optional()?;
        let text: Option<Arc<str>> = text.map(Arc::from);
        if let Some(text) = &text {
            self.learn(number, text.clone());
        }
        Ok(text)
    }

    /// The number of this text, where it has one. The caller has looked among those that its own
    /// transaction made, so whatever is found is committed.
    pub(crate) fn number(&self, conn: &Connection, text: &str) -> Outcome<Option<i64>> {
        if let Some(number) =
            self.0.read().unwrap_or_else(PoisonError::into_inner).numbers.get(text)
        {
            return Ok(Some(*number));
        }
        let mut statement = conn.prepare_cached("SELECT id FROM label WHERE text = ?1")?;
        let number: Option<i64> = statement.query_row([text], |row| row.get(0)).optional()?;
        if let Some(number) = number {
            self.learn(number, Arc::from(text));
        }
        Ok(number)
    }

    /// To be called when the transaction that read or wrote the label has committed.
    pub(crate) fn learn(&self, number: i64, text: Arc<str>) {
        let mut maps = self.0.write().unwrap_or_else(PoisonError::into_inner);
        maps.numbers.insert(text.clone(), number);
        maps.texts.insert(number, text);
    }
}

/// Numbers a text within a write transaction.
pub(crate) fn assign(conn: &Connection, text: &str) -> Outcome<i64> {
    conn.prepare_cached("INSERT INTO label (text) VALUES (?1)")?.execute([text])?;
    Ok(conn.last_insert_rowid())
}
