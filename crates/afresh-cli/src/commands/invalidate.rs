//! `afresh invalidate`: take answers back, so that the next such call runs. The history stays.

use clap::Args;
use serde::Serialize;

use crate::args::tag;
use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::human;
use crate::store::Mode;

const EXAMPLES: &str = "\
Examples:
  afresh invalidate --func etl.clean             every answer of this function
  afresh invalidate --tag source=api             every answer with this tag
  afresh invalidate --func clean --tag day=mon   those that are both";

/// Take answers back, so that the next such call is executed
///
/// The executions stay on record; `rm` forgets those. All conditions hold together.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
#[group(required = true, multiple = true)]
pub(crate) struct Options {
    /// The answers of this function: its full name, or the last part of it
    #[arg(long, value_name = "NAME")]
    func: Option<String>,
    /// The answers with this tag: `key=value`, or `key` for any value; all of them where given again
    #[arg(long = "tag", value_name = "TAG", value_parser = tag)]
    tags: Vec<afresh::Tag>,
}

#[derive(Serialize)]
struct Report {
    invalidated: u64,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let selection =
        afresh::Selection { function: options.func.clone(), tags: options.tags.clone() };
    let invalidated = engine.invalidate(&selection).await?;
    if cx.json {
        cx.document(&Report { invalidated })?;
    } else {
        cx.note(&format!("took back {}", human::count(invalidated, "answer")));
    }
    Ok(OK)
}
