//! Making room: what is expired, old, or least recently used and over the budget; then what nothing refers to.
//!
//! Invariant: entries go before objects, and an object goes only if nobody wrote it since this gc began to
//! look (or for a longer grace), checked by the store in the step that removes it. A writer's batch holds only if no gc
//! has begun since the writer began (the `sweep` counter); otherwise it writes its objects once more, which makes
//! them young: it never publishes an entry whose object is taken away. Safe beside any number of writers.
//! Where batches are not atomic the grace is an hour.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Batch, Commit, CommitId, Fingerprint, Head, Key, ObjectId, Op, Order, Result, Scan,
    Space, Status, Timestamp, Version, When,
};

use crate::engine::Engine;
use crate::sweep;

/// What to let go of.
/// By default expired answers and unreferenced objects only.
#[derive(Clone, Copy, Debug, Default)]
pub struct GcOptions {
    /// Commits that were neither made nor used for this long.
    pub older_than: Option<Duration>,
    /// The least recently used commits, until the results take no more bytes than this.
    pub max_size: Option<u64>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// How long an object must have been left alone before it may go; what the store needs, where absent.
    pub grace: Option<Duration>,
}

/// How long a writer on a store without atomic batches may take from its objects to its entries.
const LOOSE_GRACE: Duration = Duration::from_secs(3600);

/// Stores tell age in milliseconds.
const TICK: Duration = Duration::from_millis(2);

/// What was (or would be) let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Commits.
    pub commits: u64,
    /// Current answers among them.
    pub heads: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes of those objects, as stored.
    pub bytes: u64,
}

struct Candidate {
    id: CommitId,
    fingerprint: Fingerprint,
    created: Timestamp,
    used: Timestamp,
    expired: bool,
    failed: bool,
    inline: u64,
    objects: Vec<ObjectId>,
}

impl Engine {
    /// Collects garbage.
    ///
    /// # Errors
    /// Whatever the store says; what was done until then is whole.
    pub async fn gc(&self, options: &GcOptions) -> Result<GcReport> {
        self.flush().await?;
        let begun = Instant::now();
        let now = self.now();
        // What is published from now on is either seen below or written anew.
        self.new_sweep().await?;
        // The order in which a near store has its rows; one that is far may have to sort for that.
        let near = self.store().info().capabilities.near;
        let order = if near { Order::Newest } else { Order::Key };
        // Commits before heads: a commit that is seen was published before its fingerprint's head is.
        let mut commits = Vec::new();
        self.each(Scan { order, ..Scan::new(Space::Commit) }, |key, entry| {
            let Some(id) = CommitId::from_slice(key.bytes()) else { return };
            let Some(Ok(commit)) = entry.record().map(|record| Commit::decode(&id, record)) else {
                return;
            };
            let ttl = commit.ttl_ms.map(Duration::from_millis);
            commits.push(Candidate {
                id,
                fingerprint: commit.fingerprint,
                created: commit.created(),
                used: commit.created(),
                expired: ttl.is_some_and(|ttl| now.since(commit.created()) >= ttl),
                failed: commit.status() == Status::Failed,
                inline: commit
                    .output()
                    .filter(|_| commit.stored_output().is_none())
                    .map_or(0, |(o, _)| o.len),
                objects: sweep::object(&entry).into_iter().chain(commit.explanations()).collect(),
            });
        })
        .await?;
        let mut heads = HashMap::new();
        self.each(Scan { order, ..Scan::new(Space::Head) }, |key, entry| {
            let fingerprint = Fingerprint::from_slice(key.bytes());
            let head = entry.record().and_then(|record| Head::decode(record).ok());
            if let (Some(fingerprint), Some(head)) = (fingerprint, head) {
                heads.insert(fingerprint, (head.commit, entry.version, entry.used));
            }
        })
        .await?;
        for commit in &mut commits {
            if let Some((id, _, used)) = heads.get(&commit.fingerprint)
                && *id == commit.id
            {
                commit.used = commit.used.max(*used);
            }
        }
        let sizes: HashMap<ObjectId, (u64, Duration)> = self
            .objects()
            .await?
            .into_iter()
            .map(|info| (info.id, (info.stored, info.idle)))
            .collect();

        let mut keep = choose(commits, options, now, &sizes);
        // In the order in which stores tend to keep them: neighbours go together.
        keep.go.sort_by_key(|commit| (commit.created, commit.id));
        let mut report = GcReport { commits: keep.go.len() as u64, ..GcReport::default() };
        for some in keep.go.chunks(self.step()) {
            let current = some.iter().filter_map(|commit| {
                let (id, version, _) = heads.get(&commit.fingerprint)?;
                (*id == commit.id).then(|| (Key::head(&commit.fingerprint), *version))
            });
            let current: Vec<_> = current.collect();
            report.heads += current.len() as u64;
            if !options.dry_run {
                self.let_go(&current, some).await?;
            }
        }

        let atomic = self.store().info().capabilities.atomic;
        let least = options.grace.unwrap_or(if atomic { Duration::ZERO } else { LOOSE_GRACE });
        let grace = || least.max(begun.elapsed() + TICK);
        let loose: Vec<ObjectId> = sizes
            .iter()
            .filter(|(id, (_, idle))| !keep.referenced.contains(*id) && *idle >= least)
            .map(|(id, _)| *id)
            .collect();
        if options.dry_run {
            report.objects = loose.len() as u64;
            report.bytes = loose.iter().filter_map(|id| sizes.get(id)).map(|(size, _)| size).sum();
        } else {
            for some in loose.chunks(self.step()) {
                let removed = self.store().remove(some, grace()).await?;
                report.objects += removed.objects;
                report.bytes += removed.bytes;
            }
        }
        Ok(report)
    }

