//! Looking back: the log, one commit by the beginning of its hash, the history of a fingerprint.

use std::collections::HashMap;

use afresh_core::{
    Commit, CommitId, Entry, Error, Kept, Key, Kind, Order, Outcome, Page, Result, Scan, Space,
    Status, Tag, Timestamp,
};
use bytes::Bytes;

use crate::engine::Engine;
use crate::sign::Claim;
use crate::ticket::group;

/// How many candidates an ambiguous hash names.
const CANDIDATES: usize = 5;

/// Which commits to show. All conditions hold together.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    /// Of this function: its full name, or the last part of it.
    pub function: Option<String>,
    /// With this status.
    pub status: Option<Status>,
    /// With all these tags.
    pub tags: Vec<Tag>,
    /// Of this moment or later.
    pub since: Option<Timestamp>,
    /// At most this many.
    pub limit: Option<usize>,
}

impl LogQuery {
    fn scan(&self) -> Scan {
        Scan {
            status: self.status,
            tags: self.tags.clone(),
            since: self.since,
            order: Order::Newest,
            ..Scan::new(Space::Commit)
        }
    }

    fn selects(&self, commit: &Commit) -> bool {
        self.function.as_ref().is_none_or(|name| names(name, &commit.function))
            && self.status.is_none_or(|status| commit.status() == status)
            && self.tags.iter().all(|wanted| commit.tags.iter().any(|tag| wanted.selects(tag)))
            && self.since.is_none_or(|since| commit.created() >= since)
    }
}

/// Whether `wanted` names `function`: in full, or by its last parts.
pub(crate) fn names(wanted: &str, function: &str) -> bool {
    function == wanted || function.strip_suffix(wanted).is_some_and(|front| front.ends_with('.'))
}

impl Engine {
    /// The commits that match, newest first.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn log(&self, query: &LogQuery) -> Result<Vec<(CommitId, Commit)>> {
        let limit = query.limit.unwrap_or(usize::MAX);
        let ordered = self.store().info().capabilities.ordered;
        let mut scan = query.scan();
        // A full name can use the store's index; part of one cannot.
        if let Some(name) = &query.function
            && self.is_full_name(name).await?
        {
            scan.function = Some(name.clone());
        }
        scan.limit = limit.clamp(1, 1000);
        let mut found = Vec::new();
        loop {
            let page = self.store().scan(&scan).await?;
            found.extend(commits(&page).filter(|(_, commit)| query.selects(commit)));
            if ordered && found.len() >= limit {
                break;
            }
            match page.next {
                Some(next) => scan.cursor = Some(next),
                None => break,
            }
        }
        if !ordered {
            found.sort_by_key(|(_, commit)| std::cmp::Reverse(commit.created()));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Whether some commit is of a function of exactly this name.
    pub(crate) async fn is_full_name(&self, name: &str) -> Result<bool> {
        let scan = Scan { function: Some(name.to_owned()), limit: 1, ..Scan::new(Space::Commit) };
        let page = self.store().scan(&scan).await?;
        Ok(commits(&page).any(|(_, commit)| commit.function == name))
    }

    /// The commit called `id`, or `None`.
    ///
    /// # Errors
    /// Whatever the store says; [`Kind::Corrupt`] where the record is damaged.
    pub async fn show(&self, id: &CommitId) -> Result<Option<Commit>> {
        match self.entry(&Key::commit(id)).await?.as_ref().and_then(Entry::record) {
            Some(record) => Commit::decode(id, record).map(Some),
            None => Ok(None),
        }
    }

    /// The one commit whose hash begins with `text`, or `None`.
    ///
    /// # Errors
    /// [`Kind::Config`] where `text` is not hexadecimal, or where several hashes begin so: the hint lists them.
    pub async fn resolve(&self, text: &str) -> Result<Option<CommitId>> {
        if let Ok(id) = text.parse::<CommitId>() {
            return Ok(self.show(&id).await?.map(|_| id));
        }
        let text = text.to_ascii_lowercase();
        let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.is_empty() || text.len() > 64 || !hexadecimal {
            return Err(Error::new(
                Kind::Config,
                format!("`{}` is not a hash", text.escape_debug()),
            )
            .with_hint("give the first few hexadecimal digits of a commit, as `log` shows them"));
        }
        let padded = format!("{text:0<64}");
        let whole = padded.parse::<CommitId>().map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        let prefix = Bytes::from(whole).slice(..text.len() / 2);
        let mut scan = Scan { prefix, limit: 256, ..Scan::new(Space::Commit) };
        let mut candidates: Vec<CommitId> = Vec::new();
        loop {
            let page = self.store().scan(&scan).await?;
            let ids = page.entries.iter().filter_map(|(key, _)| CommitId::from_slice(key.bytes()));
            candidates.extend(ids.filter(|id| id.to_string().starts_with(&text)));
            if candidates.len() > CANDIDATES || page.next.is_none() {
                break;
            }
            scan.cursor = page.next;
        }
        match candidates.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            several => {
                let mut list: Vec<_> =
                    several.iter().take(CANDIDATES).map(CommitId::short).collect();
                if several.len() > CANDIDATES {
                    list.push("…".into());
                }
                Err(Error::new(Kind::Config, format!("`{text}` begins several hashes"))
                    .with_hint(format!("add digits to tell these apart: {}", list.join(", "))))
            }
        }
    }

