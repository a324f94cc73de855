//! `afresh show HASH`: everything on record about one execution, with the source of its function.
//!
//! Not its result: that may be large, and `get` shows it.

use std::io::Write;
use std::time::Duration;

use afresh::{Commit, CommitId, Kept, Outcome};
use clap::Args;
use serde::Serialize;

use crate::commands::accept;
use crate::commit;
use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::human;
use crate::json::CommitView;
use crate::record::{self, Component};
use crate::store::Mode;
use crate::style::Role;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  afresh show 3f2a91                       everything on record about it
  afresh show 3f2a91 --json | jq .took_us  for programs
  afresh get 3f2a91                        its result";

/// Show one execution: arguments, outcome, source, traceback
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// The execution
    hash: String,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    commit: CommitView<'a>,
    /// What the function was made of, as it was recorded; null where that is gone.
    record: Option<serde_json::Value>,
    /// The edits for which this version of the function answers too.
    accepted: Vec<accept::View<'a>>,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let (id, commit) = cx.commit(&engine, &options.hash).await?;
    let record = engine.function_record(&commit).await?;
    let known = engine.accepted(&commit.function).await?;
    let accepted =
        || known.statements().iter().filter(|one| known.resolve(&one.new) == commit.function_id);
    if cx.json {
        let record = record.and_then(|record| serde_json::from_slice(&record).ok());
        let accepted = accepted().map(|one| accept::View::new(&commit.function, one)).collect();
        cx.document(&Report { commit: CommitView::new(&id, &commit), record, accepted })?;
        return Ok(OK);
    }
    let mut fields = fields(&id, &commit, cx);
    for one in accepted() {
        let sentence = accept::sentence(one, cx);
        fields.push((
            "accepted",
            Role::Plain,
            format!("{} answers as this code: {sentence}", one.new.short()),
        ));
    }
    cx.fields(&fields)?;
    arguments(&commit, cx)?;
    let components = record.as_ref().map(record::components).unwrap_or_default();
    let own = record::own(&components, &commit.function);
    source(own, cx)?;
    reached(&components, own, cx)?;
    if let Outcome::Failed(failure) = &commit.outcome
        && !failure.traceback.trim().is_empty()
    {
        section(cx, "traceback", "")?;
        writeln!(cx.out, "{}", text::indent(text::block(&failure.traceback).trim_end(), 2))?;
    }
    Ok(OK)
}

fn fields(id: &CommitId, commit: &Commit, cx: &Context) -> Vec<(&'static str, Role, String)> {
    let (role, outcome) = outcome(commit);
    let ids = |ids: &[CommitId]| ids.iter().map(CommitId::short).collect::<Vec<_>>().join(" ");
    let by = commit::by(commit);
    let by = if by.is_empty() { by } else { format!("{by} (pid {})", commit.who.pid) };
    let lasts = commit.ttl_ms.map(Duration::from_millis).map(|ttl| {
        let left = ttl.saturating_sub(cx.now.since(commit.created()));
        let state = if left.is_zero() {
            "expired".to_owned()
        } else {
            format!("{} left", human::span(left))
        };
        format!("{}, {state}", human::span(ttl))
    });
    vec![
        ("commit", Role::Hash, id.to_string()),
        ("function", Role::Plain, commit.function.clone()),
        ("outcome", role, outcome),
        (
            "started",
            Role::Plain,
            format!(
                "{} ({})",
                human::moment(commit.started, &cx.zone),
                human::ago(commit.started, cx.now, &cx.zone)
            ),
        ),
        ("took", Role::Plain, commit::took(commit)),
        ("lasts", Role::Plain, lasts.unwrap_or_default()),
        ("by", Role::Plain, by),
        ("tags", Role::Plain, commit::tags(commit)),
        ("parent", Role::Hash, commit.parent.map(|id| id.short()).unwrap_or_default()),
        ("inputs", Role::Hash, ids(&commit.inputs)),
        ("call", Role::Faint, commit.fingerprint.short()),
        ("code", Role::Faint, commit.function_id.short()),
    ]
}

fn outcome(commit: &Commit) -> (Role, String) {
    match &commit.outcome {
        Outcome::Completed(Kept::Object { object, codec, signature, .. }) => {
            let signed = if signature.is_some() { ", signed" } else { "" };
            (Role::Plain, format!("completed: {} through {codec}{signed}", human::size(object.len)))
        }
        Outcome::Completed(Kept::No { reason }) => {
            (Role::Warning, format!("completed, not kept: {reason}"))
        }
        Outcome::Failed(failure) if failure.message.is_empty() => {
            (Role::Bad, format!("failed: {}", failure.kind))
        }
        Outcome::Failed(failure) => {
            (Role::Bad, format!("failed: {}: {}", failure.kind, failure.message))
        }
    }
}

fn arguments(commit: &Commit, cx: &mut Context) -> Result<(), Failure> {
    if commit.arguments.is_empty() {
        return Ok(());
    }
    section(cx, "arguments", "")?;
    for argument in &commit.arguments {
        let from = match &argument.source {
            Some(id) => cx.palette.paint(Role::Faint, format!("  (output of {})", id.short())),
            None => String::new(),
        };
        let line = text::line(&format!("{} = {}", argument.name, argument.preview));
        writeln!(cx.out, "  {line}{from}")?;
    }
    Ok(())
}

fn source(own: Option<&Component>, cx: &mut Context) -> Result<(), Failure> {
    let Some((own, source)) = own.and_then(|own| own.source.as_ref().map(|source| (own, source)))
    else {
        return Ok(());
    };
    section(cx, "source", &own.place())?;
    writeln!(cx.out, "{}", text::indent(text::block(source).trim_end(), 2))?;
    Ok(())
}

/// The other things that the function is made of, a line each.
fn reached(
    components: &[Component],
    own: Option<&Component>,
    cx: &mut Context,
) -> Result<(), Failure> {
    let others: Vec<_> = components
        .iter()
        .filter(|component| Some(*component) != own && !component.label.is_empty())
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    section(cx, "depends on", "")?;
    for component in others {
        let mut line = component.label.clone();
        if let Some(preview) = &component.preview {
            line = format!("{line} = {preview}");
        }
        let about: Vec<_> = [component.kind.clone(), component.place()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        let about = text::line(&about.join(", "));
        let about = if about.is_empty() {
            about
        } else {
            cx.palette.paint(Role::Faint, format!("  ({about})"))
        };
        writeln!(cx.out, "  {}{about}", text::line(&line))?;
    }
    Ok(())
}

fn section(cx: &mut Context, name: &str, place: &str) -> Result<(), Failure> {
    let name = cx.palette.paint(Role::Heading, name);
    let place = text::line(place);
    let place =
        if place.is_empty() { place } else { cx.palette.paint(Role::Faint, format!("  {place}")) };
    writeln!(cx.out, "\n{name}{place}")?;
    Ok(())
}
