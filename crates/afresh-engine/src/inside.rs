//! Where two arguments differ inside, told from their outlines. Pure: no store, no clock.
//!
//! What is reported differs. Not everything that differs is reported: what neither outline was made of, and what two
//! sketches of different sizes cannot say, is left out. `words` puts it into words.

use std::collections::{HashMap, HashSet};

use afresh_core::sketch::Changed;
use afresh_core::{Cells, Inside, Name, Outline, Rest, Rows, Short};

/// How many differences are named, and how many indices of each.
const MOST: usize = 8;

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// By name.
    Name(Name),
    /// By place.
    Index(u64),
    /// A member of a set, which is nowhere in particular.
    Member,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is another one.
    Changed,
    /// Only the second value has it.
    Added,
    /// Only the first value has it.
    Removed,
}

impl Turn {
    /// `changed`, `added` or `removed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}

/// How many parts of a sequence differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// What the parts are: `rows`, `elements`, `items`, `parts`.
    pub unit: &'static str,
    /// The extents of the first.
    pub before: Vec<u64>,
    /// The extents of the second.
    pub after: Vec<u64>,
    /// How many of those that both have differ; `None` where that is not known.
    pub differing: Option<u64>,
    /// Whether that is the exact number.
    pub exact: bool,
    /// The first few of them, counted in row-major order.
    pub first: Vec<u64>,
}

/// One difference inside an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inward {
    /// The way to it.
    pub path: Vec<Step>,
    /// What became of it.
    pub turn: Turn,
    /// What it was, for a person.
    pub a: Option<String>,
    /// What it is.
    pub b: Option<String>,
    /// Where it is a long sequence.
    pub counted: Option<Counted>,
}

/// The differences inside an argument, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inner {
    /// The first few.
    pub differences: Vec<Inward>,
    /// How many more there are.
    pub more: u64,
    /// Of a list or tuple: how many items differ, of how many.
    pub items: Option<(u64, u64)>,
}

impl Inner {
    /// How `b` differs from `a`; `None` where the outlines do not tell.
    pub fn of(a: &Outline, b: &Outline) -> Option<Self> {
        let mut looking = Looking { path: Vec::new(), found: Vec::new() };
        looking.compare(a, b);
        let mut differences = looking.found;
        let items = match (&a.inside, &b.inside) {
            (Inside::Items(a, None), Inside::Items(b, None)) if a.len() == b.len() => {
                let places = differences.iter().filter_map(|one| match one.path.first() {
                    Some(Step::Index(place)) => Some(place),
                    _ => None,
                });
                Some((places.collect::<HashSet<_>>().len() as u64, a.len() as u64))
            }
            _ => None,
        };
        let more = differences.len().saturating_sub(MOST) as u64;
        differences.truncate(MOST);
        (!differences.is_empty()).then_some(Self { differences, more, items })
    }
}

struct Looking {
    path: Vec<Step>,
    found: Vec<Inward>,
}

impl Looking {
    fn push(&mut self, turn: Turn, a: Option<&str>, b: Option<&str>, counted: Option<Counted>) {
        let (a, b) = (a.map(str::to_owned), b.map(str::to_owned));
        self.found.push(Inward { path: self.path.clone(), turn, a, b, counted });
    }

    fn at(&mut self, step: Step, look: impl FnOnce(&mut Self)) {
        self.path.push(step);
        look(self);
        self.path.pop();
    }

    fn added(&mut self, step: Step, part: &Outline) {
        self.at(step, |inner| inner.push(Turn::Added, None, Some(&part.preview), None));
    }

    fn removed(&mut self, step: Step, part: &Outline) {
        self.at(step, |inner| inner.push(Turn::Removed, Some(&part.preview), None, None));
    }

    fn compare(&mut self, a: &Outline, b: &Outline) {
        match (&a.inside, &b.inside) {
            // What one of them was not looked into cannot be compared with what is inside the other.
            (Inside::Items(one, Some(rest)), Inside::Items(other, Some(other_rest)))
                if one.is_empty() && other.is_empty() =>
            {
                if rest.whole != other_rest.whole {
                    self.push(Turn::Changed, Some(&a.preview), Some(&b.preview), None);
                }
            }
            (Inside::Items(one, Some(_)), _) | (_, Inside::Items(one, Some(_)))
                if one.is_empty() => {}
            (Inside::Leaf(one), Inside::Leaf(other)) if one == other => {}
            (Inside::Fields(one, None), Inside::Fields(other, None))
                if kinds_differ(one, other) =>
            {
                self.push(Turn::Changed, Some(&a.preview), Some(&b.preview), None);
            }
            (Inside::Fields(one, rest), Inside::Fields(other, other_rest)) => {
                self.fields(one, other, [rest, other_rest]);
            }
            (Inside::Items(one, rest), Inside::Items(other, other_rest)) => {
                self.items(one, other, [rest, other_rest]);
            }
            (Inside::Members(one, rest), Inside::Members(other, other_rest)) => {
                self.members(one, other, [rest, other_rest]);
            }
            (Inside::Rows(one), Inside::Rows(other)) => self.rows(one, other),
            _ => self.push(Turn::Changed, Some(&a.preview), Some(&b.preview), None),
        }
    }

