//! `afresh why HASH|FUNC`: why an execution took place, by what differs from the nearest one before it.

use std::time::Duration;

use afresh::{Again, Commit, CommitId, Engine, LogQuery, Nearest, Ran};
use clap::Args;
use serde::Serialize;

use crate::commit;
use crate::context::Context;
use crate::difference::{self, ArgumentView, ComponentChange};
use crate::failure::{Failure, OK};
use crate::human;
use crate::json::CommitView;
use crate::store::Mode;
use crate::style::Role;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  afresh why 3f2a91                      why this execution took place
  afresh why clean                       why the newest of `clean`, or `etl.clean`, did
  afresh why clean --json | jq .reason   for programs";

/// How many digits of a hash `log` shows: so many are a hash, whatever functions there are.
const DIGITS: usize = 12;

/// Tell why an execution took place: what was different from the nearest one before
///
/// The reason is one of these: nothing was on record (`first`), the function changed, the arguments differ, both
/// do, or the same call ran before and that was not enough (it had expired, failed, was not kept, was taken back,
/// what it had read changed, or the execution was forced). What has the form of a name and of a hash is taken for a name.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// The execution, or a function: its full name, or the last part of it
    #[arg(value_name = "HASH|FUNC")]
    what: String,
}

#[derive(Serialize)]
struct Report<'a> {
    /// `first`, `function`, `arguments`, `function-and-arguments`, `expired`, `failed`, `not-kept`, `taken-back`,
    /// `read`, `forced`, or `unknown`.
    reason: &'static str,
    /// The same for people.
    text: String,
    commit: CommitView<'a>,
    /// What it is compared with; null for the first.
    nearest: Option<CommitView<'a>>,
    components: Vec<ComponentChange>,
    arguments: Vec<ArgumentView>,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let (id, commit) = find(&engine, &options.what, cx).await?;
    let ran = engine.explain_commit(&id, &commit).await?;
    let nearest = match &ran {
        Ran::First => None,
        Ran::Again { before: nearest, .. } | Ran::New(nearest) => Some(&**nearest),
    };
    let components = nearest.map(|near| difference::components(&near.difference));
    let components = components.unwrap_or_default();
    let (reason, text) = reason(&ran, &commit, &components);
    if cx.json {
        cx.document(&Report {
            reason,
            text,
            commit: CommitView::new(&id, &commit),
            nearest: nearest.map(|near| CommitView::new(&near.id, &near.commit)),
            components,
            arguments: nearest
                .map(|near| difference::argument_views(&near.difference))
                .unwrap_or_default(),
        })?;
        return Ok(OK);
    }
    let mut fields =
        vec![("commit", Role::Hash, line(&id, &commit, cx)), ("reason", Role::Plain, text)];
    if let Some(near) = nearest {
        let label = if matches!(ran, Ran::New(_)) { "nearest" } else { "before" };
        fields.push((label, Role::Hash, line(&near.id, &near.commit, cx)));
    }
    cx.fields(&fields)?;
    if let Some(near) = nearest {
        if near.difference.function_changed {
            difference::function(&near.difference, &components, cx)?;
        }
        if !near.difference.arguments.is_empty() {
            difference::arguments(&near.difference, cx)?;
        }
    }
    Ok(OK)
}

/// The execution that is meant: the newest of a function, or the one with a hash.
async fn find(engine: &Engine, what: &str, cx: &Context) -> Result<(CommitId, Commit), Failure> {
    // No name begins with a digit.
    let hash = what.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (what.len() >= DIGITS || what.starts_with(|first: char| first.is_ascii_digit()));
    if !hash {
        let query =
            LogQuery { function: Some(what.to_owned()), limit: Some(1), ..LogQuery::default() };
        if let Some(newest) = engine.log(&query).await?.into_iter().next() {
            return Ok(newest);
        }
        if what.is_empty() || !what.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Failure::new(format!("no function is called `{}`", what.escape_debug()))
                .hint(format!("`afresh log` lists the executions of `{}`", cx.address)));
        }
    }
    cx.commit(engine, what).await
}

