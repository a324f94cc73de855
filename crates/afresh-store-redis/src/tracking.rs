//! What the server tells of changes by itself: which answers kept in this process are no longer known to be right, and
//! that a lease was put or removed. Of entries under names and of counts, which are changed by many, it tells once somebody
//! has asked for that ([`Tracking::include_entries`]).
//!
//! Invariant: no answer is known to be right while no connection listens. So [`Generation::blind`] is held from the
//! beginning, until the server has said that it will tell, and again from the moment at which that connection is lost.
//! The connection that listens is the one that reads, and the driver hands over what it is told before any later
//! answer: who takes a stamp, reads, and finds the stamp good has read what is there.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use afresh_core::{Changing, Generation, Key, Space, Watcher};
use redis::{PushInfo, PushKind, Value};

use crate::layout::Layout;

/// One connection that listens, or will.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    deaf: AtomicBool,
    /// It hears of entries under names too.
    entries: bool,
}

impl Ear {
    pub(crate) fn new(entries: bool) -> Self {
        Self { deaf: AtomicBool::new(false), entries }
    }

    pub(crate) fn entries(&self) -> bool {
        self.entries
    }
}

pub(crate) struct Tracking {
    generation: Generation,
    layout: Layout,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The connection that listens.
    ear: Option<Arc<Ear>>,
    /// Held while none does.
    blind: Option<Changing>,
    watchers: Vec<Arc<dyn Watcher>>,
    /// Entries under names are to be told of.
    entries: bool,
}

impl Tracking {
    pub(crate) fn new(layout: Layout) -> Self {
        let generation = Generation::local();
        let state = State { blind: Some(generation.blind()), ..State::default() };
        Self { generation, layout, state: Mutex::new(state) }
    }

    pub(crate) fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Whether entries under names are to be told of.
    pub(crate) fn entries(&self) -> bool {
        self.state().entries
    }

    /// Has entries under names told of, from the next connection on; whether that needs another one. Until it is there
    /// nothing is known to be right.
    pub(crate) fn include_entries(&self) -> bool {
        let mut state = self.state();
        if std::mem::replace(&mut state.entries, true) {
            return false;
        }
        if state.ear.take().is_some() {
            state.blind = Some(self.generation.blind());
        }
        true
    }

    /// What the server is to tell of: answers and leases, and what else was asked for.
    pub(crate) fn prefixes(&self, entries: bool) -> Vec<String> {
        let all = [Space::Head, Space::Lease, Space::Named, Space::Count];
        let told = if entries { &all[..] } else { &all[..2] };
        told.iter().map(|space| self.layout.space(*space)).collect()
    }

    pub(crate) fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.state().watchers.push(watcher);
    }

    /// Something came from the server, or the connection ended.
    pub(crate) fn told(&self, ear: &Arc<Ear>, push: &PushInfo) {
        match push.kind {
            PushKind::Invalidate => match push.data.first() {
                Some(Value::Array(names)) => names.iter().for_each(|name| self.changed(name)),
                // Everything was flushed.
                _ => self.anything(),
            },
            PushKind::Disconnection => self.end(ear),
            _ => {}
        }
    }

    fn changed(&self, name: &Value) {
        let Value::BulkString(name) = name else { return self.anything() };
        match self.layout.key(name) {
            Some((Space::Head, key)) => self.generation.changed(key),
            Some((space, key)) => {
                let Ok(key) = Key::new(space, key.to_vec()) else { return };
                if matches!(space, Space::Named | Space::Count) {
                    self.generation.changed_slot(Generation::slot_of(&key));
                } else {
                    self.watchers().iter().for_each(|watcher| watcher.changed(&key));
                }
            }
            None => {}
        }
    }

    /// Anything may have changed.
    fn anything(&self) {
        drop(self.generation.blind());
        self.watchers().iter().for_each(|watcher| watcher.missed());
    }

    /// From now on this connection listens, unless it has ended already; whether it hears of all that is asked for. If not,
    /// it is to be made anew.
    pub(crate) fn begin(&self, ear: &Arc<Ear>) -> bool {
        let mut state = self.state();
        if state.entries && !ear.entries {
            return false;
        }
        if ear.deaf.load(Ordering::Acquire) {
            return true;
        }
        state.ear = Some(Arc::clone(ear));
        let blind = state.blind.take();
        drop(state);
        drop(blind);
        self.watchers().iter().for_each(|watcher| watcher.missed());
        true
    }

    /// This connection no longer listens.
    pub(crate) fn end(&self, ear: &Arc<Ear>) {
        let mut state = self.state();
        ear.deaf.store(true, Ordering::Release);
        if state.ear.as_ref().is_some_and(|listening| Arc::ptr_eq(listening, ear)) {
            state.ear = None;
            state.blind = Some(self.generation.blind());
        }
    }

    /// Those who watch. They are told without the lock: they may ask for more.
    fn watchers(&self) -> Vec<Arc<dyn Watcher>> {
        self.state().watchers.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracking").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use afresh_core::Fingerprint;

    #[test]
    fn who_asks_for_entries_trusts_no_connection_that_was_made_before() {
        let tracking = Tracking::new(Layout::new("t:1"));
        let print = Fingerprint::new([7; 32]);
        let (old, late, new) =
            (Arc::new(Ear::default()), Arc::new(Ear::default()), Arc::new(Ear::new(true)));
        assert!(tracking.begin(&old));
        assert!(tracking.include_entries() && !tracking.include_entries());
        assert!(tracking.generation().stamp(&print).is_none());
        assert!(!tracking.begin(&late), "it hears of answers and leases only");
        assert!(tracking.generation().stamp(&print).is_none());
        assert!(tracking.begin(&new));
        assert!(tracking.generation().stamp(&print).is_some());
    }

    #[test]
    fn nothing_is_known_without_a_connection() {
        let tracking = Tracking::new(Layout::new("t:1"));
        let print = Fingerprint::new([7; 32]);
        assert!(tracking.generation().stamp(&print).is_none());
        let (old, new) = (Arc::new(Ear::default()), Arc::new(Ear::default()));
        tracking.begin(&old);
        let stamp = tracking.generation().stamp(&print).unwrap();
        tracking.told(&old, &PushInfo { kind: PushKind::Disconnection, data: vec![] });
        assert!(!tracking.generation().holds(stamp));
        tracking.begin(&new);
        assert!(!tracking.generation().holds(stamp), "something may have been missed");
        let stamp = tracking.generation().stamp(&print).unwrap();
        // The old one's end is no news, and one that ended before it began never listens.
        tracking.end(&old);
        assert!(tracking.generation().holds(stamp));
        tracking.end(&new);
        tracking.begin(&new);
        assert!(tracking.generation().stamp(&print).is_none());
    }

    #[test]
    fn a_flush_changes_everything() {
        let tracking = Tracking::new(Layout::new("t:1"));
        let ear = Arc::new(Ear::default());
        tracking.begin(&ear);
        let print = Fingerprint::new([9; 32]);
        let stamp = tracking.generation().stamp(&print).unwrap();
        let mut name = b"{t:1}:h:".to_vec();
        name.extend_from_slice(&[8; 32]);
        let names = |name: Vec<u8>| vec![Value::Array(vec![Value::BulkString(name)])];
        tracking.told(&ear, &PushInfo { kind: PushKind::Invalidate, data: names(name) });
        assert!(tracking.generation().holds(stamp), "another answer");
        tracking.told(&ear, &PushInfo { kind: PushKind::Invalidate, data: vec![Value::Nil] });
        assert!(!tracking.generation().holds(stamp));
    }
}
