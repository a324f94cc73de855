//! `afresh history HASH`: every execution of the same call, oldest first, and whether it gave the same again.

use afresh::Commit;
use clap::Args;
use serde::Serialize;

use crate::commit;
use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::human;
use crate::json::CommitView;
use crate::store::Mode;
use crate::style::Role;
use crate::table::{Cell, Column, Table};

const EXAMPLES: &str = "\
Examples:
  afresh history 3f2a91         every time this call was executed
  afresh history 3f2a91 --json  for programs: an array, oldest first";

/// List every execution of one call, oldest first
///
/// One call is one function, as it was, with the same arguments. It is executed again when its answer expired, was
/// taken back or was forced. The column `output` says whether it gave the same bytes as the time before.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// One of the executions
    hash: String,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    commit: CommitView<'a>,
    /// How the output compares with the time before.
    output: Option<&'static str>,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let (_, commit) = cx.commit(&engine, &options.hash).await?;
    let found = engine.history(&commit).await?;
    let compared = compare(found.iter().map(|(_, commit)| commit));
    if cx.json {
        let rows: Vec<_> = found
            .iter()
            .zip(compared)
            .map(|((id, commit), output)| Row { commit: CommitView::new(id, commit), output })
            .collect();
        cx.document(&rows)?;
        return Ok(OK);
    }
    let mut table = Table::new(&[
        Column::fixed("hash"),
        Column::fixed("when").rank(1),
        Column::number("took").rank(2),
        Column::flexible("result", 6),
        Column::fixed("output").rank(3),
        Column::flexible("by", 6).rank(4),
        Column::flexible("tags", 8).rank(5),
    ]);
    for ((id, commit), output) in found.iter().zip(compared) {
        table.row(vec![
            Cell::new(Role::Hash, id.short()),
            Cell::plain(human::ago(commit.created(), cx.now, &cx.zone)),
            Cell::plain(commit::took(commit)),
            commit::result(commit),
            Cell::new(
                if output == Some("differs") { Role::Warning } else { Role::Faint },
                output.unwrap_or_default(),
            ),
            Cell::new(Role::Faint, commit::by(commit)),
            Cell::new(Role::Faint, commit::tags(commit)),
        ]);
    }
    cx.table(&table)?;
    Ok(OK)
}

/// For each execution `first`, `same` or `differs`; `None` where there is no output.
fn compare<'a>(commits: impl Iterator<Item = &'a Commit>) -> Vec<Option<&'static str>> {
    let mut before = None;
    commits
        .map(|commit| {
            let (object, _) = commit.output()?;
            let word = match before.replace(object.id) {
                None => "first",
                Some(id) if id == object.id => "same",
                Some(_) => "differs",
            };
            Some(word)
        })
        .collect()
}
