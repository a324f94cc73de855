//! A store on another machine as the rest of afresh wants one: its futures may be awaited on any thread and any event
//! loop, each answers in bounded time, and a server that is away costs one wait and not one a call.
//!
//! Invariant: an operation that is given up on goes on by itself until it is done or its last deadline is over, so that
//! what was sent is not lost and a connection is never left in the middle of an answer. It decides nothing: whether an
//! answer is right is for the engine and the store.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Entry, Error, Generation, Key, Kind, ObjectId, ObjectInfo, Page,
    Removed, Result, Scan, Store, StoreInfo, Usage, Watcher,
};
use async_trait::async_trait;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::{sleep, timeout};

use crate::circuit::Circuit;

/// How patient a [`Remote`] is.
#[derive(Clone, Copy, Debug)]
pub struct RemoteOptions {
    /// For entries: what a caller waits for a server that does not answer. A batch with objects gets a second
    /// more for each MiB, and a fiftieth of this for each operation or key.
    pub timeout: Duration,
    /// For whole objects, scans, lists and removals.
    pub bulk: Duration,
}

impl RemoteOptions {
    /// What a caller waits for so many entries.
    fn each(&self, count: usize) -> Duration {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.timeout.saturating_add((self.timeout / 50).saturating_mul(count))
    }
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_millis(250), bulk: Duration::from_secs(10) }
    }
}

/// A store whose futures need a runtime of tokio, with that runtime.
pub struct Remote {
    info: StoreInfo,
    inner: Arc<dyn Store>,
    options: RemoteOptions,
    circuit: Arc<Circuit>,
    handle: Handle,
    runtime: Option<Runtime>,
    at_hand: bool,
}

impl Remote {
    /// Makes the store within the runtime in which it will live. `make` should not connect: a server that is away is
    /// to cost the first call a warning, not the program its start.
    ///
    /// # Errors
    /// Whatever `make` says, and [`Kind::Unavailable`] where no thread can be had.
    pub fn open<S: Store>(
        options: RemoteOptions,
        make: impl FnOnce(&Handle) -> Result<S>,
    ) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("afresh-io")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| {
            Error::new(Kind::Unavailable, "no thread for a store could be started")
                .with_source(error)
        })?;
        let handle = runtime.handle().clone();
        let inner = {
            let _within = handle.enter();
            Arc::new(make(&handle)?)
        };
        let mut info = inner.info().clone();
        info.capabilities.near = false;
        let circuit = Arc::default();
        Ok(Self { info, inner, options, circuit, handle, runtime: Some(runtime), at_hand: false })
    }

    /// Looks entries up on the thread of whoever asks, which costs one wait instead of two. For a store whose `get` may be
    /// dropped at any moment, and that does what takes long and is to be done all the same, such as connecting, in a
    /// task of its own.
    #[must_use]
    pub fn at_hand(mut self) -> Self {
        self.at_hand = true;
        self
    }

    /// What `work` comes to, within the runtime but on this thread; `None` after `limit`.
    async fn patient<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let patience = {
            let _within = self.handle.enter();
            sleep(limit)
        };
        let (mut work, mut patience) = (pin!(work), pin!(patience));
        poll_fn(|context| {
            let _within = self.handle.enter();
            match work.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending => patience.as_mut().poll(context).map(|()| None),
            }
        })
        .await
    }

    /// Asks the inner store on this thread and waits for it, up to `limit`.
    async fn here<T, F>(&self, op: &'static str, limit: Duration, work: F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let named = |error: Error| error.with_store(self.info.address.clone()).with_op(op);
        self.circuit.admit().map_err(named)?;
        let done = self.patient(limit, work).await.unwrap_or_else(|| Err(silent(limit)));
        heard(&self.circuit, &self.info.address, op, &done);
        done.map_err(named)
    }

    /// Runs an operation in the runtime and waits for it, up to `limit`.
    async fn call<T, F>(&self, op: &'static str, limit: Duration, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let address = || self.info.address.clone();
        self.circuit.admit().map_err(|error| error.with_store(address()).with_op(op))?;
        let (circuit, last) = (Arc::clone(&self.circuit), limit + self.options.bulk);
        let store = address();
        let task = self.handle.spawn(async move {
            let done = timeout(last, work).await.unwrap_or_else(|_| Err(silent(last)));
            heard(&circuit, &store, op, &done);
            done
        });
        let done = match self.patient(limit, task).await {
            Some(Ok(done)) => done,
            Some(Err(error)) => {
                Err(Error::new(Kind::Unavailable, "the operation was broken off")
                    .with_source(error))
            }
            None => {
                let error = silent(limit);
                self.circuit.failed(&error);
                Err(error)
            }
        };
        done.map_err(|error| error.with_store(address()).with_op(op))
    }
}

