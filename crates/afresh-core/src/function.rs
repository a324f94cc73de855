//! Who is remembered, and with what it was called.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{CommitId, Fingerprint, FunctionId, ObjectId, fp1};

/// A function: its name, the digest of what it is, and the record that explains the digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Module and qualified name, such as `etl.clean`.
    pub name: String,
    /// The digest of its code and everything it reaches.
    pub id: FunctionId,
    /// The tree of named component digests, as JSON; kept as an object beside the commits.
    pub record: Bytes,
    /// The name of the record as an object.
    pub record_id: ObjectId,
}

impl Function {
    /// The function called `name` with digest `id`, explained by `record`.
    pub fn new(name: impl Into<String>, id: FunctionId, record: impl Into<Bytes>) -> Self {
        let record = record.into();
        Self { name: name.into(), id, record_id: ObjectId::of(&record), record }
    }
}

/// One bound argument. Commits keep it in this form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// The parameter's name.
    pub name: String,
    /// The canonical digest of the value.
    pub digest: fp1::Digest,
    /// The value for a person, shortened. Never part of any digest but the commit's own.
    pub preview: String,
    /// The commit whose output this is, where the caller passed a reference to it.
    pub source: Option<CommitId>,
}

impl Argument {
    /// Whether this is no parameter's value but what the execution was seen to read, such as `file:data.csv`: on
    /// record, and no part of the fingerprint. No parameter's name has a colon in it.
    pub fn is_recorded(&self) -> bool {
        self.name.contains(':')
    }

    /// The fingerprint of calling `function` with `arguments`.
    pub fn fingerprint(function: &FunctionId, name: &str, arguments: &[Self]) -> Fingerprint {
        fp1::fingerprint(name, function, arguments.iter().map(|a| (a.name.as_str(), &a.digest)))
    }
}
