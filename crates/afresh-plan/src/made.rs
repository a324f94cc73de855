//! Values that calls of a library make of what is written out: `functools.partial(h, 1)`, `re.compile("a")`.
//!
//! Only calls whose outcome is known without Python: the same arguments always give the same value, and the digest of that
//! value is made of them alone. Everything else is left to running.

use afresh_core::ObjectId;
use afresh_core::fp1::Encoder;
use afresh_pysource::{Call, Literal, combine};

use crate::judge::Judge;
use crate::literal;
use crate::names::{self, Target};
use crate::record::{Component, Local};
use crate::tree::File;

/// Built-in types that take brackets or stand in unions.
const TYPES: [&str; 11] = [
    "int",
    "str",
    "bytes",
    "float",
    "bool",
    "complex",
    "list",
    "tuple",
    "dict",
    "set",
    "frozenset",
];

impl Judge<'_> {
    /// Compares what an expression makes, if that is known. `at`: the module of the expression.
    pub(crate) fn made(
        &mut self,
        by: &Component,
        index: usize,
        at: (&str, &File),
        text: &str,
        line: u32,
    ) -> bool {
        if let Some(path) = one_name(text) {
            let target = names::resolve(self.tree, at.0, &path);
            let leads = matches!(target, Target::Function { .. } | Target::Class { .. });
            if leads {
                self.target(by, index, at, target);
            }
            return leads;
        }
        let record = self.record;
        let Some(component) = record.components.get(index) else { return false };
        if self.means_the_same(at.1) {
            return false;
        }
        if component.kind == "type" && self.form(component, at, text, line) {
            return true;
        }
        let Some(call) = Call::parse(text) else { return false };
        let callee = match names::resolve(self.tree, at.0, &call.callee) {
            Target::Outside(name) => name,
            Target::Missing => call.callee.join("."),
            _ => return false,
        };
        match component.kind.as_str() {
            "partial" if callee == "functools.partial" => self.partial(component, at, &call, line),
            "type" if callee == "typing.TypeVar" && call.keywords.is_empty() => {
                let [name] = call.arguments.as_slice() else { return false };
                let Some(Literal::Text(name)) = Literal::parse(name) else { return false };
                if !component.uses.is_empty() {
                    return false;
                }
                let local = combine("type", [callee.as_bytes(), name.as_bytes()]);
                self.compare(index, Some(local), None, at.1, None);
                true
            }
            "data" if component.uses.is_empty() => {
                let Some(digest) = value(&callee, &call) else { return false };
                self.value(index, digest, text, at.1, line);
                true
            }
            _ => false,
        }
    }

    /// A union of built-in types, or one with brackets. Not one that would meet a type that is used elsewhere as well.
    fn form(&mut self, component: &Component, at: (&str, &File), text: &str, line: u32) -> bool {
        let text = text.trim();
        let (labels, types): (Vec<String>, Vec<&str>) = match text.strip_suffix(']') {
            Some(rest) => {
                let Some((origin, inner)) = rest.split_once('[') else { return false };
                let inner: Vec<&str> = inner.split(',').collect();
                let labels = (0..inner.len()).map(|place| place.to_string());
                let labels = std::iter::once("origin".to_owned()).chain(labels).collect();
                (labels, std::iter::once(origin).chain(inner).collect())
            }
            None => {
                let types: Vec<&str> = text.split('|').collect();
                ((0..types.len()).map(|place| place.to_string()).collect(), types)
            }
        };
        let types: Vec<&str> = types.into_iter().map(str::trim).collect();
        let (kind, name) = match (types.as_slice(), text.ends_with(']')) {
            ([origin, ..], true) => ("types.GenericAlias", *origin),
            ([_, _, ..], false) => ("types.UnionType", ""),
            _ => return false,
        };
        let mut told: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        for (label, one) in labels.iter().zip(&types) {
            let path = [(*one).to_owned()];
            let is_builtin = TYPES.contains(one)
                && matches!(names::resolve(self.tree, at.0, &path), Target::Missing);
            let Some(used) = component.used(label) else { return false };
            if !is_builtin || told.contains(one) {
                return false;
            }
            told.push(one);
            found.push((used, format!("builtins.{one}")));
        }
        let own = |index: usize| {
            let uses = self.record.components.iter().flat_map(|one| &one.uses);
            uses.filter(|(_, used)| *used == index).count() == 1
        };
        let record = self.record;
        let is_new = |name: &str| !record.components.iter().any(|one| one.name() == name);
        let holds = |(used, name): &(usize, String)| {
            let was = record.components.get(*used).filter(|one| one.kind == "external");
            was.is_some_and(|was| was.name() == name || (own(*used) && is_new(name)))
        };
        let index = record.components.iter().position(|one| std::ptr::eq(one, component));
        let (Some(index), true) = (index, found.iter().all(holds)) else { return false };
        if component.uses.len() != found.len() {
            return false;
        }
        let before: Vec<_> = found
            .iter()
            .map(|(used, name)| (*used, combine("external", [name.as_bytes()])))
            .collect();
        for (used, digest) in before {
            let changed = record.components.get(used).is_some_and(|one| one.digest != digest);
            if changed {
                self.value(used, digest, text, at.1, line);
            }
        }
        let local = combine("type", [kind.as_bytes(), name.as_bytes()]);
        self.compare(index, Some(local), None, at.1, None);
        true
    }

    /// A function with arguments that are written out.
    fn partial(
        &mut self,
        component: &Component,
        at: (&str, &File),
        call: &Call,
        line: u32,
    ) -> bool {
        let Some((first, rest)) = call.arguments.split_first() else { return false };
        let places = rest.iter().enumerate().map(|(place, text)| (place.to_string(), text));
        let named = call.keywords.iter().map(|(name, text)| (format!("{name}="), text));
        let mut found = Vec::new();
        for (label, text) in places.chain(named) {
            let used = component.used(&label);
            let is_data = |used: &usize| {
                self.record.components.get(*used).is_some_and(|one| one.kind == "data")
            };
            let (Some(used), Some(digest)) = (used.filter(is_data), literal::digest(text)) else {
                return false;
            };
            found.push((used, digest, text));
        }
        let Some((func, path)) = component.used("func").zip(one_name(first)) else { return false };
        let target = names::resolve(self.tree, at.0, &path);
        let leads = matches!(target, Target::Function { .. } | Target::Class { .. });
        if !leads || component.uses.len() != found.len() + 1 {
            return false;
        }
        self.target(component, func, at, target);
        for (used, digest, text) in found {
            self.value(used, digest, text, at.1, line);
        }
        true
    }
}

