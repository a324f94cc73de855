//! The `afresh` command: looking at a store, and looking after it.
//!
//! The same program is a binary (`src/main.rs`) and part of the Python wheel; both build a [`Host`] and call
//! [`run`]. This crate parses arguments, asks the engine and writes what people and programs read. It holds no
//! policy: what a commit is, what goes in a gc, what damage means is the engine's business.
//!
//! | to … | see |
//! |---|---|
//! | run the command | [`run`], [`Host`] |
//! | know the arguments | `args`, and the top of each file in `commands` |
//! | follow one command | its file in `commands`; everything it may use is in `context` |
//! | see how a table fits a terminal | `table`, `text` |
//! | see what `--json` writes | `json` |
//! | see how a pickle is shown without being executed | [`pickle`] |
//!
//! Invariants: standard output carries data and nothing else; hints, warnings and progress go to standard error;
//! the environment, the clock and the terminal are read in `environment` and nowhere else; no stored text reaches
//! a terminal with control characters in it.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod commit;
mod context;
mod difference;
mod environment;
mod failure;
mod file;
mod host;
mod human;
mod json;
mod output;
#[doc(hidden)]
pub mod pickle;
mod program;
mod record;
mod store;
mod style;
mod table;
mod text;
mod value;
mod warnings;

pub use host::{Environment, Host, ShowValue};
pub use program::run;
