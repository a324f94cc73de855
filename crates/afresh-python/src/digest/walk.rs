//! The walk over a value: from parts to tokens, with a stack of its own.
//!
//! What is written depends on content only. Three things use addresses, and none shows in the
//! digest: the [`Path`], for values that contain themselves; the [`Memo`]; and, for graphs whose cycles are so entangled
//! that reading them as trees would take exponential time, the numbers of the objects in the order
//! in which they were finished. In such graphs alone sharing is part of the value.

use super::address::ByAddress;
use std::mem;

use afresh_core::fp1::{Digest, Encoder};
use pyo3::prelude::*;
use pyo3::types::{PyFrozenSet, PySet};

use super::context::Context;
use super::failure::{Failure, Fallible};
use super::frame::{Body, Frame, Members, Shape};
use super::memo::Memo;
use super::node::Part;
use super::path::Path;
use super::{kind, scalars};

/// Objects of cycles met again before the value is taken for a graph.
const ENTANGLED: usize = 512;
/// Deeper than this is taken for endless.
const DEEPEST: usize = 1_000_000;

pub(super) struct Walk<'a, 'py> {
    context: Context<'a, 'py>,
    encoder: Encoder,
    spare: Vec<Encoder>,
    frames: Vec<Frame<'py>>,
    path: Path,
    memo: Memo<'py>,
    cyclic: ByAddress<(Bound<'py, PyAny>, i64)>,
    met: usize,
    graph: bool,
}

impl<'a, 'py> Walk<'a, 'py> {
    pub(super) fn new(context: Context<'a, 'py>) -> Self {
        Self {
            context,
            encoder: Encoder::new(),
            spare: Vec::new(),
            frames: Vec::new(),
            path: Path::default(),
            memo: Memo::default(),
            cyclic: ByAddress::default(),
            met: 0,
            graph: false,
        }
    }

    /// The digest of a value.
    pub(super) fn digest(&mut self, value: &Bound<'py, PyAny>) -> Fallible<Digest> {
        match self.run(value) {
            Err(Failure::Graph) if !self.graph => {
                self.graph = true;
                self.frames.clear();
                self.path.clear();
                self.cyclic.clear();
                self.memo.clear();
                self.encoder.clear();
                self.run(value)
            }
            result => result,
        }
    }

    fn run(&mut self, value: &Bound<'py, PyAny>) -> Fallible<Digest> {
        self.value(value.clone())?;
        while let Some(mut frame) = self.frames.pop() {
            let next = match &mut frame.body {
                Body::Members(members) => self.member(members),
                body => body.ordered(&mut self.encoder)?,
            };
            match next {
                Some(part) => {
                    self.frames.push(frame);
                    self.part(part, None)?;
                }
                None => self.close(frame),
            }
        }
        Ok(self.encoder.finish())
    }

    /// Writes a value, or begins it.
    fn value(&mut self, value: Bound<'py, PyAny>) -> Fallible<()> {
        if scalars::write(&mut self.encoder, &value)? {
            return Ok(());
        }
        let address = value.as_ptr() as usize;
        if let Some(place) = self.path.find(address) {
            self.encoder.back(self.path.len() - 1 - place);
            self.refers_to(place);
            return Ok(());
        }
        if self.memo.write(address, &mut self.encoder) {
            return Ok(());
        }
        if let Some((_, number)) = self.cyclic.get(&address) {
            let number = *number;
            self.met += 1;
            if self.graph {
                self.encoder.node("seen", 1);
                self.encoder.int(number);
                self.refers_to(0);
                return Ok(());
            }
            if self.met > ENTANGLED {
                return Err(Failure::Graph);
            }
        }
        let part = kind::part(&mut self.context, &value)?;
        self.part(part, Some(value))
    }

    /// The container being read refers back to a place on the path.
    fn refers_to(&mut self, place: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.lowest = frame.lowest.min(place);
        }
    }

