//! Entries of a server that has only [`Cells`]: look-ups, and batches carried out.
//!
//! Invariant: nothing is written before all conditions of the batch were found to hold. Each entry is then written under
//! the condition that it is still what was read; one that is not is read again, and its operations done anew or refused.
//! An answer whose batch checks other entries is written together with what was checked, and confirmed once that has
//! been looked at again; who reads it before looks himself, and puts an end to it if it does not hold. What a batch only
//! looks at, it looks at when all is written: who takes a lease sees the answer with which it was given back.

use std::time::Duration;

use afresh_core::{Applied, Done, Entry, Error, Key, Kind, Op, Result, Version};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::body::{Body, Guard, Row, random};
use super::clock::Clock;
use super::plan::{Fate, Step, Stop, Sum, Work, works};
use super::queue::Queues;
use super::{Cell, Cells, Swapped};

/// How many requests of one operation are on their way at a time.
const WIDTH: usize = 16;

/// How often a write that others come before is tried.
const ATTEMPTS: u32 = 100;

/// What a touch must be later by to be written.
const ROUGH: Duration = Duration::from_secs(60);

/// The place of the operation that was refused, and what was found there.
type Refusal = (usize, Option<Version>);

/// What the operations on a key came to, or why they cannot be done.
type Came<T, Why> = std::result::Result<T, Why>;

/// Entries, kept in cells.
#[derive(Debug)]
pub struct Entries<C: Cells> {
    cells: C,
    clock: Clock,
    queues: Queues,
}

impl<C: Cells> Entries<C> {
    /// Entries in `cells`, by the time of `clock`.
    pub fn new(cells: C, clock: Clock) -> Self {
        Self { cells, clock, queues: Queues::default() }
    }

    /// Where they are kept.
    pub fn cells(&self) -> &C {
        &self.cells
    }

