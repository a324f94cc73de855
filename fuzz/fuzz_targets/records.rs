//! Heads and commits of a store that somebody else may have written.
#![no_main]

use afresh::{Commit, Head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(head) = Head::decode(data) {
        assert_eq!(Head::decode(&head.encode().unwrap()).unwrap(), head);
    }
    // The id is checked first; give the decoder behind it bytes whose id is right.
    if let Ok(commit) = Commit::decode(&Commit::id_of(data), data) {
        let (id, bytes) = commit.encode().unwrap();
        assert_eq!(Commit::decode(&id, &bytes).unwrap(), commit);
    }
});
