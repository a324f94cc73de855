//! The immutable record of one execution.
//!
//! Stored as one format byte ([`COMMIT_FORMAT`]) and the postcard encoding of the fields in order;
//! its id is the digest of exactly those bytes under a prefix of its own, so that a commit can
//! neither be altered nor taken for an object. A commit that has outlines of its arguments is stored with them behind
//! the other fields, under [`OUTLINED_FORMAT`]; one that has none is stored as before there were any.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{
    Argument, CommitId, Error, Fingerprint, FunctionId, Kind, ObjectId, Result, Timestamp, fp1,
};

/// The first byte of an encoded commit.
pub const COMMIT_FORMAT: u8 = 1;
/// The first byte of an encoded commit with outlines.
pub const OUTLINED_FORMAT: u8 = 2;

/// What a commit usually takes, in bytes: room that need not be found while it is written.
const USUAL: usize = 512;

const DOMAIN: &[u8] = b"afresh/commit/1\n";

/// An object by name and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its name.
    pub id: ObjectId,
    /// Its length in bytes.
    pub len: u64,
}

/// How an execution ended, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Status {
    /// It returned.
    Completed = 1,
    /// It raised.
    Failed = 2,
}

impl Status {
    /// The status's number in stored formats.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The status with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Completed),
            2 => Some(Self::Failed),
            _ => None,
        }
    }

    /// `completed` or `failed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for Status {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "completed" => Ok(Self::Completed),
            "failed" => Ok(Self::Failed),
            _ => Err(Error::new(Kind::Config, format!("no status is called `{text}`"))
                .with_hint("a status is `completed` or `failed`")),
        }
    }
}

/// A label for finding and invalidating; never part of the fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// The key; no `=`, no control characters.
    pub key: String,
    /// The value; a tag may be a bare key.
    pub value: Option<String>,
}

impl Tag {
    /// The longest key or value, in bytes.
    pub const MAX: usize = 256;

    /// A tag.
    ///
    /// # Errors
    /// [`Kind::Config`] where the key is empty or holds `=` or a control character, or either part is too long.
    pub fn new(key: impl Into<String>, value: Option<String>) -> Result<Self> {
        let key = key.into();
        let long = key.len() > Self::MAX || value.as_ref().is_some_and(|v| v.len() > Self::MAX);
        let control = key.chars().chain(value.iter().flat_map(|v| v.chars())).any(char::is_control);
        if key.is_empty() || key.contains('=') || control || long {
            return Err(Error::new(Kind::Config, format!("`{}` is not a tag", key.escape_debug()))
                .with_hint("a tag is `key` or `key=value`: no `=` in the key, no control characters, 256 bytes each"));
        }
        Ok(Self { key, value })
    }

    /// Whether this, as a condition, selects `tag`: the same key, and the same value if it has one.
    pub fn selects(&self, tag: &Self) -> bool {
        self.key == tag.key && (self.value.is_none() || self.value == tag.value)
    }
}

impl FromStr for Tag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((key, value)) => Self::new(key, Some(value.to_owned())),
            None => Self::new(text, None),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// Outputs of at most this many bytes are kept within the commit and the head instead of as objects.
pub const INLINE_MAX: usize = 256;

/// Whether and how the output was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// As this object, through this codec.
    Object {
        /// Which.
        object: ObjectRef,
        /// The codec, such as `pickle`.
        codec: String,
        /// Keyed digest of fingerprint, codec and output.
        signature: Option<[u8; 32]>,
        /// The canonical digest of the value, where the codec gives back exactly what it was given: as an
        /// argument the output counts as this value, whoever passes it.
        value: Option<fp1::Digest>,
        /// The bytes themselves, where they are few: then there is no object in the store.
        inline: Option<Vec<u8>>,
    },
    /// Not at all, because …
    No {
        /// Why, for a person.
        reason: String,
    },
}

/// What was raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The type of the exception or error.
    pub kind: String,
    /// What it says.
    pub message: String,
    /// The traceback, as text.
    pub traceback: String,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It returned.
    Completed(Kept),
    /// It raised.
    Failed(Failure),
}

/// Who computed it, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The user.
    pub user: String,
    /// The host.
    pub host: String,
    /// The process.
    pub pid: u32,
}

/// What is inside an argument, as an [outline](crate::Outline).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlined {
    /// Which argument, by its place.
    pub argument: u32,
    /// The outline's stored form.
    pub object: ObjectRef,
    /// The bytes themselves, where they are few: then there is no object in the store.
    pub inline: Option<Vec<u8>>,
}

