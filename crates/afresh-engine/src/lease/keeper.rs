//! The thread that keeps the leases of an engine: it renews those that are held, gives back those that were let go of,
//! and looks for those who wait, each in one request for all.
//!
//! Where the store tells of leases, a waiter is looked for when it does, and every second beside that; otherwise in
//! steps that grow. Either way the end of a lease that nobody renews is waited for by the time that the store says it
//! has left. The thread begins with the first lease or waiter, and ends a while after the last.
//!
//! Invariant: the mutex is never held while the store is asked, so taking a lease, letting go of one and beginning to
//! wait never wait for the store's sake.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use afresh_core::{Applied, Batch, Key, Op, Result, Space, Store, Watcher};
use pollster::block_on;

use super::{Claim, LeaseWait, lock};

/// The first and the longest pause between two looks at a lease, where the store does not tell.
const STEPS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// The longest pause where it does.
const BESIDE: Duration = Duration::from_secs(1);

/// How long after a lease's own end it is looked at.
const SLACK: Duration = Duration::from_millis(2);

/// How long the thread stays without work.
const IDLE: Duration = Duration::from_secs(10);

/// Leases in one request.
const BATCH: usize = 256;

/// How often a batch is made anew of which a part was refused, before it is left for later.
const ROUNDS: usize = 4;

#[derive(Debug)]
pub(crate) struct Keeper {
    store: Arc<dyn Store>,
    ttl: Duration,
    state: Mutex<State>,
    /// There is something to be done sooner than the thread knows.
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<u64, Held>,
    next: u64,
    /// When those that are held are renewed.
    renew: Option<Instant>,
    let_go: Vec<Claim>,
    /// When those are given back.
    give_back: Option<Instant>,
    waiting: Vec<Waiting>,
    running: bool,
    closed: bool,
    /// Whether the store was asked to tell, and does.
    told: Option<bool>,
}

#[derive(Debug)]
struct Held {
    claim: Claim,
    /// Another has taken it: it is not renewed any more.
    lost: bool,
}

#[derive(Debug)]
struct Waiting {
    key: Key,
    wait: Weak<LeaseWait>,
    at: Instant,
    pause: Duration,
    /// Since when the store does not answer.
    away: Option<Instant>,
}

/// What is to be done now.
#[derive(Default)]
struct Work {
    renew: Vec<(u64, Claim)>,
    give_back: bool,
    look: Vec<Key>,
}

impl Keeper {
    pub(crate) fn new(store: Arc<dyn Store>, ttl: Duration) -> Self {
        Self { store, ttl, state: Mutex::default(), wake: Condvar::new() }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Renews a lease from now on.
    pub(crate) fn keep(self: &Arc<Self>, claim: Claim) -> u64 {
        let mut state = lock(&self.state);
        let number = state.next;
        state.next += 1;
        state.held.insert(number, Held { claim, lost: false });
        if state.renew.is_none() {
            state.renew = Some(Instant::now() + self.ttl / 3);
            self.wake.notify_one();
        }
        self.start(&mut state);
        number
    }

    /// Renews it no longer. A renewal may be on its way all the same.
    pub(crate) fn stop(&self, number: u64) -> Option<Claim> {
        lock(&self.state).held.remove(&number).map(|held| held.claim)
    }

    /// Gives a lease back soon.
    pub(crate) fn let_go(self: &Arc<Self>, claim: Claim) {
        let mut state = lock(&self.state);
        state.let_go.push(claim);
        state.give_back = Some(Instant::now());
        self.start(&mut state);
        self.wake.notify_one();
    }

    /// Begins to wait until nobody has the lease.
    pub(crate) fn wait(self: &Arc<Self>, key: Key) -> Arc<LeaseWait> {
        let wait = Arc::<LeaseWait>::default();
        let mut state = lock(&self.state);
        let (weak, pause) = (Arc::downgrade(&wait), STEPS.0);
        let at = Instant::now() + pause;
        state.waiting.push(Waiting { key, wait: weak, at, pause, away: None });
        self.start(&mut state);
        if !state.running {
            // Without a thread the waiter is let through: it asks for the lease again, or runs.
            state.waiting.pop();
            wait.got.raise();
        }
        let listen = state.told.is_none();
        if listen {
            state.told = Some(false);
        }
        drop(state);
        if listen {
            let told = self.store.watch(Arc::new(Ears(Arc::downgrade(self))));
            lock(&self.state).told = Some(told);
        }
        self.wake.notify_one();
        wait
    }

    /// The engine is gone.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.wake.notify_one();
    }

