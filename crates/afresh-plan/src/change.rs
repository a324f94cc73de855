//! What is found out about a function: the changes, and what cannot be told. Plain data.

use afresh_core::FunctionId;

/// How something is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is there, and different.
    Changed,
    /// It was not there before.
    New,
    /// It is no longer there.
    Gone,
}

/// Something that is another today.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// What, as function records call it: a role and a name.
    pub label: String,
    /// Where it is today, or was: `etl.py:41`.
    pub place: Option<String>,
    /// How it differs.
    pub kind: Kind,
    /// Its digest now, where it is known.
    pub digest: Option<String>,
    /// Its source, or its value, as it was.
    pub before: Option<String>,
    /// The same as it is now.
    pub after: Option<String>,
    /// What there is to say beside that.
    pub note: Option<String>,
}

/// What was found out about one function.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// What is another, in the order of the record.
    pub(crate) changes: Vec<Change>,
    /// What cannot be told without running.
    pub(crate) untold: Vec<String>,
    /// The digest of the function as it is now, where it can be told.
    pub(crate) digest: Option<FunctionId>,
    /// Whether no file that is on record means another thing today.
    pub(crate) is_untouched: bool,
    /// Whether the function itself is no longer there.
    pub(crate) is_gone: bool,
}
