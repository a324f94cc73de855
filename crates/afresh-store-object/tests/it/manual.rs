//! A driver in memory whose times come from a clock that is moved by hand: the suite at any speed, and the model.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use afresh_core::{Key, ObjectId};
use afresh_store_memory::MemoryStore;
use afresh_store_object::{Clock, ObjectStore};
use afresh_testkit::conformance::{self, Executor, Subject, run_future};
use afresh_testkit::{ManualClock, model};
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore as Driver, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};
use proptest::prelude::*;

/// The driver in memory, with the clock's times instead of its own.
#[derive(Clone)]
pub(crate) struct Clocked {
    inner: Arc<InMemory>,
    clock: ManualClock,
    gets: Arc<AtomicUsize>,
    times: Arc<Mutex<HashMap<Path, i64>>>,
}

impl Clocked {
    fn new(clock: &ManualClock) -> Self {
        Self {
            inner: Arc::new(InMemory::new()),
            clock: clock.clone(),
            gets: Arc::default(),
            times: Arc::default(),
        }
    }

    /// How many gets there were.
    pub(crate) fn gets(&self) -> usize {
        self.gets.load(Ordering::SeqCst)
    }

    pub(crate) fn forget_gets(&self) {
        self.gets.store(0, Ordering::SeqCst);
    }

    /// How much is under a path.
    pub(crate) async fn count(&self, path: &Path) -> usize {
        self.inner.list(Some(path)).count().await
    }

    fn wrote(&self, path: &Path) {
        self.times.lock().unwrap().insert(path.clone(), (self.clock.function())().as_millis());
    }

    fn timed(&self, mut meta: ObjectMeta) -> ObjectMeta {
        if let Some(time) = self.times.lock().unwrap().get(&meta.location) {
            meta.last_modified = chrono::DateTime::from_timestamp_millis(*time).unwrap();
        }
        meta
    }
}

impl fmt::Debug for Clocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clocked")
    }
}

impl fmt::Display for Clocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clocked")
    }
}

#[async_trait]
impl Driver for Clocked {
    async fn put_opts(
        &self,
        path: &Path,
        data: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.inner.put_opts(path, data, options).await?;
        self.wrote(path);
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.wrote(path);
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let mut got = self.inner.get_opts(path, options).await?;
        got.meta = self.timed(got.meta);
        Ok(got)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = self.clone();
        self.inner.list(prefix).map(move |meta| meta.map(|meta| this.timed(meta))).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = self.clone();
        let list = self.inner.list_with_offset(prefix, offset);
        list.map(move |meta| meta.map(|meta| this.timed(meta))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.wrote(to);
        self.inner.copy_opts(from, to, options).await
    }
}

/// Where an object is.
pub(crate) fn object(id: &ObjectId) -> String {
    let id = id.to_string();
    format!("object/{}/{id}", &id[..2])
}

/// Where an entry is.
pub(crate) fn entry(key: &Key) -> String {
    let name: String = key.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = format!("{:?}", key.space()).to_lowercase();
    format!("{folder}/k{}/k{name}", &name[..2])
}

/// Drives futures in a runtime of tokio, from any thread.
pub(crate) fn executor() -> Executor {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    Arc::new(move |future| runtime.block_on(future))
}

pub(crate) fn store(clock: &ManualClock) -> (ObjectStore, Clocked) {
    let driver = Clocked::new(clock);
    let function = clock.function();
    let time = Clock::new(move || function());
    let shown = "s3://test/some/prefix".to_owned();
    (ObjectStore::new("s3", shown, Arc::new(driver.clone()), "some/prefix", time), driver)
}

#[test]
fn conforms() {
    let executor = executor();
    let ran = conformance::run_on(executor.clone(), || {
        let clock = ManualClock::new();
        let (store, driver) = store(&clock);
        let executor = executor.clone();
        let (put, also) = (driver.clone(), executor.clone());
        let spoil = move |key: &Key| {
            let path = Path::from(format!("some/prefix/afresh-2/{}", entry(key)));
            let (driver, executor) = (put.clone(), also.clone());
            let spoil = async move {
                driver.inner.head(&path).await.unwrap();
                driver.put(&path, "what is this?".into()).await.unwrap();
            };
            std::thread::spawn(move || run_future(&executor, spoil)).join().unwrap();
        };
        let subject = Subject::new(Arc::new(store)).clock(clock).spoil(spoil);
        subject.damage(move |id| {
            let path = Path::from(format!("some/prefix/afresh-2/{}", object(id)));
            let driver = driver.clone();
            let damage = async move {
                let bytes = driver
                    .inner
                    .get_opts(&path, GetOptions::default())
                    .await
                    .unwrap()
                    .bytes()
                    .await;
                let mut bytes = bytes.unwrap().to_vec();
                bytes[7] ^= 1;
                driver.inner.put_opts(&path, bytes.into(), PutOptions::default()).await.unwrap();
            };
            let executor = executor.clone();
            std::thread::spawn(move || run_future(&executor, damage)).join().unwrap();
        })
    });
    assert!(ran.len() > 45, "{} cases", ran.len());
    for name in [
        "damage_is_noticed",
        "what_cannot_be_read_is_absent_and_written_over",
        "compare_and_set_loses_nothing",
        "versions_are_never_reused",
    ] {
        assert!(ran.contains(&name), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn agrees_with_the_model(steps in model::steps()) {
        let clock = ManualClock::new();
        let (store, _) = store(&clock);
        let model = MemoryStore::with_clock(clock.function());
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
            .block_on(model::compare(&store, &model, &clock, &steps));
    }
}
