//! Which remembered Python functions the working tree's edits invalidate, and how much computing that costs: told before
//! anything runs, and without running or importing anything.
//!
//! The records that are kept with commits name every component of a function with its digest and place. [`plan`] reads
//! today's files, finds those components again, and compares. Where everything that changed is known exactly, so is the
//! digest that the function will have: an accepted edit is recognised by it, and [`Planned::digest`] is what an edit is
//! accepted under before it has ever run.
//!
//! What it cannot see, it says: values that are computed, code from notebooks, functions that are identified by more than
//! their code. It does not look at the versions of installed packages.
#![forbid(unsafe_code)]

mod builtins;
mod change;
mod classes;
mod findings;
mod judge;
mod literal;
mod made;
mod names;
mod record;
mod spaces;
mod tree;
mod uses;

use std::path::{Path, PathBuf};

use afresh_core::{Commit, FunctionId, Result, fp1};
use afresh_engine::{Accept, Accepted, Edit, Engine, Remembered, Worth};
use serde::{Serialize, Serializer};

pub use change::{Change, Kind};

use change::Judged;
use record::Record;
use tree::Tree;

/// Which functions to look at, and where.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The folder that whoever asks is in.
    pub folder: PathBuf,
    /// Only functions of this file or below this folder. A folder is also where modules are looked for first.
    pub below: Option<PathBuf>,
    /// Only functions of this module, or of modules in this package.
    pub module: Option<String>,
    /// Only the function of this full name.
    pub function: Option<String>,
}

impl Scope {
    /// What a person means by a word: a file or folder where there is one, else a module; everything without a word.
    pub fn of(folder: &Path, word: Option<&str>) -> Self {
        let all = Self { folder: folder.to_owned(), ..Self::default() };
        let Some(word) = word else { return all };
        match folder.join(word).canonicalize() {
            Ok(path) => Self { below: Some(path), ..all },
            Err(_) => Self { module: Some(word.to_owned()), ..all },
        }
    }