    fn fields(&mut self, a: &[(Name, Outline)], b: &[(Name, Outline)], rest: [&Option<Rest>; 2]) {
        let before = self.found.len();
        let skip_rows = self.table(a, b);
        let rows = |name: &Name| skip_rows && is_column(name);
        let (a_named, b_named) = (numbered(a), numbered(b));
        let old: HashMap<_, _> = a_named.iter().copied().collect();
        let new: HashSet<_> = b_named.iter().map(|(name, _)| *name).collect();
        for ((name, number), part) in &b_named {
            match old.get(&(*name, *number)) {
                Some(old) if !rows(name) => {
                    self.at(Step::Name((*name).clone()), |inner| inner.compare(old, part));
                }
                None if rest[0].is_none() => self.added(Step::Name((*name).clone()), part),
                _ => {}
            }
        }
        if rest[1].is_none() {
            for ((name, _), part) in a_named.iter().filter(|(name, _)| !new.contains(name)) {
                self.removed(Step::Name((*name).clone()), part);
            }
        }
        self.rest(before, [a.len(), b.len()], rest);
    }

    /// A table that has another number of rows: said once, not of each column. Whether it is one.
    fn table(&mut self, a: &[(Name, Outline)], b: &[(Name, Outline)]) -> bool {
        let columns = |fields: &[(Name, Outline)]| {
            let columns = fields.iter().filter(|(name, _)| is_column(name));
            columns.filter_map(|(name, part)| Some((name.clone(), rows(part)?.clone()))).collect()
        };
        let (a, b): (HashMap<Name, Rows>, HashMap<Name, Rows>) = (columns(a), columns(b));
        let Some((one, other)) = a.values().next().zip(b.values().next()) else { return false };
        let (before, after) = (one.len(), other.len());
        if before == after {
            return false;
        }
        let both = a.iter().filter_map(|(name, a)| Some(count(a, b.get(name)?)));
        let same =
            both.fold(true, |same, (differing, exact, _)| same && exact && differing == Some(0));
        let counted = Counted {
            unit: "rows",
            before: vec![before],
            after: vec![after],
            differing: same.then_some(0),
            exact: same,
            first: Vec::new(),
        };
        self.push(Turn::Changed, None, None, Some(counted));
        true
    }

    fn items(&mut self, a: &[Outline], b: &[Outline], rest: [&Option<Rest>; 2]) {
        let before = self.found.len();
        let whole = rest.iter().all(|rest| rest.is_none());
        // An item that was put in or taken out leaves what follows as it was.
        let (start, end) = if whole && a.len() != b.len() {
            let start = a.iter().zip(b).take_while(|(a, b)| same(a, b)).count();
            let tails = a.iter().skip(start).rev().zip(b.iter().skip(start).rev());
            (start, tails.take_while(|(a, b)| same(a, b)).count())
        } else {
            (0, 0)
        };
        let middle = |all: &[Outline]| all.len().saturating_sub(start + end);
        let both = middle(a).min(middle(b));
        let pairs = a.iter().zip(b).enumerate().skip(start).take(both);
        for (place, (old, new)) in pairs {
            self.at(Step::Index(place as u64), |inner| inner.compare(old, new));
        }
        if whole {
            let extra = |all: &[Outline]| start + both..all.len() - end;
            for place in extra(a) {
                a.get(place)
                    .into_iter()
                    .for_each(|one| self.removed(Step::Index(place as u64), one));
            }
            for place in extra(b) {
                b.get(place).into_iter().for_each(|one| self.added(Step::Index(place as u64), one));
            }
        }
        self.rest(before, [a.len(), b.len()], rest);
    }

    fn members(&mut self, a: &[(Short, String)], b: &[(Short, String)], rest: [&Option<Rest>; 2]) {
        let before = self.found.len();
        let has = |all: &[(Short, String)], one: &Short| all.iter().any(|(other, _)| other == one);
        if rest[0].is_none() {
            for (_, new) in b.iter().filter(|(one, _)| !has(a, one)) {
                self.at(Step::Member, |inner| inner.push(Turn::Added, None, Some(new), None));
            }
        }
        if rest[1].is_none() {
            for (_, old) in a.iter().filter(|(one, _)| !has(b, one)) {
                self.at(Step::Member, |inner| inner.push(Turn::Removed, Some(old), None, None));
            }
        }
        self.rest(before, [a.len(), b.len()], rest);
    }

