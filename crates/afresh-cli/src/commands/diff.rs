//! `afresh diff A B`: what differs between two executions: function, arguments, output.

use std::io::Write;
use std::time::Duration;

use afresh::{Commit, CommitId, Difference, Engine};
use clap::Args;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use crate::commit;
use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::human;
use crate::pickle::Limits;
use crate::record::{self, Component};
use crate::store::Mode;
use crate::style::Role;
use crate::text;
use crate::value::{self, Shown};

const EXAMPLES: &str = "\
Examples:
  afresh diff 3f2a91 77c0d2                         what changed from the first to the second
  afresh diff 3f2a91 77c0d2 --json | jq .arguments  for programs";

/// Outputs up to this many bytes are compared as text.
const SMALL: u64 = 64 << 10;

/// How long to look for the shortest diff; after this a longer one will do.
const PATIENCE: Duration = Duration::from_millis(500);

/// Compare two executions: the source of the function, the arguments, the output
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// The first execution
    a: String,
    /// The second execution
    b: String,
}

#[derive(Serialize)]
struct Report {
    a: String,
    b: String,
    name_changed: bool,
    function_changed: bool,
    components: Vec<ComponentChange>,
    arguments: Vec<ArgumentChange>,
    output_changed: Option<bool>,
}

/// A part of the function that is not the same in both.
#[derive(Serialize)]
struct ComponentChange {
    label: String,
    /// `changed`, `added` or `removed`.
    change: &'static str,
    /// How the source changed, as a unified diff; null where there is no source.
    diff: Option<String>,
    a: Option<String>,
    b: Option<String>,
}

#[derive(Serialize)]
struct ArgumentChange {
    name: String,
    a: Option<String>,
    b: Option<String>,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let a = cx.commit(&engine, &options.a).await?;
    let b = cx.commit(&engine, &options.b).await?;
    let difference = engine.diff(&a.1, &b.1).await?;
    let components = components(&difference);
    if cx.json {
        cx.document(&Report {
            a: a.0.to_string(),
            b: b.0.to_string(),
            name_changed: difference.name_changed,
            function_changed: difference.function_changed,
            components,
            arguments: difference
                .arguments
                .into_iter()
                .map(|change| ArgumentChange { name: change.name, a: change.a, b: change.b })
                .collect(),
            output_changed: difference.output_changed,
        })?;
        return Ok(OK);
    }
    for (name, (id, commit)) in [("a", &a), ("b", &b)] {
        let hash = cx.palette.paint(Role::Hash, id.short());
        let function = text::line(&commit.function);
        let when = human::ago(commit.created(), cx.now, &cx.zone);
        writeln!(cx.out, "{name}  {hash}  {function}  {when}")?;
    }
    function(&difference, &components, cx)?;
    arguments(&difference, cx)?;
    output(&engine, &difference, &a, &b, cx).await?;
    Ok(OK)
}

/// The parts that are not the same, by label, in the order of the second record; then those that went.
fn components(difference: &Difference) -> Vec<ComponentChange> {
    let Some((a, b)) = &difference.records else { return Vec::new() };
    let (a, b) = (record::components(a), record::components(b));
    let find =
        |list: &[Component], label: &str| list.iter().find(|one| one.label == label).cloned();
    let mut changes = Vec::new();
    for new in &b {
        match find(&a, &new.label) {
            Some(old) if old.digest == new.digest => {}
            old => changes.push(component(old.as_ref(), Some(new))),
        }
    }
    let gone = a.iter().filter(|old| find(&b, &old.label).is_none());
    changes.extend(gone.map(|old| component(Some(old), None)));
    changes
}

fn component(a: Option<&Component>, b: Option<&Component>) -> ComponentChange {
    let preview = |side: Option<&Component>| side.and_then(|side| side.preview.clone());
    let source = |side: Option<&Component>| side.and_then(|side| side.source.clone());
    let title = |name: &str, side: Option<&Component>| match side {
        Some(side) => text::line(&format!("{name}/{}", side.label)),
        None => "/dev/null".to_owned(),
    };
    let (before, after) = (source(a), source(b));
    let sourced = before.is_some() || after.is_some();
    let diff = sourced.then(|| {
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        unified(&before, &after, &title("a", a), &title("b", b))
    });
    ComponentChange {
        label: b.or(a).map(|side| side.label.clone()).unwrap_or_default(),
        change: match (a, b) {
            (Some(_), Some(_)) => "changed",
            (None, _) => "added",
            (_, None) => "removed",
        },
        diff: diff.filter(|diff| !diff.is_empty()),
        a: preview(a),
        b: preview(b),
    }
}

/// A unified diff. A last line without line end is no difference to a person.
fn unified(a: &str, b: &str, title_a: &str, title_b: &str) -> String {
    let ended = |text: &str| match text::block(text).trim_end() {
        "" => String::new(),
        text => format!("{text}\n"),
    };
    let (a, b) = (ended(a), ended(b));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&a, &b);
    if diff.iter_all_changes().all(|change| change.tag() == ChangeTag::Equal) {
        return String::new();
    }
    diff.unified_diff().context_radius(3).header(title_a, title_b).to_string()
}

