//! How fresh is fresh. Policies are plain data and the judge is a pure function: no store, no clock
//! and no randomness of its own.
//!
//! Invariant: what the judge does not call missing is younger than `max_age`, and past its ttl by less than `stale`.

use std::time::Duration;

use afresh_core::{CommitId, Head, Timestamp};

/// How the codec's name of an answer begins that is a failure.
pub const RAISED: &str = "raised+";

/// What a caller asks of an answer. The default takes any answer for as long as it was meant to last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// An answer older than this is too old. Without it, the answer's own ttl decides, if it has one.
    pub ttl: Option<Duration>,
    /// The ttl counts from when the answer was last used, as far as that is written down.
    pub sliding: bool,
    /// An answer older than this is not used, whatever else is said here.
    pub max_age: Option<Duration>,
    /// For so long after its ttl an answer is used while somebody makes a new one.
    pub stale: Option<Duration>,
    /// When to make a new answer although there is one that is not too old.
    pub early: Option<Early>,
    /// After how many uses to make a new answer.
    pub refresh_after: Option<u32>,
    /// From this age on the function is tried first; see [`in_need`](Self::in_need).
    pub soft: Option<Duration>,
    /// An answer by this execution is out of date: what it read is known to have changed.
    pub except: Option<CommitId>,
}

/// How long before the end of its ttl an answer is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early {
    /// So long.
    Span(Duration),
    /// By chance, the likelier the nearer the end and the longer the computation takes, so that of many who use
    /// an answer one renews it in time and seldom two ("XFetch", Vattani et al. 2015).
    Chance,
}

/// What the judge knows of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The execution that made it.
    pub commit: CommitId,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used, roughly.
    pub used: Timestamp,
    /// How often it was used, as far as anybody counted.
    pub uses: u32,
    /// How long it took to make.
    pub took: Duration,
    /// How long its writer meant it to last.
    pub ttl: Option<Duration>,
    /// It is a failure: that lasts as long as its writer said and not longer.
    pub failed: bool,
}

/// What the judge says of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Use it.
    Fresh,
    /// It is too old: use it while one caller makes a new one.
    Stale,
    /// It is not too old: use it, and one caller makes a new one in time.
    Early,
    /// There is none that may be used.
    Missing,
}

impl Policy {
    /// Whether the answer's own ttl is all that matters.
    pub fn is_plain(&self) -> bool {
        *self == Self { except: self.except, ..Self::default() }
    }

    /// The ttl of an answer that was meant to last so long.
    pub fn ttl(&self, own: Option<Duration>) -> Option<Duration> {
        self.ttl.or(own)
    }

    /// Which answers will do where the function fails: with `soft` those within their ttl, otherwise however old,
    /// but never one older than `max_age`.
    #[must_use]
    pub fn in_need(self) -> Self {
        let ttl = if self.soft.is_some() { self.ttl } else { Some(Duration::MAX) };
        Self { ttl, soft: None, early: None, refresh_after: None, ..self }
    }
}

impl Evidence {
    /// What a head says of its answer.
    pub fn of(head: &Head, used: Timestamp) -> Self {
        Self {
            commit: head.commit,
            created: head.created,
            used,
            uses: 0,
            took: Duration::from_micros(head.took_us),
            ttl: head.ttl_ms.map(Duration::from_millis),
            failed: head.codec.starts_with(RAISED),
        }
    }
}

/// Judges an answer; `dice` is a number above 0 and up to 1, drawn anew each time, and counts for [`Early::Chance`]
/// only. Freshness is computed from the moment the answer was made, so that a changed policy acts on old
/// answers; an answer from the future (the clock was set back) is as young as can be.
///
/// ```
/// use afresh_engine::{judge, Policy, Verdict};
/// use afresh_core::Timestamp;
/// let now = Timestamp::from_millis(0);
/// assert_eq!(judge(None, &Policy::default(), now, 0.5), Verdict::Missing);
/// ```
pub fn judge(answer: Option<&Evidence>, policy: &Policy, now: Timestamp, dice: f64) -> Verdict {
    let Some(answer) = answer else { return Verdict::Missing };
    let age = now.since(answer.created);
    let reached = |limit: Option<Duration>| limit.is_some_and(|limit| age >= limit);
    if answer.failed {
        let over = reached(answer.ttl) || reached(policy.max_age);
        return if over { Verdict::Missing } else { Verdict::Fresh };
    }
    if policy.except == Some(answer.commit) || reached(policy.max_age) || reached(policy.soft) {
        return Verdict::Missing;
    }
    let Some(ttl) = policy.ttl(answer.ttl) else { return worn(answer, policy) };
    let since = if policy.sliding { age.min(now.since(answer.used)) } else { age };
    if since >= ttl {
        let within = policy.stale.is_some_and(|stale| since - ttl < stale);
        return if within { Verdict::Stale } else { Verdict::Missing };
    }
    let left = ttl - since;
    let due = match policy.early {
        None => false,
        Some(Early::Span(span)) => left <= span,
        Some(Early::Chance) => answer.took.as_secs_f64() * -dice.ln() >= left.as_secs_f64(),
    };
    if due { Verdict::Early } else { worn(answer, policy) }
}

/// Of an answer that is not too old: whether it was used often enough to be renewed.
fn worn(answer: &Evidence, policy: &Policy) -> Verdict {
    let worn = policy.refresh_after.is_some_and(|most| answer.uses >= most);
    if worn { Verdict::Early } else { Verdict::Fresh }
}
