//! An entry in full, as it is before it is a row, and the changes of a batch, as a row of `recent` keeps them.
//!
//! A batch is judged once, when it is applied. What is kept are its effects: entries as they are afterwards, with their
//! versions. To read them again, into the overlay or into the tables, judges nothing anew.
//!
//! Invariant: the effects of a row are believed only if its checksum holds. The encoding is specified in
//! `docs/format-store-sqlite.md` and never changes.

use std::borrow::Cow;

use afresh_core::{
    Entry, Error, Key, Kind, Labels, NewEntry, ObjectRef, Space, Status, Tag, Timestamp, Value,
    Version,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use crate::entry::REMOVED;
use crate::error::Outcome;

/// An entry in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) version: i64,
    pub(crate) value: Value,
    pub(crate) object: Option<ObjectRef>,
    /// With a time.
    pub(crate) labels: Labels,
    pub(crate) used: Timestamp,
    pub(crate) end: Option<Timestamp>,
}

/// What a batch does to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The entry is this.
    Set(Key, Held),
    /// There is none.
    Gone(Key),
    /// It was used at this time, if not later.
    Used(Key, Timestamp),
}

/// Versions and lengths are counted from zero and stay below 2^63.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The inverse of [`unsigned`].
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Held {
    /// A new entry, put now.
    pub(crate) fn new(entry: &NewEntry, version: i64, now: Timestamp) -> Self {
        let labels = Labels { time: entry.labels.time.or(Some(now)), ..entry.labels.clone() };
        Self {
            version,
            value: entry.value.clone(),
            object: entry.object,
            labels,
            used: now,
            // The zero says something else in the tables.
            end: entry.ttl.map(|ttl| now.after(ttl).max(Timestamp::from_millis(REMOVED + 1))),
        }
    }

    pub(crate) fn time(&self) -> Timestamp {
        self.labels.time.unwrap_or_default()
    }

    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        self.end.is_none_or(|end| end > now)
    }

    /// As the caller sees it.
    pub(crate) fn entry(self, attached: Option<Bytes>, now: Timestamp) -> Entry {
        let Self { version, value, object, mut labels, used, end } = self;
        labels.tags.sort();
        labels.tags.dedup();
        Entry {
            version: Version(unsigned(version)),
            value,
            object,
            attached,
            labels,
            used,
            ttl: end.map(|end| end.since(now)),
        }
    }
}

impl Effect {
    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Set(key, _) | Self::Gone(key) | Self::Used(key, _) => key,
        }
    }
}

/// A row's data after its checksum.
#[derive(Serialize, Deserialize)]
struct Packed<'a> {
    now: Timestamp,
    #[serde(borrow)]
    steps: Vec<Step<'a>>,
}

#[derive(Serialize, Deserialize)]
enum Step<'a> {
    Record(
        u8,
        #[serde(serialize_with = "whole")] &'a [u8],
        #[serde(serialize_with = "whole")] &'a [u8],
        #[serde(borrow)] Rest<'a>,
    ),
    Count(u8, #[serde(serialize_with = "whole")] &'a [u8], i64, #[serde(borrow)] Rest<'a>),
    Gone(u8, #[serde(serialize_with = "whole")] &'a [u8]),
    Used(u8, #[serde(serialize_with = "whole")] &'a [u8], Timestamp),
}

/// The same bytes as number by number, in one piece.
fn whole<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

#[derive(Serialize, Deserialize)]
struct Rest<'a> {
    /// How much less than the row's number the version is.
    back: u64,
    object: Option<ObjectRef>,
    function: Option<&'a str>,
    status: Option<Status>,
    tags: Cow<'a, [Tag]>,
    group: Option<u64>,
    time: Timestamp,
    end: Option<Timestamp>,
}

const SUM: usize = 8;

fn checksum(id: i64, bytes: &[u8]) -> [u8; SUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&id.to_le_bytes());
    hasher.update(bytes);
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    [a, b, c, d, e, f, g, h]
}

/// Roughly what an effect takes, tags aside.
fn size(effect: &Effect) -> usize {
    match effect {
        Effect::Set(key, Held { value: Value::Record(bytes), labels, .. }) => {
            let function = labels.function.as_ref().map_or(0, String::len);
            key.bytes().len() + bytes.len() + function + 96
        }
        _ => effect.key().bytes().len() + 96,
    }
}

/// The data of the row `id`.
pub(crate) fn encode(id: i64, now: Timestamp, effects: &[Effect]) -> Outcome<Vec<u8>> {
    let steps = effects
        .iter()
        .map(|effect| match effect {
            Effect::Gone(key) => Step::Gone(key.space().number(), key.bytes()),
            Effect::Used(key, used) => Step::Used(key.space().number(), key.bytes(), *used),
            Effect::Set(key, held) => {
                let labels = &held.labels;
                let rest = Rest {
                    back: unsigned(id - held.version),
                    object: held.object,
                    function: labels.function.as_deref(),
                    status: labels.status,
                    tags: Cow::Borrowed(&labels.tags),
                    group: labels.group,
                    time: held.time(),
                    end: held.end,
                };
                match &held.value {
                    Value::Record(bytes) => {
                        Step::Record(key.space().number(), key.bytes(), bytes, rest)
                    }
                    Value::Count(count) => {
                        Step::Count(key.space().number(), key.bytes(), *count, rest)
                    }
                }
            }
        })
        .collect();
    let mut data = Vec::with_capacity(effects.iter().map(size).sum::<usize>() + 2 * SUM);
    data.resize(SUM, 0);
    let mut data = postcard::to_extend(&Packed { now, steps }, data).map_err(|error| {
        Error::new(Kind::Codec, "changes could not be encoded").with_source(error)
    })?;
    if let Some((sum, bytes)) = data.split_first_chunk_mut::<SUM>() {
        *sum = checksum(id, bytes);
    }
    Ok(data)
}

/// The moment and the effects of the row `id`; `None` where it is damaged.
pub(crate) fn decode(id: i64, data: &[u8]) -> Option<(Timestamp, Vec<Effect>)> {
    let (sum, bytes) = data.split_first_chunk::<SUM>()?;
    if *sum != checksum(id, bytes) {
        return None;
    }
    let (Packed { now, steps }, []) = postcard::take_from_bytes(bytes).ok()? else { return None };
    let key = |space: u8, bytes: &[u8]| {
        Key::new(Space::from_number(space)?, Bytes::copy_from_slice(bytes)).ok()
    };
    let set = |space, bytes, value, rest: Rest<'_>| {
        let held = Held {
            version: id.checked_sub_unsigned(rest.back)?,
            value,
            object: rest.object,
            labels: Labels {
                function: rest.function.map(str::to_owned),
                status: rest.status,
                tags: rest.tags.into_owned(),
                group: rest.group,
                time: Some(rest.time),
            },
            used: now,
            end: rest.end,
        };
        Some(Effect::Set(key(space, bytes)?, held))
    };
    let effects = steps.into_iter().map(|step| match step {
        Step::Gone(space, bytes) => Some(Effect::Gone(key(space, bytes)?)),
        Step::Used(space, bytes, used) => Some(Effect::Used(key(space, bytes)?, used)),
        Step::Record(space, bytes, value, rest) => {
            set(space, bytes, Value::Record(Bytes::copy_from_slice(value)), rest)
        }
        Step::Count(space, bytes, count, rest) => set(space, bytes, Value::Count(count), rest),
    });
    Some((now, effects.collect::<Option<_>>()?))
}
