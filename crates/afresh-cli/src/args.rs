//! What can be said on the command line: the commands, the options they share, and how option texts become values.
//!
//! Each command's own options stand at the top of its file. Every parser here says what is allowed when it refuses.

use std::time::Duration;

use afresh::{Error, Status, Tag, units};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    accept, clear, completions, diff, export, gc, get, history, import, invalidate, log, plan, rm,
    show, stats, verify, why,
};

const AFTER_HELP: &str = "\
Hashes: any beginning that only one commit has will do.

Exit codes:
  0  done, or whoever read the output has had enough
  1  not found, or failed; `verify`: there are problems
  2  the arguments cannot be understood

Environment:
  AFRESH_URL      the store, where --store names none
  AFRESH_DIR      the folder of the store, where AFRESH_URL names none either
  NO_COLOR        never use colour
  CLICOLOR_FORCE  use colour also where the output is not a terminal
  COLUMNS         the width of tables";

/// See what was remembered, why, and how much it saved; and look after the store.
#[derive(Debug, Parser)]
#[command(name = "afresh", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The store: `sqlite:PATH` or just a path [default: $AFRESH_URL, $AFRESH_DIR, .afresh]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Write one JSON document: an array of commits (log, history) or one object (all others)
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Log(log::Options),
    Show(show::Options),
    Get(get::Options),
    Diff(diff::Options),
    Why(why::Options),
    Plan(plan::Options),
    Accept(accept::Options),
    History(history::Options),
    Rm(rm::Options),
    Invalidate(invalidate::Options),
    Gc(gc::Options),
    Clear(clear::Options),
    Stats(stats::Options),
    Verify(verify::Options),
    Export(export::Options),
    Import(import::Options),
    Completions(completions::Options),
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StatusName {
    /// It returned
    Completed,
    /// It raised
    Failed,
}

impl From<StatusName> for Status {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Completed => Self::Completed,
            StatusName::Failed => Self::Failed,
        }
    }
}

/// A duration, such as `90`, `2h5m`, `30d`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    units::duration(text).map_err(|error| allowed(&error))
}

/// A whole number.
pub(crate) fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write a whole number, such as `20`".to_owned())
}

/// A size, such as `500`, `200MB`, `1GiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    units::size(text).map_err(|error| allowed(&error))
}

/// A tag, `key` or `key=value`.
pub(crate) fn tag(text: &str) -> Result<Tag, String> {
    text.parse().map_err(|error| allowed(&error))
}

/// The parser of arguments says already that the value is wrong; what is missing is what would be right.
fn allowed(error: &Error) -> String {
    error.hint().unwrap_or_else(|| error.message()).to_owned()
}
