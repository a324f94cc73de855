//! What people type: addresses, durations, sizes, tags, hashes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = afresh::units::duration(text);
    let _ = afresh::units::size(text);
    let _ = text.parse::<afresh::Tag>();
    let _ = text.parse::<afresh::CommitId>();
});
