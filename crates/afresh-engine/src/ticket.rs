//! Ending a call: one batch that keeps the output, the commit and the new head together.
//!
//! Invariant: an answer is published only over an answer that began earlier, and only if nothing was taken
//! back since: a late owner is fenced off, its commit recorded, its value still the caller's.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Batch, Blob, Bytes, Commit, CommitId, Failure, Fingerprint, Function, Head,
    INLINE_MAX, Kept, Key, Labels, NewEntry, ObjectId, ObjectRef, Op, Outcome, Outlined, Result,
    Status, Tag, Timestamp, Value, Version, When,
};

use crate::access::FAILED;
use crate::begin::{Basis, EPOCH, SWEEP};
use crate::engine::Engine;
use crate::flight::Flight;
use crate::hostlock::HostLock;
use crate::lease::Lease;
use crate::policy::RAISED;
use crate::record::{Execution, Output};
use crate::sign::Claim;

/// The right (and, but for forced calls, the only one) to compute a fingerprint now. Dropping it lets go.
#[derive(Debug)]
pub struct Ticket {
    engine: Engine,
    fingerprint: Fingerprint,
    basis: Basis,
    started: Timestamp,
    clock: Instant,
    publish: bool,
    /// There is an answer that is used meanwhile.
    refresh: bool,
    outlines: Vec<(u32, Bytes)>,
    flight: Option<Flight>,
    lock: Option<HostLock>,
    lease: Option<Lease>,
}

/// How often the epoch may move while an answer is being published.
const MOVES: usize = 32;

/// What a condition of the batch that publishes is about.
#[derive(Clone, Copy)]
enum About {
    Sweep,
    Epoch,
    Head,
    Lease,
}

/// A failure as callers get it again instead of running the function.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The codec of these bytes; the head has it with [`RAISED`] in front.
    pub codec: String,
    /// What was raised; few bytes, they go into the head.
    pub bytes: Vec<u8>,
}

/// What was recorded.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The commit.
    pub commit: CommitId,
    /// The output, where it was kept.
    pub object: Option<ObjectRef>,
    /// Whether later calls will get this answer.
    pub published: bool,
}

impl Ticket {
    pub(crate) fn new(
        engine: &Engine,
        fingerprint: Fingerprint,
        basis: Basis,
        flight: Option<Flight>,
        lock: Option<HostLock>,
    ) -> Self {
        Self {
            started: engine.now(),
            clock: Instant::now(),
            engine: engine.clone(),
            fingerprint,
            basis,
            publish: true,
            refresh: false,
            outlines: Vec::new(),
            flight,
            lock,
            lease: None,
        }
    }

