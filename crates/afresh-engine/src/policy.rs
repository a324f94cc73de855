//! How fresh is fresh. Policies are plain data and the judge is a pure function: no store, no clock
//! and no randomness of its own.

use std::time::Duration;

use afresh_core::{CommitId, Head, Timestamp};

/// What a caller asks of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// An answer older than this is stale. Without it, the answer's own ttl decides, if it has one.
    pub ttl: Option<Duration>,
    /// An answer by this execution is stale: what it read is known to have changed.
    pub except: Option<CommitId>,
}

/// What the judge says of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Use it.
    Fresh,
    /// It is too old, or known to be out of date.
    Stale,
    /// There is none.
    Missing,
}

/// Judges an answer. Freshness is computed from the moment the answer was made, so that a changed policy acts
/// on old answers; an answer from the future (the clock was set back) is as young as can be.
///
/// ```
/// use afresh_engine::{judge, Policy, Verdict};
/// use afresh_core::Timestamp;
/// assert_eq!(judge(None, &Policy::default(), Timestamp::from_millis(0)), Verdict::Missing);
/// ```
pub fn judge(head: Option<&Head>, policy: &Policy, now: Timestamp) -> Verdict {
    let Some(head) = head else { return Verdict::Missing };
    let stale =
        policy.except == Some(head.commit) || is_stale(head.created, head.ttl_ms, policy, now);
    if stale { Verdict::Stale } else { Verdict::Fresh }
}

/// Whether an answer made then, with that lifetime of its own in milliseconds, is too old.
pub fn is_stale(created: Timestamp, ttl_ms: Option<u64>, policy: &Policy, now: Timestamp) -> bool {
    let ttl = policy.ttl.or_else(|| ttl_ms.map(Duration::from_millis));
    ttl.is_some_and(|ttl| now.since(created) >= ttl)
}
