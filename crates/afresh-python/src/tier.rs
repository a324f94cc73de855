//! Answers kept in this process, in front of the store.
//!
//! Bounded by bytes; what is used once does not drive out what is used often (S3-FIFO, by `quick_cache`). An answer gets
//! here when the store has given it, so what is computed and never asked for again takes no room.
//!
//! Invariant: an answer is handed out only while its stamp holds, that is as long as nobody, in any process on this
//! host, has replaced or taken back an answer in its slot; and only while the judge lets it be used. Everyone gets a value of their
//! own: an immutable one is shared, any other is made anew of its bytes. How often answers were used is
//! counted here and told to the engine when something else is to be written.

use std::cell::Cell;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::time::Duration;

use afresh::{
    Bytes, CommitId, Early, Engine, Evidence, Fingerprint, Generation, Hit, Policy, SLACK, Stamp,
    Timestamp, Verdict, judge,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyComplex, PyFloat, PyInt, PyString, PyTuple};
use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};

use crate::exact::{Bound as Arguments, Exact};

/// What an entry costs beside its bytes: the key, the slot in the table, the object.
const OVERHEAD: u64 = 400;

/// Room for one answer, as a share of all.
const SHARE: u64 = 8;

/// By what an answer is found.
pub(crate) enum Key {
    Exact(Exact),
    Digest(Fingerprint),
}

/// By what it is looked for.
pub(crate) enum Query<'a> {
    Exact(&'a Arguments<'a>),
    Digest(&'a Fingerprint),
}

/// A value, to be handed out any number of times.
pub(crate) enum Kept {
    /// Immutable: everyone may have it.
    Shared(Py<PyAny>),
    /// A pickle with its buffers.
    Bytes(Bytes),
}

struct Entry {
    kept: Kept,
    stamp: Stamp,
    fingerprint: Fingerprint,
    evidence: Evidence,
    took_us: u64,
    /// Bytes that it takes.
    weight: u64,
    /// Uses that the engine has not been told of.
    uses: Cell<u32>,
    /// Uses in all.
    count: Cell<u32>,
}

/// An answer that may be used.
pub(crate) struct Answer {
    pub(crate) kept: Kept,
    pub(crate) used: Used,
}

/// What there is to know when an answer was used.
pub(crate) struct Used {
    /// Fresh, or to be renewed.
    pub(crate) verdict: Verdict,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) commit: CommitId,
    pub(crate) took_us: u64,
}

type Table = Cache<Key, Entry, Weight, BuildHasherDefault<Ready>, Evicted>;

/// See the module.
pub(crate) struct Tier {
    /// State of the dice.
    seed: u64,
    cache: Table,
    capacity: u64,
    generation: Option<Generation>,
}

impl Tier {
    /// Empties it and makes room for so many bytes.
    pub(crate) fn resize(&mut self, capacity: u64) {
        // The table grows when it is used; what is asked for here is only how finely to look at what comes.
        let items = usize::try_from(capacity / (2 * OVERHEAD)).unwrap_or(usize::MAX).min(1 << 20);
        self.cache = table(items, capacity);
        self.capacity = capacity;
        self.generation = None;
    }

    /// The answer, if it is here, still right, and not too old.
    #[inline]
    pub(crate) fn get(
        &mut self,
        py: Python<'_>,
        query: &Query<'_>,
        policy: &Policy,
        plain: bool,
    ) -> Option<Answer> {
        let entry = self.cache.get(query)?;
        if !self.generation.as_ref()?.holds(entry.stamp) {
            return None;
        }
        let verdict = if plain && entry.evidence.ttl.is_none() {
            Verdict::Fresh
        } else {
            let evidence = Evidence { uses: entry.count.get(), ..entry.evidence };
            verdict(&evidence, policy, &mut self.seed)
        };
        if verdict == Verdict::Missing {
            return None;
        }
        entry.uses.set(entry.uses.get().saturating_add(1));
        entry.count.set(entry.count.get().saturating_add(1));
        let kept = match &entry.kept {
            Kept::Shared(value) => Kept::Shared(value.clone_ref(py)),
            Kept::Bytes(bytes) => Kept::Bytes(bytes.clone()),
        };
        let Entry { fingerprint, took_us, .. } = *entry;
        let used = Used { verdict, fingerprint, commit: entry.evidence.commit, took_us };
        Some(Answer { kept, used })
    }

    /// To be taken before the store is asked for an answer that may be kept here; `None` where none may.
    pub(crate) fn stamp(&mut self, engine: &Engine, fingerprint: &Fingerprint) -> Option<Stamp> {
        if self.capacity == 0 {
            return None;
        }
        if self.generation.is_none() {
            self.generation = engine.generation().cloned();
        }
        self.generation.as_ref()?.stamp(fingerprint)
    }

