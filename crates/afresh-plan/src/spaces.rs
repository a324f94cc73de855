//! Modules as values: everything in one that code may take, the package behind a `__getattr__`, the text that documents it.
//!
//! A module that is passed on counts by its names and what each leads to, so each is followed like a name in code. Names
//! that only running binds are told as such.

use std::fs;
use std::path::Path;

use afresh_core::fp1::Encoder;
use afresh_pysource::{Binding, Style, combine};

use crate::change::{Change, Kind};
use crate::judge::Judge;
use crate::names;
use crate::record::Component;
use crate::tree::{File, Look, Tree, hexadecimal};

/// What every module has, and what Python notes there.
const BOOKKEEPING: [&str; 13] = [
    "__name__",
    "__doc__",
    "__package__",
    "__loader__",
    "__spec__",
    "__path__",
    "__file__",
    "__cached__",
    "__builtins__",
    "__annotations__",
    "__annotate__",
    "__conditional_annotations__",
    "__warningregistry__",
];
/// Methods that put something more into a container.
const FILLING: [&str; 7] =
    ["append", "add", "update", "setdefault", "insert", "extend", "register"];

impl Judge<'_> {
    /// A module of which every name counts.
    pub(crate) fn namespace(&mut self, component: &Component, at: (&str, &File)) {
        for (label, used) in &component.uses {
            let target = names::resolve(self.tree, at.0, std::slice::from_ref(label));
            self.target(component, *used, at, target);
        }
        if self.means_the_same(at.1) {
            return;
        }
        for name in at.1.source.names() {
            if component.used(&name).is_some() || BOOKKEEPING.contains(&name.as_str()) {
                continue;
            }
            let line = match at.1.source.binding(&name, &Style::default()) {
                Ok(Some(Binding::Function(line) | Binding::Class(line))) => Some(line),
                Ok(Some(Binding::Value(made))) if made.value.is_some() => {
                    Some(made.definition.first_line)
                }
                Ok(Some(Binding::Import { .. })) => None,
                // A loop, a condition: whether the name is there in the end shows when it runs.
                _ => {
                    self.untold.push(format!("whether `{}` has `{name}` now", component.name()));
                    continue;
                }
            };
            self.exact = false;
            self.more.push(Change {
                label: format!("name {name}"),
                place: Some(self.place(at.1, line)),
                kind: Kind::New,
                digest: None,
                before: None,
                after: None,
                note: Some(format!("all of `{}` counts", component.name())),
            });
        }
        if !at.1.source.star_imports().is_empty() {
            self.untold
                .push(format!("`{}` imports every name of another module", component.name()));
        }
    }

    /// All the files of a package whose `__getattr__` was asked.
    pub(crate) fn package(&mut self, index: usize, component: &Component) {
        let file = match self.tree.module(component.name()) {
            Look::There(file) => file,
            _ => {
                self.untold.push(format!("the package `{}` is not found", component.name()));
                return;
            }
        };
        if file.text.contains("__path__") {
            if !self.nothing_changed() {
                self.untold.push(format!("where `{}` is looked for", component.name()));
            }
            return;
        }
        let mut said = Vec::new();
        if let Some(folder) = file.path.parent().filter(|_| file.is_package) {
            below(self.tree, folder, folder, &mut said);
        }
        if said.is_empty() {
            said.push(component.name().to_owned());
        }
        let local = combine("package", said.iter().map(|one| one.as_bytes()));
        self.compare(index, Some(local), None, &file, None);
    }

    /// The text that documents a module, where code reads it.
    pub(crate) fn documentation(&mut self, index: usize, file: &File) {
        let text = file.source.documentation();
        let mut encoder = Encoder::new();
        match &text {
            Some(text) => encoder.str(text),
            None => encoder.none(),
        }
        let digest = encoder.finish().0;
        let same = self.record.components.get(index).is_some_and(|one| one.digest == digest);
        // Some versions of Python take the indentation away.
        let is_plain = |text: &String| !text.contains('\n') && text.trim() == text;
        if same || text.as_ref().is_none_or(is_plain) {
            self.value(index, digest, text.as_deref().unwrap_or("None"), file, 1);
        } else {
            self.untold.push(format!("what `__doc__` is ({})", self.place(file, Some(1))));
        }
    }
}

