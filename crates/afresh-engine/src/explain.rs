//! Why a call would be answered from the store, or would run; and why an execution ran. As data: the front ends
//! put it into words.
//!
//! Nothing runs, nothing is counted as a hit and no answer is withdrawn: to ask changes nothing. All of it is made
//! from what commits hold anyway, so that a hit pays nothing for it.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Argument, Commit, CommitId, Entry, Fingerprint, Function, FunctionId, Head, Kept, Key, Kind,
    Order, Outcome, Result, Scan, Space,
};

use crate::diff::{ArgumentChange, Difference, arguments};
use crate::engine::Engine;
use crate::log::commits;
use crate::policy::{Evidence, Policy, RAISED, Verdict};
use crate::sign::Claim;
use crate::ticket::group;

/// Among how many of a function's newest commits the nearest is looked for.
const RECENT: usize = 200;

/// A call that somebody asks about.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its key.
    pub fingerprint: Fingerprint,
    /// The function as it is now.
    pub function: Arc<Function>,
    /// The bound arguments.
    pub arguments: Vec<Argument>,
}

/// What would become of a call.
#[derive(Clone, Debug)]
pub enum Explanation {
    /// It would be answered.
    Hit(Box<Answer>),
    /// It would run, for its answer is too old.
    Expired {
        /// The answer.
        answer: Box<Answer>,
        /// For how long it has been too old.
        by: Duration,
    },
    /// It would run, for its answer cannot be used.
    Unusable {
        /// The answer.
        answer: Box<Answer>,
        /// Why not, for a person.
        reason: String,
    },
    /// It would run, for there is no answer.
    Missing {
        /// The recent commit of the same function that differs least.
        nearest: Option<Box<Nearest>>,
        /// Whether no execution of this very call is on record.
        never_seen: bool,
    },
}

/// An answer and where it came from.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The answer without its bytes.
    pub head: Head,
    /// The execution that made it; `None` where its record is gone or damaged.
    pub commit: Option<Commit>,
    /// What the judge says of it.
    pub verdict: Verdict,
}

/// A commit to compare with, and how the call in question differs from it.
#[derive(Clone, Debug)]
pub struct Nearest {
    /// Which.
    pub id: CommitId,
    /// Its record.
    pub commit: Commit,
    /// From it to the call in question. Outputs are not compared.
    pub difference: Difference,
}

/// Why an execution took place.
#[derive(Clone, Debug)]
pub enum Ran {
    /// No earlier execution of a function of this name is on record.
    First,
    /// The same call was executed before.
    Again {
        /// That time.
        before: Box<Nearest>,
        /// Why that was not enough.
        why: Again,
    },
    /// This call is not among the earlier ones; this one differs least.
    New(Box<Nearest>),
}

/// Why a call that was executed before was executed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It had failed.
    Failed,
    /// Its result had not been kept.
    Unkept,
    /// Its answer was too old.
    Expired,
    /// What it had been seen to read has changed; the difference is among the arguments.
    Read,
    /// Its answer was fresh: the execution was forced, or the answer could not be read.
    Forced,
    /// Its answer had been taken back, or forgotten.
    TakenBack,
}

/// What the nearest commit is looked for by.
struct Sought<'a> {
    fingerprint: &'a Fingerprint,
    function: &'a str,
    id: &'a FunctionId,
    arguments: &'a [Argument],
    /// Only what had ended when this execution began.
    before: Option<(&'a CommitId, &'a Commit)>,
}

impl Sought<'_> {
    fn selects(&self, id: &CommitId, commit: &Commit) -> bool {
        commit.function == self.function
            && self.before.is_none_or(|(asked, run)| {
                id != asked && commit.parent != Some(*asked) && commit.created() <= run.started
            })
    }

    /// In how many things a commit differs, and whether it has the same function: an edit counts as one, and of two that
    /// differ in as many the one with the same arguments is nearer. Whoever asks about a call that was answered
    /// yesterday wants to hear of the edit, not of another call.
    fn distance(&self, commit: &Commit) -> (usize, bool) {
        let edited = commit.function_id != *self.id;
        (usize::from(edited) + bound(&commit.arguments, self.arguments).len(), !edited)
    }
}

