//! Entries and batches on their way to the server and back.
//!
//! A value begins with what the scripts read and write (version, times, count, terms: see
//! `docs/format-store-redis.md`).
//! After that comes the entry as all stores without columns keep it, and with a head the bytes of a small object,
//! so that a hit is one look-up.

use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Done, Entry, Error, Key, Kind, NewEntry, ObjectId, Op, Result,
    Space, Timestamp, Value, Version, When,
};
use afresh_remote::Stored;
use redis::Cmd;

use crate::error::odd;
use crate::layout::{Layout, moment, read_moment, terms};
use crate::reply::Items;
use crate::scripts::{Name, Scripts};

/// Objects up to this size are kept with the heads that refer to them, too.
const ATTACHED: usize = 4096;

/// The longest time to live, in milliseconds: some ten thousand years.
const FOREVER: u128 = 1 << 48;

/// Where things are in a value; the terms follow.
const TERMS: usize = 52;

/// Whether a batch puts nothing, so that it may run on a full server.
fn frees(batch: &Batch) -> bool {
    !batch.ops.iter().any(|op| matches!(op, Op::Put { .. }))
}

/// A batch as the script takes it.
pub(crate) struct Encoded {
    name: Name,
    /// The store's own record, the entry of each operation, and what else is written of their spaces.
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

impl Encoded {
    pub(crate) fn new(batch: &Batch, layout: &Layout) -> Result<Self> {
        let name = if frees(batch) { Name::ApplyFreeing } else { Name::Apply };
        let entries = batch.ops.iter().map(|op| layout.entry(op.key()));
        let mut keys: Vec<Vec<u8>> =
            std::iter::once(layout.meta().into_bytes()).chain(entries).collect();
        let mut spaces: Vec<Space> = batch.ops.iter().map(|op| op.key().space()).collect();
        spaces.sort_unstable();
        spaces.dedup();
        keys.extend(spaces.into_iter().map(|space| layout.index(space).into_bytes()));
        let count = batch.ops.len().to_string().into_bytes();
        let mut args = vec![layout.records.clone().into_bytes(), count];
        for op in &batch.ops {
            add(&mut args, op, &batch.objects)?;
        }
        Ok(Self { name, keys, args })
    }

