//! What `--json` writes about a commit. Names and meanings stay; new fields may come.
//!
//! Times are RFC 3339 in UTC, spans are whole microseconds or milliseconds with the unit in the name, sizes are
//! bytes, hashes are complete. What does not apply is `null`, never left out.

use afresh::{Commit, CommitId, Kept, Outcome};
use serde::Serialize;

use crate::human::rfc3339;

#[derive(Serialize)]
pub(crate) struct CommitView<'a> {
    pub(crate) hash: String,
    pub(crate) function: &'a str,
    pub(crate) status: &'static str,
    pub(crate) started: String,
    pub(crate) finished: String,
    pub(crate) took_us: u64,
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) arguments: Vec<ArgumentView<'a>>,
    pub(crate) tags: Vec<TagView<'a>>,
    pub(crate) result: Option<ResultView<'a>>,
    pub(crate) not_kept: Option<&'a str>,
    pub(crate) failure: Option<FailureView<'a>>,
    pub(crate) parent: Option<String>,
    pub(crate) inputs: Vec<String>,
    pub(crate) fingerprint: String,
    pub(crate) function_id: String,
    pub(crate) user: &'a str,
    pub(crate) host: &'a str,
    pub(crate) pid: u32,
}

#[derive(Serialize)]
pub(crate) struct ArgumentView<'a> {
    name: &'a str,
    preview: &'a str,
    digest: String,
    source: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct TagView<'a> {
    key: &'a str,
    value: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct ResultView<'a> {
    object: String,
    bytes: u64,
    codec: &'a str,
    signed: bool,
}

#[derive(Serialize)]
pub(crate) struct FailureView<'a> {
    kind: &'a str,
    message: &'a str,
    traceback: &'a str,
}

impl<'a> CommitView<'a> {
    pub(crate) fn new(id: &CommitId, commit: &'a Commit) -> Self {
        let (mut result, mut not_kept, mut failure) = (None, None, None);
        match &commit.outcome {
            Outcome::Completed(Kept::Object { object, codec, signature, .. }) => {
                result = Some(ResultView {
                    object: object.id.to_string(),
                    bytes: object.len,
                    codec,
                    signed: signature.is_some(),
                });
            }
            Outcome::Completed(Kept::No { reason }) => not_kept = Some(reason.as_str()),
            Outcome::Failed(raised) => {
                failure = Some(FailureView {
                    kind: &raised.kind,
                    message: &raised.message,
                    traceback: &raised.traceback,
                });
            }
        }
        Self {
            hash: id.to_string(),
            function: &commit.function,
            status: commit.status().as_str(),
            started: rfc3339(commit.started),
            finished: rfc3339(commit.created()),
            took_us: commit.took_us,
            ttl_ms: commit.ttl_ms,
            arguments: commit.arguments.iter().map(ArgumentView::new).collect(),
            tags: commit
                .tags
                .iter()
                .map(|tag| TagView { key: &tag.key, value: tag.value.as_deref() })
                .collect(),
            result,
            not_kept,
            failure,
            parent: commit.parent.map(|id| id.to_string()),
            inputs: commit.inputs.iter().map(ToString::to_string).collect(),
            fingerprint: commit.fingerprint.to_string(),
            function_id: commit.function_id.to_string(),
            user: &commit.who.user,
            host: &commit.who.host,
            pid: commit.who.pid,
        }
    }
}

impl<'a> ArgumentView<'a> {
    fn new(argument: &'a afresh::Argument) -> Self {
        Self {
            name: &argument.name,
            preview: &argument.preview,
            digest: argument.digest.to_string(),
            source: argument.source.map(|id| id.to_string()),
        }
    }
}
