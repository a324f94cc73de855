//! Stores that eight workers share, and the ways on which two "hosts" reach each: one straight, the other over wires.

use std::any::Any;

use afresh_testkit::servers::redis::Cluster;
use afresh_testkit::servers::{Kind, Proxy, Site, skipped};
use tempfile::TempDir;

/// See the module.
pub struct Ground {
    /// Of the near host and of the far one.
    pub addresses: [String; 2],
    /// To the far host; none where the far host is as near.
    pub wires: Vec<Proxy>,
    /// Each call takes many requests, one after the other, so there are fewer calls.
    pub dear: bool,
    /// How many bytes an output has at least: what is small is within the records.
    pub size: usize,
    _keep: Box<dyn Any>,
}

impl Ground {
    pub fn new(addresses: [String; 2], keep: impl Any) -> Self {
        Self { addresses, wires: Vec::new(), dear: false, size: 0, _keep: Box::new(keep) }
    }

    fn dear(self) -> Self {
        Self { dear: true, ..self }
    }

    /// With something in both addresses besides, and outputs large enough to be objects.
    fn with(mut self, near: &str, far: &str, keep: impl Any) -> Self {
        for (address, more) in self.addresses.iter_mut().zip([near, far]) {
            address.push('&');
            address.push_str(more);
        }
        let keep = Box::new((self._keep, keep));
        Self { size: 2000, _keep: keep, ..self }
    }
}

/// A store on a site, the far host behind a wire where one can be put.
fn on(site: Site, options: &str) -> Ground {
    let near = site.address(&site.name(), options);
    let Some(place) = site.place() else {
        return Ground::new([near.clone(), near], site);
    };
    let wire = Proxy::between("127.0.0.1:0", place);
    let far = site.by_way_of(wire.port(), &near);
    Ground { wires: vec![wire], ..Ground::new([near, far], site) }
}

pub fn redis(timeout: &str) -> Option<Ground> {
    Some(on(Site::open(Kind::Redis)?, &format!("timeout={timeout}")))
}

/// The far host knows its servers at another address, where a wire to each begins.
pub fn redis_cluster(timeout: &str) -> Option<Ground> {
    let Some(cluster) = Cluster::start() else {
        skipped(Kind::Redis);
        return None;
    };
    let near = format!("{}?timeout={timeout}", cluster.url());
    let far = near.replace("127.0.0.1", "127.0.0.2");
    let wire = |port| Proxy::between(&format!("127.0.0.2:{port}"), format!("127.0.0.1:{port}"));
    let wires = cluster.nodes.iter().map(|node| wire(node.port)).collect();
    Some(Ground { wires, ..Ground::new([near, far], cluster) })
}

pub fn postgresql(timeout: &str) -> Option<Ground> {
    Some(on(Site::open(Kind::Postgresql)?, &format!("timeout={timeout}&connections=2")))
}

pub fn mysql(timeout: &str) -> Option<Ground> {
    Some(on(Site::open(Kind::Mysql)?, &format!("timeout={timeout}&connections=2")))
}

pub fn mongodb(timeout: &str) -> Option<Ground> {
    Some(on(Site::open(Kind::Mongodb)?, &format!("timeout={timeout}")).dear())
}

pub fn s3(timeout: &str) -> Option<Ground> {
    Some(on(Site::open(Kind::S3)?, &format!("timeout={timeout}")).dear())
}

pub fn folder(timeout: &str) -> Option<Ground> {
    let folder = TempDir::new().unwrap();
    let address = format!("file://{}?timeout={timeout}", folder.path().display());
    Some(Ground::new([address.clone(), address], folder).dear())
}

/// Each host keeps copies of outputs in a folder of its own.
pub fn redis_with_local_copies(timeout: &str) -> Option<Ground> {
    let (near, far) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let local = |folder: &TempDir| format!("local={}", folder.path().display());
    Some(redis(timeout)?.with(&local(&near), &local(&far), (near, far)))
}

pub fn redis_with_outputs_in_a_folder(timeout: &str) -> Option<Ground> {
    let folder = TempDir::new().unwrap();
    let objects = format!("objects=file://{}", folder.path().display());
    Some(redis(timeout)?.with(&objects, &objects, folder))
}

pub fn redis_with_outputs_in_s3(timeout: &str) -> Option<Ground> {
    let site = Site::open(Kind::S3)?;
    let bucket = site.address(&site.name(), &format!("timeout={timeout}"));
    let bucket = bucket.replace('%', "%25").replace('&', "%26");
    let objects = format!("objects={bucket}");
    Some(redis(timeout)?.with(&objects, &objects, site).dear())
}
