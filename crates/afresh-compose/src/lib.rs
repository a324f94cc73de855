//! Stores that are made of other stores. Each is a [`Store`](afresh_core::Store) like any other and passes the same suite.
//!
//! | to … | see |
//! |---|---|
//! | have the outputs that were read before on this machine's disk, before a server | [`Tiered`] |
//! | keep records in one store and large outputs in another | [`Split`] |
//! | keep named values in different stores by what their names begin with | [`Routed`] |
//! | let a server keep what it cannot read or change unnoticed | [`Sealed`] |
//! | use what others computed and change nothing | [`ReadOnly`] |
#![forbid(unsafe_code)]

mod readonly;
mod routed;
mod sealed;
mod split;
mod tiered;

pub use readonly::ReadOnly;
pub use routed::Routed;
pub use sealed::{Sealed, SealingKey};
pub use split::Split;
pub use tiered::Tiered;
