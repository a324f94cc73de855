//! A store of each kind with an engine on it, and calls to ask them for.

use std::sync::Arc;

use afresh::{
    Argument, Begun, Engine, Execution, Fingerprint, Function, FunctionId, Options, Output, Policy,
    fp1,
};
use pollster::block_on;
use tempfile::TempDir;

/// An engine on a store that goes away with it.
pub struct Bench {
    engine: Engine,
    function: Arc<Function>,
    _folder: TempDir,
}

impl Bench {
    /// On `memory` or `sqlite`, with answers to the calls `0..answers`.
    pub fn new(kind: &str, answers: i64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = match kind {
            "memory" => "memory:".to_owned(),
            _ => format!("sqlite:{}", folder.path().display()),
        };
        let engine = afresh::open(&address, Options::default()).expect("a store").engine;
        let function = Arc::new(Function::new("bench.square", FunctionId::new([7; 32]), "{}"));
        let bench = Self { engine, function, _folder: folder };
        for n in 0..answers {
            bench.miss(n);
        }
        bench
    }

    /// The bound argument of a call.
    pub fn argument(n: i64) -> Argument {
        let mut encoder = fp1::Encoder::new();
        encoder.int(n);
        Argument {
            name: "n".into(),
            digest: encoder.finish(),
            preview: n.to_string().into(),
            source: None,
        }
    }

    /// What a call is looked up by.
    pub fn fingerprint(&self, n: i64) -> Fingerprint {
        Argument::fingerprint(&self.function.id, &self.function.name, &[Self::argument(n)])
    }

    /// Looks an answer up that is there.
    pub fn hit(&self, fingerprint: &Fingerprint) -> afresh::Hit {
        block_on(self.engine.lookup(fingerprint, &Policy::default()))
            .expect("a store that works")
            .expect("an answer")
    }

    /// Begins a call that has no answer, and finishes it.
    pub fn miss(&self, n: i64) {
        let argument = Self::argument(n);
        let fingerprint = self.fingerprint(n);
        let Ok(Begun::Run(ticket)) = block_on(self.engine.begin(&fingerprint, &Policy::default()))
        else {
            panic!("the call {n} was made before");
        };
        let execution = Execution {
            function: self.function.clone(),
            arguments: vec![argument],
            inputs: vec![],
            tags: vec![],
            ttl: None,
            took: None,
        };
        let output =
            Output::Bytes { codec: "json".into(), blob: b"144".to_vec().into(), value: None };
        block_on(ticket.finish(execution, output)).expect("a store that works");
    }
}
