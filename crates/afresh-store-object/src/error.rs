//! A driver's error as one of ours.
//!
//! Invariant: nothing that a server or a driver said is passed on word for word but codes and causes in which no secret
//! can be: servers repeat what they were sent, and some drivers name whole addresses.

use std::error::Error as StdError;
use std::io;

use afresh_core::{Error, Kind};
use object_store::Error as Driver;

/// What S3, Azure and Google say when there is no such bucket.
const NO_BUCKET: [&str; 4] =
    ["NoSuchBucket", "ContainerNotFound", "bucket does not exist", "container does not exist"];

/// What S3 and Azure say when the bucket is in another place than the request was signed for.
const ELSEWHERE: [&str; 5] = [
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "IllegalLocationConstraintException",
    "incorrectly configured region",
    "TemporaryRedirect",
];

/// Whether it says that there is no such object. That there is no bucket is another thing.
pub(crate) fn is_absent(error: &Driver) -> bool {
    matches!(error, Driver::NotFound { .. }) && !says(error, &NO_BUCKET)
}

/// Whether it says that a condition did not hold.
pub(crate) fn is_refusal(error: &Driver) -> bool {
    matches!(
        error,
        Driver::AlreadyExists { .. } | Driver::Precondition { .. } | Driver::NotModified { .. }
    )
}

/// What it means.
pub(crate) fn error(error: &Driver) -> Error {
    if says(error, &NO_BUCKET) {
        return Error::new(Kind::Config, "there is no such bucket").with_hint(
            "create it first, or mend the name in the address: afresh makes no buckets",
        );
    }
    if says(error, &ELSEWHERE) {
        return Error::new(Kind::Config, "the bucket is in another region")
            .with_hint("name its region in the address: `region=eu-central-1`");
    }
    match error {
        Driver::PermissionDenied { .. } | Driver::Unauthenticated { .. } => denied(error),
        Driver::NotSupported { .. } | Driver::NotImplemented { .. } => {
            Error::new(Kind::Unsupported, "the server cannot do what the store needs")
                .with_hint("the store needs puts with `If-Match` and `If-None-Match`")
        }
        Driver::InvalidPath { .. } => {
            Error::new(Kind::Config, "the prefix is not one that a bucket can have")
        }
        Driver::UnknownConfigurationKey { .. } => {
            Error::new(Kind::Config, "an option that the driver does not know")
        }
        _ => match (cause(error), status(error)) {
            (Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem), _) => {
                denied(error)
            }
            (Some(kind), _) => {
                Error::new(Kind::Unavailable, format!("the store cannot be reached: {kind}"))
            }
            (None, Some(400)) => refused(error, Kind::Config, 400),
            (None, Some(401 | 403)) => denied(error),
            (None, Some(404)) => refused(error, Kind::Corrupt, 404),
            (None, Some(413)) => refused(error, Kind::TooLarge, 413),
            (None, Some(501)) => refused(error, Kind::Unsupported, 501),
            (None, Some(status)) => refused(error, Kind::Unavailable, status),
            (None, None) => {
                Error::new(Kind::Unavailable, "the server cannot be reached or does not answer")
            }
        },
    }
}

fn denied(error: &Driver) -> Error {
    let code = code(error).map(|code| format!(": {code}")).unwrap_or_default();
    Error::new(Kind::Denied, format!("access to the store was denied{code}")).with_hint(
        "are the keys in the address right, and may they read, write, delete and list there? \
         `+` in a key is written `%2B`",
    )
}

fn refused(error: &Driver, kind: Kind, status: u16) -> Error {
    let code = code(error).map(|code| format!(", {code}")).unwrap_or_default();
    Error::new(kind, format!("the server said {status}{code}"))
}

fn says(error: &Driver, words: &[&str]) -> bool {
    let text = error.to_string();
    words.iter().any(|word| text.contains(word))
}

/// The status in what the driver says; it keeps its own type to itself.
fn status(error: &Driver) -> Option<u16> {
    let text = error.to_string();
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// The code in an answer in XML, if it is a plain word.
fn code(error: &Driver) -> Option<String> {
    let text = error.to_string();
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    (code.len() < 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .then(|| code.to_owned())
}

/// What the operating system said, at the bottom of it.
fn cause(error: &Driver) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(this) = source {
        if let Some(error) = this.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = this.source();
    }
    None
}

/// What the operating system says of a local folder.
pub(crate) fn local(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::Denied,
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => Kind::Config,
        _ => Kind::Unavailable,
    };
    Error::new(kind, "the folder cannot be used").with_source(error)
}