    /// Keeps an answer; tells the engine of answers that had to go.
    pub(crate) fn keep(
        &mut self,
        engine: &Engine,
        key: Key,
        (fingerprint, stamp): (Fingerprint, Stamp),
        hit: &Hit,
        kept: Kept,
    ) {
        let len = hit.bytes.len() as u64;
        if len > self.capacity / SHARE {
            return;
        }
        let entry = Entry {
            kept,
            stamp,
            fingerprint,
            evidence: Evidence::of(&hit.head, hit.used),
            took_us: hit.head.took_us,
            weight: OVERHEAD + len,
            uses: Cell::new(0),
            count: Cell::new(hit.uses.saturating_add(1)),
        };
        let mut evicted = Vec::new();
        self.cache.insert_with_lifecycle(key, entry, &mut evicted);
        for entry in &evicted {
            tell(engine, entry);
        }
    }

    /// Tells the engine how often answers were used.
    pub(crate) fn tell(&self, engine: &Engine) {
        for (_, entry) in self.cache.iter() {
            tell(engine, entry);
        }
    }
}

impl Default for Tier {
    /// No room.
    fn default() -> Self {
        Self {
            cache: table(1, 1),
            capacity: 0,
            generation: None,
            seed: u64::from(std::process::id()) | 1 << 40,
        }
    }
}

fn table(items: usize, capacity: u64) -> Table {
    // There are no shards, and unless their number is said the machine's processors are counted, which takes a while.
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(items)
        .weight_capacity(capacity)
        .build();
    let hasher = BuildHasherDefault::default();
    match options {
        Ok(options) => Cache::with_options(options, Weight, hasher, Evicted),
        Err(_) => Cache::with(items, capacity, Weight, hasher, Evicted),
    }
}

fn tell(engine: &Engine, entry: &Entry) {
    let uses = entry.uses.take();
    if uses > 0 {
        engine.used(&entry.fingerprint, uses, entry.evidence.created, entry.took_us);
    }
}

/// What the judge says; missing, too, where a use is to be written down, for which the engine is asked.
fn verdict(evidence: &Evidence, policy: &Policy, seed: &mut u64) -> Verdict {
    let ttl = policy.ttl(evidence.ttl);
    let least = [ttl, policy.max_age, policy.soft].into_iter().flatten().min();
    let now = now(least);
    let unwritten =
        policy.sliding && ttl.is_some_and(|ttl| now.since(evidence.used) >= ttl / SLACK);
    if unwritten {
        return Verdict::Missing;
    }
    let dice = if policy.early == Some(Early::Chance) { dice(seed) } else { 1.0 };
    judge(Some(evidence), policy, now, dice)
}

/// Above 0, up to 1: an xorshift generator, for which of many callers renews an answer.
fn dice(seed: &mut u64) -> f64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    ((*seed >> 11) as f64 + 1.0) / (1u64 << 53) as f64
}

/// The time, as exactly as a lifetime asks for: the coarse clock is some milliseconds late and costs a fifth.
fn now(least: Option<Duration>) -> Timestamp {
    let clock = match least {
        #[cfg(target_os = "linux")]
        Some(span) if span >= Duration::from_secs(1) => nix::time::ClockId::CLOCK_REALTIME_COARSE,
        _ => nix::time::ClockId::CLOCK_REALTIME,
    };
    let since = clock.now().map(Duration::from).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Whether nobody can change the value, so that everyone may have the same.
pub(crate) fn is_immutable(value: &Bound<'_, PyAny>) -> bool {
    fn scalar(value: &Bound<'_, PyAny>) -> bool {
        value.is_none()
            || value.is_exact_instance_of::<PyInt>()
            || value.is_exact_instance_of::<PyString>()
            || value.is_exact_instance_of::<PyFloat>()
            || value.is_exact_instance_of::<PyBytes>()
            || value.is_exact_instance_of::<PyComplex>()
            || value.is_exact_instance_of::<pyo3::types::PyBool>()
    }
    match value.cast_exact::<PyTuple>() {
        Ok(tuple) => tuple.len() <= 64 && tuple.iter().all(|item| scalar(&item)),
        Err(_) => scalar(value),
    }
}

/// Keys come with a hash of their own.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

fn first(fingerprint: &Fingerprint) -> u64 {
    u64::from_le_bytes(fingerprint.as_bytes().first_chunk().copied().unwrap_or_default())
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Exact(key) => key.hash(state),
            Self::Digest(fingerprint) => state.write_u64(first(fingerprint)),
        }
    }
}

impl Hash for Query<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Exact(key) => key.hash(state),
            Self::Digest(fingerprint) => state.write_u64(first(fingerprint)),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Digest(a), Self::Digest(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Query<'_> {
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::Exact(arguments), Key::Exact(key)) => arguments.is(key),
            (Self::Digest(a), Key::Digest(b)) => *a == b,
            _ => false,
        }
    }
}

struct Weight;

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        entry.weight
    }
}

/// Gathers what had to go.
struct Evicted;

impl Lifecycle<Key, Entry> for Evicted {
    type RequestState = Vec<Entry>;

    fn on_evict(&self, gone: &mut Vec<Entry>, _: Key, entry: Entry) {
        gone.push(entry);
    }
}
