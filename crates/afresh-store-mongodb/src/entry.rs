//! The document of an entry. Specified in `docs/format-store-mongodb.md`.
//!
//! Invariant: a document changes only where it still has the random bytes that were read, or whatever is in their place:
//! a document that somebody damaged is written over. What labels a document has, its body has too: they are there to be
//! searched by.

use afresh_core::{Error, Key, Kind, Result, Space, Tag, Timestamp};
use afresh_remote::cells::{Body, Cell, Cells, Clock, Swapped};
use async_trait::async_trait;
use mongodb::Collection;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use std::time::Duration;

use crate::error::{corrupt, error, is_duplicate};

/// How long a tombstone stays: no writer who saw the entry before it is still at work.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The longest body.
const LONGEST: usize = 15 << 20;

/// Where entries are.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    pub(crate) collection: Collection<Document>,
    pub(crate) clock: Clock,
}

/// What tells a write from all others, and since when the entry is there.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    random: Bson,
    made: i64,
}

pub(crate) fn binary(bytes: impl Into<Vec<u8>>) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.into() })
}

/// The name of an entry: the space's number and the key in digits, so that names are in the order of the keys.
pub(crate) fn name(space: Space, key: &[u8]) -> String {
    let mut name = format!("{}:", space.number());
    for byte in key {
        for digit in [byte >> 4, byte & 15] {
            name.extend(char::from_digit(digit.into(), 16));
        }
    }
    name
}

/// What a tag is found by: `key`, or `key=value`.
pub(crate) fn tagged(tag: &Tag) -> String {
    tag.value.as_ref().map_or_else(|| tag.key.clone(), |value| format!("{}={value}", tag.key))
}

pub(crate) fn date(time: Timestamp) -> Bson {
    Bson::DateTime(DateTime::from_millis(time.as_millis()))
}

impl Documents {
    /// The document of `body`.
    fn document(&self, key: &Key, body: &Body, made: i64) -> Result<(Document, Bson)> {
        let bytes = body.encode()?;
        if bytes.len() > LONGEST {
            let message = format!("an entry of {} bytes; the store takes {LONGEST}", bytes.len());
            return Err(Error::new(Kind::TooLarge, message));
        }
        let random = binary(bytes.get(9..25).ok_or_else(corrupt)?);
        let now = self.clock.now();
        let mut document = doc! {
            "_id": name(key.space(), key.bytes()),
            "random": random.clone(),
            "body": binary(bytes),
            "space": i32::from(key.space().number()),
            "made": made,
        };
        match body {
            Body::Tombstone(_) => {
                document.insert("gone", date(now.after(DAY)));
            }
            Body::Row(row) => {
                let labels = row.entry(now).labels;
                let mut tags: Vec<String> = labels.tags.iter().map(tagged).collect();
                tags.extend(labels.tags.iter().map(|tag| tag.key.clone()));
                tags.sort_unstable();
                tags.dedup();
                document.insert("there", true);
                document.insert("function", labels.function);
                document.insert("status", labels.status.map(|status| i32::from(status.number())));
                document.insert("group", labels.group.map(u64::cast_signed));
                document.insert("tags", tags);
                document.insert("time", labels.time.unwrap_or_default().as_millis());
                if let Some(end) = row.end {
                    document.insert("gone", date(end.after(DAY)));
                }
            }
        }
        Ok((document, random))
    }
}

/// The bytes of the body in a document; none where there are none.
pub(crate) fn body(document: &Document) -> &[u8] {
    document.get_binary_generic("body").map_or(&[], Vec::as_slice)
}

fn cell(key: &Key, document: &Document) -> Cell<Token> {
    let random = document.get("random").cloned().unwrap_or(Bson::Null);
    let made = document.get_i64("made").unwrap_or(0);
    Cell { body: Body::found(key, body(document)), token: Token { random, made } }
}

#[async_trait]
impl Cells for Documents {
    type Token = Token;

    async fn get(&self, key: &Key) -> Result<Option<Cell<Token>>> {
        let name = name(key.space(), key.bytes());
        let found = self.collection.find_one(doc! { "_id": name }).await.map_err(error)?;
        Ok(found.map(|document| cell(key, &document)))
    }

    async fn swap(
        &self,
        key: &Key,
        seen: Option<&Cell<Token>>,
        body: &Body,
    ) -> Result<Swapped<Token>> {
        let living = seen.filter(|cell| cell.body.live(self.clock.now()).is_some());
        let fresh = i64::try_from(body.version().0).unwrap_or(i64::MAX);
        let made = living.map_or(fresh, |cell| cell.token.made);
        let (document, random) = self.document(key, body, made)?;
        let written = match seen {
            Some(cell) => {
                let same = doc! {
                    "_id": name(key.space(), key.bytes()),
                    "random": { "$eq": cell.token.random.clone() },
                };
                let replaced = self.collection.replace_one(same, document).await.map_err(error)?;
                replaced.matched_count > 0
            }
            None => match self.collection.insert_one(document).await {
                Ok(_) => true,
                Err(driver) if is_duplicate(&driver) => false,
                Err(driver) => return Err(error(driver)),
            },
        };
        if written {
            return Ok(Swapped::Done(Cell { body: body.clone(), token: Token { random, made } }));
        }
        // The answer to our own write may have been lost, and the write sent again.
        Ok(match self.get(key).await? {
            Some(found) if found.token.random == random => Swapped::Done(found),
            found => Swapped::Refused(found),
        })
    }

    async fn erase(&self, key: &Key) -> Result<()> {
        let name = name(key.space(), key.bytes());
        self.collection.delete_one(doc! { "_id": name }).await.map_err(error)?;
        Ok(())
    }
}
