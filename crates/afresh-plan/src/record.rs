//! A function record as Python writes it, read for comparing: components with their digests and where they were found.
//!
//! Invariant: with nothing replaced, [`Record::root`] is [`Record::digest`]. Where the function is identified by its code
//! alone that is the digest that the record names as its own; where it is not, the record is not understood and
//! [`Record::read`] gives none.

use std::collections::HashMap;

use afresh_core::FunctionId;
use afresh_pysource::combine;
use serde::Deserialize;

/// A digest that stands for a component.
pub(crate) type Local = [u8; 32];

/// What a function was made of.
#[derive(Debug)]
pub(crate) struct Record {
    /// The digest of the code.
    pub(crate) digest: FunctionId,
    /// Whether a version was given, so that the code has no part in the identity.
    pub(crate) is_by_version: bool,
    pub(crate) components: Vec<Component>,
    /// The canonical digest of each file that was read, in hexadecimal.
    pub(crate) files: HashMap<String, String>,
}

/// One component.
#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) label: String,
    pub(crate) kind: String,
    pub(crate) digest: Local,
    /// Label and position of what it uses.
    pub(crate) uses: Vec<(String, usize)>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u64>,
    pub(crate) source: Option<String>,
    pub(crate) preview: Option<String>,
    pub(crate) module: Option<String>,
    /// The names that mean afresh in its module.
    pub(crate) ignored: Vec<String>,
}

#[derive(Deserialize)]
struct Written {
    digest: String,
    components: Vec<WrittenComponent>,
    #[serde(default)]
    files: HashMap<String, String>,
}

#[derive(Deserialize)]
struct WrittenComponent {
    label: String,
    kind: String,
    digest: String,
    uses: Vec<(String, usize)>,
    file: Option<String>,
    line: Option<u64>,
    source: Option<String>,
    preview: Option<String>,
    module: Option<String>,
    #[serde(default)]
    aside: bool,
    #[serde(default, rename = "afresh")]
    ignored: Vec<String>,
}

impl Component {
    /// Its name within its module, such as `C.f`.
    pub(crate) fn qualname(&self) -> Option<&str> {
        let (_, name) = self.label.split_once(' ')?;
        name.strip_prefix(self.module.as_deref()?)?.strip_prefix('.')
    }

    /// The name without the role.
    pub(crate) fn name(&self) -> &str {
        self.label.split_once(' ').map_or(&self.label, |(_, name)| name)
    }

    /// What it uses under this label.
    pub(crate) fn used(&self, label: &str) -> Option<usize> {
        self.uses.iter().find(|(one, _)| one == label).map(|(_, number)| *number)
    }
}

impl Record {
    /// The record, where it is one that is understood.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        let mut digest: FunctionId = written.digest.parse().ok()?;
        let is_aside = written.components.iter().any(|row| row.aside);
        let mut components =
            written.components.into_iter().map(component).collect::<Option<Vec<_>>>()?;
        // The components of the code; then `mode`, and what was declared beside the code.
        let code = components.iter().position(|row| row.kind == "mode").unwrap_or(components.len());
        let declared = components.split_off(code);
        let is_by_version = declared.iter().any(|row| row.kind == "version");
        let mut record = Self { digest, is_by_version, components, files: written.files };
        let root = record.root(&HashMap::new())?;
        if declared.len() > 1 || is_aside {
            digest = root;
        }
        record.digest = root;
        (root == digest).then_some(record)
    }

    /// The function's digest with the digests of some components replaced.
    pub(crate) fn root(&self, replaced: &HashMap<usize, Local>) -> Option<FunctionId> {
        let mut parts = Vec::with_capacity(self.components.len());
        for (index, component) in self.components.iter().enumerate() {
            let local = replaced.get(&index).unwrap_or(&component.digest);
            let mut numbers = Vec::with_capacity(component.uses.len());
            for (label, number) in &component.uses {
                self.components.get(*number)?;
                numbers.push((label, u32::try_from(*number).ok()?.to_le_bytes()));
            }
            let uses = numbers.iter().flat_map(|(label, number)| [label.as_bytes(), &number[..]]);
            parts.push(combine(&component.kind, std::iter::once(&local[..]).chain(uses)));
        }
        Some(FunctionId::new(combine("graph", parts.iter().map(|part| &part[..]))))
    }
}

fn component(written: WrittenComponent) -> Option<Component> {
    let digest: FunctionId = written.digest.parse().ok()?;
    Some(Component {
        label: written.label,
        kind: written.kind,
        digest: *digest.as_bytes(),
        uses: written.uses,
        file: written.file,
        line: written.line,
        source: written.source,
        preview: written.preview,
        module: written.module,
        ignored: written.ignored,
    })
}