/// Why, in a word for programs and in a line for people.
fn reason(ran: &Ran, commit: &Commit, components: &[ComponentChange]) -> (&'static str, String) {
    match ran {
        Ran::First => {
            ("first", "no execution of the function that ended before it is on record".to_owned())
        }
        Ran::Again { before, why } => match why {
            Again::Failed => ("failed", format!("the same call {}", ended(&before.commit))),
            Again::Unkept => {
                ("not-kept", "the result of the same call had not been kept".to_owned())
            }
            Again::Expired => ("expired", expired(commit, &before.commit)),
            Again::Read => ("read", read(before)),
            Again::Forced => {
                ("forced", "it was forced, or the answer could not be read".to_owned())
            }
            Again::TakenBack => ("taken-back", "the answer had been taken back".to_owned()),
        },
        Ran::New(near) => {
            let (edited, other) =
                (near.difference.function_changed, !near.difference.arguments.is_empty());
            match (edited, other) {
                (true, true) => (
                    "function-and-arguments",
                    format!("{}; {}", changed(components), differing(near)),
                ),
                (true, false) => ("function", format!("same arguments; {}", changed(components))),
                (false, true) => ("arguments", differing(near)),
                (false, false) => ("unknown", "the record does not say what differed".to_owned()),
            }
        }
    }
}

/// `etl.clean changed (etl.py:12)`, and how many more things.
fn changed(components: &[ComponentChange]) -> String {
    // What was changed by hand says more than what it made of the code.
    let mut reasons: Vec<_> = components.iter().filter(|change| !change.aside).collect();
    reasons.sort_by_key(|change| !matches!(change.label.as_str(), "mode" | "version"));
    let Some((first, more)) = reasons.split_first() else {
        return "the function changed".to_owned();
    };
    let place = first.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
    let change = match first.change {
        "changed" => "changed",
        "added" => "is new",
        _ => "is gone",
    };
    // `helper etl.clean` is a helper of that name.
    let label = match (first.label.split_once(' '), &first.a, &first.b) {
        (Some((role, name)), ..) => format!("{role} `{name}`"),
        (None, Some(a), Some(b)) => return format!("{}: {a} → {b}{more}", first.label),
        (None, ..) => format!("`{}`", first.label),
    };
    format!("{label} {change}{place}{more}")
}

/// ``argument `n` differs: 1 → 2``, or the names where they are several.
fn differing(near: &Nearest) -> String {
    match near.difference.arguments.as_slice() {
        [one] if one.inside.is_some() => {
            let headline = one.inside.as_ref().map(|inner| inner.headline(&one.name));
            format!("argument `{}` differs: {}", one.name, headline.unwrap_or_default())
        }
        [one] => {
            let values = difference::values(one.a.as_deref(), one.b.as_deref());
            format!("argument `{}` differs: {}", one.name, values.unwrap_or_default())
        }
        several => {
            let names: Vec<_> = several.iter().map(|one| format!("`{}`", one.name)).collect();
            format!("arguments differ: {}", names.join(", "))
        }
    }
}

/// `the answer had expired 4 min before`.
fn expired(commit: &Commit, before: &Commit) -> String {
    let ttl = commit.ttl_ms.or(before.ttl_ms).map(Duration::from_millis).unwrap_or_default();
    let late = commit.started.since(before.created()).saturating_sub(ttl);
    format!("the answer had expired {} before", human::span(late))
}

/// `what it reads has changed: file:rates.csv`.
fn read(near: &Nearest) -> String {
    let names: Vec<_> = near
        .difference
        .arguments
        .iter()
        .map(|one| format!("`{}`", text::line(&one.name)))
        .collect();
    format!("same arguments; what it reads has changed: {}", names.join(", "))
}

/// `failed before: ValueError: no rows`.
fn ended(commit: &Commit) -> String {
    match &commit.outcome {
        afresh::Outcome::Failed(failure) if failure.message.is_empty() => {
            format!("failed before: {}", failure.kind)
        }
        afresh::Outcome::Failed(failure) => {
            format!("failed before: {}: {}", failure.kind, failure.message)
        }
        afresh::Outcome::Completed(_) => "ran before".to_owned(),
    }
}

/// `3f2a91e0c1d2  etl.clean  5 min ago, in 2.0 ms, by anna on box`.
fn line(id: &CommitId, commit: &Commit, cx: &Context) -> String {
    let when = human::ago(commit.created(), cx.now, &cx.zone);
    let by = commit::by(commit);
    let by = if by.is_empty() { by } else { format!(", by {by}") };
    let failed = match &commit.outcome {
        afresh::Outcome::Failed(failure) => format!(", failed: {}", failure.kind),
        afresh::Outcome::Completed(_) => String::new(),
    };
    let function = text::line(&commit.function);
    format!("{}  {function}  {when}, in {}{by}{failed}", id.short(), commit::took(commit))
}
