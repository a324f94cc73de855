//! `afresh accept FUNC`: say that an edit does not matter, so that results survive it; take it back; list what was said.
//!
//! A statement is always about one exact digest. Before the edited function has run, that digest is found from the files,
//! as `afresh plan` does; where the files alone cannot tell it, the command says so and records nothing.

use afresh::{
    Accept, Accepted, Bytes, Commit, CommitId, Edit, Engine, FunctionId, Kept, LogQuery, Outcome,
    Status,
};
use afresh_plan::{Planned, Scope, Verdict, plan};
use clap::Args;
use serde::Serialize;

use super::plan::{accepted as said, changed, quoted};
use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::human;
use crate::record::{self, Component};
use crate::store::Mode;
use crate::style::Role;
use crate::table::{Cell, Column, Table};

const EXAMPLES: &str = "\
Examples:
  afresh plan                                      see what an edit will cost
  afresh accept etl.clean --reason 'a log line'    keep the answers of `etl.clean` all the same
  afresh accept clean --of 3f2a91                  as the code of this execution, not the newest before
  afresh accept --list                             what was accepted
  afresh accept clean --undo                       take the newest statement about it back

In Python: `clean.accept('a log line')`, `clean.unaccept()`.";

/// Say that an edit of a function does not matter: results survive it
///
/// The function as it is now answers as it did before the edit, in every process, until that is taken back. `as it is
/// now` is exact: the next edit is not covered, nor are other functions that reach the same code. The edit is the one
/// between the newest answers and the files; where the edited function has run already, the one between its newest two
/// versions. Nothing of the project runs. Where an edit is not all told by the files, nothing is recorded: then call
/// `accept()` on the function in Python.
///
/// `--undo` also takes back what the edited code has answered under the old version meanwhile.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// The function: its full name, or the last part of it
    #[arg(value_name = "FUNC", required_unless_present = "list")]
    function: Option<String>,
    /// The execution whose code it answers as [default: the newest before the edit]
    #[arg(long, value_name = "HASH")]
    of: Option<String>,
    /// The execution of the edited code [default: the files, or the newest]; with --undo, which statement
    #[arg(long, value_name = "HASH")]
    to: Option<String>,
    /// Why it does not matter
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["undo", "list"])]
    reason: Option<String>,
    /// Take the newest statement about the function back
    #[arg(long, conflicts_with_all = ["of", "list"])]
    undo: bool,
    /// List what was accepted, of all functions where none is named
    #[arg(long, conflicts_with_all = ["of", "to"])]
    list: bool,
}

/// A statement, for programs.
#[derive(Serialize)]
pub(crate) struct View<'a> {
    function: &'a str,
    new: String,
    old: String,
    edits: &'a [Edit],
    at: String,
    user: &'a str,
    host: &'a str,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct List<'a> {
    accepted: Vec<View<'a>>,
}

#[derive(Serialize)]
struct Undone<'a> {
    withdrawn: View<'a>,
    /// Answers of the edited code that were taken back.
    taken: u64,
}

/// What is to be recorded.
struct Meant {
    new: FunctionId,
    old: FunctionId,
    code: FunctionId,
    edits: Vec<Edit>,
}

impl<'a> View<'a> {
    pub(crate) fn new(function: &'a str, accept: &'a Accept) -> Self {
        Self {
            function,
            new: accept.new.to_string(),
            old: accept.old.to_string(),
            edits: &accept.edits,
            at: human::rfc3339(accept.at),
            user: &accept.who.user,
            host: &accept.who.host,
            reason: accept.reason.as_deref(),
        }
    }
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let name = match &options.function {
        Some(wanted) => Some(named(&engine, wanted, cx).await?),
        None => None,
    };
    match name {
        Some(name) if options.undo => undo(&engine, &name, options, cx).await,
        Some(name) if !options.list => record(&engine, &name, options, cx).await,
        name => list(&engine, name.as_deref(), cx).await,
    }
}

/// The one function that is meant.
async fn named(engine: &Engine, wanted: &str, cx: &Context) -> Result<String, Failure> {
    let query = LogQuery { function: Some(wanted.to_owned()), ..LogQuery::default() };
    let mut names: Vec<String> =
        engine.log(&query).await?.into_iter().map(|(_, commit)| commit.function).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new(format!("no function is called `{}`", wanted.escape_debug()))
            .hint(format!("`afresh log` lists the executions of `{}`", cx.address))),
        several => {
            Err(Failure::usage(format!("`{}` names several functions", wanted.escape_debug()))
                .hint(format!("name one of these in full: {}", several.join(", "))))
        }
    }
}

