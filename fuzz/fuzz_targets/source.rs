//! Python source of any kind.
#![no_main]

use afresh_pysource::{Source, Style};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(source) = Source::parse(text) {
        let _ = source.module(&Style::default());
    }
});
