//! The reader that shows pickles without running them.
#![no_main]

use afresh_cli::pickle::{Limits, literal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = literal(data, &Limits { width: 80, characters: 10_000, depth: 50 });
});
