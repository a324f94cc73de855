//! One function: what of it is another today, and what its digest would be.
//!
//! Every component is looked for by module and qualified name, and every name that its code uses is followed to what it
//! leads to now. The new digest is known where all that changed is known exactly: then it is the very digest that Python
//! will find. What only running could tell, such as a value that is computed, counts as the same as long as the file
//! that computes it means the same; otherwise it is told as such.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use afresh_core::FunctionId;
use afresh_pysource::{Definition, Error, Origin, Reference, Style, combine};

use crate::literal;
use crate::names::{self, Target};
use crate::record::{Component, Local, Record};
use crate::tree::{File, Look, Tree, hexadecimal};

/// Methods that have a hand in making classes.
const MAKERS: [&str; 4] = [".__init_subclass__", ".__set_name__", ".__new__", ".__prepare__"];
/// Decorators that change nothing of the answer.
const SEEN_THROUGH: [&str; 4] = ["cache", "lru_cache", "functools.cache", "functools.lru_cache"];

/// How something is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is there, and different.
    Changed,
    /// It was not there before.
    New,
    /// It is no longer there.
    Gone,
}

/// Something that is another today.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// What, as function records call it: a role and a name.
    pub label: String,
    /// Where it is today, or was: `etl.py:41`.
    pub place: Option<String>,
    /// How it differs.
    pub kind: Kind,
    /// Its digest now, where it is known.
    pub digest: Option<String>,
    /// Its source, or its value, as it was.
    pub before: Option<String>,
    /// The same as it is now.
    pub after: Option<String>,
    /// What there is to say beside that.
    pub note: Option<String>,
}

/// What was found out about one function.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// What is another, in the order of the record.
    pub(crate) changes: Vec<Change>,
    /// What cannot be told without running.
    pub(crate) untold: Vec<String>,
    /// The digest of the function as it is now, where it can be told.
    pub(crate) digest: Option<FunctionId>,
    /// Whether the function itself is no longer there.
    pub(crate) is_gone: bool,
}

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
        judged: 0,
        exact: true,
    };
    for index in 0..record.components.len() {
        judge.judged = index;
        judge.component(index);
    }
    judge.finish()
}

struct Judge<'a> {
    tree: &'a mut Tree,
    record: &'a Record,
    /// By component: several ways may lead to one.
    changes: BTreeMap<usize, Change>,
    /// What is not about a component of the record.
    more: Vec<Change>,
    untold: Vec<String>,
    replaced: HashMap<usize, Local>,
    /// The module and name that names of the code lead to, by component.
    led: HashMap<usize, (String, String)>,
    /// Which component is being judged.
    judged: usize,
    /// Whether the changes say exactly what the function is made of now.
    exact: bool,
}

