//! Classes: whether the statement that makes one says exactly what the class has become.
//!
//! A class is its statement (the shell), and its methods and attributes as components of their own. When the shell is
//! another, the digests of those follow only where the statements that differ are `NAME = literal` or annotations, and
//! nothing that runs while the class is made (a decorator, a metaclass, a descriptor) can turn them into something else.

use afresh_pysource::{Call, Definition, Error, Part, Parts, Style, combine};

use crate::judge::Judge;
use crate::literal;
use crate::names::{self, Target};
use crate::record::{Component, Local};
use crate::tree::File;

/// Methods that run while a class is made.
const MAKERS: [&str; 2] = [".__init_subclass__", ".__set_name__"];
/// What describes a field and runs nothing.
const FIELDS: [&str; 4] = ["dataclasses.field", "attrs.field", "attr.ib", "attr.field"];
/// What `dataclass` generates by.
const OPTIONS: [&str; 7] = ["init", "repr", "eq", "order", "frozen", "kw_only", "match_args"];

impl Judge<'_> {
    pub(crate) fn class(
        &mut self,
        index: usize,
        component: &Component,
        at: (&str, &File),
        qualname: &str,
    ) {
        let file = at.1;
        let style = Style { ignored_decorators: component.ignored.clone(), whole: false };
        let whole = Style { whole: true, ..style.clone() };
        let now = match file.source.class(qualname, None, &style) {
            Ok(now) => now,
            Err(Error::NotFound) => return self.gone(index, "it is no longer defined"),
            Err(error) => {
                self.untold.push(format!("`{}`: {error}", component.name()));
                return;
            }
        };
        let parts = file.source.class_parts(qualname).ok();
        self.made_of(component, at, &now, parts.as_ref());
        let shell = combine("class-source", [&now.digest[..]]);
        let text = file.source.class(qualname, None, &whole);
        let text = text.map(|one| combine("class-text", [&one.digest[..]]));
        if component.digest != shell && Ok(component.digest) != text {
            let follows = parts.and_then(|parts| {
                self.attributes(index, component, at, (qualname, &style), (&now, &parts))
            });
            match follows {
                Some(replaced) => self.replaced.extend(replaced),
                None => self.exact = false,
            }
            self.compare(index, Some(shell), None, file, Some(&now));
            return;
        }
        if component.source.as_deref().is_some_and(|one| one.contains("__subclasses__")) {
            self.descendants(component);
        }
        for reference in &now.references {
            self.reference(component, at, reference);
        }
    }

    /// Notes the components that attributes of the class are computed from when it is made.
    fn made_of(
        &mut self,
        component: &Component,
        at: (&str, &File),
        now: &Definition,
        parts: Option<&Parts>,
    ) {
        let computed = parts.map(|parts| {
            let values = parts.statements.iter().filter(|part| !is_declared(part));
            let pieces = values.map(|part| part.value.as_ref().unwrap_or(&part.text));
            // What is named without a call is a component of its own, and fields keep what they are given.
            let runs =
                pieces.filter(|text| text.contains('(')).filter(|text| !self.is_field(at.0, text));
            let runs: Vec<String> = runs.cloned().collect();
            let heads = parts.decorators.iter().chain(&parts.keywords).chain(&parts.methods);
            runs.into_iter().chain(heads.cloned()).collect::<Vec<_>>()
        });
        for reference in &now.references {
            let Some(first) = reference.path.first() else { continue };
            let counts = computed
                .as_ref()
                .is_none_or(|texts| texts.iter().any(|text| mentions(text, first)));
            if counts && let Some(used) = component.used(&reference.path.join(".")) {
                self.inputs.push(used);
            }
        }
    }

    /// Whether an expression describes a field with what has names alone, so that nothing of the project runs.
    fn is_field(&mut self, module: &str, text: &str) -> bool {
        let Some(call) = Call::parse(text) else { return false };
        let plain = |text: &String| !text.contains('(');
        let is_plain =
            call.arguments.iter().all(plain) && call.keywords.iter().all(|(_, one)| plain(one));
        is_plain
            && matches!(names::resolve(self.tree, module, &call.callee), Target::Outside(name)
                if FIELDS.contains(&name.as_str()))
    }

    /// Whether a class is made alike before and after: `@dataclass` may be told otherwise what to generate, which counts
    /// with the statement alone.
    fn same_makers(&mut self, module: &str, before: &[String], now: &[String]) -> bool {
        before.len() == now.len()
            && before.iter().zip(now).all(|(before, now)| {
                before == now
                    || (self.is_dataclass(module, before) && self.is_dataclass(module, now))
            })
    }

    /// Whether both are a `TypedDict`, total or not.
    fn is_typed_dict(&mut self, module: &str, before: &Parts, now: &Parts) -> bool {
        let [base] = now.bases.as_slice() else { return false };
        let path: Vec<String> = base.split('.').map(str::to_owned).collect();
        let is_total = |text: &String| matches!(text.as_str(), "total=True" | "total=False");
        before.keywords.iter().chain(&now.keywords).all(is_total)
            && matches!(names::resolve(self.tree, module, &path), Target::Outside(name)
                if name == "typing.TypedDict")
    }

    fn is_dataclass(&mut self, module: &str, decorator: &str) -> bool {
        let text = decorator.trim_start_matches('@').trim();
        let text = if text.ends_with(')') { text.to_owned() } else { format!("{text}()") };
        let Some(call) = Call::parse(&text) else { return false };
        let is_option = |(name, value): &(String, String)| {
            OPTIONS.contains(&name.as_str()) && matches!(value.as_str(), "True" | "False")
        };
        call.arguments.is_empty()
            && call.keywords.iter().all(is_option)
            && matches!(names::resolve(self.tree, module, &call.callee), Target::Outside(name)
                if name == "dataclasses.dataclass")
    }

    /// The digests of the attributes that the class has now, where its statement says them.
    fn attributes(
        &mut self,
        index: usize,
        component: &Component,
        at: (&str, &File),
        (qualname, style): (&str, &Style),
        (now, parts): (&Definition, &Parts),
    ) -> Option<Vec<(usize, Local)>> {
        let source = names::piece(component.source.as_deref()?)?;
        let name = qualname.rsplit('.').next()?;
        let was = source.class(name, None, style).ok()?;
        let before = source.class_parts(name).ok()?;
        let is_whole = combine("class-source", [&was.digest[..]]) == component.digest;
        let same_head = self.same_makers(at.0, &before.decorators, &parts.decorators)
            && before.bases == parts.bases
            && (before.keywords == parts.keywords || self.is_typed_dict(at.0, &before, parts))
            && before.methods == parts.methods;
        let named =
            |parts: &Parts| parts.statements.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        let same_names = named(&before) == named(parts);
        if !is_whole || !same_head || self.is_made_by_project(component, at, parts, same_names) {
            return None;
        }
        if self.leading(at.0, &was.references) != self.leading(at.0, &now.references) {
            return None;
        }
        let declares = |part: &&Part| !(part.annotation.is_some() && part.value.is_none());
        let old: Vec<&Part> = before.statements.iter().filter(declares).collect();
        let new: Vec<&Part> = parts.statements.iter().filter(declares).collect();
        if old.len() != new.len() {
            return None;
        }
        let mut replaced = Vec::new();
        for (old, new) in old.into_iter().zip(new) {
            if old.text == new.text {
                continue;
            }
            let name = new.name.as_ref().filter(|name| old.name.as_ref() == Some(*name))?;
            let others = parts.statements.iter().filter(|part| part.text != new.text);
            let others = others.map(|part| &part.text);
            let mut others = others.chain(&parts.methods).chain(&parts.keywords);
            let inherited = self.has_heirs(index, name);
            if inherited || others.any(|text| mentions(text, name) || mentions(text, "auto")) {
                return None;
            }
            let is_class_var = |part: &Part| {
                part.annotation.as_deref().is_some_and(|text| text.contains("ClassVar"))
            };
            if is_class_var(old) != is_class_var(new) {
                return None;
            }
            let labels = [name.clone(), format!("{name} default"), format!("member {name}")];
            let mut uses = component.uses.iter().filter(|(label, _)| {
                labels.contains(label) || label.split(' ').next() == Some(name.as_str())
            });
            let values =
                (literal::digest(old.value.as_ref()?), literal::digest(new.value.as_ref()?));
            match values {
                (Some(was), Some(digest)) => {
                    for (label, used) in uses {
                        let one = self.record.components.get(*used)?;
                        let is_it = one.kind == "data" && one.digest == was && one.uses.is_empty();
                        if !is_it || !labels.contains(label) {
                            return None;
                        }
                        replaced.push((*used, digest));
                    }
                }
                // What a library keeps to itself, such as `Field(ge=0)`, is in the statement alone.
                _ if uses.next().is_none() => {
                    let (old, new) =
                        (Call::parse(old.value.as_ref()?)?, Call::parse(new.value.as_ref()?)?);
                    let target = names::resolve(self.tree, at.0, &new.callee);
                    if old.callee != new.callee || !matches!(target, Target::Outside(_)) {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        Some(replaced)
    }

    /// Whether code of the project has a hand in making the class, or leaves attributes that no statement names.
    fn is_made_by_project(
        &mut self,
        component: &Component,
        at: (&str, &File),
        parts: &Parts,
        same_names: bool,
    ) -> bool {
        for decorator in &parts.decorators {
            let text = decorator.trim_start_matches('@').trim();
            let path = text.split('(').next().unwrap_or_default().trim();
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            if !matches!(names::resolve(self.tree, at.0, &path), Target::Outside(_)) {
                return true;
            }
        }
        let record = self.record;
        let makes = |one: &Component| MAKERS.iter().any(|maker| one.name().ends_with(maker));
        let kind = |used: &usize| record.components.get(*used).map_or("", |one| one.kind.as_str());
        record.components.iter().any(makes)
            || component.uses.iter().any(|(label, used)| {
                let base = label.strip_prefix("member ").unwrap_or(label);
                let base = base.split([' ', '.']).next().unwrap_or_default();
                // Generated from the names of the fields.
                let is_slots = same_names && base == "__slots__";
                let is_named =
                    is_slots || parts.statements.iter().any(|part| mentions(&part.text, base));
                (label == "metaclass" && kind(used) != "external")
                    || (kind(used) == "data" && !is_named)
            })
    }

    /// Whether a class that derives from this one takes over the default value of a field.
    fn has_heirs(&self, index: usize, name: &str) -> bool {
        self.record.components.iter().enumerate().any(|(other, one)| {
            let takes = |(label, _): &(String, usize)| label.split(' ').next() == Some(name);
            other != index && one.kind == "class" && one.uses.iter().any(takes)
        })
    }
}

/// Whether a statement only declares, or gives a value that is written out.
fn is_declared(part: &Part) -> bool {
    part.name.is_some() && part.value.as_ref().is_none_or(|value| literal::digest(value).is_some())
}

/// Whether a name is written in a text.
pub(crate) fn mentions(text: &str, name: &str) -> bool {
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    !name.is_empty()
        && text.match_indices(name).any(|(place, _)| {
            let before = text.get(..place).and_then(|before| before.chars().next_back());
            let after = text.get(place + name.len()..).and_then(|after| after.chars().next());
            !before.as_ref().is_some_and(is_word) && !after.as_ref().is_some_and(is_word)
        })
}
