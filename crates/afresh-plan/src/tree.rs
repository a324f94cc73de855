//! The working tree: which file a module is in today, parsed once.
//!
//! A module that was recorded is looked for where it was, if that is within the folder that is asked about; then under
//! that folder and beside the other modules of the project; then where it was. Nothing is imported, and nothing outside
//! those places is read: a module that is not found is a library's.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use afresh_pysource::{Source, Style};

/// A file of today.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) source: Source,
    /// The canonical digest of all of it, in hexadecimal.
    pub(crate) digest: Option<String>,
    pub(crate) is_package: bool,
}

/// What a look at a file gives.
#[derive(Clone)]
pub(crate) enum Look {
    There(Rc<File>),
    Absent,
    /// Why it cannot be read, for a person.
    Unreadable(String),
}

/// The files that were looked at.
pub(crate) struct Tree {
    /// Where modules are looked for first.
    folder: PathBuf,
    /// What shown paths are relative to.
    shown_from: PathBuf,
    roots: Vec<PathBuf>,
    modules: HashMap<String, PathBuf>,
    looks: HashMap<PathBuf, Look>,
}

impl Tree {
    pub(crate) fn new(folder: &Path, shown_from: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            shown_from: shown_from.to_owned(),
            roots: Vec::new(),
            modules: HashMap::new(),
            looks: HashMap::new(),
        }
    }

    /// Learns where a module was, and with that where its neighbours are.
    pub(crate) fn learn(&mut self, module: &str, file: &Path) {
        let file = file.to_owned();
        let mut root = file.parent().map(Path::to_owned);
        let depth = module.split('.').count() - usize::from(!is_package(&file));
        for _ in 0..depth {
            root = root.and_then(|root| root.parent().map(Path::to_owned));
        }
        if let Some(root) = root
            && !self.roots.contains(&root)
        {
            self.roots.push(root);
        }
        self.modules.entry(module.to_owned()).or_insert(file);
    }

    /// The file of a module today.
    pub(crate) fn module(&mut self, name: &str) -> Look {
        let known = self.modules.get(name).cloned();
        if let Some(file) = known.as_ref().filter(|file| file.starts_with(&self.folder)) {
            let look = self.look(file);
            if !matches!(look, Look::Absent) {
                return look;
            }
        }
        let relative: PathBuf = name.split('.').collect();
        let roots: Vec<_> = std::iter::once(&self.folder).chain(&self.roots).cloned().collect();
        for root in roots {
            let base = root.join(&relative);
            for file in [base.with_extension("py"), base.join("__init__.py")] {
                let look = self.look(&file);
                if !matches!(look, Look::Absent) {
                    return look;
                }
            }
        }
        known.map_or(Look::Absent, |file| self.look(&file))
    }

    /// A path as people write it: relative, where it is below the folder they are in.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.shown_from).unwrap_or(path).display().to_string()
    }

    /// A file, once.
    pub(crate) fn look(&mut self, path: &Path) -> Look {
        if let Some(look) = self.looks.get(path) {
            return look.clone();
        }
        let look = self.read(path);
        self.looks.insert(path.to_owned(), look.clone());
        look
    }

    fn read(&self, path: &Path) -> Look {
        if !path.is_file() {
            return Look::Absent;
        }
        let unreadable = |why: String| Look::Unreadable(format!("{} {why}", self.shown(path)));
        let text = match std::fs::read(path).map(decode) {
            Ok(Ok(text)) => text,
            Ok(Err(why)) => return unreadable(why),
            Err(error) => return unreadable(format!("cannot be read: {error}")),
        };
        match Source::parse(&text) {
            Ok(source) => Look::There(Rc::new(File {
                text,
                digest: source.digest(&Style::default()).ok().map(|bytes| hexadecimal(&bytes)),
                path: path.to_owned(),
                source,
                is_package: is_package(path),
            })),
            Err(error) => unreadable(format!("is {error}")),
        }
    }
}

