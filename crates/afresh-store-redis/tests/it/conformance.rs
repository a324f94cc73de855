//! The suite that every store passes, and random operations compared with the memory store.

use std::sync::Arc;

use afresh_core::{Key, ObjectId};
use afresh_store_memory::MemoryStore;
use afresh_testkit::conformance::{self, Subject};
use afresh_testkit::servers::redis::{Cluster, Redis};
use afresh_testkit::servers::{Kind, Site};
use afresh_testkit::{ManualClock, model};
use pollster::block_on;
use proptest::prelude::*;

use crate::damage::name;
use crate::timeless::Timeless;
use crate::{fresh, open, skip};

/// Cases that need a hand in the server's data: damaged bytes, and entries that somebody wrote over.
const HANDS: usize = 2;

/// How many cases there are for a store that can do what this one can.
fn all() -> usize {
    let can = open("redis://localhost").info().capabilities;
    let subject = |case: &&conformance::Case| (case.needs)(&can);
    conformance::cases().iter().filter(subject).count()
}

#[test]
fn conforms() {
    let Some(site) = Site::open(Kind::Redis) else { return };
    // The driver alone knows nothing of Clusters.
    let single = !site.url().scheme().contains('+');
    let ran = conformance::run(|| {
        let prefix = site.name();
        let subject = Subject::new(open(&site.address(&prefix, "timeout=10")));
        if !single {
            return subject;
        }
        let url = site.url().to_string();
        let run = move |command: &redis::Cmd| {
            let mut connection = redis::Client::open(&*url).unwrap().get_connection().unwrap();
            command.exec(&mut connection).unwrap();
        };
        let (spoil, of) = (run.clone(), prefix.clone());
        let damage = move |id: &ObjectId| {
            let part = id.as_bytes()[0] >> 4;
            let mut name = format!("{{{prefix}:1:{part:x}}}:o:").into_bytes();
            name.extend_from_slice(id.as_bytes());
            run(redis::cmd("SETRANGE").arg(name).arg(100).arg("damage"));
        };
        let spoil = move |key: &Key| {
            spoil(redis::cmd("SET").arg(name(&of, key)).arg("what is this?").arg("KEEPTTL"));
        };
        subject.damage(damage).spoil(spoil)
    });
    assert_eq!(ran.len(), all() - if single { 0 } else { HANDS });
}

#[test]
fn conforms_on_a_cluster() {
    let Some(cluster) = Cluster::start() else { return skip() };
    let ran = conformance::run(|| Subject::new(open(&fresh(&cluster.url()))));
    assert_eq!(ran.len(), all() - HANDS);
}

#[test]
fn conforms_with_tls_and_without_tracking() {
    let Some(server) = Redis::start_tls() else { return skip() };
    let url = format!("rediss://localhost:{}", server.port);
    let ran = conformance::run(|| {
        let address = format!("{}&track=no&ca={}", fresh(&url), server.authority());
        Subject::new(open(&address))
    });
    assert_eq!(ran.len(), all() - HANDS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn agrees_with_the_model(steps in model::steps()) {
        if let Some(site) = Site::open(Kind::Redis) {
            let store = Timeless(open(&site.address(&site.name(), "timeout=10")));
            let model = Timeless(Arc::new(MemoryStore::new()));
            // Nobody asks this clock: hours do not pass here.
            let clock = ManualClock::new();
            block_on(model::compare(&store, &model, &clock, &steps));
        }
    }
}