/// The immutable record of one execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// What was called.
    pub fingerprint: Fingerprint,
    /// The function's name.
    pub function: String,
    /// The digest of what the function was.
    pub function_id: FunctionId,
    /// The object that explains that digest, where it was kept.
    pub function_record: Option<ObjectId>,
    /// The bound arguments.
    pub arguments: Vec<Argument>,
    /// The execution of the same fingerprint before this one.
    pub parent: Option<CommitId>,
    /// The executions whose outputs went in, where they were passed as references.
    pub inputs: Vec<CommitId>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// How long its answer was meant to last, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// Labels.
    pub tags: Vec<Tag>,
    /// Who and where.
    pub who: Who,
    /// Random, so that no two executions have one id.
    pub nonce: u64,
    /// What is inside those arguments that have an inside.
    #[serde(skip)]
    pub outlines: Vec<Outlined>,
}

impl Commit {
    /// The stored form and the id it has.
    ///
    /// # Errors
    /// [`Kind::Codec`] if the encoder refuses, which it does not for these types.
    pub fn encode(&self) -> Result<(CommitId, Bytes)> {
        let format = if self.outlines.is_empty() { COMMIT_FORMAT } else { OUTLINED_FORMAT };
        let mut bytes = Vec::with_capacity(USUAL);
        bytes.push(format);
        let mut encoded = postcard::to_extend(self, bytes);
        if !self.outlines.is_empty() {
            encoded = encoded.and_then(|bytes| postcard::to_extend(&self.outlines, bytes));
        }
        let bytes = encoded.map_err(|error| {
            Error::new(Kind::Codec, "a commit could not be encoded").with_source(error)
        })?;
        Ok((Self::id_of(&bytes), bytes.into()))
    }

    /// The id of a stored form.
    pub fn id_of(bytes: &[u8]) -> CommitId {
        CommitId::new(*ObjectId::of_parts([DOMAIN, bytes]).as_bytes())
    }

    /// Reads the stored form of the commit called `id`.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where the bytes are not that commit.
    pub fn decode(id: &CommitId, bytes: &[u8]) -> Result<Self> {
        if Self::id_of(bytes) != *id {
            return Err(
                Error::new(Kind::Corrupt, "a commit is not what was written").with_key(id.short())
            );
        }
        if bytes.first() != Some(&OUTLINED_FORMAT) {
            return decode(bytes, COMMIT_FORMAT, "commit");
        }
        let (mut commit, outlines): (Self, Vec<Outlined>) =
            decode(bytes, OUTLINED_FORMAT, "commit")?;
        if outlines.is_empty() {
            return Err(Error::new(Kind::Corrupt, "a stored commit has no outlines to go with it"));
        }
        commit.outlines = outlines;
        Ok(commit)
    }

    /// Every object that explains the commit and need not be there: the function record and outlines.
    pub fn explanations(&self) -> impl Iterator<Item = ObjectId> + '_ {
        let stored = self.outlines.iter().filter(|outlined| outlined.inline.is_none());
        self.function_record.into_iter().chain(stored.map(|outlined| outlined.object.id))
    }

    /// How it ended, in one byte.
    pub fn status(&self) -> Status {
        match self.outcome {
            Outcome::Completed(_) => Status::Completed,
            Outcome::Failed(_) => Status::Failed,
        }
    }

    /// The output and its codec, where it was kept.
    pub fn output(&self) -> Option<(&ObjectRef, &str)> {
        match &self.outcome {
            Outcome::Completed(Kept::Object { object, codec, .. }) => Some((object, codec)),
            _ => None,
        }
    }

    /// The object that the commit needs in the store, where there is one.
    pub fn stored_output(&self) -> Option<ObjectRef> {
        match &self.outcome {
            Outcome::Completed(Kept::Object { object, inline: None, .. }) => Some(*object),
            _ => None,
        }
    }

    /// When it ended.
    pub fn created(&self) -> Timestamp {
        self.started.after(std::time::Duration::from_micros(self.took_us))
    }
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], format: u8, what: &str) -> Result<T> {
    let corrupt = |text: String| Error::new(Kind::Corrupt, text);
    match bytes.split_first() {
        Some((found, rest)) if *found == format => match postcard::take_from_bytes(rest) {
            Ok((value, [])) => Ok(value),
            Ok(_) => Err(corrupt(format!("a stored {what} has bytes left over"))),
            Err(error) => {
                Err(corrupt(format!("a stored {what} cannot be read")).with_source(error))
            }
        },
        Some((found, _)) => {
            Err(corrupt(format!("a stored {what} has format {found}; this afresh reads {format}")))
        }
        None => Err(corrupt(format!("a stored {what} is empty"))),
    }
}
