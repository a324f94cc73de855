//! What the code of a component uses: default values, decorators, and names with what they lead to now.

use afresh_pysource::{Definition, Origin, Reference, Statements, Style};

use crate::builtins;
use crate::change::{Change, Kind};
use crate::judge::Judge;
use crate::literal;
use crate::names::{self, Target};
use crate::record::Component;
use crate::spaces::is_changed;
use crate::tree::File;

/// Decorators whose outcome holds the function and has no more to it.
const HOLDING: [&str; 2] = ["contextlib.contextmanager", "contextlib.asynccontextmanager"];
/// Decorators that change nothing of the answer.
const SEEN_THROUGH: [&str; 4] = ["cache", "lru_cache", "functools.cache", "functools.lru_cache"];

impl Judge<'_> {
    /// What a function uses: default values, decorators, names. `same` if its own code is what it was.
    pub(crate) fn inside(
        &mut self,
        index: usize,
        component: &Component,
        at: (&str, &File),
        now: &Definition,
        style: &Style,
        same: bool,
    ) {
        let was = recorded(component, style);
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
            if self.leading(at.0, &was.references) != self.leading(at.0, &now.references) {
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

    pub(crate) fn defaults(
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
    pub(crate) fn reference(
        &mut self,
        component: &Component,
        at: (&str, &File),
        reference: &Reference,
    ) {
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
        if label == "__doc__" && target.is_none() {
            return self.documentation(used, at.1);
        }
        let target = match target {
            Some(target) => target,
            None => names::resolve(self.tree, at.0, &reference.path),
        };
        self.target(component, used, at, target);
    }

    /// The references that lead anywhere: not those to builtins.
    pub(crate) fn leading<'r>(
        &mut self,
        module: &str,
        references: &'r [Reference],
    ) -> Vec<&'r Reference> {
        let mut leading = Vec::new();
        for reference in references {
            let first = reference.path.first().filter(|first| builtins::has(first));
            let is_builtin = reference.origin == Origin::Free
                && first.is_some_and(|first| {
                    let path = std::slice::from_ref(first);
                    matches!(names::resolve(self.tree, module, path), Target::Missing)
                });
            if !is_builtin {
                leading.push(reference);
            }
        }
        leading
    }

    /// A name that was a builtin, or led nowhere: does the module define it now?
    pub(crate) fn unknown_before(
        &mut self,
        component: &Component,
        at: (&str, &File),
        reference: &Reference,
    ) {
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
            Target::Function { .. } | Target::Class { .. } | Target::Module(_) => None,
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
    pub(crate) fn target(
        &mut self,
        by: &Component,
        index: usize,
        at: (&str, &File),
        target: Target,
    ) {
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
            ("data", Target::Value { file, .. }) if self.means_the_same(&file) => {}
            ("data", Target::Value { module, name, file, made }) => {
                let line = made.definition.first_line;
                let written = made.value.as_deref().filter(|_| !is_changed(&file.text, &name));
                match written.and_then(|text| Some((literal::digest(text)?, text))) {
                    Some((digest, text)) => self.value(index, digest, text, &file, line),
                    None => self.computed_by(by, index, (&module, &file), &name, &made),
                }
            }
            ("missing", Target::Function { file, .. } | Target::Value { file, .. }) => {
                self.compare(index, None, Some("it is defined now"), &file, None);
            }
            ("missing", Target::Class { .. } | Target::Module(_)) => {
                self.compare(index, None, Some("it is defined now"), at.1, None);
            }
            ("wrapper", Target::Function { module, name, file })
                if self.is_kept(component, &module, &name, &file) => {}
            (kind, Target::Function { module, name, file }) if kind != "handle" => {
                let defined = file.source.functions(&name, &Style::default()).unwrap_or_default();
                if defined.iter().all(|one| one.decorators.is_empty()) {
                    self.compare(index, None, Some(&leads(&module, &name)), at.1, None);
                } else {
                    self.computed(&name, &file, None);
                }
            }
            (kind, Target::Class { module, name }) if kind != "handle" => {
                self.compare(index, None, Some(&leads(&module, &name)), at.1, None);
            }
            ("module", Target::Module(name))
                if component.module.as_ref().is_none_or(|was| *was == name) => {}
            ("module", Target::Module(name)) => {
                let note = format!("the name leads to `{name}` now");
                self.compare(index, None, Some(&note), at.1, None);
            }
            (kind, Target::Module(name))
                if kind != "handle" && kind != "missing" && !self.means_the_same(at.1) =>
            {
                self.untold.push(format!("what was `{}` is in `{name}` now", component.name()));
            }
            ("function" | "class" | "data" | "module", Target::Unknown)
                if !self.means_the_same(at.1) =>
            {
                self.untold.push(format!("`{}` cannot be followed", component.name()));
            }
            ("function" | "class" | "data" | "module", Target::Missing | Target::Outside(_))
                if !self.means_the_same(at.1) && !by.label.contains("<locals>") =>
            {
                self.compare(index, None, Some("the name no longer leads there"), at.1, None);
            }
            ("data", Target::Missing) => {
                self.computed(component.name(), at.1, None);
            }
            (kind, Target::Value { module, name, file, made }) if kind != "handle" => {
                self.computed_by(by, index, (&module, &file), &name, &made);
            }
            _ => {}
        }
    }

    /// Whether a wrapper is one of those that hold a function and do nothing else with it.
    fn is_kept(&mut self, component: &Component, module: &str, name: &str, file: &File) -> bool {
        let style = Style { ignored_decorators: component.ignored.clone(), whole: false };
        let defined = file.source.functions(name, &style).unwrap_or_default();
        let [one] = defined.as_slice() else { return false };
        let [decorator] = one.decorators.as_slice() else { return false };
        let path: Vec<String> = decorator.split('.').map(str::to_owned).collect();
        let full = format!("helper {module}.{name}");
        let held = component.uses.iter().filter(|(label, _)| label != "library");
        let is_it =
            |used: usize| self.record.components.get(used).is_some_and(|one| one.label == full);
        held.clone().count() > 0
            && held.into_iter().all(|(_, used)| is_it(*used))
            && matches!(names::resolve(self.tree, module, &path), Target::Outside(name)
                if HOLDING.contains(&name.as_str()))
    }

    /// A value that statements make: the same if they are known to make it so, or as long as their file is the same.
    fn computed_by(
        &mut self,
        by: &Component,
        index: usize,
        at: (&str, &File),
        name: &str,
        made: &Statements,
    ) {
        let line = made.definition.first_line;
        let text = made.value.as_deref().filter(|_| !is_changed(&at.1.text, name));
        if !text.is_some_and(|text| self.made(by, index, at, text, line)) {
            self.computed(name, at.1, Some(line));
        }
    }

    /// A name leads to this definition: where the component is to be judged, if that is still to come.
    pub(crate) fn moved(&mut self, index: usize, by: &File, module: String, name: String) {
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
}

/// The definition that a component was made from, out of its recorded source.
pub(crate) fn recorded(component: &Component, style: &Style) -> Option<Definition> {
    let source = names::piece(component.source.as_deref()?)?;
    let name = component.qualname()?.rsplit('.').next()?;
    if name == "<lambda>" {
        return source.lambdas(style).ok()?.into_iter().next();
    }
    source.functions(name, style).ok()?.into_iter().next()
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
