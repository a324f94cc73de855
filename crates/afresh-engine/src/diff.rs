//! What differs between two commits, as data; the front ends render it.

use afresh_core::{Argument, Bytes, Commit, Kind, Outline, Result};

use crate::engine::Engine;
use crate::inside::Inner;

/// How one argument differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentChange {
    /// The parameter's name.
    pub name: String,
    /// The value in the first commit, for a person.
    pub a: Option<String>,
    /// The value in the second.
    pub b: Option<String>,
    /// Where inside, as far as both were looked into.
    pub inside: Option<Inner>,
}

/// What differs between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whether the functions have different names.
    pub name_changed: bool,
    /// Whether what the functions are differs.
    pub function_changed: bool,
    /// The records of both functions, as JSON, where they differ and were kept.
    pub records: Option<(Bytes, Bytes)>,
    /// The arguments that differ.
    pub arguments: Vec<ArgumentChange>,
    /// Whether the outputs differ; `None` where one was not kept.
    pub output_changed: Option<bool>,
}

impl Engine {
    /// Compares two commits.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn diff(&self, a: &Commit, b: &Commit) -> Result<Difference> {
        let function_changed = a.function_id != b.function_id;
        let records = if function_changed {
            self.function_record(a).await?.zip(self.function_record(b).await?)
        } else {
            None
        };
        let mut difference = Difference {
            name_changed: a.function != b.function,
            function_changed,
            records,
            arguments: arguments(&a.arguments, &b.arguments),
            output_changed: a.output().zip(b.output()).map(|((a, _), (b, _))| a.id != b.id),
        };
        for change in &mut difference.arguments {
            let before = self.outline(a, &change.name).await?;
            if let Some((before, after)) = before.zip(self.outline(b, &change.name).await?) {
                change.inside = Inner::of(&before, &after);
            }
        }
        Ok(difference)
    }

    /// Looks into the arguments that differ between an execution and a call that has these outlines, by name.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn look_inside(
        &self,
        before: &Commit,
        outlines: &[(String, Bytes)],
        difference: &mut Difference,
    ) -> Result<()> {
        for change in &mut difference.arguments {
            let now = outlines.iter().find(|(name, _)| *name == change.name);
            let Some(now) = now.and_then(|(_, bytes)| Outline::decode(bytes).ok()) else {
                continue;
            };
            if let Some(before) = self.outline(before, &change.name).await? {
                change.inside = Inner::of(&before, &now);
            }
        }
        Ok(())
    }

    /// What was inside an argument of an execution; `None` where that was not kept, or cannot be read.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn outline(&self, commit: &Commit, argument: &str) -> Result<Option<Outline>> {
        let place = commit.arguments.iter().position(|found| found.name == argument);
        let kept = place.and_then(|place| {
            commit.outlines.iter().find(|outlined| outlined.argument as usize == place)
        });
        let Some(kept) = kept else { return Ok(None) };
        let bytes = match &kept.inline {
            Some(bytes) => Some(Bytes::from(bytes.clone())),
            None => match self.store().read(&kept.object.id).await {
                Err(error) if error.kind() == Kind::Corrupt => None,
                read => read?,
            },
        };
        Ok(bytes.and_then(|bytes| Outline::decode(&bytes).ok()))
    }
}

/// The arguments that differ, in the order of the first list; then those that only the second has.
pub(crate) fn arguments(a: &[Argument], b: &[Argument]) -> Vec<ArgumentChange> {
    let find = |list: &[Argument], name: &str| list.iter().find(|arg| arg.name == name).cloned();
    let added = b.iter().filter(|arg| find(a, &arg.name).is_none());
    a.iter()
        .chain(added)
        .filter_map(|arg| {
            let (a, b) = (find(a, &arg.name), find(b, &arg.name));
            let same = a.as_ref().map(|a| a.digest) == b.as_ref().map(|b| b.digest);
            (!same).then(|| ArgumentChange {
                name: arg.name.clone(),
                a: a.map(|a| a.preview),
                b: b.map(|b| b.preview),
                inside: None,
            })
        })
        .collect()
}
