//! The suite that every store passes, and random operations compared with the memory store.

use std::sync::Arc;

use afresh_store_memory::MemoryStore;
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::servers::redis::{Cluster, Redis};
use afresh_testkit::servers::skipped;
use afresh_testkit::{ManualClock, model};
use pollster::block_on;
use proptest::prelude::*;

use crate::timeless::Timeless;
use crate::{fresh, open, own, shared};

/// How many cases there are for a store that can do what this one can.
fn all() -> usize {
    let can = open("redis://localhost").info().capabilities;
    let subject = |case: &&conformance::Case| (case.needs)(&can);
    conformance::cases().iter().filter(subject).count()
}

#[test]
fn conforms() {
    let Some(server) = own(&[]) else { return };
    let ran = conformance::run(|| {
        let address = fresh(&server.url());
        let port = server.port;
        let prefix = address.split("prefix=").nth(1).unwrap().to_owned();
        Subject::new(open(&address)).damage(move |id| {
            let part = id.as_bytes()[0] >> 4;
            let mut name = format!("{{{prefix}:1:{part:x}}}:o:").into_bytes();
            name.extend_from_slice(id.as_bytes());
            let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
            let mut connection = client.get_connection().unwrap();
            let set = redis::cmd("SETRANGE").arg(name).arg(100).arg("damage").exec(&mut connection);
            set.unwrap();
        })
    });
    assert_eq!(ran.len(), all());
}

#[test]
fn conforms_on_a_cluster() {
    let Some(cluster) = Cluster::start() else { return skipped("Redis") };
    let ran = conformance::run(|| Subject::new(open(&fresh(&cluster.url()))));
    assert_eq!(ran.len(), all() - 1, "all but the case of damaged bytes");
}

#[test]
fn conforms_with_tls_and_without_tracking() {
    let Some(server) = Redis::start_tls() else { return skipped("Redis") };
    let url = format!("rediss://localhost:{}", server.port);
    let ran = conformance::run(|| {
        let address = format!("{}&track=no&ca={}", fresh(&url), server.authority());
        Subject::new(open(&address))
    });
    assert_eq!(ran.len(), all() - 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn agrees_with_the_model(steps in model::steps()) {
        if let Some(url) = shared() {
            let store = Timeless(open(&fresh(&url)));
            let model = Timeless(Arc::new(MemoryStore::new()));
            // Nobody asks this clock: hours do not pass here.
            let clock = ManualClock::new();
            block_on(model::compare(&store, &model, &clock, &steps));
        }
    }
}
