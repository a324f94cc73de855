//! Differences inside an argument in words: here and not in the front ends, for there are two of them.
//!
//! Paths are written as in Python. Previews are as they were stored: whoever prints them takes care that no terminal
//! obeys them.

use afresh_core::Name;

use crate::inside::{Counted, Inner, Inward, Step, Turn};

impl Inner {
    /// In one line, for an argument of this name: ``column `price`, 3 of 1,204,331 rows``.
    pub fn headline(&self, name: &str) -> String {
        if let ([one], 0) = (self.differences.as_slice(), self.more) {
            return one.headline(name);
        }
        let total = self.differences.len() as u64 + self.more;
        if let Some((some, all)) = self.items {
            return format!("{} of {} items", thousands(some), thousands(all));
        }
        let columns = self.differences.iter().map(|one| match one.path.first() {
            Some(Step::Name(Name::Column(column))) => Some(format!("`{}`", plain(column))),
            _ => None,
        });
        if let Some(mut columns) = columns.collect::<Option<Vec<_>>>() {
            columns.dedup();
            let more =
                if self.more > 0 { format!(" and {} more", self.more) } else { String::new() };
            let noun = if columns.len() == 1 { "column" } else { "columns" };
            return format!("{noun} {}{more}", columns.join(", "));
        }
        format!("{} places", thousands(total))
    }

    /// One line for each difference, where the headline does not say it all.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let alone = self.differences.len() == 1;
        let told = |one: &Inward| alone && one.places(name).is_none();
        let lines = self.differences.iter().filter(|one| !told(one));
        let mut lines: Vec<String> = lines.map(|one| one.line(name)).collect();
        if self.more > 0 {
            lines.push(format!("and {} more", thousands(self.more)));
        }
        lines
    }
}

impl Inward {
    /// Where it is, as in Python: `config["model"]["depth"]`.
    pub fn place(&self, name: &str) -> String {
        let mut text = name.to_owned();
        for step in &self.path {
            match step {
                Step::Member => {}
                Step::Index(index) => text.push_str(&format!("[{index}]")),
                Step::Name(Name::Key(key) | Name::Column(key)) => {
                    text.push_str(&format!("[{key}]"));
                }
                Step::Name(Name::Attribute(attribute)) => text.push_str(&format!(".{attribute}")),
                Step::Name(Name::Part(part)) if part == "values" => {}
                Step::Name(Name::Part(part)) => text.push_str(&format!(".{part}")),
            }
        }
        text
    }

    /// In one line, where there is no other.
    fn headline(&self, name: &str) -> String {
        let Some(counted) = &self.counted else { return self.line(name) };
        // The values of a column or series are what one means by it.
        let values = Step::Name(Name::Part("values".into()));
        let path: Vec<&Step> = self.path.iter().filter(|step| **step != values).collect();
        let subject = match path.as_slice() {
            [] => String::new(),
            [Step::Name(Name::Column(column)), rest @ ..] => {
                let parts = rest.iter().filter_map(|step| match step {
                    Step::Name(Name::Part(part)) => Some(format!(" ({part})")),
                    _ => None,
                });
                format!("column `{}`{}, ", plain(column), parts.collect::<String>())
            }
            [Step::Name(Name::Part(part))] => format!("{part}, "),
            _ => format!("{}, ", self.place(name)),
        };
        format!("{subject}{}", counted.text())
    }

    /// In one line, beside others.
    fn line(&self, name: &str) -> String {
        let place = self.place(name);
        if let Some(counted) = &self.counted {
            let places = self.places(name).map(|places| format!(": {places}")).unwrap_or_default();
            return format!("{place}: {}{places}", counted.text());
        }
        if let (Some(Step::Name(Name::Part(part))), Some(b)) = (self.path.last(), &self.b)
            && part == "class"
            && self.a == self.b
        {
            return format!("class `{b}` changed");
        }
        let member = self.path.last() == Some(&Step::Member);
        let shown = |text: &str| if text.is_empty() { String::new() } else { format!(": {text}") };
        match (self.turn, &self.a, &self.b) {
            (Turn::Added, _, Some(b)) if member => format!("{place}: {b} is new"),
            (Turn::Removed, Some(a), _) if member => format!("{place}: {a} is gone"),
            (Turn::Added, _, Some(b)) => format!("{place} is new{}", shown(b)),
            (Turn::Removed, Some(a), _) => format!("{place} is gone{}", shown(a)),
            // Nothing to see, such as a secret.
            (_, Some(a), Some(b)) if a == b && matches!(a.as_str(), "" | "…") => {
                format!("{place} differs")
            }
            (_, Some(a), Some(b)) if a == b => format!("{place}: {a} (looks the same, is not)"),
            (_, Some(a), Some(b)) => format!("{place}: {a} → {b}"),
            _ => place,
        }
    }

    /// The first rows or elements, where they are known.
    fn places(&self, name: &str) -> Option<String> {
        let counted = self.counted.as_ref().filter(|counted| !counted.first.is_empty())?;
        let mut places: Vec<String> = match counted.unit {
            "rows" => counted.first.iter().map(u64::to_string).collect(),
            _ => {
                let place = self.place(name);
                let at = |index: &u64| format!("{place}[{}]", unravel(*index, &counted.after));
                counted.first.iter().map(at).collect()
            }
        };
        if counted.differing.is_some_and(|all| all > places.len() as u64) {
            places.push("…".to_owned());
        }
        Some(places.join(", "))
    }
}

impl Counted {
    /// `3 of 1,204,331 rows`; `1,204,331 → 1,204,340 rows`.
    fn text(&self) -> String {
        let unit = self.unit;
        if self.before == self.after {
            let all = thousands(
                self.after.iter().fold(1, |all: u64, extent| all.saturating_mul(*extent)),
            );
            return match self.differing {
                Some(some) => format!("{} of {all} {unit}", self.number(some)),
                None => format!("some of {all} {unit}"),
            };
        }
        let ([before], [after]) = (self.before.as_slice(), self.after.as_slice()) else {
            return format!("shape {} → {}", shape(&self.before), shape(&self.after));
        };
        let both = thousands(*before.min(after));
        let same = match self.differing {
            Some(0) if self.exact => format!(", the first {both} are the same"),
            Some(some) => format!(", {} of the first {both} differ", self.number(some)),
            None => String::new(),
        };
        format!("{} → {} {unit}{same}", thousands(*before), thousands(*after))
    }

    /// An estimate has two digits: more would be made up.
    fn number(&self, number: u64) -> String {
        if self.exact {
            return thousands(number);
        }
        let unit = 10_u64.pow(number.max(1).ilog10().saturating_sub(1));
        format!("about {}", thousands(number.saturating_add(unit / 2) / unit * unit))
    }
}

/// `"price"` as `price`.
fn plain(subscript: &str) -> &str {
    let inner = subscript.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or(subscript)
}

fn shape(extents: &[u64]) -> String {
    match extents {
        [one] => format!("({one},)"),
        several => {
            format!("({})", several.iter().map(u64::to_string).collect::<Vec<_>>().join(", "))
        }
    }
}

/// An index in row-major order as one of each axis: `3, 5`.
fn unravel(index: u64, extents: &[u64]) -> String {
    let mut left = index;
    let mut places: Vec<String> = Vec::with_capacity(extents.len());
    for extent in extents.iter().rev() {
        let extent = (*extent).max(1);
        places.push((left % extent).to_string());
        left /= extent;
    }
    places.reverse();
    places.join(", ")
}

/// `1,204,331`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
