//! Outlines that somebody else may have written: read, compared, put into words.
#![no_main]

use afresh::{Inner, Outline};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (a, b) = data.split_at(data.len() / 2);
    let Ok(a) = Outline::decode(a) else { return };
    assert_eq!(Outline::decode(&a.encode().unwrap()).unwrap(), a);
    assert_eq!(Inner::of(&a, &a.clone()), None);
    let Ok(b) = Outline::decode(b) else { return };
    if let Some(inner) = Inner::of(&a, &b) {
        assert!(!inner.headline("x").is_empty());
        let _ = inner.lines("x");
    }
});
