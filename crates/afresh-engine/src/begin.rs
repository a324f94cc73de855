//! Beginning a call: a hit, the right to run, or somebody else who runs.
//!
//! Invariant: a hit is declared only with its bytes at hand, their digest checked and (with a secret) their
//! signature verified. Anything damaged or dangling is a miss with a warning.

use std::time::Duration;

use afresh_core::{
    Applied, Batch, Bytes, CommitId, Entry, Fingerprint, Head, Key, Kind, NewEntry, ObjectId,
    ObjectRef, Op, Result, Timestamp, Value, Version, When,
};

use crate::busy::{Busy, Owner};
use crate::engine::Engine;
use crate::flight::{Flight, Joined};
use crate::hostlock::{HostLock, Landing};
use crate::policy::{Early, Evidence, Policy, Verdict, judge};
use crate::sign::Claim;
use crate::ticket::{Ticket, head, random};

/// The counter whose version changes whenever answers are taken back.
pub(crate) const EPOCH: &str = "epoch";

/// The counter whose version changes whenever objects are about to be collected.
pub(crate) const SWEEP: &str = "sweep";

/// An answer.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Who made it, when, through which codec.
    pub head: Head,
    /// Its name and length.
    pub object: ObjectRef,
    /// Its bytes, verified.
    pub bytes: Bytes,
    /// When it was last used before, roughly.
    pub used: Timestamp,
    /// How often it was used before in this process, where the policy asks for that.
    pub uses: u32,
    /// What the judge says: anything but missing.
    pub verdict: Verdict,
}

impl Hit {
    /// The execution that made it.
    pub fn commit(&self) -> CommitId {
        self.head.commit
    }
}

/// What beginning a call came to.
#[derive(Debug)]
pub enum Begun {
    /// The answer.
    Hit(Hit),
    /// The answer, which is to be renewed: by the caller who gets the ticket, while all others just use it.
    Stale(Box<Hit>, Option<Ticket>),
    /// Run the function, then end the ticket.
    Run(Ticket),
    /// Somebody else runs it.
    Busy(Busy),
}

/// What a look at the store found.
#[derive(Default)]
struct Seen {
    hit: Option<Hit>,
    parent: Option<CommitId>,
    /// The head led nowhere and was removed.
    withdrawn: bool,
}

/// Whether a call may be computed here.
pub(crate) enum Leased {
    /// Yes; with the lock of the host where there is one to be had.
    Here(Option<HostLock>),
    /// Another process computes it.
    Elsewhere,
}

/// A use is written down at once where the last that was is longer ago than this part of the ttl: then an answer
/// that lives by being used is at most that much too short-lived.
pub const SLACK: u32 = 8;

/// What must still be so when an answer is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basis {
    /// The head that was there.
    pub(crate) head: Option<Version>,
    /// The commit it named.
    pub(crate) parent: Option<CommitId>,
    /// No answer was taken back since.
    pub(crate) epoch: Option<Version>,
    /// No object was collected since.
    pub(crate) sweep: Option<Version>,
}

impl Engine {
    /// The answer for `fingerprint`, if there is one that may be used; its verdict says whether it is to be
    /// [refreshed](Self::refresh). Never waits, never takes a lease.
    ///
    /// # Errors
    /// Whatever keeps the store from answering. Damage is not an error but a miss.
    pub async fn lookup(&self, fingerprint: &Fingerprint, policy: &Policy) -> Result<Option<Hit>> {
        let head = self.entry(&Key::head(fingerprint)).await?;
        Ok(self.see(fingerprint, policy, head).await?.hit)
    }

    /// Which execution's answer is the one that may be used. Reads no output and counts no hit.
    ///
    /// # Errors
    /// Whatever keeps the store from answering.
    pub async fn standing(
        &self,
        fingerprint: &Fingerprint,
        policy: &Policy,
    ) -> Result<Option<CommitId>> {
        let entry = self.entry(&Key::head(fingerprint)).await?;
        let Some(entry) = entry else { return Ok(None) };
        let head = entry.record().and_then(|record| Head::decode(record).ok());
        Ok(head
            .filter(|head| self.judge(&Evidence::of(head, entry.used), policy) != Verdict::Missing)
            .map(|head| head.commit))
    }