impl Judge<'_> {
    fn finish(mut self) -> Judged {
        if self.changes.keys().any(|index| self.reaches_further(*index)) {
            self.exact = false;
        }
        let is_gone = self.changes.get(&0).is_some_and(|change| change.kind == Kind::Gone);
        let exact = self.exact && self.untold.is_empty();
        let digest = if exact { self.record.root(&self.replaced) } else { None };
        let mut changes: Vec<Change> = self.changes.into_values().collect();
        changes.append(&mut self.more);
        self.untold.dedup();
        Judged { changes, untold: self.untold, digest, is_gone }
    }

    /// Whether a change of this component makes others differ, in ways that only running tells: containers and class
    /// attributes that were made of it, classes that it has a hand in making.
    fn reaches_further(&self, index: usize) -> bool {
        let Some(changed) = self.record.components.get(index) else { return false };
        let is_data = changed.kind == "data";
        let makes_classes = MAKERS.iter().any(|name| changed.name().ends_with(name));
        makes_classes
            || self.record.components.iter().any(|one| {
                let uses = |wanted: &str| one.uses.iter().any(|(label, _)| label == wanted);
                let used = one.uses.iter().any(|(label, used)| {
                    *used == index && (label == "holds" || (is_data && one.kind == "class"))
                });
                used || (one.kind == "class" && uses("metaclass"))
            })
    }

    /// Whether no file that is on record means another thing today.
    fn nothing_changed(&mut self) -> bool {
        let record = self.record;
        let modules = record.components.iter().filter_map(|one| one.module.as_deref());
        modules.into_iter().all(|module| match self.tree.module(module) {
            Look::There(file) => self.means_the_same(&file),
            Look::Absent | Look::Unreadable(_) => false,
        })
    }

    fn component(&mut self, index: usize) {
        let record = self.record;
        let Some(component) = record.components.get(index) else { return };
        match component.kind.as_str() {
            "function" | "class" | "assignment" | "module" => {}
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
                if !self.nothing_changed() {
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
            "module" => {
                let now = file.source.digest(&Style::default()).ok();
                let local = now.map(|digest| combine("module", [&digest[..]]));
                self.compare(index, local, None, &file, None);
            }
            _ => match file.source.binding(qualname, &Style::default()) {
                Ok(Some(afresh_pysource::Binding::Value(made))) => {
                    let local = combine("assignment", [&made.definition.digest[..]]);
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
                let plain = Self::recorded(component, &style)
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

    fn class(&mut self, index: usize, component: &Component, at: (&str, &File), qualname: &str) {
        let file = at.1;
        let style = Style { ignored_decorators: component.ignored.clone(), whole: false };
        let whole = Style { whole: true, ..style.clone() };
        match file.source.class(qualname, None, &style) {
            Err(Error::NotFound) => self.gone(index, "it is no longer defined"),
            Err(error) => self.untold.push(format!("`{}`: {error}", component.name())),
            Ok(now) => {
                let shell = combine("class-source", [&now.digest[..]]);
                let text = file.source.class(qualname, None, &whole);
                let text = text.map(|one| combine("class-text", [&one.digest[..]]));
                if component.digest != shell && Ok(component.digest) != text {
                    // Its fields and members are components of their own, which are not all read from text.
                    self.exact = false;
                    self.compare(index, Some(shell), None, file, Some(&now));
                    return;
                }
                for reference in &now.references {
                    self.reference(component, at, reference);
                }
            }
        }
    }

    /// The definition that a component was made from, out of its recorded source.
    fn recorded(component: &Component, style: &Style) -> Option<Definition> {
        let source = names::piece(component.source.as_deref()?)?;
        let name = component.qualname()?.rsplit('.').next()?;
        if name == "<lambda>" {
            return source.lambdas(style).ok()?.into_iter().next();
        }
        source.functions(name, style).ok()?.into_iter().next()
    }

    /// What a function uses: default values, decorators, names. `same` if its own code is what it was.
    fn inside(
        &mut self,
        index: usize,
        component: &Component,
        at: (&str, &File),
        now: &Definition,
        style: &Style,
        same: bool,
    ) {
        let was = Self::recorded(component, style);
        if let Some(was) = &was {
            if !style.whole {
                self.defaults(component, at, was, now);
                if meant(was, style) != meant(now, style) {
                    self.exact = false;
                    if same {
                        self.compare(index, None, Some("its decorators changed"), at.1, Some(now));
                    }
                }
            }
            if was.references != now.references {
                self.exact = false;
            }
        } else if !same {
            self.exact = false;
        }
        for path in meant(now, style) {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            if let Target::Function { name, file, .. } = names::resolve(self.tree, at.0, &path)
                && self.was(&file.path).is_some()
                && !self.means_the_same(&file)
            {
                self.untold.push(format!(
                    "`{name}`, which decorates `{}`, may do another thing now",
                    component.name()
                ));
            }
        }
        for reference in &now.references {
            let known = was.as_ref().is_none_or(|was| was.references.contains(reference));
            if same || known {
                self.reference(component, at, reference);
            }
        }
    }

    fn defaults(
        &mut self,
        component: &Component,
        at: (&str, &File),
        was: &Definition,
        now: &Definition,
    ) {
        for parameter in &now.parameters {
            let Some(text) = &parameter.default else { continue };
            let before = was.parameters.iter().find(|one| one.name == parameter.name);
            let before = before.and_then(|one| one.default.as_ref());
            let used = component.used(&format!("{}=", parameter.name));
            let Some(used) = used else {
                self.exact = false;
                continue;
            };
            let kind = self.record.components.get(used).map(|one| one.kind.as_str());
            if kind == Some("data")
                && let Some(digest) = literal::digest(text)
            {
                self.value(used, digest, text, at.1, now.first_line);
            } else if kind == Some("data") && is_name(text) {
                let path = [text.trim().to_owned()];
                let target = names::resolve(self.tree, at.0, &path);
                self.target(component, used, at, target);
            } else if before.map(|one| one.trim()) != Some(text.trim()) {
                self.exact = false;
                self.compare(used, None, Some("it is written otherwise"), at.1, None);
            }
        }
    }

    /// A name that code uses: does it lead to what it led to?
    fn reference(&mut self, component: &Component, at: (&str, &File), reference: &Reference) {
        let (label, target) = match &reference.origin {
            Origin::Free => {
                let label = reference.path.join(".");
                (label, None)
            }
            Origin::Import { level, module, name } => {
                let parts = std::iter::once(module).chain(name).chain(&reference.path);
                let label = parts.cloned().collect::<Vec<_>>().join(".");
                let path: Vec<String> = name.iter().chain(&reference.path).cloned().collect();
                (label, Some(names::imported(self.tree, at, *level, module, &path)))
            }
        };
        let used = component.used(&label);
        let Some(used) = used else {
            return self.unknown_before(component, at, reference);
        };
        let target = match target {
            Some(target) => target,
            None => names::resolve(self.tree, at.0, &reference.path),
        };
        self.target(component, used, at, target);
    }

    /// A name that was a builtin, or led nowhere: does the module define it now?
    fn unknown_before(&mut self, component: &Component, at: (&str, &File), reference: &Reference) {
        let Some(first) = reference.path.first() else { return };
        let known = component.uses.iter().any(|(label, _)| label.split('.').next() == Some(first));
        if known
            || reference.written_only
            || reference.origin != Origin::Free
            || self.means_the_same(at.1)
        {
            return;
        }
        let path = [first.clone()];
        let line = match names::resolve(self.tree, at.0, &path) {
            Target::Missing | Target::Outside(_) | Target::Unknown => return,
            Target::Value { made, .. } => Some(made.definition.first_line),
            Target::Function { .. } | Target::Class { .. } | Target::Module => None,
        };
        self.exact = false;
        self.more.push(Change {
            label: format!("name {first}"),
            place: Some(self.place(at.1, line)),
            kind: Kind::New,
            digest: None,
            before: None,
            after: None,
            note: Some("it hides the builtin of that name".into()),
        });
    }

    /// Whether the component is still what a name leads to.
    fn target(&mut self, by: &Component, index: usize, at: (&str, &File), target: Target) {
        let Some(component) = self.record.components.get(index) else { return };
        let expected = component.module.as_deref().zip(component.qualname());
        let leads = |module: &str, name: &str| format!("the name leads to `{module}.{name}` now");
        match (component.kind.as_str(), target) {
            ("function", Target::Function { module, name, file })
                if expected != Some((module.as_str(), name.as_str())) =>
            {
                let defined = file.source.functions(&name, &Style::default()).unwrap_or_default();
                // What a decorator made of it is what the record names.
                if defined.iter().all(|one| one.decorators.is_empty()) {
                    self.moved(index, at.1, module, name);
                } else {
                    self.computed(&name, &file, None);
                }
            }
            ("class", Target::Class { module, name })
                if expected != Some((module.as_str(), name.as_str())) =>
            {
                self.moved(index, at.1, module, name);
            }
            ("function", Target::Function { module, name, .. })
            | ("class", Target::Class { module, name }) => {
                self.moved(index, at.1, module, name);
            }
            ("external", Target::Outside(name))
                if !self.means_the_same(at.1) && !is_of_library(component.name(), &name) =>
            {
                let was = component.name();
                self.untold.push(format!("what was `{was}` is `{name}` of a library now"));
            }
            ("data", Target::Value { name, file, made }) => {
                let line = made.definition.first_line;
                match made.value.as_deref().and_then(|text| Some((literal::digest(text)?, text))) {
                    Some((digest, text)) => self.value(index, digest, text, &file, line),
                    None => self.computed(&name, &file, Some(line)),
                }
            }
            ("missing", Target::Function { file, .. } | Target::Value { file, .. }) => {
                self.compare(index, None, Some("it is defined now"), &file, None);
            }
            ("missing", Target::Class { .. }) => {
                self.compare(index, None, Some("it is defined now"), at.1, None);
            }
            ("class" | "data" | "external", Target::Function { module, name, file }) => {
                let defined = file.source.functions(&name, &Style::default()).unwrap_or_default();
                if defined.iter().all(|one| one.decorators.is_empty()) {
                    self.compare(index, None, Some(&leads(&module, &name)), at.1, None);
                } else {
                    self.computed(&name, &file, None);
                }
            }
            ("function" | "data" | "external", Target::Class { module, name }) => {
                self.compare(index, None, Some(&leads(&module, &name)), at.1, None);
            }
            ("function" | "class" | "data", Target::Missing | Target::Outside(_))
                if !self.means_the_same(at.1) && !by.label.contains("<locals>") =>
            {
                self.compare(index, None, Some("the name no longer leads there"), at.1, None);
            }
            ("data", Target::Missing) => {
                self.computed(component.name(), at.1, None);
            }
            (kind, Target::Value { name, file, made }) if kind != "handle" => {
                self.computed(&name, &file, Some(made.definition.first_line));
            }
            _ => {}
        }
    }

    /// A name leads to this definition: where the component is to be judged, if that is still to come.
    fn moved(&mut self, index: usize, by: &File, module: String, name: String) {
        let Some(component) = self.record.components.get(index) else { return };
        let own = component.module.clone().zip(component.qualname().map(str::to_owned));
        let to = (module, name);
        let known = self.led.get(&index).or(own.as_ref().filter(|_| index <= self.judged));
        match known {
            Some(known) if *known != to => {
                let note = format!("the name leads to `{}.{}` now", to.0, to.1);
                self.compare(index, None, Some(&note), by, None);
            }
            _ => drop(self.led.insert(index, to)),
        }
    }

    /// A value that only running can tell: the same as long as nothing in its file means another thing.
    fn computed(&mut self, name: &str, file: &File, line: Option<u32>) {
        if !self.means_the_same(file) {
            let place = self.place(file, line);
            self.untold.push(format!("`{name}` is computed when the program runs ({place})"));
        }
    }

    /// Whether a file means what it meant when the function was recorded.
    fn means_the_same(&self, file: &File) -> bool {
        let was = self.was(&file.path);
        was.is_some_and(|digest| !digest.is_empty() && Some(digest) == file.digest.as_ref())
    }

    /// The digest that a file had when the function was recorded.
    fn was(&self, path: &Path) -> Option<&String> {
        let files = || self.record.files.iter().map(|(path, digest)| (Path::new(path), digest));
        let there = files().find(|(one, _)| *one == path);
        // The project may have been moved.
        let was = there.or_else(|| files().find(|(one, _)| one.file_name() == path.file_name()));
        was.map(|(_, digest)| digest)
    }

    /// Some data, by its digest today.
    fn value(&mut self, index: usize, digest: Local, text: &str, file: &File, line: u32) {
        let Some(component) = self.record.components.get(index) else { return };
        if component.digest == digest {
            return;
        }
        self.replaced.insert(index, digest);
        let place = Some(self.place(file, Some(line)));
        self.changes.insert(
            index,
            Change {
                label: component.label.clone(),
                place,
                kind: Kind::Changed,
                digest: Some(hexadecimal(&digest)),
                before: component.preview.clone(),
                after: Some(text.trim().to_owned()),
                note: None,
            },
        );
    }

    /// A component that may have another digest now; without one it has.
    fn compare(
        &mut self,
        index: usize,
        now: Option<Local>,
        note: Option<&str>,
        file: &File,
        definition: Option<&Definition>,
    ) {
        let Some(component) = self.record.components.get(index) else { return };
        if now == Some(component.digest) {
            return;
        }
        match now {
            Some(digest) => drop(self.replaced.insert(index, digest)),
            None => self.exact = false,
        }
        let place = self.place(file, definition.map(|one| one.first_line));
        self.changes.entry(index).or_insert_with(|| Change {
            label: component.label.clone(),
            place: Some(place),
            kind: Kind::Changed,
            digest: now.as_ref().map(hexadecimal),
            before: component.source.clone().or_else(|| component.preview.clone()),
            after: definition.map(|one| one.text.clone()),
            note: note.map(str::to_owned),
        });
    }

    fn gone(&mut self, index: usize, why: &str) {
        let Some(component) = self.record.components.get(index) else { return };
        self.exact = false;
        let file = component.file.as_deref().map(|file| self.tree.shown(Path::new(file)));
        let place = file.map(|file| match component.line {
            Some(line) => format!("{file}:{line}"),
            None => file,
        });
        self.changes.insert(
            index,
            Change {
                label: component.label.clone(),
                place,
                kind: Kind::Gone,
                digest: None,
                before: component.source.clone(),
                after: None,
                note: Some(why.to_owned()),
            },
        );
    }

    fn place(&self, file: &File, line: Option<u32>) -> String {
        let file = self.tree.shown(&file.path);
        line.map_or(file.clone(), |line| format!("{file}:{line}"))
    }
}

/// The decorators that can matter.
fn meant(definition: &Definition, style: &Style) -> Vec<String> {
    let matters = |path: &&String| {
        let first = path.split('.').next().unwrap_or_default();
        !SEEN_THROUGH.contains(&path.as_str())
            && !style.ignored_decorators.iter().any(|ignored| ignored == first)
    };
    definition.decorators.iter().filter(matters).cloned().collect()
}

/// Whether an imported name can be what a record calls so: libraries define things elsewhere than they offer them.
fn is_of_library(recorded: &str, imported: &str) -> bool {
    let top = |name: &str| {
        let top = name.split('.').next().unwrap_or_default().trim_start_matches('_').to_owned();
        if matches!(top.as_str(), "posixpath" | "ntpath" | "posix" | "nt") {
            "os".into()
        } else {
            top
        }
    };
    let last = recorded.rsplit('.').next();
    top(recorded) == top(imported) && imported.split('.').any(|part| Some(part) == last)
}

fn is_name(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}
