//! Accepted edits: recorded, reversible statements that the code of a function under one digest answers as the code
//! under another did, so that results survive an edit that does not matter.
//!
//! One entry for each function that has any, in the space of named values, with all its statements: so a definition costs
//! one look-up, and a function without statements nothing else. Statements are followed like links (`C` accepted as `B`,
//! `B` accepted as `A`: `C` answers as `A`); one that would close a circle is refused. A statement keeps nothing alive
//! and no gc takes it away: it ends when it is withdrawn, or with everything in `clear`. Nothing here decides whether an
//! edit matters; that is the person's business who says so.

use std::collections::HashSet;

use afresh_core::{
    Applied, Batch, Bytes, Commit, CommitId, Entry, Error, FunctionId, Head, Key, Kind, Labels,
    NewEntry, ObjectId, Op, Order, Result, Scan, Space, Status, When,
};

use crate::accepted::{Accept, Accepted};
use crate::engine::Engine;
use crate::log::commits;
use crate::taken::Scope;
use crate::ticket::expect;

/// What the keys of these entries begin with; the digest of the function's name follows, for names may be long.
const PREFIX: &[u8] = b"accept-1/";

/// What came of a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// The statement that is no more.
    pub statement: Accept,
    /// Answers that the edited code had given under the old digest, and that were taken back.
    pub taken: u64,
}

/// The name of a function's entry among those of its kind: 32 bytes, whatever the length of the name.
pub(crate) fn digest(function: &str) -> ObjectId {
    ObjectId::of(function.as_bytes())
}

fn key(digest: &ObjectId) -> Result<Key> {
    Key::new(Space::Named, [PREFIX, digest.as_bytes()].concat())
}

/// Every entry of this kind.
pub(crate) fn scan() -> Scan {
    Scan { prefix: Bytes::from_static(PREFIX), ..Scan::new(Space::Named) }
}

/// What the name of such an entry has after [`PREFIX`].
pub(crate) fn id(key: &Key) -> Option<ObjectId> {
    key.bytes().strip_prefix(PREFIX).and_then(ObjectId::from_slice)
}

impl Engine {
    /// Records that the code of `function` under `statement.new` answers as that under `statement.old`, from now on and
    /// for every process. Gives the statement as it was recorded.
    ///
    /// # Errors
    /// [`Kind::Config`] where that would be a circle, or both are the same; otherwise whatever the store says.
    pub async fn accept(&self, function: &str, statement: Accept) -> Result<Accept> {
        let secret = self.inner.secret.as_ref();
        let signature =
            secret.map(|secret| secret.sign_accept(function, &statement.new, &statement.old));
        let statement = Accept { at: self.now(), signature, ..statement };
        if statement.new == statement.old {
            return Err(Error::new(
                Kind::Config,
                format!("{function}: there is no edit to accept"),
            )
            .with_hint("edit the function first: it is what it was at the commit"));
        }
        self.change(function, |accepted| {
            if accepted.add(statement.clone()) {
                return Ok(());
            }
            let (new, old) = (statement.new.short(), statement.old.short());
            Err(Error::new(Kind::Config, format!("{function}: {old} is accepted as {new} already"))
                .with_hint(
                    "withdraw that statement first: two digests cannot stand for each other",
                ))
        })
        .await?;
        Ok(statement)
    }