    /// The output of an earlier execution of this call as an answer, if it is fresh. It is for the caller to know
    /// that it was not taken back: that it is an ancestor of the answer that stands.
    ///
    /// # Errors
    /// Whatever keeps the store from answering. What is damaged or signed by another is not an answer.
    pub async fn earlier(
        &self,
        fingerprint: &Fingerprint,
        policy: &Policy,
        id: &CommitId,
    ) -> Result<Option<Hit>> {
        let Some(commit) = self.show(id).await? else { return Ok(None) };
        let Some(head) = head(&commit, *id) else { return Ok(None) };
        let (used, policy) = (head.created, Policy { refresh_after: None, ..*policy });
        let verdict = self.judge(&Evidence::of(&head, used), &policy);
        if verdict == Verdict::Missing || commit.fingerprint != *fingerprint {
            return Ok(None);
        }
        match self.output(&commit).await {
            Ok(Some(bytes)) => {
                self.inner.access.hit(fingerprint, &head);
                Ok(Some(Hit { object: head.object, head, bytes, used, uses: 0, verdict }))
            }
            Err(error) if error.kind() != Kind::Denied => Err(error),
            _ => Ok(None),
        }
    }

    /// Begins a call.
    ///
    /// # Errors
    /// Whatever keeps the store from answering; the caller should compute without it.
    pub async fn begin(&self, fingerprint: &Fingerprint, policy: &Policy) -> Result<Begun> {
        match self.lookup(fingerprint, policy).await? {
            Some(hit) if hit.verdict == Verdict::Fresh => Ok(Begun::Hit(hit)),
            Some(hit) => {
                let ticket = self.refresh(fingerprint, &hit.head.commit).await?;
                Ok(Begun::Stale(Box::new(hit), ticket))
            }
            None => self.join(fingerprint, policy).await,
        }
    }

