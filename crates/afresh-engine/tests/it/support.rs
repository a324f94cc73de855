//! Engines, calls and outputs for the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use afresh_core::{Argument, Fingerprint, Function, FunctionId, Store, Tag, Timestamp, Who, fp1};
use afresh_engine::{Begun, Engine, Execution, Finished, Hit, Options, Output, Policy, Ticket};
use afresh_store_memory::MemoryStore;
use afresh_store_sqlite::{SqliteOptions, SqliteStore};
use afresh_testkit::SharedStore;
use pollster::block_on;
use tempfile::TempDir;

pub const ALWAYS: Policy = Policy {
    ttl: None,
    sliding: false,
    max_age: None,
    stale: None,
    early: None,
    refresh_after: None,
    soft: None,
    except: None,
};

/// A clock that stands still until it is moved.
#[derive(Clone, Default)]
pub struct Hands(Arc<AtomicI64>);

impl Hands {
    pub fn at(millis: i64) -> Self {
        Self(Arc::new(AtomicI64::new(millis)))
    }

    pub fn go(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn clock(&self) -> afresh_engine::Clock {
        let hands = self.clone();
        Arc::new(move || Timestamp::from_millis(hands.0.load(Ordering::SeqCst)))
    }
}

pub fn who() -> Who {
    Who { user: "ana".into(), host: "box".into(), pid: 7 }
}

pub fn over(store: Arc<dyn Store>) -> Engine {
    Engine::new(store, Options { who: who(), ..Options::default() })
}

pub fn with_clock(store: Arc<dyn Store>, hands: &Hands) -> Engine {
    Engine::new(store, Options { who: who(), clock: Some(hands.clock()), ..Options::default() })
}

pub fn memory() -> Engine {
    over(Arc::new(MemoryStore::new()))
}

pub fn sqlite(dir: &TempDir) -> Engine {
    over(Arc::new(SqliteStore::open(&dir.path().join("store"), SqliteOptions::default()).unwrap()))
}

/// A store in memory that plays one which hosts share.
pub fn shared() -> Engine {
    over(SharedStore::new(Arc::new(MemoryStore::new()), false))
}

/// All kinds, each with what keeps it alive.
pub fn engines() -> Vec<(Engine, TempDir)> {
    let [one, two, three] = [(); 3].map(|()| TempDir::new().unwrap());
    vec![(memory(), one), (shared(), two), (sqlite(&three), three)]
}

pub fn argument(n: i64) -> Argument {
    let mut encoder = fp1::Encoder::new();
    encoder.int(n);
    Argument { name: "n".into(), digest: encoder.finish(), preview: n.to_string(), source: None }
}

pub fn function(name: &str) -> Arc<Function> {
    let id = FunctionId::new(*afresh_core::ObjectId::of(name.as_bytes()).as_bytes());
    Arc::new(Function::new(name, id, format!("{{\"name\":\"{name}\"}}")))
}

pub fn fingerprint(name: &str, n: i64) -> Fingerprint {
    Argument::fingerprint(&function(name).id, name, &[argument(n)])
}

pub fn execution(name: &str, n: i64) -> Execution {
    Execution {
        function: function(name),
        arguments: vec![argument(n)],
        inputs: vec![],
        tags: vec![],
        ttl: None,
        took: None,
    }
}

pub fn tagged(name: &str, n: i64, tag: &str) -> Execution {
    Execution { tags: vec![tag.parse::<Tag>().unwrap()], ..execution(name, n) }
}

pub fn output(bytes: impl Into<Vec<u8>>) -> Output {
    Output::Bytes { codec: "json".into(), blob: bytes.into().into(), value: None }
}

pub fn begin(engine: &Engine, name: &str, n: i64) -> Begun {
    block_on(engine.begin(&fingerprint(name, n), &ALWAYS)).unwrap()
}

pub fn ticket(engine: &Engine, name: &str, n: i64) -> Ticket {
    match begin(engine, name, n) {
        Begun::Run(ticket) => ticket,
        other => panic!("expected to run, got {other:?}"),
    }
}

pub fn hit(engine: &Engine, name: &str, n: i64) -> Option<Hit> {
    block_on(engine.lookup(&fingerprint(name, n), &ALWAYS)).unwrap()
}

/// Computes `name(n)` as `bytes`.
pub fn compute(engine: &Engine, name: &str, n: i64, bytes: &str) -> Finished {
    block_on(ticket(engine, name, n).finish(execution(name, n), output(bytes))).unwrap()
}

/// Bytes that do not compress.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}
