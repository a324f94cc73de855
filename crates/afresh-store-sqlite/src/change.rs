//! What the operations of a batch come to: each judged against what is there, under the write lock.
//!
//! Invariant: an expired or damaged entry is absent to every condition. Every write takes the next version of the
//! store. Nothing is written here but times of use: where effects go, to `recent` or to the tables, is `fold`'s affair.

use std::collections::HashMap;
use std::time::Duration;

use afresh_core::{Applied, Done, Error, Key, Kind, NewEntry, Op, Space, Value, Version};
use foldhash::fast::RandomState;
use rusqlite::{OptionalExtension, params};

use crate::config::PAGE;
use crate::entry::{find, found_by};
use crate::error::Outcome;
use crate::held::{Effect, Held, unsigned};
use crate::overlay::Known;
use crate::schema::{Statement, either, of};
use crate::write::Write;

/// So many of what is used together are on one page, roughly.
const NEIGHBOURS: u64 = 16;

/// What a batch comes to.
pub(crate) enum Resolved {
    Effects(Vec<Effect>, Vec<Done>),
    Refused(Applied),
}

/// What is under a key at some point of a batch, ended ones aside.
type There = Option<Held>;

impl Write<'_> {
    /// Judges the operations, in order; a later one sees what an earlier one did.
    pub(crate) fn resolve(&mut self, ops: &[Op]) -> Outcome<Resolved> {
        let mut changed: HashMap<&Key, There, RandomState> = HashMap::default();
        let mut effects = Vec::with_capacity(ops.len());
        let mut done = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            let key = op.key();
            if let Op::Touch { ago, .. } = op
                && !changed.contains_key(key)
                && !self.database.overlay().covers(key)
            {
                done.push(Done { version: self.touch(key, *ago)?, count: None });
                continue;
            }
            let blind = matches!(op, Op::Put { .. } | Op::Delete { .. })
                && op.when() == afresh_core::When::Always;
            let there = match changed.get(key) {
                _ if blind => None,
                Some(there) => there.clone(),
                None => self.there(key)?,
            };
            let found = there.as_ref().map(|held| Version(unsigned(held.version)));
            if !op.when().holds(found) {
                return Ok(Resolved::Refused(Applied::Refused { index, found }));
            }
            let mut version = found;
            let mut count = None;
            let now = match op {
                Op::Put { entry, .. } => Some(Held::new(entry, self.next(), self.now)),
                Op::Add { key, by, ttl } => {
                    let held = self.add(key, *by, *ttl, there)?;
                    count = match held.value {
                        Value::Count(count) => Some(count),
                        Value::Record(_) => None,
                    };
                    Some(held)
                }
                Op::Check { .. } => None,
                Op::Delete { .. } => {
                    version = None;
                    effects.push(Effect::Gone(key.clone()));
                    changed.insert(key, None);
                    None
                }
                Op::Touch { ago, .. } => {
                    if let Some(held) = there {
                        let used = held.used.max(self.now.before(*ago));
                        effects.push(Effect::Used(key.clone(), used));
                        changed.insert(key, Some(Held { used, ..held }));
                    }
                    None
                }
            };
            if let Some(held) = now {
                version = Some(Version(unsigned(held.version)));
                effects.push(Effect::Set(key.clone(), held.clone()));
                changed.insert(key, Some(held));
            }
            done.push(Done { version, count });
        }
        Ok(Resolved::Effects(effects, done))
    }

    /// What is under a key as the batch begins.
    fn there(&self, key: &Key) -> Outcome<There> {
        let overlay = self.database.overlay();
        let lives = |held: &Held| held.lives(self.now);
        match overlay.find(key) {
            Known::Entry(held) if lives(held) => return Ok(Some(held.clone())),
            Known::Entry(_) | Known::Nothing => return Ok(None),
            Known::Unknown => {}
        }
        drop(overlay);
        let Some((_, row)) = find(self.conn, key)? else {
            self.database.learn(key, None);
            return Ok(None);
        };
        let Some(row) = row.sound() else { return Ok(None) };
        let held = row.held(self.database, self.conn)?;
        if key.space() == Space::Count {
            self.database.learn(key, Some(held.clone()));
        }
        Ok(lives(&held).then_some(held))
    }

    /// Notes a use in the tables, and says which version was used. A use has no version, so nobody has to be told.
    fn touch(&mut self, key: &Key, ago: Duration) -> Outcome<Option<Version>> {
        const TOUCH: Statement = either!(("UPDATE ")(
            " SET used = max(used, ?4) WHERE space = ?1 AND mark = ?2 AND key = ?3 \
              AND (expires IS NULL OR expires > ?5) RETURNING version"
        ));
        let (space, mark, bytes) = found_by(key);
        let used = self.now.before(ago).as_millis();
        let found = self
            .conn
            .prepare_cached(of(key.space(), TOUCH))?
            .query_row(params![space, mark, bytes, used, self.now.as_millis()], |row| row.get(0))
            .optional()?;
        self.database.overlay_mut().forget(key);
        self.bytes += PAGE / NEIGHBOURS;
        Ok(found.map(|version| Version(unsigned(version))))
    }

    fn add(&mut self, key: &Key, by: i64, ttl: Option<Duration>, there: There) -> Outcome<Held> {
        let Some(held) = there else {
            let entry = NewEntry { value: Value::Count(by), ttl, ..NewEntry::record("") };
            return Ok(Held::new(&entry, self.next(), self.now));
        };
        let Value::Count(count) = held.value else {
            return Err(Error::new(Kind::Config, "the entry holds a record, not a counter")
                .with_key(format!("{key:?}"))
                .into());
        };
        let value = Value::Count(count.saturating_add(by));
        Ok(Held { version: self.next(), value, used: self.now, ..held })
    }
}
