//! Named values in different stores, by what their names begin with; everything else in one.
//!
//! Invariant: an entry is looked for only where its name says; what lies elsewhere under such a name does not exist. A
//! batch stays within one store, or is refused before anything of it is done. Objects live in the main store.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::{
    Applied, Batch, Blob, Bytes, Entry, Error, Generation, Key, Kind, ObjectId, ObjectInfo, Page,
    Removed, Result, Scan, Space, Store, StoreInfo, Usage, Watcher,
};
use async_trait::async_trait;

mod merge;

/// See the module.
#[derive(Debug)]
pub struct Routed {
    main: Arc<dyn Store>,
    /// Longest prefix first.
    routes: Vec<(Bytes, Arc<dyn Store>)>,
    info: StoreInfo,
}

impl Routed {
    /// `main`, but for [named](Space::Named) entries whose key begins with one of these; the longest counts.
    ///
    /// # Errors
    /// [`Kind::Config`] where a prefix is empty or given twice.
    pub fn new(main: Arc<dyn Store>, routes: Vec<(Bytes, Arc<dyn Store>)>) -> Result<Self> {
        let mut routes = routes;
        routes.sort_by(|one, other| (other.0.len(), &other.0).cmp(&(one.0.len(), &one.0)));
        let twice = routes.windows(2).any(|pair| matches!(pair, [one, two] if one.0 == two.0));
        if twice || routes.iter().any(|(prefix, _)| prefix.is_empty()) {
            return Err(Error::new(Kind::Config, "each route needs a prefix of its own")
                .with_hint("the main store has everything that no prefix names"));
        }
        let mut info = main.info().clone();
        for (_, store) in &routes {
            let (here, there) = (&mut info.capabilities, store.info().capabilities);
            here.near &= there.near;
            here.shared &= there.shared;
            here.atomic &= there.atomic;
            here.ordered &= there.ordered;
            here.indexed &= there.indexed;
            here.expires &= there.expires;
            info.address = format!("{}, {}", info.address, store.info().address);
        }
        Ok(Self { main, routes, info })
    }

    fn stores(&self) -> impl Iterator<Item = &Arc<dyn Store>> {
        std::iter::once(&self.main).chain(self.routes.iter().map(|(_, store)| store))
    }

    /// The number of the store that has this key; the main one is 0.
    fn place(&self, key: &Key) -> usize {
        let routes = if key.space() == Space::Named { self.routes.as_slice() } else { &[] };
        routes.iter().position(|(prefix, _)| key.bytes().starts_with(prefix)).map_or(0, |at| at + 1)
    }

    fn store(&self, place: usize) -> &Arc<dyn Store> {
        let route = place.checked_sub(1).and_then(|at| self.routes.get(at));
        route.map_or(&self.main, |(_, store)| store)
    }

    /// The stores in which a scan may find something.
    fn places(&self, scan: &Scan) -> Vec<usize> {
        if scan.space != Space::Named {
            return vec![0];
        }
        // All keys that begin so may belong to one route.
        let whole = self.routes.iter().position(|(prefix, _)| scan.prefix.starts_with(prefix));
        let within = |(at, (prefix, _)): (usize, &(Bytes, _))| {
            prefix.starts_with(&scan.prefix).then_some(at + 1)
        };
        let mut places: Vec<usize> = self.routes.iter().enumerate().filter_map(within).collect();
        let first = whole.map_or(0, |at| at + 1);
        if !places.contains(&first) {
            places.insert(0, first);
        }
        places
    }
}

#[async_trait]
impl Store for Routed {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let mut found: Vec<Option<Entry>> = vec![None; keys.len()];
        for place in 0..=self.routes.len() {
            let here = |(at, key): (usize, &Key)| (self.place(key) == place).then_some(at);
            let positions: Vec<usize> = keys.iter().enumerate().filter_map(here).collect();
            if positions.is_empty() {
                continue;
            }
            let asked: Vec<Key> =
                positions.iter().filter_map(|at| keys.get(*at)).cloned().collect();
            let answers = self.store(place).get(&asked).await?;
            for (at, answer) in positions.into_iter().zip(answers) {
                if let Some(slot) = found.get_mut(at) {
                    *slot = answer;
                }
            }
        }
        Ok(found)
    }

    async fn apply(&self, batch: Batch) -> Result<Applied> {
        let Batch { objects, ops } = batch;
        let place = ops.first().map_or(0, |op| self.place(op.key()));
        if ops.iter().any(|op| self.place(op.key()) != place) {
            return Err(Error::new(
                Kind::Unsupported,
                "changes that are made together must be in one store",
            )
            .with_hint("make them one after the other, or route their names to the same store")
            .with_op("apply"));
        }
        if place == 0 {
            return self.main.apply(Batch { objects, ops }).await;
        }
        if !objects.is_empty() {
            self.main.apply(Batch { objects, ops: Vec::new() }).await?;
        }
        self.store(place).apply(Batch { objects: Vec::new(), ops }).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        match self.places(scan).as_slice() {
            [0] if scan.space != Space::Named => self.main.scan(scan).await,
            places if self.info.capabilities.ordered => merge::ordered(self, places, scan).await,
            places => merge::chained(self, places, scan).await,
        }
    }

    async fn read(&self, id: &ObjectId) -> Result<Option<Bytes>> {
        self.main.read(id).await
    }

    async fn write(&self, id: &ObjectId, blob: Blob) -> Result<()> {
        self.main.write(id, blob).await
    }

    async fn remove(&self, ids: &[ObjectId], idle: Duration) -> Result<Removed> {
        self.main.remove(ids, idle).await
    }

    async fn quarantine(&self, id: &ObjectId) -> Result<()> {
        self.main.quarantine(id).await
    }

    async fn list(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectInfo>> {
        self.main.list(after, limit).await
    }

    async fn usage(&self) -> Result<Usage> {
        let mut usage = self.main.usage().await?;
        for (_, store) in &self.routes {
            let other = store.usage().await?;
            for (sum, more) in usage.entries.iter_mut().zip(other.entries) {
                *sum += more;
            }
            usage.disk_bytes += other.disk_bytes;
        }
        Ok(usage)
    }

    fn generation(&self) -> Option<Generation> {
        self.main.generation()
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.main.watch(watcher)
    }

    fn suspend(&self) {
        self.stores().for_each(|store| store.suspend());
    }

    fn resume(&self) {
        self.stores().for_each(|store| store.resume());
    }
}
