//! What was taken back of late: so that of the calls that are computed meanwhile only those are given up that are meant.
//!
//! Taking back moves the epoch, and whoever publishes an answer asks that the epoch is where it was when the call began. One
//! named entry says what the epoch moved for: each *scope* (a call, a function, a tag), with the version that the epoch had
//! when it was taken back. A call that finds the epoch moved is meant where one of its scopes was taken back at the
//! version that it began with or later.
//!
//! Invariant: the entry says so before the epoch moves. What it does not know counts as taken back: whatever was before its
//! `floor`, and everything where it is lost or cannot be read. All versions in it are those of one entry, the epoch, and
//! later ones are greater.

use std::collections::HashMap;

use afresh_core::{
    Applied, Batch, Bytes, Error, Fingerprint, Key, Kind, NewEntry, Op, Result, Space, Tag,
    Version, When,
};

use crate::begin::EPOCH;
use crate::engine::Engine;
use crate::ticket::expect;

const KEY: &str = "taken-1";

/// The first byte of the record.
const FORMAT: u8 = 1;

/// How many scopes are told apart: beyond them the older half counts as everything.
const MOST: usize = 512;

/// How often the entry is written anew because another wrote it, before it is given up.
const ROUNDS: usize = 8;

/// What answers are taken back by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'a> {
    Everything,
    Call(&'a Fingerprint),
    /// A name in full, or its last parts.
    Function(&'a str),
    Tag(&'a Tag),
}

impl Scope<'_> {
    /// A number for it, unless it is everything; that two have the same costs a computation.
    fn number(self) -> Option<u64> {
        let mut hasher = blake3::Hasher::new_derive_key("afresh/taken/1");
        match self {
            Self::Everything => return None,
            Self::Call(fingerprint) => hasher.update(b"c").update(fingerprint.as_bytes()),
            // Whoever is meant by its last parts has the same last part.
            Self::Function(name) => {
                let last = name.rsplit('.').next().unwrap_or(name);
                hasher.update(b"f").update(last.as_bytes())
            }
            Self::Tag(Tag { key, value: None }) => hasher.update(b"k").update(key.as_bytes()),
            Self::Tag(Tag { key, value: Some(value) }) => {
                let length = u64::try_from(key.len()).unwrap_or(u64::MAX).to_le_bytes();
                hasher.update(b"t").update(&length).update(key.as_bytes()).update(value.as_bytes())
            }
        };
        let digest = *hasher.finalize().as_bytes();
        digest.first_chunk().map(|first| u64::from_le_bytes(*first))
    }

    /// The scopes by which a call may be meant.
    fn of_call(fingerprint: &Fingerprint, function: &str, tags: &[Tag]) -> Vec<u64> {
        let own = [Scope::Call(fingerprint).number(), Scope::Function(function).number()];
        let tagged = tags.iter().flat_map(|tag| {
            let bare = Tag { key: tag.key.clone(), value: None };
            [Scope::Tag(tag).number(), Scope::Tag(&bare).number()]
        });
        own.into_iter().chain(tagged).flatten().collect()
    }
}

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Taken {
    /// Everything counts as taken back at this version of the epoch.
    floor: u64,
    scopes: HashMap<u64, u64>,
}

impl Taken {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&FORMAT, rest) = bytes.split_first()? else { return None };
        let (floor, scopes): (u64, Vec<(u64, u64)>) = postcard::from_bytes(rest).ok()?;
        Some(Self { floor, scopes: scopes.into_iter().collect() })
    }

    fn encode(&self) -> Result<Bytes> {
        let mut scopes: Vec<_> = self.scopes.iter().collect();
        scopes.sort_unstable();
        postcard::to_extend(&(self.floor, scopes), vec![FORMAT]).map(Bytes::from).map_err(|error| {
            Error::new(Kind::Codec, "what was taken back could not be encoded").with_source(error)
        })
    }

    fn add(&mut self, scope: Scope<'_>, epoch: u64) {
        match scope.number() {
            None => self.raise(epoch),
            Some(scope) => {
                let at = self.scopes.entry(scope).or_default();
                *at = epoch.max(*at);
            }
        }
        if self.scopes.len() > MOST {
            let mut versions: Vec<_> = self.scopes.values().copied().collect();
            let (_, middle, _) = versions.select_nth_unstable(MOST / 2);
            let middle = *middle;
            self.raise(middle);
        }
    }

    fn raise(&mut self, epoch: u64) {
        self.floor = epoch.max(self.floor);
        self.scopes.retain(|_, at| *at > self.floor);
    }

    /// Whether what has these scopes, and began when the epoch had this version, is meant.
    fn means(&self, scopes: &[u64], began: u64) -> bool {
        began <= self.floor
            || scopes.iter().any(|scope| self.scopes.get(scope).is_some_and(|at| began <= *at))
    }
}

