//! What stores on other machines have in common, so that each of them is only its commands.
//!
//! | to … | see |
//! |---|---|
//! | make a driver's futures awaitable anywhere, in bounded time | [`Remote`] |
//! | know when a server that fails is asked again | [`Circuit`] |
//! | keep an entry as bytes, where a server has no columns | [`Stored`] |
//! | keep objects compressed where that pays | [`packed`] |
//! | keep entries where there is only a compare-and-set | [`cells`] |
//! | take an address apart without showing its password | [`Address`] |
#![forbid(unsafe_code)]

mod address;
pub mod cells;
mod circuit;
pub mod packed;
mod remote;

pub use address::Address;
pub use afresh_core::Stored;
pub use circuit::Circuit;
pub use remote::{Remote, RemoteOptions};