async fn record(
    engine: &Engine,
    name: &str,
    options: &Options,
    cx: &mut Context,
) -> Result<u8, Failure> {
    refuse_signed(engine, name).await?;
    let mut meant = match &options.to {
        Some(hash) => {
            let (_, commit) = commit(engine, name, hash, cx).await?;
            ran(engine, name, &commit).await?
        }
        None => present(engine, name, cx).await?,
    };
    if let Some(hash) = &options.of {
        let (_, commit) = commit(engine, name, hash, cx).await?;
        meant.old = commit.function_id;
    }
    let statement = Accept {
        new: meant.new,
        old: meant.old,
        code: meant.code,
        edits: meant.edits,
        at: cx.now,
        who: cx.who.clone(),
        reason: options.reason.clone(),
        signature: None,
    };
    let accept = engine.accept(name, statement).await.map_err(|error| Failure::argument(&error))?;
    if cx.json {
        cx.document(&View::new(name, &accept))?;
        return Ok(OK);
    }
    cx.note(&format!("accepted: `{name}` answers as before the edit of {}", edited(&accept.edits)));
    cx.hint(&format!("`afresh accept {name} --undo` takes it back"));
    Ok(OK)
}

/// Where answers are signed, a statement counts only with a signature, and the secret is not here.
async fn refuse_signed(engine: &Engine, name: &str) -> Result<(), Failure> {
    let query = LogQuery {
        function: Some(name.to_owned()),
        status: Some(Status::Completed),
        limit: Some(1),
        ..LogQuery::default()
    };
    let newest = engine.log(&query).await?.into_iter().next();
    match newest.map(|(_, commit)| commit.outcome) {
        Some(Outcome::Completed(Kept::Object { signature: Some(_), .. })) => {
            let last = name.rsplit('.').next().unwrap_or(name);
            Err(Failure::new(format!(
                "the answers of `{name}` are signed, and the secret is not here"
            ))
            .hint(format!("call `{last}.accept()` in Python, where the secret is")))
        }
        _ => Ok(()),
    }
}

/// The edit between the newest answers and the files; where there is none, between the newest two versions.
async fn present(engine: &Engine, name: &str, cx: &Context) -> Result<Meant, Failure> {
    let scope =
        Scope { folder: cx.folder.clone(), function: Some(name.to_owned()), ..Scope::default() };
    let planned = plan(engine, &scope).await?.functions.into_iter().next();
    let Some(planned) = planned else {
        return Err(Failure::new(format!("`{name}` has no answers that could survive an edit"))
            .hint("what failed, expired or was taken back is computed again in any case"));
    };
    match planned.digest {
        _ if planned.changes.is_empty() && planned.untold.is_empty() => {
            let newest = cx.commit(engine, &planned.commit).await?;
            ran(engine, name, &newest.1).await
        }
        Some(new) if planned.verdict != Verdict::Gone => {
            let edits = planned.edits();
            Ok(Meant { new, old: planned.current, code: new, edits })
        }
        _ => Err(untold(name, &planned)),
    }
}

fn untold(name: &str, planned: &Planned) -> Failure {
    let why = match (planned.untold.first(), planned.verdict) {
        (_, Verdict::Gone) => {
            return Failure::new(format!("`{name}` is gone: {}", changed(&planned.changes)));
        }
        (Some(why), _) => why.clone(),
        (None, _) => changed(&planned.changes),
    };
    let last = name.rsplit('.').next().unwrap_or(name);
    Failure::new(format!("the files alone do not tell what `{name}` will be: {why}")).hint(format!(
        "call `{last}.accept()` in Python, or run it once and then `afresh accept {name}`"
    ))
}

/// The edit that led to code that has run, from the newest other version.
async fn ran(engine: &Engine, name: &str, commit: &Commit) -> Result<Meant, Failure> {
    let record = engine.function_record(commit).await?;
    let code = record.as_ref().and_then(code).unwrap_or(commit.function_id);
    // What ran under an accepted digest is meant by its own.
    let known = engine.accepted(name).await?;
    let new = if known.resolve(&code) == commit.function_id { code } else { commit.function_id };
    let Some((_, before)) = engine.before_edit(name, &new).await? else {
        return Err(Failure::new(format!(
            "`{name}` has no edit to accept: only one version of it is on record"
        ))
        .hint("edit the function, see what that costs with `afresh plan`, then accept it"));
    };
    let was = engine.function_record(&before).await?;
    Ok(Meant { new, old: before.function_id, code, edits: edits(was.as_ref(), record.as_ref()) })
}

/// The digest that a function record names as its own.
fn code(record: &Bytes) -> Option<FunctionId> {
    let record: serde_json::Value = serde_json::from_slice(record).ok()?;
    record.get("digest")?.as_str()?.parse().ok()
}

