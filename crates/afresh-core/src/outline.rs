//! What is inside an argument, in little: enough to say later where two values differ.
//!
//! A tree of names, short digests and previews, with a [`Sketch`] in place of long sequences. It is made when a call
//! runs, kept beside the commit, and read only to explain. It is bounded by whoever makes it; where something was left
//! out, `rest` stands for it. Never part of a fingerprint, and nothing is decided by it.

use serde::{Deserialize, Serialize};

use crate::commit::decode;
use crate::sketch::Sketch;
use crate::{Error, Kind, Result, fp1};

/// The first byte of an encoded outline.
pub const OUTLINE_FORMAT: u8 = 1;
/// How deep an outline may be nested.
pub const OUTLINE_DEPTH: usize = 32;

/// The beginning of a digest: to tell differences, not to be relied on.
pub type Short = [u8; 8];

/// The beginning of a value's digest.
pub fn short(digest: &fp1::Digest) -> Short {
    digest.0.first_chunk().copied().unwrap_or_default()
}

/// A value, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// For a person, shortened.
    pub preview: String,
    /// What it is made of.
    pub inside: Inside,
}

/// What a value is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inside {
    /// Nothing that is looked into.
    Leaf(Short),
    /// Parts with names.
    Fields(Vec<(Name, Outline)>, Option<Rest>),
    /// Parts in order.
    Items(Vec<Outline>, Option<Rest>),
    /// Parts in no order.
    Members(Vec<(Short, String)>, Option<Rest>),
    /// Many parts of one kind, in order.
    Rows(Rows),
}

/// By what a part is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Name {
    /// A key, as it is written between the brackets.
    Key(String),
    /// An attribute.
    Attribute(String),
    /// A column of a table, as it is written between the brackets.
    Column(String),
    /// A part that the maker names: `index`, `values`, `class`.
    Part(String),
}

/// What was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// How many parts.
    pub count: u64,
    /// Of the whole, with those parts.
    pub whole: Short,
}

/// A sequence of parts that are told apart by hashes alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The type of the elements; empty where each has its own.
    pub dtype: String,
    /// The extents; one for a plain sequence.
    pub shape: Vec<u64>,
    /// What is known of them.
    pub cells: Cells,
}

/// What is known of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cells {
    /// A hash of each.
    Exact(Vec<[u8; 4]>),
    /// Less than that.
    Sketch(Sketch),
    /// Whether they are the same as a whole.
    Whole(Short),
}

impl Rows {
    /// How many elements there are.
    pub fn len(&self) -> u64 {
        self.shape.iter().fold(1, |product: u64, extent| product.saturating_mul(*extent))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_sound(&self) -> bool {
        match &self.cells {
            Cells::Exact(hashes) => hashes.len() as u64 == self.len(),
            Cells::Sketch(sketch) => sketch.is_sound(),
            Cells::Whole(_) => true,
        }
    }
}

/// The stored form of an outline: itself and then its parts, each followed by its own. Flat, so that reading what
/// somebody else wrote takes no more stack than it should.
#[derive(Serialize, Deserialize)]
struct Stored {
    preview: String,
    inside: StoredInside,
}

#[derive(Serialize, Deserialize)]
enum StoredInside {
    Leaf(Short),
    Fields(Vec<Name>, Option<Rest>),
    Items(u64, Option<Rest>),
    Members(Vec<(Short, String)>, Option<Rest>),
    Rows(Rows),
}

impl Outline {
    /// The stored form.
    ///
    /// # Errors
    /// [`Kind::Codec`] if the encoder refuses, which it does not for these types.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut parts = Vec::new();
        self.store(&mut parts);
        postcard::to_extend(&parts, vec![OUTLINE_FORMAT]).map_err(|error| {
            Error::new(Kind::Codec, "an outline could not be encoded").with_source(error)
        })
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where the bytes are no outline of a known format, or one that contradicts itself.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let parts: Vec<Stored> = decode(bytes, OUTLINE_FORMAT, "outline")?;
        let mut parts = parts.into_iter();
        Self::read(&mut parts, OUTLINE_DEPTH)
            .filter(|_| parts.next().is_none())
            .ok_or_else(|| Error::new(Kind::Corrupt, "a stored outline contradicts itself"))
    }

    fn store(&self, parts: &mut Vec<Stored>) {
        let inside = match &self.inside {
            Inside::Leaf(digest) => StoredInside::Leaf(*digest),
            Inside::Fields(fields, rest) => {
                StoredInside::Fields(fields.iter().map(|(name, _)| name.clone()).collect(), *rest)
            }
            Inside::Items(items, rest) => StoredInside::Items(items.len() as u64, *rest),
            Inside::Members(members, rest) => StoredInside::Members(members.clone(), *rest),
            Inside::Rows(rows) => StoredInside::Rows(rows.clone()),
        };
        parts.push(Stored { preview: self.preview.clone(), inside });
        match &self.inside {
            Inside::Fields(fields, _) => fields.iter().for_each(|(_, field)| field.store(parts)),
            Inside::Items(items, _) => items.iter().for_each(|item| item.store(parts)),
            Inside::Leaf(_) | Inside::Members(..) | Inside::Rows(_) => {}
        }
    }

    fn read(parts: &mut impl Iterator<Item = Stored>, depth: usize) -> Option<Self> {
        let Stored { preview, inside } = parts.next().filter(|_| depth > 0)?;
        let inside = match inside {
            StoredInside::Leaf(digest) => Inside::Leaf(digest),
            StoredInside::Fields(names, rest) => {
                let mut fields = Vec::with_capacity(names.len());
                for name in names {
                    fields.push((name, Self::read(parts, depth - 1)?));
                }
                Inside::Fields(fields, rest)
            }
            StoredInside::Items(count, rest) => {
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(Self::read(parts, depth - 1)?);
                }
                Inside::Items(items, rest)
            }
            StoredInside::Members(members, rest) => Inside::Members(members, rest),
            StoredInside::Rows(rows) => Inside::Rows(rows.is_sound().then_some(rows)?),
        };
        Some(Self { preview, inside })
    }
}