    /// Deletes commits, and before them those of their heads that are still these.
    async fn let_go(&self, heads: &[(Key, Version)], commits: &[Candidate]) -> Result<()> {
        let delete = |(key, version): &(Key, Version)| Op::Delete {
            key: key.clone(),
            when: When::Is(*version),
        };
        let gone = || commits.iter().flat_map(|c| sweep::delete(Key::commit(&c.id), c.failed));
        let ops = heads.iter().map(delete).chain(gone()).collect();
        if matches!(self.apply(Batch { objects: Vec::new(), ops }).await?, Applied::All(_)) {
            return Ok(());
        }
        // Another answer that came meanwhile refuses them all; one by one it refuses its own only.
        for head in heads {
            self.apply(Batch { objects: Vec::new(), ops: vec![delete(head)] }).await?;
        }
        self.apply_all(gone().collect()).await
    }
}

struct Choice {
    go: Vec<Candidate>,
    referenced: HashSet<ObjectId>,
}

/// Decides what goes: the expired, the old, then the least recently used until the budget is kept.
fn choose(
    mut candidates: Vec<Candidate>,
    options: &GcOptions,
    now: Timestamp,
    sizes: &HashMap<ObjectId, (u64, Duration)>,
) -> Choice {
    let old = options.older_than.map(|span| now.before(span));
    let (mut go, mut stay): (Vec<_>, Vec<_>) =
        candidates.drain(..).partition(|c| c.expired || old.is_some_and(|old| c.used < old));
    let mut references: HashMap<ObjectId, u64> = HashMap::new();
    for id in stay.iter().flat_map(|c| &c.objects) {
        *references.entry(*id).or_default() += 1;
    }
    if let Some(budget) = options.max_size {
        let size = |id: &ObjectId| sizes.get(id).map_or(0, |(size, _)| *size);
        let mut total: u64 = references.keys().map(size).sum();
        total += stay.iter().map(|c| c.inline).sum::<u64>();
        // Least recently used last, to be popped first.
        stay.sort_by_key(|c| std::cmp::Reverse((c.used, c.id)));
        while total > budget
            && let Some(commit) = stay.pop()
        {
            total = total.saturating_sub(commit.inline);
            for id in &commit.objects {
                if let Some(count) = references.get_mut(id) {
                    *count -= 1;
                    if *count == 0 {
                        references.remove(id);
                        total = total.saturating_sub(size(id));
                    }
                }
            }
            go.push(commit);
        }
    }
    Choice { go, referenced: references.into_keys().collect() }
}
