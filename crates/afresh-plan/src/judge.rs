//! One function: what of it is another today, and what its digest would be.
//!
//! Every component is looked for by module and qualified name, and every name that its code uses is followed to what it
//! leads to now. The new digest is known where all that changed is known exactly: then it is the very digest that Python
//! will find. What only running could tell, such as a value that is computed, counts as the same as long as the file
//! that computes it means the same; otherwise it is told as such.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use afresh_pysource::{Binding, Definition, Style, combine};

use crate::change::{Change, Judged};
use crate::record::{Component, Local, Record};
use crate::spaces::is_filled;
use crate::tree::{File, Look, Tree};
use crate::uses::recorded;

/// Compares the function of a record with the working tree.
pub(crate) fn judge(tree: &mut Tree, record: &Record) -> Judged {
    for component in &record.components {
        if let (Some(module), Some(file)) = (&component.module, &component.file) {
            tree.learn(module, Path::new(file));
        }
    }
    let mut judge = Judge {
        tree,
        record,
        changes: BTreeMap::new(),
        more: Vec::new(),
        untold: Vec::new(),
        replaced: HashMap::new(),
        led: HashMap::new(),
        inputs: Vec::new(),
        judged: 0,
        exact: true,
    };
    for index in 0..record.components.len() {
        judge.judged = index;
        judge.component(index);
    }
    judge.finish()
}

pub(crate) struct Judge<'a> {
    pub(crate) tree: &'a mut Tree,
    pub(crate) record: &'a Record,
    /// By component: several ways may lead to one.
    pub(crate) changes: BTreeMap<usize, Change>,
    /// What is not about a component of the record.
    pub(crate) more: Vec<Change>,
    pub(crate) untold: Vec<String>,
    pub(crate) replaced: HashMap<usize, Local>,
    /// The module and name that names of the code lead to, by component.
    pub(crate) led: HashMap<usize, (String, String)>,
    /// Components that attributes of classes are computed from.
    pub(crate) inputs: Vec<usize>,
    /// Which component is being judged.
    pub(crate) judged: usize,
    /// Whether the changes say exactly what the function is made of now.
    pub(crate) exact: bool,
}

impl Judge<'_> {
    fn component(&mut self, index: usize) {
        let record = self.record;
        let Some(component) = record.components.get(index) else { return };
        match component.kind.as_str() {
            "function" | "class" | "assignment" | "module" => {}
            "package" => return self.package(index, component),
            "descendants" => return self.descendants(component),
            _ if index == 0 && component.kind != "bytecode" => {
                if !self.nothing_changed() {
                    self.untold
                        .push(format!("`{}` is made when the program runs", component.name()));
                }
                return;
            }
            "bytecode" => {
                let file = component.file.as_deref().unwrap_or("?");
                self.untold
                    .push(format!("`{}` has no source in a file ({file})", component.name()));
                return;
            }
            _ => return,
        }
        let led = self.led.get(&index).cloned();
        let own = component.module.as_deref().zip(component.qualname());
        let (module, qualname) = match (&led, own) {
            (Some((module, name)), _) => (module.as_str(), name.as_str()),
            (None, Some(own)) => own,
            (None, None) if component.kind == "module" && component.module.is_some() => {
                (component.module.as_deref().unwrap_or_default(), "")
            }
            (None, None) => {
                // Where a module was read from is not on record, nor whether that file is what it was.
                if component.kind == "module" || !self.nothing_changed() {
                    self.untold
                        .push(format!("`{}` is made when the program runs", component.name()));
                }
                return;
            }
        };
        if component.file.as_deref().is_none_or(|file| file.starts_with('<')) {
            self.untold
                .push(format!("`{}` was defined at the prompt or in a notebook", component.name()));
            return;
        }
        let file = match self.tree.module(module) {
            Look::There(file) => file,
            Look::Absent => return self.gone(index, "its file is gone"),
            Look::Unreadable(why) => {
                self.untold.push(why);
                return;
            }
        };
        match component.kind.as_str() {
            "function" => self.function(index, component, (module, &file), qualname),
            "class" => self.class(index, component, (module, &file), qualname),
            "module" if component.digest == combine("module", []) => {
                self.namespace(component, (module, &file));
            }
            "module" => {
                let now = file.source.digest(&Style::default()).ok();
                let local = now.map(|digest| combine("module", [&digest[..]]));
                self.compare(index, local, None, &file, None);
            }
            _ => match file.source.binding(qualname, &Style::default()) {
                Ok(Some(Binding::Value(made))) => {
                    let module = file.source.digest(&Style::default()).unwrap_or_default();
                    let parts = [&made.definition.digest[..], &module[..]];
                    // What other statements may put more into counts with its whole module.
                    let counted = if is_filled(&file.text, qualname) { 2 } else { 1 };
                    let local = combine("assignment", parts.into_iter().take(counted));
                    self.compare(index, Some(local), None, &file, Some(&made.definition));
                }
                _ => self.gone(index, "it is no longer assigned"),
            },
        }
    }

    fn function(&mut self, index: usize, component: &Component, at: (&str, &File), qualname: &str) {
        let file = at.1;
        let style = Style { ignored_decorators: component.ignored.clone(), whole: false };
        let whole = Style { whole: true, ..style.clone() };
        let is_lambda = qualname.ends_with("<lambda>");
        let found = if is_lambda {
            file.source.lambdas(&style)
        } else {
            file.source.functions(qualname, &style)
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.untold.push(format!("`{}`: {error}", component.name()));
                return;
            }
        };
        let local = |one: &Definition| combine("source", [&one.digest[..]]);
        if let Some(same) = found.iter().find(|one| local(one) == component.digest) {
            return self.inside(index, component, at, same, &style, true);
        }
        // A function of a module that had not been loaded may be recorded with its decorators and default values.
        let entire =
            if is_lambda { Ok(Vec::new()) } else { file.source.functions(qualname, &whole) };
        let entire = entire.unwrap_or_default();
        if let Some(same) = entire.iter().find(|one| local(one) == component.digest) {
            return self.inside(index, component, at, same, &whole, true);
        }
        match found.as_slice() {
            [] => self.gone(index, "it is no longer defined"),
            [one] if !is_lambda => {
                let plain = recorded(component, &style)
                    .is_some_and(|was| combine("source", [&was.digest[..]]) == component.digest);
                let now = if plain { Some(local(one)) } else { entire.first().map(local) };
                self.compare(index, now, None, file, Some(one));
                let style = if plain { &style } else { &whole };
                let now = if plain { Some(one) } else { entire.first() };
                if let Some(now) = now {
                    self.inside(index, component, at, now, style, false);
                }
            }
            _ => self.compare(index, None, None, file, None),
        }
    }
}
