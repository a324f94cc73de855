//! What a case is, and what it has at hand: the store under test and short words for common steps.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Capabilities, Done, Entry, Key, NewEntry, ObjectId, Op, Page, Scan, Space,
    Store, Version, When,
};
use bytes::Bytes;

use crate::ManualClock;

/// A future of a case.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Damages the stored bytes of an object.
pub type Damage = Box<dyn Fn(&ObjectId) + Send + Sync>;

/// Damages the stored bytes of an entry.
pub type Spoil = Box<dyn Fn(&Key) + Send + Sync>;

/// Drives a future to its end.
pub type Executor = Arc<dyn Fn(Running) + Send + Sync>;

/// One case of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    /// What should hold.
    pub name: &'static str,
    /// Whether a store with these capabilities is asked.
    pub needs: fn(&Capabilities) -> bool,
    /// Whether it needs a way to damage an object.
    pub damages: bool,
    /// Whether it needs a way to damage an entry.
    pub spoils: bool,
    pub(crate) run: fn(Test) -> Running,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// A store under test.
pub struct Subject {
    /// The store, empty.
    pub store: Arc<dyn Store>,
    /// The clock it asks, where that can be moved by hand.
    pub clock: Option<ManualClock>,
    /// Damages the stored bytes of an object.
    pub damage: Option<Damage>,
    /// Damages the stored bytes of an entry.
    pub spoil: Option<Spoil>,
    /// Lives as long as the store, such as a temporary folder.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl Subject {
    /// A store, and nothing else.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, clock: None, damage: None, spoil: None, keep: Box::new(()) }
    }

    /// With the clock that it asks.
    #[must_use]
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// With a way to damage an object.
    #[must_use]
    pub fn damage(mut self, damage: impl Fn(&ObjectId) + Send + Sync + 'static) -> Self {
        self.damage = Some(Box::new(damage));
        self
    }

    /// With a way to damage an entry.
    #[must_use]
    pub fn spoil(mut self, spoil: impl Fn(&Key) + Send + Sync + 'static) -> Self {
        self.spoil = Some(Box::new(spoil));
        self
    }

    /// With something that lives as long.
    #[must_use]
    pub fn keep(mut self, keep: impl Any + Send + Sync) -> Self {
        self.keep = Box::new(keep);
        self
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Drives a future of any output with an executor.
pub fn run_future<T: Send + 'static>(
    executor: &Executor,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let (send, receive) = std::sync::mpsc::channel();
    executor(Box::pin(async move {
        let _ = send.send(future.await);
    }));
    receive.recv().unwrap()
}

/// Builds a [`Case`] of an async function.
macro_rules! case {
    ($function:ident, $needs:expr) => {
        $crate::conformance::Case {
            name: stringify!($function),
            needs: $needs,
            damages: false,
            spoils: false,
            run: |test| Box::pin($function(test)),
        }
    };
    ($function:ident) => {
        $crate::conformance::case!($function, |_| true)
    };
}
pub(crate) use case;

/// What a case has at hand.
#[derive(Clone)]
pub(crate) struct Test {
    pub(crate) subject: Arc<Subject>,
    pub(crate) executor: Executor,
}

impl Test {
    pub(crate) fn store(&self) -> &dyn Store {
        self.subject.store.as_ref()
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.store().info().capabilities
    }

    /// A span that is long against an operation and short against a test.
    pub(crate) fn tick(&self) -> Duration {
        match self.subject.clock {
            Some(_) => Duration::from_secs(3600),
            None => Duration::from_millis(400),
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, span: Duration) {
        match &self.subject.clock {
            Some(clock) => clock.advance(span),
            None => std::thread::sleep(span),
        }
    }

    pub(crate) async fn get(&self, key: &Key) -> Option<Entry> {
        self.store().get(std::slice::from_ref(key)).await.unwrap().pop().unwrap()
    }

    pub(crate) async fn ops(&self, ops: Vec<Op>) -> Applied {
        self.store().apply(Batch { objects: Vec::new(), ops }).await.unwrap()
    }

    /// Makes one change that must happen.
    pub(crate) async fn op(&self, op: Op) -> Done {
        match self.ops(vec![op]).await {
            Applied::All(done) => done[0],
            refused @ Applied::Refused { .. } => panic!("refused: {refused:?}"),
        }
    }

    /// Makes one change that must be refused; says what was found.
    pub(crate) async fn refused(&self, op: Op) -> Option<Version> {
        match self.ops(vec![op]).await {
            Applied::Refused { index: 0, found } => found,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(crate) async fn put(&self, key: &Key, text: &str) -> Version {
        self.op(put(key, NewEntry::record(text.to_owned()), When::Always)).await.version.unwrap()
    }

    pub(crate) async fn page(&self, scan: &Scan) -> Page {
        self.store().scan(scan).await.unwrap()
    }

    /// The keys of all pages, in order.
    pub(crate) async fn keys(&self, scan: &Scan) -> Vec<Bytes> {
        let mut scan = scan.clone();
        let mut keys = Vec::new();
        loop {
            let page = self.page(&scan).await;
            assert!(page.entries.len() <= scan.limit, "a page longer than asked for");
            keys.extend(page.entries.into_iter().map(|(key, _)| key.bytes().clone()));
            match page.next {
                Some(next) => {
                    assert_ne!(Some(&next), scan.cursor.as_ref(), "a cursor that stands still");
                    scan.cursor = Some(next);
                }
                None => return keys,
            }
        }
    }

    /// Runs `work` on several threads at once and returns what each came to.
    pub(crate) fn threads<T, F, W>(&self, count: usize, work: W) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        W: Fn(Self, usize) -> F,
    {
        let start = Arc::new(std::sync::Barrier::new(count));
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let (executor, start) = (self.executor.clone(), start.clone());
                let future = work(self.clone(), number);
                std::thread::spawn(move || {
                    start.wait();
                    run_future(&executor, future)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

pub(crate) fn key(space: Space, text: impl AsRef<[u8]>) -> Key {
    Key::new(space, Bytes::copy_from_slice(text.as_ref())).unwrap()
}

pub(crate) fn named(text: impl AsRef<[u8]>) -> Key {
    key(Space::Named, text)
}

pub(crate) fn put(key: &Key, entry: NewEntry, when: When) -> Op {
    Op::Put { key: key.clone(), entry, when }
}
