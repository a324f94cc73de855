//! The reference store: everything in this process, gone with it.
//!
//! It says what the contract of [`Store`](afresh_core::Store) means in the plainest way, sorted maps under
//! one lock, and is the model that property tests compare the other stores with. It is also a
//! store of its own right, for tests and for programs that want no files.
//!
//! Invariant: what one operation does happens under one hold of the lock, so a batch is atomic by
//! construction. It does not bound its size: the engine's collection does.
#![forbid(unsafe_code)]

mod config;
mod entry;
mod object;
mod scan;
mod store;

pub use config::Clock;
pub use store::MemoryStore;
