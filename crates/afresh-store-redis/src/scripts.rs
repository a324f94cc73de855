//! The scripts, and how one is called.
//!
//! Each comes in two forms: one that a full server refuses, and one for what frees memory. They are named by their
//! digests; a server that does not know them is given them ([`Scripts::sources`]).

use redis::{Cmd, Script, cmd};

const COMMON: &str = include_str!("lua/common.lua");

/// What a script of Redis 7 begins with so that it runs on a full server. Before, every script did that only reads or
/// deletes.
const FREEING: &str = "#!lua flags=allow-oom\n";

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Apply,
    /// `apply` for batches that put nothing.
    ApplyFreeing,
    Page,
    Rebuild,
    Begin,
    Usage,
    Aside,
    Object,
    /// `object` for what removes.
    ObjectFreeing,
}

/// Source and digest of each script, for servers of one kind.
#[derive(Debug)]
pub(crate) struct Scripts(Vec<(Name, String, String)>);

impl Scripts {
    /// For servers that know flags of scripts, or not.
    pub(crate) fn new(flags: bool) -> Self {
        let freeing = if flags { FREEING } else { "" };
        let (apply, page) = (include_str!("lua/apply.lua"), include_str!("lua/page.lua"));
        let (rebuild, object) = (include_str!("lua/rebuild.lua"), include_str!("lua/object.lua"));
        let sources = [
            (Name::Apply, format!("{COMMON}{apply}")),
            (Name::ApplyFreeing, format!("{freeing}{COMMON}{apply}")),
            (Name::Page, format!("{freeing}{COMMON}{page}")),
            (Name::Rebuild, format!("{freeing}{COMMON}{rebuild}")),
            (Name::Usage, format!("{freeing}{COMMON}{}", include_str!("lua/usage.lua"))),
            (Name::Begin, include_str!("lua/begin.lua").to_owned()),
            (Name::Aside, format!("{freeing}{}", include_str!("lua/aside.lua"))),
            (Name::Object, object.to_owned()),
            (Name::ObjectFreeing, format!("{freeing}{object}")),
        ];
        let named = sources.map(|(name, source)| {
            let digest = Script::new(&source).get_hash().to_owned();
            (name, source, digest)
        });
        Self(named.into())
    }

    /// A call of a script; keys and arguments are to be added.
    pub(crate) fn call(&self, name: Name, keys: usize) -> Cmd {
        let digest = self.0.iter().find(|(known, ..)| *known == name).map(|(.., digest)| digest);
        let mut call = cmd("EVALSHA");
        call.arg(digest.map_or("", String::as_str)).arg(keys);
        call
    }

    /// All of them.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, source, _)| source.as_str())
    }
}
