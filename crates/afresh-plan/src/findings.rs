//! Taking down what was found, and what follows of it: the places, the digests that are replaced, and whether the new digest
//! of the function is known with them.

use std::collections::HashSet;
use std::path::Path;

use afresh_pysource::Definition;

use crate::change::{Change, Judged, Kind};
use crate::judge::Judge;
use crate::record::{Component, Local};
use crate::tree::{File, Look, hexadecimal};

/// Methods that have a hand in making classes.
const MAKERS: [&str; 2] = [".__init_subclass__", ".__set_name__"];
/// Methods that run when an instance is made.
const CONSTRUCTORS: [&str; 4] = ["__init__", "__new__", "__post_init__", "__set_name__"];

impl Judge<'_> {
    pub(crate) fn finish(mut self) -> Judged {
        if !self.changes.is_empty() && self.reaches_further() {
            self.exact = false;
        }
        let is_gone = self.changes.get(&0).is_some_and(|change| change.kind == Kind::Gone);
        let exact = self.exact && self.untold.is_empty();
        let digest = if exact { self.record.root(&self.replaced) } else { None };
        let is_untouched = self.nothing_changed();
        let mut changes: Vec<Change> = self.changes.into_values().collect();
        changes.append(&mut self.more);
        let mut said = HashSet::new();
        self.untold.retain(|one| said.insert(one.clone()));
        Judged { changes, untold: self.untold, digest, is_untouched, is_gone }
    }

    /// Whether a change makes others differ, in ways that only running tells: containers and class attributes that were
    /// made of it, classes that it has a hand in making.
    fn reaches_further(&self) -> bool {
        let components = &self.record.components;
        let mut from = self.inputs.clone();
        for (index, one) in components.iter().enumerate() {
            if MAKERS.iter().any(|name| one.name().ends_with(name)) {
                from.push(index);
            }
            let held =
                || one.uses.iter().filter(|(label, _)| label == "holds").map(|(_, used)| *used);
            for used in held() {
                let Some(component) = components.get(used) else { continue };
                if self.changes.contains_key(&used) {
                    return true;
                }
                // A function counts in what holds it with its plain default values and closure.
                let is_function = component.kind == "function";
                let plain = component.uses.iter().filter(|_| is_function).map(|(_, inner)| *inner);
                from.extend(plain.filter(|inner| {
                    components.get(*inner).is_some_and(|inner| inner.kind == "data")
                }));
                // Those that nothing tells apart count with all that they reach.
                let alike = |other: &usize| {
                    *other != used
                        && components.get(*other).is_some_and(|other| {
                            other.digest == component.digest || other.label == component.label
                        })
                };
                if held().any(|other| alike(&other)) {
                    from.push(used);
                }
            }
            if one.kind == "class" {
                let kind = |used: usize| components.get(used).map(|one| one.kind.as_str());
                let is_made = |(label, used): &(String, usize)| {
                    let by_data = kind(*used) == Some("data") && self.changes.contains_key(used);
                    by_data || (label == "metaclass" && kind(*used) != Some("external"))
                };
                if one.uses.iter().any(is_made) {
                    return true;
                }
                // The members of an enumeration are instances.
                if one.uses.iter().any(|(label, _)| label.starts_with("member ")) {
                    let runs = one.uses.iter().filter(|(label, _)| {
                        CONSTRUCTORS.contains(&label.as_str()) || label == "_generate_next_value_"
                    });
                    from.extend(runs.map(|(_, used)| *used));
                }
            }
        }
        let mut seen: HashSet<usize> = from.iter().copied().collect();
        while let Some(index) = from.pop() {
            if self.changes.contains_key(&index) {
                return true;
            }
            let Some(one) = components.get(index) else { continue };
            // To make an instance of a class without a constructor runs nothing.
            let runs = |(label, _): &(String, usize)| {
                CONSTRUCTORS.contains(&label.as_str())
                    || label.starts_with("base ")
                    || label == "metaclass"
            };
            let is_idle =
                one.kind == "class" && self.inputs.contains(&index) && !one.uses.iter().any(runs);
            let uses = if is_idle { &[] } else { one.uses.as_slice() };
            from.extend(uses.iter().map(|(_, used)| *used).filter(|used| seen.insert(*used)));
        }
        false
    }

    /// Whether no file that is on record means another thing today.
    pub(crate) fn nothing_changed(&mut self) -> bool {
        let record = self.record;
        let modules = record.components.iter().filter_map(|one| one.module.as_deref());
        modules.into_iter().all(|module| match self.tree.module(module) {
            Look::There(file) => self.means_the_same(&file),
            Look::Absent | Look::Unreadable(_) => false,
        })
    }

    /// Which classes derive from one is not in its text: any file may define one more.
    pub(crate) fn descendants(&mut self, component: &Component) {
        if !self.nothing_changed() {
            let name = component.name();
            self.untold
                .push(format!("which classes derive from `{name}` shows when they are defined"));
        }
    }

    /// A value that only running can tell: the same as long as nothing in its file means another thing.
    pub(crate) fn computed(&mut self, name: &str, file: &File, line: Option<u32>) {
        if !self.means_the_same(file) {
            let place = self.place(file, line);
            self.untold.push(format!("`{name}` is computed when the program runs ({place})"));
        }
    }

    /// Whether a file means what it meant when the function was recorded.
    pub(crate) fn means_the_same(&self, file: &File) -> bool {
        let was = self.was(&file.path);
        was.is_some_and(|digest| !digest.is_empty() && Some(digest) == file.digest.as_ref())
    }

    /// The digest that a file had when the function was recorded.
    pub(crate) fn was(&self, path: &Path) -> Option<&String> {
        let files = || self.record.files.iter().map(|(path, digest)| (Path::new(path), digest));
        let there = files().find(|(one, _)| *one == path);
        // The project may have been moved.
        let was = there.or_else(|| files().find(|(one, _)| one.file_name() == path.file_name()));
        was.map(|(_, digest)| digest)
    }

    /// Some data, by its digest today.
    pub(crate) fn value(
        &mut self,
        index: usize,
        digest: Local,
        text: &str,
        file: &File,
        line: u32,
    ) {
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
    pub(crate) fn compare(
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

    pub(crate) fn gone(&mut self, index: usize, why: &str) {
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

    pub(crate) fn place(&self, file: &File, line: Option<u32>) -> String {
        let file = self.tree.shown(&file.path);
        line.map_or(file.clone(), |line| format!("{file}:{line}"))
    }
}
