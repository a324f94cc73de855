//! What was taken back, as somebody else may have written it: never a panic, and what is meant is never published.
#![no_main]

use std::sync::Arc;

use afresh::{
    Batch, Engine, Execution, Fingerprint, Function, FunctionId, Key, NewEntry, Op, Options,
    Output, Space, When, open,
};
use libfuzzer_sys::fuzz_target;
use pollster::block_on;

fn write(engine: &Engine, bytes: &[u8]) {
    let key = Key::new(Space::Named, "taken-1").unwrap();
    let op = Op::Put { key, entry: NewEntry::record(bytes.to_vec()), when: When::Always };
    block_on(engine.store().apply(Batch { objects: vec![], ops: vec![op] })).unwrap();
}

fuzz_target!(|data: &[u8]| {
    let engine = open("memory:", Options::default()).unwrap().engine;
    let call = Fingerprint::new([1; 32]);
    write(&engine, data);
    let ticket = block_on(engine.start(&call)).unwrap();
    block_on(engine.forget(&call)).unwrap();
    let execution = Execution {
        function: Arc::new(Function::new("f", FunctionId::new([7; 32]), "{}")),
        arguments: vec![],
        inputs: vec![],
        tags: vec![],
        ttl: None,
        took: None,
    };
    let output = Output::Bytes { codec: "json".into(), blob: b"1".to_vec().into(), value: None };
    assert!(!block_on(ticket.finish(execution, output)).unwrap().published);
});