impl Engine {
    /// What would become of the call, and why. Nothing runs.
    ///
    /// # Errors
    /// Whatever keeps the store from answering. Damage is not an error but an explanation.
    pub async fn explain(&self, asked: &Asked, policy: &Policy) -> Result<Explanation> {
        let entry = self.entry(&Key::head(&asked.fingerprint)).await?;
        let head = entry.as_ref().and_then(|entry| Head::decode(entry.record()?).ok());
        if let Some((entry, head)) = entry.zip(head) {
            return self.answer(&asked.fingerprint, policy, &entry, head).await;
        }
        let function = &asked.function;
        let sought = Sought {
            fingerprint: &asked.fingerprint,
            function: &function.name,
            id: &function.id,
            arguments: &asked.arguments,
            before: None,
        };
        let Some((id, commit)) = self.nearest(&sought).await? else {
            return Ok(Explanation::Missing { nearest: None, never_seen: true });
        };
        let never_seen = commit.fingerprint != asked.fingerprint;
        let function_changed = commit.function_id != function.id;
        let records = if function_changed {
            self.function_record(&commit).await?.map(|record| (record, function.record.clone()))
        } else {
            None
        };
        let difference = Difference {
            name_changed: false,
            function_changed,
            records,
            arguments: bound(&commit.arguments, &asked.arguments),
            output_changed: None,
        };
        let nearest = Some(Box::new(Nearest { id, commit, difference }));
        Ok(Explanation::Missing { nearest, never_seen })
    }