fn function(
    difference: &Difference,
    components: &[ComponentChange],
    cx: &mut Context,
) -> Result<(), Failure> {
    let verdict = match (difference.function_changed, difference.name_changed) {
        (false, false) => "the same",
        (false, true) => "the same under another name",
        (true, false) => "changed",
        (true, true) => "another one",
    };
    heading(cx, "function", verdict)?;
    if difference.function_changed && components.is_empty() {
        let why = match difference.records {
            Some(_) => "the records do not say what changed",
            None => "what it was made of is no longer on record",
        };
        writeln!(cx.out, "  {why}")?;
    }
    for change in components {
        match &change.diff {
            Some(diff) => coloured(diff, cx)?,
            None => {
                let label = text::line(&change.label);
                let values = values(change.a.as_deref(), change.b.as_deref());
                writeln!(
                    cx.out,
                    "  {label}  {}",
                    values.unwrap_or_else(|| change.change.to_owned())
                )?;
            }
        }
    }
    Ok(())
}

fn arguments(difference: &Difference, cx: &mut Context) -> Result<(), Failure> {
    if difference.arguments.is_empty() {
        return heading(cx, "arguments", "the same");
    }
    heading(cx, "arguments", "differ")?;
    for change in &difference.arguments {
        let values = values(change.a.as_deref(), change.b.as_deref()).unwrap_or_default();
        writeln!(cx.out, "  {}  {values}", text::line(&change.name))?;
    }
    Ok(())
}

/// `12 → 13`; the word for a side that has none.
fn values(a: Option<&str>, b: Option<&str>) -> Option<String> {
    match (a, b) {
        (None, None) => None,
        (Some(a), Some(b)) if a == b => Some(format!("{} (looks the same, is not)", text::line(a))),
        (Some(a), Some(b)) => Some(format!("{} → {}", text::line(a), text::line(b))),
        (Some(a), None) => Some(format!("{} → (not there)", text::line(a))),
        (None, Some(b)) => Some(format!("(not there) → {}", text::line(b))),
    }
}

async fn output(
    engine: &Engine,
    difference: &Difference,
    a: &(CommitId, Commit),
    b: &(CommitId, Commit),
    cx: &mut Context,
) -> Result<(), Failure> {
    let verdict = match difference.output_changed {
        Some(false) => return heading(cx, "output", "the same"),
        Some(true) => "differs",
        None => "cannot be compared",
    };
    heading(cx, "output", verdict)?;
    let texts = if difference.output_changed.is_some() {
        small(engine, &a.1, cx).await?.zip(small(engine, &b.1, cx).await?)
    } else {
        None
    };
    match texts {
        Some((a, b)) if a.contains('\n') || b.contains('\n') => {
            let diff = unified(&a, &b, "a/output", "b/output");
            if diff.is_empty() {
                writeln!(cx.out, "  as text they are the same; the stored bytes differ")?;
            } else {
                coloured(&diff, cx)?;
            }
        }
        Some((a, b)) => {
            writeln!(cx.out, "  a  {}\n  b  {}", text::line(&a), text::line(&b))?;
        }
        None => {
            for (name, (_, commit)) in [("a", a), ("b", b)] {
                writeln!(cx.out, "  {name}  {}", commit::result(commit).text())?;
            }
        }
    }
    Ok(())
}

/// A result as text, where it is small enough to be read.
async fn small(engine: &Engine, commit: &Commit, cx: &Context) -> Result<Option<String>, Failure> {
    let Some((object, codec)) = commit.output() else { return Ok(None) };
    if object.len > SMALL {
        return Ok(None);
    }
    let Some(bytes) = engine.output(commit).await? else { return Ok(None) };
    let limits = Limits { width: cx.width.saturating_sub(5), ..Limits::default() };
    Ok(match value::show(codec, &bytes, &limits) {
        Shown::Text { text, .. } => Some(text),
        Shown::Not(_) => None,
    })
}

fn heading(cx: &mut Context, name: &str, verdict: &str) -> Result<(), Failure> {
    let name = cx.palette.paint(Role::Heading, name);
    writeln!(cx.out, "\n{name}  {verdict}")?;
    Ok(())
}

/// A unified diff, with colours that repeat its signs.
fn coloured(diff: &str, cx: &mut Context) -> Result<(), Failure> {
    for line in diff.lines() {
        let role = match line.as_bytes().first() {
            _ if line.starts_with("---") || line.starts_with("+++") => Role::Heading,
            Some(b'+') => Role::Added,
            Some(b'-') => Role::Removed,
            Some(b'@') => Role::Faint,
            _ => Role::Plain,
        };
        writeln!(cx.out, "{}", cx.palette.paint(role, line))?;
    }
    Ok(())
}