    /// The clock by which they end.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The entries under `keys`, in that order.
    ///
    /// # Errors
    /// Whatever the cells say.
    pub async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let live = |key: Key| async move { self.live(&key).await };
        stream::iter(keys.to_vec()).map(live).buffered(WIDTH).try_collect().await
    }

    /// Makes changes, in a safe order though not together: see the top of the module.
    ///
    /// # Errors
    /// Whatever the cells say, and [`Kind::Conflict`] where others never let a write through.
    pub async fn apply(&self, ops: Vec<Op>) -> Result<Applied> {
        let count = ops.len();
        let works = works(ops);
        let _turn = self.queues.turn(&works).await;
        let (last, works): (Vec<_>, Vec<_>) = works.into_iter().partition(Work::only_looks);
        let keys = works.iter().map(|work| (!work.is_blind()).then(|| work.key.clone()));
        let looked = self.looks(keys.collect()).await?;
        let mut plans = Vec::with_capacity(works.len());
        let mut guards = Vec::new();
        let mut stop: Option<(usize, Stop)> = None;
        for (work, looked) in works.iter().zip(looked) {
            match work.sum(looked.as_ref().map(|cell| &cell.body), &self.clock, ROUGH) {
                Ok(sum) => {
                    let found = sum.done.first().and_then(|(_, done)| done.version);
                    guards.extend(work.guard(found));
                    plans.push((work.step(&sum.fate), work.clone(), looked, sum));
                }
                Err(this) if stop.as_ref().is_none_or(|stop| this.0 < stop.0) => stop = Some(this),
                Err(_) => {}
            }
        }
        match stop {
            Some((index, Stop::Refused(found))) => return Ok(Applied::Refused { index, found }),
            Some((_, Stop::Failed(error))) => return Err(error),
            None => {}
        }
        let mut done = vec![Done { version: None, count: None }; count];
        let mut tell = |index: usize, this: Done| {
            if let Some(place) = done.get_mut(index) {
                *place = this;
            }
        };
        for step in Step::ALL {
            let (now, later): (Vec<_>, Vec<_>) =
                plans.into_iter().partition(|(when, ..)| *when == step);
            plans = later;
            let carry = |(_, work, looked, sum)| self.carry_out(work, looked, sum, guards.clone());
            let came: Vec<_> =
                stream::iter(now).map(carry).buffer_unordered(WIDTH).try_collect().await?;
            let mut refused: Option<Refusal> = None;
            for what in came {
                match what {
                    Ok(these) => these.into_iter().for_each(|(index, this)| tell(index, this)),
                    Err(why) => {
                        let place = why.place(&works)?;
                        refused = Some(refused.filter(|first| first.0 < place.0).unwrap_or(place));
                    }
                }
            }
            if let Some((index, found)) = refused {
                return Ok(Applied::Refused { index, found });
            }
        }
        let keys: Vec<_> = last.iter().map(|work| work.key.clone()).collect();
        for (work, found) in last.iter().zip(self.get(&keys).await?) {
            let version = found.map(|entry| entry.version);
            work.ops.iter().for_each(|(index, _)| tell(*index, Done { version, count: None }));
        }
        Ok(Applied::All(done))
    }

    /// What is under a key. An answer that turns out not to hold is put an end to.
    async fn look(&self, key: &Key) -> Result<Option<Cell<C::Token>>> {
        for _ in 0..ATTEMPTS {
            let Some(cell) = self.cells.get(key).await? else { return Ok(None) };
            let holds = match &cell.body {
                Body::Row(row) if !row.guards.is_empty() => {
                    self.broken(&row.guards).await?.is_none()
                }
                _ => true,
            };
            if holds {
                return Ok(Some(cell));
            }
            let end = Body::Tombstone(self.clock.version(Some(cell.body.version())));
            if let Swapped::Done(cell) = self.cells.swap(key, Some(&cell), &end).await? {
                return Ok(Some(cell));
            }
        }
        Err(crowded(key))
    }

    /// The entry under a key, where there is one now.
    ///
    /// # Errors
    /// Whatever the cells say.
    pub async fn live(&self, key: &Key) -> Result<Option<Entry>> {
        let cell = self.look(key).await?;
        let now = self.clock.now();
        Ok(cell.as_ref().and_then(|cell| cell.body.live(now)).map(|row| row.entry(now)))
    }

    /// The first of the guards that does not hold, and what is there instead.
    async fn broken(&self, guards: &[Guard]) -> Result<Option<(Guard, Option<Version>)>> {
        for guard in guards {
            let cell = self.cells.get(&guard.key()?).await?;
            let now = self.clock.now();
            let row = cell.as_ref().and_then(|cell| cell.body.live(now));
            let version = row.map(|row| row.stored.version());
            if version != guard.version() {
                return Ok(Some((guard.clone(), version)));
            }
        }
        Ok(None)
    }

    /// The entries under `keys` as they are.
    async fn looks(&self, keys: Vec<Option<Key>>) -> Result<Vec<Option<Cell<C::Token>>>> {
        let look = |key: Option<Key>| async move {
            match key {
                Some(key) => self.look(&key).await,
                None => Ok(None),
            }
        };
        stream::iter(keys).map(look).buffered(WIDTH).try_collect().await
    }

    /// Writes what the operations on a key came to, or come to with what is there by then.
    async fn carry_out(
        &self,
        work: Work,
        mut seen: Option<Cell<C::Token>>,
        mut sum: Sum,
        guards: Vec<Guard>,
    ) -> Result<Came<Vec<(usize, Done)>, Refused>> {
        let key = &work.key;
        for attempt in 0..ATTEMPTS {
            let body = match sum.fate {
                Fate::Kept => return Ok(Ok(sum.done)),
                Fate::Erase => return self.cells.erase(key).await.map(|()| Ok(sum.done)),
                Fate::Write(Body::Row(row)) if work.answers() => {
                    Body::Row(Row { guards: guards.clone(), ..row })
                }
                Fate::Write(body) => body,
            };
            if let Swapped::Done(cell) = self.cells.swap(key, seen.as_ref(), &body).await? {
                return match body {
                    Body::Row(row) if work.answers() && !row.guards.is_empty() => {
                        Ok(self.confirm(key, cell, row).await?.map_or(Ok(sum.done), Err))
                    }
                    _ => Ok(Ok(sum.done)),
                };
            }
            pause(attempt).await;
            seen = self.look(key).await?;
            sum = match work.sum(seen.as_ref().map(|cell| &cell.body), &self.clock, ROUGH) {
                Ok(sum) => sum,
                Err((index, Stop::Refused(found))) => return Ok(Err(Refused::Here(index, found))),
                Err((_, Stop::Failed(error))) => return Err(error),
            };
        }
        Err(crowded(key))
    }

    /// Takes the guards off an answer if they hold now, after it was written; otherwise the answer goes.
    async fn confirm(
        &self,
        key: &Key,
        mut cell: Cell<C::Token>,
        row: Row,
    ) -> Result<Option<Refused>> {
        let (guards, version) = (row.guards.clone(), row.stored.version());
        let plain = Body::Row(Row { guards: Vec::new(), ..row });
        for attempt in 0..ATTEMPTS {
            let broken = self.broken(&guards).await?;
            let body = match &broken {
                None => plain.clone(),
                Some(_) => Body::Tombstone(self.clock.version(Some(version))),
            };
            let there = match self.cells.swap(key, Some(&cell), &body).await? {
                Swapped::Done(_) => return Ok(broken.map(Refused::Guard)),
                Swapped::Refused(there) => there,
            };
            // Others may end it, replace it, or note that they used it.
            match there {
                Some(other) if matches!(&other.body, Body::Row(row) if row.stored.version() == version) =>
                {
                    cell = other;
                }
                _ => return Ok(self.broken(&guards).await?.map(Refused::Guard)),
            }
            pause(attempt).await;
        }
        Err(crowded(key))
    }
}

/// Why a write did not happen after all.
enum Refused {
    /// An operation on this very key.
    Here(usize, Option<Version>),
    /// Something that it rests on changed.
    Guard((Guard, Option<Version>)),
}

impl Refused {
    /// As the batch tells it.
    fn place(self, works: &[Work]) -> Result<Refusal> {
        match self {
            Self::Here(index, found) => Ok((index, found)),
            Self::Guard((guard, found)) => {
                let key = guard.key()?;
                let ops = works.iter().filter(|work| work.key == key).flat_map(|work| &work.ops);
                let first = ops.into_iter().find(|(_, op)| !op.when().holds(found));
                Ok((first.map_or(0, |(index, _)| *index), found))
            }
        }
    }
}

fn crowded(key: &Key) -> Error {
    Error::new(Kind::Conflict, "others kept changing the entry").with_key(format!("{key:?}"))
}

/// Lets others go first for a while, longer each time.
async fn pause(attempt: u32) {
    let most = 1u64 << attempt.min(6);
    let share = random() % most.max(1);
    tokio::time::sleep(Duration::from_millis(share)).await;
}
