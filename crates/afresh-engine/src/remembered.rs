//! What is remembered of each function: its current answers, by the digest they are under, and what they took.
//!
//! Answers that are too old by their own time to live are not counted: they would be computed again anyway.

use std::collections::{BTreeMap, HashMap};

use afresh_core::{Commit, CommitId, Fingerprint, FunctionId, Head, Result, Scan, Space};

use crate::engine::Engine;
use crate::policy::{Evidence, Policy, RAISED, Verdict};

/// What is remembered of one function.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Its name.
    pub function: String,
    /// The commit of its newest answer.
    pub newest: (CommitId, Commit),
    /// The answers under each digest the function has had.
    pub versions: HashMap<FunctionId, Worth>,
}

/// How much some answers are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worth {
    /// How many there are.
    pub answers: u64,
    /// How long it took to compute them, in microseconds.
    pub took_us: u64,
}

impl Engine {
    /// Every function with answers, by name.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn remembered(&self) -> Result<Vec<Remembered>> {
        let mut heads: HashMap<Fingerprint, Head> = HashMap::new();
        self.each(Scan::new(Space::Head), |key, entry| {
            let fingerprint = Fingerprint::from_slice(key.bytes());
            let head = entry.record().and_then(|record| Head::decode(record).ok());
            if let Some((fingerprint, head)) = fingerprint.zip(head)
                && !head.codec.starts_with(RAISED)
                && self.judge(&Evidence::of(&head, entry.used), &Policy::default())
                    == Verdict::Fresh
            {
                heads.insert(fingerprint, Head { inline: None, ..head });
            }
        })
        .await?;
        let mut found: BTreeMap<String, Remembered> = BTreeMap::new();
        self.each(Scan::new(Space::Commit), |key, entry| {
            let id = CommitId::from_slice(key.bytes());
            let commit =
                id.zip(entry.record()).map(|(id, record)| (id, Commit::decode(&id, record)));
            let Some((id, Ok(commit))) = commit else { return };
            let Some(head) = heads.get(&commit.fingerprint).filter(|head| head.commit == id) else {
                return;
            };
            let of = found.entry(commit.function.clone()).or_insert_with(|| Remembered {
                function: commit.function.clone(),
                newest: (id, commit.clone()),
                versions: HashMap::new(),
            });
            let worth = of.versions.entry(commit.function_id).or_default();
            worth.answers += 1;
            worth.took_us += head.took_us;
            if commit.created() > of.newest.1.created() {
                of.newest = (id, commit);
            }
        })
        .await?;
        Ok(found.into_values().collect())
    }
}
