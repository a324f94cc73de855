//! Why a piece of source could not be turned into a definition. Callers fall back to the code
//! object, so an error costs precision and never an answer.

use std::fmt;

/// Why a piece of source could not be turned into a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The text is not Python that the parser knows.
    Syntax(String),
    /// Nothing of that name is on that line.
    NotFound,
    /// More than one definition fits, and they differ.
    Ambiguous,
    /// Nested more deeply than we follow.
    TooDeep,
    /// A construct that has no canonical form.
    Unsupported(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) => write!(f, "not valid Python: {message}"),
            Self::NotFound => f.write_str("no such definition in the source"),
            Self::Ambiguous => f.write_str("more than one definition fits"),
            Self::TooDeep => f.write_str("nested too deeply"),
            Self::Unsupported(what) => write!(f, "{what} has no canonical form"),
        }
    }
}

impl std::error::Error for Error {}

/// Shorthand for results of this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
