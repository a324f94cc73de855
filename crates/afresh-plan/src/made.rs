//! Values that calls of a library make of what is written out: `functools.partial(h, 1)`, `re.compile("a")`.
//!
//! Only calls whose outcome is known without Python: the same arguments always give the same value, and the digest of that
//! value is made of them alone. Everything else is left to running.

use afresh_core::fp1::Encoder;
use afresh_pysource::{Call, Literal, combine};

use crate::judge::Judge;
use crate::literal;
use crate::names::{self, Target};
use crate::record::{Component, Local};
use crate::tree::File;

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
            "data" if call.keywords.is_empty() => {
                let literals: Option<Vec<_>> =
                    call.arguments.iter().map(|one| Literal::parse(one)).collect();
                let Some(digest) = literals.and_then(|list| value(&callee, &list)) else {
                    return false;
                };
                self.value(index, digest, text, at.1, line);
                true
            }
            _ => false,
        }
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
fn value(callee: &str, arguments: &[Literal]) -> Option<Local> {
    let mut encoder = Encoder::new();
    match (callee, arguments) {
        ("range", [Literal::Int(stop)]) => {
            encoder.node("range", 3);
            [0, *stop, 1].iter().for_each(|one| encoder.big_int(&one.to_le_bytes()));
        }
        ("datetime.date", [Literal::Int(year), Literal::Int(month), Literal::Int(day)]) => {
            encoder.node("date", 3);
            [year, month, day].iter().for_each(|one| encoder.big_int(&one.to_le_bytes()));
        }
        _ => return None,
    }
    Some(encoder.finish().0)
}

fn one_name(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let is_name = text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    is_name.then(|| vec![text.to_owned()])
}