/// Names and digests of the source files of a folder, in the order in which Python walks it.
fn below(tree: &mut Tree, root: &Path, folder: &Path, said: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in entries.flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        if path.is_dir() {
            // Links to folders are not followed.
            if kind.is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            }
        } else if path.extension().is_some_and(|end| end == "py") {
            files.push(path);
        }
    }
    folders.sort();
    files.sort();
    for path in files {
        if let Look::There(file) = tree.look(&path)
            && let Ok(digest) = file.source.digest(&Style::default())
        {
            said.push(path.strip_prefix(root).unwrap_or(&path).display().to_string());
            said.push(hexadecimal(&digest));
        }
    }
    for path in folders {
        below(tree, root, &path, said);
    }
}

/// Whether a statement in the file changes what the name is bound to, by `NAME[…] =` or `NAME.append`, and code runs when the
/// file is imported that could get there.
pub(crate) fn is_changed(text: &str, name: &str) -> bool {
    let runs = text.lines().any(|line| {
        let word = line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        match word {
            "if" | "for" | "while" | "try" | "with" => true,
            "def" | "class" | "async" | "from" | "import" => false,
            _ => {
                line.starts_with('@') || (!line.starts_with([' ', '\t', '#']) && line.contains('('))
            }
        }
    });
    runs && uses_of(text, name, is_assigned)
}

/// Whether a subscript is assigned to: `[…] = `, `[…] += `.
fn is_assigned(after: &str) -> bool {
    let mut depth = 0usize;
    for (place, c) in after.char_indices() {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            let rest = after.get(place + 1..).unwrap_or_default().trim_start_matches([' ', '\t']);
            let rest =
                rest.trim_start_matches(['+', '-', '*', '/', '|', '&', '^', '%', '@', '<', '>']);
            // Deeper assignments, `NAME[a][b] = …`, change it as well.
            return rest.starts_with(['[', '.'])
                || (rest.starts_with('=') && !rest.starts_with("=="));
        }
    }
    true
}

/// Whether something in the file puts more into what the name is bound to: `NAME[…]`, `NAME.append`.
pub(crate) fn is_filled(text: &str, name: &str) -> bool {
    uses_of(text, name, |_| true)
}

/// Whether a method that fills is called on the name, or a subscript of it stands where `subscript` says so.
fn uses_of(text: &str, name: &str, subscript: impl Fn(&str) -> bool) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(place, _)| {
        let (before, after) = (text.get(..place), text.get(place + name.len()..));
        if before.and_then(|before| before.chars().next_back()).is_some_and(is_word) {
            return false;
        }
        let after = after.unwrap_or_default().trim_start();
        (after.starts_with('[') && subscript(after))
            || after.strip_prefix('.').is_some_and(|method| {
                let method = method.trim_start();
                let word = method.split(|c| !is_word(c)).next().unwrap_or_default();
                FILLING.contains(&word)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_a_table_is_not_filling_it() {
        let loaded = "T = {}\n@reg\ndef h(): T['a'] = 1\n";
        assert!(is_filled(loaded, "T") && is_changed(loaded, "T"));
        assert!(is_changed("T = []\nfill()\ndef fill(): T.append(1)\n", "T"));
        assert!(is_changed("T = {}\nfill()\ndef fill(): T[x[0]][1] += 1\n", "T"));
        assert!(!is_changed("T = {}\n@reg\ndef h(): return T['a'] == 1\n", "T"));
        assert!(!is_changed("T = {}\ndef h(): T['a'] = 1\n", "T"), "nothing runs");
        assert!(!is_filled("MT[0] = T1[0]\n", "T"));
    }
}