    /// With the lease that it was given under.
    pub(crate) fn leased(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// What is being computed.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Whether other callers of this engine wait for what comes of it now.
    pub fn is_awaited(&self) -> bool {
        self.flight.as_ref().is_some_and(Flight::is_awaited)
    }

    /// Records the execution without making it the answer.
    #[must_use]
    pub fn unpublished(mut self) -> Self {
        self.publish = false;
        self
    }

    /// There is an answer to be replaced: after a failure it is a while until the next attempt.
    pub(crate) fn refreshing(mut self) -> Self {
        self.refresh = true;
        self
    }

    /// Keeps with the execution what is inside its arguments: place of the argument, encoded
    /// [outline](afresh_core::Outline).
    #[must_use]
    pub fn outlined(mut self, outlines: Vec<(u32, Bytes)>) -> Self {
        self.outlines = outlines;
        self
    }

    /// Records that the function returned.
    ///
    /// # Errors
    /// Whatever kept the store from recording it; the value is the caller's all the same.
    pub async fn finish(self, execution: Execution, output: Output) -> Result<Finished> {
        match output {
            Output::Unkept { reason } => {
                self.rest(&execution);
                let outcome = Outcome::Completed(Kept::No { reason });
                self.record(execution, outcome, Vec::new(), None).await
            }
            Output::Bytes { codec, blob, value } => {
                let object = ObjectRef { id: blob.id(), len: blob.len() as u64 };
                let claim = Claim {
                    fingerprint: &self.fingerprint,
                    codec: &codec,
                    output: &object.id,
                    value: value.as_ref(),
                };
                let signature = self.engine.inner.secret.as_ref().map(|secret| secret.sign(&claim));
                let inline = (object.len as usize <= INLINE_MAX).then(|| blob.to_bytes().to_vec());
                let objects = if inline.is_none() { vec![(object.id, blob)] } else { Vec::new() };
                let kept = Kept::Object { object, codec, signature, value, inline };
                self.record(execution, Outcome::Completed(kept), objects, None).await
            }
        }
    }

    /// Records that the function raised. With `replay` later calls get the failure as their answer.
    ///
    /// # Errors
    /// Whatever kept the store from recording it.
    pub async fn fail(
        self,
        execution: Execution,
        failure: Failure,
        replay: Option<Replay>,
    ) -> Result<Finished> {
        self.rest(&execution);
        self.record(execution, Outcome::Failed(failure), Vec::new(), replay).await
    }

    /// Of a refresh that leaves the old answer where it is: the next one waits for a while.
    fn rest(&self, execution: &Execution) {
        if self.refresh {
            let took = execution.took.unwrap_or_else(|| self.clock.elapsed());
            self.engine.inner.resting.rest(&self.fingerprint, took);
        }
    }

    async fn record(
        mut self,
        execution: Execution,
        outcome: Outcome,
        mut objects: Vec<(ObjectId, Blob)>,
        replay: Option<Replay>,
    ) -> Result<Finished> {
        let outlines = outlines(std::mem::take(&mut self.outlines), &mut objects);
        let inner = &self.engine.inner;
        let took = execution.took.unwrap_or_else(|| self.clock.elapsed());
        let function = &execution.function;
        let commit = Commit {
            fingerprint: self.fingerprint,
            function: function.name.clone(),
            function_id: function.id,
            function_record: Some(function.record_id),
            arguments: execution.arguments,
            parent: self.basis.parent,
            inputs: execution.inputs,
            outcome,
            started: self.started,
            took_us: micros(took),
            ttl_ms: execution.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
            tags: execution.tags,
            who: inner.who.clone(),
            nonce: random(),
            outlines,
        };
        let (id, bytes) = commit.encode()?;
        let mut ops = vec![Op::Put {
            key: Key::commit(&id),
            entry: NewEntry {
                value: Value::Record(bytes),
                object: commit.stored_output(),
                labels: labels(&commit),
                ttl: None,
            },
            when: When::Always,
        }];
        if commit.status() == Status::Failed {
            ops.push(Op::Add { key: Key::count(FAILED), by: 1, ttl: None });
        }
        ops.extend(inner.access.due());
        let head = match replay {
            _ if !self.publish => None,
            Some(replay) => Some(self.replayed(&commit, id, replay)),
            None => head(&commit, id),
        };
        let mut lease = self.lease.take();
        let published =
            self.publish(objects, ops, head.as_ref(), (function, &commit.tags), &mut lease).await?;
        // Waiters look at the store as soon as these are gone; the answer must be there by then.
        drop(self.lock.take());
        drop(self.flight.take());
        let object = commit.output().map(|(object, _)| *object);
        Ok(Finished { commit: id, object, published })
    }

    /// The head that makes a failure the answer.
    fn replayed(&self, commit: &Commit, id: CommitId, replay: Replay) -> Head {
        let (codec, bytes) = (format!("{RAISED}{}", replay.codec), replay.bytes);
        let object = ObjectRef { id: ObjectId::of(&bytes), len: bytes.len() as u64 };
        let claim = Claim {
            fingerprint: &self.fingerprint,
            codec: &codec,
            output: &object.id,
            value: None,
        };
        let signature = self.engine.inner.secret.as_ref().map(|secret| secret.sign(&claim));
        Head {
            commit: id,
            started: commit.started,
            created: commit.created(),
            took_us: commit.took_us,
            ttl_ms: commit.ttl_ms,
            codec,
            signature,
            value: None,
            object,
            inline: Some(bytes),
        }
    }

    /// One batch where nothing came between; otherwise what is right for what came.
    async fn publish(
        &self,
        objects: Vec<(ObjectId, Blob)>,
        ops: Vec<Op>,
        mut head: Option<&Head>,
        (function, tags): (&Function, &[Tag]),
        lease: &mut Option<Lease>,
    ) -> Result<bool> {
        let records = &self.engine.inner.records;
        let atomic = self.engine.store().info().capabilities.atomic;
        let Basis { head: mut seen, mut sweep, mut epoch, .. } = self.basis;
        let mut moves = 0;
        loop {
            let mut batch =
                Batch { objects: objects.clone(), ops: Vec::with_capacity(ops.len() + 5) };
            if !records.knows(sweep, &function.record_id) {
                batch.objects.push((function.record_id, function.record.clone().into()));
            }
            // The conditions come first, the end of the lease last: without it a waiter looks for the answer.
            let mut conditions = Vec::with_capacity(4);
            let mut add = |about, op| {
                conditions.push(about);
                batch.ops.push(op);
            };
            let claim = lease.as_mut().and_then(Lease::stop);
            add(About::Sweep, Op::Check { key: Key::count(SWEEP), when: expect(sweep) });
            if let Some(claim) = claim.as_ref().filter(|_| !atomic) {
                let when = expect(claim.version);
                add(About::Lease, Op::Check { key: claim.key.clone(), when });
            }
            if let Some(head) = head {
                let when = expect(epoch);
                add(About::Epoch, Op::Check { key: Key::count(EPOCH), when });
                let entry = NewEntry {
                    object: head.inline.is_none().then_some(head.object),
                    ..NewEntry::record(head.encode()?)
                };
                let key = Key::head(&self.fingerprint);
                add(About::Head, Op::Put { key, entry, when: expect(seen) });
            }
            batch.ops.extend(ops.iter().cloned());
            batch.ops.extend(claim.map(|claim| claim.end()));
            let (index, refused) = match self.engine.apply(batch).await? {
                Applied::All(_) => {
                    records.remember(sweep, function.record_id);
                    if let Some(lease) = lease {
                        lease.ended();
                    }
                    return Ok(head.is_some());
                }
                // A gc has begun: what we refer to must be written anew, after it began.
                Applied::Refused { index: 0, found } => {
                    sweep = found;
                    continue;
                }
                Applied::Refused { index, found } => (index, found),
            };
            match (conditions.get(index).copied(), lease.as_mut()) {
                // Something else is there now, or nothing: of two answers the one that began later stays.
                (Some(About::Head), _) => {
                    let found = self.engine.entry(&Key::head(&self.fingerprint)).await?;
                    let rival = found.as_ref().and_then(|entry| Head::decode(entry.record()?).ok());
                    if rival.is_some_and(|rival| rival.started > self.started) {
                        head = None;
                    }
                    // What a store refuses for and does not show is replaced as well.
                    seen = found.map(|entry| entry.version).or(refused);
                }
                // Something was taken back while we computed. Where it was this: on record, but not the answer.
                (Some(About::Epoch), _) => {
                    let (moved, call) = ((self.basis.epoch, refused), &self.fingerprint);
                    moves += 1;
                    if moves > MOVES
                        || self.engine.was_taken_back(moved, call, &function.name, tags).await?
                    {
                        head = None;
                    }
                    epoch = refused;
                }
                (Some(About::Sweep), _) => head = None,
                // Not the write that we know: renewed after all, or over, or another's, who computes now.
                (Some(About::Lease) | None, Some(lease)) => {
                    if lease.is_taken().await? {
                        head = None;
                    }
                }
                (Some(About::Lease) | None, None) => head = None,
            }
        }
    }
}

/// Keeps small outlines within the commit, and the others as objects.
fn outlines(encoded: Vec<(u32, Bytes)>, objects: &mut Vec<(ObjectId, Blob)>) -> Vec<Outlined> {
    let keep = |(argument, bytes): (u32, Bytes)| {
        let object = ObjectRef { id: ObjectId::of(&bytes), len: bytes.len() as u64 };
        let inline = (bytes.len() <= INLINE_MAX).then(|| bytes.to_vec());
        if inline.is_none() {
            objects.push((object.id, bytes.into()));
        }
        Outlined { argument, object, inline }
    };
    encoded.into_iter().map(keep).collect()
}

pub(crate) fn expect(version: Option<Version>) -> When {
    version.map_or(When::Absent, When::Is)
}

/// What a commit can be found by.
pub(crate) fn labels(commit: &Commit) -> Labels {
    Labels {
        function: Some(commit.function.clone()),
        status: Some(commit.status()),
        tags: commit.tags.clone(),
        group: Some(group(&commit.fingerprint)),
        time: Some(commit.created()),
    }
}

/// The label that the commits of one fingerprint share.
pub(crate) fn group(fingerprint: &Fingerprint) -> u64 {
    u64::from_le_bytes(fingerprint.as_bytes().first_chunk::<8>().copied().unwrap_or_default())
}

/// The head that makes `commit` the answer; `None` where it has no output.
pub(crate) fn head(commit: &Commit, id: CommitId) -> Option<Head> {
    let Outcome::Completed(Kept::Object { object, codec, signature, value, inline }) =
        &commit.outcome
    else {
        return None;
    };
    Some(Head {
        commit: id,
        started: commit.started,
        created: commit.created(),
        took_us: commit.took_us,
        ttl_ms: commit.ttl_ms,
        codec: codec.clone(),
        signature: *signature,
        value: *value,
        object: *object,
        inline: inline.clone(),
    })
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Random enough that two executions of one process differ; the process is in the commit too.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