    fn start(self: &Arc<Self>, state: &mut State) {
        if !state.running {
            let keeper = Arc::clone(self);
            let thread = std::thread::Builder::new().name("afresh-leases".into());
            // Without a thread a lease is not renewed: it ends by itself, and its answer is published if nobody else
            // has taken it.
            state.running = thread.spawn(move || keeper.run()).is_ok();
        }
    }

    fn run(&self) {
        let mut idle = None;
        loop {
            let mut state = lock(&self.state);
            let now = Instant::now();
            let work = self.due(&mut state, now);
            if work.is_nothing() {
                let end = match state.until() {
                    Some(next) => {
                        idle = None;
                        next
                    }
                    None if state.closed => now,
                    None => *idle.get_or_insert(now + IDLE),
                };
                if end <= now {
                    state.running = false;
                    return;
                }
                let slept = self.wake.wait_timeout(state, end - now);
                drop(slept.unwrap_or_else(PoisonError::into_inner));
                continue;
            }
            drop(state);
            if work.give_back {
                block_on(self.give_back());
            }
            if !work.renew.is_empty() {
                block_on(self.renew(work.renew));
            }
            if !work.look.is_empty() {
                block_on(self.look(&work.look));
            }
        }
    }

    fn due(&self, state: &mut State, now: Instant) -> Work {
        let mut work = Work::default();
        if state.give_back.is_some_and(|at| at <= now) {
            state.give_back = None;
            work.give_back = true;
        }
        if state.renew.is_some_and(|at| at <= now) {
            let held = state.held.iter().filter(|(_, held)| !held.lost);
            work.renew = held.map(|(number, held)| (*number, held.claim.clone())).collect();
            state.renew = (!work.renew.is_empty()).then(|| now + self.ttl / 3);
        }
        state.waiting.retain(|waiting| waiting.wait.strong_count() > 0);
        if state.waiting.iter().any(|waiting| waiting.at <= now) {
            // Those whose turn is near come along.
            let near = state.waiting.iter().filter(|waiting| waiting.at <= now + STEPS.0 / 2);
            work.look = near.map(|waiting| waiting.key.clone()).collect();
            work.look.sort_unstable();
            work.look.dedup();
        }
        work
    }

    async fn renew(&self, held: Vec<(u64, Claim)>) {
        for some in held.chunks(BATCH) {
            let claims = some.iter().map(|(_, claim)| claim.clone()).collect();
            let renewed = self.change(claims, |claim| Some(claim.renewal(self.ttl))).await;
            let mut state = lock(&self.state);
            let Ok(renewed) = renewed else {
                state.renew = Some(Instant::now() + self.ttl / 8);
                continue;
            };
            for (number, claim) in some {
                // Those that were stopped meanwhile find out for themselves what is there.
                let Some(held) = state.held.get_mut(number) else { continue };
                match renewed.iter().find(|renewed| renewed.record == claim.record) {
                    Some(renewed) => {
                        held.claim.version = renewed.version;
                        held.claim.until = Instant::now() + self.ttl;
                    }
                    None => held.lost = true,
                }
            }
        }
    }

    /// Gives back what was let go of; what cannot be is tried again until it has ended by itself.
    pub(crate) async fn give_back(&self) {
        let claims = std::mem::take(&mut lock(&self.state).let_go);
        for some in claims.chunks(BATCH) {
            let end = |claim: &Claim| claim.version.map(|_| claim.end());
            if self.change(some.to_vec(), end).await.is_err() {
                let mut state = lock(&self.state);
                let now = Instant::now();
                let left = some.iter().filter(|claim| claim.until > now && !state.closed).cloned();
                let left: Vec<_> = left.collect();
                if !left.is_empty() {
                    state.let_go.extend(left);
                    state.give_back = Some(now + self.ttl / 8);
                }
            }
        }
    }