    /// The statements about a function; with a secret those that are signed with it. What cannot be read or verified
    /// counts as none, with a warning.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn accepted(&self, function: &str) -> Result<Accepted> {
        let entry = self.entry(&key(&digest(function))?).await?;
        let mut accepted = entry.map(|entry| readable(function, &entry)).unwrap_or_default();
        if let Some(secret) = &self.inner.secret {
            accepted.statements.retain(|one| {
                let verified = secret.verifies_accept(function, one);
                if !verified {
                    tracing::warn!(
                        "an accepted edit of {function} is not signed with our secret and counts as none"
                    );
                }
                verified
            });
        }
        Ok(accepted)
    }

    /// Every function with statements, by name.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn all_accepted(&self) -> Result<Vec<(String, Accepted)>> {
        let mut all = Vec::new();
        self.each(scan(), |_, entry| {
            all.extend(entry.record().and_then(|record| Accepted::decode(record)));
        })
        .await?;
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    /// Withdraws the statement about `new`; `None` where there is none. The answers that the edited code has given under
    /// the old digest meanwhile are taken back: they would be wrong for the old code if the edit matters after all.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn unaccept(&self, function: &str, new: &FunctionId) -> Result<Option<Withdrawn>> {
        let before = self.accepted(function).await?;
        let Some(statement) = before.statement(new).cloned() else { return Ok(None) };
        let root = before.resolve(new);
        // All code that answered through the statement, also that of statements about this one.
        let codes: HashSet<FunctionId> = before
            .statements
            .iter()
            .filter(|one| before.chain(&one.new).iter().any(|link| link.new == *new))
            .map(|one| one.code)
            .collect();
        self.change(function, |accepted| {
            accepted.statements.retain(|one| one.new != *new);
            Ok(())
        })
        .await?;
        // Whoever computes under the old digest at this moment does not publish it.
        self.taking_back(Scope::Function(function)).await?;
        let taken = self.take_back(function, &root, &codes).await?;
        Ok(Some(Withdrawn { statement, taken }))
    }

    /// The newest execution of a function under another digest than `now` that returned: what an edit is accepted as
    /// where nobody says.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn before_edit(
        &self,
        function: &str,
        now: &FunctionId,
    ) -> Result<Option<(CommitId, Commit)>> {
        let ordered = self.store().info().capabilities.ordered;
        let mut scan = Scan {
            function: Some(function.to_owned()),
            status: Some(Status::Completed),
            order: Order::Newest,
            ..Scan::new(Space::Commit)
        };
        let mut newest: Option<(CommitId, Commit)> = None;
        loop {
            let page = self.store().scan(&scan).await?;
            for (id, commit) in commits(&page) {
                let other = commit.function == function
                    && commit.status() == Status::Completed
                    && commit.function_id != *now;
                if other && newest.as_ref().is_none_or(|(_, one)| one.created() < commit.created())
                {
                    newest = Some((id, commit));
                }
            }
            match page.next {
                Some(next) if !ordered || newest.is_none() => scan.cursor = Some(next),
                _ => return Ok(newest),
            }
        }
    }

    /// Takes in the statements of an archive that say nothing against those that are here. Whether they could be read.
    pub(crate) async fn import_accepted(&self, bytes: &[u8]) -> Result<bool> {
        let Some((function, theirs)) = Accepted::decode(bytes) else { return Ok(false) };
        self.change(&function, |ours| {
            for one in &theirs.statements {
                if ours.statement(&one.new).is_none() {
                    ours.add(one.clone());
                }
            }
            Ok(())
        })
        .await?;
        Ok(true)
    }

    /// Changes the statements about a function; again, where somebody else changed them meanwhile.
    async fn change(
        &self,
        function: &str,
        mut edit: impl FnMut(&mut Accepted) -> Result<()>,
    ) -> Result<()> {
        let key = key(&digest(function))?;
        loop {
            let entry = self.entry(&key).await?;
            let before = entry.as_ref().map(|entry| readable(function, entry)).unwrap_or_default();
            let mut after = before.clone();
            edit(&mut after)?;
            if after == before {
                return Ok(());
            }
            let when = expect(entry.map(|entry| entry.version));
            let key = key.clone();
            let op = if after.statements.is_empty() {
                Op::Delete { key, when }
            } else {
                let labels = Labels { function: Some(function.to_owned()), ..Labels::default() };
                let entry = NewEntry { labels, ..NewEntry::record(after.encode(function)?) };
                Op::Put { key, entry, when }
            };
            if let Applied::All(_) =
                self.apply(Batch { objects: Vec::new(), ops: vec![op] }).await?
            {
                return Ok(());
            }
        }
    }

    /// Takes back the answers under `id` that code with one of these digests has given.
    async fn take_back(
        &self,
        function: &str,
        id: &FunctionId,
        codes: &HashSet<FunctionId>,
    ) -> Result<u64> {
        let mut meant = Vec::new();
        let scan = Scan { function: Some(function.to_owned()), ..Scan::new(Space::Commit) };
        self.each(scan, |key, entry| {
            let id_of = CommitId::from_slice(key.bytes());
            let commit =
                id_of.zip(entry.record()).and_then(|(id, bytes)| Commit::decode(&id, bytes).ok());
            if let Some((id_of, commit)) = id_of.zip(commit)
                && commit.function == function
                && commit.function_id == *id
            {
                meant.push((id_of, commit));
            }
        })
        .await?;
        let (mut edited, mut other) = (HashSet::new(), HashSet::new());
        let mut taken = 0;
        for (id, commit) in meant {
            let Some(record) = commit.function_record else { continue };
            if !edited.contains(&record) && !other.contains(&record) {
                let code = self.function_record(&commit).await?.and_then(|bytes| code(&bytes));
                let set = if code.is_some_and(|code| codes.contains(&code)) {
                    &mut edited
                } else {
                    &mut other
                };
                set.insert(record);
            }
            if !edited.contains(&record) {
                continue;
            }
            let key = Key::head(&commit.fingerprint);
            let Some(entry) = self.entry(&key).await? else { continue };
            let head = entry.record().and_then(|record| Head::decode(record).ok());
            if head.is_some_and(|head| head.commit == id) {
                let ops = vec![Op::Delete { key, when: When::Is(entry.version) }];
                if let Applied::All(_) = self.apply(Batch { objects: Vec::new(), ops }).await? {
                    taken += 1;
                }
            }
        }
        Ok(taken)
    }
}

/// The digest that a function record names as its own.
fn code(record: &[u8]) -> Option<FunctionId> {
    let record: serde_json::Value = serde_json::from_slice(record).ok()?;
    record.get("digest")?.as_str()?.parse().ok()
}

fn readable(function: &str, entry: &Entry) -> Accepted {
    match entry.record().and_then(|record| Accepted::decode(record)) {
        Some((_, accepted)) => accepted,
        None => {
            tracing::warn!(
                "the accepted edits of {function} cannot be read and count as none; `afresh verify --repair` removes them"
            );
            Accepted::default()
        }
    }
}
