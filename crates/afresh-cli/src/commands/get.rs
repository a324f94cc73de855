//! `afresh get HASH`: the result of one execution.
//!
//! Invariant: a result is shown without executing it. Only `--unpickle` loads it, and only where the program
//! around the command brings the means.

use std::io::Write;
use std::path::{Path, PathBuf};

use afresh::{Bytes, Commit, CommitId, Kept, Outcome};
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::file::beside;
use crate::human;
use crate::pickle::Limits;
use crate::store::Mode;
use crate::text;
use crate::value::{self, Shown};

const EXAMPLES: &str = "\
Examples:
  afresh get 3f2a91             the result as text; nothing in it is executed
  afresh get 3f2a91 -o out.bin  the stored bytes as they are, into a file
  afresh get 3f2a91 --unpickle  as Python prints it; this executes the pickle
  afresh get 3f2a91 --json      an object: `codec`, `bytes`, `text`, `value`

JSON is shown with line ends added; with --json, `value` is that JSON. A pickle is shown as Python would write
its value; what would need an import or a call appears as `<module.Name(...)>`. Use --unpickle only on a
store that you trust: a pickle can do anything.";

/// Show the result of one execution, or write it to a file
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// The execution
    hash: String,
    /// Write the stored bytes to this file instead; `-` for standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "unpickle")]
    output: Option<PathBuf>,
    /// Load the value and show it as Python prints it; this executes what is stored
    #[arg(long)]
    unpickle: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    hash: String,
    function: &'a str,
    codec: &'a str,
    bytes: u64,
    /// The result as text; null where it cannot be shown.
    text: Option<String>,
    /// Whether `…` stands for something in the text.
    cut: bool,
}

#[derive(Serialize)]
struct Written<'a> {
    hash: String,
    codec: &'a str,
    bytes: u64,
    file: String,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    if options.unpickle && cx.show_value.is_none() {
        return Err(Failure::usage("`--unpickle` needs Python, and this program has none")
            .hint("the `afresh` of the Python package can do that; without `--unpickle` the value is shown unexecuted"));
    }
    let streamed = options.output.as_deref() == Some(Path::new("-"));
    if streamed && (cx.json || cx.stdout_terminal) {
        return Err(Failure::usage(
            "stored bytes go to a file or a pipe, not to a terminal and not beside `--json`",
        )
        .hint("`-o FILE` names a file"));
    }
    let engine = cx.engine(Mode::Existing)?;
    let (id, commit) = cx.commit(&engine, &options.hash).await?;
    let (codec, bytes) = output(&engine, &id, &commit).await?;
    match &options.output {
        Some(_) if streamed => cx.out.write_all(&bytes)?,
        Some(file) => to_file(file, &id, codec, &bytes, cx)?,
        None => show(options, &id, &commit, codec, &bytes, cx)?,
    }
    Ok(OK)
}

/// The codec and the bytes, or why there are none.
async fn output<'a>(
    engine: &afresh::Engine,
    id: &CommitId,
    commit: &'a Commit,
) -> Result<(&'a str, Bytes), Failure> {
    let short = id.short();
    match &commit.outcome {
        Outcome::Failed(failure) => Err(Failure::new(format!(
            "{short} has no result, it failed: {}: {}",
            failure.kind, failure.message
        ))
        .hint(format!("`afresh show {short}` has the traceback"))),
        Outcome::Completed(Kept::No { reason }) => {
            Err(Failure::new(format!("the result of {short} was not kept: {reason}")))
        }
        Outcome::Completed(Kept::Object { codec, .. }) => match engine.output(commit).await? {
            Some(bytes) => Ok((codec, bytes)),
            None => Err(Failure::new(format!("the result of {short} is gone or damaged"))
                .hint("it is computed again when it is next asked for")),
        },
    }
}

/// Through a temporary name, so that nobody finds half of it.
fn to_file(
    file: &Path,
    id: &CommitId,
    codec: &str,
    bytes: &Bytes,
    cx: &mut Context,
) -> Result<(), Failure> {
    let write = || Failure::file("write", file);
    let mut temporary = beside(file)?;
    temporary.write_all(bytes).map_err(write())?;
    temporary.persist(file).map_err(|error| write()(error.error))?;
    let size = bytes.len() as u64;
    if cx.json {
        return cx.document(&Written {
            hash: id.to_string(),
            codec,
            bytes: size,
            file: file.display().to_string(),
        });
    }
    cx.note(&format!("wrote {} through codec {codec} to {}", human::size(size), file.display()));
    Ok(())
}

fn show(
    options: &Options,
    id: &CommitId,
    commit: &Commit,
    codec: &str,
    bytes: &Bytes,
    cx: &mut Context,
) -> Result<(), Failure> {
    let limits = Limits { width: cx.width, ..Limits::default() };
    let shown = match cx.show_value.as_ref().filter(|_| options.unpickle) {
        Some(load) => match load(codec, bytes) {
            Ok(text) => Shown::Text { text, cut: false },
            Err(error) => {
                return Err(Failure::new(format!(
                    "the result of {} could not be loaded: {error}",
                    id.short()
                )));
            }
        },
        None => value::show(codec, bytes, &limits),
    };
    if cx.json {
        let (text, cut) = match shown {
            Shown::Text { text, cut } => (Some(text), cut),
            Shown::Not(_) => (None, false),
        };
        let report = Report {
            hash: id.to_string(),
            function: &commit.function,
            codec,
            bytes: bytes.len() as u64,
            text,
            cut,
        };
        return document(&report, json(codec, bytes), cx);
    }
    match shown {
        Shown::Text { text, cut } => {
            writeln!(cx.out, "{}", text::block(&text))?;
            if cut {
                cx.hint("`…` stands for what is too long or too deep to show; `-o FILE` writes all of it");
            }
        }
        Shown::Not(why) => {
            writeln!(cx.out, "{}", text::line(&why))?;
            cx.hint("`-o FILE` writes the stored bytes");
        }
    }
    Ok(())
}

/// A result that is JSON, as it was stored.
fn json<'a>(codec: &str, bytes: &'a [u8]) -> Option<&'a str> {
    let valid = codec == "json" && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if valid { std::str::from_utf8(bytes).ok() } else { None }
}

/// The report with the value put in untouched: no number loses digits on the way.
fn document(report: &Report<'_>, value: Option<&str>, cx: &mut Context) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(report).map_err(|error| {
        Failure::new(format!("the answer could not be written as JSON: {error}"))
    })?;
    let fields = text.trim_end_matches('}').trim_end();
    writeln!(cx.out, "{fields},\n  \"value\": {}\n}}", value.unwrap_or("null").trim())?;
    Ok(())
}
