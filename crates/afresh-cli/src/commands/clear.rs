//! `afresh clear`: forget everything. The one command that cannot be undone by computing for a minute, so it asks.

use std::io::BufRead;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{FAILED, Failure, OK};
use crate::human;
use crate::store::Mode;

const EXAMPLES: &str = "\
Examples:
  afresh clear        ask, then forget everything
  afresh clear --yes  forget everything, for scripts";

/// Forget everything: answers, executions, results
///
/// Asks first. Where nobody can be asked, it refuses unless `--yes` is given.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Serialize)]
struct Report {
    commits: u64,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    if !options.yes && !cx.stdin_terminal {
        return Err(Failure::usage(format!("this would forget everything in `{}`", cx.address))
            .hint("give `--yes` where nobody can be asked"));
    }
    let engine = cx.engine(Mode::Existing)?;
    if !options.yes {
        let commits = engine.stats().await?.commits;
        cx.words.ask(&format!(
            "Forget all {} of `{}` and their results? [y/N] ",
            human::count(commits, "execution"),
            cx.address
        ));
        let mut answer = String::new();
        // An unreadable answer is not a yes.
        let _ = cx.stdin.read_line(&mut answer);
        if !matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES") {
            cx.note("nothing was forgotten");
            return Ok(FAILED);
        }
    }
    let commits = engine.clear().await?;
    if cx.json {
        cx.document(&Report { commits })?;
    } else {
        cx.note(&format!("forgot {}", human::count(commits, "execution")));
    }
    Ok(OK)
}
