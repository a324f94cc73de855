//! `afresh verify`: read everything once more. Damage is a finding (exit 1), put right only with `--repair`.

use afresh::Problem;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{FAILED, Failure, OK};
use crate::human;
use crate::store::Mode;
use crate::style::Role;
use crate::table::{Cell, Column, Table};

const EXAMPLES: &str = "\
Examples:
  afresh verify           look; exit 1 where something is wrong
  afresh verify --repair  set damage aside, drop what leads nowhere; exit 0

What was damaged is computed again when it is next asked for. Nothing is deleted because it is damaged: a SQLite
store keeps it in its folder `quarantine`.";

/// Read every stored byte and see whether it is what was written
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// Put right what is wrong
    #[arg(long)]
    repair: bool,
}

#[derive(Serialize)]
struct Report {
    objects: u64,
    bytes: u64,
    commits: u64,
    answers: u64,
    repaired: bool,
    problems: Vec<Finding>,
}

#[derive(Serialize)]
struct Finding {
    problem: &'static str,
    /// What the hash names.
    of: &'static str,
    hash: String,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let words = cx.words.clone();
    let mut shown = None;
    let report = engine
        .verify(options.repair, move |read, of| {
            let percent = read * 100 / of.max(1);
            if shown.replace(percent) != Some(percent) {
                words.progress(&format!("reading {read} of {of} ({percent} %)"));
            }
        })
        .await?;
    cx.words.done();
    let code = if report.is_clean() || report.repaired { OK } else { FAILED };
    let problems: Vec<_> = report.problems.iter().map(finding).collect();
    if cx.json {
        cx.document(&Report {
            objects: report.objects,
            bytes: report.bytes,
            commits: report.commits,
            answers: report.heads,
            repaired: report.repaired && !problems.is_empty(),
            problems,
        })?;
        return Ok(code);
    }
    if !problems.is_empty() {
        let columns = [Column::fixed("problem"), Column::fixed("of"), Column::flexible("hash", 12)];
        let mut table = Table::new(&columns);
        for found in &problems {
            table.row(vec![
                Cell::new(Role::Bad, found.problem.replace('-', " ")),
                Cell::plain(found.of),
                Cell::new(Role::Hash, found.hash.get(..12).unwrap_or(&found.hash)),
            ]);
        }
        cx.table(&table)?;
    }
    cx.note(&format!(
        "read {} ({}), {} and {}: {}{}",
        human::count(report.objects, "object"),
        human::size(report.bytes),
        human::count(report.commits, "execution"),
        human::count(report.heads, "answer"),
        match problems.len() {
            0 => "all as written".to_owned(),
            n => human::count(n as u64, "problem"),
        },
        if report.repaired && !problems.is_empty() { ", put right" } else { "" },
    ));
    if code == FAILED {
        cx.hint("`afresh verify --repair` sets damaged bytes aside and drops what leads nowhere");
    }
    Ok(code)
}

fn finding(problem: &Problem) -> Finding {
    let (problem, of, hash) = match problem {
        Problem::DamagedObject(id) => ("damaged", "object", id.to_string()),
        Problem::DamagedCommit(id) => ("damaged", "commit", id.to_string()),
        Problem::DamagedHead(id) => ("damaged", "answer", id.to_string()),
        Problem::HeadWithoutCommit(id) => ("without-commit", "answer", id.to_string()),
        Problem::HeadWithoutObject(id) => ("without-result", "answer", id.to_string()),
        Problem::CommitWithoutObject(id) => ("without-result", "commit", id.to_string()),
        Problem::DamagedAccepts(id) => ("damaged", "accepts", id.to_string()),
    };
    Finding { problem, of, hash }
}
