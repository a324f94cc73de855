//! Which store is meant, and whether there is one.
//!
//! Invariant: a command that only looks never makes a store; a mistyped path must be an error, not an empty log.
//! How an address is read in full is the facade's business; here only the folder of an embedded store is found.

use std::fs;
use std::path::{Path, PathBuf};

use afresh::{Clock, Engine, Options};

use crate::failure::Failure;
use crate::host::Environment;
use crate::output::Words;

/// Whether a store may be made where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Existing,
    Create,
}

/// The address: what was asked for, else `$AFRESH_URL`, else `$AFRESH_DIR`, else `.afresh`.
pub(crate) fn address(asked: Option<&str>, environment: &Environment) -> String {
    let dir = || environment.dir.as_deref().map(|dir| format!("sqlite:{dir}"));
    asked
        .map(str::to_owned)
        .or_else(|| environment.url.clone())
        .or_else(dir)
        .unwrap_or_else(|| ".afresh".into())
}

pub(crate) fn open(
    address: &str,
    mode: Mode,
    clock: Clock,
    words: &Words,
) -> Result<Engine, Failure> {
    if mode == Mode::Existing
        && let Some(folder) = folder(address)
        && !holds_store(&folder)
    {
        return Err(Failure::new(format!("no store at `{}`", folder.display())).hint(
            "a store is made when a memoized function first runs; `--store`, $AFRESH_URL or $AFRESH_DIR name another",
        ));
    }
    let options = Options { clock: Some(clock), ..Options::default() };
    let opened = afresh::open(address, options).map_err(|error| Failure::argument(&error))?;
    for notice in &opened.notices {
        words.warning(notice);
    }
    Ok(opened.engine)
}

/// The folder of an embedded store; `None` for every other address, right or wrong.
fn folder(address: &str) -> Option<PathBuf> {
    let rest = match address.split_once(':') {
        Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
        // One letter before a colon is a drive.
        Some((scheme, _)) if scheme.len() > 1 && !scheme.contains(['/', '\\']) => return None,
        _ => address,
    };
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// Whether there is a database of any version: one that is too new is for the store to refuse.
fn holds_store(folder: &Path) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("store-v") && name.ends_with(".sqlite")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_names_the_store() {
        let mut environment = Environment::default();
        assert_eq!(address(None, &environment), ".afresh");
        environment.dir = Some("/d".into());
        assert_eq!(address(None, &environment), "sqlite:/d");
        environment.url = Some("sqlite:/u".into());
        assert_eq!(address(None, &environment), "sqlite:/u");
        assert_eq!(address(Some("x"), &environment), "x");
    }

    #[test]
    fn only_an_embedded_store_has_a_folder() {
        let folder = |address| folder(address).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(folder("sqlite:///a/b?sync=full").as_deref(), Some("/a/b"));
        assert_eq!(folder("sqlite:a").as_deref(), Some("a"));
        assert_eq!(folder("./a:b").as_deref(), Some("./a:b"));
        assert_eq!(folder("memory:"), None);
        assert_eq!(folder("sqlight:x"), None);
    }
}