    fn selects(&self, tree: &mut Tree, record: Option<&Record>) -> bool {
        let root = record.and_then(|record| record.components.first());
        let module = root.and_then(|root| root.module.as_deref());
        let file = root.and_then(|root| root.file.as_deref()).map(Path::new);
        if let Some((module, file)) = module.zip(file) {
            tree.learn(module, file);
        }
        let below = self.below.as_ref().is_none_or(|below| {
            let today = module.and_then(|module| match tree.module(module) {
                tree::Look::There(file) => Some(file.path.clone()),
                _ => None,
            });
            let is_below = |file: &Path| {
                file.starts_with(below)
                    || file.canonicalize().is_ok_and(|file| file.starts_with(below))
            };
            file.into_iter().chain(today.as_deref()).any(is_below)
        });
        let within = self.module.as_ref().is_none_or(|wanted| {
            module.is_some_and(|module| {
                let rest = module.strip_prefix(wanted.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        });
        below && within
    }
}

/// What is to come.
#[derive(Debug, Default, Serialize)]
pub struct Plan {
    /// Every function that was looked at, by name.
    pub functions: Vec<Planned>,
}

/// What is to come for one function.
#[derive(Debug, Serialize)]
pub struct Planned {
    /// Its name.
    pub function: String,
    /// Where it was defined, as far as it is known.
    pub place: Option<String>,
    /// What becomes of its answers.
    pub verdict: Verdict,
    /// How many current answers it has.
    pub answers: u64,
    /// How long it took to compute them, in microseconds.
    pub took_us: u64,
    /// Answers of an earlier version that are found again, as the code is what it was then.
    pub found_again: u64,
    /// What changed.
    pub changes: Vec<Change>,
    /// What cannot be told before running.
    pub untold: Vec<String>,
    /// The statements by which it answers as before, in words.
    pub accepted: Vec<Said>,
    /// The digest that its answers are under.
    #[serde(serialize_with = "text")]
    pub current: FunctionId,
    /// The digest that it will have, where it can be told.
    #[serde(serialize_with = "optional")]
    pub digest: Option<FunctionId>,
    /// The newest execution among its answers: what was compared with.
    pub commit: String,
}

/// What becomes of a function's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They stay: nothing that matters was edited.
    Unchanged,
    /// They stay: the edit was accepted.
    Accepted,
    /// They are no longer found; every call runs.
    Recompute,
    /// They are no longer asked for: the function is not there.
    Gone,
    /// Only running can tell.
    CannotTell,
}

/// An accepted edit, for people and programs.
#[derive(Debug, Serialize)]
pub struct Said {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub user: String,
    /// Where.
    pub host: String,
    /// Why.
    pub reason: Option<String>,
}

fn text<S: Serializer>(id: &FunctionId, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_str(id)
}

fn optional<S: Serializer>(id: &Option<FunctionId>, to: S) -> std::result::Result<S::Ok, S::Error> {
    id.map(|id| id.to_string()).serialize(to)
}

impl Plan {
    /// All of it as JSON.
    pub fn json(&self) -> String {
        // Nothing in it can fail to be written: its keys are texts.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Planned {
    /// What the statement that accepts these changes keeps of them.
    pub fn edits(&self) -> Vec<Edit> {
        let edit = |change: &Change| Edit {
            label: change.label.clone(),
            place: change.place.clone(),
            digest: change.digest.clone(),
        };
        self.changes.iter().map(edit).collect()
    }

    /// Whether its answers are no longer found.
    pub fn is_lost(&self) -> bool {
        matches!(self.verdict, Verdict::Recompute | Verdict::Gone)
    }
}

/// Compares what is remembered with the working tree.
///
/// # Errors
/// Whatever the store says. Files that cannot be read are findings, not errors.
pub async fn plan(engine: &Engine, scope: &Scope) -> Result<Plan> {
    let searched = scope.below.as_deref().filter(|below| below.is_dir());
    let mut tree = Tree::new(searched.unwrap_or(&scope.folder), &scope.folder);
    let mut functions = Vec::new();
    for remembered in engine.remembered().await? {
        if scope.function.as_ref().is_some_and(|name| *name != remembered.function) {
            continue;
        }
        let bytes = engine.function_record(&remembered.newest.1).await?;
        let record = bytes.and_then(|bytes| Record::read(&bytes));
        if !scope.selects(&mut tree, record.as_ref()) {
            continue;
        }
        let accepted = engine.accepted(&remembered.function).await?;
        functions.push(planned(&mut tree, &remembered, record.as_ref(), &accepted));
    }
    Ok(Plan { functions })
}

fn planned(
    tree: &mut Tree,
    remembered: &Remembered,
    record: Option<&Record>,
    accepted: &Accepted,
) -> Planned {
    let (id, commit) = &remembered.newest;
    // What ran before it was accepted as another version is asked for under that.
    let current = accepted.resolve(&commit.function_id);
    let worth = |id: &FunctionId| remembered.versions.get(id).copied().unwrap_or_default();
    let Worth { answers, took_us } = worth(&current);
    let mut planned = Planned {
        function: remembered.function.clone(),
        place: None,
        verdict: Verdict::Unchanged,
        answers,
        took_us,
        found_again: 0,
        changes: Vec::new(),
        untold: Vec::new(),
        accepted: Vec::new(),
        current,
        digest: None,
        commit: id.to_string(),
    };
    if current == by_name() {
        return planned;
    }
    let Some(record) = record else {
        planned.verdict = Verdict::CannotTell;
        planned.untold.push("what it was made of is not on record, or not of Python".into());
        return planned;
    };
    if let Some(root) = record.components.first()
        && let Some(file) = &root.file
    {
        let file = tree.shown(Path::new(file));
        planned.place = Some(root.line.map_or(file.clone(), |line| format!("{file}:{line}")));
    }
    if record.is_by_version {
        return planned;
    }
    let Judged { changes, untold, digest, is_untouched, is_gone } = judge::judge(tree, record);
    planned.changes = changes;
    planned.untold = untold;
    let by_code =
        commit.function_id == record.digest || accepted.resolve(&record.digest) == current;
    planned.verdict = if is_gone {
        Verdict::Gone
    } else if !by_code {
        if planned.changes.is_empty() {
            Verdict::Unchanged
        } else {
            planned.untold.push("`version=` or `depends_on=` identify it beside its code".into());
            Verdict::CannotTell
        }
    } else if let Some(digest) = digest {
        planned.digest = Some(digest);
        planned.accepted = accepted.chain(&digest).into_iter().map(said).collect();
        let stands = accepted.resolve(&digest);
        if stands != current {
            planned.found_again = worth(&stands).answers;
            Verdict::Recompute
        } else if planned.accepted.is_empty() {
            Verdict::Unchanged
        } else {
            Verdict::Accepted
        }
    } else if let Some(statement) = covering(&planned.changes, &current, accepted) {
        planned.accepted.push(said(statement));
        Verdict::Accepted
    } else if planned.changes.is_empty() {
        Verdict::CannotTell
    } else {
        Verdict::Recompute
    };
    if planned.verdict == Verdict::Unchanged
        && !is_untouched
        && let Some(class) = class_of(record, commit)
    {
        planned.verdict = Verdict::CannotTell;
        let why = format!("`{class}` is the class of an argument, and its file was edited");
        planned.untold.push(why);
    }
    planned
}

/// The class that a method was defined in: its instances are arguments, and arguments are not compared here.
fn class_of(record: &Record, commit: &Commit) -> Option<String> {
    let first = commit.arguments.first()?;
    let (class, _) = record.components.first()?.qualname()?.rsplit_once('.')?;
    let is_method = matches!(first.name.as_str(), "self" | "cls") && !class.ends_with("<locals>");
    is_method.then(|| class.to_owned())
}

/// The statement that is about exactly these changes, as far as they can be told.
fn covering<'a>(
    changes: &[Change],
    current: &FunctionId,
    accepted: &'a Accepted,
) -> Option<&'a Accept> {
    let covers = |statement: &&Accept| {
        accepted.resolve(&statement.new) == *current
            && !changes.is_empty()
            && changes.iter().all(|change| {
                let edit = statement.edits.iter().find(|edit| edit.label == change.label);
                // Without a digest nothing says that it is this edit and not the next one.
                match (edit, &change.digest) {
                    (Some(edit), Some(digest)) => edit.digest.as_ref() == Some(digest),
                    (Some(edit), None) => change.kind == Kind::Gone && edit.digest.is_none(),
                    (None, _) => false,
                }
            })
    };
    accepted.statements().iter().find(covers)
}

fn said(accept: &Accept) -> Said {
    Said {
        at_ms: accept.at.as_millis(),
        user: accept.who.user.clone(),
        host: accept.who.host.clone(),
        reason: accept.reason.clone(),
    }
}

/// What identifies every function that is identified by its name alone.
fn by_name() -> FunctionId {
    let mut encoder = fp1::Encoder::new();
    encoder.tuple(2);
    encoder.str("name");
    encoder.str("");
    FunctionId::new(encoder.finish().0)
}