    /// Makes a change to each of the claims that is ours still, in one batch; gives those back, as they are now. Where
    /// something is not as it was known to be, all are looked at. `change` makes nothing of a claim that is not there
    /// and is not to be.
    async fn change(
        &self,
        mut claims: Vec<Claim>,
        change: impl Fn(&Claim) -> Option<Op>,
    ) -> Result<Vec<Claim>> {
        // An answer that did not come leaves a claim of which no version is known: those are looked at first.
        let mut known = claims.iter().all(|claim| claim.version.is_some());
        for _ in 0..ROUNDS {
            if !known {
                let keys: Vec<_> = claims.iter().map(|claim| claim.key.clone()).collect();
                let mut found = self.store.get(&keys).await?.into_iter();
                claims.retain_mut(|claim| {
                    let found = found.next().flatten();
                    claim.version = found.as_ref().map(|entry| entry.version);
                    found.is_none_or(|entry| claim.is(&entry))
                });
            }
            claims.retain(|claim| change(claim).is_some());
            if claims.is_empty() {
                return Ok(claims);
            }
            let ops = claims.iter().filter_map(&change).collect();
            match self.store.apply(Batch { objects: Vec::new(), ops }).await? {
                Applied::All(done) => {
                    for (claim, done) in claims.iter_mut().zip(done) {
                        claim.version = done.version;
                    }
                    return Ok(claims);
                }
                Applied::Refused { .. } => known = false,
            }
        }
        Ok(claims)
    }

    /// Wakes those whose lease is gone, and says when the others are looked for again.
    async fn look(&self, keys: &[Key]) {
        let mut found = HashMap::new();
        let mut failed = false;
        for some in keys.chunks(BATCH) {
            match self.store.get(some).await {
                Ok(entries) => found.extend(some.iter().zip(entries)),
                Err(_) => failed = true,
            }
        }
        let mut state = lock(&self.state);
        let (now, told) = (Instant::now(), state.told == Some(true));
        state.waiting.retain_mut(|waiting| {
            let Some(wait) = waiting.wait.upgrade() else { return false };
            match found.get(&waiting.key) {
                Some(Some(entry)) => {
                    waiting.pause =
                        if told { BESIDE } else { (waiting.pause * 3 / 2).min(STEPS.1) };
                    let left = entry.ttl.map_or(waiting.pause, |left| left + SLACK);
                    waiting.at = now + waiting.pause.min(left);
                    waiting.away = None;
                    return true;
                }
                // A store that is away for long keeps nobody waiting: who resumes is told, and can do without.
                None if failed && keys.binary_search(&waiting.key).is_ok() => {
                    let away = *waiting.away.get_or_insert(now);
                    waiting.at = now + STEPS.1;
                    if now < away + self.ttl / 3 {
                        return true;
                    }
                }
                // Not asked for this time.
                None => return true,
                Some(None) => {}
            }
            wait.got.raise();
            false
        });
    }
}

impl State {
    /// When there is something to be done.
    fn until(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().map(|waiting| waiting.at);
        waiting.chain(self.renew).chain(self.give_back).min()
    }
}

impl Work {
    fn is_nothing(&self) -> bool {
        self.renew.is_empty() && !self.give_back && self.look.is_empty()
    }
}

/// Hears of leases.
struct Ears(Weak<Keeper>);

impl Ears {
    fn hear(&self, concerns: impl Fn(&Key) -> bool) {
        let Some(keeper) = self.0.upgrade() else { return };
        let now = Instant::now();
        let mut state = lock(&keeper.state);
        let mut any = false;
        for waiting in state.waiting.iter_mut().filter(|waiting| concerns(&waiting.key)) {
            waiting.at = now;
            any = true;
        }
        drop(state);
        if any {
            keeper.wake.notify_one();
        }
    }
}

impl Watcher for Ears {
    fn changed(&self, key: &Key) {
        if key.space() == Space::Lease {
            self.hear(|waited| waited == key);
        }
    }

    fn missed(&self) {
        self.hear(|_| true);
    }
}
