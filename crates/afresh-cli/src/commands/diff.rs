//! `afresh diff A B`: what differs between two executions: function, arguments, output.

use std::io::Write;

use afresh::{Commit, CommitId, Difference, Engine};
use clap::Args;
use serde::Serialize;

use crate::commit;
use crate::context::Context;
use crate::difference::{self, ArgumentView, ComponentChange, coloured, heading, unified};
use crate::failure::{Failure, OK};
use crate::human;
use crate::pickle::Limits;
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
    arguments: Vec<ArgumentView>,
    output_changed: Option<bool>,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let a = cx.commit(&engine, &options.a).await?;
    let b = cx.commit(&engine, &options.b).await?;
    let difference = engine.diff(&a.1, &b.1).await?;
    let components = difference::components(&difference);
    if cx.json {
        cx.document(&Report {
            a: a.0.to_string(),
            b: b.0.to_string(),
            name_changed: difference.name_changed,
            function_changed: difference.function_changed,
            components,
            arguments: difference::argument_views(&difference),
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
    difference::function(&difference, &components, cx)?;
    difference::arguments(&difference, cx)?;
    output(&engine, &difference, &a, &b, cx).await?;
    Ok(OK)
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
