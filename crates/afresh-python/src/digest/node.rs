//! What a value is made of, one level deep.
//!
//! Every family of types turns a Python object into a [`Part`]: tokens that need nothing more, a
//! container to be read member by member, or a node whose fields are again parts. Nothing here
//! recurses: the parts of a node are written by the walk, which keeps its own stack, so that no
//! nesting overflows the one of the machine. A part never holds a sample or a rendering of a value.

use std::borrow::Cow;

use afresh_core::fp1::{Digest, Encoder};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::scalars;

/// One field of a node, or a whole value.
pub(super) enum Part<'py> {
    /// A Python object, to be classified by its type.
    Value(Bound<'py, PyAny>),
    /// Nothing.
    None,
    /// A number.
    Int(i64),
    /// Text.
    Str(Cow<'static, str>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// The number in an instance of `int` or a subclass.
    Integer(Bound<'py, PyAny>),
    /// The text in an instance of `str` or a subclass.
    Text(Bound<'py, PyString>),
    /// The bytes in an instance of `bytes` or a subclass.
    Memory(Bound<'py, PyBytes>),
    /// A binary64 number.
    Float(f64),
    /// A complex number.
    Complex(f64, f64),
    /// Something that was digested elsewhere.
    Digest(Digest),
    /// Elements of fixed size, hashed already.
    Array { dtype: String, shape: Vec<u64>, content: [u8; 32] },
    /// The members of a list (or of a subclass, as a list).
    List(Bound<'py, PyList>),
    /// The members of a tuple (or of a subclass, as a tuple).
    Tuple(Bound<'py, PyTuple>),
    /// The members of a set or frozenset, in no order.
    Set { members: Bound<'py, PyAny>, frozen: bool },
    /// The items of a dict (or of a subclass, as a dict), in no order.
    Dict(Bound<'py, PyDict>),
    /// A tuple of parts.
    Sequence(Vec<Part<'py>>),
    /// A node of a kind with its fields.
    Node(Cow<'static, str>, Vec<Part<'py>>),
    /// What can be told apart by these bytes only.
    Opaque(String, Vec<u8>),
}

impl<'py> Part<'py> {
    pub(super) fn node(kind: &'static str, fields: impl Into<Vec<Part<'py>>>) -> Self {
        Self::Node(Cow::Borrowed(kind), fields.into())
    }

    pub(super) fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Str(text.into())
    }
}

impl Part<'_> {
    /// Writes a part that has no parts itself; those that have are the walk's.
    pub(super) fn write(self, encoder: &mut Encoder, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::None => encoder.none(),
            Self::Int(value) => encoder.int(value),
            Self::Float(value) => encoder.float(value),
            Self::Complex(real, imaginary) => encoder.complex(real, imaginary),
            Self::Str(text) => encoder.str(&text),
            Self::Bytes(bytes) => scalars::write_bytes(encoder, py, &bytes),
            Self::Integer(value) => scalars::write_int(encoder, &value)?,
            Self::Text(value) => scalars::write_str(encoder, &value)?,
            Self::Memory(value) => scalars::write_bytes(encoder, py, value.as_bytes()),
            Self::Digest(digest) => encoder.digest(&digest),
            Self::Array { dtype, shape, content } => encoder.array(&dtype, &shape, &content),
            Self::Opaque(kind, bytes) => encoder.opaque(&kind, &bytes),
            Self::Value(_)
            | Self::List(_)
            | Self::Tuple(_)
            | Self::Set { .. }
            | Self::Dict(_)
            | Self::Sequence(_)
            | Self::Node(..) => {}
        }
        Ok(())
    }
}

impl<'py> From<Bound<'py, PyAny>> for Part<'py> {
    fn from(value: Bound<'py, PyAny>) -> Self {
        Self::Value(value)
    }
}
