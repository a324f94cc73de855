//! `afresh plan`: which remembered functions the edits of the working tree invalidate, and what that costs.
//!
//! Nothing of the project runs and nothing is imported; how it is told is in `afresh-plan`.

use std::time::Duration;

use afresh::{Timestamp, Who};
use afresh_plan::{Change, Kind, Plan, Planned, Scope, Verdict, plan};
use clap::Args;
use serde::Serialize;

use crate::commit;
use crate::context::Context;
use crate::difference::{coloured, heading, unified, values};
use crate::failure::{Failure, OK};
use crate::human;
use crate::store::Mode;
use crate::style::Role;
use crate::table::{Cell, Column, Table};

const EXAMPLES: &str = "\
Examples:
  afresh plan                  every function on record, against the files as they are now
  afresh plan etl              those of the module `etl`; of a package, those of its modules too
  afresh plan src/etl.py -v    those of this file, with the source of what changed
  afresh plan --json | jq '.functions[] | select(.verdict == \"recompute\") | .function'

An edit that does not matter can be accepted before anything runs:
  afresh accept etl.clean --reason 'only a log line'";

/// Tell, before anything runs, which functions will be computed again because of an edit
///
/// Reads the files as they are now and compares them with what is on record of each function: its code, the helpers and
/// classes it reaches, constants that are written out. Nothing runs and nothing is imported, so values that are computed
/// cannot be told; where one might have changed, the verdict says so. Arguments and the versions of installed packages
/// are not looked at.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// Only functions of this module, of this file, or below this folder
    #[arg(value_name = "MODULE|FILE|FOLDER")]
    what: Option<String>,
    /// Show how the source of what changed differs
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    /// Of functions that will recompute or are gone.
    total: Total,
}

#[derive(Default, Serialize)]
struct Total {
    functions: u64,
    answers: u64,
    took_us: u64,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let scope = Scope::of(&cx.folder, options.what.as_deref());
    let plan = plan(&engine, &scope).await?;
    if plan.functions.is_empty()
        && let Some(module) = &scope.module
    {
        return Err(Failure::new(format!(
            "`{}` is no file, no folder, and no module of a function on record",
            module.escape_debug()
        ))
        .hint("`afresh plan` without it looks at every function on record"));
    }
    let mut total = Total::default();
    for lost in plan.functions.iter().filter(|one| one.is_lost()) {
        total.functions += 1;
        total.answers += lost.answers;
        total.took_us += lost.took_us;
    }
    if cx.json {
        cx.document(&Report { plan: &plan, total })?;
        return Ok(OK);
    }
    if plan.functions.is_empty() {
        cx.note("no function on record is defined there");
        return Ok(OK);
    }
    let mut table = Table::new(&[
        Column::flexible("function", 8),
        Column::fixed("verdict"),
        Column::number("answers"),
        Column::number("took").rank(1),
        Column::flexible("why", 12),
    ]);
    for one in &plan.functions {
        let (role, verdict) = verdict(one.verdict);
        table.row(vec![
            Cell::plain(&one.function),
            Cell::new(role, verdict),
            Cell::plain(one.answers.to_string()),
            Cell::plain(human::span(Duration::from_micros(one.took_us))),
            Cell::plain(why(one, cx)),
        ]);
    }
    cx.table(&table)?;
    if options.verbose {
        for one in &plan.functions {
            details(one, cx)?;
        }
    }
    cx.note(&summary(&plan, &total));
    Ok(OK)
}

fn verdict(verdict: Verdict) -> (Role, &'static str) {
    match verdict {
        Verdict::Unchanged => (Role::Plain, "unchanged"),
        Verdict::Accepted => (Role::Plain, "accepted"),
        Verdict::Recompute => (Role::Bad, "will recompute"),
        Verdict::Gone => (Role::Bad, "gone"),
        Verdict::CannotTell => (Role::Warning, "cannot tell"),
    }
}

fn why(one: &Planned, cx: &Context) -> String {
    if one.verdict == Verdict::Accepted
        && let Some(said) = one.accepted.first()
    {
        let when = human::ago(Timestamp::from_millis(said.at_ms), cx.now, &cx.zone);
        let who = Who { user: said.user.clone(), host: said.host.clone(), pid: 0 };
        return accepted(&when, &who, said.reason.as_deref());
    }
    let found = match one.found_again {
        0 => String::new(),
        n => format!("; {} of an earlier version found again", human::count(n, "answer")),
    };
    match one.verdict {
        Verdict::CannotTell => one.untold.first().cloned().unwrap_or_default(),
        _ => format!("{}{found}", changed(&one.changes)),
    }
}

/// `2 h ago by ana on box: only a log line`.
pub(crate) fn accepted(when: &str, who: &Who, reason: Option<&str>) -> String {
    let by = commit::person(who);
    let by = if by.is_empty() { by } else { format!(" by {by}") };
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{when}{by}{reason}")
}

/// ``helper `etl.clean` changed (etl.py:12)``, and how many more things.
pub(crate) fn changed(changes: &[Change]) -> String {
    let Some((first, more)) = changes.split_first() else { return String::new() };
    let place = first.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
    let how = match (&first.note, first.kind) {
        (Some(note), _) => format!(": {note}"),
        (None, Kind::Changed) => " changed".to_owned(),
        (None, Kind::New) => " is new".to_owned(),
        (None, Kind::Gone) => " is gone".to_owned(),
    };
    format!("{}{how}{place}{more}", quoted(&first.label))
}

/// ``helper `etl.clean` ``, of `helper etl.clean`.
pub(crate) fn quoted(label: &str) -> String {
    match label.split_once(' ') {
        Some((role, name)) => format!("{role} `{name}`"),
        None => format!("`{label}`"),
    }
}

fn details(one: &Planned, cx: &mut Context) -> Result<(), Failure> {
    if one.changes.is_empty() && one.untold.is_empty() {
        return Ok(());
    }
    heading(cx, &crate::text::line(&one.function), verdict(one.verdict).1)?;
    for change in &one.changes {
        let line = crate::text::line(&changed(std::slice::from_ref(change)));
        cx.line(&format!("  {line}"))?;
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        if before.into_iter().chain(after).all(|text| !text.contains('\n')) {
            if let Some(values) = values(before, after).filter(|_| change.note.is_none()) {
                cx.line(&format!("    {values}"))?;
            }
            continue;
        }
        let title = |side: &str| crate::text::line(&format!("{side}/{}", change.label));
        let (a, b) = (before.unwrap_or_default(), after.unwrap_or_default());
        coloured(&unified(a, b, &title("a"), &title("b")), cx)?;
    }
    for untold in &one.untold {
        cx.line(&format!("  cannot tell: {}", crate::text::line(untold)))?;
    }
    Ok(())
}

fn summary(plan: &Plan, total: &Total) -> String {
    let all = human::count(plan.functions.len() as u64, "function");
    let unsure = plan.functions.iter().filter(|one| one.verdict == Verdict::CannotTell).count();
    let unsure = match unsure {
        0 => String::new(),
        n => format!("; {n} cannot be told"),
    };
    if total.functions == 0 {
        return format!("edits invalidate none of {all}{unsure}");
    }
    let took = human::span(Duration::from_micros(total.took_us));
    let answers = human::count(total.answers, "answer");
    format!("edits invalidate {} of {all}: {answers}, which took {took}{unsure}", total.functions)
}
