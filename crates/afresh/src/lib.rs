//! Remember what functions returned, in any process, until something they depend on changes.
//!
//! This crate is names and wiring: [`open`] turns an address into an [`Engine`], and everything a program needs
//! is re-exported here. What an engine does is told in [`Engine::begin`]; what a store is, in [`Store`].
//!
//! ```
//! use afresh::{Argument, Begun, Execution, Function, FunctionId, Options, Output, Policy, fp1};
//! use std::sync::Arc;
//!
//! # pollster::block_on(async {
//! let engine = afresh::open("memory:", Options::default())?.engine;
//! let function = Arc::new(Function::new("demo.square", FunctionId::new([7; 32]), "{}"));
//! let mut encoder = fp1::Encoder::new();
//! encoder.int(12);
//! let argument = Argument { name: "n".into(), digest: encoder.finish(), preview: "12".into(), source: None };
//! let fingerprint = Argument::fingerprint(&function.id, &function.name, std::slice::from_ref(&argument));
//!
//! let Begun::Run(ticket) = engine.begin(&fingerprint, &Policy::default()).await? else { unreachable!() };
//! let execution = Execution {
//!     function, arguments: vec![argument], inputs: vec![], tags: vec![], ttl: None, took: None,
//! };
//! ticket.finish(execution, Output::Bytes { codec: "json".into(), blob: b"144".to_vec().into(), value: None }).await?;
//!
//! let hit = engine.lookup(&fingerprint, &Policy::default()).await?;
//! assert_eq!(hit.map(|hit| hit.bytes), Some("144".into()));
//! # Ok::<(), afresh::Error>(())
//! # })?;
//! # Ok::<(), afresh::Error>(())
//! ```
#![forbid(unsafe_code)]

mod address;
mod around;
pub mod units;

pub use address::{Opened, open};
#[cfg(feature = "compose")]
pub use afresh_compose as compose;
pub use afresh_core::*;
pub use afresh_engine::*;