    /// Every commit of one fingerprint, oldest first.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn history(&self, of: &Commit) -> Result<Vec<(CommitId, Commit)>> {
        let mut scan = Scan {
            function: Some(of.function.clone()),
            group: Some(group(&of.fingerprint)),
            order: Order::Newest,
            ..Scan::new(Space::Commit)
        };
        let mut found = Vec::new();
        loop {
            let page = self.store().scan(&scan).await?;
            found.extend(commits(&page).filter(|(_, commit)| commit.fingerprint == of.fingerprint));
            match page.next {
                Some(next) => scan.cursor = Some(next),
                None => break,
            }
        }
        let generations = generations(&found);
        found.sort_by_key(|(id, commit)| (commit.started, generations.get(id).copied()));
        Ok(found)
    }

    /// The verified bytes of a commit's output; `None` where it was not kept, or is gone or damaged.
    ///
    /// # Errors
    /// [`Kind::Denied`] where it is not signed with our secret; otherwise whatever the store says.
    pub async fn output(&self, commit: &Commit) -> Result<Option<Bytes>> {
        let Outcome::Completed(Kept::Object { object, codec, signature, value, inline }) =
            &commit.outcome
        else {
            return Ok(None);
        };
        let claim = Claim {
            fingerprint: &commit.fingerprint,
            codec,
            output: &object.id,
            value: value.as_ref(),
        };
        if let Some(secret) = &self.inner.secret
            && !secret.verifies(signature.as_ref(), &claim)
        {
            return Err(Error::new(Kind::Denied, "the result is not signed with our secret")
                .with_hint("it was stored without a secret or with another one; open the store with that one"));
        }
        self.bytes(&object.id, inline.clone().map(Bytes::from)).await
    }

    /// The bytes of a function's record: the tree of named digests, as JSON.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn function_record(&self, commit: &Commit) -> Result<Option<Bytes>> {
        match &commit.function_record {
            Some(id) => self.bytes(id, None).await,
            None => Ok(None),
        }
    }
}

/// How many ancestors each commit has among these: what tells the order of those that began in the same
/// millisecond.
fn generations(commits: &[(CommitId, Commit)]) -> HashMap<CommitId, usize> {
    let parents: HashMap<CommitId, Option<CommitId>> =
        commits.iter().map(|(id, commit)| (*id, commit.parent)).collect();
    let mut generations = HashMap::with_capacity(commits.len());
    for (id, _) in commits {
        let mut line = Vec::new();
        let mut at = Some(*id);
        while let Some(id) = at
            && !generations.contains_key(&id)
            && let Some(parent) = parents.get(&id)
        {
            line.push(id);
            at = *parent;
        }
        let mut generation = at.and_then(|id| generations.get(&id).copied()).unwrap_or(0);
        for id in line.into_iter().rev() {
            generation += 1;
            generations.insert(id, generation);
        }
    }
    generations
}

/// The readable commits of a page. A damaged one is passed over with a warning; `verify` names it.
pub(crate) fn commits(page: &Page) -> impl Iterator<Item = (CommitId, Commit)> {
    page.entries.iter().filter_map(|(key, entry)| {
        let id = CommitId::from_slice(key.bytes())?;
        match Commit::decode(&id, entry.record()?) {
            Ok(commit) => Some((id, commit)),
            Err(error) => {
                tracing::warn!(
                    "a commit is passed over: {error}; `afresh verify --repair` removes it"
                );
                None
            }
        }
    })
}
