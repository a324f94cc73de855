//! What a name of a module leads to today, read from text: through imports, submodules and star imports.

use std::rc::Rc;

use afresh_pysource::{Binding, Source, Statements, Style};

use crate::tree::{File, Look, Tree};

/// How many imports are followed.
const STEPS: usize = 50;

/// What a name leads to.
pub(crate) enum Target {
    Function {
        module: String,
        name: String,
        file: Rc<File>,
    },
    Class {
        module: String,
        name: String,
    },
    /// A value, with the file whose statements make it.
    Value {
        module: String,
        name: String,
        file: Rc<File>,
        made: Box<Statements>,
    },
    /// A module of the project, by its full name.
    Module(String),
    /// Something of a library, by the name that the import gives it.
    Outside(String),
    /// Nothing: a builtin, or a name that is not there.
    Missing,
    /// It cannot be followed.
    Unknown,
}

/// What a chain of names leads to, from a module on.
pub(crate) fn resolve(tree: &mut Tree, module: &str, path: &[String]) -> Target {
    follow(tree, module, path, STEPS)
}

/// What an import statement within a definition leads to.
pub(crate) fn imported(
    tree: &mut Tree,
    from: (&str, &File),
    level: u32,
    module: &str,
    path: &[String],
) -> Target {
    match absolute(from.0, from.1.is_package, level, module) {
        Some(full) => follow(tree, &full, path, STEPS),
        None => Target::Unknown,
    }
}

fn follow(tree: &mut Tree, module: &str, path: &[String], left: usize) -> Target {
    let Some(left) = left.checked_sub(1) else { return Target::Unknown };
    let Some((first, rest)) = path.split_first() else { return whole(tree, module) };
    let file = match tree.module(module) {
        Look::There(file) => file,
        Look::Absent => return Target::Outside(format!("{module}.{}", path.join("."))),
        Look::Unreadable(_) => return Target::Unknown,
    };
    let name = || first.clone();
    match file.source.binding(first, &Style::default()) {
        Err(_) => Target::Unknown,
        Ok(Some(Binding::Function(_))) => {
            Target::Function { module: module.to_owned(), name: name(), file }
        }
        Ok(Some(Binding::Class(_))) => Target::Class { module: module.to_owned(), name: name() },
        Ok(Some(Binding::Value(made))) => {
            Target::Value { module: module.to_owned(), name: name(), file, made }
        }
        Ok(Some(Binding::Import { level, module: from, name: taken })) => {
            let Some(full) = absolute(module, file.is_package, level, &from) else {
                return Target::Unknown;
            };
            let path: Vec<String> = taken.into_iter().chain(rest.iter().cloned()).collect();
            follow(tree, &full, &path, left)
        }
        Ok(None) => elsewhere(tree, module, &file, path, left),
    }
}

/// A module itself. A folder without a file of its own cannot be told from a module that is not there.
fn whole(tree: &mut Tree, module: &str) -> Target {
    match tree.module(module) {
        Look::There(_) => Target::Module(module.to_owned()),
        Look::Absent => Target::Outside(module.to_owned()),
        Look::Unreadable(_) => Target::Unknown,
    }
}

/// A name that the text does not bind: a submodule, or what a star import brings.
fn elsewhere(tree: &mut Tree, module: &str, file: &File, path: &[String], left: usize) -> Target {
    let Some((first, rest)) = path.split_first() else { return Target::Unknown };
    let below = format!("{module}.{first}");
    if file.is_package && !matches!(tree.module(&below), Look::Absent) {
        return follow(tree, &below, rest, left);
    }
    let mut stars = false;
    for (level, from) in file.source.star_imports() {
        stars = true;
        let Some(full) = absolute(module, file.is_package, level, &from) else { continue };
        match follow(tree, &full, path, left) {
            Target::Missing | Target::Outside(_) | Target::Unknown => {}
            found => return found,
        }
    }
    if stars { Target::Unknown } else { Target::Missing }
}

/// The full name of a module that is named with leading dots.
fn absolute(module: &str, is_package: bool, level: u32, name: &str) -> Option<String> {
    if level == 0 {
        return Some(name.to_owned());
    }
    let mut base = module;
    for _ in 0..level - u32::from(is_package) {
        base = base.rsplit_once('.')?.0;
    }
    Some(if name.is_empty() { base.to_owned() } else { format!("{base}.{name}") })
}

/// A piece of source by itself, as it stood in a file: what is indented is put below something.
pub(crate) fn piece(text: &str) -> Option<Source> {
    let indented = text.starts_with([' ', '\t']);
    let text = if indented { format!("if 1:\n{text}") } else { text.to_owned() };
    Source::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_imports_start_at_the_package() {
        let full = |module, package, level, name| absolute(module, package, level, name);
        assert_eq!(full("a.b", false, 1, "c").as_deref(), Some("a.c"));
        assert_eq!(full("a.b", true, 1, "c").as_deref(), Some("a.b.c"));
        assert_eq!(full("a.b", true, 2, "").as_deref(), Some("a"));
        assert_eq!(full("a", false, 1, "c"), None);
        assert_eq!(full("a", false, 0, "c.d").as_deref(), Some("c.d"));
    }
}