/// The digest of what a library makes of literals.
fn value(callee: &str, call: &Call) -> Option<Local> {
    let literals =
        |list: &[String]| list.iter().map(|one| Literal::parse(one)).collect::<Option<Vec<_>>>();
    let mut encoder = Encoder::new();
    let text = match (call.arguments.first().and_then(|one| Literal::parse(one)), &call.keywords) {
        (Some(Literal::Text(text)), keywords) if keywords.is_empty() => Some(text),
        _ => None,
    };
    match (callee, call.arguments.as_slice(), text) {
        ("re.compile", [_, rest @ ..], Some(text)) => {
            encoder.node("pattern", 2);
            encoder.str(&text);
            encoder.big_int(&flags(&text, rest)?.to_le_bytes());
        }
        ("struct.Struct", [_], Some(text)) => {
            encoder.node("struct", 1);
            encoder.str(&text);
        }
        ("zoneinfo.ZoneInfo", [_], Some(text)) => {
            encoder.node("zoneinfo", 1);
            encoder.str(&text);
        }
        ("decimal.Decimal", [_], Some(text)) => decimal(&mut encoder, &text)?,
        ("float", [_], Some(text)) => match text.trim().to_lowercase().as_str() {
            "nan" => encoder.float(f64::NAN),
            "inf" => encoder.float(f64::INFINITY),
            "-inf" => encoder.float(f64::NEG_INFINITY),
            _ => return None,
        },
        ("pathlib.Path", [_], Some(text)) if cfg!(unix) && is_normal(&text) => {
            encoder.node("path", 2);
            encoder.str("PosixPath");
            encoder.str(&text);
        }
        ("collections.OrderedDict", [], None) => {
            encoder.node("collections.OrderedDict", 1);
            encoder.tuple(call.keywords.len());
            for (name, value) in &call.keywords {
                encoder.tuple(2);
                encoder.str(name);
                literal::write(&mut encoder, &Literal::parse(value)?);
            }
        }
        ("collections.deque", [list], None) => {
            let [(name, bound)] = call.keywords.as_slice() else { return None };
            let (Literal::Int(bound), Literal::List(list)) =
                (Literal::parse(bound)?, Literal::parse(list)?)
            else {
                return None;
            };
            if name != "maxlen" || usize::try_from(bound).ok()? < list.len() {
                return None;
            }
            encoder.node("collections.deque", 2);
            encoder.big_int(&bound.to_le_bytes());
            literal::write(&mut encoder, &Literal::List(list));
        }
        ("bytearray", [data], None) if call.keywords.is_empty() => {
            let Literal::Data(data) = Literal::parse(data)? else { return None };
            encoder.node("bytearray", 1);
            let length = u64::try_from(data.len()).ok()?;
            encoder.array("u1", &[length], ObjectId::of(&data).as_bytes());
        }
        ("range", list, None) if call.keywords.is_empty() => {
            let (start, stop, step) = match literals(list)?.as_slice() {
                [Literal::Int(stop)] => (0, *stop, 1),
                [Literal::Int(start), Literal::Int(stop)] => (*start, *stop, 1),
                [Literal::Int(start), Literal::Int(stop), Literal::Int(step)] => {
                    (*start, *stop, *step)
                }
                _ => return None,
            };
            encoder.node("range", 3);
            [start, stop, step].iter().for_each(|one| encoder.big_int(&one.to_le_bytes()));
        }
        ("datetime.date", list @ [_, _, _], None) if call.keywords.is_empty() => {
            encoder.node("date", 3);
            literals(list)?.iter().for_each(|one| literal::write(&mut encoder, one));
        }
        _ => return None,
    }
    Some(encoder.finish().0)
}

