//! Leases between hosts: entries of the store with an end, for stores that several hosts share.
//!
//! Whoever leads puts the entry of the fingerprint if there is none; the [keeper](keeper) renews it every third of its
//! time while the function runs, and looks for those who wait. The answer is published in the batch that deletes the
//! lease, so whoever waited finds one of the two. All times are durations: the store's clock is the only one.
//!
//! Invariant: each taking writes a record that no other ever writes. What is under the key is ours exactly if it is
//! that record, whatever became of answers that were lost on the way. Nothing rests on a lease but who runs first: what
//! is published is decided by the batch that publishes (`ticket`).

mod keeper;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Batch, Bytes, CommitId, Entry, Fingerprint, Head, Key, NewEntry, Op, Result, Store,
    Version, When, Who,
};

use crate::begin::{Basis, Begun, EPOCH, SWEEP};
use crate::busy::{Busy, Owner};
use crate::engine::Engine;
use crate::flight::{Flight, Signal};
use crate::policy::Policy;
use crate::ticket::{Ticket, expect, random};
use keeper::Keeper;

/// How long a lease lasts that nobody renews.
pub(crate) const TTL: Duration = Duration::from_secs(6);

/// The leases of one engine.
#[derive(Debug)]
pub(crate) struct Leases {
    keeper: Arc<Keeper>,
    /// Who we are, for whoever looks into the store.
    owner: String,
}

/// What one taking is known by.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) key: Key,
    record: Bytes,
    /// The write that is there, as far as we know; unknown where an answer did not come.
    pub(crate) version: Option<Version>,
    /// Until when it may be there.
    until: Instant,
}

impl Claim {
    /// Whether `entry` is this claim.
    fn is(&self, entry: &Entry) -> bool {
        entry.record() == Some(&self.record)
    }

    fn renewal(&self, ttl: Duration) -> Op {
        let entry = NewEntry { ttl: Some(ttl), ..NewEntry::record(self.record.clone()) };
        Op::Put { key: self.key.clone(), entry, when: expect(self.version) }
    }

    /// Ends it, if it is the write that we know.
    pub(crate) fn end(&self) -> Op {
        Op::Delete { key: self.key.clone(), when: expect(self.version) }
    }
}

/// The exclusive right to compute one fingerprint, as long as it is renewed. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lease {
    keeper: Arc<Keeper>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The keeper renews it, under this number.
    Kept(u64),
    /// Nobody renews it: it is being taken, or being ended.
    Still(Claim),
    /// It is not ours any more.
    Ended,
}

/// Waiting for another engine to let go. Unlike a lock of the host, the lease is not handed over: whoever waited
/// looks for the answer, and asks for the lease if there is none.
#[derive(Debug, Default)]
pub(crate) struct LeaseWait {
    pub(crate) got: Signal,
}

impl Leases {
    pub(crate) fn new(store: Arc<dyn Store>, who: &Who, ttl: Duration) -> Self {
        let owner = format!("{}@{} {}", who.user, who.host, who.pid);
        Self { keeper: Arc::new(Keeper::new(store, ttl)), owner }
    }

    /// The lease, unless somebody has it, with what was there the moment it was taken.
    pub(crate) async fn take(&self, fingerprint: &Fingerprint) -> Result<Option<(Lease, Basis)>> {
        let ttl = self.keeper.ttl();
        let mut claim = Claim {
            key: Key::lease(fingerprint),
            record: format!("{} {:016x}{:016x}", self.owner, random(), random()).into(),
            version: None,
            until: Instant::now() + ttl,
        };
        let mut ops = vec![claim.renewal(ttl)];
        let seen = [Key::head(fingerprint), Key::count(EPOCH), Key::count(SWEEP)];
        ops.extend(seen.map(|key| Op::Check { key, when: When::Always }));
        // Whoever stops waiting for the store here leaves a lease behind that the keeper looks for.
        let mut lease =
            Lease { keeper: Arc::clone(&self.keeper), state: State::Still(claim.clone()) };
        match self.keeper.store().apply(Batch { objects: Vec::new(), ops }).await? {
            Applied::All(done) => {
                let version = |index: usize| done.get(index).and_then(|done| done.version);
                claim.version = version(0);
                lease.state = State::Kept(self.keeper.keep(claim));
                let basis =
                    Basis { head: version(1), parent: None, epoch: version(2), sweep: version(3) };
                Ok(Some((lease, basis)))
            }
            Applied::Refused { .. } => {
                lease.state = State::Ended;
                Ok(None)
            }
        }
    }

