//! Signatures.

use std::sync::Arc;

use afresh_core::{Kind, Store};
use afresh_engine::{Begun, Engine, Options, Secret};
use afresh_store_memory::MemoryStore;
use pollster::block_on;

use crate::support::*;

fn signing(store: &Arc<dyn Store>, secret: &str) -> Engine {
    let options = Options { who: who(), secret: Some(Secret::new(secret)), ..Options::default() };
    Engine::new(Arc::clone(store), options)
}

#[test]
fn only_what_was_signed_with_our_secret_is_an_answer() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (ours, theirs, unsigned) =
        (signing(&store, "ours"), signing(&store, "theirs"), over(Arc::clone(&store)));
    compute(&theirs, "f", 1, "theirs");
    compute(&unsigned, "f", 2, "nobody's");
    for n in [1, 2] {
        assert!(matches!(begin(&ours, "f", n), Begun::Run(_)), "{n}");
    }
    let done = compute(&ours, "f", 3, "ours");
    assert_eq!(&hit(&ours, "f", 3).unwrap().bytes[..], b"ours");
    assert!(hit(&theirs, "f", 3).is_none());
    let commit = block_on(ours.show(&done.commit)).unwrap().unwrap();
    assert_eq!(block_on(theirs.output(&commit)).unwrap_err().kind(), Kind::Denied);
    assert!(block_on(ours.output(&commit)).unwrap().is_some());
}

#[test]
fn a_secret_is_never_shown() {
    assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    let options = Options { secret: Some(Secret::new("hunter2")), ..Options::default() };
    assert!(!format!("{options:?}").contains("hunter2"));
}
