//! What the driver says, as an error of afresh, and what to do about it.
//!
//! Invariant: what a server does not execute (it is another's slot, a script is not known) is tried again; what may have
//! been executed is not. A full server is `TooLarge` and not `Unavailable`: reading goes on.

use afresh_core::{Error, Kind};
use redis::{ErrorKind, RedisError};

/// An error in what was asked for.
pub(crate) fn config(message: &str) -> Error {
    Error::new(Kind::Config, message)
}

/// An answer that no server of ours gives.
pub(crate) fn odd(what: &str) -> Error {
    Error::new(
        Kind::Corrupt,
        format!("the server answered {what} as this version of afresh cannot"),
    )
    .with_hint("is another program writing under the same prefix?")
}

/// What follows from an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing was done: load the scripts and try again.
    Load,
    /// Nothing was done: look anew for who is responsible, and try again.
    Look,
    /// Nothing was done: try again in a moment.
    Wait,
    /// The connection is gone, and whether anything was done is not known.
    Lost,
    /// It is as it is.
    Fail,
}

/// Code and text of what the server said, of the first command that failed.
fn told(error: &RedisError) -> (String, String) {
    let first = error.clone().into_server_errors();
    match first.as_deref().and_then(<[_]>::first) {
        Some((_, error)) => {
            (error.code().to_owned(), error.details().unwrap_or_default().to_owned())
        }
        None => (
            error.code().unwrap_or_default().to_owned(),
            error.detail().unwrap_or_default().to_owned(),
        ),
    }
}

pub(crate) fn next(error: &RedisError) -> Next {
    let (code, text) = told(error);
    match code.as_str() {
        "NOSCRIPT" => Next::Load,
        // A key that a script looks at besides those it names is being moved. Such scripts may run twice.
        _ if text.contains("non local key") => Next::Wait,
        "MOVED" | "READONLY" | "MASTERDOWN" | "UNBLOCKED" => Next::Look,
        "ASK" | "TRYAGAIN" | "CLUSTERDOWN" => Next::Wait,
        "" if error.is_io_error() || error.is_unrecoverable_error() => Next::Lost,
        _ => Next::Fail,
    }
}

/// For whoever called.
pub(crate) fn convert(error: RedisError) -> Error {
    let (code, text) = told(&error);
    let make = |kind, message: &str, hint: &str| Error::new(kind, message).with_hint(hint);
    let made = match code.as_str() {
        "WRONGPASS" | "NOAUTH" => denied(),
        _ if error.kind() == ErrorKind::AuthenticationFailed => denied(),
        "NOPERM" => make(
            Kind::Denied,
            "the user of the address may not do what the store needs",
            "docs/guide/stores/redis.md has the rule for ACL SETUSER",
        ),
        "LOADING" => make(
            Kind::Unavailable,
            "the server is still loading its data",
            "it answers once it is done",
        ),
        "MISCONF" => make(
            Kind::TooLarge,
            "the server takes no writes, because it cannot save its data",
            "is its disk full? its log says more",
        ),
        "READONLY" | "MASTERDOWN" => replica(),
        "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "MOVED" => make(
            Kind::Unavailable,
            "the cluster is being rearranged",
            "the store answers again once its slot has a server",
        ),
        "BUSY" => make(
            Kind::Unavailable,
            "the server is busy with somebody's script",
            "SCRIPT KILL ends it",
        ),
        _ if code == "OOM" || text.contains("OOM command not allowed") => make(
            Kind::TooLarge,
            "the server is full (maxmemory)",
            "raise maxmemory, or remove something: `afresh gc --budget`",
        ),
        _ if error.kind() == ErrorKind::RESP3NotSupported || unknown_hello(&code, &text) => {
            too_old("older than 6.0")
        }
        "" if error.is_timeout() => {
            Error::new(Kind::Unavailable, "the server did not answer in time")
        }
        "" if error.is_io_error() || error.is_unrecoverable_error() => {
            Error::new(Kind::Unavailable, "the server cannot be reached")
                .with_hint("is it running, at this address?")
        }
        _ => Error::new(Kind::Unavailable, "the server could not do it"),
    };
    made.with_source(error)
}

fn unknown_hello(code: &str, text: &str) -> bool {
    code == "NOPROTO"
        || text.to_ascii_lowercase().contains("unknown command") && text.contains("HELLO")
}

/// What it says may be older than what we were told.
pub(crate) fn replica() -> Error {
    Error::new(Kind::Unavailable, "the server is a replica, and no master was found")
        .with_hint("name the master, or use redis+sentinel://")
}

fn denied() -> Error {
    Error::new(Kind::Denied, "the server does not accept the user and password of the address")
        .with_hint(
            "write redis://user:password@host, or redis://:password@host where there are no users",
        )
}

pub(crate) fn too_old(version: &str) -> Error {
    Error::new(Kind::Unsupported, format!("the server is Redis {version}"))
        .with_hint("the store needs Redis 6.2 or later, or Valkey")
}
