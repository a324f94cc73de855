//! One error for the whole system: what went wrong, whether to try again, and what to do next.
//!
//! Invariant: no field ever holds a secret; addresses are redacted before they get here.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The result of every fallible operation of afresh.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Python exceptions mirror these one to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The caller asked for something that cannot be: a bad address, option, hash or duration.
    Config,
    /// The store or the operating system refused: permissions, read-only, wrong password or signature.
    Denied,
    /// The store cannot be reached or cannot work now: down, full, busy, removed.
    Unavailable,
    /// Somebody else changed the entry first.
    Conflict,
    /// More bytes than the store or a limit takes.
    TooLarge,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A value could not be turned into bytes, or bytes into a value.
    Codec,
    /// The store does not have this ability.
    Unsupported,
}

impl Kind {
    /// The kind in lower-case words, as messages show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Conflict => "conflict",
            Self::TooLarge => "too large",
            Self::Corrupt => "corrupt",
            Self::Codec => "codec",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Whether the same operation may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It will fail again until something is changed.
    Never,
    /// It may succeed at once or after a pause of the caller's choice.
    Maybe,
    /// It may succeed after this pause.
    After(Duration),
}

/// What went wrong, where, and what to do next. One pointer wide, so that results stay small.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    retry: Retry,
    message: String,
    store: Option<String>,
    op: Option<&'static str>,
    key: Option<String>,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says `message`. `Unavailable` and `Conflict` may be retried.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let retry = match kind {
            Kind::Unavailable | Kind::Conflict => Retry::Maybe,
            _ => Retry::Never,
        };
        Self(Box::new(Inner {
            kind,
            retry,
            message: message.into(),
            store: None,
            op: None,
            key: None,
            hint: None,
            source: None,
        }))
    }

    /// With the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// With one sentence that says what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// With the redacted address of the store.
    #[must_use]
    pub fn with_store(mut self, store: impl Into<String>) -> Self {
        self.0.store = Some(store.into());
        self
    }

    /// With the operation that failed.
    #[must_use]
    pub fn with_op(mut self, op: &'static str) -> Self {
        self.0.op = Some(op);
        self
    }

    /// With the key or object that was being worked on.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.0.key = Some(key.into());
        self
    }

    /// With another answer to "may I try again?".
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// What went wrong, without the context that `Display` adds.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The redacted address of the store, where one was involved.
    pub fn store(&self) -> Option<&str> {
        self.0.store.as_deref()
    }

    /// The operation that failed, where one was named.
    pub fn op(&self) -> Option<&'static str> {
        self.0.op
    }

    /// The key or object that was being worked on, where one was named.
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(key) = &self.0.key {
            write!(f, " ({key})")?;
        }
        match (&self.0.store, self.0.op) {
            (Some(store), Some(op)) => write!(f, " [{op} on {store}]")?,
            (Some(store), None) => write!(f, " [{store}]")?,
            (None, Some(op)) => write!(f, " [{op}]")?,
            (None, None) => {}
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
