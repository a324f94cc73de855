//! What remains to be read of a container.

use std::vec;

use afresh_core::fp1::{Digest, Encoder};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::failure::{Failure, Fallible};
use super::node::Part;
use super::scalars;

/// A container that was begun.
pub(super) struct Frame<'py> {
    pub body: Body<'py>,
    /// The object, if it is one that could be met again.
    pub owner: Option<Bound<'py, PyAny>>,
    /// The outermost place on the path that something inside refers back to.
    pub lowest: usize,
    /// How many containers were open in the encoder when this one began.
    pub depth: usize,
    /// Where in the encoder it began.
    pub position: usize,
}

/// The members still to come.
pub(super) enum Body<'py> {
    List { list: Bound<'py, PyList>, next: usize, len: usize },
    Tuple { tuple: Bound<'py, PyTuple>, next: usize, len: usize },
    Parts(vec::IntoIter<Part<'py>>),
    Members(Members<'py>),
}

/// The members of an unordered container, each digested by itself.
pub(super) struct Members<'py> {
    pub shape: Shape,
    pub digests: Vec<Digest>,
    pub waiting: vec::IntoIter<(usize, Bound<'py, PyAny>)>,
    /// Where the digest of the member being read belongs.
    pub current: Option<usize>,
    /// What the container itself is written to.
    pub outer: Encoder,
}

#[derive(Clone, Copy)]
pub(super) enum Shape {
    Set,
    Frozenset,
    Dict,
}

impl<'py> Body<'py> {
    /// Writes members that are scalars and returns the first that is not.
    pub(super) fn ordered(&mut self, encoder: &mut Encoder) -> Fallible<Option<Part<'py>>> {
        match self {
            Self::List { list, next, len } => {
                while next < len {
                    let item = list.get_item(*next)?;
                    *next += 1;
                    if !scalars::write(encoder, &item)? {
                        return Ok(Some(Part::Value(item)));
                    }
                }
                if list.len() == *len {
                    return Ok(None);
                }
                Err(Failure::undigestable(list, "it changed while it was read"))
            }
            Self::Tuple { tuple, next, len } => {
                while next < len {
                    let item = tuple.get_borrowed_item(*next)?;
                    *next += 1;
                    if !scalars::write(encoder, &item)? {
                        return Ok(Some(Part::Value(item.to_owned())));
                    }
                }
                Ok(None)
            }
            Self::Parts(parts) => Ok(parts.next()),
            Self::Members(_) => Ok(None),
        }
    }
}

impl Members<'_> {
    /// Writes the container, all members of which have a digest.
    pub(super) fn write(self, encoder: &mut Encoder) {
        match self.shape {
            Shape::Set => encoder.set(false, self.digests),
            Shape::Frozenset => encoder.set(true, self.digests),
            Shape::Dict => {
                let pairs = self.digests.as_chunks::<2>().0;
                encoder.dict(pairs.iter().map(|[key, value]| (*key, *value)).collect());
            }
        }
    }
}