    /// Begins to wait until nobody has the lease.
    pub(crate) fn wait(&self, key: Key) -> Arc<LeaseWait> {
        self.keeper.wait(key)
    }

    /// Gives back what was let go of and is not given back yet.
    pub(crate) async fn flush(&self) {
        self.keeper.give_back().await;
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.keeper.close();
    }
}

impl Lease {
    /// Ends the renewing, so that the version stands still; what is known of the lease.
    pub(crate) fn stop(&mut self) -> Option<&mut Claim> {
        if let State::Kept(number) = self.state {
            self.state = self.keeper.stop(number).map_or(State::Ended, State::Still);
        }
        match &mut self.state {
            State::Still(claim) => Some(claim),
            State::Kept(_) | State::Ended => None,
        }
    }

    /// After a refusal: looks what is there. Whether another has taken it; where nobody has, or it is over, there is
    /// nothing left to end.
    pub(crate) async fn is_taken(&mut self) -> Result<bool> {
        let store = Arc::clone(self.keeper.store());
        let Some(claim) = self.stop() else { return Ok(false) };
        let found = store.get(std::slice::from_ref(&claim.key)).await?.pop().flatten();
        match found {
            Some(entry) if claim.is(&entry) => {
                claim.version = Some(entry.version);
                Ok(false)
            }
            found => {
                self.state = State::Ended;
                Ok(found.is_some())
            }
        }
    }

    /// It was ended in a batch.
    pub(crate) fn ended(&mut self) {
        self.state = State::Ended;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop();
        if let State::Still(claim) = std::mem::replace(&mut self.state, State::Ended) {
            self.keeper.let_go(claim);
        }
    }
}

impl Engine {
    /// Leads among the hosts: takes the lease, or waits for whoever has it.
    pub(crate) async fn lead_away(
        &self,
        leases: &Leases,
        fingerprint: &Fingerprint,
        policy: &Policy,
        flight: Flight,
    ) -> Result<Begun> {
        let Some((lease, basis)) = leases.take(fingerprint).await? else {
            let owner = Owner::Away { wait: leases.wait(Key::lease(fingerprint)), flight };
            return Ok(Begun::Busy(Busy { fingerprint: *fingerprint, owner }));
        };
        if basis.head.is_none() {
            let basis = self.founded(basis).await;
            let ticket = Ticket::new(self, *fingerprint, basis, Some(flight), None);
            return Ok(Begun::Run(ticket.leased(lease)));
        }
        // Whoever had it before may have answered since we looked.
        Ok(match self.run(fingerprint, policy, flight, None).await? {
            Begun::Run(ticket) => Begun::Run(ticket.leased(lease)),
            Begun::Stale(hit, Some(ticket)) => Begun::Stale(hit, Some(ticket.leased(lease))),
            other => other,
        })
    }

    /// The right to replace the answer by `seen`, for one caller of all hosts.
    pub(crate) async fn refresh_away(
        &self,
        leases: &Leases,
        fingerprint: &Fingerprint,
        seen: &CommitId,
        flight: Flight,
    ) -> Result<Option<Ticket>> {
        let (entry, before) = self.basis(fingerprint).await?;
        let parent =
            entry.and_then(|entry| Head::decode(entry.record()?).ok()).map(|head| head.commit);
        if parent.as_ref() != Some(seen) {
            return Ok(None);
        }
        let Some((lease, basis)) = leases.take(fingerprint).await? else {
            // Somebody is at it; not every hit is to ask the store whether he still is.
            self.inner.resting.rest(fingerprint, Duration::ZERO);
            return Ok(None);
        };
        let basis = self.founded(Basis { parent, ..basis }).await;
        let stands = basis.head == before.head;
        let ticket = || Ticket::new(self, *fingerprint, basis, Some(flight), None).leased(lease);
        Ok(stands.then(|| ticket().refreshing()))
    }
}

/// A poisoned lock is as good as any: nothing is left half done under it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
