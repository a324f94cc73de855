//! Names of keys, terms of labels, and slots. The stored form is described in `docs/format-store-redis.md`; this and
//! `lua/` are where it is made.

use afresh_core::{
    Error, Key, Kind, Labels, ObjectId, Result, Scan, Space, Status, Tag, Timestamp,
};

/// How many parts objects are spread over: one for each first half byte of their names.
pub(crate) const PARTS: u8 = 16;

/// The most labels an entry can be found by.
const MOST_TERMS: usize = 1000;

/// The letter of a space in the names of keys.
pub(crate) fn letter(space: Space) -> &'static str {
    match space {
        Space::Head => "h",
        Space::Commit => "c",
        Space::Lease => "l",
        Space::Count => "n",
        Space::Named => "v",
    }
}

/// The space with this letter.
pub(crate) fn space(letter: u8) -> Option<Space> {
    Space::ALL.into_iter().find(|known| self::letter(*known).as_bytes() == [letter])
}

/// What the keys of one store are called.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// What records begin with: one hash tag for all.
    pub(crate) records: String,
    /// What objects begin with, by part: a hash tag each.
    parts: Vec<String>,
}

impl Layout {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            records: format!("{{{prefix}}}"),
            parts: (0..PARTS).map(|part| format!("{{{prefix}:{part:x}}}")).collect(),
        }
    }

    /// The store's own record: counts, versions, the state of the indexes.
    pub(crate) fn meta(&self) -> String {
        format!("{}:m", self.records)
    }

    pub(crate) fn entry(&self, key: &Key) -> Vec<u8> {
        let mut name = Vec::with_capacity(self.records.len() + 3 + key.bytes().len());
        name.extend_from_slice(self.records.as_bytes());
        name.extend_from_slice(b":");
        name.extend_from_slice(letter(key.space()).as_bytes());
        name.extend_from_slice(b":");
        name.extend_from_slice(key.bytes());
        name
    }

    /// What the entries of a space begin with.
    pub(crate) fn space(&self, space: Space) -> String {
        format!("{}:{}:", self.records, letter(space))
    }

    /// Which entry has this name, if one of ours.
    pub(crate) fn key<'a>(&self, name: &'a [u8]) -> Option<(Space, &'a [u8])> {
        match name.strip_prefix(self.records.as_bytes())? {
            [b':', letter, b':', key @ ..] => Some((space(*letter)?, key)),
            _ => None,
        }
    }

    pub(crate) fn index(&self, space: Space) -> String {
        format!("{}:i:{}", self.records, letter(space))
    }

    /// Where it is kept when an entry was last used: beside it, because nobody is to be told of that.
    pub(crate) fn used(&self, key: &Key) -> Vec<u8> {
        self.beside("u", key)
    }

    /// Where the entry goes when it is damaged.
    pub(crate) fn aside(&self, key: &Key) -> Vec<u8> {
        self.beside("q", key)
    }

    fn beside(&self, what: &str, key: &Key) -> Vec<u8> {
        let start = format!("{}:{what}:{}:", self.records, letter(key.space()));
        [start.as_bytes(), key.bytes()].concat()
    }

    /// What the keys of an object's part begin with.
    pub(crate) fn part(&self, part: u8) -> &str {
        self.parts.get(usize::from(part)).map_or("", String::as_str)
    }

    pub(crate) fn object(&self, id: &ObjectId) -> Vec<u8> {
        let mut name = self.part(part_of(id)).as_bytes().to_vec();
        name.extend_from_slice(b":o:");
        name.extend_from_slice(id.as_bytes());
        name
    }
}

/// The part that an object is in. Parts are in the order of the names in them.
pub(crate) fn part_of(id: &ObjectId) -> u8 {
    id.as_bytes().first().map_or(0, |byte| byte >> 4)
}

/// The slot of a hash tag.
pub(crate) fn slot(tagged: &str) -> u16 {
    let tag = tagged.trim_start_matches('{').split('}').next().unwrap_or_default();
    let crc = tag.bytes().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    });
    crc % 16384
}

/// A moment as bytes that sort as moments do.
pub(crate) fn moment(time: Timestamp) -> [u8; 8] {
    (time.as_millis() as u64 ^ 1 << 63).to_be_bytes()
}

pub(crate) fn read_moment(bytes: [u8; 8]) -> Timestamp {
    Timestamp::from_millis((u64::from_be_bytes(bytes) ^ 1 << 63) as i64)
}

type Term = [u8; 8];

/// Eight bytes that stand for a label. Two labels may share them: whoever scans compares the whole.
fn term(kind: u8, parts: &[&[u8]]) -> Term {
    let mut bytes = vec![kind];
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    ObjectId::of(&bytes).as_bytes().first_chunk().copied().unwrap_or_default()
}

fn function_term(name: &str) -> Term {
    term(b'f', &[name.as_bytes()])
}

fn group_term(group: u64) -> Term {
    term(b'g', &[&group.to_be_bytes()])
}

fn tag_term(tag: &Tag) -> Term {
    match &tag.value {
        Some(value) => term(b't', &[tag.key.as_bytes(), value.as_bytes()]),
        None => term(b't', &[tag.key.as_bytes()]),
    }
}

/// Few executions fail, and those are looked for.
fn failed_term() -> Term {
    term(b's', &[])
}

/// The terms that an entry with these labels is found by.
pub(crate) fn terms(labels: &Labels) -> Result<Vec<u8>> {
    let mut terms: Vec<Term> = Vec::new();
    terms.extend(labels.function.as_deref().map(function_term));
    terms.extend(labels.group.map(group_term));
    terms.extend((labels.status == Some(Status::Failed)).then(failed_term));
    for tag in &labels.tags {
        terms.push(tag_term(tag));
        // Looked for without a value, it is found with any.
        if tag.value.is_some() {
            terms.push(term(b't', &[tag.key.as_bytes()]));
        }
    }
    terms.sort_unstable();
    terms.dedup();
    if terms.len() > MOST_TERMS {
        return Err(Error::new(Kind::TooLarge, format!("an entry with {} labels", terms.len()))
            .with_hint(format!("use at most {} tags", MOST_TERMS / 2 - 3)));
    }
    Ok(terms.concat())
}

/// The term that narrows a scan the most.
pub(crate) fn term_of(scan: &Scan) -> Option<Term> {
    scan.group
        .map(group_term)
        .or_else(|| scan.tags.first().map(tag_term))
        .or_else(|| scan.function.as_deref().map(function_term))
        .or_else(|| (scan.status == Some(Status::Failed)).then(failed_term))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(slot("{123456789}"), 0x31c3);
        assert_eq!(slot("{foo}.bar"), 12182);
    }

    #[test]
    fn moments_sort() {
        let times = [i64::MIN, -1, 0, 1, 1_700_000_000_000, i64::MAX];
        let bytes = times.map(|time| moment(Timestamp::from_millis(time)));
        assert!(bytes.is_sorted());
        assert_eq!(bytes.map(read_moment).map(Timestamp::as_millis), times);
    }
}