    /// Writes a part, or begins it.
    fn part(&mut self, part: Part<'py>, owner: Option<Bound<'py, PyAny>>) -> Fallible<()> {
        let (depth, position) = (self.encoder.depth(), self.encoder.position());
        let encoder = &mut self.encoder;
        let body = match part {
            Part::Value(value) => return self.value(value),
            Part::List(list) => {
                let len = list.len();
                encoder.list(len);
                Body::List { list, next: 0, len }
            }
            Part::Tuple(tuple) => {
                let len = tuple.len();
                encoder.tuple(len);
                Body::Tuple { tuple, next: 0, len }
            }
            Part::Sequence(parts) => {
                encoder.tuple(parts.len());
                Body::Parts(parts.into_iter())
            }
            Part::Node(kind, parts) => {
                encoder.node(&kind, parts.len());
                Body::Parts(parts.into_iter())
            }
            Part::Set { members, frozen } => {
                let shape = if frozen { Shape::Frozenset } else { Shape::Set };
                // The iteration of the built-in type, whatever a subclass makes of it.
                let members = if frozen {
                    members.py().get_type::<PyFrozenSet>().call_method1("__iter__", (members,))
                } else {
                    members.py().get_type::<PySet>().call_method1("__iter__", (members,))
                };
                self.members(shape, members?.try_iter()?.collect::<PyResult<Vec<_>>>()?)?
            }
            Part::Dict(dict) => {
                let mut members = Vec::with_capacity(dict.len() * 2);
                for (key, value) in dict.iter() {
                    members.push(key);
                    members.push(value);
                }
                self.members(Shape::Dict, members)?
            }
            leaf => return Ok(leaf.write(encoder, self.context.py)?),
        };
        if self.frames.len() > DEEPEST {
            let reason = "it is nested without an end";
            return Err(Failure::Undigestable {
                type_name: "object".into(),
                reason: reason.into(),
            });
        }
        if let Some(owner) = &owner {
            self.path.push(owner.as_ptr() as usize);
        }
        self.frames.push(Frame { body, owner, lowest: usize::MAX, depth, position });
        Ok(())
    }

    /// Digests the members that are scalars; the others wait.
    fn members(&mut self, shape: Shape, members: Vec<Bound<'py, PyAny>>) -> Fallible<Body<'py>> {
        let inner = self.spare.pop().unwrap_or_default();
        let outer = mem::replace(&mut self.encoder, inner);
        let mut digests = Vec::with_capacity(members.len());
        let mut waiting = Vec::new();
        for (place, member) in members.into_iter().enumerate() {
            self.encoder.clear();
            if scalars::write(&mut self.encoder, &member)? {
                digests.push(self.encoder.finish());
            } else {
                digests.push(Digest([0; 32]));
                waiting.push((place, member));
            }
        }
        if self.graph && matches!(shape, Shape::Dict) {
            // The order must not show in the numbers of the objects inside.
            waiting.sort_by_key(|(place, _)| (digests.get(place & !1).copied(), place & 1));
        }
        let waiting = waiting.into_iter();
        Ok(Body::Members(Members { shape, digests, waiting, current: None, outer }))
    }

    /// Takes the digest of the member that was read, and returns the next.
    fn member(&mut self, members: &mut Members<'py>) -> Option<Part<'py>> {
        if let Some(place) = members.current.take() {
            let digest = self.encoder.finish();
            Self::settle(members, place, digest);
        }
        let (place, member) = members.waiting.next()?;
        self.encoder.clear();
        members.current = Some(place);
        Some(Part::Value(member))
    }

    fn settle(members: &mut Members<'py>, place: usize, digest: Digest) {
        if let Some(slot) = members.digests.get_mut(place) {
            *slot = digest;
        }
    }

    /// Ends a container.
    fn close(&mut self, frame: Frame<'py>) {
        let Frame { body, owner, lowest, depth, position } = frame;
        if let Body::Members(mut members) = body {
            let outer = mem::take(&mut members.outer);
            self.spare.push(mem::replace(&mut self.encoder, outer));
            members.write(&mut self.encoder);
        }
        let Some(owner) = owner else {
            self.refers_to(lowest);
            return;
        };
        self.path.pop();
        let place = self.path.len();
        let address = owner.as_ptr() as usize;
        if lowest > place {
            if place > 0 || !self.frames.is_empty() {
                self.memo.keep(owner, &self.encoder, position, depth);
            }
            return;
        }
        if lowest < place {
            self.refers_to(lowest);
        }
        let number = i64::try_from(self.cyclic.len()).unwrap_or(i64::MAX);
        self.cyclic.insert(address, (owner, number));
    }
}
