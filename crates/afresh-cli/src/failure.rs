//! Why a command ends early: an exit code, what is wrong, and what to do next.
//!
//! Invariant: every message is one sentence that names what was given; the hint, where there is one, names what
//! is allowed or what to do. Printing is done in `program`, once.

use std::io;

use afresh::{Error, Kind};

/// It worked.
pub(crate) const OK: u8 = 0;
/// Something was not found, or failed.
pub(crate) const FAILED: u8 = 1;
/// The arguments ask for something that cannot be.
pub(crate) const USAGE: u8 = 2;

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: FAILED, message: message.into(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, ..Self::new(message) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// For what was given on the command line: a wrong address or hash is a wrong argument.
    pub(crate) fn argument(error: &Error) -> Self {
        let wrong = matches!(error.kind(), Kind::Config | Kind::Unsupported);
        let code = if wrong { USAGE } else { FAILED };
        Self { code, ..Self::from_error(error) }
    }

    /// For `map_err`: `what` could not be done with the file at `path`.
    pub(crate) fn file(what: &str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::new(format!("could not {what} `{}`: {error}", path.display()))
    }

    fn from_error(error: &Error) -> Self {
        Self { code: FAILED, message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from_error(&error)
    }
}

/// The only streams whose errors are not named where they happen are the standard ones.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(format!("could not write to standard output: {error}"))
    }
}
