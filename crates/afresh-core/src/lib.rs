//! The nouns of afresh, and the contract that every store keeps.
//!
//! Everything here is data or a trait: no I/O, no clock, no runtime, no globals. The engine
//! (`afresh-engine`) judges and orders; the stores (`afresh-store-*`) keep; both speak only in the
//! types of this crate, so neither knows the other.
//!
//! | to … | see |
//! |---|---|
//! | name things by digest | [`ObjectId`], [`CommitId`], [`Fingerprint`], [`FunctionId`] |
//! | digest a value the same way in every language | [`fp1`] |
//! | say what a call is | [`Function`], [`Argument`], [`fp1::fingerprint`] |
//! | read or write the record of an execution | [`Commit`] |
//! | say what is inside an argument | [`Outline`], [`sketch`] |
//! | implement a store | [`Store`], [`Batch`], [`Entry`], [`Scan`] |
//! | report a failure | [`Error`] |
#![forbid(unsafe_code)]

mod batch;
mod blob;
mod commit;
mod entry;
mod error;
pub mod fp1;
mod function;
mod generation;
mod head;
mod id;
mod key;
mod outline;
mod scan;
pub mod sketch;
mod store;
mod stored;
mod time;

pub use batch::{Applied, Batch, Done, Op, When};
pub use blob::Blob;
pub use bytes::Bytes;
pub use commit::{
    COMMIT_FORMAT, Commit, Failure, INLINE_MAX, Kept, OUTLINED_FORMAT, ObjectRef, Outcome,
    Outlined, Status, Tag, Who,
};
pub use entry::{Entry, Labels, NewEntry, Value, Version};
pub use error::{Error, Kind, Result, Retry};
pub use function::{Argument, Function};
pub use generation::{Changing, Generation, Stamp, Words};
pub use head::{HEAD_FORMAT, Head};
pub use id::{CommitId, Fingerprint, FunctionId, ObjectId, ParseIdError};
pub use key::{Key, MAX_KEY, Space};
pub use outline::{
    Cells, Inside, Name, OUTLINE_DEPTH, OUTLINE_FORMAT, Outline, Rest, Rows, Short, short,
};
pub use scan::{Order, Page, Scan, prefix_end};
pub use store::{Capabilities, ObjectInfo, Removed, Store, StoreInfo, Usage, Watcher};
pub use stored::Stored;
pub use time::Timestamp;