fn number(version: Option<Version>) -> u64 {
    version.map_or(0, |version| version.0)
}

impl Engine {
    /// To be called before answers are taken back: who computes one of them at this moment records it, but does not publish
    /// it.
    pub(crate) async fn taking_back(&self, scope: Scope<'_>) -> Result<()> {
        let key = Key::new(Space::Named, KEY)?;
        for _ in 0..ROUNDS {
            // The epoch after the record: where that is lost its floor is not below what it said.
            let found = self.entry(&key).await?;
            let epoch = number(self.entry(&Key::count(EPOCH)).await?.map(|entry| entry.version));
            let known = found.as_ref().and_then(|entry| Taken::decode(entry.record()?));
            let mut taken = known.unwrap_or(Taken { floor: epoch, ..Taken::default() });
            taken.add(scope, epoch);
            let op = Op::Put {
                key: key.clone(),
                entry: NewEntry::record(taken.encode()?),
                when: expect(found.map(|entry| entry.version)),
            };
            let batch = Batch { objects: Vec::new(), ops: vec![op] };
            if matches!(self.apply(batch).await?, Applied::All(_)) {
                return self.new_epoch().await;
            }
        }
        // Too many at once: everybody is meant.
        let op = Op::Delete { key, when: When::Always };
        self.apply(Batch { objects: Vec::new(), ops: vec![op] }).await?;
        self.new_epoch().await
    }

    /// Whether a call that began when the epoch had one version, and finds it with another, was taken back meanwhile.
    pub(crate) async fn was_taken_back(
        &self,
        (began, now): (Option<Version>, Option<Version>),
        fingerprint: &Fingerprint,
        function: &str,
        tags: &[Tag],
    ) -> Result<bool> {
        // An epoch that is gone, or has begun anew, says nothing.
        if now.is_none() || now < began {
            return Ok(true);
        }
        let found = self.entry(&Key::new(Space::Named, KEY)?).await?;
        let taken = found.and_then(|entry| Taken::decode(entry.record()?));
        let scopes = Scope::of_call(fingerprint, function, tags);
        Ok(taken.is_none_or(|taken| taken.means(&scopes, number(began))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_of_others_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for bytes in [bytes.clone(), [&[FORMAT], &bytes[..]].concat()] {
                if let Some(taken) = Taken::decode(&bytes) {
                    prop_assert_eq!(Taken::decode(&taken.encode().unwrap()), Some(taken));
                }
            }
        }
    }

    fn tag(key: &str, value: Option<&str>) -> Tag {
        Tag { key: key.into(), value: value.map(str::to_owned) }
    }

    #[test]
    fn a_call_is_meant_by_what_it_has() {
        let (call, tags) =
            (Fingerprint::new([1; 32]), [tag("team", Some("red")), tag("bare", None)]);
        let has = Scope::of_call(&call, "module.make.<locals>.f", &tags);
        let means = |scope: Scope<'_>| {
            let mut taken = Taken { floor: 3, ..Taken::default() };
            taken.add(scope, 7);
            assert!(!taken.means(&has, 8), "began later");
            assert!(taken.means(&has, 3), "began before anything is known");
            taken.means(&has, 7)
        };
        for scope in [
            Scope::Everything,
            Scope::Call(&call),
            Scope::Function("f"),
            Scope::Function("<locals>.f"),
            Scope::Tag(&tag("team", None)),
            Scope::Tag(&tag("team", Some("red"))),
            Scope::Tag(&tag("bare", None)),
        ] {
            assert!(means(scope), "{scope:?}");
        }
        for scope in [
            Scope::Call(&Fingerprint::new([2; 32])),
            Scope::Function("make"),
            Scope::Tag(&tag("team", Some("blue"))),
            Scope::Tag(&tag("tea", Some("mred"))),
            Scope::Tag(&tag("red", None)),
        ] {
            assert!(!means(scope), "{scope:?}");
        }
    }

    #[test]
    fn what_has_no_room_counts_as_everything() {
        let mut taken = Taken::default();
        let names: Vec<String> = (0..MOST as u64 * 4).map(|n| n.to_string()).collect();
        for (at, name) in names.iter().enumerate() {
            taken.add(Scope::Function(name), at as u64);
            let scope = [Scope::Function(name).number().unwrap()];
            assert!(taken.means(&scope, at as u64));
            assert!(taken.scopes.len() <= MOST);
        }
        assert!(taken.floor < names.len() as u64 - 2);
        for (at, name) in names.iter().enumerate() {
            assert!(taken.means(&[Scope::Function(name).number().unwrap()], at as u64));
        }
        let again = Taken::decode(&taken.encode().unwrap()).unwrap();
        assert_eq!(again, taken);
        assert_eq!((Taken::decode(b""), Taken::decode(b"\x02\0\0")), (None, None));
    }
}