    /// The call that makes the changes.
    pub(crate) fn call(&self, scripts: &Scripts) -> Cmd {
        let mut call = scripts.call(self.name, self.keys.len());
        for part in self.keys.iter().chain(&self.args) {
            call.arg(&part[..]);
        }
        call
    }
}

fn add(args: &mut Vec<Vec<u8>>, op: &Op, objects: &[(ObjectId, Blob)]) -> Result<()> {
    let code = match op {
        Op::Put { .. } => b"P",
        Op::Add { .. } => b"A",
        Op::Check { .. } => b"C",
        Op::Delete { .. } => b"D",
        Op::Touch { .. } => b"T",
    };
    args.push(code.to_vec());
    args.push(match op.when() {
        When::Always => Vec::new(),
        When::Absent => b"-".to_vec(),
        When::Is(version) => version.0.to_be_bytes().to_vec(),
    });
    match op {
        Op::Put { key, entry, .. } => args.extend(put(key, entry, objects)?),
        Op::Add { by, ttl, .. } => {
            let nothing = NewEntry { value: Value::Count(0), ..NewEntry::record(Bytes::new()) };
            args.extend([by.to_be_bytes().to_vec(), millis(*ttl), tail(nothing, None)?]);
        }
        Op::Touch { ago, .. } => args.push(millis(Some(*ago))),
        Op::Check { .. } | Op::Delete { .. } => {}
    }
    Ok(())
}

/// Kind, count, time, time to live, terms, tail.
fn put(key: &Key, entry: &NewEntry, objects: &[(ObjectId, Blob)]) -> Result<[Vec<u8>; 6]> {
    let (kind, count) = match entry.value {
        Value::Record(_) => (b"r", 0),
        Value::Count(count) => (b"c", count),
    };
    let time = entry.labels.time.map_or_else(Vec::new, |time| moment(time).to_vec());
    let object = entry.object.filter(|_| key.space() == Space::Head).and_then(|wanted| {
        let found = objects.iter().find(|(id, _)| *id == wanted.id);
        found.map(|(_, blob)| blob).filter(|blob| blob.len() <= ATTACHED)
    });
    let terms = terms(&entry.labels)?;
    let mut entry = entry.clone();
    entry.labels.tags.sort();
    entry.labels.tags.dedup();
    let (count, ttl) = (count.to_be_bytes().to_vec(), millis(entry.ttl));
    Ok([kind.to_vec(), count, time, ttl, terms, tail(entry, object)?])
}

/// What follows the terms: the entry, with its length before it, and the bytes of its object.
fn tail(entry: NewEntry, object: Option<&Blob>) -> Result<Vec<u8>> {
    let body = Stored::new(entry, Version(0), Timestamp::from_millis(0)).encode()?;
    let mut tail = Vec::with_capacity(5 + body.len() + object.map_or(0, Blob::len));
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    tail.extend_from_slice(&len.to_be_bytes());
    tail.extend_from_slice(&body);
    tail.push(u8::from(object.is_some()));
    for part in object.map(Blob::parts).unwrap_or_default() {
        tail.extend_from_slice(part);
    }
    Ok(tail)
}

fn millis(span: Option<Duration>) -> Vec<u8> {
    let text = span.map(|span| span.as_millis().min(FOREVER).to_string());
    text.unwrap_or_default().into_bytes()
}

/// What became of a batch of so many operations.
pub(crate) fn applied(answer: redis::Value, batch: &Batch) -> Result<Applied> {
    let mut items = Items::of(answer, "a batch")?;
    let version = |bytes: &[u8]| match bytes {
        [] => Ok(None),
        bytes => {
            let bytes = bytes.first_chunk().copied().ok_or_else(|| odd("a batch"))?;
            Ok(Some(Version(u64::from_be_bytes(bytes))))
        }
    };
    let place = |items: &mut Items| {
        items.number().and_then(|index| usize::try_from(index).map_err(|_| odd("a batch")))
    };
    match items.number()? {
        1 => {
            let mut done = Vec::with_capacity(batch.ops.len());
            for _ in &batch.ops {
                let bytes = items.bytes()?;
                let count = bytes.get(8..).and_then(<[u8]>::first_chunk);
                let count = count.map(|count| i64::from_be_bytes(*count));
                done.push(Done { version: version(&bytes)?, count });
            }
            Ok(Applied::All(done))
        }
        0 => {
            let index = place(&mut items)?;
            Ok(Applied::Refused { index, found: version(&items.bytes()?)? })
        }
        _ => {
            let error = Error::new(Kind::Config, "the entry holds a record, not a counter");
            let op = place(&mut items).ok().and_then(|index| batch.ops.get(index));
            Err(match op {
                Some(op) => error.with_key(format!("{:?}", op.key())),
                None => error,
            })
        }
    }
}

/// Whether a value says when it ends.
pub(crate) fn ends(value: &[u8]) -> bool {
    value.get(33..41).is_some_and(|end| end != [0; 8])
}

/// An entry, with its time and place of making; `None` where it has ended by now.
pub(crate) fn read(
    value: &Bytes,
    used: Option<i64>,
    now: i64,
    attach: bool,
) -> Result<Option<Entry>> {
    let number = |at: usize| {
        let bytes = value.get(at..).and_then(<[u8]>::first_chunk).copied();
        bytes.map(u64::from_be_bytes).ok_or_else(short)
    };
    if value.first() != Some(&1) {
        return Err(Error::new(Kind::Corrupt, "a stored entry is of a format that is not known"));
    }
    let version = Version(number(1)?);
    let time = read_moment(number(17)?.to_be_bytes());
    let (count, finish, written) = (number(25)? as i64, number(33)?, number(41)? as i64);
    let ttl = match finish {
        0 => None,
        finish if finish as i64 <= now => return Ok(None),
        finish => Some(Duration::from_millis(finish.saturating_sub(now as u64))),
    };
    let terms = value.get(TERMS - 2..).and_then(<[u8]>::first_chunk).copied().ok_or_else(short)?;
    let at = TERMS + 8 * usize::from(u16::from_be_bytes(terms));
    let len = value.get(at..).and_then(<[u8]>::first_chunk).copied().ok_or_else(short)?;
    let end = at + 4 + usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
    let body = value.get(at + 4..end).ok_or_else(short)?;
    let used = Timestamp::from_millis(used.unwrap_or(written).max(written));
    let mut entry = Stored::decode(body)?.entry(used, ttl);
    entry.version = version;
    entry.labels.time = Some(time);
    if let Value::Count(stored) = &mut entry.value {
        *stored = count;
    }
    match (value.get(end), value.len() - end) {
        (Some(0), 1) => {}
        (Some(1), _) if attach => entry.attached = Some(value.slice(end + 1..)),
        (Some(1), _) => {}
        _ => return Err(Error::new(Kind::Corrupt, "a stored entry does not end where it should")),
    }
    Ok(Some(entry))
}

fn short() -> Error {
    Error::new(Kind::Corrupt, "a stored entry ends too early")
}