    /// What was left out differs, if nothing else was found or the numbers tell.
    fn rest(&mut self, found: usize, kept: [usize; 2], rest: [&Option<Rest>; 2]) {
        let total = |kept: usize, rest: &Option<Rest>| {
            (kept as u64).saturating_add(rest.map_or(0, |rest| rest.count))
        };
        let ([a, b], [a_rest, b_rest]) = (kept, rest);
        let (before, after) = (total(a, a_rest), total(b, b_rest));
        let differs = match (a_rest, b_rest) {
            (Some(a), Some(b)) => a.whole != b.whole && self.found.len() == found,
            (None, None) => return,
            _ => false,
        };
        if before != after || differs {
            self.lengths(before, after);
        }
    }

    fn lengths(&mut self, before: u64, after: u64) {
        let counted = Counted {
            unit: "parts",
            before: vec![before],
            after: vec![after],
            differing: None,
            exact: false,
            first: Vec::new(),
        };
        self.push(Turn::Changed, None, None, Some(counted));
    }

    fn rows(&mut self, a: &Rows, b: &Rows) {
        if a.dtype != b.dtype {
            return self.push(Turn::Changed, Some(&a.dtype), Some(&b.dtype), None);
        }
        let (differing, exact, first) = count(a, b);
        let unknown = differing.is_none() && !exact;
        if a.shape == b.shape && (differing == Some(0) || unknown) {
            return;
        }
        let table = self.path.iter().any(|step| match step {
            Step::Name(Name::Column(_)) => true,
            Step::Name(Name::Part(part)) => matches!(part.as_str(), "index" | "values"),
            _ => false,
        });
        let unit = match (table, a.dtype.is_empty()) {
            (true, _) => "rows",
            (false, true) => "items",
            (false, false) => "elements",
        };
        let counted = Counted {
            unit,
            before: a.shape.clone(),
            after: b.shape.clone(),
            differing,
            exact,
            first,
        };
        self.push(Turn::Changed, None, None, Some(counted));
    }
}

/// How many of the rows that both have differ, whether exactly so many, and which; `None` and not exact where the two
/// cannot be compared, `None` and exact where they differ in nobody knows how many.
fn count(a: &Rows, b: &Rows) -> (Option<u64>, bool, Vec<u64>) {
    let both = a.len().min(b.len());
    match (&a.cells, &b.cells) {
        (Cells::Exact(one), Cells::Exact(other)) => {
            let pairs = one.iter().zip(other).enumerate();
            let differing = pairs.filter(|(_, (a, b))| a != b).map(|(place, _)| place as u64);
            let all: Vec<u64> = differing.collect();
            (Some(all.len() as u64), true, all.into_iter().take(MOST).collect())
        }
        (Cells::Sketch(one), Cells::Sketch(other)) => {
            match one.compare(other, a.len().max(b.len())) {
                Changed::Exactly(mut all) => {
                    all.retain(|place| *place < both);
                    (Some(all.len() as u64), true, all.into_iter().take(MOST).collect())
                }
                // Those that only one has are among them.
                Changed::About(_) if a.len() != b.len() => (None, false, Vec::new()),
                Changed::About(many) => (Some(many.max(1)), false, Vec::new()),
                Changed::Unknown => (None, false, Vec::new()),
            }
        }
        (Cells::Whole(one), Cells::Whole(other)) => {
            (if one == other { Some(0) } else { None }, true, Vec::new())
        }
        _ => (None, false, Vec::new()),
    }
}

/// The parts by name and number among those of that name: the columns of a table may be called alike.
fn numbered(fields: &[(Name, Outline)]) -> Vec<((&Name, usize), &Outline)> {
    let mut seen: HashMap<&Name, usize> = HashMap::new();
    let number = |(name, part)| {
        let count = seen.entry(name).or_default();
        *count += 1;
        ((name, *count), part)
    };
    fields.iter().map(|(name, part)| (name, part)).map(number).collect()
}

/// Whether two parts have nothing but what we named, and that not alike: an index of another type.
fn kinds_differ(a: &[(Name, Outline)], b: &[(Name, Outline)]) -> bool {
    let parts = |fields: &[(Name, Outline)]| {
        fields.iter().all(|(name, _)| matches!(name, Name::Part(part) if part != "class"))
    };
    let names = |fields: &[(Name, Outline)]| -> HashSet<Name> {
        fields.iter().map(|(name, _)| name.clone()).collect()
    };
    !a.is_empty() && !b.is_empty() && parts(a) && parts(b) && names(a) != names(b)
}

/// Whether it has as many rows as the table that it is in.
fn is_column(name: &Name) -> bool {
    match name {
        Name::Column(_) => true,
        Name::Part(part) => part == "index",
        _ => false,
    }
}

/// The rows of a column, which may stand beside its categories and the like.
fn rows(part: &Outline) -> Option<&Rows> {
    match &part.inside {
        Inside::Rows(rows) => Some(rows),
        Inside::Fields(fields, _) => fields.iter().find_map(|(_, part)| match &part.inside {
            Inside::Rows(rows) => Some(rows),
            _ => None,
        }),
        _ => None,
    }
}

fn same(a: &Outline, b: &Outline) -> bool {
    let mut looking = Looking { path: Vec::new(), found: Vec::new() };
    looking.compare(a, b);
    looking.found.is_empty()
}
