//! Archives: whatever comes in, the store is sound afterwards.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pollster::block_on;

fuzz_target!(|data: &[u8]| {
    let engine = afresh::open("memory:", afresh::Options::default()).unwrap().engine;
    let _ = block_on(engine.import(data));
    assert!(block_on(engine.verify(false, |_, _| ())).unwrap().is_clean());
});
