//! What can go wrong below, and how it is told above.
//!
//! [`Fault`] is what the modules of this crate pass among themselves: it keeps apart what `slot` must act on (the
//! database is damaged, or no longer where it was) from what is only reported. Every message names what
//! happened; every hint says what to do next.

use std::io;
use std::path::{Path, PathBuf};

use afresh_core::{Error, Kind};
use rusqlite::ErrorCode;

/// Why an operation did not happen.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Ready to be reported.
    Error(Error),
    /// From SQLite.
    Sqlite(rusqlite::Error),
    /// From the file system: what was tried, where.
    Io(&'static str, PathBuf, io::Error),
    /// The database file is not the one that was opened.
    Replaced,
    /// What was prepared no longer fits; prepare again.
    Again,
}

pub(crate) type Outcome<T> = Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Fault {
    /// For `map_err`: the file system refused to `what` at `path`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io(what, path.to_owned(), error)
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            _ => None,
        }
    }

    /// Whether the database itself is not what was written.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// Whether another process holds what is needed.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// As the caller sees it.
    pub(crate) fn explain(self, op: &'static str, address: &str) -> Error {
        let error = match self {
            Self::Error(error) => error,
            Self::Io(what, path, source) => explain_io(what, &path, source),
            Self::Replaced | Self::Again => Error::new(
                Kind::Unavailable,
                "the store's files were replaced again and again while it was in use",
            )
            .with_hint("see whether something else empties the folder"),
            Self::Sqlite(error) => explain_sqlite(error),
        };
        error.with_op(op).with_store(address)
    }
}

pub(crate) fn denied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Nothing can be written to a store that was opened where writing is not allowed.
pub(crate) fn read_only() -> Error {
    Error::new(Kind::Denied, "the store can be read, not written")
        .with_hint("make its folder and the files in it writable, or choose another folder")
}

fn explain_io(what: &'static str, path: &Path, source: io::Error) -> Error {
    let message = format!("could not {what} `{}`", path.display());
    let (kind, hint) = match source.kind() {
        _ if denied(&source) => (Kind::Denied, "make the folder writable, or choose another one"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Kind::Unavailable, "free some space; nothing that was kept is lost")
        }
        io::ErrorKind::NotFound => {
            (Kind::Unavailable, "the folder was removed, or its parent is missing")
        }
        io::ErrorKind::NotADirectory => {
            (Kind::Config, "a store needs a folder of its own, not a file")
        }
        _ => (Kind::Unavailable, "see whether the disk works and the path is right"),
    };
    Error::new(kind, message).with_hint(hint).with_source(source)
}

fn explain_sqlite(error: rusqlite::Error) -> Error {
    let (kind, message, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Kind::Unavailable,
            "another process kept the store locked for longer than this one waits",
            "see whether a process that uses the store is stopped",
        ),
        Some(ErrorCode::DiskFull) => (
            Kind::Unavailable,
            "the disk is full",
            "free some space; nothing that was kept is lost",
        ),
        Some(
            ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::AuthorizationForStatementDenied,
        ) => {
            return read_only().with_source(error);
        }
        Some(ErrorCode::CannotOpen) => (
            Kind::Unavailable,
            "the database could not be opened",
            "see whether its folder exists and may be read and written",
        ),
        Some(ErrorCode::SystemIoFailure) => (
            Kind::Unavailable,
            "the database could not be read or written",
            "see whether the disk works and has space",
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
            Kind::Corrupt,
            "the database is damaged",
            "it is set aside in `quarantine`; the store begins anew and fills again by itself",
        ),
        Some(ErrorCode::TooBig) => {
            (Kind::TooLarge, "more bytes than a row can hold", "keep large values as objects")
        }
        _ => (Kind::Unavailable, "the database refused", "this is worth a bug report"),
    };
    Error::new(kind, message).with_hint(hint).with_source(error)
}
