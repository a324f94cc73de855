//! `afresh log`: what ran, newest first.

use std::collections::BTreeSet;

use clap::Args;

use crate::args::{StatusName, number, span, tag};
use crate::commands::accept;
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
  afresh log                            the last 20 executions
  afresh log --func clean --since 2h    of `clean` or `etl.clean`, last two hours
  afresh log --status failed --limit 5  the last five that raised
  afresh log --tag team=data --tag day  those that have both tags
  afresh log --json | jq '.[].hash'     for programs: an array, newest first";

/// List executions, newest first
///
/// Hits are not executions: what was answered from the store does not appear here, `stats` counts it.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// Only this function: its full name, or the last part of it
    #[arg(long, value_name = "NAME")]
    func: Option<String>,
    /// Only with this tag: `key=value`, or `key` for any value; all of them where given again
    #[arg(long = "tag", value_name = "TAG", value_parser = tag)]
    tags: Vec<afresh::Tag>,
    /// Only those that ended so
    #[arg(long, value_name = "STATUS")]
    status: Option<StatusName>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = number)]
    limit: usize,
    /// Only this recent, such as `90`, `2h`, `30d`
    #[arg(long, value_name = "SPAN", value_parser = span)]
    since: Option<std::time::Duration>,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let query = afresh::LogQuery {
        function: options.func.clone(),
        status: options.status.map(Into::into),
        tags: options.tags.clone(),
        since: options.since.map(|span| cx.now.before(span)),
        // One more than is shown, to know whether there are more.
        limit: Some(options.limit.saturating_add(1)),
    };
    let mut found = engine.log(&query).await?;
    let more = found.len() > options.limit;
    found.truncate(options.limit);
    if cx.json {
        let views: Vec<_> = found.iter().map(|(id, commit)| CommitView::new(id, commit)).collect();
        cx.document(&views)?;
        return Ok(OK);
    }
    if found.is_empty() && options.limit > 0 {
        cx.note("nothing on record matches");
        return Ok(OK);
    }
    let mut table = Table::new(&[
        Column::fixed("hash"),
        Column::fixed("when").rank(1),
        Column::flexible("function", 8),
        Column::flexible("arguments", 9).rank(3),
        Column::number("took").rank(2),
        Column::flexible("result", 6),
        Column::flexible("tags", 8).rank(4),
    ]);
    for (id, commit) in &found {
        table.row(vec![
            Cell::new(Role::Hash, id.short()),
            Cell::plain(human::ago(commit.created(), cx.now, &cx.zone)),
            Cell::plain(&commit.function),
            Cell::plain(commit::arguments(commit)),
            Cell::plain(commit::took(commit)),
            commit::result(commit),
            Cell::new(Role::Faint, commit::tags(commit)),
        ]);
    }
    cx.table(&table)?;
    if options.func.is_some() {
        let names: BTreeSet<_> = found.iter().map(|(_, commit)| &commit.function).collect();
        for name in names {
            for one in engine.accepted(name).await?.statements() {
                let sentence = accept::sentence(one, cx);
                cx.note(&format!("accepted: `{name}` answers as before {sentence}"));
            }
        }
    }
    if more {
        cx.hint(&format!(
            "there are more; `--limit {}` shows twice as many",
            options.limit.saturating_mul(2)
        ));
    }
    Ok(OK)
}
