//! Reading a pickle without executing it.
//!
//! A pickle is a program for a small stack machine; loading one may run anything. Here the machine is played with
//! pictures: what builds plain values builds them, what names or calls something leaves a note of the name and of
//! what it would have been given. All opcodes of protocols 0 to 5 are known. Nothing is imported, called or looked up.
//!
//! | to … | see |
//! |---|---|
//! | turn stored bytes into a Python-like literal | [`literal`], [`Limits`] |
//! | see what stored bytes look like around the pickle | `frame` |
//! | see an opcode | `machine` |
//! | see what a value is before it is written | `node`, `shape` |
//!
//! Invariants: no input makes it panic, recurse without bound, or take memory out of proportion to the input and
//! [`MAX_VALUES`]; what is written has at most [`Limits::characters`] characters (and a few brackets).

mod frame;
mod input;
mod machine;
mod node;
mod number;
mod quote;
mod shape;
mod write;

use std::fmt;

/// A pickle with more values than this is not shown: it would be no use to a person.
pub const MAX_VALUES: usize = 1 << 21;

/// How much is written, and how.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Columns that a line should keep to.
    pub width: usize,
    /// Characters after which `…` takes the place of the rest.
    pub characters: usize,
    /// Levels of nesting below which `…` takes the place of the rest.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { width: 80, characters: 64 << 10, depth: 40 }
    }
}

/// A value as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// The text, in one or more lines.
    pub text: String,
    /// Whether `…` stands for something.
    pub cut: bool,
}

/// Bytes that no pickler writes, or more of them than can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    what: String,
    at: usize,
}

impl Malformed {
    fn new(what: impl Into<String>, at: usize) -> Self {
        Self { what: what.into(), at }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for Malformed {}

/// The value in `stored` bytes of the codec `pickle`, framed or plain.
///
/// ```
/// use afresh_cli::pickle::{Limits, literal};
/// let stored = b"\x80\x04]\x94(K\x01\x8c\x01a\x94e.";
/// assert_eq!(literal(stored, &Limits::default()).unwrap().text, "[1, 'a']");
/// let attack = b"cos\nsystem\n(S'echo gotcha'\ntR.";
/// assert_eq!(literal(attack, &Limits::default()).unwrap().text, "<os.system('echo gotcha')>");
/// ```
///
/// # Errors
/// [`Malformed`] where the bytes are not a pickle, or hold more than [`MAX_VALUES`] values.
pub fn literal(stored: &[u8], limits: &Limits) -> Result<Literal, Malformed> {
    let frame = frame::split(stored)?;
    let (graph, root) = machine::read(frame.pickle, frame.buffers)?;
    Ok(write::write(&graph, root, limits))
}