/// Source as text, by the encoding that it declares: the two that need no tables.
fn decode(bytes: Vec<u8>) -> Result<String, String> {
    match declared(&bytes).map(|name| name.to_lowercase().replace('_', "-")).as_deref() {
        None | Some("utf-8" | "utf8") => match String::from_utf8(bytes) {
            Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
            Err(_) => Err("is not in UTF-8".into()),
        },
        Some("latin-1" | "latin1" | "iso-8859-1") => {
            Ok(bytes.into_iter().map(char::from).collect())
        }
        Some(other) => Err(format!("is in the encoding {other}")),
    }
}

/// The encoding that a comment in the first two lines names.
fn declared(bytes: &[u8]) -> Option<String> {
    let mut lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|one| !one.is_empty());
    let lines = [lines.next(), lines.next()];
    lines.into_iter().flatten().find_map(|line| {
        let line = String::from_utf8_lossy(line);
        let comment = line.trim_start_matches('\u{feff}').trim_start().strip_prefix('#')?;
        let (_, rest) = comment.split_once("coding")?;
        let name = rest.strip_prefix([':', '='])?.trim_start();
        let end = name.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)));
        name.get(..end.unwrap_or(name.len())).map(str::to_owned)
    })
}

fn is_package(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "__init__.py")
}

/// The text form of a digest.
pub(crate) fn hexadecimal(bytes: &[u8; 32]) -> String {
    afresh_core::ObjectId::new(*bytes).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use std::fs;

    use super::*;

    fn path(look: Look) -> Option<PathBuf> {
        match look {
            Look::There(file) => Some(file.path.clone()),
            Look::Absent | Look::Unreadable(_) => None,
        }
    }

    #[test]
    fn files_are_read_by_the_encoding_they_declare() {
        let read = |bytes: &[u8]| decode(bytes.to_vec());
        assert_eq!(
            read(b"# coding: latin-1\nx = '\xe9'").unwrap().chars().rev().nth(1),
            Some('\u{e9}')
        );
        assert_eq!(read("\u{feff}x".as_bytes()).unwrap(), "x");
        let second = "#!/bin/sh\n# -*- coding: UTF-8 -*-\n\u{e9}";
        assert_eq!(read(second.as_bytes()).unwrap(), second);
        assert!(read(b"# vim: fileencoding=cp1252\n").unwrap_err().contains("cp1252"));
        assert!(read(b"x = '\xe9'").is_err());
    }

    #[test]
    fn modules_are_found_beside_those_on_record() {
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("src/pkg");
        fs::create_dir_all(&package).unwrap();
        for name in ["__init__.py", "one.py", "two.py", "bad.py"] {
            fs::write(package.join(name), if name == "bad.py" { "def" } else { "" }).unwrap();
        }
        let mut tree = Tree::new(dir.path(), dir.path());
        assert!(matches!(tree.module("pkg.two"), Look::Absent));
        tree.learn("pkg.one", &package.join("one.py"));
        assert_eq!(path(tree.module("pkg.one")), Some(package.join("one.py")));
        assert_eq!(path(tree.module("pkg")), Some(package.join("__init__.py")));
        assert!(matches!(tree.module("pkg.bad"), Look::Unreadable(why) if why.contains("bad.py")));
        assert_eq!(tree.shown(&package.join("one.py")), "src/pkg/one.py");
        // Absent before it was known where to look; a look at a file is remembered, not that.
        assert_eq!(path(tree.module("pkg.two")), Some(package.join("two.py")));
        // In the folder that is asked about it goes before where it was.
        let moved = tempfile::tempdir().unwrap();
        fs::create_dir(moved.path().join("pkg")).unwrap();
        fs::write(moved.path().join("pkg/one.py"), "").unwrap();
        let mut tree = Tree::new(moved.path(), moved.path());
        tree.learn("pkg.one", &package.join("one.py"));
        assert_eq!(path(tree.module("pkg.one")), Some(moved.path().join("pkg/one.py")));
    }
}
