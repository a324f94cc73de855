//! What is in `recent` and not yet in the tables, in memory; and a little of what the tables were seen to hold.
//!
//! Every open store has one. It follows the database: what this process commits is put in at once, what others
//! committed is read when the log's [`Stamp`] has changed. An answer under an unchanged stamp needs no statement.
//!
//! Invariant: it is never ahead of the database, and it is right for the transaction that `stamp` stands for: the
//! entries in the tables as of `sequence`, with `states` laid over them. `known` holds only what the tables say at
//! `sequence`. All of it can be forgotten at any time.

use std::collections::{HashMap, VecDeque};

use afresh_core::{Entry, Key, Space, Timestamp};
use foldhash::fast::RandomState;
use rusqlite::Connection;

use crate::error::Outcome;
use crate::held::{Effect, Held, decode};
use crate::watch::Stamp;

/// Looks into the tables that are remembered.
const KNOWN: usize = 8192;

/// What is known of a key without asking the tables.
pub(crate) enum Known<'a> {
    Entry(&'a Held),
    Nothing,
    Unknown,
}

struct State {
    /// The row of `recent` that it comes from.
    id: i64,
    /// The entry; `None` where it was removed.
    held: Option<Held>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Overlay {
    stamp: Option<Stamp>,
    /// The row of `recent` up to which the tables have everything.
    sequence: i64,
    /// The rows after that.
    rows: VecDeque<i64>,
    states: HashMap<Key, State, RandomState>,
    known: HashMap<Key, Option<Held>, RandomState>,
}

impl Overlay {
    /// Whether nobody has committed anything since this was right.
    pub(crate) fn is_current(&self, stamp: Option<Stamp>) -> bool {
        stamp.is_some() && self.stamp == stamp
    }

    /// To be told the log's stamp for what this holds.
    pub(crate) fn stamped(&mut self, stamp: Option<Stamp>) {
        self.stamp = stamp;
    }

    /// Rows that wait to be folded.
    pub(crate) fn backlog(&self) -> usize {
        self.rows.len()
    }

    /// The last version given out.
    pub(crate) fn last(&self) -> i64 {
        self.rows.back().copied().unwrap_or(self.sequence)
    }

    /// What there is under `key`, ended or not, as far as that is known.
    pub(crate) fn find(&self, key: &Key) -> Known<'_> {
        let found = match self.states.get(key) {
            Some(state) => Some(&state.held),
            None => self.known.get(key),
        };
        match found {
            Some(Some(held)) => Known::Entry(held),
            Some(None) => Known::Nothing,
            None => Known::Unknown,
        }
    }

    /// The entry under `key`, ended or not, where it is known.
    pub(crate) fn entry(&self, key: &Key) -> Option<Held> {
        match self.find(key) {
            Known::Entry(held) => Some(held.clone()),
            Known::Nothing | Known::Unknown => None,
        }
    }

    /// Whether `recent` says something about this key.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        self.states.contains_key(key)
    }

    /// Whether `recent` says something about some key of this space.
    pub(crate) fn covers_space(&self, space: Space) -> bool {
        self.states.keys().any(|key| key.space() == space)
    }

    /// The entries that `recent` has.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Key, Option<&Held>)> {
        self.states.iter().map(|(key, state)| (key, state.held.as_ref()))
    }

    /// Answers all of `keys`, if that can be done without the database.
    pub(crate) fn answers(&self, keys: &[Key], now: Timestamp) -> Option<Vec<Option<Entry>>> {
        keys.iter()
            .map(|key| match self.find(key) {
                Known::Nothing => Some(None),
                // Its bytes may be at hand in the database.
                Known::Entry(held) if held.object.is_some() => None,
                Known::Entry(held) if !held.lives(now) => Some(None),
                Known::Entry(held) => Some(Some(held.clone().entry(None, now))),
                Known::Unknown => None,
            })
            .collect()
    }

    /// Remembers what the tables say. To be called only while this is what it was when they were asked.
    pub(crate) fn learn(&mut self, key: &Key, held: Option<Held>) {
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(key.clone(), held);
    }

    /// Remembers that the tables say nothing, if nothing has been committed here since `stamp`.
    pub(crate) fn learn_if(&mut self, stamp: Option<Stamp>, key: &Key) {
        if self.is_current(stamp) && !self.covers(key) {
            self.learn(key, None);
        }
    }

    /// Forgets what the tables say.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.known.remove(key);
    }

    /// Lays the effects of the row `id` over what there is, unless they are there.
    pub(crate) fn lay(&mut self, id: i64, effects: Vec<Effect>) {
        if id <= self.last() {
            return;
        }
        self.rows.push_back(id);
        for effect in effects {
            match effect {
                Effect::Set(key, held) => {
                    self.known.remove(&key);
                    self.states.insert(key, State { id, held: Some(held) });
                }
                Effect::Gone(key) => {
                    self.known.remove(&key);
                    self.states.insert(key, State { id, held: None });
                }
                Effect::Used(key, used) => {
                    if let Some(State { id: by, held: Some(held) }) = self.states.get_mut(&key) {
                        *by = id;
                        held.used = held.used.max(used);
                    }
                }
            }
        }
    }

    /// The tables have everything up to `sequence`. What they were seen to hold may have changed, unless that was only
    /// `folded`.
    pub(crate) fn advance(&mut self, sequence: i64, folded: bool) {
        if sequence <= self.sequence {
            return;
        }
        self.sequence = sequence;
        while self.rows.pop_front_if(|id| *id <= sequence).is_some() {}
        self.states.retain(|_, state| state.id > sequence);
        if !folded {
            self.known.clear();
        }
    }

    /// Catches up with the database, as the transaction sees it that `conn` is in.
    pub(crate) fn refresh(&mut self, conn: &Connection) -> Outcome<()> {
        let sequence = conn
            .prepare_cached("SELECT sequence FROM meta WHERE id = 1")?
            .query_row([], |row| row.get(0))?;
        self.advance(sequence, false);
        let mut statement =
            conn.prepare_cached("SELECT id, data FROM recent WHERE id > ?1 ORDER BY id")?;
        let mut rows = statement.query([self.last()])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            let data = row.get_ref(1)?.as_blob().unwrap_or_default();
            match decode(id, data) {
                Some((_, effects)) => self.lay(id, effects),
                None => {
                    tracing::warn!(id, "damaged changes count as not made");
                    self.lay(id, Vec::new());
                }
            }
        }
        Ok(())
    }
}
