//! The values of a pickle as a graph, since a pickle may hold one value twice, or within itself.
//!
//! Values are built in place: a list that is in the memo is the list that is appended to later.

use std::borrow::Cow;

use super::{MAX_VALUES, Malformed};

/// Which value of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

/// A value that was called into being: by a class or function that is not called here.
#[derive(Debug)]
pub(super) struct Made {
    /// What would have been called.
    pub(super) by: Id,
    /// With these, a tuple as a rule.
    pub(super) arguments: Id,
    /// And these, a dict as a rule.
    pub(super) named: Option<Id>,
    /// What its attributes would have been set from.
    pub(super) state: Option<Id>,
    /// What would have been appended to it.
    pub(super) items: Vec<Id>,
    /// What would have been set in it.
    pub(super) pairs: Vec<(Id, Id)>,
}

#[derive(Debug)]
pub(super) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// Two's complement, little endian.
    Long(&'a [u8]),
    /// As it was written: a sign and digits.
    Digits(&'a str),
    Float(f64),
    Str(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    ByteArray(Cow<'a, [u8]>),
    /// Bytes that were kept beside the pickle; `None` where they are not at hand.
    Buffer(Option<&'a [u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Set(Vec<Id>),
    FrozenSet(Vec<Id>),
    /// Something that would have been imported: the module and the name in it, texts as a rule.
    Global(Id, Id),
    /// Something that would have been imported, by a number that was agreed on.
    Extension(u64),
    /// Something that the program would have looked up by this name.
    Persistent(Id),
    Made(Box<Made>),
}

#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    nodes: Vec<Node<'a>>,
}

impl<'a> Graph<'a> {
    pub(super) fn add(&mut self, node: Node<'a>, at: usize) -> Result<Id, Malformed> {
        if self.nodes.len() >= MAX_VALUES {
            return Err(Malformed::new("more values than can be shown", at));
        }
        let id = Id(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        Ok(id)
    }

    pub(super) fn get(&self, id: Id) -> &Node<'a> {
        // Every id was handed out by `add`.
        self.nodes.get(id.0 as usize).unwrap_or(&Node::None)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Node<'a>> {
        self.nodes.get_mut(id.0 as usize)
    }
}
