//! The engine of afresh: whether a call must run, and what is kept when it has.
//!
//! The engine never calls user code. [`Engine::begin`] answers with a [`Hit`], with a [`Ticket`] to run the
//! function in the caller's own world, or with [`Busy`] when somebody else is running it already;
//! [`Ticket::finish`] and [`Ticket::fail`] record what happened and publish the answer. So synchronous and
//! asynchronous callers, Python and Rust, share one engine and one set of tests.
//!
//! The engine does not print, does not read the environment and holds no globals; what a person should
//! know goes out as [`tracing`] events of level `WARN`.

mod accept;
mod accepted;
mod access;
mod archive;
mod begin;
mod bell;
mod busy;
mod diff;
mod engine;
mod explain;
mod flight;
mod gc;
pub mod guard;
mod hold;
mod hostlock;
mod inside;
mod lease;
mod log;
mod policy;
mod record;
mod refresh;
mod remembered;
mod remove;
mod sign;
mod spool;
mod stats;
mod sweep;
mod taken;
mod ticket;
mod verify;
mod words;

pub use accept::Withdrawn;
pub use accepted::{Accept, Accepted, Edit};
pub use archive::{ExportReport, ImportReport};
pub use begin::{Begun, Hit, SLACK};
pub use busy::Busy;
pub use diff::{ArgumentChange, Difference};
pub use engine::{Clock, Engine, Options};
pub use explain::{Again, Answer, Asked, Explanation, Nearest, Ran};
pub use gc::{GcOptions, GcReport};
pub use hold::{Hold, Holding, Vacancy};
pub use inside::{Counted, Inner, Inward, Step, Turn};
pub use log::LogQuery;
pub use policy::{Early, Evidence, Policy, RAISED, Verdict, judge};
pub use record::{Execution, Output};
pub use remembered::{Remembered, Worth};
pub use remove::Selection;
pub use sign::Secret;
pub use stats::Stats;
pub use ticket::{Finished, Replay, Ticket};
pub use verify::{Problem, VerifyReport};
