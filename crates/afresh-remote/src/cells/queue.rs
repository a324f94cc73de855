//! Turns of the callers of one process who change the same entries: without, each would see its write refused for
//! another's and begin anew, and the later it came the more often.
//!
//! Invariant: turns are taken in one order, so that nobody waits in a circle. They are a courtesy: that nothing is lost
//! rests on the conditions of the writes.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::plan::Work;

/// How many queues there are: two entries seldom share one.
const QUEUES: usize = 1024;

/// The queues.
#[derive(Debug)]
pub(crate) struct Queues(Vec<Arc<Mutex<()>>>);

impl Default for Queues {
    fn default() -> Self {
        Self((0..QUEUES).map(|_| Arc::default()).collect())
    }
}

impl Queues {
    /// Waits until nobody else of this process changes what `works` changes; as long as the answer lives.
    pub(crate) async fn turn(&self, works: &[Work]) -> Vec<OwnedMutexGuard<()>> {
        let changing = works.iter().filter(|work| work.guard(None).is_none() && !work.is_blind());
        let places: BTreeSet<usize> = changing
            .map(|work| {
                let mut hasher = DefaultHasher::new();
                work.key.hash(&mut hasher);
                usize::try_from(hasher.finish() % QUEUES as u64).unwrap_or(0)
            })
            .collect();
        let mut turn = Vec::with_capacity(places.len());
        for queue in places.into_iter().filter_map(|place| self.0.get(place)) {
            turn.push(Arc::clone(queue).lock_owned().await);
        }
        turn
    }
}