    /// Begins a call for which [`lookup`](Self::lookup) has just found nothing.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub async fn join(&self, fingerprint: &Fingerprint, policy: &Policy) -> Result<Begun> {
        match self.inner.flights.join(fingerprint) {
            Joined::Follow(landed) => {
                Ok(Begun::Busy(Busy { fingerprint: *fingerprint, owner: Owner::Here(landed) }))
            }
            Joined::Lead(flight) => self.lead(fingerprint, policy, flight).await,
        }
    }

    /// Begins again after waiting.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub async fn resume(&self, busy: Busy, policy: &Policy) -> Result<Begun> {
        match busy.owner {
            Owner::Here(_) => self.begin(&busy.fingerprint, policy).await,
            Owner::Elsewhere { wait, flight } => match wait.take() {
                Some(Landing::Lock(lock)) => {
                    self.run(&busy.fingerprint, policy, flight, Some(lock)).await
                }
                Some(Landing::Ended) => self.landed(&busy.fingerprint, policy, flight).await,
                None => self.run(&busy.fingerprint, policy, flight, None).await,
            },
            // Of many who waited one will run, and only if there is no answer.
            Owner::Away { flight, .. } => self.landed(&busy.fingerprint, policy, flight).await,
        }
    }

    /// A ticket whatever the store holds and whoever else runs: for calls that are forced, not cached, or tired of
    /// waiting. Its answer is published only if it is not older than what is there by then.
    ///
    /// # Errors
    /// Whatever keeps the store from answering.
    pub async fn start(&self, fingerprint: &Fingerprint) -> Result<Ticket> {
        let (head, mut basis) = self.basis(fingerprint).await?;
        basis.parent =
            head.and_then(|entry| Head::decode(entry.record()?).ok()).map(|head| head.commit);
        Ok(Ticket::new(self, *fingerprint, basis, None, None))
    }

    async fn lead(
        &self,
        fingerprint: &Fingerprint,
        policy: &Policy,
        flight: Flight,
    ) -> Result<Begun> {
        if let Some(leases) = &self.inner.leases {
            return self.lead_away(leases, fingerprint, policy, flight).await;
        }
        match self.lease(fingerprint) {
            Leased::Here(lock) => self.run(fingerprint, policy, flight, lock).await,
            Leased::Elsewhere => {
                let Some(locks) = &self.inner.locks else {
                    return self.run(fingerprint, policy, flight, None).await;
                };
                let owner = Owner::Elsewhere { wait: locks.wait(fingerprint), flight };
                Ok(Begun::Busy(Busy { fingerprint: *fingerprint, owner }))
            }
        }
    }

    /// The lock of the host, if nobody has it; without a warning where none can be had for a reason that the
    /// store itself will tell.
    pub(crate) fn lease(&self, fingerprint: &Fingerprint) -> Leased {
        use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
        let Some(locks) = &self.inner.locks else { return Leased::Here(None) };
        match locks.try_lock(fingerprint) {
            Ok(Some(lock)) => Leased::Here(Some(lock)),
            Ok(None) => Leased::Elsewhere,
            Err(error) => {
                // Where the folder is gone, full or not to be written, the store says so itself.
                if !matches!(
                    error.kind(),
                    NotFound | PermissionDenied | ReadOnlyFilesystem | StorageFull
                ) {
                    tracing::warn!(
                        "the lock file cannot be used ({error}); other processes may run the same call at the same time"
                    );
                }
                Leased::Here(None)
            }
        }
    }

    /// Another process has ended; everybody who waited for it looks at the same time, and need not have the lease for
    /// that.
    async fn landed(
        &self,
        fingerprint: &Fingerprint,
        policy: &Policy,
        flight: Flight,
    ) -> Result<Begun> {
        match self.lookup(fingerprint, policy).await? {
            Some(hit) if hit.verdict == Verdict::Fresh => Ok(Begun::Hit(hit)),
            _ => self.lead(fingerprint, policy, flight).await,
        }
    }

    /// With the lease in hand: whoever held it before may have answered meanwhile.
    pub(crate) async fn run(
        &self,
        fingerprint: &Fingerprint,
        policy: &Policy,
        flight: Flight,
        lock: Option<HostLock>,
    ) -> Result<Begun> {
        let (hit, basis) = self.look(fingerprint, policy).await?;
        let ticket = |flight| Ticket::new(self, *fingerprint, basis, Some(flight), lock);
        Ok(match hit {
            Some(hit) if hit.verdict == Verdict::Fresh => Begun::Hit(hit),
            Some(hit) => Begun::Stale(Box::new(hit), Some(ticket(flight).refreshing())),
            None => Begun::Run(ticket(flight)),
        })
    }

    async fn look(
        &self,
        fingerprint: &Fingerprint,
        policy: &Policy,
    ) -> Result<(Option<Hit>, Basis)> {
        let (head, mut basis) = self.basis(fingerprint).await?;
        let seen = self.see(fingerprint, policy, head).await?;
        basis.parent = seen.parent;
        if seen.withdrawn {
            basis.head = None;
        }
        Ok((seen.hit, basis))
    }

    /// Makes a counter that is not there. A server may lose one (an eviction, a flush), and then "still absent" would
    /// not tell that an answer was taken back meanwhile; a version does, because it never comes again. Whoever may
    /// not write it will publish nothing either.
    async fn found_counter(&self, name: &'static str) -> Option<Version> {
        let entry = NewEntry { value: Value::Count(0), ..NewEntry::record(Bytes::new()) };
        let op = Op::Put { key: Key::count(name), entry, when: When::Absent };
        match self.apply(Batch { objects: Vec::new(), ops: vec![op] }).await {
            Ok(Applied::All(done)) => done.first().and_then(|done| done.version),
            Ok(Applied::Refused { found, .. }) => found,
            Err(_) => None,
        }
    }

    /// What is there now, unjudged.
    pub(crate) async fn basis(&self, fingerprint: &Fingerprint) -> Result<(Option<Entry>, Basis)> {
        let keys = [Key::head(fingerprint), Key::count(EPOCH), Key::count(SWEEP)];
        let mut found = self.store().get(&keys).await?.into_iter();
        let head = found.next().flatten();
        let epoch = found.next().flatten().map(|entry| entry.version);
        let sweep = found.next().flatten().map(|entry| entry.version);
        let version = head.as_ref().map(|entry| entry.version);
        let basis = Basis { head: version, parent: None, epoch, sweep };
        Ok((head, self.founded(basis).await))
    }

    /// With counters that are there, where a server might lose them.
    pub(crate) async fn founded(&self, mut basis: Basis) -> Basis {
        if !self.store().info().capabilities.near {
            for (name, counter) in [(EPOCH, &mut basis.epoch), (SWEEP, &mut basis.sweep)] {
                if counter.is_none() {
                    *counter = self.found_counter(name).await;
                }
            }
        }
        basis
    }

    async fn see(
        &self,
        fingerprint: &Fingerprint,
        policy: &Policy,
        entry: Option<Entry>,
    ) -> Result<Seen> {
        let Some(entry) = entry else {
            return Ok(Seen::default());
        };
        let mut seen = Seen::default();
        let Some(record) = entry.record() else { return Ok(seen) };
        let mut head = match Head::decode(record) {
            Ok(head) => head,
            Err(error) => {
                tracing::warn!("a stored answer cannot be read and is computed again: {error}");
                return Ok(seen);
            }
        };
        seen.parent = Some(head.commit);
        let mut evidence = Evidence::of(&head, entry.used);
        if policy.refresh_after.is_some() {
            evidence.uses = self.inner.access.uses(fingerprint, &head.commit);
        }
        let verdict = self.judge(&evidence, policy);
        if verdict == Verdict::Missing {
            return Ok(seen);
        }
        let claim = Claim {
            fingerprint,
            codec: &head.codec,
            output: &head.object.id,
            value: head.value.as_ref(),
        };
        if let Some(secret) = &self.inner.secret
            && !secret.verifies(head.signature.as_ref(), &claim)
        {
            tracing::warn!(
                "a stored answer is not signed with our secret and is computed again (commit {})",
                head.commit.short()
            );
            return Ok(seen);
        }
        let at_hand = head.inline.take().map(Bytes::from).or(entry.attached);
        if let Some(bytes) = self.bytes(&head.object.id, at_hand).await? {
            self.inner.access.hit(fingerprint, &head);
            self.prolong(fingerprint, &evidence, policy).await;
            let (object, used) = (head.object, entry.used);
            let uses = evidence.uses;
            seen.hit = Some(Hit { object, head, bytes, used, uses, verdict });
        } else {
            seen.withdrawn = self.withdraw(fingerprint, entry.version).await;
        }
        Ok(seen)
    }

    /// The verdict now. Dice are thrown only where they count.
    pub(crate) fn judge(&self, answer: &Evidence, policy: &Policy) -> Verdict {
        let dice = if policy.early == Some(Early::Chance) { dice() } else { 1.0 };
        judge(Some(answer), policy, self.now(), dice)
    }

    /// Writes down that an answer was used which lives by that, unless it was written down of late.
    async fn prolong(&self, fingerprint: &Fingerprint, answer: &Evidence, policy: &Policy) {
        let Some(ttl) = policy.ttl(answer.ttl).filter(|_| policy.sliding) else { return };
        if self.now().since(answer.used) < ttl / SLACK {
            return;
        }
        let touch = Op::Touch { key: Key::head(fingerprint), ago: Duration::ZERO };
        // The answer is there all the same.
        if let Err(error) = self.apply(Batch { objects: Vec::new(), ops: vec![touch] }).await {
            tracing::warn!("a use could not be written down: {error}");
        }
    }

    /// Takes back an answer that leads nowhere, so that nobody stumbles over it again. Whether it is gone.
    async fn withdraw(&self, fingerprint: &Fingerprint, version: Version) -> bool {
        let delete = Op::Delete { key: Key::head(fingerprint), when: When::Is(version) };
        let applied = self.apply(Batch { objects: Vec::new(), ops: vec![delete] }).await;
        matches!(applied, Ok(Applied::All(_)))
    }

    /// The verified bytes of an object; `None`, with a warning, where it is damaged or gone.
    pub(crate) async fn bytes(
        &self,
        id: &ObjectId,
        attached: Option<Bytes>,
    ) -> Result<Option<Bytes>> {
        let read = match attached {
            Some(bytes) if ObjectId::of(&bytes) == *id => return Ok(Some(bytes)),
            Some(_) => None,
            None => match self.store().read(id).await {
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => {
                    tracing::warn!(
                        "a stored result is gone and is computed again ({})",
                        id.short()
                    );
                    return Ok(None);
                }
                Err(error) if error.kind() == Kind::Corrupt => Some(error),
                Err(error) => return Err(error),
            },
        };
        let why = read.map_or_else(|| "its digest differs".to_owned(), |error| error.to_string());
        tracing::warn!(
            "a stored result is damaged, set aside and computed again ({}): {why}",
            id.short()
        );
        if let Err(error) = self.store().quarantine(id).await {
            tracing::warn!("a damaged result could not be set aside: {error}");
        }
        Ok(None)
    }
}

/// Above 0, up to 1.
fn dice() -> f64 {
    ((random() >> 11) as f64 + 1.0) / (1u64 << 53) as f64
}