    /// Why the execution `id` took place: what differed from the nearest one before it.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn explain_commit(&self, id: &CommitId, commit: &Commit) -> Result<Ran> {
        let sought = Sought {
            fingerprint: &commit.fingerprint,
            function: &commit.function,
            id: &commit.function_id,
            arguments: &commit.arguments,
            before: Some((id, commit)),
        };
        // The answer that was there when it began says more than what merely came before.
        let parent = match commit.parent {
            Some(parent) => self.show_readable(&parent).await?.map(|found| (parent, found)),
            None => None,
        };
        let answered = parent.is_some();
        let found = match parent {
            Some(parent) => Some(parent),
            None => self.nearest(&sought).await?,
        };
        let Some((nearest, before)) = found else { return Ok(Ran::First) };
        let why =
            (before.fingerprint == commit.fingerprint).then(|| again(&before, commit, answered));
        let mut difference = self.diff(&before, commit).await?;
        difference.output_changed = None;
        let nearest = Box::new(Nearest { id: nearest, commit: before, difference });
        Ok(match why {
            Some(why) => Ran::Again { before: nearest, why },
            None => Ran::New(nearest),
        })
    }

    async fn answer(
        &self,
        fingerprint: &Fingerprint,
        policy: &Policy,
        entry: &Entry,
        mut head: Head,
    ) -> Result<Explanation> {
        let now = self.now();
        let commit = self.show_readable(&head.commit).await?;
        // Nobody is to renew anything for having asked.
        let asked = Policy { refresh_after: None, ..*policy };
        let verdict = self.judge(&Evidence::of(&head, entry.used), &asked);
        let usable = verdict != Verdict::Missing;
        let trouble = if usable { self.trouble(fingerprint, entry, &head).await? } else { None };
        let own = head.ttl_ms.map(Duration::from_millis);
        let ttl = if head.codec.starts_with(RAISED) { own } else { policy.ttl(own) };
        let ttl = [ttl, policy.max_age, policy.soft].into_iter().flatten().min();
        head.inline = None;
        let age = now.since(head.created);
        let answer = Box::new(Answer { head, commit, verdict });
        Ok(match trouble {
            _ if !usable => {
                Explanation::Expired { answer, by: age.saturating_sub(ttl.unwrap_or_default()) }
            }
            Some(reason) => Explanation::Unusable { answer, reason: reason.to_owned() },
            None => Explanation::Hit(answer),
        })
    }

    /// Why an answer cannot be used.
    async fn trouble(
        &self,
        fingerprint: &Fingerprint,
        entry: &Entry,
        head: &Head,
    ) -> Result<Option<&'static str>> {
        let claim = Claim {
            fingerprint,
            codec: &head.codec,
            output: &head.object.id,
            value: head.value.as_ref(),
        };
        if let Some(secret) = &self.inner.secret
            && !secret.verifies(head.signature.as_ref(), &claim)
        {
            return Ok(Some("it is not signed with our secret"));
        }
        let attached =
            head.inline.as_deref().or(entry.attached.as_deref()).map(afresh_core::ObjectId::of);
        if let Some(id) = attached {
            return Ok((id != head.object.id).then_some("its result is damaged"));
        }
        match self.store().read(&head.object.id).await {
            Ok(Some(_)) => Ok(None),
            Ok(None) => Ok(Some("its result is gone")),
            Err(error) if error.kind() == Kind::Corrupt => {
                Ok(Some("its result is damaged or gone"))
            }
            Err(error) => Err(error),
        }
    }

    /// A commit, where it is there and can be read.
    async fn show_readable(&self, id: &CommitId) -> Result<Option<Commit>> {
        match self.show(id).await {
            Err(error) if error.kind() == Kind::Corrupt => Ok(None),
            shown => shown,
        }
    }

    /// The newest commit of the same call; else, among the recent ones of the function, the one that differs least.
    async fn nearest(&self, sought: &Sought<'_>) -> Result<Option<(CommitId, Commit)>> {
        let same = self.recent(sought, Some(sought.fingerprint), 1).await?;
        if let Some(same) = same.into_iter().next() {
            return Ok(Some(same));
        }
        // Of several as near the first, which is the newest.
        let recent = self.recent(sought, None, RECENT).await?;
        Ok(recent.into_iter().min_by_key(|(_, commit)| sought.distance(commit)))
    }

    /// At most `most` of the commits in question, newest first.
    async fn recent(
        &self,
        sought: &Sought<'_>,
        call: Option<&Fingerprint>,
        most: usize,
    ) -> Result<Vec<(CommitId, Commit)>> {
        let ordered = self.store().info().capabilities.ordered;
        let mut scan = Scan {
            function: Some(sought.function.to_owned()),
            group: call.map(group),
            order: Order::Newest,
            limit: RECENT,
            ..Scan::new(Space::Commit)
        };
        let mut found = Vec::new();
        loop {
            let page = self.store().scan(&scan).await?;
            found.extend(commits(&page).filter(|(id, commit)| {
                sought.selects(id, commit) && call.is_none_or(|call| commit.fingerprint == *call)
            }));
            match page.next {
                Some(next) if !ordered || found.len() < most => scan.cursor = Some(next),
                _ => break,
            }
        }
        if !ordered {
            found.sort_by_key(|(_, commit)| std::cmp::Reverse(commit.created()));
        }
        found.truncate(most);
        Ok(found)
    }
}

/// The bound arguments that differ. What a call will read is not known before it runs.
fn bound(a: &[Argument], b: &[Argument]) -> Vec<ArgumentChange> {
    let bound = |list: &[Argument]| -> Vec<Argument> {
        list.iter().filter(|argument| !argument.is_recorded()).cloned().collect()
    };
    arguments(&bound(a), &bound(b))
}

/// Why `before` was not enough for `commit`, of the same call; `answered` if it was the answer at that moment.
fn again(before: &Commit, commit: &Commit, answered: bool) -> Again {
    let ttl = commit.ttl_ms.or(before.ttl_ms).map(Duration::from_millis);
    match &before.outcome {
        Outcome::Failed(_) => Again::Failed,
        Outcome::Completed(Kept::No { .. }) => Again::Unkept,
        _ if ttl.is_some_and(|ttl| commit.started.since(before.created()) >= ttl) => Again::Expired,
        _ if answered && !arguments(&before.arguments, &commit.arguments).is_empty() => Again::Read,
        _ if answered => Again::Forced,
        _ => Again::TakenBack,
    }
}