/// The components that differ between two records.
fn edits(before: Option<&Bytes>, after: Option<&Bytes>) -> Vec<Edit> {
    let Some((before, after)) = before.zip(after) else { return Vec::new() };
    let (before, after) = (record::components(before), record::components(after));
    // The folder is this machine's own business.
    let place = |one: &Component| {
        let place = one.place();
        let name = place.rsplit(['/', '\\']).next().unwrap_or(&place);
        Some(name.to_owned()).filter(|name| !name.is_empty())
    };
    let same = |a: &Component, b: &Component| a.label == b.label && a.digest == b.digest;
    let now = after.iter().filter(|one| !before.iter().any(|other| same(one, other)));
    let gone = before.iter().filter(|one| !after.iter().any(|other| one.label == other.label));
    now.map(|one| Edit {
        label: one.label.clone(),
        place: place(one),
        digest: Some(one.digest.clone()),
    })
    .chain(gone.map(|one| Edit { label: one.label.clone(), place: place(one), digest: None }))
    .collect()
}

async fn commit(
    engine: &Engine,
    name: &str,
    hash: &str,
    cx: &Context,
) -> Result<(CommitId, Commit), Failure> {
    let (id, commit) = cx.commit(engine, hash).await?;
    if commit.function != name {
        let of = format!("commit {} is of `{}`, not of `{name}`", id.short(), commit.function);
        return Err(
            Failure::usage(of).hint(format!("`afresh log --func {name}` lists those of it"))
        );
    }
    Ok((id, commit))
}

async fn undo(
    engine: &Engine,
    name: &str,
    options: &Options,
    cx: &mut Context,
) -> Result<u8, Failure> {
    let known = engine.accepted(name).await?;
    let new = match &options.to {
        Some(hash) => {
            match known.statements().iter().find(|one| one.new.to_string().starts_with(hash)) {
                Some(statement) => Some(statement.new),
                None => {
                    Some(ran(engine, name, &commit(engine, name, hash, cx).await?.1).await?.new)
                }
            }
        }
        None => known.statements().last().map(|one| one.new),
    };
    let gone = match new {
        Some(new) => engine.unaccept(name, &new).await?,
        None => None,
    };
    let Some(gone) = gone else {
        return Err(Failure::new(format!("nothing of that kind was accepted of `{name}`"))
            .hint("`afresh accept --list` lists what was accepted"));
    };
    if cx.json {
        let withdrawn = View::new(name, &gone.statement);
        cx.document(&Undone { withdrawn, taken: gone.taken })?;
        return Ok(OK);
    }
    let taken = match gone.taken {
        0 => String::new(),
        taken => format!("; took back {} of the edited code", human::count(taken, "answer")),
    };
    let edit = edited(&gone.statement.edits);
    cx.note(&format!("no longer accepted of `{name}`: the edit of {edit}{taken}"));
    Ok(OK)
}

async fn list(engine: &Engine, name: Option<&str>, cx: &mut Context) -> Result<u8, Failure> {
    let all: Vec<(String, Accepted)> = match name {
        Some(name) => vec![(name.to_owned(), engine.accepted(name).await?)],
        None => engine.all_accepted().await?,
    };
    let rows = || {
        let all = all.iter();
        all.flat_map(|(name, known)| known.statements().iter().map(move |one| (name, one)))
    };
    if cx.json {
        let accepted = rows().map(|(name, one)| View::new(name, one)).collect();
        cx.document(&List { accepted })?;
        return Ok(OK);
    }
    if rows().next().is_none() {
        cx.note("nothing was accepted");
        return Ok(OK);
    }
    let mut table = Table::new(&[
        Column::flexible("function", 8),
        Column::fixed("code"),
        Column::fixed("answers as").rank(2),
        Column::flexible("edit", 8),
        Column::flexible("accepted", 8).rank(1),
    ]);
    for (name, one) in rows() {
        let when = human::ago(one.at, cx.now, &cx.zone);
        table.row(vec![
            Cell::plain(name),
            Cell::new(Role::Hash, one.new.short()),
            Cell::new(Role::Hash, one.old.short()),
            Cell::plain(edited(&one.edits)),
            Cell::plain(said(&when, &one.who, one.reason.as_deref())),
        ]);
    }
    cx.table(&table)?;
    Ok(OK)
}

/// ``helper `etl.clean` (etl.py:41), and 2 more``.
pub(crate) fn edited(edits: &[Edit]) -> String {
    let Some((first, more)) = edits.split_first() else { return "the function".to_owned() };
    let place = first.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
    format!("{}{place}{more}", quoted(&first.label))
}

/// `the edit of … 2 h ago by ana on box: only a log line`.
pub(crate) fn sentence(accept: &Accept, cx: &Context) -> String {
    let when = human::ago(accept.at, cx.now, &cx.zone);
    let said = said(&when, &accept.who, accept.reason.as_deref());
    format!("the edit of {}, {said}", edited(&accept.edits))
}