/// What an answer, or that there was none, says of the server.
fn heard<T>(circuit: &Circuit, store: &str, op: &str, done: &Result<T>) {
    match done {
        Err(error) if is_useless(op, error) => circuit.failed(error),
        _ => {
            if let Some(away) = circuit.well() {
                let away = away.as_secs_f64();
                tracing::warn!(back = store, "the store {store} answers again, after {away:.1} s");
            }
        }
    }
}

/// Whether a server that answers so is not worth asking: nothing can be looked up in it. One that does not take what is
/// new still has what is old.
fn is_useless(op: &str, error: &Error) -> bool {
    match error.kind() {
        Kind::Unavailable => true,
        Kind::Denied | Kind::Config | Kind::Unsupported => op == "get",
        _ => false,
    }
}

fn silent(limit: Duration) -> Error {
    Error::new(Kind::Unavailable, format!("the server did not answer within {limit:?}"))
        .with_hint("is it running, and near? `timeout=` in the address allows it more time")
}

#[async_trait]
impl Store for Remote {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let limit = self.options.each(keys.len());
        if self.at_hand {
            return self.here("get", limit, self.inner.get(keys)).await;
        }
        let (inner, keys) = (Arc::clone(&self.inner), keys.to_vec());
        self.call("get", limit, async move { inner.get(&keys).await }).await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        let inner = Arc::clone(&self.inner);
        let bytes: usize = batch.objects.iter().map(|(_, blob)| blob.len()).sum();
        let limit =
            self.options.each(batch.ops.len()) + Duration::from_micros((bytes as u64) >> 10) * 1000;
        self.call("apply", limit, async move { inner.apply(batch).await }).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        let (inner, scan) = (Arc::clone(&self.inner), scan.clone());
        self.call("scan", self.options.bulk, async move { inner.scan(&scan).await }).await
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        let (inner, id) = (Arc::clone(&self.inner), *id);
        self.call("read", self.options.bulk, async move { inner.read(&id).await }).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        let (inner, id) = (Arc::clone(&self.inner), *id);
        let limit = self.options.bulk + Duration::from_micros((blob.len() as u64) >> 10) * 1000;
        self.call("write", limit, async move { inner.write(&id, blob).await }).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        let (inner, ids) = (Arc::clone(&self.inner), ids.to_vec());
        self.call("remove", self.options.bulk, async move { inner.remove(&ids, idle).await }).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        let (inner, id) = (Arc::clone(&self.inner), *id);
        self.call("quarantine", self.options.bulk, async move { inner.quarantine(&id).await }).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        let (inner, after) = (Arc::clone(&self.inner), after.copied());
        self.call("list", self.options.bulk, async move { inner.list(after.as_ref(), limit).await })
            .await
    }

    async fn usage(&self) -> Result<Usage> {
        let inner = Arc::clone(&self.inner);
        self.call("usage", self.options.bulk, async move { inner.usage().await }).await
    }

    fn generation(&self) -> Option<Generation> {
        self.inner.generation()
    }

    fn counts_entries(&self) -> bool {
        let _within = self.handle.enter();
        self.inner.counts_entries()
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        let _within = self.handle.enter();
        self.inner.watch(watcher)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops a store may be within another runtime, where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.inner).finish()
    }
}