/// The flags of a pattern of text.
fn flags(pattern: &str, given: &[String]) -> Option<i64> {
    // A pattern may set some itself.
    let sets = |(place, sign): (usize, &str)| {
        let after = pattern.get(place + sign.len()..).unwrap_or_default();
        after.starts_with(|c: char| "aiLmsux-".contains(c))
    };
    if pattern.match_indices("(?").any(sets) {
        return None;
    }
    Some(
        32 | match given {
            [] => 0,
            [one] => match one.strip_prefix("re.")? {
                "I" | "IGNORECASE" => 2,
                "M" | "MULTILINE" => 8,
                "S" | "DOTALL" => 16,
                "X" | "VERBOSE" => 64,
                _ => return None,
            },
            _ => return None,
        },
    )
}

/// A decimal number in plain digits.
fn decimal(encoder: &mut Encoder, text: &str) -> Option<()> {
    let (sign, text) = text.strip_prefix('-').map_or((0_i64, text), |rest| (1, rest));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{part}");
    if whole.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let significant = if significant.is_empty() { "0" } else { significant };
    encoder.node("decimal", 3);
    encoder.int(sign);
    encoder.tuple(significant.len());
    significant.bytes().for_each(|digit| encoder.int(i64::from(digit - b'0')));
    encoder.int(-i64::try_from(part.len()).ok()?);
    Some(())
}

/// Whether a path stays as it is written.
fn is_normal(text: &str) -> bool {
    let mut parts = text.strip_prefix('/').unwrap_or(text).split('/');
    !text.starts_with("//") && parts.all(|part| !matches!(part, "" | "."))
}

fn one_name(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let is_name = text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    is_name.then(|| vec![text.to_owned()])
}
