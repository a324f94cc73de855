//! `afresh gc`: make room. What goes, and that it is safe beside running programs, is the engine's doing.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::args::{size, span};
use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::human;
use crate::store::Mode;

const EXAMPLES: &str = "\
Examples:
  afresh gc                           what is expired, what nothing refers to
  afresh gc --older-than 30d          also what was not used for thirty days
  afresh gc --max-size 1GB            also the least recently used beyond 1 GB
  afresh gc --max-size 1GB --dry-run  only say what would go";

/// Let go of what is expired, old, or too much; safe while programs use the store
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// Also what was neither made nor used for this long, such as `12h`, `30d`
    #[arg(long, value_name = "SPAN", value_parser = span)]
    older_than: Option<Duration>,
    /// Also the least recently used, until the results take no more than this, such as `200MB`, `1GiB`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Keep bytes that were written this recently, whoever refers to them [default: what the store needs]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    grace: Option<Duration>,
}

#[derive(Serialize)]
struct Report {
    dry_run: bool,
    commits: u64,
    answers: u64,
    objects: u64,
    bytes: u64,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let report = engine
        .gc(&afresh::GcOptions {
            older_than: options.older_than,
            max_size: options.max_size,
            dry_run: options.dry_run,
            grace: options.grace,
        })
        .await?;
    if cx.json {
        cx.document(&Report {
            dry_run: options.dry_run,
            commits: report.commits,
            answers: report.heads,
            objects: report.objects,
            bytes: report.bytes,
        })?;
    } else {
        cx.note(&format!(
            "{} {} ({}) and {} ({})",
            if options.dry_run { "would let go of" } else { "let go of" },
            human::count(report.commits, "execution"),
            human::count(report.heads, "current answer"),
            human::count(report.objects, "object"),
            human::size(report.bytes),
        ));
    }
    Ok(OK)
}
