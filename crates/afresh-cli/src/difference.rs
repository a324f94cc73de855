//! A difference between two commits, for people and for programs: what `diff` and `why` have in common.

use std::io::Write;
use std::time::Duration;

use afresh::{ArgumentChange, Difference, Inner, Inward};
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use crate::context::Context;
use crate::failure::Failure;
use crate::record::{self, Component};
use crate::style::Role;
use crate::text;

/// How long to look for the shortest diff; after this a longer one will do.
const PATIENCE: Duration = Duration::from_millis(500);

/// A part of the function that is not the same in both.
#[derive(Serialize)]
pub(crate) struct ComponentChange {
    pub(crate) label: String,
    /// Where it is, or was: `etl.py:12`; null where that is not known.
    pub(crate) place: Option<String>,
    /// `changed`, `added` or `removed`.
    pub(crate) change: &'static str,
    /// How the source changed, as a unified diff; null where there is no source.
    diff: Option<String>,
    pub(crate) a: Option<String>,
    pub(crate) b: Option<String>,
    /// Whether it is no reason for anything.
    #[serde(skip)]
    pub(crate) aside: bool,
}

#[derive(Serialize)]
pub(crate) struct ArgumentView {
    name: String,
    a: Option<String>,
    b: Option<String>,
    /// Where inside; null where that is not known.
    inside: Option<InsideView>,
}

/// Where an argument differs inside.
#[derive(Serialize)]
struct InsideView {
    /// In one line for people.
    text: String,
    differences: Vec<PartView>,
    /// How many there are besides these.
    more: u64,
}

#[derive(Serialize)]
struct PartView {
    /// `config["model"]["depth"]`.
    place: String,
    /// `changed`, `added` or `removed`.
    change: &'static str,
    a: Option<String>,
    b: Option<String>,
    rows: Option<RowsView>,
}

#[derive(Serialize)]
struct RowsView {
    /// `rows`, `elements`, `items` or `parts`.
    unit: &'static str,
    /// The extents.
    a: Vec<u64>,
    b: Vec<u64>,
    /// How many differ of those that both have; null where that is not known.
    differing: Option<u64>,
    exact: bool,
    /// The first of them, in row-major order.
    first: Vec<u64>,
}

/// The parts that are not the same, by label, in the order of the second record; then those that went.
pub(crate) fn components(difference: &Difference) -> Vec<ComponentChange> {
    let Some((a, b)) = &difference.records else { return Vec::new() };
    let (a, b) = (record::components(a), record::components(b));
    let mut gone = without(&a, &b);
    let mut changes = Vec::new();
    for new in without(&b, &a) {
        // Several things can have one label, such as two lambdas: each stands for one of the other side.
        let at = gone.iter().position(|old| old.label == new.label);
        changes.push(component(at.map(|at| gone.remove(at)), Some(new)));
    }
    changes.extend(gone.into_iter().map(|old| component(Some(old), None)));
    changes
}

/// Those of which there is no equal among the others.
fn without<'a>(parts: &'a [Component], others: &[Component]) -> Vec<&'a Component> {
    let equal =
        |one: &Component, other: &Component| one.label == other.label && one.digest == other.digest;
    parts.iter().filter(|one| !others.iter().any(|other| equal(one, other))).collect()
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
        place: b.or(a).map(Component::place).filter(|place| !place.is_empty()),
        change: match (a, b) {
            (Some(_), Some(_)) => "changed",
            (None, _) => "added",
            (_, None) => "removed",
        },
        diff: diff.filter(|diff| !diff.is_empty()),
        a: preview(a),
        b: preview(b),
        aside: [a, b].into_iter().flatten().any(|side| side.aside),
    }
}

/// A unified diff. A last line without line end is no difference to a person.
pub(crate) fn unified(a: &str, b: &str, title_a: &str, title_b: &str) -> String {
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

pub(crate) fn function(
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

/// The arguments that differ, for programs.
pub(crate) fn argument_views(difference: &Difference) -> Vec<ArgumentView> {
    let changes = difference.arguments.iter().cloned();
    let view = |change: ArgumentChange| {
        let inside = change.inside.map(|inner| inside(&change.name, inner));
        ArgumentView { name: change.name, a: change.a, b: change.b, inside }
    };
    changes.map(view).collect()
}

fn inside(name: &str, inner: Inner) -> InsideView {
    let text = inner.headline(name);
    let part = |one: Inward| PartView {
        place: one.place(name),
        change: one.turn.as_str(),
        a: one.a,
        b: one.b,
        rows: one.counted.map(|counted| RowsView {
            unit: counted.unit,
            a: counted.before,
            b: counted.after,
            differing: counted.differing,
            exact: counted.exact,
            first: counted.first,
        }),
    };
    InsideView {
        text,
        differences: inner.differences.into_iter().map(part).collect(),
        more: inner.more,
    }
}

pub(crate) fn arguments(difference: &Difference, cx: &mut Context) -> Result<(), Failure> {
    if difference.arguments.is_empty() {
        return heading(cx, "arguments", "the same");
    }
    heading(cx, "arguments", "differ")?;
    for change in &difference.arguments {
        if let Some(inner) = &change.inside {
            let name = text::line(&change.name);
            writeln!(cx.out, "  {name}  {}", text::line(&inner.headline(&change.name)))?;
            for line in inner.lines(&change.name) {
                writeln!(cx.out, "    {}", text::line(&line))?;
            }
            continue;
        }
        let values = values(change.a.as_deref(), change.b.as_deref()).unwrap_or_default();
        writeln!(cx.out, "  {}  {values}", text::line(&change.name))?;
    }
    Ok(())
}

/// `12 → 13`; the word for a side that has none.
pub(crate) fn values(a: Option<&str>, b: Option<&str>) -> Option<String> {
    match (a, b) {
        (None, None) => None,
        (Some(a), Some(b)) if a == b => Some(format!("{} (looks the same, is not)", text::line(a))),
        (Some(a), Some(b)) => Some(format!("{} → {}", text::line(a), text::line(b))),
        (Some(a), None) => Some(format!("{} → (not there)", text::line(a))),
        (None, Some(b)) => Some(format!("(not there) → {}", text::line(b))),
    }
}

pub(crate) fn heading(cx: &mut Context, name: &str, verdict: &str) -> Result<(), Failure> {
    let name = cx.palette.paint(Role::Heading, name);
    writeln!(cx.out, "\n{name}  {verdict}")?;
    Ok(())
}

/// A unified diff, with colours that repeat its signs.
pub(crate) fn coloured(diff: &str, cx: &mut Context) -> Result<(), Failure> {
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
