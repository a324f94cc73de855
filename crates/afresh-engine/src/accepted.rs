//! What was accepted of one function: the statements, how they are followed, and how they are stored. Plain data.

use afresh_core::{Bytes, Error, FunctionId, Kind, ObjectId, Result, Timestamp, Who};
use serde::{Deserialize, Serialize};

/// The first byte of the record.
const FORMAT: u8 = 1;

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The function's digest after the edit.
    pub new: FunctionId,
    /// The digest whose answers it takes over.
    pub old: FunctionId,
    /// The digest of the edited code itself, as its function record names it. It differs from `new` where the identity
    /// rests on more than code.
    pub code: FunctionId,
    /// What was edited, as far as it is known.
    pub edits: Vec<Edit>,
    /// When it was said; set by [`Engine::accept`].
    pub at: Timestamp,
    /// Who said so.
    pub who: Who,
    /// Why.
    pub reason: Option<String>,
    /// Made with the secret, where there is one; set by [`Engine::accept`].
    pub signature: Option<[u8; 32]>,
}

/// One edited component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The component's label, as function records have it.
    pub label: String,
    /// Where it is, such as `etl.py:41`.
    pub place: Option<String>,
    /// Its digest after the edit; `None` where it is gone.
    pub digest: Option<String>,
}

/// The statements about one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    pub(crate) statements: Vec<Accept>,
}

impl Accepted {
    /// The statements, oldest first.
    pub fn statements(&self) -> &[Accept] {
        &self.statements
    }

    /// The digest that `id` answers as: itself, where nothing was said.
    pub fn resolve(&self, id: &FunctionId) -> FunctionId {
        self.chain(id).last().map_or(*id, |last| last.old)
    }

    /// The statements that lead from `id` to the digest it answers as.
    pub fn chain(&self, id: &FunctionId) -> Vec<&Accept> {
        let mut chain = Vec::new();
        let mut at = *id;
        // No longer than there are statements: also a circle that somebody wrote comes to an end.
        while chain.len() < self.statements.len()
            && let Some(next) = self.statement(&at)
        {
            at = next.old;
            chain.push(next);
        }
        chain
    }

    /// The statement about exactly this digest.
    pub fn statement(&self, new: &FunctionId) -> Option<&Accept> {
        self.statements.iter().find(|one| one.new == *new)
    }

    /// Adds a statement, in place of another about the same digest. Whether that is possible: a circle is not.
    pub(crate) fn add(&mut self, statement: Accept) -> bool {
        let circular = statement.new == statement.old
            || self.chain(&statement.old).iter().any(|one| one.old == statement.new);
        if !circular {
            self.statements.retain(|one| one.new != statement.new);
            self.statements.push(statement);
        }
        !circular
    }

    /// The function's name and its statements; `None` where the record is not one of ours.
    pub(crate) fn decode(record: &[u8]) -> Option<(String, Self)> {
        let (format, json) = record.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let stored: Stored = serde_json::from_slice(json).ok()?;
        let statements = stored.statements.into_iter().map(Accept::from_stored);
        Some((stored.function, Self { statements: statements.collect::<Option<_>>()? }))
    }

    pub(crate) fn encode(&self, function: &str) -> Result<Bytes> {
        let stored = Stored {
            function: function.to_owned(),
            statements: self.statements.iter().map(Accept::stored).collect(),
        };
        let mut record = vec![FORMAT];
        serde_json::to_writer(&mut record, &stored)
            .map_err(|error| Error::new(Kind::Config, format!("not recordable: {error}")))?;
        Ok(record.into())
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    function: String,
    statements: Vec<StoredAccept>,
}

#[derive(Serialize, Deserialize)]
struct StoredAccept {
    new: String,
    old: String,
    code: String,
    #[serde(default)]
    edits: Vec<Edit>,
    at_ms: i64,
    user: String,
    host: String,
    reason: Option<String>,
    #[serde(default)]
    signature: Option<String>,
}

impl Accept {
    fn stored(&self) -> StoredAccept {
        StoredAccept {
            new: self.new.to_string(),
            old: self.old.to_string(),
            code: self.code.to_string(),
            edits: self.edits.clone(),
            at_ms: self.at.as_millis(),
            user: self.who.user.clone(),
            host: self.who.host.clone(),
            reason: self.reason.clone(),
            signature: self.signature.map(|bytes| ObjectId::new(bytes).to_string()),
        }
    }

    fn from_stored(stored: StoredAccept) -> Option<Self> {
        let signature = stored.signature.map(|text| text.parse::<ObjectId>()).transpose().ok()?;
        Some(Self {
            new: stored.new.parse().ok()?,
            old: stored.old.parse().ok()?,
            code: stored.code.parse().ok()?,
            edits: stored.edits,
            at: Timestamp::from_millis(stored.at_ms),
            who: Who { user: stored.user, host: stored.host, pid: 0 },
            reason: stored.reason,
            signature: signature.map(|id| *id.as_bytes()),
        })
    }
}
