//! A driver's error as one of ours. Invariant: only codes and our own words are passed on; servers repeat what they were sent.

use afresh_core::{Error, Kind};
use mongodb::error::{Error as Driver, ErrorKind, WriteFailure};

/// The code of a duplicate key.
const DUPLICATE: i32 = 11000;

/// The server's code for what went wrong, where it gave one.
fn code(error: &Driver) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

/// Whether it says that there is such a document already.
pub(crate) fn is_duplicate(error: &Driver) -> bool {
    code(error) == Some(DUPLICATE)
}

/// What it means.
pub(crate) fn error(error: Driver) -> Error {
    match (error.kind.as_ref(), code(&error)) {
        (ErrorKind::Authentication { .. }, _) | (_, Some(13 | 18)) => {
            Error::new(Kind::Denied, "the server does not let us in").with_hint(
                "are user and password right, and in the database that `authSource=` names? \
                 What is special in a password is escaped: `@` is `%40`",
            )
        }
        (ErrorKind::InvalidArgument { .. } | ErrorKind::InvalidTlsConfig { .. }, _) => {
            Error::new(Kind::Config, "the driver does not take the options of the address")
        }
        (ErrorKind::IncompatibleServer { .. }, _) => {
            Error::new(Kind::Unsupported, "the server is older than MongoDB 4.2")
                .with_hint("use a newer server")
        }
        (_, Some(10334 | 17419 | 17420)) => {
            Error::new(Kind::TooLarge, "a document of more than 16 MiB")
        }
        (_, Some(59 | 115 | 238)) => Error::new(Kind::Unsupported, "the server lacks a command"),
        (_, Some(code)) => Error::new(Kind::Unavailable, format!("the server said {code}")),
        (ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_), None) => {
            Error::new(Kind::Corrupt, "a document that afresh did not write")
        }
        (ErrorKind::Io(io), None) => {
            Error::new(Kind::Unavailable, format!("the server cannot be reached: {}", io.kind()))
        }
        (_, None) => Error::new(Kind::Unavailable, "the server cannot be reached"),
    }
}

/// A document that lacks something.
pub(crate) fn corrupt() -> Error {
    Error::new(Kind::Corrupt, "a document that afresh did not write")
}
