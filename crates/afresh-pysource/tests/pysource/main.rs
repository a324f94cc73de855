//! Tests of the canonical form, the references, finding definitions, and what happens with text that is no Python.

#![allow(clippy::unwrap_used, reason = "a test that fails is meant to panic")]

mod binding;
mod canonical;
mod literal;
mod locate;
mod references;
mod robust;

use afresh_pysource::{Definition, Source, Style};

/// The only function `f` of a text, wherever it is.
fn f(text: &str) -> Definition {
    let source = Source::parse(text).unwrap();
    let line = text.lines().position(|line| line.trim_start().starts_with("def f")).unwrap();
    source.function("f", u32::try_from(line).unwrap() + 1, &Style::default()).unwrap()
}

/// References as text: `a.b`, `~a` for what is only written, `..mod:name.a` for an import.
fn shown(definition: &Definition) -> Vec<String> {
    let show = |one: &afresh_pysource::Reference| {
        let path = one.path.join(".");
        let mark = if one.written_only { "~" } else { "" };
        match &one.origin {
            afresh_pysource::Origin::Free => format!("{mark}{path}"),
            afresh_pysource::Origin::Import { level, module, name } => {
                let dots = ".".repeat(*level as usize);
                let name = name.as_deref().map(|name| format!(":{name}")).unwrap_or_default();
                let path = if path.is_empty() { path } else { format!(" {path}") };
                format!("{mark}{dots}{module}{name}{path}")
            }
        }
    };
    definition.references.iter().map(show).collect()
}
