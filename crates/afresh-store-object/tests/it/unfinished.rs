//! Batches that are not atomic, broken off or overtaken at each of their requests: no wrong answer comes of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use afresh_core::{
    Applied, Batch, Key, Labels, NewEntry, ObjectId, ObjectRef, Op, Scan, Space, Store, Tag, When,
};
use afresh_store_object::{Clock, ObjectStore};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore as Driver, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

type Hook = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// What happens at a request.
#[derive(Clone)]
enum Event {
    /// It and all after it fail: the process was killed.
    Killed,
    /// Somebody else does something first.
    Overtaken(Hook),
}

/// A driver on which something happens at its request number `at`.
#[derive(Clone)]
struct Eventful {
    inner: Arc<InMemory>,
    at: usize,
    event: Event,
    count: Arc<AtomicUsize>,
}

impl Eventful {
    async fn request(&self) -> Result<()> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        match &self.event {
            Event::Killed if number >= self.at => {
                Err(object_store::Error::Generic { store: "test", source: "killed".into() })
            }
            Event::Overtaken(hook) if number == self.at => {
                hook().await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Eventful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Eventful")
    }
}

impl fmt::Display for Eventful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Eventful")
    }
}

#[async_trait]
impl Driver for Eventful {
    async fn put_opts(
        &self,
        path: &Path,
        data: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.request().await?;
        self.inner.put_opts(path, data, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.request().await?;
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.request().await?;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn store(driver: Arc<dyn Driver>) -> ObjectStore {
    ObjectStore::new("s3", "s3://test".to_owned(), driver, "", Clock::default())
}

fn head() -> Key {
    Key::new(Space::Head, "call").unwrap()
}

fn commit() -> Key {
    Key::new(Space::Commit, "execution").unwrap()
}

fn epoch() -> Key {
    Key::count("epoch")
}

fn tags() -> Vec<Tag> {
    vec![Tag::new("day", Some("monday".to_owned())).unwrap()]
}

/// What the engine makes of a finished call: objects, checks, the answer, its record, and its lease.
fn finish(epoch_seen: When, seen: When) -> Batch {
    let id = ObjectId::of(b"output");
    let object = Some(ObjectRef { id, len: 6 });
    let labels = Labels { tags: tags(), ..Labels::default() };
    let entry =
        |text: &'static str| NewEntry { object, labels: labels.clone(), ..NewEntry::record(text) };
    Batch {
        objects: vec![(id, b"output".to_vec().into())],
        ops: vec![
            Op::Check { key: epoch(), when: epoch_seen },
            Op::Put { key: head(), entry: entry("answer"), when: seen },
            Op::Put { key: commit(), entry: entry("record"), when: When::Always },
        ],
    }
}

async fn bump(store: &ObjectStore) {
    let ops = vec![Op::Add { key: epoch(), by: 1, ttl: None }];
    store.apply(Batch { objects: vec![], ops }).await.unwrap();
}

async fn when(store: &ObjectStore, key: Key) -> When {
    let found = store.get(&[key]).await.unwrap().pop().unwrap();
    found.map_or(When::Absent, |entry| When::Is(entry.version))
}

/// Takes the answer back as the engine does: the epoch first, then the answer that it finds.
async fn invalidate(store: &ObjectStore) {
    bump(store).await;
    if store.get(&[head()]).await.unwrap()[0].is_some() {
        let ops = vec![Op::Delete { key: head(), when: When::Always }];
        store.apply(Batch { objects: vec![], ops }).await.unwrap();
    }
}

/// More requests than the batch makes; the last rounds see it undisturbed.
const REQUESTS: usize = 20;

#[tokio::test]
async fn a_killed_writer_leaves_no_answer_without_what_it_refers_to() {
    let mut answers = 0;
    for at in 0..REQUESTS {
        let inner = Arc::new(InMemory::new());
        let calm = store(inner.clone());
        bump(&calm).await;
        let seen = when(&calm, epoch()).await;
        let driver = Eventful { inner, at, event: Event::Killed, count: Arc::default() };
        let done = store(Arc::new(driver)).apply(finish(seen, When::Absent)).await;
        let found = calm.get(&[head(), commit()]).await.unwrap();
        if found[0].is_some() {
            answers += 1;
            assert!(found[1].is_some(), "{at}: an answer without its record");
            assert!(calm.read(&ObjectId::of(b"output")).await.unwrap().is_some(), "{at}");
        }
        let tagged = Scan { tags: tags(), ..Scan::new(Space::Commit) };
        let by_tag = calm.scan(&tagged).await.unwrap().entries;
        assert_eq!(by_tag.len(), usize::from(found[1].is_some()), "{at}: not found by its tag");
        assert!(found[0].is_some() || done.is_err(), "{at}: said to be done, and is not");
        // What was left behind keeps nobody from going on.
        let seen = when(&calm, head()).await;
        let epoch = when(&calm, epoch()).await;
        assert!(matches!(calm.apply(finish(epoch, seen)).await.unwrap(), Applied::All(_)), "{at}");
        invalidate(&calm).await;
        assert!(calm.get(&[head()]).await.unwrap()[0].is_none(), "{at}: taken back and there");
    }
    assert!(answers > 2 && answers < REQUESTS, "{answers}");
}

#[tokio::test]
async fn what_is_taken_back_while_it_is_published_stays_away() {
    let mut refused = 0;
    for first in [false, true] {
        for at in 0..REQUESTS {
            let inner = Arc::new(InMemory::new());
            let calm = Arc::new(store(inner.clone()));
            bump(&calm).await;
            if first {
                let seen = when(&calm, epoch()).await;
                calm.apply(finish(seen, When::Absent)).await.unwrap();
            }
            let (seen, before) = (when(&calm, epoch()).await, when(&calm, head()).await);
            let other = calm.clone();
            let hook: Hook = Arc::new(move || {
                let other = other.clone();
                Box::pin(async move {
                    invalidate(&other).await;
                    assert!(other.get(&[head()]).await.unwrap()[0].is_none(), "right afterwards");
                })
            });
            let driver =
                Eventful { inner, at, event: Event::Overtaken(hook), count: Arc::default() };
            let count = driver.count.clone();
            let came = store(Arc::new(driver)).apply(finish(seen, before)).await.unwrap();
            if count.load(Ordering::SeqCst) <= at {
                assert!(matches!(came, Applied::All(_)), "{at}: it was not overtaken");
                continue;
            }
            refused += usize::from(matches!(came, Applied::Refused { .. }));
            assert!(
                calm.get(&[head()]).await.unwrap()[0].is_none(),
                "{at}: a stale answer: {came:?}"
            );
        }
    }
    assert!(refused > 4, "{refused}");
}

#[tokio::test]
async fn who_reads_an_unconfirmed_answer_sees_whether_it_holds() {
    let mut seen_early = 0;
    for at in 0..REQUESTS {
        let inner = Arc::new(InMemory::new());
        let calm = Arc::new(store(inner.clone()));
        bump(&calm).await;
        let seen = when(&calm, epoch()).await;
        let driver = Eventful { inner, at, event: Event::Killed, count: Arc::default() };
        let done = store(Arc::new(driver)).apply(finish(seen, When::Absent)).await;
        if done.is_err() && calm.get(&[head()]).await.unwrap()[0].is_some() {
            seen_early += 1;
            let page = calm.scan(&Scan::new(Space::Head)).await.unwrap();
            assert_eq!(page.entries.len(), 1);
            // Only the epoch, as of an invalidation that is under way.
            bump(&calm).await;
            assert!(calm.get(&[head()]).await.unwrap()[0].is_none(), "{at}");
        }
    }
    assert!(seen_early > 0, "no round stopped between the answer and its confirmation");
}

#[tokio::test]
async fn who_takes_a_lease_sees_the_answer_with_which_it_was_given_back() {
    let lease = Key::new(Space::Lease, "call").unwrap();
    let mut taken = 0;
    for at in 0..REQUESTS {
        let inner = Arc::new(InMemory::new());
        let calm = Arc::new(store(inner.clone()));
        let put = |text: &'static str| Op::Put {
            key: lease.clone(),
            entry: NewEntry::record(text),
            when: When::Absent,
        };
        calm.apply(Batch { objects: vec![], ops: vec![put("owner")] }).await.unwrap();
        let (owner, held) = (calm.clone(), when(&calm, lease.clone()).await);
        let give_back = Op::Delete { key: lease.clone(), when: held };
        let hook: Hook = Arc::new(move || {
            let (owner, give_back) = (owner.clone(), give_back.clone());
            Box::pin(async move {
                let mut batch = finish(When::Absent, When::Absent);
                batch.ops.push(give_back);
                assert!(matches!(owner.apply(batch).await.unwrap(), Applied::All(_)));
            })
        });
        let driver = Eventful { inner, at, event: Event::Overtaken(hook), count: Arc::default() };
        let look = Op::Check { key: head(), when: When::Always };
        let take = Batch { objects: vec![], ops: vec![put("another"), look] };
        if let Applied::All(done) = store(Arc::new(driver)).apply(take).await.unwrap() {
            taken += 1;
            assert!(done[1].version.is_some(), "{at}: the answer was not seen");
        }
    }
    assert!(taken > 0, "the lease was never given back in time");
}
